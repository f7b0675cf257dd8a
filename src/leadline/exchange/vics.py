"""VICS-shaped JSON (1.0-2.0) <-> entries. Not certified; never takes a category for a bare integer.

The shape is taken from public readers and writers and vendors' help; the official schema is shared under
agreement only and could not be checked.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, BinaryIO

import ijson
import msgspec

from leadline.domain import Entry, Kind
from leadline.errors import ConfigError, HashFormatError, ListBroken, ListFormatError
from leadline.exchange.base import (
    ABSENT,
    MAX_TEXT_CHARS,
    BoundedRecords,
    EntryDefaults,
    RawRecord,
    RecordHashes,
    broken,
    count_name,
    entry_fields,
    located,
    metadata_text,
    parse_hex,
    parse_photodna,
    parse_time,
    recode,
    shown_texts,
    unknown_version,
    with_faults,
)

UNSPECIFIED = "vics:unspecified"
OUTSIDE = "path outside its folder"
HEAD_BYTES = 1 << 16
_MAX_NUMBER, _SHORT_NUMBER = Decimal(10) ** 30, 10**18
_CONTEXT = re.compile(r'"(?:@odata\.context|odata\.metadata)"\s*:\s*"([^"]{0,500})"')
_VERSION = re.compile(r"DataModels\\?/([^/\\\s]{1,40}?)\.xml")
_KNOWN_VERSION = re.compile(r"(?:1\.\d|2\.0)(?:\.\d+)*")  # one more number is taken for the same version, mended
_SEGMENT = re.compile(r"\.xml\\?/([^/\\$#]{1,64})\\?/")
_DRIVE = re.compile(r"^[A-Za-z]:")
# A root, a drive, a folder above; possessive, so that a long row of dots costs no more than its length.
_LEADS_OUT = re.compile(r"^[\\/]|(?:^|[\\/])(?:[A-Za-z]:|(?=[. ]*\.\.)[. ]*+(?:[\\/]|$))")
_FIRST_FIELD = re.compile(r'"(?:(?P<media>MD5|MediaID)|CaseID|CaseNumber)"\s*:|"Media"\s*:\s*\[')
# Where the records are: the name of a field, or None for the members of a list.
_MEDIA_ROOT: tuple[str | None, ...] = ("value", None)
CASES_ROOT: tuple[str | None, ...] = ("value", None, "Media", None)
MAX_DEPTH = 64
STARTS, ENDS = frozenset({"start_map", "start_array"}), frozenset({"end_map", "end_array"})
FLAGS = (
    "VictimIdentified",
    "OffenderIdentified",
    "IsDistributed",
    "IsSuspected",
    "SelfGenerated",
    "IsPrecategorized",
)
_OWN = "Leadline"
_KIND, _SCHEME, _LABEL, _SOURCE_ID = (f"{_OWN}{name}" for name in ("Kind", "Scheme", "Label", "SourceID"))
_TEXTS = ("Series", "Tags", "PrecategorizationSource", "MimeType")


def read(
    stream: BinaryIO,
    *,
    where: str,
    defaults: EntryDefaults,
    unknown: Counter[str] | None = None,
    raw: RawRecord | None = None,
) -> Iterator[Entry | ListFormatError]:
    """Entries of a VICS JSON file, one for each Media record, streamed; both roots (#Media, #Cases).

    The label is (scheme, code): the scheme is `vics:` and the category set named in the context's path
    (2.0), or `defaults.scheme`, which wins, or `vics:unspecified`: codes 0 and 5 mean opposite things in two
    sets of the same country. A record that cannot be read is yielded as an error and the rest goes on; a malformed
    hash beside good ones is yielded as HashRefused, after the entry of the good ones. Broken JSON ends the list, with
    the number of the last good record. `unknown` gathers hashes of other kinds, and paths that led out of their folder.
    """
    unknown, raw = Counter() if unknown is None else unknown, raw or RawRecord()
    reader = recode(stream, repair=True)
    head = reader.peek(HEAD_BYTES)[:HEAD_BYTES].decode("utf-8", "replace")
    scheme = defaults.scheme or scheme_of(head)
    source = BoundedRecords(reader)
    number = 0
    try:
        require_version(head)
        for untrusted_media in records_at(source, root_of(head)):
            source.since_record = 0
            number += 1
            raw.value = untrusted_media
            yield from _checked(untrusted_media, scheme, f"{where}: record {number}", defaults, unknown)
    except ListFormatError as error:
        yield broken(error, f"{where}: after record {number}")
        return
    except (ijson.JSONError, ValueError, ArithmeticError):
        yield ListBroken(
            "the JSON breaks off or is malformed here",
            where=f"{where}: after record {number}",
            mend="ask the sender for a whole file; the records before this one were read",
        )
        return
    if number == 0:
        yield ListBroken(
            "no Media record found",
            where=where,
            mend='expect {"value": [...]} of Media, or of cases with Media',
        )


def records_at(source: BoundedRecords, root: tuple[str | None, ...]) -> Iterator[object]:
    """Every value at `root`. Not `ijson.items`: it carries the path of each value along, so that deep nesting costs
    the square of its depth. ListFormatError beyond 64 levels, ijson.JSONError where it is no JSON."""
    events, depth = ijson.basic_parse(source), 0
    trail: list[str | None] = [None] * len(root)
    for event, value in events:
        if event in ENDS:
            depth -= 1
        elif event == "map_key":
            if depth <= len(root):
                trail[depth - 1] = value
        elif depth == len(root) and tuple(trail) == root:
            yield _build(events, event, depth) if event in STARTS else value
        elif event in STARTS:
            depth += 1
            if depth > MAX_DEPTH:
                raise ListFormatError("nested too deeply", mend="export the list again")
            if depth <= len(root):
                trail[depth - 1] = None if event == "start_array" else ""


def _build(events: Iterator[tuple[str, Any]], event: str, depth: int) -> object:
    """The object or list that has just begun, at its end. Half the time of ijson's own builder, which is Python too."""
    made: Any = {} if event == "start_map" else []
    inner, around, key = made, list[Any](), ""
    for event, value in events:
        if event == "map_key":
            key = value
        elif event in ENDS:
            if not around:
                return made
            inner = around.pop()
        else:
            begun: Any = None if event not in STARTS else {} if event == "start_map" else []
            told = value if begun is None else begun
            if type(inner) is dict:
                inner[key] = told
            else:
                inner.append(told)
            if begun is not None:
                around.append(inner)
                inner = begun
                if depth + 1 + len(around) > MAX_DEPTH:
                    raise ListFormatError("nested too deeply", mend="export the list again")
    raise ijson.IncompleteJSONError("a value without an end")


def require_version(head: str) -> None:
    """ListFormatError where the context names a version other than 1.0-2.0; files without a context are taken."""
    context = _CONTEXT.search(head)
    version = _VERSION.search(context[1]) if context else None
    if version and not _KNOWN_VERSION.fullmatch(version[1]):
        raise unknown_version(f"VICS {version[1]}", "VICS 2.0")


def scheme_of(head: str) -> str:
    context = _CONTEXT.search(head)
    segment = _SEGMENT.search(context[1]) if context else None
    return f"vics:{segment[1]}" if segment else UNSPECIFIED


def root_of(head: str) -> tuple[str | None, ...]:
    """Where the Media records are. The structure decides, the context only where the head does not show it:
    files are seen whose context names the other root."""
    value = re.search(r'"value"\s*:\s*\[', head)
    if value:
        first = _FIRST_FIELD.search(head, value.end())
        if first:
            return _MEDIA_ROOT if first["media"] else CASES_ROOT
    return CASES_ROOT if (c := _CONTEXT.search(head)) and c[1].endswith("#Cases") else _MEDIA_ROOT


def _checked(
    untrusted_media: object, scheme: str, place: str, defaults: EntryDefaults, unknown: Counter[str]
) -> Iterator[Entry | ListFormatError]:
    if not isinstance(untrusted_media, dict):
        yield ListFormatError("a Media record is no object", where=place, mend="correct the record")
        return
    hashes = RecordHashes()
    try:
        yield from with_faults(_entry(untrusted_media, scheme, defaults, hashes), hashes, place)
    except (HashFormatError, ListFormatError) as error:
        yield located(error, place)
    hashes.count_others(unknown)
    if _LEADS_OUT.search(plain_text(untrusted_media.get("RelativeFilePath"))):
        count_name(unknown, OUTSIDE)


def _entry(untrusted_media: Mapping[str, Any], scheme: str, defaults: EntryDefaults, hashes: RecordHashes) -> Entry:
    metadata = _metadata(untrusted_media)
    take_hashes(untrusted_media, hashes)
    if not take_photodna(untrusted_media, hashes):
        metadata["photodna_unreadable"] = True
    media_id = plain_text(untrusted_media.get("MediaID"))
    hashes.require("the record has no hash", "fill MD5, SHA1 or PhotoDNA, or leave the record out", media_id)
    if hashes.others:
        metadata["fingerprints"] = shown_texts(hashes.others)
    code = plain_text(untrusted_media.get("Category"))
    fields = entry_fields(defaults) | {"source_id": media_id}
    own = _own_words(untrusted_media.get("MediaMetadata"), defaults)
    fields |= own
    if code and own.get("label") != code:  # a head before 2.0 does not say whose code it is
        fields |= {"scheme": scheme, "label": code}
    seen = plain_text(untrusted_media.get("DateUpdated"))
    if seen:
        try:
            fields["last_seen"] = parse_time(seen)
        except ListFormatError:
            metadata["DateUpdated"] = seen[:40]
    return Entry(
        fingerprints=hashes.found,
        note=plain_text(untrusted_media.get("Comments")),
        metadata=metadata_text(metadata),
        **fields,
    )


def _own_words(untrusted_facts: object, defaults: EntryDefaults) -> dict[str, object]:
    """What `write` put beside a record since the format has no place for it."""
    beside: dict[str, str] = {}
    for item in untrusted_facts if isinstance(untrusted_facts, list) else ():
        if isinstance(item, dict) and isinstance(name := item.get("PropertyName"), str) and name.startswith(_OWN):
            beside[name] = plain_text(item.get("PropertyValue"))
    if not beside:
        return {}
    found: dict[str, object] = {}
    if beside.get(_SCHEME) and beside.get(_LABEL):
        found |= {"scheme": defaults.scheme or beside[_SCHEME], "label": beside[_LABEL]}
    if beside.get(_KIND) in tuple(Kind):
        found["kind"] = Kind(beside[_KIND])
    return found | ({"source_id": beside[_SOURCE_ID]} if beside.get(_SOURCE_ID) else {})


_NAMES = {"md5": "md5", "sha1": "sha1", "sha256": "sha256", "pdq": "pdq"}


def take_hashes(untrusted_media: Mapping[str, Any], hashes: RecordHashes) -> None:
    named = []  # the record's own fields last, for they win
    alternatives = untrusted_media.get("AlternativeHashes")
    for item in alternatives if isinstance(alternatives, list) else ():
        if not isinstance(item, dict):
            continue
        name, text = plain_text(item.get("HashName")), _hash_text(item.get("HashValue"))
        algorithm = _NAMES.get(re.sub(r"[^a-z0-9]", "", name.lower()))
        if algorithm:
            named.append((algorithm, text))
        elif text:
            hashes.keep_other(name, text)
    named += [(name.lower(), _hash_text(untrusted_media.get(name))) for name in ("MD5", "SHA1", "SHA256")]
    for algorithm, text in named:
        if text:
            hashes.take(lambda algorithm=algorithm, text=text: {algorithm: parse_hex(algorithm, text)})  # type: ignore[misc]


def take_photodna(untrusted_media: Mapping[str, Any], hashes: RecordHashes) -> bool:
    """False where it is malformed."""
    photodna = _hash_text(untrusted_media.get("PhotoDNA"))
    return not photodna or hashes.take(lambda: {"photodna": parse_photodna(photodna)})


def _hash_text(untrusted_value: object) -> str:
    """Words for nothing are nothing, as in CSV."""
    text = plain_text(untrusted_value)
    return "" if text.lower() in ABSENT else text


def _metadata(untrusted_media: Mapping[str, Any]) -> dict[str, object]:
    values: dict[str, object] = {}
    for name in FLAGS:
        flag = flag_of(untrusted_media.get(name))
        if flag is not None:
            values[name] = flag
    for name in _TEXTS:
        text = plain_text(untrusted_media.get(name))
        if text:
            values[name] = text
    size = untrusted_media.get("MediaSize")
    if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 1 << 63:
        values["MediaSize"] = size
    path = safe_path(plain_text(untrusted_media.get("RelativeFilePath")))
    return values | ({"RelativeFilePath": path} if path else {})


def flag_of(untrusted_value: object) -> bool | None:
    """JSON booleans and the strings "true" and "false"; anything else says nothing."""
    if isinstance(untrusted_value, bool):
        return untrusted_value
    return {"true": True, "false": False}.get(plain_text(untrusted_value).lower())


def plain_text(untrusted_value: object) -> str:
    if untrusted_value is None:
        return ""
    if isinstance(untrusted_value, str):
        return untrusted_value.strip()[:MAX_TEXT_CHARS]
    if type(untrusted_value) is int and -_SHORT_NUMBER < untrusted_value < _SHORT_NUMBER:
        return str(untrusted_value)
    if isinstance(untrusted_value, int | Decimal) and not isinstance(untrusted_value, bool):
        number = Decimal(untrusted_value)
        if abs(number) < _MAX_NUMBER:
            return str(int(number) if number == int(number) else number)[:40]
    return ""


def safe_path(untrusted_path: str) -> str:
    """A relative path with / between its parts and nothing that leads out of a folder. Never opened."""
    text = untrusted_path.replace("\\", "/")
    if not text.isprintable():
        text = "".join(c for c in text if c.isprintable())
    parts = text.split("/")
    if ":" in text:
        parts = [_DRIVE.sub("", part) for part in parts]
    return "/".join(part for part in parts if part.strip(". "))


@dataclass(frozen=True, slots=True)
class VicsMedia:
    """One Media record to be written.

    media_id   unique within the file, from 1
    scheme, label   written as Category only where the scheme is the file's own (`vics:` and its category set)
                    and the label is a whole number; else they stand in MediaMetadata
    relative_path   shown text; anything that leads out of a folder is taken out
    updated    seconds since 1970, or 0
    others     kind -> text of hashes that nobody here can compare
    flags      of FLAGS, as a record says them
    metadata   name -> value for MediaMetadata
    """

    media_id: int
    md5: bytes | None = None
    sha1: bytes | None = None
    sha256: bytes | None = None
    pdq: bytes | None = None
    photodna: bytes | None = None
    others: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int | None = None
    mime: str = ""
    relative_path: str = ""
    scheme: str = ""
    label: str = ""
    precategorized: bool = False
    precategorization_source: str = ""
    comments: str = ""
    tags: Sequence[str] = ()
    updated: int = 0
    series: str = ""
    flags: Mapping[str, bool] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


class Version(StrEnum):
    """What the head of a file says it is. Up to 1.3 it names no category set; records are the same for all that is
    publicly known."""

    V1_0 = "1.0"
    V1_1 = "1.1"
    V1_2 = "1.2"
    V1_3 = "1.3"
    V2_0 = "2.0"


def is_category_set(name: str) -> bool:
    """Whether a name can stand in the header's path."""
    return re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) is not None


def write_vics(
    records: Iterable[VicsMedia], stream: BinaryIO, *, category_set: str = "CUSTOM", version: Version = Version.V2_0
) -> int:
    """Stream records as VICS-shaped JSON with the root #Media. Returns how many were written.

    category_set  the path segment that names whose category codes these are (US, UK, CUSTOM ...); where the version's
                  head has none, each record says it in its MediaMetadata
    """
    if not is_category_set(category_set):
        raise ConfigError("the category set is no plain name", where="category set", mend="use letters, digits, _ . -")
    is_named = version is Version.V2_0
    if is_named:
        key, path = "@odata.context", f"VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/{category_set}/$metadata#Media"
    else:
        key, path = "odata.metadata", f"ICMEC/ProjectVic/DataModels/{version}.xml#Media"
    stream.write(f'{{"{key}":"http://github.com/{path}","value":['.encode("ascii"))
    count = 0
    for record in records:
        made = media_record(record, f"vics:{category_set}", is_set_named=is_named)
        text = json.dumps(made, separators=(",", ":"))
        stream.write((",\n" if count else "\n").encode("ascii") + text.encode("ascii"))
        count += 1
    stream.write(b"\n]}\n")
    return count


def media_record(record: VicsMedia, scheme: str, *, is_set_named: bool = True) -> dict[str, object]:
    """is_set_named: the file's head says whose codes its categories are."""
    own = record.scheme == scheme and record.label.isascii() and record.label.isdigit() and len(record.label) < 10
    md5 = record.md5.hex().upper() if record.md5 else None
    values: dict[str, object] = {
        "MediaID": record.media_id,
        "Category": int(record.label) if own else None,
        "MD5": md5,
        "SHA1": record.sha1.hex().upper() if record.sha1 else None,
        "PhotoDNA": _base64(record.photodna),
        "MediaSize": record.size_bytes,
        "MimeType": record.mime or None,
        "RelativeFilePath": safe_path(record.relative_path).replace("/", "\\") or None,
        "DateUpdated": _iso(record.updated),
        "IsPrecategorized": record.precategorized,
        "PrecategorizationSource": record.precategorization_source or None,
        "Series": record.series or None,
        "Tags": ",".join(record.tags) or None,
        "Comments": record.comments or None,
        **{name: record.flags[name] for name in FLAGS if name in record.flags and name != "IsPrecategorized"},
    }
    own_names = (("SHA256", record.sha256), ("PDQ", record.pdq))
    others = {name: value.hex().upper() for name, value in own_names if value} | dict(record.others)
    values["AlternativeHashes"] = [{"MD5": md5, "HashName": n, "HashValue": v} for n, v in others.items()]
    facts = dict(record.metadata)
    if not (own and is_set_named) and (record.scheme or record.label):
        facts |= {_SCHEME: record.scheme, _LABEL: record.label}
    values["MediaMetadata"] = [{"PropertyName": name, "PropertyValue": value} for name, value in facts.items()]
    return {name: value for name, value in values.items() if value is not None and value != []} | {
        "Category": values["Category"],
        "MD5": md5,
    }


def _base64(value: bytes | None) -> str | None:
    return base64.b64encode(value).decode("ascii") if value else None


def _iso(seconds: int) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if 0 < seconds < 1 << 37 else None


def write(
    entries: Iterable[Entry], stream: BinaryIO, *, category_set: str = "CUSTOM", version: Version = Version.V2_0
) -> int:
    """Entries of a bank as VICS-shaped JSON. Returns how many were written."""
    return write_vics(map(_from_entry, entries), stream, category_set=category_set, version=version)


def _from_entry(entry: Entry) -> VicsMedia:
    prints, told = entry.fingerprints, _told(entry.metadata)
    texts = {name: told[name] for name in ("MimeType", "RelativeFilePath", "Series") if isinstance(told.get(name), str)}
    size = told.get("MediaSize")
    beside = {_KIND: str(entry.kind)} | ({_SOURCE_ID: entry.source_id} if entry.source_id else {})
    return VicsMedia(
        media_id=entry.id or 0, md5=prints.get("md5"), sha1=prints.get("sha1"), sha256=prints.get("sha256"),
        pdq=prints.get("pdq"), photodna=prints.get("photodna"), scheme=entry.scheme, label=entry.label,
        size_bytes=size if isinstance(size, int) else None, mime=str(texts.get("MimeType", "")),
        relative_path=str(texts.get("RelativeFilePath", "")), series=str(texts.get("Series", "")),
        precategorized=bool(entry.label), precategorization_source=entry.source, comments=entry.note,
        updated=entry.last_seen, metadata=beside,
        flags={name: flag for name in FLAGS if isinstance(flag := told.get(name), bool)},
    )  # fmt: skip


def _told(metadata: str) -> Mapping[str, object]:
    """What a list told of an entry, as `read` keeps it."""
    try:
        return msgspec.json.decode(metadata, type=dict[str, object]) if metadata else {}
    except msgspec.MsgspecError:
        return {}
