"""Entries as NCMEC's hash sharing v2 writes them, straight from a bank's columns. Decides which may leave.

Shapes: what the open clients of that protocol read (docs/connectors.md names what could not be checked).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

import msgspec
import numpy as np

from leadline.domain import Kind
from leadline.match.readers import GONE, VIDEO
from leadline.match.records import I64, KIND_CODES, NO_QUALITY, Detail, PrintColumn, Records
from leadline.service.options import Publication
from leadline.service.subscribers import Feedback

NAMESPACE = "https://hashsharing.ncmec.org/hashsharing/v2"
SCHEME = "ncmec"  # labels of other schemes are not told: a bare letter and number would say something else there
PUBLISHER = 1  # our number among the members; those of subscribers are greater
_TAGS = {0: "image", VIDEO: "video", GONE: "deletedImage", GONE | VIDEO: "deletedVideo"}
# What a reader of this protocol takes every entry for. The others (false-positive, benign) say the opposite.
_KINDS = np.array(sorted(KIND_CODES[kind] for kind in (Kind.ILLEGAL, Kind.EXPLOITATIVE, Kind.OTHER)), np.uint8)
# Ours -> (bytes, child of `fingerprints`, its name in addresses).
FINGERPRINTS = {
    "md5": (16, "md5", "MD5"), "sha1": (20, "sha1", "SHA1"), "photodna": (144, "pdna", "PDNA"),
    "pdq": (32, "pdq", "PDQ"),
}  # fmt: skip
_BLOCK = 4096
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VIDEO_KEYS = ("media", "media_type", "entry_type", "type", "mime", "mime_type", "MimeType")
_decode_metadata = msgspec.json.Decoder(dict[str, Any]).decode


class Told(NamedTuple):
    """An entry as it may leave: state, and its XML from `<id>` on, without the end of its element."""

    entry_id: int
    state: int
    body: str


def tell_rows(records: Records, rows: I64, publication: Publication, quality_floor: int, now: int) -> Iterator[Told]:
    """Of some rows those that may leave, in their order. BankCorrupt.

    Left out: other kinds than what a match speaks for, what is disabled at `now`, what has no fingerprint that this
    protocol knows, and what its TLP keeps here. A PDQ below the bank's quality floor is not told: it would meet a lot.
    """
    may = np.isin(records.kind[rows], _KINDS) & (records.disabled[rows] <= now)
    for first in range(0, len(rows), _BLOCK):
        block = rows[first : first + _BLOCK][may[first : first + _BLOCK]]
        yield from _tell_block(records, block, publication, quality_floor)


def _tell_block(records: Records, rows: I64, publication: Publication, quality_floor: int) -> Iterator[Told]:
    prints = [_texts(records, rows, name, quality_floor) for name in FINGERPRINTS]
    admitted = publication.admitted
    for row, entry_id, texts in zip(rows.tolist(), records.ids[rows].tolist(), zip(*prints, strict=True), strict=True):
        if not any(texts):
            continue
        detail = records.detail(row)
        if detail.tlp not in admitted:
            continue
        is_video = not texts[-1] and _is_video(detail)
        yield Told(entry_id, VIDEO if is_video else 0, _body(entry_id, detail, texts))


def _texts(records: Records, rows: I64, name: str, quality_floor: int) -> Sequence[str]:
    """The fingerprint of each row as text; empty where it has none."""
    length, _, _ = FINGERPRINTS[name]
    column = records.prints.get((name, length))
    if column is None:
        return [""] * len(rows)
    places, there = _places(column, rows)
    if name == "pdq":
        quality = records.quality[rows]
        there = there & ((quality >= quality_floor) | (quality == NO_QUALITY))
    values = column.values[np.where(there, places, 0)] if len(column.values) else column.values
    data = values.tobytes()
    if name == "photodna":
        texts = [base64.b64encode(data[at : at + length]).decode() for at in range(0, len(data), length)]
    else:
        digits = data.hex()
        texts = [digits[at : at + 2 * length] for at in range(0, len(digits), 2 * length)]
    return [text if is_there else "" for text, is_there in zip(texts, there.tolist(), strict=True)]


def _places(column: PrintColumn, rows: I64) -> tuple[I64, Any]:
    if column.rows is None:
        return rows, np.ones(len(rows), np.bool_)
    places = np.minimum(np.searchsorted(column.rows, rows), max(0, len(column.rows) - 1))
    there = column.rows[places] == rows if len(column.rows) else np.zeros(len(rows), np.bool_)
    return places, there


def _is_video(detail: Detail) -> bool:
    """Whether the entry's metadata says so; most say nothing, and are pictures."""
    if "video" not in detail.metadata:
        return False
    said = _decode_metadata(detail.metadata)
    values = [said.get(key) for key in _VIDEO_KEYS]
    return any(isinstance(value, str) and re.fullmatch(r"(deleted)?video(/.*)?", value, re.I) for value in values)


def _body(entry_id: int, detail: Detail, texts: Sequence[str]) -> str:
    children = [
        f"<{tag}>{text}</{tag}>" for text, (_, tag, _) in zip(texts, FINGERPRINTS.values(), strict=True) if text
    ]
    label = clean(detail.label) if detail.scheme == SCHEME else ""
    told = f"<classification>{label}</classification>" if label else ""
    return f"<id>{entry_id}</id>{told}<fingerprints>{''.join(children)}</fingerprints>"


@lru_cache(1024)  # labels are few
def clean(text: str) -> str:
    """As the text of an element: escaped, without what XML cannot hold."""
    return escape(_NOT_XML.sub("", text))


@lru_cache(1024)  # what is told together has one time
def moment(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_member(number: int, name: str) -> str:
    return f'<member id="{number}">{clean(name)}</member>'


def write_page(
    page: Sequence[tuple[int, int, int, str]], publisher: str, feedback: Mapping[int, str], next_page: str
) -> bytes:
    """page: (id, state, seconds since 1970, body) of each entry, body empty where it is gone. next_page: an address."""
    member = write_member(PUBLISHER, publisher)
    groups: dict[str, list[str]] = {"images": [], "videos": []}
    newest = {"images": 0, "videos": 0}
    for entry_id, state, at, body in page:
        group, tag = "videos" if state & VIDEO else "images", _TAGS[state]
        inner = f"{body}{feedback.get(entry_id, '')}" if not state & GONE else f"<id>{entry_id}</id>"
        groups[group].append(f"<{tag}>{member}<timestamp>{moment(at)}</timestamp>{inner}</{tag}>")
        newest[group] = max(newest[group], at)
    told = "".join(
        f'<{name} count="{len(items)}" maxTimestamp="{moment(newest[name])}">{"".join(items)}</{name}>'
        if items
        else f'<{name} count="0"/>'
        for name, items in groups.items()
    )
    paging = f"<paging><next>{escape(next_page)}</next></paging>" if next_page else ""
    return write_document("queryResult", told + paging)


def write_document(root: str, inner: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{inner}</{root}>\n'.encode()


def write_reason(guid: str, name: str, fingerprint: str) -> str:
    return f"<reason guid={quoteattr(guid)} name={quoteattr(name)} type={quoteattr(fingerprint)}/>"


def write_feedback(who: str, given: Sequence[Feedback], reasons: Mapping[str, Mapping[str, str]]) -> str:
    """What one member said of the fingerprints of an entry; reasons: type of fingerprint -> id -> name."""
    told = "".join(_one_feedback(who, one, reasons.get(one.fingerprint, {})) for one in given)
    newest = moment(max(one.at for one in given))
    return f'<feedback lastUpdateTimestamp="{newest}">{told}</feedback>'


def _one_feedback(who: str, one: Feedback, names: Mapping[str, str]) -> str:
    at, kind = moment(one.at), quoteattr(one.fingerprint.capitalize())
    members = f'<members timestamp="{at}">{who}</members>'
    tag = "negativeFeedback" if one.reasons else "affirmativeFeedback"
    inner = "".join(write_reason(guid, names.get(guid, ""), one.fingerprint) + members for guid in one.reasons)
    told = f"<reasons>{inner}</reasons>" if one.reasons else members
    return f'<{tag} type={kind} lastUpdateTimestamp="{at}">{told}</{tag}>'
