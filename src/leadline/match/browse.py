"""Entries of a bank in the order of their ids, a page at a time; reads the ids' index, never the whole bank."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np

from leadline.domain import Entry
from leadline.match.segment import LiveTable
from leadline.match.snapshot import Snapshot


def find_after(snapshot: Snapshot, entry_id: int, limit: int) -> list[Entry]:
    """At most `limit` entries that are not removed and whose id is greater than `entry_id`, ascending by id."""
    found = [heads for table in snapshot.tables if (heads := list(_next_rows(table, entry_id, limit)))]
    merged = heapq.merge(*found, key=lambda head: head[0])
    return [table.records.entry(row) for (_, row, table), _ in zip(merged, range(limit), strict=False)]


def _next_rows(table: LiveTable, entry_id: int, limit: int) -> Iterator[tuple[int, int, LiveTable]]:
    """(id, row, table) of the table's own next `limit` live rows."""
    ascending, order = table.records.by_id
    at, left = int(np.searchsorted(ascending, entry_id, side="right")), limit
    while left and at < len(ascending):
        row = at if order is None else int(order[at])
        if table.dead is None or not table.dead[row]:
            yield int(ascending[at]), row, table
            left -= 1
        at += 1
