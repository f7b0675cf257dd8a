"""Facts of members: what is packed comes back in its form, and nothing else is believed."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.media.facts import FACTS, MAX_FACTS_BYTES, MAX_VALUE_BYTES, Form, pack_facts, unpack_facts

NAMES = [name for name, _ in FACTS if name not in ("role", "cut")]


def packed(*facts: tuple[str, bytes]) -> bytes:
    numbers = [name for name, _ in FACTS]
    return b"".join(struct.pack("<BH", numbers.index(name), len(value)) + value for name, value in facts)


def test_facts_come_back_whole() -> None:
    facts = {"format": "mail", "role": "headers", "subject": "Zoë’s report", "http_status": "200"}
    assert unpack_facts(pack_facts(facts)) == facts
    assert unpack_facts(pack_facts({})) == {}
    assert pack_facts({"subject": ""}) == b""


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=60)))
def test_any_text_is_packed_into_its_form(facts: dict[str, str]) -> None:
    back = unpack_facts(pack_facts(facts))
    forms = dict(FACTS)
    for name, value in facts.items():
        assert back.get(name, "") == value or name in back["cut"].split(",")
        assert name not in back or forms[name].value.fullmatch(back[name])


def test_what_does_not_fit_is_cut_and_named() -> None:
    back = unpack_facts(pack_facts({"subject": "é" * 9000, "url": "a\nb", "method": "G T", "http_status": "-1"}))
    assert len(back["subject"].encode()) <= MAX_VALUE_BYTES
    assert back["url"] == "a\ufffdb"
    assert back["cut"] == "http_status,method,subject,url"
    assert set(back) == {"subject", "url", "cut"}


def test_all_facts_at_their_longest_fit_into_the_bound() -> None:
    data = pack_facts({name: "x" * 9000 for name in NAMES})
    assert len(data) <= MAX_FACTS_BYTES
    assert unpack_facts(data)


@given(st.binary(max_size=300))
def test_it_believes_or_refuses_any_bytes_and_never_fails_otherwise(untrusted: bytes) -> None:
    try:
        facts = unpack_facts(untrusted)
    except ValueError:
        return
    forms: dict[str, Form] = dict(FACTS)
    assert all(forms[name].value.fullmatch(value) for name, value in facts.items())


@pytest.mark.parametrize(
    "untrusted",
    [
        b"\0",
        b"\xff\x01\x00x",
        packed(("subject", b"x"))[:-1],
        packed(("subject", b"x"), ("subject", b"y")),
        packed(("subject", b"x"), ("format", b"mail")),
        packed(("subject", b"\xff")),
        packed(("subject", b"\xed\xa0\x80")),
        packed(("subject", b"a\nb")),
        packed(("subject", b"")),
        packed(("subject", b"x" * (MAX_VALUE_BYTES + 1))),
        packed(("http_status", "٣".encode())),
        packed(("role", b"picture")),
        packed(*[(name, b"1" * 2000) for name, _ in FACTS[3:9]]),
    ],
)
def test_it_refuses_facts_out_of_bounds(untrusted: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack_facts(untrusted)
