"""The background worker: queued tasks in its main thread, duties that come round in others, its heartbeat in one more.

Several may run, on one machine or many: a task is claimed by one, a duty by one. Decides nothing.
"""

from __future__ import annotations

import fcntl
import importlib
import importlib.util
import logging
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.db import InterfaceError, OperationalError, close_old_connections, connections
from django.utils import timezone

_POLL_S = 0.5
_LOST_AFTER_S = 60
_BEAT_EVERY_S = 10.0
_AWAY_S = 2.0  # between two looks whether the database is back
_RESULTS_KEPT = timedelta(days=7)
HEARTBEAT = "worker:"
# Duties with a thread of their own: what must hold to the minute waits for no other, and what may hang holds up none.
OWN_THREAD = frozenset({"evidence.match-changes", "reports.alerts", "reports.mail", "sharing.send"})
# What these destroy does not come back, so they wait while the clock is in doubt.
DESTROYING = frozenset(
    {"evidence.erase-expired", "evidence.sweep", "reports.retention", "reports.forget", "webhooks.forget"}
)

log = logging.getLogger("leadline.worker")
Duties = list[tuple[str, float, Callable[[], object]]]


def all_duties() -> Duties:
    """Every app's `tasks.DUTIES`: name, seconds between, function."""
    return list(_duties())


def _duties() -> Iterator[tuple[str, float, Callable[[], object]]]:
    for app in apps.get_app_configs():
        if app.name.startswith("leadline.") and importlib.util.find_spec(f"{app.name}.tasks"):
            yield from getattr(importlib.import_module(f"{app.name}.tasks"), "DUTIES", [])


def lanes(duties: Duties) -> dict[str, Duties]:
    """Which thread does which duties: one for each of OWN_THREAD, one for all the others."""
    found: dict[str, Duties] = {}
    for duty in duties:
        found.setdefault(duty[0] if duty[0] in OWN_THREAD else "duties", []).append(duty)
    return found


def do_due(duties: Duties, holder: str = "") -> int:
    """Do each duty that is due; one that fails is named in the log by its code and does not stop the others."""
    from leadline.errors import LeadlineError
    from leadline.workbench.journal.actions import claim_duty, due_duties, end_duty

    done, due = 0, due_duties({name: every_s for name, every_s, _ in duties})
    for name, every_s, function in duties:
        if name not in due or not claim_duty(name, every_s, holder):
            continue
        if name in DESTROYING and _is_clock_in_doubt():
            end_duty(name, "clock-jumped", every_s)
            continue
        try:
            function()
        except LeadlineError as error:
            end_duty(name, error.code, every_s)
            log.warning("duty %s: %s", name, error)
        except Exception as error:
            end_duty(name, type(error).__name__, every_s)
            log.error("duty %s failed: %s", name, type(error).__name__)  # its text might hold evidence
        else:
            end_duty(name)
        done += 1
    return done


# --- the clock -------------------------------------------------------------------------------------------------------


def look_at_clock() -> str:
    """What is wrong with this machine's clock, asked of the machine's own count of seconds; see journal.actions."""
    from leadline.workbench.journal.actions import look_at_clock as look

    return look(socket.gethostname()[:80], _boot(), time.clock_gettime(time.CLOCK_BOOTTIME))


def _is_clock_in_doubt() -> bool:
    """Looked at just before anything is destroyed, not only at every beat."""
    return bool(look_at_clock())


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:40]


# --- who is alive ----------------------------------------------------------------------------------------------------


@contextmanager
def held_alive(worker_id: str) -> Iterator[None]:
    """While this process lives it holds the lock of this file, however busy it is; a killed one lets go at once."""
    path = _lock_path(worker_id)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _lock_path(worker_id: str) -> Path:
    from django.conf import settings

    return Path(settings.LEADLINE_HOME) / "workers" / f"{worker_id}.lock"


def _holds_its_lock(worker_id: str) -> bool | None:
    """None where it has none: it runs on another machine, or ended in order."""
    try:
        with _lock_path(worker_id).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return True
    return False


class Watch:
    """Which other workers are dead. One on this machine is alive while it holds its lock, and dead when it does not.

    Of others the heartbeat tells: dead is who has stood still for a minute by this process's own count of seconds.
    What their clock or ours says is not compared: clocks differ, and are set.
    """

    def __init__(self, worker_id: str, now_s: Callable[[], float] = time.monotonic) -> None:
        self._own, self._now_s = worker_id, now_s
        self._seen: dict[str, tuple[Any, float]] = {}  # worker -> its newest beat, when that came to our eyes

    def dead(self, names: Iterable[str]) -> set[str]:
        return {name for name in names if name != self._own and self._is_dead(name)}

    def _is_dead(self, worker_id: str) -> bool:
        from leadline.workbench.journal.models import Duty

        holds = _holds_its_lock(worker_id)
        if holds is not None:
            return not holds
        beat = Duty.objects.filter(name=HEARTBEAT + worker_id).values_list("ended_at", flat=True).first()
        known = self._seen.get(worker_id)
        if known is None or known[0] != beat:
            self._seen[worker_id] = (beat, self._now_s())
            return False
        return self._now_s() - known[1] >= _LOST_AFTER_S


def recover(watch: Watch) -> int:
    """What dead workers had begun is done by others: their tasks, and their duties. How many tasks."""
    from django_tasks import TaskResultStatus
    from django_tasks_db.models import DBTaskResult

    from leadline.workbench.journal.actions import forget_beats, free_duties
    from leadline.workbench.journal.models import Duty

    running = DBTaskResult.objects.filter(status=TaskResultStatus.RUNNING)
    doing = {task.pk: task.worker_ids[-1] if task.worker_ids else "" for task in running}
    holders = set(Duty.objects.exclude(held_by="").values_list("held_by", flat=True))
    dead = watch.dead(set(doing.values()) | holders)
    recovered = 0
    for pk, worker_id in doing.items():
        if worker_id in dead:
            still = DBTaskResult.objects.filter(pk=pk, status=TaskResultStatus.RUNNING)
            recovered += still.update(status=TaskResultStatus.READY, started_at=None)
    free_duties(dead)
    for worker_id in dead:
        _lock_path(worker_id).unlink(missing_ok=True)
    forget_beats(HEARTBEAT)
    return recovered


def forget_results() -> int:
    """What became of queued tasks is told for a week."""
    from django_tasks_db.models import DBTaskResult

    old = DBTaskResult.objects.finished().filter(finished_at__lt=timezone.now() - _RESULTS_KEPT)
    return int(old.delete()[0])


def keep_no_tracebacks() -> None:
    """A traceback may hold values of rows, and so evidence: of a failed task its kind is kept and nothing more."""
    from django.db.models.signals import pre_save
    from django_tasks_db.models import DBTaskResult

    def blank(instance: Any, **_: Any) -> None:
        instance.traceback = ""

    pre_save.connect(blank, sender=DBTaskResult, weak=False, dispatch_uid="leadline-no-tracebacks")


# --- threads ---------------------------------------------------------------------------------------------------------


class Rounds(threading.Thread):
    """Does one lane's duties when they are due, until stopped. Stands the database being away for a while."""

    def __init__(self, name: str, duties: Duties, worker_id: str, stopping: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._duties, self._worker_id, self._stopping = duties, worker_id, stopping
        self._poll_s = min(max(_POLL_S, min(every_s for _, every_s, _ in duties) / 4), 4 * _POLL_S)

    def run(self) -> None:
        while not self._stopping.wait(self._poll_s):
            try:
                close_old_connections()
                do_due(self._duties, self._worker_id)
            except Exception as error:
                log.error("%s: %s", self.name, type(error).__name__)
                self._stopping.wait(5)
        connections.close_all()


class Heart(threading.Thread):
    """Beats, looks at the clock and at the other workers, and does nothing that takes long."""

    def __init__(self, worker_id: str, stopping: threading.Event) -> None:
        super().__init__(name="heart", daemon=True)
        self._worker_id, self._stopping, self._watch = worker_id, stopping, Watch(worker_id)

    def run(self) -> None:
        while True:
            try:
                close_old_connections()
                self.beat()
            except Exception as error:
                log.error("heart: %s", type(error).__name__)
            if self._stopping.wait(_BEAT_EVERY_S):
                return connections.close_all()

    def beat(self) -> None:
        from leadline.workbench.journal.actions import beat

        beat(HEARTBEAT + self._worker_id)
        look_at_clock()
        recover(self._watch)


def start_threads(worker_id: str, stopping: threading.Event, duties: Duties) -> list[threading.Thread]:
    threads: list[threading.Thread] = [Heart(worker_id, stopping)]
    threads += [Rounds(name, lane, worker_id, stopping) for name, lane in lanes(duties).items()]
    for thread in threads:
        thread.start()
    return threads


def check_office() -> None:
    """A worker that is started alone refuses what `leadline up` refuses; it makes nothing."""
    from leadline.workbench.office import begin_work

    begin_work()


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadline.workbench.settings")
    from leadline.errors import LeadlineError

    try:
        django.setup()
        check_office()
    except LeadlineError as error:
        sys.stderr.write(f"leadline: {error}\n")
        sys.exit(error.exit_code)
    from django_tasks_db.management.commands.db_worker import Worker

    keep_no_tracebacks()
    # With some chance in it: in a container host and process number are the same again after every start.
    worker_id = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
    stopping = threading.Event()
    with held_alive(worker_id):
        own: Duties = [("tasks.forget", 3600.0, forget_results)]
        start_threads(worker_id, stopping, [*all_duties(), *own])
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
            do_tasks(worker)
        finally:
            stopping.set()


def do_tasks(worker: Any) -> None:
    """Until it is told to stop. Where the database goes away, wait for it, then begin again what was cut by that."""
    while True:
        try:
            take_up_own(worker.worker_id)
            worker.run()
        except (OperationalError, InterfaceError) as error:
            log.error("tasks: %s", type(error).__name__)
            connections.close_all()
            time.sleep(_AWAY_S)
        else:
            return


def take_up_own(worker_id: str) -> None:
    """Of this worker, which is at nothing just now: what it could not note the end of is done again."""
    from django_tasks import TaskResultStatus
    from django_tasks_db.models import DBTaskResult

    for task in DBTaskResult.objects.filter(status=TaskResultStatus.RUNNING):
        if task.worker_ids and task.worker_ids[-1] == worker_id:
            DBTaskResult.objects.filter(pk=task.pk).update(status=TaskResultStatus.READY, started_at=None)


if __name__ == "__main__":
    main()
