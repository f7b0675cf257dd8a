"""The plug is pulled: what was acknowledged is there, whole; what was not is not there, not even in part."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.test import Client
from django.utils import timezone
from tests.machine import check_by_commands
from tests.workbench.reports.conftest import make_report

from leadline.custody.chain import encode_line, find_fault
from leadline.domain import Channel
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.journal import actions as journal
from leadline.workbench.journal.models import Line
from leadline.workbench.reports import access
from leadline.workbench.reports.acts import arrival
from leadline.workbench.reports.models import Alert, Item, Report, Series
from leadline.workbench.reports.states import State

WRITER = """
import os, sys, django
django.setup()
from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Urgency
from leadline.workbench.reports import actions
for n in range(10_000):
    items = tuple(IncomingItem(ItemKind.URL, f"https://example.org/{sys.argv[1]}/{n}/{k}") for k in range(5))
    items += (IncomingItem(ItemKind.URL, "https://example.org/every-time"),)
    ticks = frozenset({Urgency.CHILD_AT_RISK_NOW})
    incoming = IncomingReport(Channel.API, items, text="t", urgency=ticks)
    receipt = actions.receive(incoming, channel=Channel.API, actor="w", idempotency_key=f"{sys.argv[1]}-{n}")
    os.write(1, f"{receipt.report.number}\\n".encode())
"""


def chain() -> Iterator[Any]:
    return (encode_line(journal.event_of(line)) for line in Line.objects.order_by("line"))


def run_and_kill(office: Any, round_number: int, after_s: float) -> list[str]:
    """Numbers that a writer had acknowledged when it was killed."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(round_number)],
        env=environment_of(office), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert writer.stdout is not None
    told = [writer.stdout.readline().strip()]
    time.sleep(after_s)
    os.kill(writer.pid, signal.SIGKILL)
    told += writer.stdout.read().split("\n")
    writer.wait()
    writer.stdout.close()
    return [number for number in told if len(number) == len("R-2026-000001")]


def environment_of(office: Any) -> dict[str, str]:
    """In which another process works in this test's office."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "leadline.workbench.settings",
        "LEADLINE_HOME": str(office.home),
    }
    key = office.home / "keys" / "django.key"  # an office that has keys and lacks this one does not start
    key.touch(mode=0o600)
    key.write_text("made up " * 8, encoding="ascii")
    database = connection.settings_dict
    if connection.vendor == "postgresql":
        where = f"{database['USER']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
        environment["DATABASE_URL"] = f"postgresql://{where}"
    else:
        (office.home / "leadline.sqlite3").unlink(missing_ok=True)
        (office.home / "leadline.sqlite3").symlink_to(database["NAME"])
    return environment


@pytest.mark.django_db(transaction=True)
def test_a_process_killed_while_it_receives_leaves_every_acknowledged_report_whole_and_no_half_one(office: Any) -> None:
    if connection.vendor == "sqlite" and not Path(connection.settings_dict["NAME"]).is_absolute():
        pytest.fail("the test's database is no file")
    chance, acknowledged = random.Random(7), []
    for round_number in range(3):
        acknowledged += run_and_kill(office, round_number, chance.uniform(0.05, 0.4))
    connections.close_all()
    stored = {report.number: report for report in Report.objects.all()}
    assert len(acknowledged) >= 3
    assert set(acknowledged) <= set(stored)
    assert len(stored) <= len(acknowledged) + 3  # of each round one may be stored whose answer was cut off
    for report in stored.values():
        assert report.items.count() == report.item_count == 6
        assert Alert.objects.filter(report=report).exists()
        assert Line.objects.filter(act="report.received", object_id=str(report.pk)).count() == 1
    assert Item.objects.get(first__isnull=True, times__gt=1).times == len(stored)
    assert Series.objects.get().last == len(stored)
    assert find_fault(chain()) is None
    check_by_commands(environment_of(office), office.home.parent)


def test_the_database_refuses_half_of_a_report(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError("no space left, made up")

    monkeypatch.setattr(arrival, "record", broken)
    with pytest.raises(OSError, match="made up"):
        make_report()
    assert not Report.objects.exists()
    assert not Item.objects.exists()
    assert not Series.objects.exists()


def test_without_the_database_a_page_says_so_and_asks_to_come_back(
    analyst: Person, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Client = client_of(analyst)
    client.raise_request_exception = False

    def gone(*_: Any, **__: Any) -> None:
        raise OperationalError("made up: connection refused")

    monkeypatch.setattr(access, "list_reports", gone)
    answer = client.get("/reports/")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert b"made up" not in answer.content


def test_a_fault_of_ours_is_a_plain_page_that_tells_nothing(
    analyst: Person, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Client = client_of(analyst)
    client.raise_request_exception = False

    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("needle")

    monkeypatch.setattr(access, "list_reports", broken)
    answer = client.get("/reports/")
    assert answer.status_code == 500
    assert b"needle" not in answer.content


def test_a_clock_set_back_gives_no_number_twice_and_keeps_the_chain(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = timezone.now()
    moments = [real, real.replace(year=real.year + 1), real.replace(year=real.year - 1), real]
    numbers = []
    for number, moment in enumerate(moments):
        monkeypatch.setattr(timezone, "now", lambda moment=moment: moment)
        numbers.append(make_report(f"https://example.org/{number}").number)
        make_report("https://example.org/same", text="x")
    assert len(set(numbers)) == 4
    first = Item.objects.get(first__isnull=True, times=4)
    assert first.last_seen_at == moments[1]  # the latest that was ever said; never set back
    assert find_fault(chain()) is None


# --- many ------------------------------------------------------------------------------------------------------------


def fill(count: int) -> None:
    """Rows as `receive` makes them, without its transactions: states, channels and urgencies mixed."""
    from datetime import timedelta

    begin = timezone.now() - timedelta(days=400)
    states = [State.NEW, State.TRIAGE, State.WAITING, State.CLOSED, State.CLOSED, State.CLOSED, State.DUPLICATE]
    channels = list(Channel)

    def rows() -> Any:
        for n in range(count):
            state, urgency = states[n % len(states)], (n * 7) % 40 // 13
            is_open = state in {State.NEW, State.TRIAGE, State.WAITING}
            yield Report(
                number=f"R-2000-{n:06d}", channel=channels[n % len(channels)],
                received_at=begin + timedelta(minutes=5 * n),
                state=state, is_open=is_open, outcome="removed" if state is State.CLOSED else "",
                urgency=urgency, rank=3 - urgency, source_reference=f"ref-{n}", sensitivity=n % 3,
            )  # fmt: skip

    Report.objects.bulk_create(rows(), batch_size=2000)


def test_every_list_of_many_reports_is_read_through_an_index(analyst: Person) -> None:
    """Not the time but the way: no list sorts or counts the whole table, at its start or deep in it."""
    fill(3000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    actor = Actor.of_person(analyst)
    narrowings: list[dict[str, Any]] = [
        {"state": "open"}, {}, {"state": "closed"}, {"channel": "mail"}, {"urgency": 1}, {"mine": True},
        {"newest": True}, {"text": "ref-77"}, {"text": "https://example.org/1"},
    ]  # fmt: skip
    for narrowing in narrowings:
        asked = access.Asked(**{"state": "all", **narrowing})
        page = access.list_reports(actor, asked)
        deep = page
        for _ in range(5):
            deep = access.list_reports(actor, asked, deep.next) if deep.next else deep
        assert len(page.rows) <= access.REPORTS_A_PAGE
        order = ("-received_at", "-id") if asked.newest else ("rank", "received_at", "id")
        rows = access._narrowed(access.visible_reports(actor), actor, asked).order_by(*order)[:51]
        plan = rows.explain()
        assert "INDEX" in plan.upper() or not page.rows, (asked, plan)
        if connection.vendor == "sqlite":
            assert "TEMP B-TREE" not in plan or asked.text, (asked, plan)
    keys = Item.objects.filter(key__in=["a" * 64, "b" * 64], first__isnull=True).explain()
    assert "ITEM_KEY" in keys.upper() or "ONE_FIRST_ITEM" in keys.upper() or connection.vendor != "sqlite", keys
