"""RFC 8785: published examples, and what is refused."""

from __future__ import annotations

import enum

import pytest

from leadline.custody.canonical import encode_canonical
from leadline.errors import CustodyFormatError


def test_it_writes_the_string_of_the_rfcs_example() -> None:
    # RFC 8785 section 3.2.2 (input), 3.2.4 (bytes)
    string = "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/"
    expected = "22 e2 82 ac 24 5c 75 30 30 30 66 5c 6e 41 27 42 5c 22 5c 5c 5c 5c 5c 22 2f 22"
    assert encode_canonical(string) == bytes.fromhex(expected)


def test_it_writes_the_literals_of_the_rfcs_example() -> None:
    assert encode_canonical({"literals": [None, True, False]}) == b'{"literals":[null,true,false]}'


def test_it_sorts_names_as_the_rfcs_example() -> None:
    # RFC 8785 section 3.2.3
    given = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    expected = (
        '{"\\r":"Carriage Return","1":"One","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis",'
        '"\u20ac":"Euro Sign","\U0001f600":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}'
    )
    assert encode_canonical(given).decode() == expected


def test_it_writes_the_largest_exact_integers() -> None:
    # RFC 8785 Appendix B, note 1: true integers are within 2^53 - 1
    assert encode_canonical([9007199254740991, -9007199254740991, 0]) == b"[9007199254740991,-9007199254740991,0]"


class Colour(enum.StrEnum):
    RED = "red"


def test_it_writes_enums_and_tuples_as_plain_json() -> None:
    assert encode_canonical({"c": (Colour.RED, True)}) == b'{"c":["red",true]}'


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (1.0, "fraction"),
        ({"a": [float("nan")]}, "fraction"),
        (float("inf"), "fraction"),
        (2**53, "2\\^53"),
        (-(2**53), "2\\^53"),
        ({1: "a"}, "name of a field"),
        ({None: "a"}, "name of a field"),
        ("\ud800", "Unicode"),
        ({"\ud800": 1}, "Unicode"),
        (b"bytes", "bytes is no JSON"),
        ({1, 2}, "set is no JSON"),
    ],
)
def test_it_refuses_what_readers_spell_differently(value: object, why: str) -> None:
    with pytest.raises(CustodyFormatError, match=why):
        encode_canonical(value)


def test_it_refuses_endless_depth() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(CustodyFormatError, match="levels"):
        encode_canonical(value)
