"""DKIM is calculated behind the wall, in bounded time, with the keys that are handed in."""

from __future__ import annotations

import ast
import re
import time
from io import BytesIO
from pathlib import Path

import dkim.canonicalization
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.media.headers import Lines, read_headers
from leadline.media.keyring import MAX_RECORD_BYTES, is_key_name, pack_keys, unpack_keys
from leadline.media.signatures import needed_keys, strip_trailing_blanks

SRC = Path(__file__).parents[2] / "src" / "leadline"
_ORIGINAL = re.compile(b"[\t ]+\r\n")  # dkimpy 1.1.8, canonicalization.py, strip_trailing_whitespace


@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"\r", b"\n", b"x"]), max_size=40).map(b"".join))
def test_the_linear_function_says_what_the_library_says(content: bytes) -> None:
    assert strip_trailing_blanks(content) == _ORIGINAL.sub(b"\r\n", content)


def test_a_long_run_of_blanks_costs_no_time() -> None:
    begun = time.process_time()
    strip_trailing_blanks(b" " * 4_000_000 + b"x\r\n")
    assert time.process_time() - begun < 1


def test_the_library_is_loaded_behind_the_wall_only() -> None:
    importing = set()
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            importing |= {path.relative_to(SRC).as_posix() for name in names if name.split(".")[0] == "dkim"}
    assert importing == {"media/signatures.py"}


def test_a_mail_names_the_records_it_needs_each_once_and_four_at_most() -> None:
    line = b"DKIM-Signature: v=1; a=rsa-sha256; d=Example.org;\r\n s=made; h=from; b=AA==\r\n"
    lines = line + line + b"".join(line.replace(b"s=made", b"s=s%d" % n) for n in range(9))
    headers = read_headers(Lines(BytesIO(lines + b"\r\n")))
    assert needed_keys(headers) == [
        "made._domainkey.example.org",
        "s0._domainkey.example.org",
        "s1._domainkey.example.org",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "._domainkey.",
        "a b._domainkey.x",
        "a._domainkey.x/../y",
        "a",
        "ä._domainkey.x",
        "a" * 300,
        "a._domainkey.x\n",
    ],
)
def test_what_is_no_name_of_a_record_is_never_looked_up(name: str) -> None:
    assert not is_key_name(name)


def test_records_and_mail_come_through_whole_and_giant_records_do_not() -> None:
    records = {"a._domainkey.x": b"v=DKIM1; p=\0\xff", "b._domainkey.y": b"x" * (MAX_RECORD_BYTES + 1)}
    assert unpack_keys(pack_keys(records, b"From: a\r\n\r\n")) == (
        {b"a._domainkey.x": b"v=DKIM1; p=\0\xff"},
        b"From: a\r\n\r\n",
    )


def test_the_library_still_has_the_function_that_is_replaced() -> None:
    assert dkim.canonicalization.Relaxed.canonicalize_body(b"a  \r\n\r\n\r\n") == b"a\r\n"
