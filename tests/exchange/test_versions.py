"""Lists, contents and cards of versions that nobody here knows: refused with their place, never half understood."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyrage.x25519 import Recipient

from leadline.domain import Kind
from leadline.errors import LeadlineError, ListBroken
from leadline.exchange import vics_case
from leadline.exchange.base import EntryDefaults
from leadline.exchange.detect import detect_format
from leadline.exchange.feed.contents import FORMAT, Head, open_part, seal_part
from leadline.exchange.feed.keys import CARD_FORMAT, SubscriberKey, make_subscriber_key, read_agreement
from leadline.exchange.lists import read_list

MD5 = "a1" * 16
INDICATOR = {
    "type": "indicator", "id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "spec_version": "2.1",
    "pattern": f"[file:hashes.MD5 = '{MD5}']",
}  # fmt: skip


def hashdeep(version: str) -> bytes:
    return f"%%%% HASHDEEP-{version}\n%%%% size,md5,filename\n1,{MD5},a\n".encode()


def vics(version: str) -> bytes:
    context = f"http://github.com/VICSDATAMODEL/ProjectVic/DataModels/{version}.xml/US/$metadata#Media"
    return json.dumps({"@odata.context": context, "value": [{"MediaID": 1, "MD5": MD5}]}).encode()


def stix(*objects: dict[str, Any], **fields: str) -> bytes:
    return json.dumps({"type": "bundle", **fields, "objects": objects}).encode()


def read(untrusted: bytes) -> tuple[list[Any], list[LeadlineError]]:
    """Of a list whose format is told by its content, as at an import."""
    kind = detect_format(untrusted, ".txt")
    assert kind is not None
    found = list(read_list(kind, io.BytesIO(untrusted), None, where="list", defaults=EntryDefaults(Kind.ILLEGAL)))
    faults = [one for one in found if isinstance(one, LeadlineError)]
    return [one for one in found if not isinstance(one, LeadlineError)], faults


@pytest.mark.parametrize(
    ("untrusted", "what", "where"),
    [
        (hashdeep("2.0"), "HASHDEEP-2.0", "list: line 1"),
        (vics("9.0"), "VICS 9.0", "list: after record 0"),
        (vics("2.1"), "VICS 2.1", "list: after record 0"),
        (stix({**INDICATOR, "spec_version": "3.0"}), "STIX 3.0", f"list: record 1: object 1 {INDICATOR['id']}"),
    ],
    ids=["hashdeep", "vics", "vics-2.1", "stix"],
)
def test_a_list_of_an_unknown_version_is_refused_with_its_place(untrusted: bytes, what: str, where: str) -> None:
    entries, (fault,) = read(untrusted)
    assert (entries, fault.where) == ([], where)
    assert fault.what == f"{what} is a version that is not known here"
    assert fault.mend.startswith("ask the sender for")
    assert isinstance(fault, ListBroken) is (b"bundle" not in untrusted), "an object of STIX stands for itself alone"


@pytest.mark.parametrize("untrusted", [hashdeep("1.0"), *map(vics, ("1.0", "1.3", "2.0", "2.0.1")), stix(INDICATOR)])
def test_a_list_of_a_known_version_is_read(untrusted: bytes) -> None:
    (entry,), faults = read(untrusted)
    assert (entry.fingerprints, entry.kind, faults) == ({"md5": bytes.fromhex(MD5)}, Kind.ILLEGAL, [])


def test_a_harmless_file_of_stix_2_0_which_says_so_by_a_label_is_not_taken_for_an_illegal_one() -> None:
    old = {**INDICATOR, "labels": ["benign"]}
    del old["spec_version"]
    (entry,), faults = read(stix(old, spec_version="2.0"))
    assert (entry.kind, entry.scheme, entry.label, faults) == (Kind.OTHER, "stix:indicator_types", "benign", [])


def test_a_case_of_an_unknown_version_is_refused() -> None:
    with pytest.raises(LeadlineError, match=r"VICS 9\.0 is a version that is not known here \(case\)"):
        list(vics_case.read_heads(io.BytesIO(vics("9.0")), where="case"))


def of_a_feed(folder: Path) -> None:
    key = SubscriberKey(make_subscriber_key())
    head = Head(format=FORMAT, version=2, feed="f", subscriber=key.id, since=0, serial=1, part=0, proof="00" * 32)
    open_part(seal_part(head, [], Recipient.from_str(key.encrypt)), key, "partner")


def of_a_card(folder: Path) -> None:
    card = SubscriberKey(make_subscriber_key()).card("hotline")
    told = {"format": CARD_FORMAT, "version": 2, "tlp": "green", "kinds": ["other"]}
    told |= {name: getattr(card, name) for name in ("name", "encrypt", "sign")}
    (folder / "partner").write_text(json.dumps(told))
    read_agreement(folder / "partner")


@pytest.mark.parametrize(
    ("read_it", "what"), [(of_a_feed, "contents of a newer form"), (of_a_card, "another format or version")]
)
def test_contents_and_cards_of_another_version_are_refused(
    read_it: Callable[[Path], None], what: str, tmp_path: Path
) -> None:
    with pytest.raises(LeadlineError) as caught:
        read_it(tmp_path)
    assert caught.value.what == what
    assert caught.value.where.endswith("partner")
    assert "newer Leadline" in caught.value.mend
