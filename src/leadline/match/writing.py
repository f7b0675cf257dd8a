"""How an open bank changes: one writer at a time, what is acknowledged is synced; admits no entry, answers no query."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from leadline.errors import BankError, BankLocked
from leadline.match.admission import Refusals
from leadline.match.build import AssignedIds, SegmentDraft, assign_ids
from leadline.match.changes import AddResult, add_result, frame_sections
from leadline.match.combine import Part, retired_ids
from leadline.match.folder import (
    MERGE_LOCK,
    WRITE_LOCK,
    hold_lock,
    index_name,
    log_name,
    records_name,
    remove_leftovers,
    sync_folder,
)
from leadline.match.gentle import giving_way
from leadline.match.log import HEADER_BYTES, Change, Frame, append_frame, create_log
from leadline.match.manifest import LogFile, Manifest, SegmentFiles, save_manifest
from leadline.match.merge import MergeResult
from leadline.match.records import I64
from leadline.match.snapshot import Snapshot, load_snapshot, refresh_snapshot, with_frame
from leadline.match.table import Sections, encode_table

LOG_ENTRIES = 100_000  # more than so many at once become a segment of their own


class Writer:
    """The newest state of a bank that this process knows (`snapshot`), and every way to the next one."""

    def __init__(
        self, snapshot: Snapshot, lock_timeout_s: float, prepare: Callable[[Snapshot], None] | None = None
    ) -> None:
        """prepare: called with each state before readers see it."""
        self._prepare = prepare
        self._show(snapshot)
        self._lock_timeout_s = lock_timeout_s
        self._writer_mutex = threading.Lock()  # one thread at a time waits for the file lock
        self._state_mutex = threading.Lock()  # held briefly: readers never wait for a writer
        self._cleaned = False

    @property
    def _path(self) -> Path:
        return self.snapshot.folder

    def refresh(self) -> bool:
        """Pick up what others changed; True where something did. Two stats where nothing did."""
        with self._state_mutex:
            before, now = self.snapshot, refresh_snapshot(self.snapshot)
            if now is not before:
                self._show(now)
            return now is not before

    def _show(self, snapshot: Snapshot) -> None:
        if self._prepare is not None:
            self._prepare(snapshot)
        self.snapshot = snapshot

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The right to write, with the newest state loaded."""
        with self._writer_mutex, hold_lock(self._path, WRITE_LOCK, self._lock_timeout_s):
            self.refresh()
            if not self._cleaned:
                self._remove_leftovers()
            self._cleaned = False  # stays so when this write fails half-way
            yield
            self._cleaned = True

    def append(self, change: Change, sections: Sections) -> None:
        """One change at the end of the log, synced, then seen by this process; `writing` is held."""
        before, payload = self.snapshot, encode_table(sections)
        sequence = before.list_version + 1
        position = append_frame(before.log_path, before.position, change, sequence, payload)
        with self._state_mutex:
            self._show(with_frame(before, Frame(change, sequence, payload), position))

    def add_parts(
        self, parts: Sequence[Part], refusals: Refusals, threads: int, most_in_log: int | None = None
    ) -> AddResult:
        """Admitted entries into the log or, where they are many, into a segment. Raises OSError, BankError."""
        count = sum(part.count for part in parts)
        if count == 0:
            return AddResult(refused=refusals.kept, refused_count=refusals.count, refused_hashes=refusals.hashes)
        if count <= (LOG_ENTRIES if most_in_log is None else most_in_log) and len(parts) == 1:
            wished = parts[0].records.ids
            with self.writing():
                assigned = self._assign(wished)
                self.append(Change.ADD, frame_sections(parts[0].records, assigned))
        else:
            draft = SegmentDraft(self._path, parts, self.snapshot.manifest.quality_floor, threads)
            try:
                wished, assigned = draft.wished_ids, self._publish(draft)
            finally:
                draft.discard()
        return add_result(wished, assigned, refusals)

    def apply_settings(self, wanted: Manifest, threads: int) -> None:
        """Put settings in force; `merging` and `writing` are held, so nothing comes in between. Raises OSError."""
        segments = wanted.segments
        next_file, draft = wanted.next_file, None
        if segments and wanted.quality_floor != self.snapshot.manifest.quality_floor:
            parts = [Part(table.records, table.keep) for table in self.snapshot.tables]
            draft = SegmentDraft(self._path, parts, wanted.quality_floor, threads)
        try:
            logs = _logs_as_of(self.snapshot)
            if draft is not None:
                segments = (draft.publish(next_file, draft.wished_ids, retired_ids(parts, draft.wished_ids)),)
                create_log(self._path / log_name(next_file + 1))  # what the old ones held is in the segment
                logs, next_file = (LogFile(next_file + 1, HEADER_BYTES),), next_file + 2
            changed = msgspec.structs.replace(
                wanted,
                segments=segments,
                logs=logs,
                list_version=self.snapshot.list_version + 1,
                next_id=self.snapshot.next_id,
                next_file=next_file,
            )
            self._replace_manifest(changed)
        finally:
            if draft is not None:
                draft.discard()
        self._remove_leftovers()

    @contextmanager
    def merging(self) -> Iterator[None]:
        """The right to merge, or to make the segments anew. BankLocked where another is at it."""
        with hold_lock(self._path, MERGE_LOCK, self._lock_timeout_s):
            yield

    def merge(self, threads: int, *, gently: bool) -> MergeResult:
        """Log and segments into one segment; `merging` is held. Raises OSError, BankError.

        gently  whoever waits for the lock never waits for a thread that gives way
        """
        with self.writing():
            before = self.snapshot
            if len(before.tables) == len(before.stored) <= 1 and not any(t.dead_count for t in before.tables):
                return MergeResult(False, before.alive_count, len(before.stored), len(before.stored))
            self._rotate_log()
            before = self.snapshot
        parts = [Part(table.records, table.keep) for table in before.tables]
        with giving_way() if gently else nullcontext(_run) as promptly:
            draft = SegmentDraft(self._path, parts, before.manifest.quality_floor, threads, before.cool)
            try:
                retired = retired_ids(parts, draft.wished_ids)
                files = promptly(partial(self._swap, before, draft, retired))
            finally:
                draft.discard()
        return MergeResult(True, files.entries, len(before.stored), 1)

    def _assign(self, wished: I64) -> AssignedIds:
        return assign_ids(wished, self.snapshot.has_used, self.snapshot.next_id)

    def _publish(self, draft: SegmentDraft) -> AssignedIds:
        with self.writing():
            assigned = self._assign(draft.wished_ids)
            before = self.snapshot
            if before.manifest.quality_floor != draft.quality_floor:
                raise BankLocked("its settings changed meanwhile", where=str(self._path), mend="add it again")
            files = draft.publish(before.manifest.next_file, assigned.ids, np.empty(0, np.int64))
            manifest = msgspec.structs.replace(
                before.manifest,
                segments=(*before.manifest.segments, files),
                logs=_logs_as_of(before),
                list_version=before.list_version + 1,
                next_id=assigned.next_id,
                next_file=files.number + 1,
            )
            self._replace_manifest(manifest)
        return assigned

    def _rotate_log(self) -> None:
        """Later changes go to a new log, so that those before it can be merged while writers go on."""
        before = self.snapshot
        number = before.manifest.next_file
        create_log(self._path / log_name(number))
        sync_folder(self._path)
        manifest = msgspec.structs.replace(
            before.manifest,
            logs=(*_logs_as_of(before), LogFile(number, HEADER_BYTES)),
            list_version=before.list_version,
            next_id=before.next_id,
            next_file=number + 1,
        )
        self._replace_manifest(manifest)

    def _swap(self, merged: Snapshot, draft: SegmentDraft, retired: I64) -> SegmentFiles:
        with self.writing():
            now = self.snapshot
            files = draft.publish(now.manifest.next_file, draft.wished_ids, retired)
            old_segments = {s.number for s in merged.manifest.segments}
            old_logs = {log.number for log in merged.manifest.logs[:-1]}
            manifest = msgspec.structs.replace(
                now.manifest,
                segments=(files, *(s for s in now.manifest.segments if s.number not in old_segments)),
                logs=tuple(log for log in _logs_as_of(now) if log.number not in old_logs),
                list_version=now.list_version,
                next_id=now.next_id,
                next_file=files.number + 1,
            )
            self._replace_manifest(manifest)
            self._remove_leftovers()
        return files

    def _replace_manifest(self, manifest: Manifest) -> None:
        sync_folder(self._path)
        save_manifest(self._path, manifest)
        with self._state_mutex:
            self._show(load_snapshot(self._path, self.snapshot))

    def _remove_leftovers(self) -> None:
        manifest = self.snapshot.manifest
        wanted = {log_name(log.number) for log in manifest.logs}
        for files in manifest.segments:
            wanted |= {records_name(files.number), index_name(files.number)}
        remove_leftovers(self._path, wanted)


def _run(work: Callable[[], SegmentFiles]) -> SegmentFiles:
    return work()


def disk_error(error: OSError, path: Path) -> BankError:
    return BankError(f"the bank was not changed: {error.strerror}", where=str(path), mend="free disk space, retry")


def _logs_as_of(snapshot: Snapshot) -> tuple[LogFile, ...]:
    *earlier, last = snapshot.manifest.logs
    return (*earlier, LogFile(last.number, snapshot.position.offset))
