"""The digest of a raw record of a list: what somebody who has the file computes from it, as docs/lists.md says."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contracts.connector import DEFAULTS, Clock

from leadline.domain import Kind
from leadline.exchange.connector import Record
from leadline.exchange.list_file import ListFile, ListFileOptions

MD5, SHA1, SHA256 = "a1" * 16, "b2" * 20, "c3" * 32
NSRL_HEAD = '"SHA-1","MD5","CRC32","FileName","FileSize","ProductCode","OpSystemCode","SpecialCode"'
ICSE_HEAD = (
    "MD5;SHA1;PhotoDNA;Image ID;Is distributed;Victim identified;Offender identified;Series name;"
    "Number of submissions;File Available;Media Type;Baseline"
)


@pytest.fixture
def pull(tmp_path: Path) -> Callable[[bytes], list[Record]]:
    def pull_file(data: bytes) -> list[Record]:
        (tmp_path / "list").write_bytes(data)
        clock = Clock()
        options = ListFileOptions(path=tmp_path / "list", takes_clearing=True)
        source = ListFile(options, {}, DEFAULTS, clock=clock, sleep=clock.sleep)
        return [record for page in source.pull(None) for record in page.records]

    return pull_file


def digest_of(record: Record) -> str:
    if record.entry is None:
        return record.digest.hex()
    told = json.loads(record.entry.metadata)["record"]
    assert isinstance(told, str)
    return told


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("head", "rows"),
    [
        ("md5,note", [f"{MD5}, as it came ", f'"{MD5[::-1]}","two\r\nlines, and ""quotes"""']),
        ("# plain text", [MD5, f"sha1:{SHA1}", f"{SHA256}  a name"]),
        ("%%%% HASHDEEP-1.0\n%%%% size,md5,filename\n## comment", [f"7,{MD5},a, b.png"]),
        (ICSE_HEAD, [f'{MD5};;;12;true;;;"a;b";;;Image;1', f"{MD5[::-1]};;;13;;;;;;;;0"]),
        (NSRL_HEAD, [f'"{SHA1}","{MD5}","00000000","a.txt","12","1","1",""']),
    ],
)
@pytest.mark.parametrize(("end", "encoding"), [("\n", "utf-8"), ("\r\n", "utf-8-sig"), ("\r\n", "utf-16")])
def test_of_lines_it_is_of_the_lines_in_utf_8_without_the_last_end(
    pull: Callable[[bytes], list[Record]], head: str, rows: list[str], end: str, encoding: str
) -> None:
    head = head.replace("\n", end)
    records = pull(end.join([head, *rows, ""]).encode(encoding))
    assert sorted(map(digest_of, records)) == sorted(map(sha256, rows))


def test_of_json_it_is_of_the_value_with_sorted_keys_and_no_blanks(pull: Callable[[bytes], list[Record]]) -> None:
    known = f'{{"MediaID": 1, "MD5": "{MD5}", "MediaSize": 12, "Odd": 1.50, "Comments": "\u00e9", "Tags": null}}'
    unknown = '{"MediaID": 2, "AlternativeHashes": [{"HashName": "h", "HashValue": "7"}]}'
    records = pull(f'{{"value": [{known},\n {unknown}]}}'.encode())
    assert [digest_of(record) for record in records] == [
        sha256(f'{{"Comments":"\\u00e9","MD5":"{MD5}","MediaID":1,"MediaSize":12,"Odd":"1.50","Tags":null}}'),
        sha256('{"AlternativeHashes":[{"HashName":"h","HashValue":"7"}],"MediaID":2}'),
    ]


def test_of_a_bundle_it_is_of_the_latest_version_of_the_object(pull: Callable[[bytes], list[Record]]) -> None:
    name = "file--3c1f2d1b-7d5e-4f0a-9a55-2f6d1c0be7a4"
    versions = [
        {"type": "file", "spec_version": "2.1", "id": name, "hashes": {"MD5": MD5}, "modified": f"2026-01-0{day}"}
        for day in (2, 1)
    ]
    (record,) = pull(json.dumps({"type": "bundle", "objects": versions}).encode())
    assert digest_of(record) == sha256(json.dumps(versions[0], sort_keys=True, separators=(",", ":")))


def test_of_a_database_it_is_of_its_columns(pull: Callable[[bytes], list[Record]], tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "set.db")) as database:
        database.execute("CREATE TABLE FILE (sha256, sha1, md5, crc32, file_name, file_size, package_id)")
        row = (SHA256, SHA1, MD5, "0", "a.txt", 12, 1)
        database.execute("INSERT INTO FILE VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        database.commit()
    (record,) = pull((tmp_path / "set.db").read_bytes())
    assert digest_of(record) == sha256(f'["{SHA256}","{SHA1}","{MD5}","a.txt",12]')
    assert record.entry is not None
    assert record.entry.kind is Kind.BENIGN


def test_the_head_of_a_list_is_in_no_digest_and_a_change_of_it_changes_the_entries(
    pull: Callable[[bytes], list[Record]],
) -> None:
    def document(code: str) -> bytes:
        context = f"http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/{code}/$metadata#Media"
        return json.dumps({"@odata.context": context, "value": [{"MediaID": 1, "MD5": MD5, "Category": 1}]}).encode()

    (before,), (after,) = pull(document("US")), pull(document("UK"))
    assert digest_of(before) == digest_of(after)
    assert before.digest != after.digest
