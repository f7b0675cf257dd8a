"""A file of contents: a head, then one line of JSON an entry or withdrawal, encrypted with age as a whole.

An entry says of itself where it comes from, under which licence, and who may see it. Notes and metadata of the
publisher's own stay with the publisher.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import pyrage

from leadline.domain import EXACT_ALGORITHMS, Entry, Kind, PdqFamily, Tlp
from leadline.errors import FeedRefused, HashFormatError, HashRefused, LeadlineError, ListFormatError, sentence
from leadline.exchange.base import (
    EntryDefaults,
    RecordHashes,
    kept_texts,
    parse_hex,
    record_metadata,
    shown_texts,
)
from leadline.exchange.connector import Record
from leadline.exchange.feed.keys import SubscriberKey
from leadline.match.admission import MAX_ID

FORMAT, VERSION = "leadline-feed", 1
PART_ENTRIES, PART_BYTES = 20_000, 8 << 20
MAX_PART_BYTES = 32 << 20  # one line more than PART_BYTES, and what age adds, stay far below
_KNOWN = frozenset({*EXACT_ALGORITHMS, "pdq"})
NO_PRINT = "entry without a fingerprint that is known here"
CLEARING = frozenset({Kind.BENIGN, Kind.FALSE_POSITIVE})  # kinds that take matches away
_MAX_PRINT_BYTES = 4096


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first line. feed, subscriber: whose this is. since, serial: from which state of the list to which; since 0:
    the whole list. part: from 0. proof: 64 hexadecimal digits; of a whole list its proof, else what is
    hashed onto the proof of `since` (receipts.py)."""

    format: str
    version: int
    feed: str
    subscriber: str
    since: int
    serial: int
    part: int
    proof: str


class Line(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An entry, or with `withdrawn` only its id. Times: seconds since 1970. Unknown fields are passed over.

    id               the publisher's number of it, the same for ever
    hashes           name -> hexadecimal digits
    source, source_id   where the publisher has it from, and what it is called there
    """

    id: int
    withdrawn: bool = False
    kind: Kind | None = None
    tlp: Tlp = Tlp.RED
    licence: str = ""
    source: str = ""
    source_id: str = ""
    scheme: str = ""
    label: str = ""
    hashes: dict[str, str] = {}
    pdq_family: PdqFamily = PdqFamily.B
    quality: int | None = None
    radius: int = 0
    first_seen: int = 0
    last_seen: int = 0


_encode = msgspec.json.Encoder(order="sorted").encode
_decode_head, _decode_line = msgspec.json.Decoder(Head).decode, msgspec.json.Decoder(Line).decode


class Provenance(NamedTuple):
    """What holds for entries that say nothing of it themselves."""

    source: str
    licence: str


def entry_line(entry: Entry, default: Provenance) -> bytes:
    """The line of an entry: equal entries give equal bytes."""
    return _encode(
        Line(
            id=entry.id or 0, kind=entry.kind, tlp=entry.tlp, licence=entry.licence or default.licence,
            source=entry.source or default.source, source_id=entry.source_id, scheme=entry.scheme, label=entry.label,
            hashes={name: value.hex() for name, value in entry.fingerprints.items()}, pdq_family=entry.pdq_family,
            quality=entry.quality, radius=entry.radius_bits, first_seen=entry.first_seen, last_seen=entry.last_seen,
        )
    )  # fmt: skip


def withdrawn_line(entry_id: int) -> bytes:
    return _encode(Line(id=entry_id, withdrawn=True))


def line_digest(line: bytes) -> bytes:
    return hashlib.sha256(line).digest()


def seal_part(head: Head, lines: Sequence[bytes], recipient: pyrage.x25519.Recipient) -> bytes:
    sealed: bytes = pyrage.encrypt(b"\n".join([_encode(head), *lines, b""]), [recipient])
    return sealed


def open_part(untrusted: bytes, key: SubscriberKey, where: str) -> tuple[Head, list[bytes]]:
    """Head and lines. FeedRefused where it is not for this key, or not in this form. Its bytes are the signed ones."""
    try:
        first, *lines = key.open(untrusted).split(b"\n")
    except pyrage.DecryptError:
        what = "contents that this key does not open"
        raise FeedRefused(
            what, where=where, mend="give the key whose card the publisher has", code="not-for-us"
        ) from None
    try:
        head = _decode_head(first)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise FeedRefused("contents of another form", where=where, mend="tell the publisher", code="damaged") from None
    if (head.format, head.version) != (FORMAT, VERSION):
        raise FeedRefused("contents of a newer form", where=where, mend="use a newer Leadline", code="damaged")
    if lines and not lines[-1]:
        lines.pop()
    return head, lines


@dataclass(slots=True)
class Reading:
    """Lines into records of the importer. kinds: fingerprint kinds that are installed, beside those always known.

    takes_clearing  whether entries may come in that take matches away; else they are passed over and counted
    """

    defaults: EntryDefaults
    kinds: frozenset[str]
    takes_clearing: bool
    publisher: str
    faults: list[LeadlineError] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)

    def records(self, lines: Iterable[bytes], where: str) -> Iterator[Record]:
        for number, untrusted in enumerate(lines, 2):
            try:
                yield self._record(read_line(untrusted), untrusted, f"{where}: line {number}")
            except ListFormatError as fault:
                fault.where = f"{where}: line {number}"
                self.faults.append(fault)

    def _record(self, line: Line, untrusted: bytes, where: str) -> Record:
        key, digest = str(line.id), line_digest(untrusted)
        if line.withdrawn:
            return Record(key, digest, None)
        if line.kind in CLEARING and not self.takes_clearing:
            self.unknown[f"kind {line.kind}"] += 1
            return Record(key, digest, None)
        hashes = self._hashes(line, where)
        if not hashes.found:
            self.unknown[NO_PRINT] += 1
            return Record(key, digest, None, kept_texts(hashes.others))
        return Record(key, digest, self._entry(line, digest, hashes))

    def _entry(self, line: Line, digest: bytes, hashes: RecordHashes) -> Entry:
        assert line.kind is not None
        quality = line.quality if line.quality is not None and 0 <= line.quality <= 100 else None
        return Entry(
            line.kind, hashes.found, pdq_family=line.pdq_family, quality=quality, scheme=line.scheme, label=line.label,
            source=self.defaults.source, source_id=str(line.id), licence=line.licence or self.defaults.licence,
            tlp=line.tlp, first_seen=max(0, line.first_seen), last_seen=max(0, line.last_seen),
            radius_bits=line.radius if line.kind is Kind.FALSE_POSITIVE else 0,
            metadata=record_metadata(digest, self._facts(line, hashes)),
        )  # fmt: skip

    def _facts(self, line: Line, hashes: RecordHashes) -> Mapping[str, object]:
        told = {
            "publisher": self.publisher, "origin": line.source, "origin_id": line.source_id,
            "fingerprints": shown_texts(hashes.others),
        }  # fmt: skip
        return {name: value for name, value in told.items() if value}

    def _hashes(self, line: Line, where: str) -> RecordHashes:
        """None are found where all are of kinds that nobody here knows."""
        hashes = RecordHashes()
        for name, text in line.hashes.items():
            if name in _KNOWN or name in self.kinds:
                hashes.take(lambda name=name, text=text: {name: _parse_print(name, text)})  # type: ignore[misc]
            else:
                hashes.keep_other(name, text)
        hashes.count_others(self.unknown)
        if hashes.faults or not hashes.others:
            hashes.require("an entry without a fingerprint", "tell the publisher")
        for fault in hashes.faults:
            what = sentence("%(what)s; the rest of its record stays", what=fault.what)
            self.faults.append(HashRefused(what, where=where, mend=fault.mend))
        return hashes


def read_line(untrusted: bytes) -> Line:
    """ListFormatError for one that is no entry and no withdrawal."""
    try:
        line = _decode_line(untrusted)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ListFormatError("a line that is no entry", mend="tell the publisher") from None
    if not 0 < line.id <= MAX_ID or (line.kind is None and not line.withdrawn):
        raise ListFormatError("an entry without number or kind", mend="tell the publisher")
    return line


def _parse_print(name: str, text: str) -> bytes:
    if name in _KNOWN:
        return parse_hex(name, text)
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if not 0 < len(value) <= _MAX_PRINT_BYTES:
        raise HashFormatError("a fingerprint that is no hexadecimal digits", mend="tell the publisher")
    return value
