"""Alarms: what a person has to look at, raised once for each subject and kept until decided. They change nothing."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from leadline.errors import InputError
from leadline.service.kept import Kept

FILE_NAME = "alarms.json"
QUIET_S = 3600  # a subject that was decided about and goes on raises no new alarm before it was quiet for so long
_SAID_AGAIN_S = 60
_MOST = 1000
_MOST_NOTED = 1000


class AlarmKind(StrEnum):
    FLOOD = "flood"  # an entry meets a large share of all look-ups
    PROBING = "probing"  # a token looks up many small variations of one picture
    BANK_FAULT = "bank-fault"  # a bank cannot be read any more; its last good version goes on


class Decision(StrEnum):
    """What a person found: the alarm was right (`real`), or there was nothing (`mistake`)."""

    REAL = "real"
    MISTAKE = "mistake"


class Alarm(msgspec.Struct, frozen=True, omit_defaults=True):
    """raised, last, decided_at: seconds since 1970. facts: names, ids and codes; no hash. decided_by: id of a token."""

    id: str
    kind: AlarmKind
    subject: str
    facts: Mapping[str, str | int]
    raised: int
    last: int
    decided: Decision | None = None
    decided_by: str = ""
    decided_at: int = 0

    @property
    def key(self) -> tuple[AlarmKind, str]:
        return self.kind, self.subject


_Noted = dict[tuple[AlarmKind, str], Mapping[str, str | int]]


class Alarms:
    """Of one state folder: `note` is for the loop and touches no file, the rest reads and writes, in a thread."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._file = Kept(folder / FILE_NAME, list[Alarm], [])
        self._clock = clock
        self._noting = threading.Lock()
        self._noted: _Noted = {}

    def note(self, kind: AlarmKind, subject: str, facts: Mapping[str, str | int]) -> None:
        """Something is the case now; `raise_noted` makes an alarm of it where there is none yet."""
        with self._noting:
            if len(self._noted) < _MOST_NOTED or (kind, subject) in self._noted:
                self._noted[kind, subject] = facts

    def raise_noted(self) -> list[Alarm]:
        """Those that are new. OSError, ConfigError: what was noted is kept for the next time."""
        with self._noting:
            noted, self._noted = self._noted, {}
        if not noted:
            return []
        try:
            return self._raise(noted)
        except BaseException:
            with self._noting:
                self._noted = {**noted, **self._noted}
            raise

    def _raise(self, noted: _Noted) -> list[Alarm]:
        now, raised = int(self._clock()), list[Alarm]()

        def edit(before: list[Alarm]) -> list[Alarm]:
            newest = {alarm.key: alarm for alarm in before}
            fresh = {key: facts for key, facts in noted.items() if _is_new(newest.get(key), now)}
            raised[:] = [Alarm(secrets.token_hex(8), *key, facts, now, now) for key, facts in fresh.items()]
            going_on = {newest[key].id for key in noted.keys() - fresh.keys()}
            return _within_bounds([*(_seen(a, now) if a.id in going_on else a for a in before), *raised])

        self._file.change(edit)
        return raised

    def all(self) -> list[Alarm]:
        """Newest first."""
        return self._file.read()[::-1]

    def decide(self, alarm_id: str, decision: Decision, by: str) -> Alarm:
        """What a person found. InputError `no-alarm` where there is none of that id. A later decision replaces it."""
        found = list[Alarm]()

        def edit(before: list[Alarm]) -> list[Alarm]:
            now = int(self._clock())
            after = [
                msgspec.structs.replace(alarm, decided=decision, decided_by=by, decided_at=now)
                if alarm.id == alarm_id
                else alarm
                for alarm in before
            ]
            found[:] = [alarm for alarm in after if alarm.id == alarm_id]
            return after

        self._file.change(edit)
        if not found:
            raise InputError("no such alarm", mend="GET /v1/alarms lists them", code="no-alarm")
        return found[0]


def _is_new(known: Alarm | None, now: int) -> bool:
    """A clock that was set back is no reason to be silent."""
    return known is None or (known.decided is not None and abs(now - known.last) >= QUIET_S)


def _seen(alarm: Alarm, now: int) -> Alarm:
    return msgspec.structs.replace(alarm, last=now) if abs(now - alarm.last) >= _SAID_AGAIN_S else alarm


def _within_bounds(alarms: list[Alarm]) -> list[Alarm]:
    """The oldest go first, decided ones before open ones."""
    excess = len(alarms) - _MOST
    if excess <= 0:
        return alarms
    ordered = sorted(alarms, key=lambda alarm: (alarm.decided is None, alarm.raised))
    gone = {alarm.id for alarm in ordered[:excess]}
    return [alarm for alarm in alarms if alarm.id not in gone]
