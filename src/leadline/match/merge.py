"""When a bank should be merged, and what a merge did; the merge itself is Bank.merge."""

from __future__ import annotations

from dataclasses import dataclass

from leadline.match.snapshot import Snapshot

_RECENT_ENTRIES = 50_000
_SHARE = 10  # one tenth of the bank
_CHANGES = 10_000  # each costs about a tenth of a millisecond when the bank is opened
_CHANGES_SHARE = 1000
_SEGMENTS = 8


@dataclass(frozen=True, slots=True)
class MergeResult:
    """merged: False where there was nothing to do. entries: in the bank's one segment afterwards."""

    merged: bool
    entries: int
    segments_before: int
    segments_after: int


def is_merge_due(snapshot: Snapshot) -> bool:
    """Whether recent or removed entries outweigh a tenth of the bank, or segments or single changes are many.

    A query meets every table, so many or large recent tables slow it; a removed entry still takes its bytes; every
    change in the log is read again by whoever opens the bank.
    """
    stored = sum(table.records.count for table in snapshot.tables[: len(snapshot.stored)])
    recent = sum(table.records.count for table in snapshot.recent)
    dead = sum(table.dead_count for table in snapshot.tables)
    allowed = max(_RECENT_ENTRIES, stored // _SHARE)
    many_changes = snapshot.changes > max(_CHANGES, stored // _CHANGES_SHARE)
    return recent > allowed or dead > allowed or many_changes or len(snapshot.stored) > _SEGMENTS
