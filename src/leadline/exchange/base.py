"""What list formats share: defaults, bounded reading, parsing of fields. Opens no file, decides nothing."""

from __future__ import annotations

import base64
import binascii
import codecs
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Any, BinaryIO, TypeAlias

import msgspec

from leadline.domain import EXACT_ALGORITHMS, MAX_METADATA_BYTES, PDQ_BYTES, Entry, Kind, PdqFamily, Tlp
from leadline.errors import HashesUnknown, HashFormatError, HashRefused, ListBroken, ListFormatError, sentence

MAX_LINE_BYTES = 1 << 20
MAX_RECORD_BYTES = 16 << 20
MAX_ENTRY_ID = 2**53 - 1
MAX_TEXT_CHARS = 1000  # of a note, a label, a name taken from a list
PHOTODNA_BYTES = 144
ABSENT = frozenset({"", "-", "null", "none", "n/a", "na", "nan"})  # words for nothing, in small letters
_CHUNK_BYTES = 1 << 18
_MAX_OTHERS, _MAX_OTHER_CHARS = 8, 300  # of fingerprints in a record that nobody here knows, and of one's text
_MAX_KEPT_CHARS = 4096  # of such a text where there is nothing else
_KEPT_NAMES = 200
_HASH_BYTES: Mapping[str, int] = {**EXACT_ALGORITHMS, "pdq": PDQ_BYTES}
_BY_DIGITS = {32: "md5", 40: "sha1"}


class HashType(StrEnum):
    """What 64 hexadecimal digits without a prefix are.

    Both: random bits never match wrongly as the other kind, and looking under one alone could miss.
    """

    BOTH = "both"
    PDQ = "pdq"
    SHA256 = "sha256"


@dataclass(frozen=True, slots=True)
class EntryDefaults:
    """What an entry gets where its record does not say. `scheme`, where given, holds for the whole list."""

    kind: Kind
    source: str = ""
    tlp: Tlp = Tlp.AMBER_STRICT
    licence: str = ""
    scheme: str = ""
    label: str = ""
    pdq_family: PdqFamily = PdqFamily.B
    hash_type: HashType = HashType.BOTH


def entry_fields(defaults: EntryDefaults) -> dict[str, Any]:
    """The fields of an Entry that its record did not give."""
    return {
        "kind": defaults.kind,
        "source": defaults.source,
        "tlp": defaults.tlp,
        "licence": defaults.licence,
        "scheme": defaults.scheme,
        "label": defaults.label,
        "pdq_family": defaults.pdq_family,
    }


def parse_hex(algorithm: str, text: str) -> bytes:
    """Hexadecimal digits of either case -> digest bytes. Raises HashFormatError; never repeats the digits."""
    want = 2 * _HASH_BYTES[algorithm]
    if len(text) == want:
        try:
            digest = bytes.fromhex(text)  # passes over spaces, so the length shows whether there were any
        except ValueError:
            digest = b""
        if 2 * len(digest) == want:
            return digest
    if len(text) != want:
        raise HashFormatError(
            sentence("%(algorithm)s has %(count)s characters", algorithm=algorithm, count=len(text)),
            mend=sentence("give %(want)s hexadecimal digits", want=want),
        )
    raise HashFormatError(
        sentence("%(algorithm)s holds characters that are no hexadecimal digits", algorithm=algorithm),
        mend=sentence("give %(want)s hexadecimal digits", want=want),
    )


_PREFIXED = re.compile(r"([A-Za-z][\w-]{0,30})(?::\s*|\s+)(\S+)")


def parse_hash(untrusted_text: str, hash_type: HashType = HashType.BOTH) -> dict[str, bytes]:
    """One hash -> {algorithm: bytes}, by its prefix (`pdq:`, `sha256 `, ...) or else by its length.

    64 digits without a prefix are `hash_type`; BOTH gives two algorithms with the same bytes.
    A file name after the digits, as md5sum and sha256sum print it, is left alone. Raises HashFormatError.
    """
    text = untrusted_text.strip().removeprefix("\\")  # md5sum marks a line with an escaped name so
    prefixed = _PREFIXED.fullmatch(text)
    if prefixed:
        algorithm = prefixed[1].lower().replace("-", "").removeprefix("video_")  # ThreatExchange's video_md5
        if algorithm not in _HASH_BYTES:
            raise HashFormatError(
                "the prefix names no kind of hash", mend="use md5:, sha1:, sha256: or pdq:, or no prefix"
            )
        return {algorithm: parse_hex(algorithm, prefixed[2])}
    digits = (text.split(None, 1) or [""])[0]
    if len(digits) == 64:
        names = ("sha256", "pdq") if hash_type is HashType.BOTH else (str(hash_type),)
        return {algorithm: parse_hex(algorithm, digits) for algorithm in names}
    if len(digits) not in _BY_DIGITS:
        raise HashFormatError(
            sentence("%(count)s characters are no hash", count=len(digits)),
            mend="give 32 (MD5), 40 (SHA-1) or 64 (SHA-256, PDQ) hexadecimal digits",
        )
    return {_BY_DIGITS[len(digits)]: parse_hex(_BY_DIGITS[len(digits)], digits)}


def parse_photodna(text: str) -> bytes:
    """288 hexadecimal digits or the base64 of 144 bytes -> bytes. Raises HashFormatError."""
    value = b""
    try:
        value = bytes.fromhex(text) if len(text) == 2 * PHOTODNA_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        pass
    if len(value) != PHOTODNA_BYTES:
        raise HashFormatError("photodna is not 144 bytes", mend="give base64 (192) or hexadecimal (288) characters")
    return value


def parse_tlp(text: str) -> Tlp:
    """`TLP:AMBER+STRICT`, `amber`, and WHITE of TLP 1.0 -> Tlp. Raises ListFormatError."""
    name = text.strip().lower().removeprefix("tlp:").strip()
    try:
        return Tlp("clear" if name == "white" else name)
    except ValueError:
        raise ListFormatError(
            "unknown TLP label", mend=sentence("use one of %(names)s", names=", ".join(Tlp))
        ) from None


_ODATA_TIME = re.compile(r"/Date\((-?\d{1,17})([+-]\d{4})?\)/")


def parse_time(text: str) -> int:
    """Seconds since 1970, ISO 8601 (no offset: UTC), or /Date(ms)/ -> seconds. Raises ListFormatError."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 11:
        return int(text)
    odata = _ODATA_TIME.fullmatch(text)
    try:
        if odata:  # the offset only says how to show it: the milliseconds are UTC already
            return max(0, int(odata[1]) // 1000)
        moment = datetime.fromisoformat(text)
        return max(0, int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))
    except (ValueError, OverflowError):
        raise ListFormatError(
            "a time cannot be read", mend="use seconds since 1970 or ISO 8601 (2026-11-23T20:15:01Z)"
        ) from None


def parse_whole(name: str, text: str, low: int, high: int) -> int:
    """Decimal digits within low..high. Raises ListFormatError."""
    if text.isascii() and text.isdigit() and len(text) <= 17 and low <= int(text) <= high:
        return int(text)
    raise ListFormatError(
        sentence("%(name)s is no whole number in %(low)s..%(high)s", name=name, low=low, high=high),
        mend="correct the field or leave it empty",
    )


def metadata_text(values: Mapping[str, object]) -> str:
    """JSON of the values; where that passes 4096 bytes, only how many were left out: {"left_out": n}."""
    if not values:
        return ""
    try:
        text = msgspec.json.encode(values).decode()  # ten times as fast as json, at each entry of a long list
    except UnicodeEncodeError:  # half a pair of surrogates
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode("utf-8", "surrogatepass")) <= MAX_METADATA_BYTES:
        return text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps({"left_out": len(values)})


def file_of(entry: Entry) -> tuple[str, int]:
    """Name and size in bytes of an entry's file, for lists that name files: the name is one line, 0 is no known size.

    An entry without a name goes by its source's id, or else its own.
    """
    try:
        facts = msgspec.json.decode(entry.metadata or "{}", type=dict[str, object])
    except msgspec.MsgspecError:
        facts = {}
    name = str(facts.get("filename") or entry.source_id or entry.id)
    told = facts.get("size", facts.get("MediaSize"))
    size = int(told) if isinstance(told, int) and 0 <= told < 1 << 63 else 0
    return "".join(c if c.isprintable() else "_" for c in name), size


def kept_texts(untrusted_others: Mapping[str, str]) -> dict[str, str]:
    """Fingerprints of unknown kinds, as they are kept where their record holds no other: the first eight kinds, 4096
    characters of each."""
    return {name: text[:_MAX_KEPT_CHARS] for name, text in islice(untrusted_others.items(), _MAX_OTHERS)}


def shown_texts(untrusted_others: Mapping[str, str]) -> dict[str, str]:
    """Such fingerprints as they stand in the metadata of an entry: 300 characters of each."""
    return {name: text[:_MAX_OTHER_CHARS] for name, text in untrusted_others.items()}


def record_digest(untrusted_record: object) -> bytes:
    """SHA-256 of a record of JSON, however its fields were ordered and spaced. ListFormatError beyond all depth."""
    try:
        text = json.dumps(untrusted_record, sort_keys=True, separators=(",", ":"), default=str)  # str: Decimal of ijson
    except RecursionError:  # reading stops at about the same depth, but not at exactly the same
        raise ListFormatError("nested too deeply", mend="tell the source") from None
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


@dataclass(slots=True)
class RawRecord:
    """What a reader of a list has just read, for whoever wants its digest: nobody pays for it else.

    lines  its lines as UTF-8, of a list of lines
    value  its JSON value, of a list in JSON; [column, ...] of a database
    known  its digest, where the reader has it
    """

    lines: bytes = b""
    value: object = None
    known: bytes = b""

    def digest(self) -> bytes:
        """32 bytes: SHA-256 of the lines without the last line end, or `record_digest`."""
        if self.known:
            return self.known
        if self.value is not None:
            return record_digest(self.value)
        return hashlib.sha256(self.lines.rstrip(b"\r\n")).digest()


def record_metadata(digest: bytes, values: Mapping[str, object]) -> str:
    """Metadata that always says which raw record an entry was made of; the rest while it is small."""
    text = metadata_text({"record": digest.hex(), **values})
    return text if '"record"' in text else metadata_text({"record": digest.hex(), "left_out": len(values)})


class _Recoded(io.RawIOBase):
    """Bytes of a list as UTF-8 without a byte-order mark; UTF-16 is recoded when it carries its mark."""

    def __init__(self, untrusted: BinaryIO, *, repair: bool) -> None:
        self._untrusted, self._ready, self._started, self._ended = untrusted, b"", False, False
        self._decoder: codecs.IncrementalDecoder | None = None
        self._repair = repair
        self._bare_returns = False

    def readable(self) -> bool:
        return True

    def _start(self, chunk: bytes) -> bytes:
        self._started = True
        while len(chunk) < 4 and (more := self._untrusted.read(4)):
            chunk += more
        if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
        elif self._repair:
            self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._bare_returns = b"\r" in chunk and b"\n" not in chunk  # "CSV (Macintosh)" of spreadsheets
        return chunk if self._decoder else chunk.removeprefix(codecs.BOM_UTF8)

    def _fill(self) -> None:
        chunk = self._untrusted.read(_CHUNK_BYTES)
        if not self._started:
            chunk = self._start(chunk)
        self._ended = not chunk
        if self._decoder is None:
            self._ready = chunk
        else:
            self._ready = self._decoder.decode(chunk, final=self._ended).encode("utf-8")
        if self._bare_returns:
            self._ready = self._ready.replace(b"\r", b"\n")

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready and not self._ended:
            self._fill()
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size


def recode(untrusted: BinaryIO, *, repair: bool = False) -> io.BufferedReader:
    """A stream of UTF-8 bytes without a mark. With `repair`, bytes that are no UTF-8 become U+FFFD."""
    return io.BufferedReader(_Recoded(untrusted, repair=repair), _CHUNK_BYTES)


def recode_head(untrusted_head: bytes) -> str:
    """The first bytes of a list as text."""
    reader = recode(io.BytesIO(untrusted_head), repair=True)
    return reader.read().decode("utf-8")


class BoundedRecords:
    """Passes a file on and stops a record that would not end: memory stays bounded whatever it holds.

    Its reader sets `since_record` to 0 after each record.
    """

    def __init__(self, untrusted: io.BufferedReader) -> None:
        self._untrusted, self.since_record = untrusted, 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._untrusted.read1(size)
        self.since_record += len(chunk)
        if self.since_record > MAX_RECORD_BYTES:
            raise ListFormatError(
                sentence("a record is larger than %(most)s bytes", most=MAX_RECORD_BYTES),
                mend="ask the sender for smaller records",
            )
        return chunk


Line: TypeAlias = tuple[int, bytes | None]


def numbered_lines(untrusted: BinaryIO) -> Iterator[Line]:
    """(line number from 1, line), MAX_LINE_BYTES in memory at most; None in place of a longer line."""
    reader = recode(untrusted)
    number = 0
    while line := reader.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := reader.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        else:
            yield number, line


def too_long(where: str) -> ListFormatError:
    return ListFormatError(
        sentence("a line is longer than %(most)s bytes", most=MAX_LINE_BYTES),
        where=where,
        mend="end each record with a line feed",
    )


def count_name(counter: Counter[str], name: str, count: int = 1) -> None:
    """Names come from outside, and there may be no end of them: the first 200, the others together as `others`."""
    counter[name if name in counter or len(counter) < _KEPT_NAMES else "others"] += count


@dataclass(slots=True)
class RecordHashes:
    """The hashes of one record: a malformed one is a fault and never costs the record its good ones.

    others  kinds that nobody here knows, with the beginning of their text
    """

    found: dict[str, bytes] = field(default_factory=dict)
    faults: list[HashFormatError | ListFormatError] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)

    def take(self, parse: Callable[[], Mapping[str, bytes]]) -> bool:
        """What `parse` gives; False where it is malformed. Of several hashes of one kind the last stays."""
        try:
            self.found.update(parse())
        except (HashFormatError, ListFormatError) as fault:
            self.faults.append(fault)
            return False
        return True

    def keep_other(self, untrusted_name: str, untrusted_text: str) -> None:
        """A fingerprint of a kind that nobody here knows."""
        name = "".join(c for c in untrusted_name if c.isprintable())[:40] or "without a name"
        if name not in self.others and len(self.others) >= _MAX_OTHERS:
            name = "others"
        self.others[name] = untrusted_text[:_MAX_KEPT_CHARS]

    def require(self, what: str, mend: str, source_id: str = "") -> None:
        """Unless a good hash is there, raises the first fault, HashesUnknown, or ListFormatError where nothing was.

        source_id  the list's own name of the record
        """
        if self.found:
            return
        if self.faults:
            raise self.faults[0]
        if self.others:
            unknown = HashesUnknown(
                "the record has no hash of a kind that is known here", mend="ask its source for an MD5 or SHA-1, too"
            )
            unknown.kept, unknown.source_id = self.others, source_id
            raise unknown
        raise ListFormatError(what, mend=mend)

    @property
    def other_names(self) -> list[str]:
        """As they are counted."""
        return [f"fingerprint {name}" for name in self.others]

    def count_others(self, unknown: Counter[str]) -> None:
        for name in self.other_names:
            count_name(unknown, name)


def with_faults(entry: Entry, hashes: RecordHashes, where: str) -> Iterator[Entry | ListFormatError]:
    """What a reader yields for a record: its entry, and after it each hash that was refused out of it."""
    yield entry
    yield from refusals(hashes, where)


def refusals(hashes: RecordHashes, where: str) -> Iterator[HashRefused]:
    """Of each malformed hash of a record that has a good one."""
    for fault in hashes.faults:
        yield HashRefused(
            sentence("%(what)s; the rest of its record stays", what=fault.what), where=where, mend=fault.mend
        )


def located(error: HashFormatError | ListFormatError, where: str) -> ListFormatError:
    """The same fault, as one of the list, with its place."""
    if isinstance(error, HashesUnknown):
        error.where = where
        return error
    return ListFormatError(error.what, where=where, mend=error.mend or "correct the record")


def unknown_version(untrusted_told: str, known: str) -> ListFormatError:
    """What nobody here knows is not read as if it were known: a field may mean something else in it."""
    told = "".join(c for c in untrusted_told if c.isprintable())[:40]
    return ListFormatError(
        sentence("%(version)s is a version that is not known here", version=told),
        mend=sentence("ask the sender for %(known)s, or use a newer Leadline", known=known),
    )


def broken(error: ListFormatError, where: str) -> ListBroken:
    """The same fault, as the end of its list."""
    return ListBroken(error.what, where=where, mend=error.mend)
