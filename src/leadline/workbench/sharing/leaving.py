"""What leaves, as bytes: one act has the same bytes in a dry run, in a proposal, and when it is sent. Sends nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from leadline.custody.canonical import encode_canonical
from leadline.domain import Entry, Kind, PdqFamily, Tlp
from leadline.exchange.connector import Act, Outgoing

_FIELDS = Entry.__struct_fields__


def strip(entry: Entry, pap: str) -> Entry:
    """Without what is only for this office: notes, the source's raw facts, when it came in here, its suspension.

    pap: the label that it leaves with, where connectors look for one; of an entry that had none, the one it counts as.
    """
    return replace(entry, note="", metadata=json.dumps({"pap": pap}), added=0, disabled_until=0)


def encode(outgoing: Outgoing) -> bytes:
    """Canonical JSON of everything that the connector is handed."""
    return encode_canonical(
        {
            "act": str(outgoing.act),
            "key": outgoing.key,
            "algorithm": outgoing.algorithm,
            "reasons": list(outgoing.reasons),
            "entry": None if outgoing.entry is None else _told(outgoing.entry),
        }
    )


def decode(left: bytes | str) -> Outgoing:
    """Of bytes that `encode` made."""
    raw = json.loads(left)
    entry = None if raw["entry"] is None else _entry(raw["entry"])
    return Outgoing(Act(raw["act"]), raw["key"], raw["algorithm"], tuple(raw["reasons"]), entry)


def digest(left: bytes) -> str:
    return hashlib.sha256(left).hexdigest()


def digest_of(digests: Iterable[str]) -> str:
    """Of several acts: SHA-256 over their digests in order, a line feed after each."""
    return hashlib.sha256("".join(f"{one}\n" for one in digests).encode()).hexdigest()


def _told(entry: Entry) -> dict[str, Any]:
    told = {name: getattr(entry, name) for name in _FIELDS}
    told |= {name: str(told[name]) for name in ("kind", "tlp", "pdq_family")}
    told["fingerprints"] = {name: value.hex() for name, value in entry.fingerprints.items()}
    return told


def _entry(raw: dict[str, Any]) -> Entry:
    prints = {name: bytes.fromhex(value) for name, value in raw["fingerprints"].items()}
    typed = {"kind": Kind(raw["kind"]), "tlp": Tlp(raw["tlp"]), "pdq_family": PdqFamily(raw["pdq_family"])}
    return Entry(**{**raw, **typed, "fingerprints": prints})
