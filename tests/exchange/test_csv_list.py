"""CSV lists."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.domain import Entry, Kind, PdqFamily, Tlp
from leadline.errors import HashRefused
from leadline.exchange import csv_list
from leadline.exchange.base import EntryDefaults

MD5, SHA1, LONG = "a1" * 16, "b2" * 20, "c3" * 32


def test_it_reads_all_columns_in_any_order_and_case(read_list: Any) -> None:
    data = (
        "Quality;PDQ;SHA-256;id;MD5;label;scheme;TLP;kind;pdq_family;note\r\n"
        f"88;{LONG.upper()};{'D4' * 32};17;{MD5};A;uk;TLP:WHITE;benign;a;hello\r\n"
    )
    (entry,), errors = read_list(csv_list, "\ufeff" + data)
    assert errors == []
    assert entry == Entry(
        kind=Kind.BENIGN, fingerprints={"pdq": b"\xc3" * 32, "sha256": b"\xd4" * 32, "md5": b"\xa1" * 16},
        id=17, source_id="17", quality=88, label="A", scheme="uk", tlp=Tlp.CLEAR, pdq_family=PdqFamily.A,
        note="hello",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "wished"),
    [("1", 1), (str(2**53 - 1), 2**53 - 1), (str(2**53), None), ("0", None), ("-3", None), ("x7", None), ("1.0", None)],
)
def test_an_id_is_wished_for_where_it_can_be_and_always_kept(read_list: Any, text: str, wished: int | None) -> None:
    (entry,), _ = read_list(csv_list, f"id,md5\n{text},{MD5}\n")
    assert (entry.id, entry.source_id) == (wished, text)


def test_unknown_columns_are_counted_and_kept_while_small(read_list: Any) -> None:
    big = "x" * 5000
    rows = f"md5,colour,size\n{MD5},red,12\n{MD5},{big},12\n"
    entries, errors = read_list(csv_list, rows, unknown := Counter())
    assert errors == []
    assert unknown == {"column colour": 1, "column size": 1}
    assert json.loads(entries[0].metadata) == {"colour": "red", "size": "12"}
    assert json.loads(entries[1].metadata) == {"left_out": 2}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("a1a1,,,,", "md5 has 4 characters"),
        (f"{'z' * 32},,,,", "no hexadecimal"),
        (f"{MD5},,101,,", "quality"),
        (f"{MD5},,,nonsense,", "kind"),
        (f"{MD5},,,,purple", "TLP"),
        (",,,,", "no hash"),
        (f"{MD5},,,,,extra", "6 fields"),
    ],
)
def test_a_bad_row_is_named_and_the_rest_goes_on(read_list: Any, row: str, says: str) -> None:
    entries, errors = read_list(csv_list, f"md5,pdq,quality,kind,tlp\n{row}\n{MD5},,,,\n")
    assert len(entries) == 1
    assert says in errors[0].what
    assert errors[0].where == "list: line 2"
    assert errors[0].mend


@pytest.mark.parametrize(
    ("column", "cell"),
    [("sha1", "bad"), ("pdq", "c3" * 31), ("photodna", "AAAA"), ("hash", "12"), ("fingerprints", "no")],
)
def test_a_malformed_hash_never_costs_a_row_its_good_ones(read_list: Any, column: str, cell: str) -> None:
    entries, errors = read_list(csv_list, f"md5,{column},label\n{MD5},{cell},A\n{MD5},,B\n")
    assert [(dict(e.fingerprints), e.label) for e in entries] == [({"md5": b"\xa1" * 16}, x) for x in "AB"]
    (error,) = errors
    assert isinstance(error, HashRefused)
    assert error.where == "list: line 2"
    assert error.mend


def test_of_named_fingerprints_only_the_malformed_one_is_refused(read_list: Any) -> None:
    cell = '"{""made-up"": ""04"", ""other"": ""zz""}"'
    (entry,), (error,) = read_list(csv_list, f"md5,fingerprints\n,{cell}\n")
    assert dict(entry.fingerprints) == {"made-up": b"\4"}
    assert isinstance(error, HashRefused)


@pytest.mark.parametrize("word", ["", "-", "NULL", "n/a", "None"])
def test_words_for_nothing_are_nothing(read_list: Any, word: str) -> None:
    (entry,), _ = read_list(csv_list, f"md5,pdq,quality\n{MD5},{word},{word}\n")
    assert dict(entry.fingerprints) == {"md5": b"\xa1" * 16}
    assert entry.quality is None


@pytest.mark.parametrize("data", ["", "\n\n", "name,size\nx,1\n", f"{MD5}\n{SHA1}\n", "md5,md5\n"])
def test_a_list_without_a_usable_header_is_refused_whole(read_list: Any, data: str) -> None:
    entries, errors = read_list(csv_list, data)
    assert entries == []
    assert len(errors) == 1


def test_a_stray_quote_costs_one_row_and_never_the_next(read_list: Any) -> None:
    rows = [f"{i:032x},note" for i in range(200)]
    rows[50] = f'{50:032x},"open'
    rows[51] = f'{51:032x},"open too'
    rows[120] = f'{120:032x},5" disk'
    entries, errors = read_list(csv_list, "md5,note\n" + "\n".join(rows))
    assert [e.where for e in errors] == ["list: line 52", "list: line 53"]
    assert len(entries) == 198


def test_a_note_over_several_lines_is_one_field(read_list: Any) -> None:
    entries, errors = read_list(csv_list, f'md5,note,sha1\n{MD5},"one\ntwo ""2""\nthree",{SHA1}\n{MD5},x,\n')
    assert errors == []
    assert entries[0].note == 'one\ntwo "2"\nthree'
    assert set(entries[0].fingerprints) == {"md5", "sha1"}
    assert len(entries) == 2


def test_other_encodings_lose_a_letter_and_never_a_hash(read_list: Any) -> None:
    (entry,), errors = read_list(csv_list, b"md5,note\n" + MD5.encode() + b",caf\xe9\n")
    assert errors == []
    assert entry.note == "caf\\xe9"


def test_it_reads_the_columns_of_police_exports(read_list: Any) -> None:
    import base64

    photodna = base64.b64encode(bytes(range(144))).decode()
    header = "MD5;SHA1;PhotoDNA;Image ID;Is distributed;Baseline"
    (entry,), errors = read_list(csv_list, f"{header}\n{MD5};{SHA1};{photodna};991;1;0\n")
    assert errors == []
    assert entry.fingerprints["photodna"] == bytes(range(144))
    assert json.loads(entry.metadata) == {"Image ID": "991", "Is distributed": "1", "Baseline": "0"}


def _cells_of(data: bytes, delimiter: str) -> list[str]:
    return [c for row in csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter) for c in row]


@pytest.mark.parametrize(
    "start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "a;=1", "a\t@x", "x\n=2", "＝1"]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_no_written_cell_is_a_formula_however_it_is_split(start: str, delimiter: str) -> None:
    stream = io.BytesIO()
    csv_list.write([Entry(Kind.OTHER, {"md5": b"\1" * 16}, note=start, label=start, source=start)], stream)
    for cell in _cells_of(stream.getvalue(), delimiter):
        for part in cell.splitlines() or [cell]:
            assert not part.strip().strip('"').lstrip().startswith(("=", "+", "-", "@", "＝"))


_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40).map(str.strip)


@given(note=_texts, label=_texts, source_id=_texts, quality=st.none() | st.integers(0, 100))
def test_what_it_writes_it_reads_back(note: str, label: str, source_id: str, quality: int | None) -> None:
    entry = Entry(
        kind=Kind.FALSE_POSITIVE, fingerprints={"sha1": b"\2" * 20, "pdq": b"\3" * 32, "made-up": b"\4" * 9},
        id=7, quality=quality, label=label, source_id=source_id or "s", note=note, disabled_until=5, first_seen=6,
        last_seen=7, radius_bits=3, metadata='{"a":"=b"}', pdq_family=PdqFamily.A, tlp=Tlp.RED,
    )  # fmt: skip
    stream = io.BytesIO()
    csv_list.write([entry, entry], stream)
    stream.seek(0)
    defaults = EntryDefaults(Kind.ILLEGAL)
    assert list(csv_list.read(stream, where="w", defaults=defaults)) == [entry, entry]
