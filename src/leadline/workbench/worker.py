"""The background worker: queued tasks in its main thread, duties that come round in a second one.

Several may run, on one machine or many: a task is claimed by one, a duty by one. Decides nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import django
from django.apps import apps
from django.db import close_old_connections
from django.utils import timezone

_POLL_S = 0.5
_LOST_AFTER_S = 60
_BEAT_EVERY_S = 10.0
HEARTBEAT = "worker:"

log = logging.getLogger("leadline.worker")
Duties = list[tuple[str, float, Callable[[], object]]]


def all_duties() -> Duties:
    """Every app's `tasks.DUTIES`: name, seconds between, function."""
    return list(_duties())


def _duties() -> Iterator[tuple[str, float, Callable[[], object]]]:
    for app in apps.get_app_configs():
        if app.name.startswith("leadline.") and importlib.util.find_spec(f"{app.name}.tasks"):
            yield from getattr(importlib.import_module(f"{app.name}.tasks"), "DUTIES", [])


def do_due(duties: Duties) -> int:
    """Do each duty that is due; one that fails is named in the log by its code and does not stop the others."""
    from leadline.errors import LeadlineError
    from leadline.workbench.journal.actions import claim_duty, end_duty

    done = 0
    for name, every_s, function in duties:
        if not claim_duty(name, every_s):
            continue
        try:
            function()
        except LeadlineError as error:
            end_duty(name, error.code)
            log.warning("duty %s: %s", name, error)
        except Exception as error:
            end_duty(name, type(error).__name__)
            log.error("duty %s failed: %s", name, type(error).__name__)  # its text might hold evidence
        else:
            end_duty(name)
        done += 1
    return done


def recover_lost_tasks() -> int:
    """Tasks of workers that have not been heard of for a minute are done again by others."""
    from django_tasks import TaskResultStatus
    from django_tasks_db.models import DBTaskResult

    from leadline.workbench.journal.models import Duty

    heard = timezone.now() - timedelta(seconds=_LOST_AFTER_S)
    alive = {
        name.removeprefix(HEARTBEAT)
        for name in Duty.objects.filter(name__startswith=HEARTBEAT, ended_at__gt=heard).values_list("name", flat=True)
    }
    recovered = 0
    for task in DBTaskResult.objects.filter(status=TaskResultStatus.RUNNING):
        if not task.worker_ids or task.worker_ids[-1] not in alive:
            still = DBTaskResult.objects.filter(pk=task.pk, status=TaskResultStatus.RUNNING)
            recovered += still.update(status=TaskResultStatus.READY, started_at=None)
    return recovered


class Rounds(threading.Thread):
    """Beats, recovers lost tasks and does what is due, until stopped."""

    def __init__(self, worker_id: str) -> None:
        super().__init__(name="duties", daemon=True)
        self.worker_id, self.stopping = worker_id, threading.Event()

    def run(self) -> None:
        from leadline.workbench.journal.actions import beat

        duties = [("beat", _BEAT_EVERY_S, lambda: beat(HEARTBEAT + self.worker_id)), *all_duties()]
        duties.append(("tasks.recover", float(_LOST_AFTER_S), recover_lost_tasks))
        duties[0] = (f"beat:{self.worker_id}", _BEAT_EVERY_S, duties[0][2])
        while not self.stopping.wait(_POLL_S):
            try:
                close_old_connections()
                do_due(duties)
            except Exception as error:  # the database may be gone for a while
                log.error("duties: %s", type(error).__name__)
                self.stopping.wait(5)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadline.workbench.settings")
    django.setup()
    from django_tasks_db.management.commands.db_worker import Worker

    worker_id = f"{socket.gethostname()}-{os.getpid()}"[:60]
    rounds = Rounds(worker_id)
    rounds.start()
    worker = Worker(
        queue_names=["*"],
        interval=_POLL_S,
        batch=False,
        backend_name="default",
        startup_delay=False,
        max_tasks=None,
        worker_id=worker_id,
        excluded_queue_names=[],
    )
    worker.configure_signals()
    try:
        worker.run()
    finally:
        rounds.stopping.set()


if __name__ == "__main__":
    main()
