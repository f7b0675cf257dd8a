"""Markings of STIX 2.1: TLP 1.0 and 2.0 by their well-known names. A marking that nobody here knows is unsafe.

The names are those of the STIX 2.1 specification (7.2.1.4) and of OASIS's extension for TLP 2.0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from leadline.domain import Tlp

_TLP_2 = {
    Tlp.CLEAR: "94868c89-83c2-464b-929b-a1a8aa3c8487",
    Tlp.GREEN: "bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    Tlp.AMBER: "55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    Tlp.AMBER_STRICT: "939a9414-2ddd-4d32-a0cd-375ea402b003",
    Tlp.RED: "e828b379-4e03-4974-9ac4-e53a884c97c1",
}
_TLP_1 = {
    "613f2e26-407d-48c7-9eca-b8e91df99dc9": Tlp.CLEAR,
    "34098fce-860f-48ae-8e50-ebd3cc5e41da": Tlp.GREEN,
    "f88d31f6-486f-44da-b317-01333bde0b82": Tlp.AMBER,
    "5e57c739-391a-4eb3-b6be-7d15ca92d5ed": Tlp.RED,
}
_BY_NAME = {f"marking-definition--{name}": tlp for name, tlp in _TLP_1.items()}
_BY_NAME |= {f"marking-definition--{name}": tlp for tlp, name in _TLP_2.items()}
_STRICTEST_FIRST = tuple(Tlp)
_EXTENSION = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"  # OASIS: TLP 2.0


def read_markings(untrusted: Mapping[str, Any], unknown: Counter[str]) -> Tlp | None:
    """The strictest TLP that an object or a part of it is marked with; None where it is not marked. What is no TLP
    (a statement, say) is TLP:RED, and counted."""
    found = []
    for untrusted_name in _names(untrusted):
        tlp = _BY_NAME.get(untrusted_name)
        if tlp is None:
            shown = "".join(c for c in untrusted_name if c.isprintable())[:60]
            unknown[f"marking {shown or 'without a name'}"] += 1
        found.append(tlp or Tlp.RED)
    return min(found, key=_STRICTEST_FIRST.index, default=None)


def marking_name(tlp: Tlp) -> str:
    return f"marking-definition--{_TLP_2[tlp]}"


def make_marking(tlp: Tlp) -> dict[str, object]:
    """The marking-definition of TLP 2.0, as OASIS publishes it."""
    return {
        "type": "marking-definition", "spec_version": "2.1", "id": marking_name(tlp),
        "created": "2022-10-01T00:00:00.000Z", "name": f"TLP:{tlp.upper()}",
        "extensions": {_EXTENSION: {"extension_type": "property-extension", "tlp_2_0": str(tlp)}},
    }  # fmt: skip


def _names(untrusted: Mapping[str, Any]) -> Iterator[str]:
    """Whatever stands where a name should, and is none, counts as a marking that nobody knows."""
    whole, parts = untrusted.get("object_marking_refs", []), untrusted.get("granular_markings", [])
    for name in whole if isinstance(whole, list) else [None]:
        yield name if isinstance(name, str) else ""
    for part in parts if isinstance(parts, list) else [None]:
        if isinstance(part, dict) and "lang" in part and "marking_ref" not in part:
            continue  # it says which language a text is in
        name = part.get("marking_ref") if isinstance(part, dict) else None
        yield name if isinstance(name, str) else ""
