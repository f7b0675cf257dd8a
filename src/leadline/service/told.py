"""What subscribers of a bank were told, and when: an append-only file beside the bank, and its rows in memory.

Times never fall from row to row, so that a range of time is a range of rows; a row is never changed, so that pages of
a range keep their places while the bank changes. Frames are those of the bank's log (match/log.py): whole or absent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leadline.errors import BankCorrupt, BankError
from leadline.match.folder import PUBLISHED, PUBLISHED_LOCK, TemporaryFile, hold_lock, sync_folder
from leadline.match.log import START, Change, Frame, Position, append_frame, create_log, ends_still, read_log
from leadline.match.readers import GONE
from leadline.match.records import I64, U8, Bools
from leadline.match.table import Sections, Table, encode_table

# A row is dated so many seconds ahead, so that whoever asks until now has it in the next range and never misses it.
AHEAD_S = 2
_SET_BACK_S = 300  # a clock that is set back by no more is waited for
_LOCK_TIMEOUT_S = 10.0
_TYPES = {"ids": "<i8", "states": "|u1", "prints": "<u8", "at": "<i8", "rule": "|u1"}
U64 = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Rows:
    """ids: of entries. at: seconds since 1970, ascending. states: bits. prints: of what was told, 0 where it is gone.
    is_latest: no later row is of the same entry."""

    ids: I64
    at: I64
    states: U8
    prints: U64
    is_latest: Bools

    def range_of(self, after: int, until: int) -> tuple[int, int]:
        """The rows of the times after `after`, until and with `until`: first, and one beyond the last."""
        first, end = np.searchsorted(self.at, [after, until], side="right").tolist()
        return first, max(first, end)


_EMPTY = Rows(*(np.empty(0, code) for code in ("<i8", "<i8", "|u1", "<u8", "?")))


@dataclass(frozen=True, slots=True)
class Telling:
    """What an entry is told as: ids ascending, once each, with the state and print of each."""

    ids: I64 = field(default_factory=lambda: _EMPTY.ids)
    states: U8 = field(default_factory=lambda: _EMPTY.states)
    prints: U64 = field(default_factory=lambda: _EMPTY.prints)


class Journal:
    """The rows of one bank, as this process knows them, and the way to more. Safe to use from several threads.

    rule     what decided about what is told when the last rows were written
    version  the list version that the rows stand for
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._path, self._clock = folder, folder / PUBLISHED, clock
        self._mutex = threading.Lock()
        self._latest_s = 0
        self._forget()

    def _forget(self) -> None:
        self.rows, self.rule, self.version = _EMPTY, "", 0
        self._end: Position | None = None
        self._known = np.empty(0, np.int64)  # ids, ascending
        self._row_of = np.empty(0, np.int64)  # the latest row of each

    @contextmanager
    def _held(self, *, shared: bool) -> Iterator[None]:
        with self._mutex, hold_lock(self._folder, PUBLISHED_LOCK, _LOCK_TIMEOUT_S, shared=shared):
            self._catch_up()
            yield

    def read(self) -> tuple[Rows, int]:
        """All rows, and the last second that no row will come to any more. BankCorrupt, BankLocked, BankError."""
        with self._held(shared=True):
            return self.rows, self._now() + AHEAD_S

    def tell(self, telling: Telling, touched: I64, *, version: int, rule: str, at_all_events: bool) -> int:
        """Write down what is another than was told of the entries `touched`: ascending, once each; how many rows.

        at_all_events  also where nothing is another, so that `version` and `rule` are remembered
        Says the same again without a row. Where the disk refuses (BankError) nothing is told.
        """
        with self._held(shared=False):
            changed = self._differences(telling, touched)
            if not len(changed.ids) and not at_all_events:
                self.version = max(self.version, version) if self.rule == rule else self.version
                return 0
            self._append(changed, version, rule)
        return len(changed.ids)

    def told_ids(self) -> I64:
        """Ids of the entries that subscribers have been told of and not told to be gone; ascending."""
        there: I64 = self._known[(self.rows.states[self._row_of] & GONE) == 0]
        return there

    def _differences(self, telling: Telling, touched: I64) -> Telling:
        there, before = self._look_up(telling.ids)
        same = there.copy()
        same[there] = (self.rows.states[before] == telling.states[there]) & (
            self.rows.prints[before] == telling.prints[there]
        )
        gone = np.setdiff1d(touched, telling.ids, assume_unique=True)
        was_there, before = self._look_up(gone)
        gone, states = gone[was_there], self.rows.states[before]
        still = (states & GONE) == 0
        gone, states = gone[still], states[still] | np.uint8(GONE)
        ids = np.concatenate([telling.ids[~same], gone])
        order = np.argsort(ids, kind="stable")
        prints = np.concatenate([telling.prints[~same], np.zeros(len(gone), np.uint64)])
        return Telling(ids[order], np.concatenate([telling.states[~same], states])[order], prints[order])

    def _look_up(self, ids: I64) -> tuple[Bools, I64]:
        """Which ids have been told of, and the latest row of each that has."""
        if not len(self._known):
            return np.zeros(len(ids), np.bool_), np.empty(0, np.int64)
        at = np.minimum(np.searchsorted(self._known, ids), len(self._known) - 1)
        there = self._known[at] == ids
        return there, self._row_of[at[there]]

    def _now(self) -> int:
        """Does not go back with a clock that is set right."""
        now = int(self._clock())
        self._latest_s = self._latest_s if now < self._latest_s <= now + _SET_BACK_S else now
        return self._latest_s

    def _append(self, changed: Telling, version: int, rule: str) -> None:
        now, last = self._now(), int(self.rows.at[-1]) if len(self.rows.at) else 0
        if last > now + _SET_BACK_S:  # who asks until now would not be told for so long
            mend = "set the clock right; where it is, see docs/connectors.md"
            raise BankError("what was told is dated after now", where=str(self._path), mend=mend, code="clock")
        at = max(last, now + AHEAD_S + 1)
        sections: Sections = {
            "ids": changed.ids,
            "states": changed.states,
            "prints": changed.prints,
            "at": np.array([at], np.int64),
            "rule": np.frombuffer(rule.encode(), np.uint8),
        }
        payload = encode_table(sections)
        try:
            if self._end is None:
                self._make_file()
                self._end = START
            self._end = append_frame(self._path, self._end, Change.ADD, version, payload)
        except OSError as error:
            what = f"what is published was not written down: {error.strerror}"
            raise BankError(what, where=str(self._path), mend="free disk space, check permissions") from error
        self._take([Frame(Change.ADD, version, payload)])

    def _make_file(self) -> None:
        made = TemporaryFile(self._folder)
        try:
            create_log(made.path)
            made.keep_as(self._path)
            sync_folder(self._folder)
        finally:
            made.discard()

    # --- from the file ---------------------------------------------------------------------------------------------

    def _catch_up(self) -> None:
        """Read what other processes wrote; the lock is held, so that what is there is whole, or was cut off."""
        try:
            size = self._path.stat().st_size
            if self._end is not None and (size < self._end.offset or not ends_still(self._path, self._end)):
                self._forget()  # it was put back from a copy
            if self._end is not None and size == self._end.offset:
                return
            read = read_log(self._path, self._end or START)
        except FileNotFoundError:
            self._forget()
            return
        except OSError as error:
            what = f"what is published cannot be read: {error.strerror}"
            raise BankError(what, where=str(self._path), mend="check its permissions") from error
        self._take(read.frames)
        self._end = read.end

    def _take(self, frames: Sequence[Frame]) -> None:
        if not frames:
            return
        tables = [_checked(frame, self._path.name) for frame in frames]
        first = len(self.rows.ids)
        added = {name: np.concatenate([table[name] for table in tables]) for name in ("ids", "states", "prints")}
        at = np.repeat([int(table["at"][0]) for table in tables], [len(table["ids"]) for table in tables])
        if len(at) and ((np.diff(at) < 0).any() or (first and at[0] < self.rows.at[-1])):
            raise BankCorrupt("rows out of order", where=self._path.name, mend="restore it from a copy")
        is_latest = self._renumber(added["ids"], first)
        self.rows = Rows(
            np.concatenate([self.rows.ids, added["ids"]]),
            np.concatenate([self.rows.at, at.astype(np.int64)]),
            np.concatenate([self.rows.states, added["states"]]),
            np.concatenate([self.rows.prints, added["prints"]]),
            is_latest,
        )
        self.rule, self.version = tables[-1]["rule"].tobytes().decode("utf-8", "replace"), frames[-1].sequence

    def _renumber(self, ids: I64, first: int) -> Bools:
        """Note the new rows from row `first` on as the latest of their entries; which of all rows are the latest."""
        rows = np.arange(first, first + len(ids), dtype=np.int64)
        is_latest = np.concatenate([self.rows.is_latest, np.zeros(len(ids), np.bool_)])
        order = np.argsort(ids, kind="stable")
        ids, rows = ids[order], rows[order]
        last = np.r_[ids[1:] != ids[:-1], True][: len(ids)]
        ids, rows = ids[last], rows[last]
        is_latest[rows] = True
        there, before = self._look_up(ids)
        is_latest[before] = False
        places = np.searchsorted(self._known, ids)
        row_of = self._row_of.copy()
        row_of[places[there]] = rows[there]
        self._row_of = np.insert(row_of, places[~there], rows[~there])
        self._known = np.insert(self._known, places[~there], ids[~there])
        return is_latest


def _checked(frame: Frame, where: str) -> Sections:
    table = Table(frame.payload, where)
    sections = table.sections
    holds = all(
        name in sections and sections[name].dtype == np.dtype(code) and sections[name].ndim == 1
        for name, code in _TYPES.items()
    )
    if not holds or len(sections["at"]) != 1 or len({len(sections[n]) for n in ("ids", "states", "prints")}) != 1:
        raise BankCorrupt("rows that contradict themselves", where=where, mend="restore it from a copy")
    return sections
