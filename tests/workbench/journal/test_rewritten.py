"""Whoever owns the database can lift its triggers and write the whole chain anew: the anchor that has left tells."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from tests.workbench.conftest import triggers_lifted
from typer.testing import CliRunner

from leadline.cli.app import app
from leadline.custody.chain import encode_line, find_fault, next_event
from leadline.workbench import sealing
from leadline.workbench.evidence import tasks
from leadline.workbench.journal import actions
from leadline.workbench.journal.actions import event_of, record
from leadline.workbench.journal.models import Line

pytestmark = pytest.mark.django_db


def write(number: int) -> None:
    with transaction.atomic():
        record("thing.done", actor="somebody", object_kind="thing", object_id=str(number))


def rewrite_from(first: int, **changes: Any) -> None:
    """As the owner of the database: another line, and every later one hashed anew so that all fit each other."""
    events = [event_of(line) for line in Line.objects.order_by("line")]
    kept = events[: first - 1]
    head = kept[-1].head if kept else None
    fresh = []
    for event in events[first - 1 :]:
        names = ("at", "actor", "act", "object_kind", "object_id", "reason", "details")
        given = {name: getattr(event, name) for name in names} | (changes if event.line == first else {})
        fresh.append(next_event(head, **given))
        head = fresh[-1].head
    with triggers_lifted():
        for event in fresh:
            said = {"previous_hash": event.previous_hash, "salt": event.salt, "hash": event.hash}
            Line.objects.filter(line=event.line).update(actor=event.actor, **said)


@pytest.fixture
def anchored(office: Any) -> Any:
    """Five lines, and the anchor of the last of them, dropped."""
    sealing.forget()
    for number in range(5):
        write(number)
    tasks.sign_head()
    tasks.send_anchor()
    for number in range(5, 8):
        write(number)
    yield office
    sealing.forget()


def exported(office: Any) -> Path:
    path = Path(office.home) / "custody.jsonl"
    lines = [encode_line(event_of(line)) for line in Line.objects.order_by("line")]
    path.write_bytes(b"".join(line.rstrip(b"\n") + b"\n" for line in lines))
    return path


def verify(office: Any) -> tuple[int, str]:
    (anchor,) = (office.home / "anchors").glob("*.json")
    done = CliRunner().invoke(app, ["verify", str(exported(office)), "--anchor", str(anchor)], standalone_mode=False)
    return (done.return_value if isinstance(done.return_value, int) else done.exit_code), done.output


def test_the_chain_of_the_database_holds_against_the_anchor_that_it_dropped(anchored: Any) -> None:
    code, said = verify(anchored)
    assert code == 0, said
    assert "anchored up to" in said


def test_a_chain_rewritten_in_the_database_fits_itself_and_is_caught_by_its_own_dropped_anchor(anchored: Any) -> None:
    rewrite_from(2, actor="mallory")
    chain = [encode_line(event_of(line)) for line in Line.objects.order_by("line")]
    assert find_fault(chain) is None  # by itself it shows nothing
    assert Line.objects.get(line=2).actor == "mallory"
    code, said = verify(anchored)
    assert code == 4, said


def test_after_the_anchor_a_rewritten_end_shows_nothing_until_the_next_one_leaves(anchored: Any) -> None:
    rewrite_from(8, actor="mallory")
    assert verify(anchored)[0] == 0  # what no anchor has seen nobody can vouch for: hence one a day, and more often


def test_a_chain_that_was_cut_is_caught_by_its_own_dropped_anchor(anchored: Any) -> None:
    with triggers_lifted():
        Line.objects.filter(line__gt=3).delete()
    assert verify(anchored)[0] == 4


def test_lines_written_while_the_clock_was_set_back_verify(anchored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = timezone.now
    for hours in (-2, -30, 5, 0):
        monkeypatch.setattr(actions.timezone, "now", lambda hours=hours: real() + timedelta(hours=hours))
        write(100 + hours)
    times = list(Line.objects.order_by("line").values_list("at", flat=True))
    assert times != sorted(times)
    code, said = verify(anchored)
    assert code == 0, said
