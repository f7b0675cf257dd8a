"""A bank: a folder of fingerprints that is the only truth about them; the door for readers and writers.

One writer at a time over all processes (a file lock), any number of readers, none of whom ever waits. How a change
gets onto the disk is writing.py's work, matching is matcher.py's.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from leadline.domain import (
    DEFAULT_QUALITY_FLOOR,
    DEFAULT_RADIUS_BITS,
    PDQ_BYTES,
    Entry,
    Kind,
    PdqFamily,
    Tlp,
)
from leadline.errors import BankError, ConfigError, HashFormatError, InputError, LeadlineError
from leadline.match import manifest as manifests
from leadline.match.admission import MAX_ID, Admission, Refusals, column_sections
from leadline.match.batch import pack_entries
from leadline.match.browse import find_after
from leadline.match.build import SPILL_ENTRIES, AssignedIds, Spills
from leadline.match.changes import AddResult, frame_sections, only_existing
from leadline.match.combine import Part
from leadline.match.fingerprints import FingerprintKind, load_kinds
from leadline.match.folder import WRITE_LOCK, hold_lock, is_bank_file, log_name, make_folder, remove_leftovers
from leadline.match.gentle import start_merger
from leadline.match.info import BankInfo, describe_bank
from leadline.match.log import HEADER_BYTES, Change, create_log
from leadline.match.manifest import LogFile, Manifest, save_manifest
from leadline.match.merge import MergeResult, is_merge_due
from leadline.match.records import FAMILY_CODES, KIND_CODES, NO_QUALITY, U8, Records
from leadline.match.search import MAX_RADIUS_BITS, Hit, nearest_hits
from leadline.match.snapshot import Snapshot, load_snapshot
from leadline.match.verify import find_faults
from leadline.match.writing import Writer, disk_error


class Bank:
    """An open bank. Safe to use from several threads; reading methods see the state of the last `refresh`."""

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        clock: Callable[[], float],
        kinds: Mapping[str, FingerprintKind] | None,
        lock_timeout_s: float,
        warm_bytes: int | None = None,
    ) -> None:
        self._clock, self._given_kinds = clock, kinds
        prepare = None if warm_bytes is None else lambda snapshot: snapshot.prepare(self.now(), warm_bytes)
        self._writer = Writer(snapshot, lock_timeout_s, prepare)
        self._merger: threading.Thread | None = None

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        name: str,
        kind: Kind,
        radius_bits: int = DEFAULT_RADIUS_BITS,
        quality_floor: int = DEFAULT_QUALITY_FLOOR,
        source: str = "",
        tlp: Tlp = Tlp.AMBER_STRICT,
        licence: str = "",
        clock: Callable[[], float] = time.time,
        kinds: Mapping[str, FingerprintKind] | None = None,
        lock_timeout_s: float = 10.0,
    ) -> Bank:
        """Make an empty bank. ConfigError for values out of range, BankError where something is there already."""
        _check_name(name)
        _check_settings(name, radius_bits, quality_floor, source, licence)
        _make_folder(path)
        with hold_lock(path, WRITE_LOCK, lock_timeout_s):
            if (path / manifests.FILE_NAME).exists():
                raise BankError("a bank is already there", where=str(path), mend="open it, or give another folder")
            remove_leftovers(path, set())
            create_log(path / log_name(1))
            manifest = Manifest(
                name=name,
                kind=kind,
                radius_bits=radius_bits,
                quality_floor=quality_floor,
                source=source,
                tlp=tlp,
                licence=licence,
                created=int(clock()),
                list_version=0,
                next_id=1,
                next_file=2,
                segments=(),
                logs=(LogFile(1, HEADER_BYTES),),
            )
            save_manifest(path, manifest)
        return cls.open(path, clock=clock, kinds=kinds, lock_timeout_s=lock_timeout_s)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        clock: Callable[[], float] = time.time,
        kinds: Mapping[str, FingerprintKind] | None = None,
        lock_timeout_s: float = 10.0,
        warm_bytes: int | None = None,
    ) -> Bank:
        """Open a bank. BankNotFound, BankCorrupt. Reads what changed since the last merge; maps the rest.

        clock       seconds since 1970: decides what is disabled, dates what is added
        kinds       fingerprint plug-ins; None: those installed
        warm_bytes  for a service: each state is made ready before the first search meets it, whoever changed the bank,
                    with its indexes mapped where they are no larger than that; None: searches make ready what they meet
        """
        opened = load_snapshot(Path(path))
        return cls(opened, clock=clock, kinds=kinds, lock_timeout_s=lock_timeout_s, warm_bytes=warm_bytes)

    @property
    def snapshot(self) -> Snapshot:
        """The state readers see: immutable, for matcher, info and verify."""
        return self._writer.snapshot

    @property
    def path(self) -> Path:
        return self.snapshot.folder

    @property
    def name(self) -> str:
        return self.snapshot.manifest.name

    @property
    def kind(self) -> Kind:
        return self.snapshot.manifest.kind

    @property
    def radius_bits(self) -> int:
        return self.snapshot.manifest.radius_bits

    @property
    def quality_floor(self) -> int:
        return self.snapshot.manifest.quality_floor

    @property
    def list_version(self) -> int:
        """Grows by one with each acknowledged change."""
        return self.snapshot.list_version

    @property
    def count(self) -> int:
        """Entries that are not removed."""
        return self.snapshot.alive_count

    @property
    def index_bytes(self) -> int:
        """Of the stored segments' search indexes, which are mapped; changes since the last merge are not among them."""
        return sum(segment.index_table.size_bytes for segment in self.snapshot.stored.values())

    @property
    def changed_at(self) -> float:
        """When the bank was last written, by change or merge (seconds since 1970). OSError where it is not there."""
        snapshot = self.snapshot
        paths = (snapshot.log_path, snapshot.folder / manifests.FILE_NAME)
        return max(path.stat().st_mtime for path in paths)

    @cached_property
    def kinds(self) -> Mapping[str, FingerprintKind]:
        """The fingerprint plug-ins this bank checks and compares with."""
        return load_kinds() if self._given_kinds is None else self._given_kinds

    def now(self) -> int:
        return int(self._clock())

    def refresh(self) -> bool:
        """Pick up what others changed; True where something did. Two stats where nothing did."""
        return self._writer.refresh()

    def add(
        self, entries: Iterable[Entry | LeadlineError], *, threads: int = 1, most_in_log: int | None = None
    ) -> AddResult:
        """Add entries; all of them are synced, and match, when this returns, or none is there.

        An entry keeps the id it brings where that is free, else it gets a new one. What cannot be taken is in
        `refused`, by position; an error among the entries (a reader's bad record) counts as refused. Streams:
        memory is bounded however long the input. Raises BankLocked, BankError (disk full: nothing was added).

        most_in_log  more than so many at once become a segment (None: 100,000); a log lies in the memory of each
                     reader
        """
        refusals, spills = Refusals(), Spills(self.path)
        now = self.now()
        admission = Admission(self.kinds, refusals, now)
        source = iter(entries)
        try:
            while chunk := list(islice(source, 1000)):
                packed = pack_entries(chunk, self.kinds, now)
                if packed is not None:
                    admission.extend(packed)
                else:
                    for entry in chunk:
                        admission.offer(entry)
                if admission.count >= SPILL_ENTRIES:
                    spills.put(admission.take())
            last = admission.take()
            parts = [*spills.parts(), Part(last)] if last.count else spills.parts()
            return self._writer.add_parts(parts, refusals, threads, most_in_log)
        except OSError as error:
            raise disk_error(error, self.path) from error
        finally:
            spills.discard()

    def add_pdq_array(
        self,
        hashes: U8,
        *,
        quality: U8 | None = None,
        first_id: int | None = None,
        kind: Kind | None = None,
        family: PdqFamily = PdqFamily.B,
        threads: int = 1,
    ) -> AddResult:
        """Add N entries that are only a PDQ hash, quickly.

        hashes    uint8 (N, 32)
        quality   uint8 (N,) 0..100, or None where unknown
        first_id  they get first_id, first_id + 1, ... where free; None: the next free ids
        kind      of all of them; None: the bank's
        """
        count = len(hashes)
        if hashes.dtype != np.uint8 or hashes.shape != (count, PDQ_BYTES):
            raise HashFormatError("PDQ hashes are uint8 rows of 32 bytes", where=f"shape {hashes.shape}")
        if quality is not None and (quality.shape != (count,) or (count and int(quality.max()) > 100)):
            raise InputError("quality is uint8 (N,) of 0..100", where=f"shape {quality.shape}")
        if not 0 <= (first_id or 0) <= MAX_ID - count:
            raise InputError(f"first id {first_id}", mend=f"ids are 1..{MAX_ID}")
        sections = column_sections(
            {
                "kind": np.full(1, KIND_CODES[kind or self.kind], np.uint8),
                "family": np.full(1, FAMILY_CODES[family], np.uint8),
                "quality": np.full(1, NO_QUALITY, np.uint8) if quality is None else quality,
                "radius": np.zeros(1, np.uint8),
                "disabled": np.zeros(1, np.int64),
                "added": np.full(1, self.now(), np.int64),
            }
        )
        wished = np.zeros(count, np.int64) if first_id is None else np.arange(first_id, first_id + count)
        sections |= {"ids": wished, f"print.pdq.{PDQ_BYTES}": hashes}
        try:
            return self._writer.add_parts([Part(Records(sections, "new entries"))], Refusals(), threads)
        except OSError as error:
            raise disk_error(error, self.path) from error

    def update(self, entries: Iterable[Entry]) -> AddResult:
        """Replace entries by id: each must name an entry that is there, else it is refused. One change."""
        refusals = Refusals()
        with self._writer.writing():
            admission = Admission(self.kinds, refusals, self.now())
            for entry in only_existing(self.snapshot, list(entries)):
                admission.offer(entry)
            records = admission.take()
            if records.count:
                unchanged = AssignedIds(records.ids, np.empty(0, np.int64), self.snapshot.next_id)
                self._writer.append(Change.REPLACE, frame_sections(records, unchanged))
        return AddResult(records.ids.tolist(), records.count, refusals.kept, refusals.count, refusals.hashes)

    def remove(self, ids: Iterable[int]) -> int:
        """Remove entries at once; returns how many were there. Unknown ids are passed over."""
        wanted = np.unique(np.fromiter((i for i in ids if 0 < i <= MAX_ID), np.int64))
        with self._writer.writing():
            alive = wanted[self.snapshot.holds(wanted)]
            if len(alive):
                self._writer.append(Change.REMOVE, {"ids": alive})
        return len(alive)

    def set_settings(
        self,
        *,
        name: str | None = None,
        kind: Kind | None = None,
        tlp: Tlp | None = None,
        radius_bits: int | None = None,
        quality_floor: int | None = None,
        source: str | None = None,
        licence: str | None = None,
        threads: int = 1,
    ) -> bool:
        """Change what is given (None: leave it); whether anything changed. Counts as one change of the list.

        What entries say of themselves stays: their kind, TLP and source, and the radius of each false positive.
        Another quality floor makes the segments anew, because their index leaves out what lies below it; writers
        wait meanwhile. ConfigError for values out of range, BankLocked where a merge or writer is at work.
        """
        given = {
            "name": name, "kind": kind, "tlp": tlp, "radius_bits": radius_bits, "quality_floor": quality_floor,
            "source": source, "licence": licence,
        }  # fmt: skip
        with self._writer.merging(), self._writer.writing():
            before = self.snapshot.manifest
            wanted = msgspec.structs.replace(before, **{k: v for k, v in given.items() if v is not None})
            if wanted == before:
                return False
            if wanted.name != before.name:
                _check_name(wanted.name)
            _check_settings(wanted.name, wanted.radius_bits, wanted.quality_floor, wanted.source, wanted.licence)
            try:
                self._writer.apply_settings(wanted, threads)
            except OSError as error:
                raise disk_error(error, self.path) from error
        return True

    def merge(self, *, threads: int = 1, gently: bool = False, only_due: bool = False) -> MergeResult:
        """Put log and segments into one segment. Readers are never disturbed; writers wait only for two moments.

        gently    from here on give way to whoever else wants the processor (`match/gentle.py`): in a process of its own
        only_due  nothing is done where none is due any more
        BankLocked where another merge is at work.
        """
        with self._writer.merging():
            self.refresh()
            if only_due and not self.is_merge_due:
                segments = len(self.snapshot.stored)
                return MergeResult(False, self.count, segments, segments)
            try:
                return self._writer.merge(threads, gently=gently)
            except OSError as error:
                raise disk_error(error, self.path) from error

    @property
    def is_merge_due(self) -> bool:
        """Whether recent changes weigh enough to be merged (see `match/merge.py`)."""
        return is_merge_due(self.snapshot)

    def merge_in_background(self, *, is_waited_for: bool = False) -> threading.Thread | None:
        """Start a merge in a process of its own where one is due and none of ours goes on. It gives way to all else,
        outlives this process, and does nothing where another is at work. What waits for it, or None.

        is_waited_for  by a caller whose own memory is short, say: it is done in any case, and gives way to nobody
        """
        goes_on = self._merger is not None and self._merger.is_alive()
        if not (is_waited_for or self.is_merge_due) or not sys.executable or goes_on:
            return None
        self._merger = start_merger(self.path, is_waited_for=is_waited_for)
        return self._merger

    def verify(self) -> list[str]:
        """Every checksum and invariant, as sentences; [] where the bank is sound. Reads the whole bank."""
        self.refresh()
        return find_faults(self.snapshot)

    def entries(self) -> Iterator[Entry]:
        """All entries that are not removed, in the order they came (after a merge; recent ones last)."""
        for table in self.snapshot.tables:
            yield from table.records.entries(table.alive_rows())

    def entries_after(self, entry_id: int, limit: int) -> list[Entry]:
        """At most `limit` entries with greater ids, by id: one page of a long list, whatever its length."""
        return find_after(self.snapshot, entry_id, limit)

    def get(self, entry_id: int) -> Entry:
        """One entry. BankError where there is none of that id."""
        wanted = np.array([entry_id if 0 < entry_id <= MAX_ID else 0], np.int64)
        for table in self.snapshot.tables:
            row = int(table.records.find_rows(wanted)[0])
            if row >= 0 and (table.dead is None or not table.dead[row]):
                return table.records.entry(row)
        raise BankError("no such entry", where=f"{self.name}/{entry_id}", mend="see `leadline bank list`")

    def info(self) -> BankInfo:
        """Counts, sizes and settings; see BankInfo."""
        return describe_bank(self.snapshot, self.kinds, self.now())

    def find_pdq(
        self, hashes: U8 | list[bytes], radius_bits: int, *, threads: int = 1, limit: int = 100
    ) -> list[list[Hit]]:
        """Per query the nearest entries, at most `limit`; false-positive entries within their own radius."""
        return nearest_hits(self.snapshot, hashes, radius_bits, self.now(), threads=threads, limit=limit)


def _check_name(name: str) -> None:
    if not manifests.is_bank_name(name):
        raise ConfigError("not a name for a bank", where=name[:40], mend="1..200 printable characters, no /")
    if (length := len(name.encode())) > manifests.MAX_NAME_BYTES:
        mend = f"at most {manifests.MAX_NAME_BYTES} bytes of UTF-8"
        raise ConfigError(f"a name of {length} bytes for a bank", where=name[:40], mend=mend)


def _check_settings(name: str, radius_bits: int, quality_floor: int, *texts: str) -> None:
    if not 0 <= radius_bits <= MAX_RADIUS_BITS:
        raise ConfigError(f"radius {radius_bits}", where=name, mend=f"it is 0..{MAX_RADIUS_BITS} bits")
    if not 0 <= quality_floor <= 100:
        raise ConfigError(f"quality floor {quality_floor}", where=name, mend="it is 0..100")
    if any(text.encode("utf-8", "replace").decode() != text for text in texts):
        raise ConfigError("a source or licence that is not UTF-8", where=name, mend="give valid UTF-8")


def _make_folder(path: Path) -> None:
    try:
        make_folder(path)
        strangers = [n for n in os.listdir(path) if n != manifests.FILE_NAME and not is_bank_file(n)]
    except OSError as error:
        raise BankError(f"no bank can be made there: {error.strerror}", where=str(path)) from error
    if strangers:
        raise BankError("the folder holds other things", where=str(path), mend="give a new folder")
