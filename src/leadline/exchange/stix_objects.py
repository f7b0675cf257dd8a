"""Objects of STIX 2.1 (indicators with patterns of file hashes, files) -> records. Asks nobody, trusts no object.

Read here and not by the stix2 library, which takes 7 ms an object: its pattern parser is a general one, and patterns
that say only hashes need none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from leadline.domain import EXACT_ALGORITHMS, Entry, Kind, PdqFamily
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
    record_digest,
    record_metadata,
    shown_texts,
    unknown_version,
)
from leadline.exchange.stix_markings import read_markings

EXTENSION = "extension-definition--3c1f2d1b-7d5e-4f0a-9a55-2f6d1c0be7a4"
INDICATOR_TYPES = "stix:indicator_types"
BENIGN = "benign"  # of indicator_types: the source calls the file harmless
NO_PRINT = "object without a fingerprint known here"
OTHER_PATTERN = "pattern of other things than file hashes"
_READ = frozenset({"indicator", "file"})
_BESIDE = frozenset({  # they belong to a bundle, and say nothing of a file
    "bundle", "identity", "marking-definition", "extension-definition", "language-content", "relationship",
})  # fmt: skip
_KEY = re.compile(r"(?:indicator|file)--[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MAX_PATTERN_CHARS = 20_000
_PART = re.compile(
    r"\s*(?:file:hashes\.(?:'(?P<quoted>[^'\\]{1,60})'|(?P<plain>[\w-]{1,60}))\s*=\s*'(?P<value>[^'\\]{0,2000})'"
    r"|(?P<sign>[][()])|(?P<word>OR|AND)(?=[\s[(]))\s*"
)
_HASHES = (*EXACT_ALGORITHMS, "pdq")
_FAMILIES = {str(family): family for family in PdqFamily}
_VERSIONS = frozenset({"2.0", "2.1"})
_MAX_LABELS = 10


class ToldObject(NamedTuple):
    """key: its STIX id; digest: 32 bytes of the raw object; entry: None where it is revoked or has no fingerprint that
    is known here; kept: then {kind: text} of those that are not, as of a Record."""

    key: str
    digest: bytes
    entry: Entry | None
    kept: Mapping[str, str] | None = None

    @property
    def is_gone(self) -> bool:
        return self.entry is None and self.kept is None


@dataclass(slots=True)
class ObjectsTold:
    """What some objects told; the latest version of each is the last."""

    records: list[ToldObject] = field(default_factory=list)
    faults: list[LeadlineError] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)


def read_objects(untrusted_objects: Sequence[object], defaults: EntryDefaults, where: str) -> ObjectsTold:
    """Records of indicators and files, keyed by their STIX id; a revoked one is withdrawn."""
    told = ObjectsTold()
    for number, untrusted in sorted(enumerate(untrusted_objects, 1), key=lambda pair: _modified(pair[1])):
        kind = _text(untrusted.get("type")) if isinstance(untrusted, dict) else ""
        if not isinstance(untrusted, dict) or kind not in _READ:
            if kind not in _BESIDE:
                told.unknown[f"object of type {_word(kind) or 'none'}"] += 1
            continue
        place = f"{where}: object {number}"
        try:
            told.records.append(_Object(untrusted, defaults, place, told).read())
        except (HashFormatError, ListFormatError) as error:
            told.faults.append(located(error, f"{place} {_shown_key(untrusted)}".rstrip()))
    return told


def _modified(untrusted: object) -> str:
    """Times of STIX sort as texts."""
    modified = untrusted.get("modified") if isinstance(untrusted, dict) else None
    return modified if isinstance(modified, str) else ""


class _Object:
    """One object, read once."""

    def __init__(self, untrusted: Mapping[str, Any], defaults: EntryDefaults, place: str, told: ObjectsTold) -> None:
        self._untrusted, self._defaults, self._place, self._told = untrusted, defaults, place, told
        self._hashes, self._others = RecordHashes(), dict[str, str]()
        self._pdq: Mapping[str, Any] = {}
        extensions = untrusted.get("extensions")
        extension = extensions.get(EXTENSION) if isinstance(extensions, dict) else None
        self._extension: Mapping[str, Any] = extension if isinstance(extension, dict) else {}
        version = untrusted.get("spec_version")
        self._version = str(version) if version is not None else _version_without(untrusted)

    def read(self) -> ToldObject:
        key = self._untrusted.get("id")
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise ListFormatError("an object without a name of STIX", mend="give TYPE--UUID")
        digest = record_digest(dict(self._untrusted))
        if self._untrusted.get("revoked") is True:
            return ToldObject(key, digest, None)
        if self._version not in _VERSIONS:
            raise unknown_version(f"STIX {self._version}", "STIX 2.1")
        for name, value in self._stated():
            self._take(name, value)
        if not self._hashes.found:
            if self._hashes.faults:
                raise self._hashes.faults[0]
            self._told.unknown[NO_PRINT] += 1
            return ToldObject(key, digest, None, kept_texts(self._others) or None)
        for fault in self._hashes.faults:
            what = sentence("%(what)s; the rest of its record stays", what=fault.what)
            self._told.faults.append(HashRefused(what, where=f"{self._place} {key}", mend=fault.mend))
        return ToldObject(key, digest, self._entry(key, digest))

    def _stated(self) -> Iterator[tuple[str, object]]:
        """(kind, hexadecimal digits) of the pattern or the hashes, then of our extension."""
        if self._untrusted.get("type") == "indicator":
            yield from self._pattern_hashes()
        else:
            hashes = self._untrusted.get("hashes")
            yield from hashes.items() if isinstance(hashes, dict) else ()
        stated = self._extension.get("fingerprints")
        for one in stated if isinstance(stated, list) else []:
            if isinstance(one, dict):
                name = str(one.get("algorithm"))
                if name == "pdq":
                    self._pdq = one
                yield name, one.get("value")

    def _pattern_hashes(self) -> Iterator[tuple[str, object]]:
        pattern, language = self._untrusted.get("pattern"), self._untrusted.get("pattern_type", "stix")
        found = read_pattern(pattern) if isinstance(pattern, str) and language == "stix" else None
        if found is None:
            self._told.unknown[OTHER_PATTERN] += 1
        yield from found or ()

    def _take(self, name: str, value: object) -> None:
        kind = re.sub(r"[-_]", "", name).lower()
        if not isinstance(value, str):
            value = ""
        text = value.strip()
        if kind in _HASHES or kind == "photodna":
            self._take_known(kind, text)
        else:
            self._told.unknown[f"fingerprint {_word(name)}"] += 1
            self._others[_word(name)] = text

    def _take_known(self, kind: str, text: str) -> None:
        before = self._hashes.found.get(kind)
        parse = parse_photodna if kind == "photodna" else lambda digits: parse_hex(kind, digits)
        self._hashes.take(lambda: {kind: parse(text)})
        if before is not None and before != self._hashes.found[kind]:
            what = sentence("it names several %(kind)s, so it is of several files", kind=kind)
            raise ListFormatError(what, mend="ask the source for one object a file")

    def _entry(self, key: str, digest: bytes) -> Entry:
        fields = entry_fields(self._defaults) | self._classification()
        tlp = read_markings(self._untrusted, self._told.unknown)
        if tlp is not None:
            fields["tlp"] = tlp
        if BENIGN in self._types() and fields["kind"] in (Kind.ILLEGAL, Kind.EXPLOITATIVE):
            fields["kind"] = Kind.OTHER  # a default must not turn "harmless" into its opposite
        licence = self._said("licence")
        if licence:
            fields["licence"] = licence
        fields["pdq_family"] = _FAMILIES.get(str(self._pdq.get("family")), fields["pdq_family"])
        quality = self._pdq.get("quality")
        is_quality = isinstance(quality, int) and not isinstance(quality, bool) and 0 <= quality <= 100
        return Entry(
            fingerprints=self._hashes.found,
            source_id=key,
            quality=quality if is_quality else None,
            first_seen=self._time("valid_from") or self._time("created"),
            last_seen=self._time("modified"),
            metadata=record_metadata(digest, self._facts()),
            **fields,
        )

    def _classification(self) -> dict[str, str]:
        """Of our extension, else the indicator's types; a scheme that the operator set holds for the whole list."""
        given = self._extension.get("classification")
        told = given if isinstance(given, dict) else {}
        scheme, label = (_text(told.get(name)) for name in ("scheme", "label"))
        if not (scheme and label):
            scheme, label = INDICATOR_TYPES, ",".join(self._types())
        if not label:
            return {}
        return {"scheme": self._defaults.scheme or scheme, "label": label[:MAX_TEXT_CHARS]}

    def _types(self) -> list[str]:
        """2.0 had the same words, as labels."""
        return self._words("labels" if self._version == "2.0" else "indicator_types")

    def _facts(self) -> dict[str, object]:
        facts: dict[str, object] = {
            "labels": self._words("labels"), "fingerprints": shown_texts(self._others),
            "valid_until": _word(self._untrusted.get("valid_until")),
            **{name: self._said(name) for name in ("source", "source_id")},
        }  # fmt: skip
        return {name: value for name, value in facts.items() if value}

    def _said(self, name: str) -> str:
        return _text(self._extension.get(name))

    def _words(self, name: str) -> list[str]:
        values = self._untrusted.get(name)
        words = [_word(value) for value in values] if isinstance(values, list) else []
        return [word for word in words if word][:_MAX_LABELS]

    def _time(self, name: str) -> int:
        try:
            return parse_time(_text(self._untrusted.get(name)))
        except ListFormatError:
            return 0


def _version_without(untrusted: Mapping[str, Any]) -> str:
    """Of an object that does not say its version: in 2.1 only a file may, in 2.0 the bundle alone said it."""
    return "2.0" if untrusted.get("type") == "indicator" and "indicator_types" not in untrusted else "2.1"


def read_pattern(untrusted_pattern: str) -> list[tuple[str, str]] | None:
    """[file:hashes.'SHA-256' = '...' OR file:hashes.MD5 = '...'] -> (kind, value) of each; None where a pattern says
    anything else than hashes of a file, joined by OR and AND: then one hash does not stand for it."""
    if len(untrusted_pattern) > _MAX_PATTERN_CHARS:
        return None
    found, at = [], 0
    while at < len(untrusted_pattern):
        part = _PART.match(untrusted_pattern, at)
        if part is None:
            return None
        if part["value"] is not None:
            found.append((part["quoted"] or part["plain"], part["value"]))
        at = part.end()
    return found or None


def _text(untrusted_value: object) -> str:
    return untrusted_value.strip()[:MAX_TEXT_CHARS] if isinstance(untrusted_value, str) else ""


def _word(untrusted_value: object) -> str:
    return "".join(c for c in _text(untrusted_value) if c.isprintable())[:40]


def _shown_key(untrusted: Mapping[str, Any]) -> str:
    key = untrusted.get("id")
    return key if isinstance(key, str) and _KEY.fullmatch(key) else ""
