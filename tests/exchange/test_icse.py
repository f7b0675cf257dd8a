"""CSV with ICSE's columns."""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from typing import Any

import pytest

from leadline.domain import Entry, Kind
from leadline.errors import HashRefused, ListBroken
from leadline.exchange import icse

MD5, SHA1, PHOTODNA = "A1" * 16, "B2" * 20, bytes(range(144))
HEAD = (
    "MD5;SHA1;PhotoDNA;Image ID;Is distributed;Victim identified;Offender identified;Series name;"
    "Number of submissions;File Available;Media Type;Baseline\n"
)


def test_it_reads_its_columns(read_list: Any) -> None:
    row = f"{MD5};{SHA1};{base64.b64encode(PHOTODNA).decode()};17;true;No;maybe;one; 3;;Image;1\n"
    (entry,), errors = read_list(icse, "\ufeff" + HEAD + row)
    assert errors == []
    assert entry.fingerprints == {"md5": b"\xa1" * 16, "sha1": b"\xb2" * 20, "photodna": PHOTODNA}
    assert (entry.source_id, entry.scheme, entry.label) == ("17", "icse", "baseline")
    assert json.loads(entry.metadata) == {
        "IsDistributed": True, "VictimIdentified": False, "OffenderIdentified": "maybe", "Series": "one",
        "NumSubmissions": "3", "MediaType": "Image", "Baseline": True,
    }  # fmt: skip


def test_what_is_not_said_to_be_baseline_has_no_label(read_list: Any) -> None:
    entries, _ = read_list(icse, HEAD + f"{MD5};;;1;;;;;;;;false\n{MD5};;;2;;;;;;;;\n")
    assert [(e.scheme, e.label) for e in entries] == [("", "")] * 2


def test_a_column_of_another_is_kept_and_counted(read_list: Any) -> None:
    head = HEAD.replace("\n", ";Tiger\n")
    entries, errors = read_list(icse, head + f"{MD5};;;1;;;;;;;;;77\n{MD5};;;2;;;;;;;;;\n", unknown := Counter())
    assert ([e.metadata for e in entries], errors) == (['{"Tiger":"77"}', ""], [])
    assert unknown == {"column Tiger": 1}


def test_a_bad_row_is_named_and_the_rest_goes_on(read_list: Any) -> None:
    rows = f"{MD5[1:]};;;1;;;;;;;;\n;;;2;;;;;;;;\n{MD5};zz;AAAA;3;;;;;;;;\n"
    (entry,), errors = read_list(icse, HEAD + rows)
    assert (entry.source_id, set(entry.fingerprints)) == ("3", {"md5"})
    assert [(type(e) is HashRefused, e.where) for e in errors] == [
        (False, "list: line 2"), (False, "list: line 3"), (True, "list: line 4"), (True, "list: line 4"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "MD5;SHA1\n", "x" * (1 << 21)])
def test_another_header_is_a_broken_list(read_list: Any, text: str) -> None:
    entries, (error,) = read_list(icse, text)
    assert (entries, type(error)) == ([], ListBroken)


def test_what_it_writes_reads_back_the_same(read_list: Any) -> None:
    entries = [
        Entry(
            Kind.OTHER, {"md5": b"\xa1" * 16, "sha1": b"\xb2" * 20, "photodna": PHOTODNA}, source_id='a;"b"',
            scheme="icse", label="baseline", metadata='{"IsDistributed":true,"Baseline":true,"Series":"=1+1"}',
        ),
        Entry(Kind.OTHER, {"sha1": b"\xb3" * 20, "sha256": b"\xd4" * 32}, id=9),
        Entry(Kind.OTHER, {"sha256": b"\xd4" * 32}, id=10),
    ]  # fmt: skip
    stream = io.BytesIO()
    assert icse.write(entries, stream) == 1
    assert ";=1" not in stream.getvalue().decode()
    again, errors = read_list(icse, stream.getvalue())
    assert errors == []
    assert again[0] == entries[0]
    assert (again[1].fingerprints, again[1].source_id) == ({"sha1": b"\xb3" * 20}, "9")
