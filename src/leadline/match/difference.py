"""What changed between two states of a bank: entries that are new or other, and ids that went. Writes nothing.

Works across merges: segments both states share are passed over, all else is compared by the contents of its rows.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from leadline.match.bank import Bank
from leadline.match.combine import Part, combine_in_memory
from leadline.match.records import I64, U8, Bools, Records
from leadline.match.segment import LiveTable, Segment
from leadline.match.snapshot import Snapshot

U64 = NDArray[np.uint64]
_BLOB_ROWS = 1 << 16
_MAX_WORDS = 4096
# Of this process only, and by chance: nobody can make two entries that look alike to it.
_FACTORS: U64 = np.frombuffer(secrets.token_bytes(8 * _MAX_WORDS), np.uint64) | np.uint64(1)


@dataclass(frozen=True, slots=True)
class Difference:
    """changed: only the entries that are new or other than before, None where there are none. gone: ids, ascending."""

    changed: Snapshot | None
    gone: I64

    @property
    def is_empty(self) -> bool:
        return self.changed is None and not len(self.gone)


def compare(before: Snapshot, after: Snapshot, *, disabled_since: int, now: int) -> Difference:
    """Entries whose ban of `disabled_until` ran out after `disabled_since` (seconds since 1970) count as changed."""
    shared = {id(t.segment): t for t in before.tables}
    same = {id(t.segment): t for t in after.tables if id(t.segment) in shared}
    old = [(t, _rows_not_in(t, same.get(id(t.segment)))) for t in before.tables]
    new = [(t, _rows_not_in(t, shared.get(id(t.segment)))) for t in after.tables]
    old_ids, old_marks = _marked(old)
    order = np.argsort(old_ids)
    old_ids, old_marks = old_ids[order], old_marks[order]
    keeps: list[tuple[LiveTable, Bools]] = []
    staying: list[I64] = []
    for table, rows in new:
        ids, marks = table.records.ids[rows], _marks(table.records, rows)
        at = np.minimum(np.searchsorted(old_ids, ids), max(len(old_ids) - 1, 0))
        equal = (old_ids[at] == ids) & (old_marks[at] == marks) if len(old_ids) else np.zeros(len(ids), np.bool_)
        staying.append(ids[equal])
        keep = np.zeros(table.records.count, np.bool_)
        keep[rows[~equal]] = True
        keeps.append((table, keep | _came_back(table, disabled_since, now)))
    gone = np.setdiff1d(old_ids, np.concatenate([np.empty(0, np.int64), *staying]))
    return Difference(_only(after, keeps), gone)


def only_changed(bank: Bank, changed: Snapshot) -> Bank:
    """The changed entries as a bank that can be matched with, under the name and settings of the whole one."""
    return Bank(changed, clock=bank.now, kinds=bank.kinds, lock_timeout_s=0)


def _rows_not_in(table: LiveTable, other: LiveTable | None) -> I64:
    """Alive rows that the other state of the same segment does not hold alive."""
    if other is None:
        return table.alive_rows()
    if other.dead is None:
        return np.empty(0, np.int64)
    return np.flatnonzero(other.dead & (table.keep if table.keep is not None else True))


def _came_back(table: LiveTable, since: int, now: int) -> Bools:
    times = table.records.sections["disabled"]
    if not bool(((times > since) & (times <= now)).any()):
        return np.zeros(table.records.count, np.bool_)
    disabled = table.records.disabled
    chosen: Bools = (disabled > since) & (disabled <= now)
    return chosen if table.keep is None else chosen & table.keep


def _only(after: Snapshot, keeps: list[tuple[LiveTable, Bools]]) -> Snapshot | None:
    parts = [Part(table.records, keep) for table, keep in keeps if keep.any()]
    if not parts:
        return None
    segment = Segment(combine_in_memory(parts), after.manifest.quality_floor)
    return replace(after, tables=(LiveTable(segment),), stored={})


def _marked(chosen: list[tuple[LiveTable, I64]]) -> tuple[I64, U64]:
    ids = [table.records.ids[rows] for table, rows in chosen]
    marks = [_marks(table.records, rows) for table, rows in chosen]
    return np.concatenate([np.empty(0, np.int64), *ids]), np.concatenate([np.empty(0, np.uint64), *marks])


def _marks(records: Records, rows: I64) -> U64:
    """One number a row, made of everything that matching or its answer depends on."""
    marks = np.zeros(len(rows), np.uint64)
    columns = (records.kind, records.family, records.quality, records.radius, records.disabled)
    for number, column in enumerate(columns):
        marks = _mix(marks, column[rows].astype(np.uint64), number)
    for (name, length), column_of in records.prints.items():
        whole = np.zeros(records.count, np.uint64)  # stays 0 for a row without: as if the column were not there
        whole[records.checked_rows(column_of)] = _sum_bytes(column_of.values) + _sum_text(f"{name}:{length}")
        marks += whole[rows]
    return marks if records.offsets is None else marks + _blob_marks(records, rows)


def _sum_bytes(values: U8) -> U64:
    padded = np.zeros((len(values), -(-values.shape[1] // 8) * 8), np.uint8)
    padded[:, : values.shape[1]] = values
    words = padded.view(np.uint64)
    summed: U64 = (words * _FACTORS[: words.shape[1]]).sum(axis=1, dtype=np.uint64)
    return summed


def _sum_text(text: str) -> np.uint64:
    words = np.frombuffer(text.encode().ljust(64, b"\0")[:64], np.uint64)
    return np.uint64((words * _FACTORS[1000 : 1000 + len(words)]).sum(dtype=np.uint64))


def _blob_marks(records: Records, rows: I64) -> U64:
    """Texts of an entry, cut after 4,096 bytes of their stored form (they are shorter by admission's rule)."""
    assert records.offsets is not None
    marks = np.zeros(len(rows), np.uint64)
    for first in range(0, len(rows), _BLOB_ROWS):
        chosen = rows[first : first + _BLOB_ROWS]
        starts, ends = records.offsets[chosen].astype(np.int64), records.offsets[chosen + 1].astype(np.int64)
        lengths = ends - starts
        filled = lengths > 0
        if not filled.any():
            continue
        starts, lengths = starts[filled], lengths[filled]
        begins = np.cumsum(lengths) - lengths
        within = np.arange(int(lengths.sum())) - np.repeat(begins, lengths)
        values = records.blobs[np.repeat(starts, lengths) + within].astype(np.uint64) + np.uint64(1)
        values *= _FACTORS[within % _MAX_WORDS]
        part = np.zeros(len(chosen), np.uint64)
        part[filled] = np.add.reduceat(values, begins)
        marks[first : first + _BLOB_ROWS] = part
    return marks


def _mix(marks: U64, values: U64, number: int) -> U64:
    mixed = (marks ^ (marks >> np.uint64(29))) * _FACTORS[200 + number] + values * _FACTORS[300 + number]
    return np.asarray(mixed ^ (mixed >> np.uint64(32)), np.uint64)
