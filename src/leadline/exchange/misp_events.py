"""Events of MISP with media-fingerprint objects -> records. Reads the JSON itself, asks nobody.

Not PyMISP's own loader: it sets attributes of Python objects by the names that the answer holds, and looks for a
template by an object's name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from leadline.domain import EXACT_ALGORITHMS, Entry, PdqFamily
from leadline.errors import HashFormatError, HashRefused, LeadlineError, ListFormatError, sentence
from leadline.exchange.base import (
    MAX_TEXT_CHARS,
    EntryDefaults,
    RecordHashes,
    entry_fields,
    kept_texts,
    located,
    parse_hex,
    parse_photodna,
    parse_time,
    parse_whole,
    record_digest,
    record_metadata,
    shown_texts,
)
from leadline.exchange.connector import Record
from leadline.exchange.misp_tags import Said, read_tags, tag_names

OBJECT_NAME = "media-fingerprint"
SANITISED_NAME = "N/A"  # of a deleted object, where that MISP clears what it held
FILE_OBJECT_NAME = "file"  # of MISP itself: any file whatever, so taken only where the operator says so
NO_PRINT = "object without a fingerprint known here"
_HASHES = (*EXACT_ALGORITHMS, "pdq")
_TEXTS = (
    "pdq-family", "pdq-quality", "classification-scheme", "classification-label", "source", "source-id", "licence",
)  # fmt: skip
_OTHER = "other-fingerprint"
_FAMILIES = {str(family): family for family in PdqFamily}
_STATED = (
    "uuid", "name", "object_relation", "type", "value", "comment", "deleted", "timestamp", "first_seen", "last_seen",
)  # fmt: skip
_MAX_UUID_CHARS = 36


@dataclass(slots=True)
class EventTold:
    """What one event told."""

    records: list[Record] = field(default_factory=list)
    faults: list[LeadlineError] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)


def read_event(
    untrusted_event: Mapping[str, Any], defaults: EntryDefaults, where: str, *, of_files: bool = False
) -> EventTold:
    """Records of the fingerprint objects of one event, keyed by the object's UUID. Deleted objects, and those whose
    fingerprints are all deleted, are withdrawn.

    of_files  `file` objects of MISP, too
    """
    told = EventTold()
    names = {OBJECT_NAME, SANITISED_NAME, *([FILE_OBJECT_NAME] if of_files else [])}
    tags = tag_names(untrusted_event.get("Tag"))
    untrusted_objects = untrusted_event.get("Object")
    for number, untrusted_object in enumerate(untrusted_objects if isinstance(untrusted_objects, list) else [], 1):
        place = f"{where}: object {number}"
        if not isinstance(untrusted_object, dict) or _text(untrusted_object.get("name")) not in names:
            continue
        try:
            record = _Object(untrusted_object, tags, defaults, place, told).read()
        except (HashFormatError, ListFormatError) as error:
            told.faults.append(located(error, place))
            continue
        told.records.append(record)
    return told


class _Object:
    """One object, read once."""

    def __init__(
        self, untrusted: Mapping[str, Any], event_tags: list[str], defaults: EntryDefaults, place: str, told: EventTold
    ) -> None:
        self._untrusted, self._event_tags, self._defaults = untrusted, event_tags, defaults
        self._place, self._told, self._hashes = place, told, RecordHashes()
        self._others: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._tags = list(event_tags)

    def read(self) -> Record:
        key = _text(self._untrusted.get("uuid")).lower()
        if len(key) != _MAX_UUID_CHARS or not key.isprintable():
            raise ListFormatError("an object without its UUID", mend="tell the source")
        self._place = f"{self._place} {key}"
        digest = record_digest(self._stated())
        if _is_deleted(self._untrusted) or self._untrusted.get("name") == SANITISED_NAME:
            return Record(key, digest, None)
        is_bare = not sum(self._take(attribute) for attribute in self._attributes())
        if not self._hashes.found:
            return self._without_prints(key, digest, is_bare=is_bare)
        for fault in self._hashes.faults:
            what = sentence("%(what)s; the rest of its record stays", what=fault.what)
            self._told.faults.append(HashRefused(what, where=self._place, mend=fault.mend))
        return Record(key, digest, self._entry(key, digest))

    def _stated(self) -> dict[str, object]:
        """What the organisation states: not what its MISP adds of itself (sightings, correlations, warnings)."""
        untrusted_attributes = self._untrusted.get("Attribute")
        attributes = [
            {**{name: one.get(name) for name in _STATED}, "tags": sorted(tag_names(one.get("Tag")))}
            for one in (untrusted_attributes if isinstance(untrusted_attributes, list) else [])
            if isinstance(one, dict)
        ]
        stated = {name: self._untrusted.get(name) for name in _STATED}
        return {**stated, "attributes": attributes, "tags": sorted(self._event_tags)}

    def _attributes(self) -> Iterator[Mapping[str, Any]]:
        untrusted_attributes = self._untrusted.get("Attribute")
        for untrusted in untrusted_attributes if isinstance(untrusted_attributes, list) else []:
            if isinstance(untrusted, dict) and not _is_deleted(untrusted):
                yield untrusted

    def _take(self, untrusted_attribute: Mapping[str, Any]) -> bool:
        """Whether it is a fingerprint, good or not."""
        self._tags += tag_names(untrusted_attribute.get("Tag"))
        relation = _text(untrusted_attribute.get("object_relation")).lower()
        value = _text(untrusted_attribute.get("value"))
        if relation in _HASHES:
            self._hashes.take(lambda: {relation: parse_hex(relation, value)})
        elif relation == _OTHER:
            self._take_other(value)
        elif relation in _TEXTS:
            self._texts[relation] = value
        elif self._untrusted.get("name") == OBJECT_NAME:
            self._told.unknown[f"attribute {_word(relation) or 'without a name'}"] += 1
        return relation in _HASHES or relation == _OTHER

    def _take_other(self, value: str) -> None:
        name, _, digits = value.partition(":")
        if name.lower() == "photodna":
            self._hashes.take(lambda: {"photodna": parse_photodna(digits)})
            return
        self._told.unknown[f"fingerprint {_word(name)}"] += 1
        self._others[_word(name)] = digits

    def _without_prints(self, key: str, digest: bytes, *, is_bare: bool) -> Record:
        """What only holds fingerprints that nobody here can compare is kept; one whose hashes are deleted is gone."""
        if self._hashes.faults:
            raise self._hashes.faults[0]
        if not is_bare:
            self._told.unknown[NO_PRINT] += 1
        return Record(key, digest, None, kept_texts(self._others) or None)

    def _entry(self, key: str, digest: bytes) -> Entry:
        said = read_tags(self._tags, self._told.unknown)
        fields = entry_fields(self._defaults) | self._classification(said)
        if said.tlp is not None:
            fields["tlp"] = said.tlp
        family = self._texts.get("pdq-family", "").lower()
        if family in _FAMILIES:
            fields["pdq_family"] = _FAMILIES[family]
        elif family:
            self._told.unknown[f"pdq-family {_word(family)}"] += 1
        return Entry(
            fingerprints=self._hashes.found,
            source_id=key,
            quality=self._quality(),
            first_seen=self._time("first_seen"),
            last_seen=self._time("last_seen") or self._time("timestamp"),
            metadata=record_metadata(digest, self._facts(said)),
            **{**fields, "licence": self._texts.get("licence", "")[:MAX_TEXT_CHARS] or fields["licence"]},
        )

    def _classification(self, said: Said) -> dict[str, str]:
        """Of the object itself, else of its tags; a scheme that the operator set holds for the whole list."""
        scheme, label = self._texts.get("classification-scheme", ""), self._texts.get("classification-label", "")
        if not label:
            scheme, label = said.scheme, said.label
        if not label:
            return {}
        scheme = self._defaults.scheme or scheme[:MAX_TEXT_CHARS] or "misp"
        return {"scheme": scheme, "label": label[:MAX_TEXT_CHARS]}

    def _quality(self) -> int | None:
        text = self._texts.get("pdq-quality", "")
        try:
            return parse_whole("pdq-quality", text, 0, 100) if text else None
        except ListFormatError:
            self._told.unknown[f"pdq-quality {_word(text)}"] += 1
            return None

    def _time(self, name: str) -> int:
        try:
            return parse_time(_text(self._untrusted.get(name)))
        except ListFormatError:
            return 0

    def _facts(self, said: Said) -> dict[str, object]:
        facts: dict[str, object] = {
            "pap": said.pap, "tags": list(said.tags), "fingerprints": shown_texts(self._others),
            **{name: self._texts.get(name, "")[:MAX_TEXT_CHARS] for name in ("source", "source-id")},
        }  # fmt: skip
        return {name: value for name, value in facts.items() if value}


def _is_deleted(untrusted: Mapping[str, Any]) -> bool:
    return untrusted.get("deleted") in (True, 1, "1", "true")


def _text(untrusted_value: object) -> str:
    if isinstance(untrusted_value, int) and not isinstance(untrusted_value, bool):
        return str(untrusted_value)
    return untrusted_value.strip() if isinstance(untrusted_value, str) else ""


def _word(untrusted_text: str) -> str:
    return "".join(c for c in untrusted_text if c.isprintable())[:40]
