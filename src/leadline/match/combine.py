"""Several tables of records into one, dropping dead rows; copies columns and blobs, decodes no entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from leadline.match.records import COLUMNS, I64, U8, U32, Bools, Records
from leadline.match.table import Array, Sections, TableWriter

_ROWS = 1 << 18  # taken at once: bounds memory
_GATHERED_BYTES = 1 << 20  # of blobs, where rows between them are left out: numpy wants 16 bytes more for each of them


@dataclass(frozen=True, slots=True)
class Part:
    """A table and which of its rows to keep (None: all)."""

    records: Records
    keep: Bools | None = None

    def kept(self, column: Array) -> Array:
        return column if self.keep is None else column[self.keep]

    @property
    def count(self) -> int:
        return self.records.count if self.keep is None else int(np.count_nonzero(self.keep))


class Column(NamedTuple):
    """A section of the combined table, produced chunk by chunk."""

    name: str
    dtype: str
    columns: int
    chunks: Iterable[Array]


def combine_in_memory(parts: Sequence[Part]) -> Records:
    ids = combined_ids(parts)
    sections: Sections = {"ids": ids, **id_sections(ids, retired_ids(parts, ids))}
    for name, dtype, columns, chunks in _columns(parts):
        empty = np.empty((0, columns) if columns else 0, dtype)
        sections[name] = np.concatenate([empty, *chunks])
    return Records(sections, "recent changes")


def write_columns(writer: TableWriter, parts: Sequence[Part], let_go: Callable[[], None] = lambda: None) -> None:
    """Everything but the ids, so that these may be given last (`write_ids`). let_go: called after each piece."""
    for name, dtype, columns, chunks in _columns(parts):
        writer.add_chunks(name, dtype, columns, _each(chunks, let_go))


def _each(chunks: Iterable[Array], then: Callable[[], None]) -> Iterator[Array]:
    for chunk in chunks:
        yield chunk
        then()


def write_ids(writer: TableWriter, ids: I64, retired: I64) -> None:
    writer.add("ids", ids)
    for name, array in id_sections(ids, retired).items():
        writer.add(name, array)


def combined_ids(parts: Sequence[Part]) -> I64:
    return np.concatenate([np.empty(0, np.int64), *(p.kept(p.records.ids) for p in parts)])


def id_sections(ids: I64, retired: I64) -> Sections:
    """What stands beside the ids: their order where it is not ascending, and those given once and gone."""
    sections: Sections = {}
    if len(ids) > 1 and not bool((ids[1:] > ids[:-1]).all()):
        sections["id_order"] = np.argsort(ids, kind="stable").astype(np.uint32)
    if len(retired):
        sections["retired"] = retired
    return sections


def retired_ids(parts: Sequence[Part], alive: I64) -> I64:
    """Ids that stood in the parts and are not among `alive`: never to be given again."""
    dead = [p.records.ids[~p.keep] for p in parts if p.keep is not None]
    gone = np.concatenate([np.empty(0, np.int64), *dead, *(p.records.retired for p in parts)])
    return np.setdiff1d(gone, alive) if len(gone) else gone


def _columns(parts: Sequence[Part]) -> Iterator[Column]:
    for name, dtype in COLUMNS.items():
        yield Column(name, np.dtype(dtype).str, 0, _hot_chunks(parts, name))
    if any(p.records.offsets is not None for p in parts):
        lengths = [p.kept(_blob_lengths(p.records)) for p in parts]
        offsets = np.concatenate([np.zeros(1, np.uint64), *lengths]).cumsum(dtype=np.uint64)
        yield Column("offsets", "<u8", 0, [offsets])
        yield Column("blobs", "|u1", 0, _blob_chunks(parts))
    for name, length in sorted({key for p in parts for key in p.records.prints}):
        yield from _print_columns(parts, name, length)


def _hot_chunks(parts: Sequence[Part], name: str) -> list[Array]:
    """The column of each part, or one value where all parts agree on it."""
    columns = [p.kept(getattr(p.records, name)) for p in parts]
    ends = {int(value) for c in columns if len(c) for value in (c.min(), c.max())}
    return [next(c for c in columns if len(c))[:1]] if len(ends) == 1 else columns


def _blob_lengths(records: Records) -> Array:
    if records.offsets is None:
        return np.zeros(records.count, np.uint64)
    lengths: Array = records.offsets[1:] - records.offsets[:-1]
    return lengths


def _blob_chunks(parts: Sequence[Part]) -> Iterator[U8]:
    for part in parts:
        if part.records.offsets is None:
            continue
        rows = np.arange(part.records.count) if part.keep is None else np.flatnonzero(part.keep)
        for first in range(0, len(rows), _ROWS):
            yield from _gather_blobs(part.records, rows[first : first + _ROWS])


def _gather_blobs(records: Records, rows: I64) -> Iterator[U8]:
    assert records.offsets is not None
    starts, ends = records.offsets[rows].astype(np.int64), records.offsets[rows + 1].astype(np.int64)
    records.check_spans(starts, ends)
    if int(rows[-1]) - int(rows[0]) + 1 == len(rows):
        yield records.blobs[int(starts[0]) : int(ends[-1])]
        return
    lengths = ends - starts
    done, first = np.cumsum(lengths), 0
    while first < len(rows):
        before = int(done[first - 1]) if first else 0
        after = max(first + 1, int(np.searchsorted(done, before + _GATHERED_BYTES, side="right")))
        piece = slice(first, after)
        at = np.repeat(starts[piece] + lengths[piece] - done[piece], lengths[piece])
        at += np.arange(before, before + len(at))
        yield records.blobs[at]
        first = after


def _print_columns(parts: Sequence[Part], name: str, length: int) -> Iterator[Column]:
    values: list[tuple[U8, Bools | None]] = []
    rows: list[U32] = []
    base = 0
    for part in parts:
        column = part.records.prints.get((name, length))
        if column is not None:
            numbers = part.records.checked_rows(column)
            if part.keep is None:
                values.append((column.values, None))
                rows.append((numbers + np.uint32(base)).astype(np.uint32))
            else:
                chosen = part.keep[numbers]
                moved = np.cumsum(part.keep) - 1 + base
                values.append((column.values, chosen))
                rows.append(moved[numbers[chosen]].astype(np.uint32))
        base += part.count
    if sum(map(len, rows)) == 0:
        return
    yield Column(f"print.{name}.{length}", "|u1", length, _chosen_values(values))
    if sum(map(len, rows)) < base:
        yield Column(f"rows.{name}.{length}", "<u4", 0, rows)


def _chosen_values(values: Sequence[tuple[U8, Bools | None]]) -> Iterator[U8]:
    for column, chosen in values:
        for first in range(0, len(column), _ROWS):
            piece = column[first : first + _ROWS]
            yield piece if chosen is None else piece[chosen[first : first + _ROWS]]
