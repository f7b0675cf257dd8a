"""Entries -> events of MISP, made with PyMISP and held against our own object template. Sends nothing.

The template, `media-fingerprint`, is in MISP's JSON form and may be loaded into any MISP (docs/connectors.md).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pymisp

from leadline.domain import EXACT_ALGORITHMS, Entry, Kind, PdqFamily, Tlp
from leadline.errors import InputError, sentence
from leadline.exchange.misp_tags import PAP_LEVELS

TEMPLATES = Path(__file__).parent / "data" / "misp"
OBJECT_NAME = "media-fingerprint"
DEFAULT_PAP = "amber"
_WRITTEN = (*EXACT_ALGORITHMS, "pdq")
_LATEST_S = 1 << 37
_MADE_PRIVATE = 0  # distribution: our organisation only; a person in that MISP widens it
_UNDEFINED_THREAT, _ANALYSED = 4, 2


def make_object(entry: Entry) -> pymisp.MISPObject:
    """Its UUID is the key of the entry at that MISP. InputError for an entry without a fingerprint, and for one that
    calls its file harmless: the template cannot say so, and it would be taken for the opposite."""
    if entry.kind in (Kind.BENIGN, Kind.FALSE_POSITIVE):
        what = sentence("an entry of kind %(kind)s is not submitted", kind=str(entry.kind))
        raise InputError(what, mend="its readers would take it for the opposite")
    if not entry.fingerprints:
        raise InputError("an entry without a fingerprint", mend="give at least one hash")
    made = pymisp.MISPObject(OBJECT_NAME, strict=True, standalone=False, misp_objects_path_custom=TEMPLATES)
    for name, value in _values(entry):
        made.add_attribute(name, value, Tag=[{"name": tag} for tag in _tags(entry)])
    for name, seconds in (("first_seen", entry.first_seen), ("last_seen", entry.last_seen)):
        if 0 < seconds < _LATEST_S:
            setattr(made, name, datetime.fromtimestamp(seconds, UTC))
    return made


def make_event(objects: Sequence[pymisp.MISPObject], info: str, today: date, tlp: Tlp, pap: str) -> pymisp.MISPEvent:
    """An event of them, unpublished and seen by our own organisation only until a person there says otherwise."""
    event = pymisp.MISPEvent()
    event.info, event.date = info, today
    event.distribution, event.published = _MADE_PRIVATE, False
    event.threat_level_id, event.analysis = _UNDEFINED_THREAT, _ANALYSED
    for name in sharing_tags(tlp, pap):
        event.add_tag(name)
    for made in objects:
        event.add_object(made)
    return event


def pap_of(entry: Entry) -> str:
    """Of its metadata; amber where it does not say, and red where it says what nobody knows."""
    try:
        told = json.loads(entry.metadata or "{}")
    except ValueError:
        return PAP_LEVELS[0]
    pap = told.get("pap", DEFAULT_PAP) if isinstance(told, dict) else DEFAULT_PAP
    return pap if pap in PAP_LEVELS else PAP_LEVELS[0]


def sharing_tags(tlp: Tlp, pap: str) -> list[str]:
    """As MISP's taxonomies write them."""
    return [f"tlp:{tlp}", f"PAP:{pap.upper()}"]


def _tags(entry: Entry) -> list[str]:
    return sharing_tags(entry.tlp, pap_of(entry))


def _values(entry: Entry) -> list[tuple[str, str]]:
    prints = entry.fingerprints
    values = [(name, prints[name].hex()) for name in _WRITTEN if name in prints]
    values += [("other-fingerprint", f"{name}:{value.hex()}") for name, value in prints.items() if name not in _WRITTEN]
    if "pdq" in prints:
        values.append(("pdq-family", str(PdqFamily(entry.pdq_family))))
        if entry.quality is not None:
            values.append(("pdq-quality", str(entry.quality)))
    texts = {"source": entry.source, "source-id": entry.source_id, "licence": entry.licence}
    if entry.label:
        if not entry.scheme:
            what = sentence("the label %(label)s has no scheme", label=entry.label[:40])
            raise InputError(what, mend="a code never leaves without saying whose it is")
        texts |= {"classification-scheme": entry.scheme, "classification-label": entry.label}
    return values + [(name, text) for name, text in texts.items() if text.strip()]
