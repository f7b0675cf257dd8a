"""NIST's list of known files, as text and as a database."""

from __future__ import annotations

import contextlib
import json
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
