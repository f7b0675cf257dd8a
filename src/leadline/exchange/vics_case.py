"""A VICS-shaped case with its Media records, streamed in and out. Opens no media file and decides nothing.

As in `exchange/vics.py` the shape is taken from public readers and writers and is not certified. A category is always
(scheme, version, code), never a bare number. Paths are given as they came: whoever opens one checks it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Any, BinaryIO, NamedTuple

import ijson
from ijson.common import ObjectBuilder

from leadline.errors import ConfigError, HashesUnknown, HashFormatError, HashRefused, ListFormatError
from leadline.exchange.base import (
    ABSENT,
    MAX_TEXT_CHARS,
    BoundedRecords,
    RecordHashes,
    located,
    recode,
    recode_head,
    refusals,
    shown_texts,
)
from leadline.exchange.vics import (
    CASES_ROOT,
    ENDS,
    FLAGS,
    HEAD_BYTES,
    MAX_DEPTH,
    STARTS,
    VicsMedia,
    flag_of,
    is_category_set,
    media_record,
    plain_text,
    require_version,
    root_of,
    scheme_of,
    take_hashes,
    take_photodna,
)

LABELS, SELECTOR, TLP, PAP = "LeadlineLabels", "LeadlineSelector", "LeadlineTLP", "LeadlinePAP"
VIEWED = "LeadlineViewed"  # of a record: how much of its file a person of the exporting office was shown
MAX_CASES, _MAX_PROPERTIES, _MAX_LABELS, _MAX_PATHS = 1000, 10_000, 50, 50
_HEAD_FIELDS = (
    "CaseID", "CaseNumber", "ContactOrganization", "ContactName", "ContactPhone", "ContactEmail", "ContactTitle",
    "SeizureDate", "SourceApplicationName", "SourceApplicationVersion",
)  # fmt: skip


class CaseLabel(NamedTuple):
    """version: "" where the file does not say."""

    scheme: str
    version: str
    code: str


@dataclass(frozen=True, slots=True)
class CaseHead:
    """What a file says of one of its cases.

    place       which of the file's cases it is, from 0
    fields      those of _HEAD_FIELDS that are there
    properties  (name, value) of CaseMetadata
    """

    place: int
    fields: Mapping[str, str] = field(default_factory=dict)
    properties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CaseMedia:
    """One Media record of a case.

    number  of the record in its case, from 1
    record  what names it in its case: its MediaID, or its number where it has none
    paths   untrusted, as written: RelativeFilePath, or else those of MediaFiles
    facts   texts and flags that go out again as they came; `fingerprints`: {kind: text} of those that nobody here can
            compare, the first eight kinds, 300 characters of each
    unknown names of what nobody here knows in it
    fault   why the record cannot be read; the rest of it is empty then, unless it is HashesUnknown
    refused_hashes  malformed ones beside those in `hashes`
    """

    place: int
    number: int
    record: str = ""
    hashes: Mapping[str, bytes] = field(default_factory=dict)
    labels: tuple[CaseLabel, ...] = ()
    paths: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    fault: ListFormatError | None = None
    refused_hashes: tuple[HashRefused, ...] = ()


def read_heads(stream: BinaryIO, *, where: str) -> list[CaseHead]:
    """What the file says of its cases; of a bare list of Media one case without fields. Raises ListFormatError."""
    found: dict[int, dict[str, Any]] = {}
    for place, name, value in _walk(stream, where, heads=True):
        fields = found.setdefault(place, {})
        if name:
            fields[name] = value
    return [_head(place, fields) for place, fields in sorted(found.items())]


def _head(place: int, untrusted: Mapping[str, Any]) -> CaseHead:
    texts = {name: plain_text(untrusted.get(name)) for name in _HEAD_FIELDS}
    return CaseHead(
        place, {name: text for name, text in texts.items() if text}, tuple(_properties(untrusted.get("CaseMetadata")))
    )


def _properties(untrusted: object) -> Iterator[tuple[str, str]]:
    for one in untrusted[:_MAX_PROPERTIES] if isinstance(untrusted, list) else ():
        if isinstance(one, dict) and (name := plain_text(one.get("PropertyName"))):
            value = one.get("PropertyValue")
            yield name, value[:20_000] if isinstance(value, str) else plain_text(value)


def read_media(stream: BinaryIO, *, where: str, scheme: str = "") -> Iterator[CaseMedia]:
    """Every Media record, in order; one that cannot be read has its fault, and the rest goes on.

    scheme  for categories, over what the file's own context names
    Raises ListFormatError where the file breaks off: what came before was given.
    """
    numbers: dict[int, int] = {}
    own_scheme = scheme or scheme_of(_peek(stream))
    for place, _, untrusted_media in _walk(stream, where, heads=False):
        number = numbers[place] = numbers.get(place, 0) + 1
        yield _media(untrusted_media, own_scheme, place, number, f"{where}: case {place + 1}, record {number}")


def _peek(stream: BinaryIO) -> str:
    head = recode_head(stream.read(HEAD_BYTES))
    stream.seek(0)
    return head


def _media(untrusted: object, scheme: str, place: int, number: int, where: str) -> CaseMedia:
    if not isinstance(untrusted, dict):
        what = ListFormatError("a Media record is no object", where=where, mend="correct the record")
        return CaseMedia(place, number, fault=what)
    hashes = RecordHashes()
    fault: ListFormatError | None = None
    try:
        take_hashes(untrusted, hashes)
        take_photodna(untrusted, hashes)
        hashes.require("the record has no hash", "fill MD5 or SHA1, or leave the record out")
    except HashesUnknown as error:
        fault = located(error, where)
    except (HashFormatError, ListFormatError) as error:
        return CaseMedia(place, number, fault=located(error, where))
    facts = _facts(untrusted)
    if hashes.others:
        facts["fingerprints"] = shown_texts(hashes.others)
    media_id = plain_text(untrusted.get("MediaID"))[:60]
    return CaseMedia(
        place,
        number,
        f"id:{media_id}" if media_id else f"at:{number}",
        dict(hashes.found),
        tuple(_labels(untrusted, scheme)),
        tuple(_paths(untrusted)),
        facts,
        tuple(hashes.other_names),
        fault,
        tuple(refusals(hashes, where)),
    )


def _labels(untrusted: Mapping[str, Any], scheme: str) -> Iterator[CaseLabel]:
    """Its category, and what Leadline wrote beside it; each once, with its version where one is known."""
    found: list[CaseLabel] = []
    beside = dict(_properties(untrusted.get("MediaMetadata")))
    code = plain_text(untrusted.get("Category"))
    if code and not (beside.get("LeadlineScheme") and beside.get("LeadlineLabel") == code):
        found.append(CaseLabel(scheme, "", code))
    if beside.get("LeadlineScheme") and beside.get("LeadlineLabel"):
        found.append(CaseLabel(beside["LeadlineScheme"][:200], "", beside["LeadlineLabel"][:200]))
    found += _written(beside.get(LABELS, ""))
    versioned = {(one.scheme, one.code) for one in found if one.version}
    yield from dict.fromkeys(one for one in found if one.version or (one.scheme, one.code) not in versioned)


def _written(untrusted: str) -> Iterator[CaseLabel]:
    try:
        rows = json.loads(untrusted or "[]")
    except ValueError:
        return
    for row in rows[:_MAX_LABELS] if isinstance(rows, list) else ():
        if isinstance(row, list) and len(row) == 4 and all(isinstance(part, str) for part in row):
            _, scheme, version, code = (part[:200] for part in row)
            if scheme and code:
                yield CaseLabel(scheme, version, code)


def _paths(untrusted: Mapping[str, Any]) -> Iterator[str]:
    own = untrusted.get("RelativeFilePath")
    if isinstance(own, str) and own.strip().lower() not in ABSENT:
        yield own
        return
    files = untrusted.get("MediaFiles")
    for one in files[:_MAX_PATHS] if isinstance(files, list) else ():
        if not isinstance(one, dict):
            continue
        folder, name = one.get("FilePath"), one.get("FileName")
        parts = [part for part in (folder, name) if isinstance(part, str) and part.strip()]
        if parts:
            yield "/".join(parts)


def _facts(untrusted: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name in FLAGS:
        if (flag := flag_of(untrusted.get(name))) is not None:
            facts[name] = flag
    for name in ("Series", "Tags", "Comments", "MimeType", "PrecategorizationSource", "RelativeFilePath"):
        if text := plain_text(untrusted.get(name)):
            facts[name] = text[:MAX_TEXT_CHARS]
    return facts


def _walk(stream: BinaryIO, where: str, *, heads: bool) -> Iterator[tuple[int, str, Any]]:
    """(place of the case, name of its field, value) where `heads`, else (place, "", Media record).

    A case is told of by (place, "", None) first, so that one without fields is known too. Raises ListFormatError.
    """
    head = _peek(stream)
    is_cases = root_of(head) == CASES_ROOT
    source = BoundedRecords(recode(stream, repair=True))
    try:
        require_version(head)
        yield from _values(source, is_cases, heads=heads)
    except ListFormatError as error:
        raise located(error, where) from None
    except (ijson.JSONError, ValueError, ArithmeticError):
        mend = "ask the sender for a whole file; what came before this was read"
        raise ListFormatError("the JSON breaks off or is malformed here", where=where, mend=mend) from None


def _values(source: BoundedRecords, is_cases: bool, *, heads: bool) -> Iterator[tuple[int, str, Any]]:
    at = _Place()
    builder, begun_at = None, 0
    for event, value in ijson.basic_parse(source):
        at.leave(event)
        if builder is None and at.begins(event, value):
            if at.depth == 2 and event == "start_map" and (is_cases or at.case < 0):
                at.next_case()
                if heads:
                    yield at.case, "", None
            if at.depth == _wanted_depth(at.name, is_cases, heads=heads):
                builder, begun_at = ObjectBuilder(), at.depth
        if builder is None:
            source.since_record = 0
        else:
            builder.event(event, value)
        at.enter(event)
        if builder is not None and at.depth == begun_at:
            yield max(0, at.case), at.name if heads else "", builder.value
            builder = None


@dataclass(slots=True)
class _Place:
    """Where in the file the parser is: how deep, in which case, under which of its fields."""

    case: int = -1
    depth: int = 0
    top: str = ""
    name: str = ""

    def leave(self, event: str) -> None:
        if event in ENDS:
            self.depth -= 1

    def enter(self, event: str) -> None:
        if event in STARTS:
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise ListFormatError("nested too deeply", mend="export the case again")

    def begins(self, event: str, value: Any) -> bool:
        """Whether a value of the list begins here; a name is kept instead."""
        if event == "map_key":
            if self.depth == 1:
                self.top = value
            elif self.depth == 3:
                self.name = value
            return False
        return event not in ENDS and self.top == "value"

    def next_case(self) -> None:
        self.case, self.name = self.case + 1, ""
        if self.case >= MAX_CASES:
            raise ListFormatError("too many cases in one file", mend=f"divide it: {MAX_CASES} at most")


def _wanted_depth(name: str, is_cases: bool, *, heads: bool) -> int:
    """How deep a value lies that is to be read: a field of a case other than its list of Media, or a record of that."""
    if heads:
        return 3 if is_cases and name not in ("", "Media") else 0
    if not is_cases:
        return 2
    return 4 if name == "Media" else 0


# --- out -------------------------------------------------------------------------------------------------------------


def encode_case(
    head: CaseHead, media: Iterable[VicsMedia], *, category_set: str, total: int, application: tuple[str, str]
) -> Iterator[bytes]:
    """One case with its Media as VICS-shaped JSON 2.0 with the root #Cases, piece by piece.

    category_set  the path segment that names whose category codes these are (US, UK, CUSTOM ...)
    total         how many records `media` will give
    application   name and version of what writes
    """
    if not is_category_set(category_set):
        raise ConfigError("the category set is no plain name", where="category set", mend="use letters, digits, _ . -")
    context = f"http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/{category_set}/$metadata#Cases"
    case_id = head.fields.get("CaseID", "")
    fields: dict[str, Any] = {**head.fields, "TotalMediaFiles": total}
    fields |= {"SourceApplicationName": application[0], "SourceApplicationVersion": application[1]}
    fields["CaseMetadata"] = [
        {"CaseID": case_id, "PropertyName": name, "PropertyValue": value} for name, value in head.properties
    ]
    opened = json.dumps(fields, separators=(",", ":"))
    yield f'{{"@odata.context":{json.dumps(context)},"value":[\n{opened[:-1]},"Media":['.encode("ascii")
    for count, record in enumerate(media):
        text = json.dumps(media_record(record, f"vics:{category_set}"), separators=(",", ":"))
        yield (",\n" if count else "\n").encode("ascii") + text.encode("ascii")
    yield b"\n]}]}\n"


def identity_of(head: CaseHead, file_sha256: str) -> str:
    """What makes it the same case when it is read again: its own id, or number and office, or the very file."""
    fields = head.fields
    if case_id := fields.get("CaseID", ""):
        return f"vics id {case_id.lower().strip('{}')}"
    if number := fields.get("CaseNumber", ""):
        return f"vics number {fields.get('ContactOrganization', '')} {number}"
    return f"vics file {file_sha256} {head.place}"


def sha256_of(stream: BufferedReader) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()
