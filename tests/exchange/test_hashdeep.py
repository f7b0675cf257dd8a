"""hashdeep's files."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any

import pytest

from leadline.domain import Entry, Kind
from leadline.errors import HashRefused, ListBroken
from leadline.exchange import hashdeep

MD5, SHA1, SHA256 = "a1" * 16, "b2" * 20, "d4" * 32
HEAD = "%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n## Invoked from: /x\n## $ hashdeep -r .\n##\n"


def test_it_reads_what_hashdeep_writes(read_list: Any) -> None:
    entries, errors = read_list(hashdeep, f"{HEAD}12,{MD5},{SHA256},/x/a, b.jpg\n0,{MD5.upper()},{SHA256},c\n")
    assert errors == []
    assert [e.fingerprints for e in entries] == [{"md5": b"\xa1" * 16, "sha256": b"\xd4" * 32}] * 2
    assert json.loads(entries[0].metadata) == {"filename": "/x/a, b.jpg", "size": 12}


def test_algorithms_that_are_not_known_here_are_kept_and_counted(read_list: Any) -> None:
    head = "%%%% HASHDEEP-1.0\n%%%% size,tiger,sha1,filename\n"
    (entry,), errors = read_list(hashdeep, f"{head}12,{'0' * 48},{SHA1},a\n", unknown := Counter())
    assert (set(entry.fingerprints), errors) == ({"sha1"}, [])
    assert json.loads(entry.metadata) == {"filename": "a", "size": 12, "fingerprints": {"tiger": "0" * 48}}
    assert unknown == {"fingerprint tiger": 1}


def test_a_bad_line_is_named_and_the_rest_goes_on(read_list: Any) -> None:
    lines = f"1,{MD5},short,a\n1,short,,b\nnonsense\n\n2,{MD5},,d\n"
    entries, errors = read_list(hashdeep, HEAD + lines)
    assert [json.loads(e.metadata)["filename"] for e in entries] == ["a", "d"]
    assert [(type(e) is HashRefused, e.where) for e in errors] == [
        (True, "list: line 6"), (False, "list: line 7"), (False, "list: line 8"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "%%%% HASHDEEP-1.0\n", f"%%%% HASHDEEP-1.0\n12,{MD5},a\n"])
def test_a_file_that_names_no_columns_is_broken(read_list: Any, text: str) -> None:
    entries, (error,) = read_list(hashdeep, text)
    assert entries == []
    assert isinstance(error, ListBroken)


def written(*entries: Entry) -> tuple[list[str], int]:
    stream = io.BytesIO()
    left_out = hashdeep.write(lambda: entries, stream)
    return stream.getvalue().decode().splitlines(), left_out


def test_what_it_writes_has_its_shape_and_reads_back_the_same(read_list: Any) -> None:
    one = Entry(Kind.OTHER, {"md5": b"\xa1" * 16, "sha1": b"\xb2" * 20}, source_id="7", metadata='{"MediaSize":9}')
    two = Entry(Kind.OTHER, {"md5": b"\xa2" * 16, "sha1": b"\xb3" * 20}, id=5)
    lines, left_out = written(one, two)
    assert lines == [
        "%%%% HASHDEEP-1.0", "%%%% size,md5,sha1,filename", f"9,{MD5},{SHA1},7", f"0,{'a2' * 16},{'b3' * 20},5",
    ]  # fmt: skip
    assert left_out == 0
    entries, errors = read_list(hashdeep, "\n".join(lines))
    assert ([e.fingerprints for e in entries], errors) == ([one.fingerprints, two.fingerprints], [])


def test_every_line_has_every_column_and_what_has_no_line_is_counted() -> None:
    both, one = {"md5": b"\xa1" * 16, "sha1": b"\xb2" * 20}, {"md5": b"\xa2" * 16}
    lines, left_out = written(*(Entry(Kind.OTHER, prints, id=1) for prints in (both, one, {"pdq": b"\xc3" * 32})))
    assert (lines[1:], left_out) == (["%%%% size,md5,filename", f"0,{MD5},1", f"0,{'a2' * 16},1"], 1)
    lines, left_out = written(
        *(Entry(Kind.OTHER, {name: b"\xa1" * size}) for name, size in (("md5", 16), ("sha1", 20)))
    )
    assert (len(lines), left_out) == (3, 1)


def test_a_name_cannot_make_a_line_of_its_own() -> None:
    lines, _ = written(Entry(Kind.OTHER, {"md5": b"\xa1" * 16}, source_id="a\n%%%% size,md5,filename\x1b[2J"))
    assert lines[2:] == [f"0,{MD5},a_%%%% size,md5,filename_[2J"]
