"""Which entries hold exactly a fingerprint, also those that do not match: disabled, or of a quality below the floor.

For whoever removes an entry by its hash. Finds nothing near, decides nothing about a match.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from leadline.domain import EXACT_ALGORITHMS, PDQ_BYTES
from leadline.match.records import U8
from leadline.match.segment import LiveTable
from leadline.match.snapshot import Snapshot


def find_holders(snapshot: Snapshot, algorithm: str, hashes: U8) -> list[list[int]]:
    """For each of the (Q, length) hashes the ids of the entries that hold it, ascending.

    algorithm  md5 | sha1 | sha256 | pdq
    """
    found: list[set[int]] = [set() for _ in hashes]
    for table in snapshot.tables:
        for query, row in _rows_in(table, algorithm, hashes):
            if table.dead is None or not table.dead[row]:
                found[query].add(int(table.records.ids[row]))
    return [sorted(ids) for ids in found]


def _rows_in(table: LiveTable, algorithm: str, hashes: U8) -> Iterator[tuple[int, int]]:
    if algorithm in EXACT_ALGORITHMS:
        index = table.segment.exact.get(algorithm)
        for query, slots in index.find(hashes) if index is not None else ():
            yield from ((query, int(row)) for row in index.rows(slots))  # type: ignore[union-attr]
        return
    for group in table.segment.pdq_groups:
        result = group.index.search(hashes, 0)
        queries = np.repeat(np.arange(len(hashes)), np.diff(result.starts))
        rows = group.row_numbers(result.positions, table.records.count)
        yield from zip(queries.tolist(), rows.tolist(), strict=True)
    yield from _rows_below_floor(table, hashes)


def _rows_below_floor(table: LiveTable, hashes: U8) -> Iterator[tuple[int, int]]:
    """No index holds them; they are few."""
    column = table.records.prints.get(("pdq", PDQ_BYTES))
    if column is None:
        return
    rows = table.records.checked_rows(column)
    below = np.flatnonzero(table.records.quality[rows] < table.segment.quality_floor)
    if not len(below):
        return
    wanted: dict[bytes, list[int]] = {}
    for query, row in enumerate(hashes):
        wanted.setdefault(row.tobytes(), []).append(query)
    for at in below.tolist():
        for query in wanted.get(column.values[at].tobytes(), ()):
            yield query, int(rows[at])
