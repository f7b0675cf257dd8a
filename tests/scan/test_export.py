from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from leadline.domain import Kind, Match
from leadline.scan.export import write_csv, write_vics_file
from leadline.scan.finding import encode_line, make_finding
from leadline.scan.hashing import FileFacts
from leadline.scan.verdict import judge

NEAR = Match("DEMO", Kind.ILLEGAL, 4, "pdq", 6.0, 31.0, 2, scheme="vics:CUSTOM", label="1")


@pytest.fixture
def findings(tmp_path: Path, facts: Callable[..., FileFacts]) -> Path:
    path = tmp_path / "findings.jsonl"
    told = [
        (facts(b"/e/=HYPERLINK(0).jpg", pdq=bytes(32), size_bytes=7), [NEAR]),
        (facts(b"/e/+plus\n.jpg"), []),
        (facts(b"/e/notes.txt", mime="text/plain"), []),
        (facts(b"=cmd|' /C calc'!A0"), []),
        (facts(b"@sum", mime="text/plain"), []),
    ]
    path.write_bytes(b"".join(encode_line(make_finding(given, judge(matches))) for given, matches in told))
    return path


def test_it_writes_a_table_in_which_no_cell_is_a_formula(findings: Path, tmp_path: Path) -> None:
    assert write_csv(findings, tmp_path / "t.csv") == 5
    with open(tmp_path / "t.csv", encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["path"] for row in rows] == [
        "/e/=HYPERLINK(0).jpg", "/e/+plus\\x0a.jpg", "/e/notes.txt", "'=cmd|' /C calc'!A0", "'@sum"
    ]  # fmt: skip
    assert not any(cell[:1] in set("=+-@\t\r") for row in rows for cell in row.values())
    first = rows[0]
    assert (first["verdict"], first["kind"], first["bank"], first["entry"]) == ("near", "illegal", "DEMO", "4")
    assert (first["distance"], first["size"], first["partial"]) == ("6", "7", "false")


def test_it_writes_vics_shaped_records_of_media_and_matches_alone(findings: Path, tmp_path: Path) -> None:
    assert write_vics_file(findings, tmp_path / "v.json") == 3
    told = json.loads((tmp_path / "v.json").read_text())
    assert told["@odata.context"].endswith("$metadata#Media")
    first = told["value"][0]
    assert (first["MediaID"], first["Category"], first["MD5"]) == (1, 1, bytes(16).hex().upper())
    assert (first["IsPrecategorized"], first["PrecategorizationSource"]) == (True, "DEMO")
    assert {"PropertyName": "LeadlineVerdict", "PropertyValue": "near"} in first["MediaMetadata"]
    assert told["value"][1]["Category"] is None
    assert hashlib.md5(b"").hexdigest().upper() not in json.dumps(told)
