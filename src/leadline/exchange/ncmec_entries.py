"""Entries of NCMEC's lists as records: hashes checked; classification, time and feedback kept. Decides nothing."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from leadline.domain import Entry
from leadline.errors import HashFormatError, HashRefused, LeadlineError, ListFormatError, sentence
from leadline.exchange.base import (
    EntryDefaults,
    RecordHashes,
    kept_texts,
    located,
    metadata_text,
    parse_hex,
    parse_photodna,
    parse_time,
    record_metadata,
)
from leadline.exchange.connector import Record
from leadline.exchange.ncmec_xml import ToldEntry

CODES = frozenset({"A1", "A2", "B1", "B2"})  # of NCMEC's industry classification
NO_PRINT = "entry without a fingerprint that is known here"
_KNOWN = frozenset({"md5", "sha1", "sha256", "pdq"})
_KEPT_CHARS = 500  # of the text of a fingerprint that nobody here knows
_MAX_ID_CHARS = 200
_MAX_LINKED, _MAX_LINK_CHARS = 8, 2000  # of an entry; the protocol knows four kinds
_KEPT_TEXTS = 1000  # members, twice
_TO_THE_SECOND = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
Fetch = Callable[[str, int], bytes]  # (link, most bytes)


class RecordMaker:
    """Of one pull. `faults` and `unknown` gather what a page has to tell beside its records.

    scheme  of labels that are no code of NCMEC's industry classification
    kinds   plug-ins for further fingerprints: name -> bytes
    fetch   what a link leads to, asked for only where there is a plug-in; the links of other kinds go with the record
    """

    def __init__(
        self, defaults: EntryDefaults, scheme: str, kinds: Mapping[str, int], fetch: Fetch, where: str
    ) -> None:
        self.faults: list[LeadlineError] = []
        self.unknown = Counter[str]()
        self._defaults, self._scheme, self._kinds, self._fetch, self._where = defaults, scheme, kinds, fetch, where
        self._texts: dict[tuple[str, ...], str] = {}
        self._minute, self._minute_s = "", 0

    def make(self, told: ToldEntry) -> Record | None:
        """None for a bad record, which is then a fault."""
        key = f"{told.member}-{told.id}"
        if not (told.member.isdigit() and told.member.isascii() and told.id and len(key) <= _MAX_ID_CHARS):
            mend = "tell the source which one"
            self.faults.append(ListFormatError("an entry without its member or id", where=self._where, mend=mend))
            return None
        if told.is_deleted:
            return Record(key, told.digest, None)
        hashes, others = RecordHashes(), dict[str, str]()
        self._take_prints(told, hashes, others)
        fetched = self._take_linked(told, hashes) if told.linked else None
        if hashes.faults or not hashes.found:
            place = f"{self._where}: entry {key}"
            if not hashes.found:
                return self._without_prints(told, key, hashes, place)
            for fault in hashes.faults:
                what = sentence("%(what)s; the rest of its record stays", what=fault.what)
                self.faults.append(HashRefused(what, where=place, mend=fault.mend))
        digest = hashlib.sha256(told.digest + ",".join(fetched).encode()).digest() if fetched else told.digest
        entry = self._entry(told, key, hashes.found, others)
        return self._led_on(told, Record(key, digest, entry)) if told.linked else Record(key, digest, entry)

    def take_faults(self) -> list[LeadlineError]:
        """Those gathered so far; they are not told again."""
        taken, self.faults = self.faults, []
        return taken

    def take_unknown(self) -> Counter[str]:
        taken, self.unknown = self.unknown, Counter()
        return taken

    def _without_prints(self, told: ToldEntry, key: str, hashes: RecordHashes, place: str) -> Record | None:
        """An entry that holds only what cannot be compared here is kept beside the bank: a later state may be in it.
        Of a large fingerprint its kind is kept, and no link."""
        if hashes.faults:
            self.faults.append(located(hashes.faults[0], place))
            return None
        self.unknown[NO_PRINT] += 1
        stated = {**dict.fromkeys(told.linked, ""), **told.prints}
        kept = kept_texts({name[:40]: text for name, text in stated.items()})
        return self._led_on(told, Record(key, told.digest, None, kept or None))

    def _led_on(self, told: ToldEntry, record: Record) -> Record:
        """With its links, the first eight; those of plug-ins have been followed."""
        links = {
            kind: link
            for kind, link in _by_kind(told.linked)
            if kind not in self._kinds and len(link) <= _MAX_LINK_CHARS
        }
        linked = dict(islice(links.items(), _MAX_LINKED))
        moment = self._time(told.timestamp) or 0
        return msgspec.structs.replace(record, linked=linked, moment=moment) if linked else record

    def _take_prints(self, told: ToldEntry, hashes: RecordHashes, others: dict[str, str]) -> None:
        found = hashes.found
        for name, text in told.prints.items():
            try:
                if name in _KNOWN:
                    found[name] = parse_hex(name, text)
                else:
                    self._take_rare(name, text, found, others)
            except HashFormatError as fault:
                hashes.faults.append(fault)

    def _take_rare(self, name: str, text: str, found: dict[str, bytes], others: dict[str, str]) -> None:
        kind = name.lower().replace("-", "_")
        if kind in _KNOWN:
            found[kind] = parse_hex(kind, text)
        elif kind == "pdna":
            found["photodna"] = parse_photodna(text)
        elif kind in self._kinds:
            found[kind] = _plain(kind, text, self._kinds[kind])
        else:
            self.unknown[f"fingerprint {name[:40]}"] += 1
            others[name[:40]] = text[:_KEPT_CHARS]

    def _take_linked(self, told: ToldEntry, hashes: RecordHashes) -> list[str]:
        """What was fetched. The links themselves are never kept: NCMEC asks for that."""
        taken = []
        for kind, link in _by_kind(told.linked):
            if kind not in self._kinds:
                continue
            try:
                hashes.found[kind] = _sized(kind, self._fetch(link, self._kinds[kind]), self._kinds[kind])
                taken.append(kind)
            except HashFormatError as fault:
                hashes.faults.append(fault)
        return taken

    def _entry(self, told: ToldEntry, key: str, prints: Mapping[str, bytes], others: Mapping[str, str]) -> Entry:
        defaults, label = self._defaults, told.classification[:100]
        last_seen = self._time(told.timestamp)
        return Entry(
            kind=defaults.kind, fingerprints=prints, pdq_family=defaults.pdq_family,
            scheme=defaults.scheme or (self._scheme_of(label) if label else ""), label=label or defaults.label,
            source=defaults.source, source_id=key, licence=defaults.licence, tlp=defaults.tlp,
            last_seen=last_seen or 0, metadata=self._metadata(told, others, is_dated=last_seen is not None),
        )  # fmt: skip

    def _scheme_of(self, label: str) -> str:
        return "ncmec" if label in CODES else self._scheme

    def _metadata(self, told: ToldEntry, others: Mapping[str, str], *, is_dated: bool) -> str:
        if not (told.feedback or told.linked or others) and is_dated:
            return f'{{"record":"{told.digest.hex()}",{self._usual_facts(told.type, told.member, told.member_name)}'
        facts: dict[str, Any] = {**_facts(told.type, told.member, told.member_name), **told.feedback}
        if others:
            facts["fingerprints"] = others
        if told.linked:
            facts["linked"] = [name[:40] for name in told.linked]
        if not is_dated:
            facts["timestamp"] = told.timestamp[:40]
        return record_metadata(told.digest, facts)

    def _usual_facts(self, *of: str) -> str:
        """Their JSON after its opening brace: a member has many entries."""
        text = self._texts.get(of)
        if text is None:
            if len(self._texts) >= _KEPT_TEXTS:
                self._texts.clear()
            text = self._texts[of] = metadata_text(_facts(*of))[1:]
        return text

    def _time(self, text: str) -> int | None:
        """None where it says none. Entries of one minute come together, so most of a time was read before."""
        minute, seconds, zone = text[:17], text[17:19], text[19:]
        if minute == self._minute and zone == "Z" and seconds.isascii() and seconds.isdigit() and seconds < "60":
            return self._minute_s + int(seconds)
        try:
            time_s = parse_time(text)
        except ListFormatError:
            return None
        if _TO_THE_SECOND.fullmatch(text):
            self._minute, self._minute_s = minute, time_s - int(seconds)
        return time_s


def _by_kind(linked: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(kind as a plug-in is called, link)"""
    return ((name[:40].lower().replace("-", "_"), link) for name, link in linked.items())


def _facts(entry_type: str, member: str, name: str) -> dict[str, Any]:
    return {"type": entry_type, "member": f"{member} {name[:100]}"}


def _plain(kind: str, text: str, length: int) -> bytes:
    """Hexadecimal or base64 text of `length` bytes."""
    try:
        return _sized(kind, bytes.fromhex(text) if len(text) == 2 * length else base64.b64decode(text), length)
    except (ValueError, binascii.Error):
        raise HashFormatError(
            sentence("%(name)s is neither hexadecimal nor base64", name=kind), mend="tell the source"
        ) from None


def _sized(kind: str, untrusted: bytes, length: int) -> bytes:
    if len(untrusted) != length:
        what = sentence("%(name)s has %(count)s bytes", name=kind, count=len(untrusted))
        raise HashFormatError(what, mend=sentence("its plug-in takes %(length)s", length=length))
    return untrusted
