"""Looks for damage in a whole bank: every checksum, every invariant, every record; repairs nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from leadline.domain import EMPTY_FILE_DIGESTS, EXACT_ALGORITHMS
from leadline.errors import BankCorrupt
from leadline.match.admission import MAX_ID
from leadline.match.exact import build_exact
from leadline.match.records import FAMILIES, KINDS, NO_QUALITY, U8, U32, Records
from leadline.match.segment import PdqGroup, Segment, pdq_rows_by_group
from leadline.match.snapshot import Snapshot

_QUERIES = 100_000


def find_faults(snapshot: Snapshot) -> list[str]:
    """What is wrong, as sentences; [] where nothing is. Memory: a few columns of the largest segment."""
    faults = []
    for stored in snapshot.stored.values():
        faults += stored.records_table.damage() + stored.index_table.damage()
    if snapshot.torn_bytes:
        faults.append(f"{snapshot.log_path.name}: {snapshot.torn_bytes} bytes at its end are no whole change")
    for table in snapshot.tables:
        try:
            faults += _record_faults(table.records)
            faults += _index_faults(table.segment)
            faults += _empty_file_faults(table.segment)
        except BankCorrupt as damage:
            faults.append(str(damage))
    return faults + list(_id_faults(snapshot))


def _record_faults(records: Records) -> Iterator[str]:
    where = records.where
    if not np.isin(np.unique(records.kind), list(KINDS)).all():
        yield f"{where}: unknown kind"
    if not np.isin(np.unique(records.family), list(FAMILIES)).all():
        yield f"{where}: unknown PDQ family"
    if bool(((records.quality > 100) & (records.quality != NO_QUALITY)).any()):
        yield f"{where}: quality above 100"
    printed = np.zeros(records.count, np.bool_)
    for column in records.prints.values():
        printed[records.checked_rows(column)] = True
    if not printed.all():
        yield f"{where}: entries without a fingerprint"
    ascending, _ = records.by_id
    if bool((ascending[1:] <= ascending[:-1]).any()) or bool(((ascending < 1) | (ascending > MAX_ID)).any()):
        yield f"{where}: ids repeat, are out of order or out of range"
    for row in range(records.count if records.offsets is not None else 0):
        try:
            records.detail(row)
        except BankCorrupt as damage:
            yield str(damage)


def _index_faults(segment: Segment) -> Iterator[str]:
    where = segment.records.where
    groups = {(g.kind, g.radius_bits): g for g in segment.pdq_groups}
    for code, radius, hashes, rows in pdq_rows_by_group(segment.records, segment.quality_floor):
        group = groups.pop((KINDS[code], radius), None)
        if group is None or not _finds_all(group, hashes, rows):
            yield f"{where}: the PDQ index of kind {KINDS[code]} does not hold what the records hold"
    if groups:
        yield f"{where}: PDQ indexes of no entries"
    for name, length in segment.records.prints:
        if EXACT_ALGORITHMS.get(name) == length and not _is_exact_index_right(segment, name, length):
            yield f"{where}: the {name} index does not hold what the records hold"


def _finds_all(group: PdqGroup, hashes: U8, rows: U32) -> bool:
    """Every hash, asked for once at distance 0, gives exactly the positions that hold it."""
    if group.index.count != len(hashes) or (group.rows is not None and not np.array_equal(group.rows, rows)):
        return False
    found = np.zeros(len(hashes), np.bool_)
    distinct = np.unique(np.ascontiguousarray(hashes).view("V32").reshape(-1))
    for first in range(0, len(distinct), _QUERIES):
        queries = distinct[first : first + _QUERIES].view(np.uint8).reshape(-1, 32)
        result = group.index.search(queries, 0)
        asked = queries[np.repeat(np.arange(len(queries)), np.diff(result.starts))]
        if found[result.positions].any() or not np.array_equal(hashes[result.positions], asked):
            return False
        found[result.positions] = True
    return bool(found.all())


def _empty_file_faults(segment: Segment) -> Iterator[str]:
    """A stranger's bank may hold what `add` refuses."""
    for digest in EMPTY_FILE_DIGESTS:
        for name, index in segment.exact.items():
            if EXACT_ALGORITHMS[name] == len(digest) and any(index.find(np.frombuffer(digest, np.uint8)[None])):
                yield f"{segment.records.where}: holds the {name} of the empty file, which matches every empty file"


def _is_exact_index_right(segment: Segment, name: str, length: int) -> bool:
    built = build_exact(segment.records.prints[name, length])
    return all(np.array_equal(segment.index_sections[key], array) for key, array in built.items())


def _id_faults(snapshot: Snapshot) -> Iterator[str]:
    ids = np.sort(np.concatenate([np.empty(0, np.int64), *(t.keep_of(t.records.ids) for t in snapshot.tables)]))
    if bool((ids[1:] == ids[:-1]).any()):
        yield "two entries of one id"
