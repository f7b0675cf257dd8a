"""What a bank admits: checks typed entries and packs them into columns; writes nothing.

A hash of the empty file is refused (it would match every empty file); the rest of its entry stays.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np

from leadline.domain import (
    DEFAULT_RADIUS_BITS,
    EMPTY_FILE_DIGESTS,
    EXACT_ALGORITHMS,
    MAX_METADATA_BYTES,
    PDQ_BYTES,
    Entry,
    Kind,
)
from leadline.errors import HashFormatError, HashRefused, InputError, LeadlineError, sentence
from leadline.match.fingerprints import FingerprintKind
from leadline.match.records import COLUMNS, FAMILY_CODES, KIND_CODES, NO_FAMILY, NO_QUALITY, Detail, Records
from leadline.match.table import Array, Sections

MAX_ID = 2**53 - 1  # what a JSON number carries exactly
MAX_FALSE_POSITIVE_RADIUS_BITS = DEFAULT_RADIUS_BITS  # further out it would mark what it never saw
MAX_TEXT_BYTES = 65_536
MAX_TIME = 2**62
MAX_PRINT_BYTES = 4096
_PRINT_NAME = re.compile(r"[a-z0-9_-]{1,40}")
_KEPT_REFUSALS = 10_000
encode_texts = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Detail).decode
EMPTY_BLOB = encode_texts(Detail())
texts_of = attrgetter(*Detail.__struct_fields__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing not taken. `position` counts the inputs of the call from 0; `entry_kept`: the rest of it was."""

    position: int
    error: LeadlineError
    entry_kept: bool = False


@dataclass(slots=True)
class Refusals:
    """The first 10,000 refusals of a call, and how many there were: hostile input must not fill memory."""

    kept: list[Refusal] = field(default_factory=list)
    count: int = 0
    hashes: int = 0  # of them, single hashes out of entries that were taken

    def note(self, position: int, error: LeadlineError, *, entry_kept: bool = False) -> None:
        self.count += 1
        self.hashes += entry_kept
        if len(self.kept) < _KEPT_REFUSALS:
            self.kept.append(Refusal(position, error, entry_kept))


class Packed(NamedTuple):
    """Entries that were seen to be admissible. numbers: in the order of COLUMNS. ends: of each one's texts in `blobs`.
    prints: name -> fingerprints, and of which entry each is."""

    entry_count: int
    numbers: tuple[array[int], ...]
    ids: array[int]
    blobs: bytes
    ends: Sequence[int]
    prints: Mapping[str, tuple[list[bytes], array[int]]]


class Admission:
    """Collects admitted entries as columns; `take` hands over what was collected and starts anew."""

    def __init__(self, kinds: Mapping[str, FingerprintKind], refusals: Refusals, now: int) -> None:
        self._kinds, self._refusals, self._now = kinds, refusals, now
        self.position = 0
        self._was_taken = False
        self._reset()

    def _reset(self) -> None:
        self.count = 0
        self._numbers: dict[str, array[int]] = {name: array("B" if d == "u1" else "q") for name, d in COLUMNS.items()}
        self._ids = array("q")
        self._offsets, self._blobs = array("Q", [0]), bytearray()
        self._prints: dict[tuple[str, int], tuple[bytearray, array[int]]] = {}

    def offer(self, entry: Entry | LeadlineError) -> None:
        """Take one entry in, or note why not; an error (a reader's bad record) is noted as it is.

        A HashRefused is of the entry before it, and no input of its own.
        """
        if isinstance(entry, HashRefused):
            self._refusals.note(max(0, self.position - 1), entry, entry_kept=self._was_taken)
            return
        position, self.position, self._was_taken = self.position, self.position + 1, False
        if isinstance(entry, LeadlineError):
            self._refusals.note(position, entry)
            return
        try:
            faults, prints = self._admit_prints(entry)
            blob = _admit_texts(entry)
            numbers = self._admit_numbers(entry, prints)
        except InputError as error:
            self._refusals.note(position, error)
            return
        for fault in faults:
            self._refusals.note(position, fault, entry_kept=bool(prints))
        if prints:
            self._append(entry, numbers, blob, prints)
            self._was_taken = True

    def extend(self, packed: Packed) -> None:
        """Take in what another has checked (batch.py)."""
        self.position, self._was_taken = self.position + packed.entry_count, True
        for column, numbers in zip(self._numbers.values(), packed.numbers, strict=True):
            column.extend(numbers)
        self._ids.extend(packed.ids)
        begin = len(self._blobs)
        self._blobs += packed.blobs
        self._offsets.extend([begin + end for end in packed.ends])
        for name, (digests, rows) in packed.prints.items():
            values, numbered = self._column(name, len(digests[0]))
            values += b"".join(digests)
            numbered.extend(array("I", [self.count + row for row in rows]))
        self.count += packed.entry_count

    def take(self) -> Records:
        """The collected entries; their `ids` hold the wished-for ids, 0 where none."""
        sections = column_sections(
            {name: np.frombuffer(values, COLUMNS[name]) for name, values in self._numbers.items()}
        )
        sections["ids"] = np.frombuffer(self._ids, np.int64)
        if self._blobs:
            sections["offsets"] = np.frombuffer(self._offsets, np.uint64)
            sections["blobs"] = np.frombuffer(self._blobs, np.uint8)
        for (name, length), (values, rows) in self._prints.items():
            sections[f"print.{name}.{length}"] = np.frombuffer(values, np.uint8).reshape(-1, length)
            if len(rows) < self.count:
                sections[f"rows.{name}.{length}"] = np.frombuffer(rows, np.uint32)
        self._reset()
        return Records(sections, "new entries")

    def _admit_prints(self, entry: Entry) -> tuple[list[InputError], dict[str, bytes]]:
        faults: list[InputError] = []
        prints = {}
        for name, digest in entry.fingerprints.items():
            try:
                self._check_print(name, digest)
                prints[name] = digest
            except InputError as fault:
                faults.append(fault)
        if not prints and not faults:
            faults.append(InputError("an entry without a fingerprint", mend="give at least one hash"))
        return faults, prints

    def _check_print(self, name: str, digest: bytes) -> None:
        if not isinstance(digest, bytes):
            raise HashFormatError("a fingerprint is bytes", where=str(name)[:40])
        if name in EXACT_ALGORITHMS or name == "pdq":
            wanted = EXACT_ALGORITHMS.get(name, PDQ_BYTES)
        elif not _PRINT_NAME.fullmatch(name):
            raise HashFormatError("not a name of a fingerprint kind", where=str(name)[:40])
        else:
            wanted = self._kinds[name].length_bytes if name in self._kinds else len(digest)
        if len(digest) != wanted or not 0 < wanted <= MAX_PRINT_BYTES:
            raise HashFormatError(
                sentence("a hash of %(count)s bytes", count=len(digest)),
                where=name,
                mend=sentence("%(name)s has %(wanted)s bytes", name=name, wanted=wanted),
            )
        if name in EXACT_ALGORITHMS and digest in EMPTY_FILE_DIGESTS:
            raise HashFormatError("the hash of the empty file", where=name, mend="remove it from the list")

    def _admit_numbers(self, entry: Entry, prints: Mapping[str, bytes]) -> tuple[int, ...]:
        quality = NO_QUALITY if entry.quality is None else entry.quality
        if entry.kind not in KIND_CODES or entry.pdq_family not in FAMILY_CODES:
            raise InputError("no such kind or PDQ family", where=str(entry.kind)[:40])
        if entry.quality is not None and not (isinstance(quality, int) and 0 <= quality <= 100):
            raise InputError(sentence("quality %(quality)s", quality=quality), mend="quality is 0..100")
        if not 0 <= entry.radius_bits <= MAX_FALSE_POSITIVE_RADIUS_BITS:
            raise InputError(
                sentence("radius %(radius_bits)s", radius_bits=entry.radius_bits),
                mend=sentence("it is 0..%(most)s bits", most=MAX_FALSE_POSITIVE_RADIUS_BITS),
            )
        times = (entry.disabled_until, entry.added, entry.first_seen, entry.last_seen)
        if not all(isinstance(t, int) and 0 <= t < MAX_TIME for t in times):
            raise InputError("a time out of range", mend="times are whole seconds since 1970")
        family = FAMILY_CODES[entry.pdq_family] if "pdq" in prints else NO_FAMILY
        radius = entry.radius_bits if entry.kind == Kind.FALSE_POSITIVE else 0
        return KIND_CODES[entry.kind], family, quality, radius, entry.disabled_until, entry.added or self._now

    def _append(self, entry: Entry, numbers: tuple[int, ...], blob: bytes, prints: Mapping[str, bytes]) -> None:
        for column, number in zip(self._numbers.values(), numbers, strict=True):
            column.append(number)
        wished = entry.id or 0
        self._ids.append(wished if 0 <= wished <= MAX_ID else -1)
        self._blobs += blob
        self._offsets.append(len(self._blobs))
        for name, digest in prints.items():
            values, rows = self._column(name, len(digest))
            values += digest
            rows.append(self.count)
        self.count += 1

    def _column(self, name: str, length: int) -> tuple[bytearray, array[int]]:
        key = (name, length)
        if key not in self._prints:
            self._prints[key] = (bytearray(), array("I"))
        return self._prints[key]


def column_sections(columns: Mapping[str, Array]) -> Sections:
    """The hot columns as they are stored: one value where all rows share it."""
    return {name: shrink(values) for name, values in columns.items()}


def shrink(values: Array) -> Array:
    return values[:1] if len(values) > 1 and bool((values == values[0]).all()) else values


def _admit_texts(entry: Entry) -> bytes:
    detail = Detail(*texts_of(entry))
    if entry.metadata:
        _check_metadata(entry.metadata)
    try:
        blob = encode_texts(detail)
        if blob == EMPTY_BLOB:
            return b""
        _decode(blob)  # what is taken must be readable again
    except (UnicodeError, TypeError, OverflowError, msgspec.MsgspecError) as error:
        raise InputError(
            sentence("a text that cannot be stored: %(error)s", error=str(error)), mend="give valid UTF-8"
        ) from None
    if len(blob) > MAX_TEXT_BYTES:
        raise InputError(
            sentence("texts of %(count)s bytes", count=len(blob)),
            mend=sentence("at most %(most)s an entry", most=MAX_TEXT_BYTES),
        )
    return blob


def _check_metadata(text: str) -> None:
    try:
        raw = text.encode()
        if len(raw) > MAX_METADATA_BYTES:
            raise InputError(
                sentence("metadata of %(count)s bytes", count=len(raw)),
                mend=sentence("at most %(most)s", most=MAX_METADATA_BYTES),
            )
        msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
        raise InputError(
            sentence("metadata is not a JSON object: %(error)s", error=str(error)), mend="give {} or nothing"
        ) from None
