"""One row or JSON object of a bulk delivery -> IncomingReport. Names its fields, reads no file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Reporter, Urgency
from leadline.errors import HashFormatError, ReportFormatError, sentence
from leadline.exchange.base import parse_hash, parse_hex
from leadline.exchange.incoming import (
    MAX_ITEMS,
    MAX_TEXT_CHARS,
    MAX_VALUE_CHARS,
    clean_text,
    clean_value,
    read_text,
    read_time,
)

_HASHES = ("md5", "sha1", "sha256", "pdq")
CONTENT = ("url", "account", "hash", *_HASHES, "text", "items")  # a report has at least one of these
_REPORTER = {f"reporter_{name}": name for name in ("name", "organisation", "email", "phone")}
KNOWN = frozenset(
    {"reference", "received_at", "made_at", "note", "referrer", "urgency", "attachments"}
    | {*CONTENT, *_REPORTER, *map(str, Urgency)}
)
_ALIASES = {
    "referer": "referrer", "link": "url", "uri": "url", "comment": "note", "comments": "note",
    "received": "received_at", "sourcereference": "reference", "handle": "account", "username": "account",
}  # fmt: skip
_BY_LETTERS = {re.sub(r"[^a-z0-9]", "", name): name for name in sorted(KNOWN)} | _ALIASES
_KINDS = {"url": ItemKind.URL, "account": ItemKind.ACCOUNT, **dict.fromkeys(("hash", *_HASHES), ItemKind.HASH)}
_YES = frozenset({"1", "x", "y", "yes", "true", "ja", "oui"})
_NO = frozenset({"", "0", "n", "no", "false", "nein", "nee", "non", "-"})


def field_name(untrusted_name: str) -> str:
    """The field that a column is taken for: case, blanks and punctuation are free; else the name itself."""
    text = clean_text(untrusted_name).strip()
    return _BY_LETTERS.get(re.sub(r"[^a-z0-9]", "", text.lower()), text)


def report_of(untrusted_record: object) -> IncomingReport:
    """A flat row, or an object whose `url`, `account`, `hash` may be lists and which may have `items`.

    Raises ReportFormatError with the field at fault.
    """
    if not isinstance(untrusted_record, dict):
        raise ReportFormatError("a record is no object", mend='write {"url": "...", ...}')
    fields = _fields(untrusted_record)
    text = read_text(fields.get("text"), "text", MAX_TEXT_CHARS)
    items = tuple(_items(fields))
    if not items and not text:
        raise ReportFormatError(
            "the record reports nothing", mend=sentence("fill one of %(names)s", names=", ".join(CONTENT))
        )
    if len(items) > MAX_ITEMS:
        raise ReportFormatError(
            sentence("more than %(most)s items", most=MAX_ITEMS), mend="split the report", field="items"
        )
    return IncomingReport(
        channel=Channel.BULK,
        items=items,
        source_reference=read_text(fields.get("reference"), "reference"),
        received_at=read_time(fields.get("received_at"), "received_at"),
        made_at=read_time(fields.get("made_at"), "made_at"),
        reporter=_reporter(fields),
        urgency=frozenset(_ticks(fields)),
        text=text,
        attachments=tuple(_texts(fields.get("attachments"), "attachments")),
        facts=_facts(fields, has_items=bool(items)),
    )


def _fields(untrusted_record: Mapping[str, object]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for untrusted_name, value in untrusted_record.items():
        name = field_name(str(untrusted_name))
        if name in KNOWN and name in fields:
            raise ReportFormatError(
                sentence("%(name)s is given twice", name=name), mend="name each field once", field=name
            )
        fields[name] = value
    return fields


def _facts(fields: Mapping[str, object], *, has_items: bool) -> dict[str, object]:
    kept = {name: clean_value(value) for name, value in fields.items() if name not in KNOWN}
    if not has_items:  # else it stands with each item
        kept |= {name: clean_value(fields[name]) for name in ("note", "referrer") if fields.get(name)}
    return kept


def _items(fields: Mapping[str, object]) -> Iterator[IncomingItem]:
    note = read_text(fields.get("note"), "note", MAX_TEXT_CHARS)
    referrer = read_text(fields.get("referrer"), "referrer")
    for name, kind in _KINDS.items():
        for value in _texts(fields.get(name), name):
            facts = {"algorithms": _algorithms(name, value)} if kind is ItemKind.HASH else {}
            yield IncomingItem(kind, value, note=note, referrer=referrer, facts=facts)
    untrusted_items = fields.get("items")
    if untrusted_items is not None and not isinstance(untrusted_items, list):
        raise ReportFormatError("items is no list", mend='write [{"kind": "url", "value": "..."}]', field="items")
    for place, untrusted_item in enumerate(untrusted_items or ()):
        yield _item(untrusted_item, f"items[{place}]", note, referrer)


def _item(untrusted_item: object, place: str, note: str, referrer: str) -> IncomingItem:
    if not isinstance(untrusted_item, dict):
        raise ReportFormatError(
            sentence("%(place)s is no object", place=place), mend='write {"kind": "url", "value": "..."}', field=place
        )
    try:
        kind = ItemKind(str(untrusted_item.get("kind")))
    except ValueError:
        raise ReportFormatError(
            sentence("%(place)s has no kind that we know", place=place),
            mend=sentence("use one of %(names)s", names=", ".join(ItemKind)),
            field=f"{place}.kind",
        ) from None
    limit = MAX_TEXT_CHARS if kind is ItemKind.TEXT else MAX_VALUE_CHARS
    value = read_text(untrusted_item.get("value"), f"{place}.value", limit)
    if not value:
        raise ReportFormatError(
            sentence("%(place)s has no value", place=place),
            mend="fill it or leave the item out",
            field=f"{place}.value",
        )
    facts = {n: clean_value(v) for n, v in untrusted_item.items() if n not in ("kind", "value", "note", "referrer")}
    if kind is ItemKind.HASH:
        facts["algorithms"] = _algorithms("hash", value, f"{place}.value")
    return IncomingItem(
        kind,
        value,
        note=read_text(untrusted_item.get("note"), f"{place}.note", MAX_TEXT_CHARS) or note,
        referrer=read_text(untrusted_item.get("referrer"), f"{place}.referrer") or referrer,
        facts=facts,
    )


def _algorithms(name: str, value: str, field: str = "") -> list[str]:
    try:
        return list(parse_hash(value)) if name == "hash" else [name] * bool(parse_hex(name, value))
    except HashFormatError as error:
        raise ReportFormatError(error.what, mend=error.mend, field=field or name) from None


def _texts(untrusted_value: object, name: str) -> list[str]:
    """A text, or a list of them; empty ones are left out."""
    values = untrusted_value if isinstance(untrusted_value, list) else [untrusted_value]
    return [text for text in (read_text(value, name) for value in values) if text]


def _reporter(fields: Mapping[str, object]) -> Reporter | None:
    named = {short: read_text(fields.get(name), name) for name, short in _REPORTER.items()}
    return Reporter(**named) if any(named.values()) else None


def _ticks(fields: Mapping[str, object]) -> Iterator[Urgency]:
    """From the field `urgency` (names with blanks or signs between, or a list), and from a column for each tick."""
    value = fields.get("urgency")
    words = value if isinstance(value, list) else re.split(r"[\s,;|/]+", read_text(value, "urgency"))
    for word in filter(None, (read_text(word, "urgency").lower() for word in words)):
        name = field_name(word)
        if name not in set(Urgency):
            raise ReportFormatError(
                "urgency holds a word that is no tick",
                mend=sentence("use %(names)s", names=", ".join(Urgency)),
                field="urgency",
            )
        yield Urgency(name)
    for tick in Urgency:
        if _is_ticked(fields.get(tick), tick):
            yield tick


def _is_ticked(untrusted_value: object, name: str) -> bool:
    if isinstance(untrusted_value, bool):
        return untrusted_value
    word = read_text(untrusted_value, name).lower()
    if word not in _YES | _NO:
        raise ReportFormatError(
            sentence("%(name)s is neither yes nor no", name=name), mend="write yes or leave it empty", field=name
        )
    return word in _YES
