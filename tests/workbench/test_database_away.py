"""The database is taken away while the office works: nothing acknowledged is lost, and all goes on when it is back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.machine import Machine
from tests.servers import Postgresql, fresh_database, skip_without

pytestmark = pytest.mark.skipif("DATABASE_URL" in os.environ, reason="starts and stops databases of its own")
_PATIENCE_S = 180.0

# An office's web process without its sockets: reports come in by the API, pages are asked for, until it is told to end.
_WORK = """
import json, os, sys, time
import django
django.setup()
from datetime import timedelta
from django.db import close_old_connections
from django.test import Client
from leadline.workbench.accounts.actions import make_key
from leadline.workbench.accounts.models import Person, RoleGrant
from leadline.workbench.permissions import ROLE_PERMISSIONS, Role
person = Person.objects.create(email="one@example.org", name="one")
RoleGrant.objects.create(person=person, role=Role.ANALYST, is_active=True)
_, secret = make_key(person, "test", Role.ANALYST, ROLE_PERMISSIONS[Role.ANALYST], timedelta(days=1))
headers = {"authorization": f"Bearer {secret}", "host": "localhost"}
program = Client(headers=headers, raise_request_exception=False)
number = 0
while True:
    number += 1
    close_old_connections()
    answer = program.post("/api/v1/reports", json.dumps({"text": f"made up {number}"}), content_type="application/json")
    told = answer.json()
    health = program.get("/healthz")
    page = program.get("/account/login/")
    print(json.dumps([answer.status_code, told.get("id", ""), answer.get("Retry-After", ""), health.status_code,
                      page.status_code]), flush=True)
    time.sleep(0.05)
"""
_ASK = """
import django, json
django.setup()
from leadline.custody.chain import encode_line, find_fault
from leadline.workbench.journal.actions import event_of
from leadline.workbench.journal.models import Line
from leadline.workbench.reports.models import Report
lines = list(Line.objects.order_by("line"))
print(json.dumps({
    "fault": str(find_fault([encode_line(event_of(line)) for line in lines])),
    "reports": [str(pk) for pk in Report.objects.values_list("pk", flat=True)],
    "told": [line.object_id for line in lines if line.act == "report.received"],
}))
"""
_ENQUEUE = """
import django
django.setup()
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions, tasks
asset = actions.take_in(b"made up", actor="somebody", source="test")
people = [Person.objects.create(email=f"{n}@example.org", name=n) for n in ("one", "two")]
exhibit = actions.request_exhibit(people[0], [asset], recipient="Made-up court", reason="court-order")
actions.decide_exhibit(people[1], exhibit, release=True, reason="checked")
tasks.build.enqueue(str(exhibit.pk))
"""
# Asked again and again, by one process: to start one for each question takes longer than what is waited for.
_WATCH = """
import django, sys
django.setup()
from django.db import connections
from leadline.workbench import worker
from leadline.workbench.evidence.models import Exhibit
from leadline.workbench.journal.models import Duty
def beaten():
    newest = Duty.objects.filter(name__startswith=worker.HEARTBEAT).order_by("-ended_at").first()
    return 0 if newest is None else newest.ended_at.timestamp()
def state():
    return Exhibit.objects.get().state
for line in sys.stdin:
    print({"beaten": beaten, "state": state}[line.strip()](), flush=True)
    connections.close_all()
"""


class Away:
    """One of the two databases, with the way to take it from whoever works with it."""

    def __init__(self, machine: Machine, take: Callable[[], None], bring_back: Callable[[], None]) -> None:
        self.machine, self.take, self.bring_back = machine, take, bring_back


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Postgresql, Machine]]:
    """A server of this file's own, and an office on it that each test takes a copy of."""
    skip_without("postgresql")
    home = tmp_path_factory.mktemp("there") / "machine"
    home.mkdir(mode=0o700)
    with Postgresql() as server:
        made = Machine(home)
        made.environment["DATABASE_URL"] = fresh_database(server.url)
        made.prepare()
        yield server, made


@pytest.fixture(params=["sqlite", "postgresql"])
def away(request: pytest.FixtureRequest, tmp_path: Path) -> Away:
    home = tmp_path / "machine"
    home.mkdir(mode=0o700)
    if request.param == "sqlite":
        return Away(Machine(home, like=request.getfixturevalue("prepared")), lambda: _hide(home), lambda: _show(home))
    server, made = request.getfixturevalue("there")
    machine = Machine(home, like=made)
    machine.environment["DATABASE_URL"] = fresh_database(server.url, like=made.environment["DATABASE_URL"])
    return Away(machine, server.stop, server.start)


def _hide(home: Path) -> None:
    """Nobody can open the file any more. The folder goes as one: a log without its database would be another fault."""
    (home / "leadline.sqlite3").stat()
    home.rename(home.with_name("unreadable"))
    home.touch()


def _show(home: Path) -> None:
    if home.is_dir():
        shutil.rmtree(home)
    else:
        home.unlink()
    home.with_name("unreadable").rename(home)


@contextmanager
def running(machine: Machine, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, *arguments], env=machine.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def read_until(process: subprocess.Popen[str], is_enough: Callable[[list[Any]], bool]) -> list[Any]:
    """What it tells, up to the first answer with which there is enough of it."""
    seen: list[Any] = []
    assert process.stdout is not None
    while not is_enough(seen):
        line = process.stdout.readline()
        assert line, "it ended"
        seen.append(json.loads(line))
        assert len(seen) < 5000
    return seen


def count(seen: list[Any], status: int) -> int:
    return sum(answer[0] == status for answer in seen)


def test_reports_that_cannot_be_stored_are_refused_for_now_and_those_acknowledged_are_all_there(away: Away) -> None:
    with running(away.machine, "-c", _WORK) as web:
        seen = read_until(web, lambda seen: count(seen, 201) >= 5)
        away.take()
        refused = read_until(web, lambda seen: count(seen, 503) >= 3)
        away.bring_back()
        again = read_until(web, lambda seen: count(seen, 201) >= 5)
    everything = [*seen, *refused, *again]
    assert {answer[0] for answer in everything} <= {201, 503}
    assert all(answer[2] for answer in everything if answer[0] == 503)  # it says when to come again
    assert refused[-1][3] == 503  # /healthz
    assert {answer[4] for answer in everything} <= {200, 503}
    acknowledged = {answer[1] for answer in everything if answer[0] == 201}
    state = json.loads(away.machine.python(_ASK))
    assert state["fault"] == "None"
    assert acknowledged <= set(state["reports"])
    away.machine.check()
    assert sorted(state["told"]) == sorted(state["reports"])


def ask(watch: subprocess.Popen[str], what: str) -> str:
    assert watch.stdin is not None
    assert watch.stdout is not None
    watch.stdin.write(f"{what}\n")
    watch.stdin.flush()
    answer = watch.stdout.readline()
    assert answer, "it ended"
    return answer.strip()


def test_a_worker_outlives_it_and_does_afterwards_what_is_asked(away: Away) -> None:
    machine = away.machine
    with running(machine, "-c", _WATCH) as watch, running(machine, "-m", "leadline.workbench.worker") as worker:
        wait_until(lambda: float(ask(watch, "beaten")) > 0)
        away.take()
        time.sleep(4)
        assert worker.poll() is None
        away.bring_back()
        since = time.time()
        wait_until(lambda: float(ask(watch, "beaten")) > since)
        machine.python(_ENQUEUE)
        wait_until(lambda: ask(watch, "state") == "ready")
        assert worker.poll() is None
    assert json.loads(machine.python(_ASK))["fault"] == "None"


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.3)
