"""What `leadline bank info` says of a bank: settings, counts, bytes; changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from leadline.domain import EXACT_ALGORITHMS, PDQ_BYTES, Kind, PdqFamily, Tlp
from leadline.match.fingerprints import FingerprintKind
from leadline.match.log import HEADER_BYTES
from leadline.match.records import FAMILIES, KIND_CODES, KINDS, NO_FAMILY
from leadline.match.segment import LiveTable
from leadline.match.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class BankInfo:
    """A bank in numbers.

    entries            not removed; removed: still in the files until the next merge
    by_fingerprint     entries by kind of fingerprint; by_family: PDQ hashes by how they were made
    below_floor        PDQ hashes of a recorded quality below the floor: never matched near
    disabled           entries that do not match until a date in the future
    recent             entries changed since the last merge, read from the log
    index_bytes        of the stored segments' search index, and records_bytes of their records
    not_compared       fingerprint kinds without an installed plug-in, or of another length: kept, never compared
    torn_bytes         at the log's end: a change that was never acknowledged
    """

    path: Path
    name: str
    kind: Kind
    radius_bits: int
    quality_floor: int
    source: str
    tlp: Tlp
    licence: str
    created: int
    list_version: int
    entries: int
    removed: int
    by_kind: dict[Kind, int]
    by_fingerprint: dict[str, int]
    by_family: dict[PdqFamily, int]
    below_floor: int
    disabled: int
    segments: int
    recent: int
    log_bytes: int
    torn_bytes: int
    index_bytes: int
    records_bytes: int
    index_bytes_per_entry: float
    records_bytes_per_entry: float
    not_compared: dict[str, int]


def describe_bank(snapshot: Snapshot, kinds: Mapping[str, FingerprintKind], now: int) -> BankInfo:
    manifest, tables = snapshot.manifest, snapshot.tables
    prints = _count_prints(tables)
    index_bytes = sum(s.index_table.size_bytes for s in snapshot.stored.values())
    records_bytes = sum(s.records_table.size_bytes for s in snapshot.stored.values())
    stored = max(sum(s.segment.records.count for s in snapshot.stored.values()), 1)
    earlier_logs = sum(log.whole_bytes - HEADER_BYTES for log in manifest.logs[:-1])
    return BankInfo(
        path=snapshot.folder,
        name=manifest.name,
        kind=manifest.kind,
        radius_bits=manifest.radius_bits,
        quality_floor=manifest.quality_floor,
        source=manifest.source,
        tlp=manifest.tlp,
        licence=manifest.licence,
        created=manifest.created,
        list_version=snapshot.list_version,
        entries=snapshot.alive_count,
        removed=sum(table.dead_count for table in tables),
        by_kind={KINDS[code]: n for code, n in sorted(_count_column(tables, "kind").items())},
        by_fingerprint=_named(prints),
        by_family=_count_families(tables),
        below_floor=sum(_below_floor(table, manifest.quality_floor) for table in tables),
        disabled=sum(int((table.records.disabled[table.alive_rows()] > now).sum()) for table in tables),
        segments=len(snapshot.stored),
        recent=sum(table.alive_count for table in snapshot.recent),
        log_bytes=earlier_logs + snapshot.position.offset - HEADER_BYTES,
        torn_bytes=snapshot.torn_bytes,
        index_bytes=index_bytes,
        records_bytes=records_bytes,
        index_bytes_per_entry=round(index_bytes / stored, 1),
        records_bytes_per_entry=round(records_bytes / stored, 1),
        not_compared=_named(Counter({key: n for key, n in prints.items() if not is_compared(key, kinds)})),
    )


def is_compared(key: tuple[str, int], kinds: Mapping[str, FingerprintKind]) -> bool:
    """Whether fingerprints of this (name, length) can be compared here."""
    name, length = key
    if name in EXACT_ALGORITHMS or name == "pdq":
        return True
    return name in kinds and kinds[name].length_bytes == length


def _count_column(tables: tuple[LiveTable, ...], name: str) -> Counter[int]:
    counts: Counter[int] = Counter()
    for table in tables:
        counts.update(table.count_by(name))
    return +counts


def _count_families(tables: tuple[LiveTable, ...]) -> dict[PdqFamily, int]:
    counts = _count_column(tables, "family")
    return {FAMILIES[code]: n for code, n in sorted(counts.items()) if code != NO_FAMILY and code in FAMILIES}


def count_prints(snapshot: Snapshot, kind: Kind | None = None) -> dict[str, int]:
    """Entries by kind of fingerprint, as `by_fingerprint`. kind: of that kind of entries only."""
    return _named(_count_prints(snapshot.tables, kind))


def _count_prints(tables: tuple[LiveTable, ...], kind: Kind | None = None) -> Counter[tuple[str, int]]:
    counts: Counter[tuple[str, int]] = Counter()
    for table in tables:
        if kind is not None and KIND_CODES[kind] not in table.count_by("kind"):
            continue
        for key, column in table.records.prints.items():
            if column.rows is None and kind is None:
                counts[key] += table.alive_count
                continue
            rows = table.records.checked_rows(column)
            if kind is not None:
                rows = rows[table.records.kind[rows] == KIND_CODES[kind]]
            counts[key] += len(table.alive_of(rows))
    return counts


def _below_floor(table: LiveTable, quality_floor: int) -> int:
    column = table.records.prints.get(("pdq", PDQ_BYTES))
    if column is None:
        return 0
    rows = table.records.checked_rows(column)
    return len(table.alive_of(rows[table.records.quality[rows] < quality_floor]))


def _named(prints: Counter[tuple[str, int]]) -> dict[str, int]:
    named: Counter[str] = Counter()
    for (name, _), number in sorted(prints.items()):
        named[name] += number
    return dict(named)
