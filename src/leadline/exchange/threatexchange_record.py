"""Updates of Meta's ThreatExchange -> records: what members say of a hash. Decides nothing between them, asks nothing.

Source: developers.facebook.com/docs/threat-exchange/reference/apis (threat-updates, threat-descriptor, types).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from leadline.domain import Entry, Kind, Tlp
from leadline.errors import HashFormatError, LeadlineError, ListFormatError
from leadline.exchange.base import (
    EntryDefaults,
    entry_fields,
    kept_texts,
    located,
    parse_hex,
    parse_time,
    record_digest,
    record_metadata,
)
from leadline.exchange.connector import MAX_KEY_CHARS, Record
from leadline.exchange.telling import Told

SCHEME = "threatexchange"
KINDS = {
    "HASH_PDQ": "pdq", "HASH_MD5": "md5", "HASH_SHA1": "sha1", "HASH_SHA256": "sha256",
    "HASH_VIDEO_MD5": "md5", "HASH_VIDEO_SHA256": "sha256",
}  # fmt: skip
HARMFUL = "MALICIOUS"
STATUSES = (HARMFUL, "SUSPICIOUS", "NON_MALICIOUS", "UNKNOWN")  # the gravest first
REACTIONS = frozenset(
    {
        "SAW_THIS_TOO", "NON_MALICIOUS", "DISAGREE_WITH_TAGS", "HELPFUL", "NOT_HELPFUL", "OUTDATED", "WANT_MORE_INFO",
        "INGESTED", "ALREADY_KNOWN", "IN_REVIEW", "REVIEWED",
    }
)  # fmt: skip
# AMBER there is for one organisation and its subsidiaries: what TLP 2.0 calls AMBER+STRICT.
SHARE_LEVELS = {"RED": Tlp.RED, "AMBER": Tlp.AMBER_STRICT, "GREEN": Tlp.GREEN, "WHITE": Tlp.CLEAR}
_MOST_TOLD, _MAX_WORD = 10, 40


def read_updates(
    untrusted_updates: Sequence[object], defaults: EntryDefaults, where: str, *, token: str, next_s: int
) -> Told:
    """Updates of one page; one that cannot be read is a fault with its place, and the rest goes on.

    next_s in what comes back: the latest of `next_s` and the times of the updates.
    """
    records: list[Record] = []
    faults: list[LeadlineError] = []
    unknown: Counter[str] = Counter()
    for number, untrusted_update in enumerate(untrusted_updates, start=1):
        try:
            if not isinstance(untrusted_update, dict):
                raise ListFormatError("an update is no object", mend="tell the source")
            next_s = max(next_s, _seconds(untrusted_update.get("last_updated")))
            records.append(_read(untrusted_update, defaults, unknown))
        except (HashFormatError, ListFormatError) as error:
            key = _word(untrusted_update.get("id")) if isinstance(untrusted_update, dict) else ""
            faults.append(located(error, f"{where}: {f'indicator {key}' if key else f'update {number} of a page'}"))
    return Told(records, token, next_s, faults, unknown)


def _read(untrusted_update: Mapping[str, Any], defaults: EntryDefaults, unknown: Counter[str]) -> Record:
    """A type that nobody here knows is counted, and kept."""
    key = _plain(untrusted_update.get("id"))
    if not key or len(key) > MAX_KEY_CHARS:
        raise ListFormatError("an update has no id", mend="tell the source")
    digest = record_digest(untrusted_update)
    descriptors = list(_objects(untrusted_update.get("descriptors")))
    if untrusted_update.get("should_delete") in (True, "true") or not descriptors:
        # without any opinion it is a deletion, too: issue 834 of Meta's repository ThreatExchange
        return Record(key, digest, None)
    of_type = _plain(untrusted_update.get("type"))
    if of_type not in KINDS:
        kind = _word(of_type) or "missing"
        unknown[f"type {kind}"] += 1
        return Record(key, digest, None, kept_texts({kind: _plain(untrusted_update.get("indicator"))}))
    algorithm = KINDS[of_type]
    fingerprints = {algorithm: parse_hex(algorithm, _plain(untrusted_update.get("indicator")))}
    entry = Entry(
        fingerprints=fingerprints,
        source_id=key,
        first_seen=_seconds(untrusted_update.get("creation_time")),
        last_seen=_seconds(untrusted_update.get("last_updated")),
        metadata=record_metadata(digest, {"type": of_type, **_opinions(descriptors, unknown)}),
        **{**entry_fields(defaults), **_judged(descriptors, defaults)},
    )
    return Record(key, digest, replace(entry, tlp=_tlp(descriptors, defaults.tlp, unknown)))


def _judged(descriptors: Sequence[Mapping[str, Any]], defaults: EntryDefaults) -> dict[str, Any]:
    """The gravest status that a member gave. `kind` is for what somebody calls harmful; anything else is `other`."""
    statuses = [_word(one.get("status")) for one in descriptors]
    label = next((status for status in STATUSES if status in statuses), statuses[0])
    kind = defaults.kind if label == HARMFUL else Kind.OTHER
    return {"kind": kind, **({"scheme": defaults.scheme or SCHEME, "label": label} if label else {})}


def _tlp(descriptors: Sequence[Mapping[str, Any]], default: Tlp, unknown: Counter[str]) -> Tlp:
    """The strictest that a member gave; the default where none did."""
    given: set[Tlp] = set()
    for one in descriptors:
        level = _word(one.get("share_level"))
        if level in SHARE_LEVELS:
            given.add(SHARE_LEVELS[level])
        elif level:
            unknown[f"share_level {level}"] += 1
            given.add(Tlp.RED)  # what nobody here knows is unsafe
    return min(given, key=_strictness) if given else default


def _strictness(tlp: Tlp) -> int:
    return list(Tlp).index(tlp)  # they stand from the strictest to the freest


def _opinions(descriptors: Sequence[Mapping[str, Any]], unknown: Counter[str]) -> dict[str, object]:
    statuses: Counter[str] = Counter()
    reactions: Counter[str] = Counter()
    tags: set[str] = set()
    for one in descriptors:
        statuses[_word(one.get("status")) or "missing"] += 1
        tags.update(_tags(one.get("tags")))
        for name, count in _reactions(one.get("reactions")):
            reactions[name] += count
    unknown.update({f"status {name}": count for name, count in statuses.items() if name not in STATUSES})
    unknown.update({f"reaction {name}": count for name, count in reactions.items() if name not in REACTIONS})
    return {
        "opinions": dict(statuses.most_common(_MOST_TOLD)),
        "reactions": dict(reactions.most_common(_MOST_TOLD)),
        "tags": sorted(tags - {""})[:_MOST_TOLD],
        "descriptors": [_word(one.get("id")) for one in descriptors][:_MOST_TOLD],
    }


def _tags(untrusted_tags: object) -> Iterator[str]:
    """Names, or {"data": [{"text": name}]}: both are seen."""
    if isinstance(untrusted_tags, list):
        yield from (_word(tag) for tag in untrusted_tags if isinstance(tag, str))
    for tag in _objects(untrusted_tags):
        yield _word(tag.get("text"))


def _reactions(untrusted_reactions: object) -> Iterator[tuple[str, int]]:
    """(reaction, members) of [{"key": reaction, "value": "member,member"}]."""
    for one in _objects(untrusted_reactions):
        name, members = _word(one.get("key")), one.get("value")
        if name and isinstance(members, str):
            yield name, members.count(",") + 1


def _objects(untrusted_list: object) -> Iterable[Mapping[str, Any]]:
    """The objects of a list, or of {"data": [...]}."""
    if isinstance(untrusted_list, dict):
        untrusted_list = untrusted_list.get("data")
    return [one for one in untrusted_list if isinstance(one, dict)] if isinstance(untrusted_list, list) else []


def _plain(untrusted_value: object) -> str:
    if isinstance(untrusted_value, int) and not isinstance(untrusted_value, bool):
        return str(untrusted_value)[:_MAX_WORD]
    return untrusted_value.strip() if isinstance(untrusted_value, str) else ""


def _word(untrusted_value: object) -> str:
    return "".join(c for c in _plain(untrusted_value) if c.isprintable())[:_MAX_WORD]


def _seconds(untrusted_value: object) -> int:
    """Seconds since 1970 of a number or a time in ISO 8601; 0 for what is none."""
    try:
        return parse_time(_plain(untrusted_value))
    except ListFormatError:
        return 0
