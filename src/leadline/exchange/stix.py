"""Bundles of STIX 2.1 <-> entries. Read in a stream; what is written never holds media or links to it.

Perceptual hashes stand in an extension of ours, `media-fingerprints` (its schema is in data/stix and goes along).
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

import ijson

from leadline.domain import EXACT_ALGORITHMS, Entry, Kind, Tlp
from leadline.errors import HashesUnknown, HashRefused, LeadlineError, ListBroken, ListFormatError
from leadline.exchange.base import BoundedRecords, EntryDefaults, RawRecord, broken, count_name, recode
from leadline.exchange.stix_markings import make_marking, marking_name
from leadline.exchange.stix_objects import BENIGN, EXTENSION, INDICATOR_TYPES, NO_PRINT, ToldObject, read_objects
from leadline.exchange.vics import records_at

SCHEMA = Path(__file__).parent / "data" / "stix" / "media-fingerprints.schema.json"
AUTHOR = "identity--8b0c1e58-6f3f-4f0e-8a53-4d0d5f3c9e21"
_NAMES = uuid.UUID("7e7a2f0e-3a57-4f0c-9a0b-0d8f6f0d7c11")  # of indicators made of entries
_PUBLISHED = "2026-11-27T00:00:00.000Z"  # of author and extension
_HASH_NAMES = {"md5": "MD5", "sha1": "'SHA-1'", "sha256": "'SHA-256'", "pdq": "PDQ"}  # as a pattern writes them
_LATEST_S = 1 << 37
_NO_HASH, _MEND_NOTHING = "it holds no hash of a file that is known here", "nothing to mend"


def read(
    stream: BinaryIO,
    *,
    where: str,
    defaults: EntryDefaults,
    unknown: Counter[str] | None = None,
    raw: RawRecord | None = None,
) -> Iterator[Entry | LeadlineError]:
    """Entries of the indicators and files of a bundle; the latest version of each counts, and a revoked one is none.

    Entries come at the end: until then any object may be a later version of another. Broken JSON ends the list, after
    what came before it. `unknown` gathers other hashes, types of objects and markings.
    """
    unknown, raw = Counter() if unknown is None else unknown, raw or RawRecord()
    latest: dict[str, _Told] = {}
    for told in _read_all(stream, where, defaults, unknown):
        if isinstance(told, LeadlineError):
            yield told
        elif told.record.key not in latest or _is_later(told.record, latest[told.record.key].record):
            latest[told.record.key] = told
    for told in latest.values():
        raw.known = told.record.digest
        if told.record.entry is not None:
            yield told.record.entry
        if not told.record.is_gone:
            yield from told.refused


class _Told(NamedTuple):
    record: ToldObject
    refused: Sequence[LeadlineError]  # single hashes out of it, or that it holds none that is known here


def _is_later(one: ToldObject, other: ToldObject) -> bool:
    """Nothing comes after a revocation."""
    if one.is_gone or other.is_gone:
        return one.is_gone
    if one.entry is None or other.entry is None:
        return True
    return one.entry.last_seen >= other.entry.last_seen


def _read_all(
    stream: BinaryIO, where: str, defaults: EntryDefaults, unknown: Counter[str]
) -> Iterator[_Told | LeadlineError]:
    source = BoundedRecords(recode(stream, repair=True))
    number = 0
    try:
        for untrusted_object in records_at(source, ("objects", None)):
            source.since_record = 0
            number += 1
            yield from _read_one(untrusted_object, f"{where}: record {number}", defaults, unknown)
    except ListFormatError as error:
        yield broken(error, f"{where}: after record {number}")
    except (ijson.JSONError, ValueError, ArithmeticError):
        mend = "ask the sender for a whole file; the records before this one were read"
        place = f"{where}: after record {number}"
        yield ListBroken("the JSON breaks off or is malformed here", where=place, mend=mend)
    else:
        if number == 0:
            mend = 'expect {"type": "bundle", "objects": [...]}'
            yield ListBroken("no object of STIX found", where=where, mend=mend)


def _read_one(
    untrusted_object: object, place: str, defaults: EntryDefaults, unknown: Counter[str]
) -> Iterator[_Told | LeadlineError]:
    told = read_objects([untrusted_object], defaults, place)
    refused = [fault for fault in told.faults if isinstance(fault, HashRefused)]
    yield from (fault for fault in told.faults if not isinstance(fault, HashRefused))
    yield from (_Told(record, [_unknown(record, place)] if record.kept else refused) for record in told.records)
    for name, count in told.unknown.items():
        if name != NO_PRINT:  # which is told as a record that was refused
            count_name(unknown, name, count)
    if NO_PRINT in told.unknown and not any(record.kept for record in told.records):
        yield ListFormatError(_NO_HASH, where=place, mend=_MEND_NOTHING)


def _unknown(record: ToldObject, place: str) -> HashesUnknown:
    error = HashesUnknown(_NO_HASH, where=place, mend=_MEND_NOTHING)
    error.kept, error.source_id = record.kept or {}, record.key
    return error


# --- out


def write(entries: Iterable[Entry], stream: BinaryIO, *, made_s: int, revoked: Iterable[Entry] = ()) -> int:
    """A bundle with one indicator for each entry, its markings of TLP 2.0, and the definition of our extension.

    made_s   now, in seconds since 1970: the time of this version of every indicator
    revoked  entries that were in an earlier bundle and are withdrawn

    An indicator's id follows from source, source's id, id and fingerprints of its entry. Entries that are suspended,
    or without a fingerprint, are left out; returns how many.
    """
    left_out, used = 0, set[Tlp]()
    stream.write(f'{{"type":"bundle","id":"bundle--{uuid.uuid4()}","objects":['.encode())
    stream.write(",".join(map(_json, _make_beside())).encode())
    for entry, is_revoked in chain(((one, False) for one in entries), ((one, True) for one in revoked)):
        if not entry.fingerprints or (entry.disabled_until > made_s and not is_revoked):
            left_out += 1
            continue
        used.add(entry.tlp)
        stream.write(b",\n" + _json(make_indicator(entry, made_s, is_revoked=is_revoked)).encode())
    for tlp in sorted(used):
        stream.write(b",\n" + _json(make_marking(tlp)).encode())
    stream.write(b"]}\n")
    return left_out


def make_indicator(entry: Entry, made_s: int, *, is_revoked: bool = False) -> dict[str, object]:
    made = format_time(made_s)
    begun = entry.first_seen or entry.added or made_s
    told: dict[str, object] = {
        "type": "indicator", "spec_version": "2.1", "id": _name(entry), "created_by_ref": AUTHOR,
        "created": format_time(min(begun, made_s)), "modified": made, "valid_from": format_time(min(begun, made_s)),
        "pattern": _pattern(entry), "pattern_type": "stix", "pattern_version": "2.1",
        "object_marking_refs": [marking_name(entry.tlp)],
        "extensions": {EXTENSION: _extension(entry)},
    }  # fmt: skip
    if is_revoked:
        told["revoked"] = True
    types = entry.label.split(",") if entry.scheme == INDICATOR_TYPES and entry.label else []
    if entry.kind in (Kind.BENIGN, Kind.FALSE_POSITIVE) and BENIGN not in types:
        types = [*types, BENIGN]
    if types:
        told["indicator_types"] = types
    return told


def _name(entry: Entry) -> str:
    prints = {name: value.hex() for name, value in entry.fingerprints.items()}
    told = json.dumps([entry.source, entry.source_id, entry.id, prints], sort_keys=True)
    return f"indicator--{uuid.uuid5(_NAMES, told)}"


def _pattern(entry: Entry) -> str:
    parts = (f"file:hashes.{_hash_name(name)} = '{value.hex()}'" for name, value in entry.fingerprints.items())
    return f"[{' OR '.join(parts)}]"


def _hash_name(kind: str) -> str:
    return _HASH_NAMES.get(kind, f"'{kind}'")  # of a bank's own kinds: small letters, digits, - and _


def _extension(entry: Entry) -> dict[str, object]:
    told: dict[str, object] = {"extension_type": "property-extension"}
    others = {name: value for name, value in entry.fingerprints.items() if name not in EXACT_ALGORITHMS}
    if others:
        told["fingerprints"] = [_fingerprint(entry, name, value) for name, value in others.items()]
    if entry.scheme and entry.label:  # a code never leaves without saying whose it is
        told["classification"] = {"scheme": entry.scheme, "label": entry.label}
    texts = {"source": entry.source, "source_id": entry.source_id, "licence": entry.licence}
    return told | {name: text for name, text in texts.items() if text}


def _fingerprint(entry: Entry, name: str, value: bytes) -> dict[str, object]:
    told: dict[str, object] = {"algorithm": name, "value": value.hex()}
    if name == "pdq":
        told["family"] = str(entry.pdq_family)
        if entry.quality is not None:
            told["quality"] = entry.quality
    return told


def _make_beside() -> list[dict[str, object]]:
    """Who wrote it (a program, not an organisation), and the definition of the extension with its schema as text."""
    author: dict[str, object] = {
        "type": "identity", "spec_version": "2.1", "id": AUTHOR, "created": _PUBLISHED, "modified": _PUBLISHED,
        "name": "Leadline", "identity_class": "system",
    }  # fmt: skip
    extension: dict[str, object] = {
        "type": "extension-definition", "spec_version": "2.1", "id": EXTENSION, "created_by_ref": AUTHOR,
        "created": _PUBLISHED, "modified": _PUBLISHED, "name": "media-fingerprints", "version": "1.0.0",
        "description": "Perceptual fingerprints of a media file, and its classification as its source gives it",
        "schema": json.dumps(json.loads(SCHEMA.read_text()), separators=(",", ":")),
        "extension_types": ["property-extension"],
    }  # fmt: skip
    return [author, extension]


def format_time(seconds: int) -> str:
    return datetime.fromtimestamp(max(0, min(seconds, _LATEST_S)), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
