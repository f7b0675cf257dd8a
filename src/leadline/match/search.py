"""Near matches of PDQ hashes in one bank's tables; knows masks and groups, decides nothing about a match."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.domain import Kind
from leadline.match.kernel import as_hash_rows
from leadline.match.records import I64, U8, Bools
from leadline.match.segment import LiveTable, PdqGroup
from leadline.match.snapshot import Snapshot

MAX_RADIUS_BITS = 64  # further apart, pictures that have nothing in common match by chance


class NearHits(NamedTuple):
    """K hits of Q queries in one group of one table, by query, then distance.

    queries int64 (K,) · rows int64 (K,) of table.records · distances uint16 (K,) · truncated bool (Q,)
    """

    table: LiveTable
    group: PdqGroup
    radius_bits: int
    queries: I64
    rows: I64
    distances: NDArray[np.uint16]
    truncated: Bools


class Hit(NamedTuple):
    """An entry near a query."""

    entry: int
    distance_bits: int


def find_near(
    snapshot: Snapshot, hashes: U8, radius_bits: int, now: int, *, threads: int, limit: int
) -> Iterator[NearHits]:
    """One kernel call per table and group. False-positive entries are looked for within their own radius only.

    hashes  uint8 (Q, 32)
    limit   per query and group, nearest first; 0 = all
    """
    if not len(hashes):
        return
    for table in snapshot.tables:
        masks = table.mask(now).groups
        for group, dead in zip(table.segment.pdq_groups, masks, strict=True):
            radius = group.radius_bits if group.kind is Kind.FALSE_POSITIVE else radius_bits
            found = group.index.search(hashes, radius, dead=dead, limit=limit, threads=threads)
            if len(found.positions):
                queries = np.repeat(np.arange(len(hashes)), np.diff(found.starts))
                rows = group.row_numbers(found.positions, table.records.count)
                yield NearHits(table, group, radius, queries, rows, found.distances, found.truncated)


def nearest_hits(
    snapshot: Snapshot, hashes: U8 | list[bytes], radius_bits: int, now: int, *, threads: int, limit: int
) -> list[list[Hit]]:
    """Per query the nearest entries over all tables, by distance, then id."""
    queries = as_hash_rows(hashes)
    hits: list[list[Hit]] = [[] for _ in range(len(queries))]
    for near in find_near(snapshot, queries, radius_bits, now, threads=threads, limit=limit):
        ids = near.table.records.ids[near.rows]
        for query, entry, distance in zip(
            near.queries.tolist(), ids.tolist(), near.distances.tolist(), strict=True
        ):
            hits[query].append(Hit(entry, distance))
    for found in hits:
        found.sort(key=lambda hit: (hit.distance_bits, hit.entry))
        if limit:
            del found[limit:]
    return hits
