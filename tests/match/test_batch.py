"""Entries packed column by column are those that admission takes one by one; where one is refused, none is packed."""

from __future__ import annotations

from typing import Any

import pytest

from leadline.domain import Entry, Kind, PdqFamily, Tlp
from leadline.match.admission import Admission, Refusals
from leadline.match.batch import pack_entries
from leadline.match.records import Records

MD5, PDQ = bytes(range(16)), bytes(range(32))
GOOD = [
    Entry(Kind.OTHER, {"md5": MD5}),
    Entry(Kind.ILLEGAL, {"pdq": PDQ, "sha1": b"a" * 20}, pdq_family=PdqFamily.A, quality=100, label="A1", tlp=Tlp.RED),
    Entry(Kind.FALSE_POSITIVE, {"pdq": PDQ}, radius_bits=5, id=7, added=9, disabled_until=8),
    Entry(Kind.BENIGN, {"sha256": PDQ}, radius_bits=5, id=-3, first_seen=1, last_seen=2, metadata='{"a": ["é"]}'),
]
REFUSED: dict[str, dict[str, Any]] = {
    "no fingerprint": {"fingerprints": {}},
    "a short hash": {"fingerprints": {"md5": b"x"}},
    "text as a hash": {"fingerprints": {"md5": "0" * 16}},
    "the empty file": {"fingerprints": {"md5": bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e")}},
    "a kind that is none": {"kind": "x"},
    "a quality beyond 100": {"quality": 101},
    "a radius beyond 31": {"radius_bits": 32},
    "a time before 1970": {"last_seen": -1},
    "a time that is no number": {"added": "now"},
    "metadata that is no object": {"metadata": "[1]"},
    "metadata of two objects": {"metadata": "{} {}"},
    "long metadata": {"metadata": '{"a":"' + "é" * 2048 + '"}'},
    "half a pair of surrogates": {"label": "\ud800"},
    "a number as a text": {"note": 5},
    "a TLP that is none": {"tlp": "blue"},
    "long texts": {"note": "x" * 65_536},
}


def admitted(entries: list[Any], *, is_packed: bool) -> tuple[Records, Refusals]:
    refusals = Refusals()
    admission = Admission({}, refusals, 1000)
    packed = pack_entries(entries, {}, 1000) if is_packed else None
    assert (packed is not None) == is_packed
    if packed is not None:
        admission.extend(packed)
    for entry in () if is_packed else entries:
        admission.offer(entry)
    return admission.take(), refusals


def test_what_is_packed_is_what_is_admitted() -> None:
    packed, _ = admitted(GOOD, is_packed=True)
    single, _ = admitted(GOOD, is_packed=False)
    assert packed.count == 4
    assert {name: column.tolist() for name, column in packed.sections.items()} == {
        name: column.tolist() for name, column in single.sections.items()
    }


@pytest.mark.parametrize("amiss", REFUSED)
def test_an_entry_that_is_refused_is_not_packed(amiss: str) -> None:
    entry = Entry(**{"kind": Kind.OTHER, "fingerprints": {"md5": MD5}, **REFUSED[amiss]})
    assert admitted([entry], is_packed=False)[1].count == 1
    assert pack_entries([*GOOD, entry], {}, 1000) is None
