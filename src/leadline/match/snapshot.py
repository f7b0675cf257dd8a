"""A bank as a reader sees it at one moment: manifest, mapped segments, recent changes; immutable, writes nothing.

Changes since the last merge live in small tables in memory, each at least four times smaller than the one before
it, so that a stream of single additions costs a logarithm of rebuilding and a query meets few tables.

A merge begins a log of its own for what comes while it runs. Tables made of the last log stand apart from those before
them, so that whoever meets the merged bank keeps them: else thousands of changes would be read again, at a tenth of a
millisecond each, while somebody waits for an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from leadline.errors import BankCorrupt, BankNotFound
from leadline.match import manifest as manifests
from leadline.match.combine import Part, combine_in_memory
from leadline.match.folder import HeldFile, index_name, log_name, records_name
from leadline.match.log import START, Change, Frame, LogRead, Position, ends_still, read_log
from leadline.match.manifest import Manifest, load_manifest
from leadline.match.records import I64, Bools, Records
from leadline.match.segment import LiveTable, Segment, StoredSegment, open_segment
from leadline.match.table import Array, Table

_TIER_FACTOR = 4
_ATTEMPTS = 50
MAX_VERSION = 2**53 - 1


@dataclass(frozen=True, slots=True)
class LastLog:
    """What the last log's frames made: so many of them, the last `tables` of the bank's, and the ids that they removed
    or replaced, by frame."""

    tables: int = 0
    gone: tuple[I64, ...] = ()
    changes: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`tables`: one per stored segment, in order, then the recent changes, made by `changes` frames of the logs.

    `held`: the manifest's open file.

    Holding the file keeps its inode from being given to a later manifest, so comparing inodes is proof.
    """

    folder: Path
    manifest: Manifest
    held: HeldFile
    stored: dict[int, StoredSegment]
    tables: tuple[LiveTable, ...]
    position: Position
    torn_bytes: int
    list_version: int
    next_id: int
    changes: int
    last_log: LastLog

    @property
    def alive_count(self) -> int:
        return sum(table.alive_count for table in self.tables)

    def has_used(self, ids: I64) -> Bools:
        """Which ids were ever given, to an entry that is there or to one that was removed."""
        used = np.zeros(len(ids), np.bool_)
        lowest = int(ids.min()) if len(ids) else 0
        for table in self.tables:
            if table.records.max_id >= lowest:
                used |= table.records.has_used(ids)
        return used

    def holds(self, ids: I64) -> Bools:
        """Which ids are those of an entry that is not removed."""
        alive = np.zeros(len(ids), np.bool_)
        for _, _, there in self._find(ids):
            alive |= there
        return alive

    def disk_order(self, ids: I64) -> I64:
        """Positions in `ids`, in the order in which their entries lie in the tables: read so, few pages are met."""
        places = np.full(len(ids), -1, np.int64)
        for number, (_, rows, there) in enumerate(self._find(ids)):
            places[there] = (number << 32) + rows[there]
        return np.argsort(places, kind="stable")

    def added_at(self, ids: I64) -> dict[int, int]:
        """id -> when it was added, of those that `holds` tells."""
        found: dict[int, int] = {}
        for table, rows, there in self._find(ids):
            found.update(zip(ids[there].tolist(), table.records.added[rows[there]].tolist(), strict=True))
        return found

    def _find(self, ids: I64) -> Iterator[tuple[LiveTable, I64, Bools]]:
        """Of each table the rows of these ids, and which of them are there and not removed."""
        for table in self.tables:
            rows = table.records.find_rows(ids)
            yield table, rows, (rows >= 0) if table.dead is None else (rows >= 0) & ~table.dead[rows]

    def prepare(self, now: int, warm_bytes: int) -> None:
        """Do what the first search would wait for: indexes of recent changes, masks, and the maps of stored segments'
        indexes, where all of them together are not larger.
        """
        for table in self.tables:
            _ = table.segment.exact, table.segment.family_codes, table.mask(now)
        indexes = [segment.index_table for segment in self.stored.values()]
        if sum(index.size_bytes for index in indexes) <= warm_bytes:
            for index in indexes:
                index.warm()

    def cool(self) -> None:
        """Let go of stored segments' pages, for a writer that looks nothing up: mapped files count as its memory."""
        for segment in self.stored.values():
            segment.index_table.cool()
            segment.records_table.cool()

    @property
    def recent(self) -> tuple[LiveTable, ...]:
        return self.tables[len(self.stored) :]

    @property
    def log_path(self) -> Path:
        return self.folder / log_name(self.manifest.logs[-1].number)


def load_snapshot(folder: Path, previous: Snapshot | None = None) -> Snapshot:
    """Read the bank; segments `previous` has open are used again. BankNotFound, BankCorrupt."""
    for _ in range(_ATTEMPTS):
        held = _open_manifest(folder)
        try:
            return _load(folder, held, previous)
        except (FileNotFoundError, BankCorrupt) as error:
            # A merge may have taken the files away, or a writer may have been cutting a torn end.
            if _is_current(folder, held):
                damage = error
                break
    else:
        raise BankCorrupt("the bank changes faster than it can be read", where=str(folder))
    try:
        return _load(folder, _open_manifest(folder), previous)
    except FileNotFoundError as error:
        raise _missing(error.filename) from damage


def _load(folder: Path, held: HeldFile, previous: Snapshot | None) -> Snapshot:
    manifest = load_manifest(held.read(), manifests.FILE_NAME)
    if previous is not None and (follower := _followed(previous, manifest, held)) is not None:
        return follower
    # Numbers of files say something within one bank only: where its folder was replaced, theirs are other files.
    is_same = previous is not None and previous.manifest.identity == manifest.identity
    stored = _open_all(folder, manifest, previous.stored if previous is not None and is_same else {})
    empty = Snapshot(
        folder=folder,
        manifest=manifest,
        held=held,
        stored=stored,
        tables=tuple(LiveTable(s.segment) for s in stored.values()),
        position=START,
        torn_bytes=0,
        list_version=manifest.list_version,
        next_id=manifest.next_id,
        changes=0,
        last_log=LastLog(),
    )
    return _read_on(empty, manifest.logs)


def _open_all(folder: Path, manifest: Manifest, opened: Mapping[int, StoredSegment]) -> dict[int, StoredSegment]:
    return {s.number: opened.get(s.number) or _open(folder, s, manifest) for s in manifest.segments}


def _followed(previous: Snapshot, manifest: Manifest, held: HeldFile) -> Snapshot | None:
    """`previous` with what came since, where the manifest goes on with all of its logs and the same segments (a merge
    begins so), or with its last log alone (a merge ends so: the other logs are in the segments). None where it does
    not.
    """
    before, numbers = previous.manifest, [log.number for log in manifest.logs]
    known = [log.number for log in before.logs]
    is_whole = manifest.segments == before.segments and numbers[: len(known)] == known
    goes_on = (
        manifest.identity == before.identity
        and manifest.list_version >= before.list_version
        and manifest.quality_floor == before.quality_floor
        and (is_whole or numbers[0] == known[-1])
    )
    if not goes_on or not ends_still(previous.log_path, previous.position):
        return None
    newer = replace(
        previous if is_whole else _with_segments(previous, manifest),
        manifest=manifest,
        held=held,
        list_version=max(previous.list_version, manifest.list_version),
        next_id=max(previous.next_id, manifest.next_id),
    )
    return _read_on(newer, manifest.logs[len(known) - 1 :] if is_whole else manifest.logs)


def _with_segments(previous: Snapshot, manifest: Manifest) -> Snapshot:
    """The manifest's segments, and of what was recent what the last log made."""
    stored, last = _open_all(previous.folder, manifest, previous.stored), previous.last_log
    gone = np.unique(np.concatenate([np.empty(0, np.int64), *last.gone]))
    tables = [_without(LiveTable(segment.segment), gone) for segment in stored.values()]
    recent = previous.tables[len(previous.tables) - last.tables :]
    return replace(previous, stored=stored, tables=(*tables, *recent), changes=last.changes)


def _read_on(snapshot: Snapshot, logs: Sequence[manifests.LogFile]) -> Snapshot:
    """With the changes of these logs, of the first from where the bank was read to. BankCorrupt where what was
    acknowledged is gone."""
    for number, log in enumerate(logs):
        if number:  # merges that fail leave logs: what came before this one is put together, else tables grow with them
            before = _compacted([*snapshot.tables], len(snapshot.stored), snapshot.manifest.quality_floor)
            snapshot = replace(snapshot, position=START, tables=before, last_log=LastLog())
        path = snapshot.folder / log_name(log.number)
        read = read_log(path, snapshot.position)
        if read.end.offset < log.whole_bytes:
            raise BankCorrupt("acknowledged changes are gone", where=path.name, mend="restore the bank from a copy")
        snapshot = _advanced(snapshot, read, path.name)
    return snapshot


def refresh_snapshot(snapshot: Snapshot) -> Snapshot:
    """The bank as it is now; the same object where nothing changed (two stats and one read of 64 bytes)."""
    if not _is_current(snapshot.folder, snapshot.held):
        return load_snapshot(snapshot.folder, snapshot)
    try:
        more_bytes = snapshot.log_path.stat().st_size - snapshot.position.offset
        # Else what follows a frame that was refused after it was read would pass for a torn end, and be cut off.
        is_still = more_bytes >= 0 and ends_still(snapshot.log_path, snapshot.position)
        if is_still and not more_bytes:
            return snapshot if not snapshot.torn_bytes else replace(snapshot, torn_bytes=0)
        if is_still:
            read = read_log(snapshot.log_path, snapshot.position)
            unchanged = not read.frames and read.torn_bytes == snapshot.torn_bytes
            return snapshot if unchanged else _advanced(snapshot, read, snapshot.log_path.name)
    except (FileNotFoundError, BankCorrupt):
        pass  # the log was merged away, or its unacknowledged end was cut and written anew
    return load_snapshot(snapshot.folder, snapshot)


def with_frame(snapshot: Snapshot, frame: Frame, position: Position) -> Snapshot:
    """The bank after a change this process has just appended."""
    return _advanced(snapshot, LogRead([frame], position, 0), snapshot.log_path.name)


def _advanced(snapshot: Snapshot, read: LogRead, where: str) -> Snapshot:
    sequences = [frame.sequence for frame in read.frames]
    if sequences != sorted(set(sequences)) or (sequences and sequences[-1] > MAX_VERSION):
        raise BankCorrupt("changes out of order", where=where)
    tables, last_log, next_id = _apply(snapshot, read.frames, where)
    return replace(
        snapshot,
        tables=tables,
        last_log=last_log,
        position=read.end,
        torn_bytes=read.torn_bytes,
        list_version=max([snapshot.list_version, *sequences]),
        next_id=next_id,
        changes=snapshot.changes + len(read.frames),
    )


def _apply(snapshot: Snapshot, frames: Sequence[Frame], where: str) -> tuple[tuple[LiveTable, ...], LastLog, int]:
    """Tables after some changes of the last log. An id removed or replaced by a change is gone from all that came
    before it."""
    added: list[tuple[int, Records]] = []
    removed: list[tuple[int, I64]] = []
    next_id = snapshot.next_id
    for order, frame in enumerate(frames):
        records = Table(frame.payload, where).sections
        if "ids" not in records or records["ids"].dtype != np.int64 or records["ids"].ndim != 1:
            raise BankCorrupt("a change without ids", where=where)
        if frame.change is not Change.REMOVE:
            added.append((order, Records(records, where)))
            next_id = max(next_id, _next_id(records.get("next_id"), where))
        if frame.change is not Change.ADD:
            removed.append((order, records["ids"].copy()))  # kept for long: not its whole frame with it
    gone, last = _last_removal(removed)
    tables = [_without(table, gone) for table in snapshot.tables]
    parts = [Part(records, _survivors(records.ids, order, gone, last)) for order, records in added]
    if any(part.records.count for part in parts):
        whole = parts[0].records if len(parts) == 1 and parts[0].keep is None else combine_in_memory(parts)
        tables.append(LiveTable(Segment(whole, snapshot.manifest.quality_floor)))
    known = snapshot.last_log
    apart = len(snapshot.tables) - known.tables
    compacted = _compacted(tables, apart, snapshot.manifest.quality_floor)
    removals = (*known.gone, *(ids for _, ids in removed))
    return compacted, LastLog(len(compacted) - apart, removals, known.changes + len(frames)), next_id


def _last_removal(removed: list[tuple[int, I64]]) -> tuple[I64, I64]:
    """Ids, ascending and once each, and the number of the last change that removed each."""
    ids = np.concatenate([np.empty(0, np.int64), *(ids for _, ids in removed)])
    orders = np.concatenate([np.empty(0, np.int64), *(np.full(len(i), o, np.int64) for o, i in removed)])
    ranked = np.lexsort((orders, ids))
    ids, orders = ids[ranked], orders[ranked]
    is_last = np.r_[ids[1:] != ids[:-1], True][: len(ids)]
    return ids[is_last], orders[is_last]


def _without(table: LiveTable, gone: I64) -> LiveTable:
    if not len(gone):
        return table
    rows = table.records.find_rows(gone)
    rows = rows[rows >= 0]
    return table.without(rows) if len(rows) else table


def _survivors(ids: I64, order: int, gone: I64, last: I64) -> Bools | None:
    if not len(gone):
        return None
    at = np.minimum(np.searchsorted(gone, ids), len(gone) - 1)
    dead = (gone[at] == ids) & (last[at] > order)
    return ~dead if dead.any() else None


def _compacted(tables: list[LiveTable], apart: int, quality_floor: int) -> tuple[LiveTable, ...]:
    """Small ones put together, but for the first `apart`."""
    while len(tables) - apart >= 2 and tables[-2].alive_count <= _TIER_FACTOR * tables[-1].alive_count:
        small, smaller = tables[-2:]
        whole = combine_in_memory([Part(t.records, t.keep) for t in (small, smaller)])
        tables[-2:] = [LiveTable(Segment(whole, quality_floor))]
    return tuple(tables)


def _next_id(section: Array | None, where: str) -> int:
    if section is None or section.dtype != np.int64 or section.shape != (1,):
        raise BankCorrupt("a change without its next id", where=where)
    return int(section[0])


def _open(folder: Path, files: manifests.SegmentFiles, manifest: Manifest) -> StoredSegment:
    paths = folder / records_name(files.number), folder / index_name(files.number)
    stored = open_segment(*paths, manifest.quality_floor)
    sizes = (stored.records_table.size_bytes, stored.index_table.size_bytes)
    if (*sizes, stored.segment.records.count) != (files.records_bytes, files.index_bytes, files.entries):
        raise BankCorrupt("a segment is not the one the manifest names", where=paths[0].name)
    return stored


def _open_manifest(folder: Path) -> HeldFile:
    try:
        return HeldFile(folder / manifests.FILE_NAME)
    except (FileNotFoundError, NotADirectoryError):
        raise BankNotFound("no bank there", where=str(folder), mend="give the folder of a bank") from None


def _is_current(folder: Path, held: HeldFile) -> bool:
    try:
        return held.is_still(folder / manifests.FILE_NAME)
    except FileNotFoundError:
        return False


def _missing(name: str) -> BankCorrupt:
    return BankCorrupt("a file of the bank is missing", where=Path(name).name, mend="restore the bank from a copy")
