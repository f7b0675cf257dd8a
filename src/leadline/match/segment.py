"""One searchable table: records, and the index over them (PDQ by kind, exact digests); immutable once made.

An index file holds, per kind K of entry (and per radius R for false positives, else 0): pdq.K.R.index (the kernel's
bytes) and pdq.K.R.rows (uint32, position -> row; absent where they are equal); and exact.* (exact.py). Kinds have
indexes of their own so that a limit on near matches can never hide an illegal entry behind benign ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from leadline.domain import EXACT_ALGORITHMS, PDQ_BYTES, Kind
from leadline.errors import BankCorrupt
from leadline.match import kernel
from leadline.match.exact import ExactIndex, build_exact
from leadline.match.records import I64, KIND_CODES, KINDS, NO_FAMILY, NO_QUALITY, U8, U32, Bools, Records
from leadline.match.table import Array, Sections, Table, open_table

_PDQ_SECTION = re.compile(r"pdq\.([0-9]{1,3})\.([0-9]{1,3})\.index")
_FALSE_POSITIVE = KIND_CODES[Kind.FALSE_POSITIVE]


@dataclass(frozen=True, slots=True)
class PdqGroup:
    """The PDQ hashes of all entries of one kind (of one radius, for false positives) and their search index."""

    kind: Kind
    radius_bits: int
    index: kernel.HammingIndex
    rows: U32 | None

    def row_numbers(self, positions: U32, count: int) -> I64:
        """Rows of found positions; BankCorrupt where the table of rows points outside `count` records."""
        rows = positions if self.rows is None else self.rows[positions]
        if len(rows) and int(rows.max()) >= count:
            raise BankCorrupt("search index points outside its records", where=f"kind {self.kind}")
        return rows.astype(np.int64)


class Segment:
    """Records and the index over them. `sections` None: built in memory when first asked for."""

    def __init__(self, records: Records, quality_floor: int, sections: Sections | None = None) -> None:
        self.records, self.quality_floor, self._sections = records, quality_floor, sections

    @cached_property
    def index_sections(self) -> Sections:
        if self._sections is None:
            return build_index_sections(self.records, self.quality_floor)
        return self._sections

    @cached_property
    def pdq_groups(self) -> tuple[PdqGroup, ...]:
        return tuple(self._open_groups())

    @cached_property
    def family_codes(self) -> frozenset[int]:
        """How its PDQ hashes were made (records.FAMILY_CODES)."""
        return frozenset(np.unique(self.records.sections["family"]).tolist()) - {NO_FAMILY}

    @cached_property
    def exact(self) -> dict[str, ExactIndex]:
        """By algorithm; absent where the segment holds no such digest."""
        return {
            name: ExactIndex(
                column, self._section(f"exact.{name}.prefix", "<u8"), self._order(name), self.records.count
            )
            for (name, length), column in self.records.prints.items()
            if EXACT_ALGORITHMS.get(name) == length
        }

    @cached_property
    def others(self) -> tuple[tuple[str, int], ...]:
        """(name, length) of the plug-in kinds held."""
        own = {*EXACT_ALGORITHMS.items(), ("pdq", PDQ_BYTES)}
        return tuple(key for key in self.records.prints if key not in own)

    def _order(self, name: str) -> U32:
        return self._section(f"exact.{name}.order", "<u4")

    def _open_groups(self) -> Iterator[PdqGroup]:
        for name, buffer in self.index_sections.items():
            named = _PDQ_SECTION.fullmatch(name)
            if named is None:
                continue
            code, radius = int(named[1]), int(named[2])
            rows_name = name.removesuffix("index") + "rows"
            rows = self._section(rows_name, "<u4") if rows_name in self.index_sections else None
            index = kernel.HammingIndex(buffer)
            if code not in KINDS or index.count != (self.records.count if rows is None else len(rows)):
                raise BankCorrupt("search index does not fit its records", where=self.records.where)
            yield PdqGroup(KINDS[code], radius, index, rows)

    def _section(self, name: str, dtype: str) -> Array:
        section = self.index_sections.get(name)
        if section is None or section.dtype != np.dtype(dtype) or section.ndim != 1:
            raise BankCorrupt(f"section {name} absent or of another type", where=self.records.where)
        return section


def pdq_rows_by_group(records: Records, quality_floor: int) -> Iterator[tuple[int, int, U8, U32]]:
    """(kind code, radius, hashes, rows) of each group; entries of a recorded quality below the floor are left out."""
    column = records.prints.get(("pdq", PDQ_BYTES))
    if column is None:
        return
    rows = records.checked_rows(column)
    quality = records.quality[rows]
    good = quality >= quality_floor  # NO_QUALITY is above every floor
    kinds = records.kind[rows]
    for code in np.unique(kinds).tolist():
        of_kind = good & (kinds == code)
        radii = records.radius[rows] if code == _FALSE_POSITIVE else np.zeros(len(rows), np.uint8)
        for radius in np.unique(radii[of_kind]).tolist():
            chosen = of_kind & (radii == radius)
            whole = bool(chosen.all())
            yield code, radius, column.values if whole else column.values[chosen], rows[chosen]


def build_index_sections(records: Records, quality_floor: int, *, threads: int = 1) -> Sections:
    """Everything an index file holds, from the records alone."""
    return dict(each_index_section(records, quality_floor, threads=threads))


def each_index_section(records: Records, quality_floor: int, *, threads: int = 1) -> Iterator[tuple[str, Array]]:
    """One after another, for whoever lets go of each before the next."""
    assert quality_floor <= NO_QUALITY
    for code, radius, hashes, rows in pdq_rows_by_group(records, quality_floor):
        yield f"pdq.{code}.{radius}.index", kernel.build_index(hashes, threads=threads)
        if len(rows) < records.count:
            yield f"pdq.{code}.{radius}.rows", rows
    for (name, length), column in records.prints.items():
        if EXACT_ALGORITHMS.get(name) == length:
            yield from build_exact(column).items()


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """The two mapped tables of a segment on disk."""

    segment: Segment
    records_table: Table
    index_table: Table


def open_segment(records_path: Path, index_path: Path, quality_floor: int) -> StoredSegment:
    """Map both files and check what can be checked without reading them through."""
    records_table, index_table = open_table(records_path), open_table(index_path)
    records = Records(records_table.sections, records_path.name)
    segment = Segment(records, quality_floor, index_table.sections)
    _ = segment.pdq_groups, segment.exact  # opened now: a damaged index must not wait for the first query
    index_table.cool()  # that check maps tables of 4 MB a segment, of which a query meets little
    return StoredSegment(segment, records_table, index_table)


@dataclass(frozen=True, slots=True)
class Mask:
    """What does not match from `since` until before `until`: rows (bool, or None: all match), and by PDQ group."""

    since: int
    until: int
    rows: Bools | None
    groups: tuple[U8 | None, ...]


_FOR_EVER = 2**63 - 1
_COUNTED_ROWS = 1 << 20


class LiveTable:
    """A segment and which of its rows are removed. Removing makes another LiveTable; readers keep theirs."""

    def __init__(self, segment: Segment, dead: Bools | None = None) -> None:
        self.segment, self.records, self.dead = segment, segment.records, dead
        self.dead_count = 0 if dead is None else int(np.count_nonzero(dead))
        self._mask: Mask | None = None
        self._counts: dict[str, Mapping[int, int]] = {}

    @property
    def alive_count(self) -> int:
        return self.records.count - self.dead_count

    @property
    def keep(self) -> Bools | None:
        return None if self.dead is None else ~self.dead

    def keep_of(self, column: Array) -> Array:
        """The alive rows' share of a column."""
        return column if self.dead is None else column[~self.dead]

    def count_by(self, name: str) -> Mapping[int, int]:
        """Alive rows by value, of a column of single bytes (kind, family). Counted once."""
        if (known := self._counts.get(name)) is None:
            known = self._counts[name] = self._count_by(self.records.sections[name])
        return known

    def _count_by(self, stored: Array) -> dict[int, int]:
        if len(stored) == 1:  # of all rows
            return {int(stored[0]): self.alive_count}
        numbers = np.zeros(256, np.int64)
        for first in range(0, len(stored), _COUNTED_ROWS):  # numpy makes numbers of eight bytes of those it counts
            rows = slice(first, first + _COUNTED_ROWS)
            numbers += np.bincount(stored[rows] if self.dead is None else stored[rows][~self.dead[rows]], minlength=256)
        return {int(code): int(numbers[code]) for code in np.flatnonzero(numbers)}

    def alive_rows(self) -> I64:
        return np.arange(self.records.count) if self.dead is None else np.flatnonzero(~self.dead)

    def alive_of(self, rows: Array) -> Array:
        """Those of these rows that are not removed."""
        return rows if self.dead is None else rows[~self.dead[rows]]

    def without(self, rows: I64) -> LiveTable:
        dead = np.zeros(self.records.count, np.bool_) if self.dead is None else self.dead.copy()
        dead[rows] = True
        return LiveTable(self.segment, dead)

    def mask(self, now: int) -> Mask:
        """Removed and disabled rows at `now` (seconds since 1970), made anew when either changes."""
        mask = self._mask
        if mask is None or not mask.since <= now < mask.until:
            mask = self._mask = self._make_mask(now)
        return mask

    def _make_mask(self, now: int) -> Mask:
        disabled = self.records.disabled
        times = self.records.sections["disabled"]
        pending = times[times > now] if len(times) else times
        if not len(pending) and self.dead is None:
            return Mask(now, _FOR_EVER, None, (None,) * len(self.segment.pdq_groups))
        if self.dead is None:
            rows = np.asarray(disabled > now)
        else:
            rows = self.dead | (disabled > now) if len(pending) else self.dead
        until = int(pending.min()) if len(pending) else _FOR_EVER
        return Mask(now, until, rows, tuple(self._pack(g, rows) for g in self.segment.pdq_groups))

    def _pack(self, group: PdqGroup, rows: Bools) -> U8 | None:
        if group.rows is None:
            chosen = rows
        else:
            chosen = rows[group.row_numbers(np.arange(len(group.rows), dtype=np.uint32), len(rows))]
        return np.packbits(chosen, bitorder="little") if chosen.any() else None
