from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.scan.names import decode_name, encode_name, join_member, show_name


@given(st.binary(max_size=60))
def test_it_gives_back_the_bytes_of_any_name(name: bytes) -> None:
    shown, encoded = encode_name(name)
    assert decode_name(shown, encoded) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"plain name.jpg", "plain name.jpg"),
        ("grün 日本.jpg".encode(), "grün 日本.jpg"),
        (b"not-\xff\xfe-utf8", "not-\\xff\\xfe-utf8"),
        (b"line\nbreak\x1b[2J", "line\\x0abreak\\x1b[2J"),
        ("turned‮gpj.exe".encode(), "turned\\u202egpj.exe"),
    ],
)
def test_it_shows_names_without_anything_that_acts_on_a_screen(name: bytes, shown: str) -> None:
    assert show_name(name) == shown


def test_it_adds_base64_only_where_the_text_alone_would_not_do() -> None:
    assert encode_name(b"plain") == ("plain", None)
    assert encode_name(b"\xff") == ("\\xff", "/w==")


def test_it_tells_a_written_backslash_from_an_escaped_byte() -> None:
    assert encode_name(b"\\xff") == ("\\xff", None)


def test_it_joins_members_with_an_exclamation_mark() -> None:
    assert join_member(b"outer.zip", b"inner/name") == b"outer.zip!inner/name"
