"""NIST's list of known files, as text and as a database."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leadline.domain import Entry, Kind
from leadline.errors import ListBroken
from leadline.exchange import nsrl, nsrl_database
from leadline.exchange.base import EntryDefaults

MD5, SHA1, SHA256 = "A1" * 16, "B2" * 20, "D4" * 32
HEAD = '"SHA-1","MD5","CRC32","FileName","FileSize","ProductCode","OpSystemCode","SpecialCode"\r\n'
# As in the schema that NIST publishes, shortened: FILE is a view over two tables.
SCHEMA = """
CREATE TABLE PACKAGE_OBJECT (package_id INTEGER, object_id INTEGER UNIQUE);
CREATE TABLE METADATA (object_id INTEGER, file_name VARCHAR, extension VARCHAR DEFAULT '', bytes INTEGER, md5 VARCHAR,
    sha1 VARCHAR, sha256 VARCHAR);
CREATE VIEW FILE AS SELECT UPPER(md.sha256) AS sha256, UPPER(md.sha1) AS sha1, UPPER(md.md5) AS md5,
    CASE md.extension WHEN '' THEN md.file_name ELSE md.file_name||'.'||md.extension END AS file_name,
    md.bytes AS file_size, po.package_id FROM METADATA AS md, PACKAGE_OBJECT AS po WHERE md.object_id = po.object_id;
"""


def test_its_entries_are_benign_whatever_the_list_is_for(read_list: Any) -> None:
    row = f'"{SHA1}","{MD5}","7A5407CA","a, b.dll",1024,228,"362",""\r\n'
    (entry,), errors = read_list(nsrl, HEAD + row, kind=Kind.ILLEGAL)
    assert errors == []
    assert entry.kind is Kind.BENIGN
    assert entry.source == "NSRL"
    assert entry.fingerprints == {"md5": b"\xa1" * 16, "sha1": b"\xb2" * 20}
    assert json.loads(entry.metadata) == {"filename": "a, b.dll", "size": 1024}


def test_a_file_of_several_products_is_one_entry(read_list: Any) -> None:
    rows = "".join(f'"{SHA1}","{MD5}","0","a",1,{product},"1",""\r\n' for product in range(3))
    other = f'"{"B3" * 20}","{MD5}","0","a",1,1,"1",""\r\n'
    entries, _ = read_list(nsrl, HEAD + rows + other)
    assert len(entries) == 2


def test_the_older_order_of_columns_and_bytes_that_are_no_utf8_are_read(read_list: Any) -> None:
    head = '"SHA-1","FileName","FileSize","ProductCode","OpSystemCode","MD4","MD5","CRC32","SpecialCode"\n'
    row = f'"{SHA1}","caf@",1,1,"1","0","{MD5}","0",""\n'.encode().replace(b"@", b"\xe9")
    (entry,), errors = read_list(nsrl, head.encode() + row)
    assert (set(entry.fingerprints), errors) == ({"md5", "sha1"}, [])
    assert json.loads(entry.metadata)["filename"] == "caf\\xe9"


NOW_S = 1_700_000_000
ALL = {"md5": b"\xa1" * 16, "sha1": b"\xb2" * 20, "sha256": b"\xd4" * 32}
NAMES = ["a.dll", 'b, "c".dll', "=1+1", "d\nd", "é" * 200, ",=" * 200]
# Not harmless, not now, and not with what a row needs.
LEFT_OUT = [
    Entry(Kind.FALSE_POSITIVE, ALL), Entry(Kind.BENIGN, ALL, disabled_until=NOW_S + 1),
    Entry(Kind.BENIGN, {"md5": ALL["md5"], "sha256": ALL["sha256"]}),
    Entry(Kind.BENIGN, {"sha1": ALL["sha1"], "pdq": b"\xc3" * 32}),
]  # fmt: skip


def benign(number: int, name: str) -> Entry:
    prints = {kind: bytes([number]) + value[1:] for kind, value in ALL.items()}
    return Entry(Kind.BENIGN, prints, disabled_until=NOW_S, metadata=json.dumps({"filename": name, "size": number}))


def test_its_text_has_everything_where_other_readers_look_for_it(read_list: Any) -> None:
    """hfind of The Sleuth Kit counts characters and reads 511 a line; nsrlsvr splits at commas; IPED reads CSV."""
    stream, entries = io.BytesIO(), [benign(number, name) for number, name in enumerate(NAMES)]
    assert nsrl.write([*entries, *LEFT_OUT], stream, now_s=NOW_S) == len(LEFT_OUT)
    head, *lines = stream.getvalue().splitlines(keepends=True)
    assert head == HEAD.encode()
    for entry, line in zip(entries, lines, strict=True):
        sha1, md5 = (entry.fingerprints[name].hex().upper().encode() for name in ("sha1", "md5"))
        assert (line[:1], line[1:41], line[41:44], line[44:76], line[79:87]) == (b'"', sha1, b'","', md5, b"0" * 8)
        assert len(line) < 512
        assert re.fullmatch(rb'"?[A-F0-9]{32}"?', line.split(b",")[1])
    assert [line[90:].partition(b",")[0] for line in lines[:3]] == [b'a.dll"', b"b", b"'=1+1\""]
    rows = list(csv.DictReader(io.StringIO(stream.getvalue().decode(), newline="")))
    assert [row["FileName"] for row in rows][:4] == ["a.dll", "b, _c_.dll", "'=1+1", "d_d"]
    assert {(row["ProductCode"], row["OpSystemCode"], row["SpecialCode"], None in row) for row in rows} == {
        ("1", "1", "", False)
    }
    again, errors = read_list(nsrl, stream.getvalue())
    assert ([e.fingerprints for e in again], errors) == (
        [{name: e.fingerprints[name] for name in ("sha1", "md5")} for e in entries], [],
    )  # fmt: skip
    assert [json.loads(e.metadata) for e in again][2] == {"filename": "=1+1", "size": 2}


def test_a_bad_row_is_named_and_another_header_is_a_broken_list(read_list: Any) -> None:
    entries, (error,) = read_list(nsrl, HEAD + f'"short","","0","a",1,1,"1",""\r\n"{SHA1}","","0","a",1,1,"1",""\r\n')
    assert (len(entries), error.where) == (1, "list: line 2")
    assert [type(e) for e in read_list(nsrl, "a,b\n")[1]] == [ListBroken]


Made = Callable[..., Path]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    def make(schema: str = SCHEMA, rows: int = 3) -> Path:
        path = tmp_path / "RDS 100%?.db"
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.executescript(schema)
            for number in range(rows):
                hashes = (f"{number:032x}", f"{number:040x}", f"{number:064x}")
                database.execute("INSERT INTO METADATA VALUES (?, 'a', 'dll', 7, ?, ?, ?)", (number, *hashes))
                database.execute("INSERT INTO PACKAGE_OBJECT VALUES (1, ?)", (number,))
            database.commit()
        return path

    return make


def read_database(path: Path) -> list[Any]:
    return list(nsrl_database.read(path, where="db", defaults=EntryDefaults(Kind.OTHER)))


def test_a_database_is_read_through_its_view(made: Made) -> None:
    before = (path := made()).read_bytes()
    told = read_database(path)
    assert [type(one) for one in told] == [Entry] * 3
    assert told[2].fingerprints == {"md5": (2).to_bytes(16), "sha1": (2).to_bytes(20), "sha256": (2).to_bytes(32)}
    assert json.loads(told[2].metadata) == {"filename": "a.dll", "size": 7}
    assert told[2].kind is Kind.BENIGN
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name], "nothing is left beside it"


def test_its_database_answers_what_nist_asks_of_a_minimal_set(tmp_path: Path) -> None:
    """The questions are those of NIST's instructions for making text of RDS 3, and those of its views."""
    path, entries = tmp_path / "set.db", [benign(number, name) for number, name in enumerate(NAMES)]
    entries.append(Entry(Kind.BENIGN, ALL, id=7, metadata=f'{{"size":{1 << 63}}}'))
    left_out = [*LEFT_OUT, Entry(Kind.BENIGN, {"md5": ALL["md5"], "sha1": ALL["sha1"]})]
    with path.open("wb") as stream:
        assert nsrl_database.write([*entries, *left_out, entries[0]], stream, now_s=NOW_S) == len(left_out)
    with contextlib.closing(sqlite3.connect(path)) as database:
        ask = database.execute
        asked = ask("SELECT sha1, md5, crc32, file_name, file_size, package_id FROM FILE ORDER BY sha1").fetchall()
        assert asked[0] == (f"00{'B2' * 19}", f"00{'A1' * 15}", "00000000", "a.dll", 0, 1)
        assert [row[3] for row in asked] == [*(name.replace("\n", "_") for name in NAMES), "7"]
        assert ask("SELECT sha256, sha1, md5, crc32 FROM DISTINCT_HASH").fetchall()[5][0] == f"05{'D4' * 31}"
        made_by = """SELECT DISTINCT PKG.name, OS.name, MFG.name FROM FILE JOIN PKG USING (package_id)
            JOIN OS USING (operating_system_id) JOIN MFG ON MFG.manufacturer_id = PKG.manufacturer_id"""
        assert ask(made_by).fetchall() == [("Leadline", "unknown", "unknown")]
        ((version, build_set, released),) = ask("SELECT version, build_set, release_date FROM VERSION").fetchall()
        assert (version, build_set, released) == ("2023.11.14", "Leadline", "2023-11-14 22:13:20")
        assert ask("PRAGMA integrity_check").fetchone() == ("ok",)
    again = read_database(path)
    assert [e.fingerprints for e in again] == [e.fingerprints for e in entries]
    assert [json.loads(e.metadata)["size"] for e in again[1:-1]] == list(range(1, len(NAMES)))


def test_a_database_without_files_is_a_broken_list(made: Made) -> None:
    assert [type(one) for one in read_database(made(rows=0))] == [ListBroken]


def test_a_damaged_database_ends_with_a_fault(made: Made) -> None:
    path = made(rows=3000)
    data = bytearray(path.read_bytes())
    data[30_000:60_000] = b"\xff" * 30_000
    path.write_bytes(data)
    told = read_database(path)
    assert isinstance(told[-1], ListBroken)
    assert "after row" in told[-1].where
    path.write_bytes(nsrl_database.MAGIC + b"\0" * 5000)
    assert [type(one) for one in read_database(path)] == [ListBroken]


@pytest.mark.parametrize(
    "view",
    [
        "SELECT load_extension('x') AS sha256, '' AS sha1, '' AS md5, '' AS file_name, 1 AS file_size",
        "SELECT zeroblob(900000000) AS sha256, '' AS sha1, '' AS md5, '' AS file_name, 1 AS file_size",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) "
        "SELECT i AS sha256, '' AS sha1, '' AS md5, '' AS file_name, 1 AS file_size FROM n",
        " UNION ALL ".join(["SELECT '' AS sha256, '' AS sha1, '' AS md5, '' AS file_name, 1 AS file_size"] * 11),
        f"SELECT {'(' * 60}1{'+1)' * 60} AS sha256, '' AS sha1, '' AS md5, '' AS file_name, 1 AS file_size",
        "SELECT sql AS sha256, '' AS sha1, '' AS md5, name AS file_name, 1 AS file_size FROM pragma_table_info('x')",
    ],
)
def test_a_view_that_would_do_more_than_read_is_refused(made: Made, view: str) -> None:
    told = read_database(made(f"CREATE VIEW FILE AS {view};", rows=0))
    assert [type(one) for one in told] == [ListBroken]


def test_a_view_that_never_gives_a_row_is_stopped(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nsrl_database, "_MOST_STEPS", 2)
    numbers = "CREATE TABLE n (i); INSERT INTO n VALUES " + ",".join(["(1)"] * 300) + ";"
    join = ", ".join(f"n AS n{number}" for number in range(6))
    view = f"SELECT '' AS sha256, '' AS sha1, '' AS md5, '' AS file_name, 1 AS file_size FROM {join} WHERE n5.i = 2"
    told = read_database(made(f"{numbers}CREATE VIEW FILE AS {view};", rows=0))
    assert [type(one) for one in told] == [ListBroken]
