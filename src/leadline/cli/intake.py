"""Inputs of a bank (lists, folders of media, single files) -> typed entries or faults. Writes no bank."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from leadline.cli.files import Named, walk_files
from leadline.domain import Entry, Isolation, Kind, PdqFamily
from leadline.errors import HashRefused, InputError, LeadlineError
from leadline.exchange.base import MAX_TEXT_CHARS, EntryDefaults
from leadline.exchange.detect import HEAD_BYTES, ListFormat, detect_format
from leadline.exchange.lists import read_list
from leadline.match.fingerprints import load_kinds
from leadline.media.client import Sandbox
from leadline.media.limits import Limits
from leadline.scan.names import show_name

if TYPE_CHECKING:
    from leadline.scan.hashing import FileFacts, FileHasher

Taken = Entry | LeadlineError
MEDIA = "media"


@dataclass(slots=True)
class Intake:
    """Reads inputs one after the other.

    kinds_by_label  label -> kind of its entries, or None: leave them out
    left_out        how many were
    files           how many media files were hashed; one may give several entries (frames, composites)
    isolation       what they were decoded in; None where there were none
    unknown         what nobody here knows of what the lists told, and how often
    """

    defaults: EntryDefaults
    limits: Limits
    unsafe: bool = False
    format: ListFormat | None = None
    kinds_by_label: Mapping[str, Kind | None] = field(default_factory=dict)
    left_out: int = 0
    files: int = 0
    isolation: Isolation | None = None
    unknown: Counter[str] = field(default_factory=Counter)
    _was_left_out: bool = False

    def read(self, path: str) -> Iterator[Taken]:
        """Entries of one input, and its faults; what was read before a fault stands."""
        try:
            for item in self._read(path):
                placed = self._place(item)
                if placed is not None:
                    yield placed
        except OSError as error:
            what = f"could not be read on: {os.strerror(error.errno or 0).lower()}"
            yield InputError(what, where=shown_input(path), mend="check the file and its permissions")

    def _read(self, path: str) -> Iterator[Taken]:
        with ExitStack() as stack:
            stream, kind = self._open(path, stack)
            if stream is None:
                yield from self._hash_media(path)
            else:
                place = None if path == "-" else Path(path)
                where = shown_input(path)
                yield from read_list(kind, stream, place, where=where, defaults=self.defaults, unknown=self.unknown)

    def _open(self, path: str, stack: ExitStack) -> tuple[BinaryIO | None, ListFormat]:
        """The stream of a list and its format, or None for media."""
        if path != "-" and os.path.isdir(path):
            return None, ListFormat.TEXT
        stream: BinaryIO = sys.stdin.buffer if path == "-" else stack.enter_context(open(path, "rb"))
        buffered = _Peeked(stream)
        kind = self.format or detect_format(buffered.head, os.path.splitext(path)[1])
        if kind is None and path == "-":
            raise InputError(
                "no list format recognised", where="standard input", mend="say which: --format csv, text, vics ..."
            )
        return (None, ListFormat.TEXT) if kind is None else (buffered, kind)  # type: ignore[return-value]

    def _place(self, item: Taken) -> Taken | None:
        if isinstance(item, HashRefused) and self._was_left_out:
            return None  # of the entry before it, which nobody wants
        self._was_left_out = False
        if isinstance(item, LeadlineError) or item.label not in self.kinds_by_label:
            return item
        kind = self.kinds_by_label[item.label]
        if kind is None:
            self.left_out += 1
            self._was_left_out = True
            return None
        return msgspec.structs.replace(item, kind=kind)

    def _hash_media(self, path: str) -> Iterator[Taken]:
        from leadline.scan.hashing import FileHasher

        with Sandbox(self.limits, unsafe=self.unsafe) as sandbox:
            hasher = FileHasher(
                sandbox, families=frozenset({PdqFamily.B}), dihedral=False, kinds=load_kinds().values(),
                limits=self.limits,
            )  # fmt: skip
            self.isolation = sandbox.isolation
            for named in walk_files([path]):
                self.files += 1
                yield from self._hash_one(hasher, named)

    def _hash_one(self, hasher: FileHasher, named: Named) -> Iterator[Taken]:
        if named.fault is not None:
            yield named.fault
            return
        facts = hasher.hash_path(named.path)
        if facts.fingerprints.exact:
            yield from media_entries(facts, show_name(named.shown), self.defaults)
        if facts.error is not None:
            yield replace_where(facts.error, show_name(named.shown))


def shown_input(path: str) -> str:
    return "standard input" if path == "-" else show_name(os.fsencode(path))


def replace_where(error: LeadlineError, where: str) -> LeadlineError:
    error.where = error.where or where
    return error


def media_entries(facts: FileFacts, name: str, defaults: EntryDefaults) -> Iterator[Entry]:
    """One entry for the file and its first view; one more, of PDQ alone, for each other view unlike it."""
    views = [view for view in facts.fingerprints.views if view.pdq]
    seen: set[bytes] = set()
    whole = Entry(
        kind=defaults.kind, fingerprints=dict(facts.fingerprints.exact), source=defaults.source,
        source_id=name[:MAX_TEXT_CHARS], licence=defaults.licence, scheme=defaults.scheme, label=defaults.label,
        tlp=defaults.tlp,
    )  # fmt: skip
    for view in views:
        value = view.pdq[0]
        if value in seen:
            continue
        prints = {**({} if seen else facts.fingerprints.exact), "pdq": value, **view.others}
        source_id = whole.source_id if not seen else f"{whole.source_id} ({view.view})"
        seen.add(value)
        yield msgspec.structs.replace(
            whole, fingerprints=prints, quality=view.quality, pdq_family=view.family, source_id=source_id
        )
    if not views:
        yield whole


class _Peeked:
    """A stream whose first bytes have been looked at; works for pipes, which cannot go back."""

    def __init__(self, untrusted: BinaryIO) -> None:
        self._untrusted = untrusted
        self.head = b""
        while len(self.head) < HEAD_BYTES and (more := untrusted.read(HEAD_BYTES - len(self.head))):
            self.head += more
        self._left = self.head

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            return self._untrusted.read(size)
        if size < 0:
            given, self._left = self._left + self._untrusted.read(), b""
        else:
            given, self._left = self._left[:size], self._left[size:]
        return given
