"""Segments under construction: written and indexed without the bank's lock, named only when published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leadline.errors import BankError
from leadline.match.admission import MAX_ID
from leadline.match.combine import Part, combined_ids, write_columns, write_ids
from leadline.match.folder import TemporaryFile, index_name, records_name
from leadline.match.manifest import SegmentFiles
from leadline.match.records import I64, Bools, Records
from leadline.match.segment import each_index_section
from leadline.match.table import Table, TableWriter, encode_table, open_table

SPILL_ENTRIES = 500_000  # entries collected in memory before they go to disk


class SegmentDraft:
    """Two temporary files that hold all of some parts but their ids; `publish` gives ids and names.

    let_go  called after each piece of the parts that was read, so that mapped ones need not all be in memory at once
    """

    def __init__(
        self,
        folder: Path,
        parts: Sequence[Part],
        quality_floor: int,
        threads: int,
        let_go: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder, self.quality_floor = folder, quality_floor
        self.wished_ids = combined_ids(parts)
        self._temporary: list[TemporaryFile] = []
        try:
            self._records, self._index = self._new_file(), self._new_file()
            self._writer = TableWriter(self._records.stream)
            write_columns(self._writer, parts, let_go)
            sections = {**self._writer.map_sections(self._records.stream), "ids": self.wished_ids}
            index = TableWriter(self._index.stream)
            records = Records(sections, "new segment")
            for name, array in each_index_section(records, quality_floor, threads=threads):
                index.add(name, array)
                del array  # a tenth of a gigabyte for each million of entries
            self._index_bytes = index.finish()
            self._records.sync()
            self._index.sync()
        except BaseException:
            self.discard()
            raise

    def publish(self, number: int, ids: I64, retired: I64) -> SegmentFiles:
        """Finish and name both files; the caller holds the lock, then syncs the folder, then the manifest."""
        write_ids(self._writer, ids, retired)
        records_bytes = self._writer.finish()
        self._records.keep_as(self._folder / records_name(number))
        self._index.keep_as(self._folder / index_name(number))
        return SegmentFiles(number, len(ids), records_bytes, self._index_bytes)

    def discard(self) -> None:
        for file in self._temporary:
            file.discard()

    def _new_file(self) -> TemporaryFile:
        self._temporary.append(TemporaryFile(self._folder))
        return self._temporary[-1]


class Spills:
    """Collected entries on their way to a segment: temporary tables that vanish when discarded."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[TemporaryFile] = []

    def put(self, records: Records) -> None:
        file = TemporaryFile(self._folder)
        self._files.append(file)
        file.stream.write(encode_table(records.sections))
        file.stream.flush()

    def parts(self) -> list[Part]:
        tables: Iterable[Table] = (open_table(file.path) for file in self._files)
        return [Part(Records(table.sections, table.where)) for table in tables]

    def discard(self) -> None:
        for file in self._files:
            file.discard()


@dataclass(frozen=True, slots=True)
class AssignedIds:
    """ids (N,) as given; `renumbered`: positions whose wished-for id could not be kept; next_id after them."""

    ids: I64
    renumbered: I64
    next_id: int


def assign_ids(wished: I64, is_used: Callable[[I64], Bools], next_id: int) -> AssignedIds:
    """Give each entry its wished-for id where that is free and valid, else the next free one in order.

    wished  0 = none; -1 = not a possible id
    """
    valid = (wished > 0) & (wished <= MAX_ID)
    _, first = np.unique(wished, return_index=True)
    is_first = np.zeros(len(wished), np.bool_)
    is_first[first] = True
    keep = valid & is_first
    keep[keep] = ~is_used(wished[keep])
    ids = np.where(keep, wished, 0)
    missing = np.flatnonzero(~keep)
    kept = np.sort(ids[keep])
    if len(kept) and kept[-1] < MAX_ID // 2:  # a single huge wish must not use up the numbers
        next_id = max(next_id, int(kept[-1]) + 1)
    ids[missing], next_id = _free_ids(len(missing), kept, is_used, next_id)
    return AssignedIds(ids, np.flatnonzero(~keep & (wished != 0)), next_id)


def _free_ids(count: int, taken: I64, is_used: Callable[[I64], Bools], next_id: int) -> tuple[I64, int]:
    """`count` ids from `next_id` upwards, free both in the bank and in `taken` (ascending)."""
    found, span = np.empty(0, np.int64), count
    while len(found) < count:
        candidates = np.arange(next_id, min(next_id + span, MAX_ID + 1), dtype=np.int64)
        if not len(candidates):
            raise BankError("the bank has given all its ids", mend="export it into a new bank")
        free = candidates[~is_used(candidates) & ~np.isin(candidates, taken)][: count - len(found)]
        found = np.concatenate([found, free])
        next_id = int(candidates[-1]) + 1 if len(found) < count else int(found[-1]) + 1
        span = 2 * max(span, 1024)
    return found, next_id
