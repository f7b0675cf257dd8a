"""Plain text lists."""

from __future__ import annotations

import io
from typing import Any

import pytest

from leadline.domain import Entry, Kind
from leadline.exchange import text_list
from leadline.exchange.base import HashType

MD5, SHA1, LONG = "a1" * 16, "b2" * 20, "c3" * 32


def test_it_tells_the_algorithm_by_length(read_list: Any) -> None:
    entries, errors = read_list(text_list, f"{MD5}\n{SHA1}\n")
    assert [dict(e.fingerprints) for e in entries] == [{"md5": b"\xa1" * 16}, {"sha1": b"\xb2" * 20}]
    assert errors == []


def test_it_takes_64_digits_as_both_unless_said(read_list: Any) -> None:
    (both,), _ = read_list(text_list, LONG)
    (pdq,), _ = read_list(text_list, LONG, hash_type=HashType.PDQ)
    (sha256,), _ = read_list(text_list, LONG, hash_type=HashType.SHA256)
    assert set(both.fingerprints) == {"sha256", "pdq"}
    assert set(pdq.fingerprints) == {"pdq"}
    assert set(sha256.fingerprints) == {"sha256"}


@pytest.mark.parametrize(
    ("line", "algorithm"),
    [
        (f"sha256:{LONG}", "sha256"),
        (f"PDQ: {LONG}", "pdq"),
        (f"pdq {LONG}", "pdq"),
        (f"pdq\t{LONG}", "pdq"),
        (f"video_md5 {MD5}", "md5"),
        (f"sha-1:{SHA1}", "sha1"),
        (MD5.upper(), "md5"),
        (f"{SHA1}  a file.jpg", "sha1"),
        (f"\\{MD5} *odd\\nname", "md5"),
    ],
)
def test_it_reads_the_lines_other_tools_write(read_list: Any, line: str, algorithm: str) -> None:
    (entry,), errors = read_list(text_list, line)
    assert list(entry.fingerprints) == [algorithm]
    assert errors == []


def test_a_bad_line_is_named_and_the_rest_goes_on(read_list: Any) -> None:
    entries, errors = read_list(text_list, f"# a comment\n\n{MD5}\nnot a hash\n{'g' * 32}\nurl:{MD5}\n{SHA1}\n")
    assert len(entries) == 2
    assert [e.where for e in errors] == ["list: line 4", "list: line 5", "list: line 6"]
    assert all(e.mend for e in errors)
    assert "not a hash" not in str(errors[0])


def test_a_line_without_end_is_refused_without_being_held(read_list: Any) -> None:
    entries, errors = read_list(text_list, b"f" * (5 << 20) + b"\n" + MD5.encode())
    assert len(entries) == 1
    assert errors[0].where == "list: line 1"


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + MD5.encode() + b"\r\n" + SHA1.encode(),
        f"{MD5}\r\n{SHA1}\r\n".encode("utf-16"),
        f"{MD5}\r{SHA1}\r".encode(),
    ],
    ids=["utf-8 mark", "utf-16", "bare returns"],
)
def test_it_reads_the_encodings_and_line_ends_programs_write(read_list: Any, data: bytes) -> None:
    entries, errors = read_list(text_list, data)
    assert [list(e.fingerprints) for e in entries] == [["md5"], ["sha1"]]
    assert errors == []


def test_what_it_writes_it_reads_back(read_list: Any) -> None:
    given = [
        Entry(Kind.OTHER, {"md5": b"\x01" * 16, "sha1": b"\x02" * 20}),
        Entry(Kind.OTHER, {"pdq": b"\x03" * 32}),
        Entry(Kind.OTHER, {"sha256": b"\x04" * 32}),
        Entry(Kind.OTHER, {"sha256": b"\x05" * 32, "pdq": b"\x05" * 32}),
        Entry(Kind.OTHER, {"made-up": b"\x06" * 144}),
    ]
    stream = io.BytesIO()
    assert text_list.write(given, stream) == 1
    entries, errors = read_list(text_list, stream.getvalue())
    assert errors == []
    assert [dict(e.fingerprints) for e in entries] == [
        {"md5": b"\x01" * 16},
        {"sha1": b"\x02" * 20},
        {"pdq": b"\x03" * 32},
        {"sha256": b"\x04" * 32},
        {"sha256": b"\x05" * 32, "pdq": b"\x05" * 32},
    ]
