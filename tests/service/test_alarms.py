"""Alarms: one for each subject, kept over restarts, decided by a person; a clock that jumps hides none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.match.conftest import Clock

from leadline.errors import InputError
from leadline.service.alarms import QUIET_S, AlarmKind, Alarms, Decision


def raise_flood(alarms: Alarms, subject: str = "known/7") -> list[str]:
    alarms.note(AlarmKind.FLOOD, subject, {"bank": "known", "entry": 7})
    return [alarm.subject for alarm in alarms.raise_noted()]


@pytest.fixture
def clock() -> Clock:
    return Clock(1_700_000_000)


def test_what_goes_on_raises_one_alarm_also_in_several_workers(tmp_path: Path, clock: Clock) -> None:
    one, other = Alarms(tmp_path, clock=clock), Alarms(tmp_path, clock=clock)
    assert raise_flood(one) == ["known/7"]
    assert raise_flood(other) == raise_flood(one) == []
    clock.now += 10 * QUIET_S
    assert raise_flood(other) == [], "nobody has decided yet"
    (alarm,) = Alarms(tmp_path).all()
    assert (alarm.raised, alarm.last) == (1_700_000_000, 1_700_000_000 + 10 * QUIET_S)


def test_what_was_decided_is_raised_anew_only_after_it_was_quiet(tmp_path: Path, clock: Clock) -> None:
    alarms = Alarms(tmp_path, clock=clock)
    raise_flood(alarms)
    alarms.decide(alarms.all()[0].id, Decision.REAL, "token")
    for _ in range(5):
        clock.now += QUIET_S // 2
        assert raise_flood(alarms) == []
    clock.now += QUIET_S
    assert raise_flood(alarms) == ["known/7"]
    assert [alarm.decided for alarm in alarms.all()] == [None, Decision.REAL]


def test_a_clock_that_was_set_back_hides_no_alarm(tmp_path: Path, clock: Clock) -> None:
    alarms = Alarms(tmp_path, clock=clock)
    raise_flood(alarms)
    alarms.decide(alarms.all()[0].id, Decision.MISTAKE, "token")
    clock.now -= 365 * 86_400
    assert raise_flood(alarms) == ["known/7"]


def test_what_the_disk_refuses_is_raised_later(tmp_path: Path, clock: Clock, monkeypatch: Any) -> None:
    alarms = Alarms(tmp_path, clock=clock)

    def refuse(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        raise_flood(alarms)
    monkeypatch.undo()
    assert [alarm.subject for alarm in alarms.raise_noted()] == ["known/7"]


def test_alarms_are_bounded_and_open_ones_stay_longest(tmp_path: Path, clock: Clock) -> None:
    alarms = Alarms(tmp_path, clock=clock)
    raise_flood(alarms, "first")
    raise_flood(alarms, "second")
    alarms.decide(alarms.all()[0].id, Decision.REAL, "token")
    for number in range(999):
        alarms.note(AlarmKind.FLOOD, f"known/{number}", {})
    alarms.raise_noted()
    subjects = [alarm.subject for alarm in alarms.all()]
    assert len(subjects) == 1000
    assert ("first" in subjects, "second" in subjects) == (True, False)


def test_an_alarm_that_is_none_cannot_be_decided(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such alarm"):
        Alarms(tmp_path).decide("0" * 16, Decision.REAL, "token")
