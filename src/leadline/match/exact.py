"""Exact look-up of digests: sorted 8-byte prefixes, then the whole digest; never a near match.

Two sections a digest kind: exact.NAME.prefix (uint64, the first 8 bytes big-endian, ascending) and exact.NAME.order
(uint32, the position in the records' column). 12 bytes a digest; the digests themselves stay in the records.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from leadline.errors import BankCorrupt
from leadline.match.records import U8, U32, PrintColumn
from leadline.match.table import Sections

U64 = NDArray[np.uint64]


def prefixes(digests: U8) -> U64:
    """The first 8 bytes of each row of (N, length >= 8) as big-endian numbers."""
    return np.ascontiguousarray(digests[:, :8]).view(">u8").astype(np.uint64).reshape(-1)


def build_exact(column: PrintColumn) -> Sections:
    """The look-up sections of one column of digests."""
    prefix = prefixes(column.values)
    order = np.argsort(prefix)
    prefix = prefix[order]
    equal = prefix[1:] == prefix[:-1]
    if equal.any():
        _order_runs(column.values, prefix, order, equal)
    return {
        f"exact.{column.name}.prefix": prefix,
        f"exact.{column.name}.order": order.astype(np.uint32),
    }


def _order_runs(digests: U8, prefix: U64, order: NDArray[np.intp], equal: NDArray[np.bool_]) -> None:
    """Within a run of equal prefixes: by whole digest, then position, so that equal digests stand together."""
    slots = np.flatnonzero(np.r_[equal, False] | np.r_[False, equal])
    members = np.sort(order[slots])
    rows = digests[members]
    padded = np.zeros((len(rows), 32), np.uint8)
    padded[:, : rows.shape[1]] = rows
    words = padded.view(">u8").astype(np.uint64)
    order[slots] = members[np.lexsort((words[:, 3], words[:, 2], words[:, 1], words[:, 0]))]


class ExactIndex:
    """Finds digests of one kind in one table of records."""

    def __init__(self, column: PrintColumn, prefix: U64, order: U32, row_count: int) -> None:
        if not len(prefix) == len(order) == len(column.values):
            raise BankCorrupt("exact index does not fit its records", where=column.name)
        self._column, self._prefix, self._order, self._row_count = column, prefix, order, row_count

    def find(self, queries: U8) -> Iterator[tuple[int, slice]]:
        """(number of the query, slots that hold it) for each of the (Q, length) digests that is there."""
        if not len(self._prefix) or not len(queries):
            return
        wanted = prefixes(queries)
        low = np.searchsorted(self._prefix, wanted)
        at = np.minimum(low, len(self._prefix) - 1)
        for query in np.flatnonzero(self._prefix[at] == wanted):
            slots = self._narrow(int(low[query]), wanted[query], queries[query].tobytes())
            if slots.start < slots.stop:
                yield int(query), slots

    def rows(self, slots: slice) -> NDArray[np.int64]:
        """The rows of the records behind some slots."""
        positions = self._positions(slots)
        rows = positions if self._column.rows is None else self._column.rows[positions]
        if len(rows) and int(rows.max()) >= self._row_count:
            raise BankCorrupt("exact index points outside its records", where=self._column.name)
        return rows.astype(np.int64)

    def _narrow(self, low: int, prefix: np.uint64, digest: bytes) -> slice:
        high = int(np.searchsorted(self._prefix, prefix, side="right"))
        run = range(low, high)
        return slice(
            low + bisect_left(run, digest, key=self._digest), low + bisect_right(run, digest, key=self._digest)
        )

    def _digest(self, slot: int) -> bytes:
        digest: bytes = self._column.values[int(self._positions(slice(slot, slot + 1))[0])].tobytes()
        return digest

    def _positions(self, slots: slice) -> U32:
        positions = self._order[slots]
        if len(positions) and int(positions.max()) >= len(self._column.values):
            raise BankCorrupt("exact index points outside its records", where=self._column.name)
        return positions
