"""The packed form: what is written is read, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.client import packed
from leadline.errors import RequestRefused

ROWS = np.arange(96, dtype=np.uint8).reshape(3, 32)


def test_a_request_stands_as_it_is_documented() -> None:
    made = packed.encode_request("pdq", ROWS, 20)
    assert made[:12] == b"LLH1" + bytes([1, 20, 0, 0]) + (3).to_bytes(4, "little")
    assert made[12:] == bytes(range(96))
    assert packed.encode_request("md5", np.zeros((1, 16), np.uint8))[4:6] == bytes([2, 255])


def test_an_answer_stands_as_it_is_documented() -> None:
    matches = np.array([(2, 0, 1, 1, packed.SUPPRESSED, 77, 9, 31, 0)], packed.MATCH)
    made = packed.encode_answer(3, [("KNOWN", 5)], matches)
    assert made[:16] == b"LLM1" + bytes([1, 0, 0, 0]) + (3).to_bytes(4, "little") + (1).to_bytes(4, "little")
    assert made[16:30] == (5).to_bytes(8, "little") + b"\x05KNOWN"
    assert made[30:] == bytes([2, 0, 0, 0, 0, 1, 1, 1, 77, 0, 0, 0, 0, 0, 0, 0, 9, 0, 31, 0, 0, 0, 0, 0])
    told = packed.decode_answer(made)
    assert (told.hashes, told.banks, told.matches["entry"].tolist()) == (3, (("KNOWN", 5),), [77])


def test_an_answer_names_what_was_met_and_of_the_rest_what_has_room() -> None:
    few = [("a", 1), ("b", 2)]
    assert packed.nameable(few, {"b"}) == few
    many = [(f"bank {number}", number) for number in range(300)]
    assert packed.nameable(many, {"bank 299"}) == [*many[:254], many[299]]
    assert packed.nameable([("é" * 128, 1), ("é" * 127, 2)], set()) == [("é" * 127, 2)]
    for banks, met in ((many, {name for name, _ in many[:256]}), ([("é" * 128, 1)], {"é" * 128})):
        with pytest.raises(RequestRefused, match="by JSON"):
            packed.nameable(banks, met)


@given(st.sampled_from(packed.ALGORITHMS), st.integers(1, 50), st.none() | st.integers(0, 64), st.randoms())
def test_a_request_comes_back_as_it_was(algorithm: str, count: int, radius: int | None, random: object) -> None:
    rows = np.frombuffer(random.randbytes(count * packed.LENGTHS[algorithm]), np.uint8).reshape(count, -1)  # type: ignore[attr-defined]
    asked = packed.decode_request(packed.encode_request(algorithm, rows, radius))
    assert (asked.algorithm, asked.radius_bits, asked.rows.tobytes()) == (algorithm, radius, rows.tobytes())


@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda tail: b"LLH1" + tail))
def test_anything_else_is_refused_as_a_request(untrusted: bytes) -> None:
    try:
        asked = packed.decode_request(untrusted)
    except RequestRefused:
        return
    assert len(untrusted) == 12 + asked.rows.size
    assert untrusted[:4] == b"LLH1"


@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda tail: b"LLM1" + tail))
def test_anything_else_is_refused_as_an_answer(untrusted: bytes) -> None:
    try:
        told = packed.decode_answer(untrusted)
    except RequestRefused:
        return
    names = sum(9 + len(name.encode()) for name, _ in told.banks)
    assert len(untrusted) == 16 + names + told.matches.nbytes


@pytest.mark.parametrize(
    "made",
    [
        lambda: packed.encode_request("pdq", ROWS[:0]),
        lambda: packed.encode_request("pdq", np.zeros((10_001, 32), np.uint8)),
        lambda: packed.encode_request("md5", ROWS),
        lambda: packed.encode_request("pdq", ROWS.astype(np.int64)),
        lambda: packed.encode_request("tmk", ROWS),
    ],
)
def test_what_cannot_be_asked_is_refused_before_it_is_sent(made: object) -> None:
    with pytest.raises(RequestRefused):
        made()  # type: ignore[operator]
