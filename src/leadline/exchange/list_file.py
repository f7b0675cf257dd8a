"""A list in a file or folder on this machine: each pull tells it whole, and what its file no longer has is gone here.

Reads files and nothing else: writes none, follows nothing that a list names.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import msgspec
from pydantic import Field

from leadline.domain import Entry, Kind, PdqFamily
from leadline.errors import (
    ConfigError,
    HashesUnknown,
    HashRefused,
    LeadlineError,
    ListBroken,
    SourceBroken,
    SourceUnavailable,
)
from leadline.exchange.base import EntryDefaults, HashType, RawRecord, metadata_text
from leadline.exchange.connector import Checked, Checkpoint, ListConnector, Options, Page, Record, RootedPath
from leadline.exchange.detect import HEAD_BYTES, ListFormat, detect_format
from leadline.exchange.list_keys import Keys, key_of, key_of_id
from leadline.exchange.lists import read_list

PAGE_RECORDS = 1000  # several pages are read ahead
CLEARING = frozenset({Kind.BENIGN, Kind.FALSE_POSITIVE})  # they take matches away
_CHUNK_BYTES = 1 << 20
_SHORT_CHARS = 900  # four bytes each at most
_UNFINISHED = (".part", ".tmp", "~")
_encode = msgspec.json.Encoder().encode


class ListFileOptions(Options):
    """path: a file, or a folder whose files are read in the order of names. format: where content does not show it.

    hash_type: what 64 digits without a prefix are. takes_clearing: take benign and false-positive entries, too, where
    the source's own kind is another.
    """

    path: RootedPath = Field()
    format: ListFormat | None = None
    hash_type: HashType = HashType.BOTH
    pdq_family: PdqFamily = PdqFamily.B
    takes_clearing: bool = False


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What a file was when it was read. sha256: hex digits; empty for a database, which is not read as bytes."""

    name: str
    size: int
    changed: tuple[int, int, int]  # mtime_ns, ctime_ns, inode
    sha256: str = ""

    @classmethod
    def of(cls, name: str, told: os.stat_result, sha256: str = "") -> _Stamp:
        return cls(name, told.st_size, (told.st_mtime_ns, told.st_ctime_ns, told.st_ino), sha256)


class ListFile(ListConnector):
    name: ClassVar = "list-file"
    title: ClassVar = "A list in a file or folder on this machine"
    unverified: ClassVar = (
        "VICS: its shape follows public readers and writers; the official schema is shared under agreement only",
        "ICSE: columns as IPED reads them",
    )
    options_type: ClassVar = ListFileOptions
    options: ListFileOptions

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        options = self.options
        self.defaults = dataclasses.replace(self.defaults, hash_type=options.hash_type, pdq_family=options.pdq_family)

    def check(self) -> Checked:
        notes = []
        for path in self._files():
            with _opened(path) as stream:
                kind = self._format_of(stream.read(HEAD_BYTES), path)
            notes.append(f"{path.name}: {kind or 'no list format recognised'}")
        return Checked(str(self.options.path), tuple(notes))

    def pull(self, checkpoint: Checkpoint | None) -> Iterator[Page]:
        """Whole, or one empty page where the files are as the checkpoint says.

        SourceUnavailable where a file is not there or changes while it is read; SourceBroken for a list that ends where
        it should not, or holds nothing: then nothing is taken for withdrawn.
        """
        files = self._files()
        stamps = self._unchanged(files, _read_stamps(checkpoint))
        if stamps is not None:
            yield Page((), _checkpoint(stamps), is_last=True)
            return
        telling = _Telling(self.defaults, takes_all=self.options.takes_clearing or self.defaults.kind in CLEARING)
        begins = True
        for path in files:
            for _ in self._tell(path, telling):
                yield telling.page(begins_whole=begins)
                begins = False
        if telling.broken is not None or not telling.told:
            yield telling.page(begins_whole=begins)
            raise self._refusal(telling)
        yield telling.page(begins_whole=begins, is_last=True)

    def _refusal(self, telling: _Telling) -> SourceBroken:
        if telling.broken is not None:
            what = f"{telling.broken.what}, so nothing was taken for withdrawn"
            return SourceBroken(what, where=telling.broken.where, mend=telling.broken.mend, code="cut-short")
        mend = "a list of harmless files needs --kind benign; where the list is over for good, remove this source"
        return SourceBroken("no entry in it", where=str(self.options.path), mend=mend)

    # --- files --------------------------------------------------------------------------------------------------------

    def _files(self) -> list[Path]:
        path = self.options.path
        with _reachable(path):
            if not stat.S_ISDIR(path.stat().st_mode):
                return [path]
            found = sorted(one for one in path.iterdir() if _is_list_name(one.name) and one.is_file())
        if not found:
            raise SourceUnavailable("the folder is empty", where=str(path), mend="is what should be there mounted?")
        return found

    def _format_of(self, untrusted_head: bytes, path: Path) -> ListFormat | None:
        return self.options.format or detect_format(untrusted_head, path.suffix)

    def _name_of(self, path: Path) -> str:
        return "" if path == self.options.path else path.name

    def _unchanged(self, files: list[Path], before: Mapping[str, _Stamp]) -> list[_Stamp] | None:
        """The files' stamps as they are now, where each holds what it held. Same size and times: it is the same."""
        if [self._name_of(path) for path in files] != list(before):
            return None
        stamps = []
        for path, held in zip(files, before.values(), strict=True):
            with _opened(path) as stream:
                now = _Stamp.of(held.name, os.fstat(stream.fileno()), held.sha256)
                is_same = now == held or (now.size == held.size and held.sha256 == _digest(stream))
            if not is_same:
                return None
            stamps.append(now)
        return stamps

    # --- records ------------------------------------------------------------------------------------------------------

    def _tell(self, path: Path, telling: _Telling) -> Iterator[None]:
        """Stops whenever a page is full."""
        name = self._name_of(path)
        with _opened(path) as stream:
            before = os.fstat(stream.fileno())
            kind = self._format_of(stream.read(HEAD_BYTES), path)
            stream.seek(0)
            if kind is None:
                telling.pass_over(path, is_only=not name)
            else:
                hashed = _Hashed(stream)
                prefix = f"{name}:" if name else ""
                for item in read_list(
                    kind, io.BufferedReader(hashed), path,
                    where=path.name, defaults=self.defaults, unknown=telling.unknown, raw=telling.raw,
                ):  # fmt: skip
                    telling.take(item, prefix)
                    if telling.is_full:
                        yield
                sha256 = "" if kind is ListFormat.NSRL_DATABASE else hashed.finish()
                telling.stamps.append(_Stamp.of(name, before, sha256))
            if _Stamp.of(name, before) != _Stamp.of(name, os.fstat(stream.fileno())):
                raise SourceUnavailable("it changed while it was read", where=str(path), mend="pull again")


@dataclass(slots=True)
class _Telling:
    """One telling of the whole list, page by page."""

    defaults: EntryDefaults
    takes_all: bool
    told: int = 0
    broken: ListBroken | None = None
    stamps: list[_Stamp] = field(default_factory=list)
    raw: RawRecord = field(default_factory=RawRecord)
    _keys: Keys = field(default_factory=Keys)
    _waiting: list[tuple[str, bytes, bytes, Entry | Mapping[str, str]]] = field(default_factory=list)
    _faults: list[LeadlineError] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    _was_left_out: bool = False

    @property
    def is_full(self) -> bool:
        return len(self._waiting) + len(self._faults) >= PAGE_RECORDS

    def pass_over(self, path: Path, *, is_only: bool) -> None:
        if is_only:
            mend = "say which format it has: --option format=..."
            self.broken = ListBroken("no list format recognised", where=path.name, mend=mend)
        else:
            self.unknown[f"file {path.suffix.lower()[:20] or path.name[:20]}"] += 1

    def take(self, item: Entry | LeadlineError, prefix: str) -> None:
        if isinstance(item, ListBroken):
            self.broken = self.broken or item
        elif isinstance(item, HashesUnknown):
            self.told += 1
            raw = self.raw.digest()
            key = key_of_id(item.source_id) if item.source_id else f"unknown:{raw.hex()}"
            self._waiting.append((prefix + key, raw, raw, item.kept))
        elif isinstance(item, LeadlineError):
            if not (isinstance(item, HashRefused) and self._was_left_out):
                self._faults.append(item)
        else:
            self._was_left_out = item.kind in CLEARING and not self.takes_all
            if self._was_left_out:
                self.unknown[f"kind {item.kind}"] += 1
            else:
                self.told += 1
                digest = hashlib.sha256(_encode(item)).digest()
                self._waiting.append((prefix + key_of(item), digest, self.raw.digest(), item))

    def page(self, *, begins_whole: bool, is_last: bool = False) -> Page:
        waiting, faults, unknown = self._waiting, self._faults, dict(self.unknown)
        self._waiting, self._faults = [], []
        self.unknown.clear()
        keys = self._keys.make_distinct([(key, digest) for key, digest, _, _ in waiting])
        records = [_record(key, *told[1:]) for key, told in zip(keys, waiting, strict=True)]
        checkpoint = _checkpoint(self.stamps if is_last else [])
        return Page(records, checkpoint, faults, unknown, begins_whole=begins_whole, is_last=is_last)


def _record(key: str, digest: bytes, raw: bytes, entry: Entry | Mapping[str, str]) -> Record:
    """digest: of all that was read of it, the list's own head among it; raw: of what stands in the file."""
    if not isinstance(entry, Entry):
        return Record(key, raw, None, entry)
    made = msgspec.structs.replace(entry, id=None, source_id=key, metadata=_with_digest(raw, entry.metadata))
    return Record(key, hashlib.sha256(digest + raw).digest(), made)


def _with_digest(digest: bytes, metadata: str) -> str:
    """{"record": ...} before the rest: what docs/lists.md says how to compute from the file."""
    if len(metadata) <= _SHORT_CHARS and '"record":' not in metadata:  # joined as text, at each entry of a long list
        return f'{{"record":"{digest.hex()}"{"," + metadata[1:] if len(metadata) > 2 else "}"}'
    facts = msgspec.json.decode(metadata)
    facts.pop("record", None)  # of the list that this one was made of
    told = metadata_text({"record": digest.hex(), **facts})
    return told if "record" in told[:12] else metadata_text({"record": digest.hex(), "left_out": len(facts)})


def _checkpoint(stamps: list[_Stamp]) -> dict[str, Any]:
    return {"files": [[one.name, one.size, list(one.changed), one.sha256] for one in stamps]}


def _read_stamps(checkpoint: Checkpoint | None) -> dict[str, _Stamp]:
    told = (checkpoint or {}).get("files", [])
    return {name: _Stamp(name, size, tuple(changed), sha256) for name, size, changed, sha256 in told}


def _is_list_name(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(_UNFINISHED)


@contextmanager
def _reachable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"it cannot be read: {os.strerror(error.errno or 0).lower()}"
        raise SourceUnavailable(what, where=str(path), mend="check the path and its permissions") from error


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file, never one that waits for a writer. SourceUnavailable where it cannot be read, now or later."""
    with _reachable(path):
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as stream:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ConfigError("no file or folder of files", where=str(path), mend="give a file or a folder")
            yield stream


def _digest(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


class _Hashed(io.RawIOBase):
    """Passes a file on, and knows the digest of all of it at the end."""

    def __init__(self, untrusted: BinaryIO) -> None:
        self._untrusted, self._digest = untrusted, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._untrusted.read(len(buffer))
        self._digest.update(chunk)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def finish(self) -> str:
        while chunk := self._untrusted.read(_CHUNK_BYTES):
            self._digest.update(chunk)
        return self._digest.hexdigest()
