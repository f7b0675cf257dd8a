"""Keeps what subscribers are told of a bank at what the bank is: looks at what changed, and has it written down.

Doing it again, or in another worker, or after a kill, writes nothing twice: what is told is compared with what was.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from leadline.errors import BankLocked
from leadline.match.bank import Bank
from leadline.match.folder import PUBLISHING_LOCK, hold_lock
from leadline.match.records import I64, Bools, Records
from leadline.match.segment import LiveTable
from leadline.match.snapshot import Snapshot
from leadline.service.ncmec_xml import Told, tell_rows
from leadline.service.options import Publication
from leadline.service.told import Journal, Telling

_FORM = 1  # of what is told: another number has everything compared again
_NEVER = 2**63 - 1
_BREATH = 256  # entries
_Tables = Mapping[int, tuple[Records, Bools | None]]  # the dead rows of each table, by its records


@dataclass(slots=True)
class _Seen:
    """The state that the journal was last brought to by this process."""

    identity: str = ""
    version: int = -1
    at: int = 0
    wakes_at: int = 0
    tables: _Tables = field(default_factory=dict)


class Publisher:
    """Of one bank, in one thread."""

    def __init__(self, publication: Publication, journal: Journal, *, clock: Callable[[], float] = time.time) -> None:
        self._publication, self._journal, self._clock = publication, journal, clock
        self._seen = _Seen()

    def settle(self, bank: Bank) -> int:
        """Bring the journal to what the bank is; how many entries were told anew. The others pass while a worker does.

        BankError, BankCorrupt: nothing was told, and the next call does it.
        """
        snapshot, now = bank.snapshot, int(self._clock())
        self._journal.read()
        if self._is_settled(snapshot) and now < self._seen.wakes_at:
            return 0
        try:
            with hold_lock(snapshot.folder, PUBLISHING_LOCK, 0):
                self._journal.read()
                return self._settle(snapshot, now)
        except BankLocked:
            return 0

    def _is_settled(self, snapshot: Snapshot) -> bool:
        seen, journal = self._seen, self._journal
        is_seen = (seen.identity, seen.version) == (snapshot.manifest.identity, snapshot.list_version)
        return is_seen and journal.rule == self._rule(snapshot) and journal.version >= seen.version

    def _rule(self, snapshot: Snapshot) -> str:
        manifest = snapshot.manifest
        return f"{_FORM} {manifest.identity} {self._publication.tlp} {manifest.quality_floor}"

    def _settle(self, snapshot: Snapshot, now: int) -> int:
        journal, rule, version = self._journal, self._rule(snapshot), snapshot.list_version
        is_ruled = journal.rule == rule
        if is_ruled and journal.version > version:
            return 0  # another worker is ahead: its state must not be taken back
        tables = {id(table.records): (table.records, table.dead) for table in snapshot.tables}
        known: _Tables | None = None
        if is_ruled and self._seen.version < 0:  # just started: all or nothing was told of this version
            known = tables if journal.version == version else None
        elif is_ruled and journal.version >= self._seen.version:
            known = self._seen.tables
        telling, touched = self._look(snapshot, known, now)
        count = journal.tell(telling, touched, version=version, rule=rule, at_all_events=known is None)
        wakes_at = min((_next_wake(table, now) for table in snapshot.tables), default=_NEVER)
        self._seen = _Seen(snapshot.manifest.identity, version, now, wakes_at, tables)
        return count

    def _look(self, snapshot: Snapshot, known: _Tables | None, now: int) -> tuple[Telling, I64]:
        """What is told of the entries that may be others than before, and the ids of these. known None: all of them."""
        touched: list[I64] = [self._journal.told_ids()] if known is None else []
        ids, states, prints = array("q"), array("B"), array("Q")
        before = known or {}
        floor = snapshot.manifest.quality_floor
        for table in snapshot.tables:
            _, was_dead = before.get(id(table.records), (None, None))
            if id(table.records) in before:
                rows = self._woken(table, now)
                touched.append(table.records.ids[_newly(table.dead, was_dead)])
            else:
                rows = table.alive_rows()
            touched.append(table.records.ids[rows])
            for told in tell_rows(table.records, rows, self._publication, floor, now):
                if len(ids) % _BREATH == 0:
                    time.sleep(0)  # so that a request waits for a few milliseconds of a long list, not for all of it
                ids.append(told.entry_id)
                states.append(told.state)
                prints.append(_print(told))
        touched += _vanished(before, snapshot)
        telling = Telling(np.array(ids, np.int64), np.array(states, np.uint8), np.array(prints, np.uint64))
        return _sorted(telling), np.unique(np.concatenate([np.empty(0, np.int64), *touched]))

    def _woken(self, table: LiveTable, now: int) -> I64:
        """Rows whose time of being disabled has ended since the last look."""
        disabled = table.records.disabled
        if len(table.records.sections["disabled"]) == 1 and not disabled[0]:
            return np.empty(0, np.int64)
        return table.alive_of(np.flatnonzero((disabled > self._seen.at) & (disabled <= now)))


def _next_wake(table: LiveTable, now: int) -> int:
    times = table.records.sections["disabled"]
    later = times[times > now]
    return int(later.min()) if len(later) else _NEVER


def _newly(dead: Bools | None, was_dead: Bools | None) -> I64:
    """Rows that were removed since."""
    if dead is None or dead is was_dead:
        return np.empty(0, np.int64)
    return np.flatnonzero(dead if was_dead is None else dead & ~was_dead)


def _vanished(before: _Tables, snapshot: Snapshot) -> Iterator[I64]:
    """Ids that stood in tables which are no more: merged into others, or removed."""
    there = {id(table.records) for table in snapshot.tables}
    for key, (records, dead) in before.items():
        if key not in there:
            yield records.ids if dead is None else records.ids[~dead]


def _print(told: Told) -> int:
    return int.from_bytes(blake2b(told.body.encode(), digest_size=8).digest(), "little")


def _sorted(telling: Telling) -> Telling:
    order = np.argsort(telling.ids, kind="stable")
    return Telling(telling.ids[order], telling.states[order], telling.prints[order])
