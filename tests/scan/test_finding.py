from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest

from leadline.domain import Fingerprints, Kind, Match, PdqFamily, Transform, ViewHashes
from leadline.errors import UntrustedMediaError
from leadline.scan.finding import (
    decode_line,
    encode_line,
    finding_fingerprints,
    make_finding,
    raw_path,
    rfc3339,
    walk_path,
)
from leadline.scan.hashing import FileFacts
from leadline.scan.verdict import judge

Make = Callable[..., FileFacts]
HASHES = tuple(bytes([n]) * 32 for n in range(8))


def line_of(facts: FileFacts, *matches: Match) -> dict[str, object]:
    error = facts.error.what if facts.error else None
    found: dict[str, object] = json.loads(
        encode_line(make_finding(facts, judge(matches, notes=facts.reasons, error=error)))
    )
    return found


def test_it_writes_one_line_with_every_field_the_docs_promise(facts: Make) -> None:
    line = line_of(facts(pdq=HASHES[1]), Match("B", Kind.ILLEGAL, 4, "pdq", 6.0, 31.0, 2, Transform.ROTATE90))
    assert {
        "path", "size", "times", "md5", "sha1", "sha256", "mime", "width", "height", "pdq", "quality", "pdq_family",
        "partial", "alpha", "changed_while_read", "verdict", "kind", "reasons", "matches", "isolation", "decoder",
    } <= set(line)  # fmt: skip
    assert line["matches"] == [
        {
            "bank": "B", "kind": "illegal", "entry": 4, "algorithm": "pdq", "distance": 6, "transform": "rotate90",
            "view": "picture", "threshold": 31, "list_version": 2, "scheme": "", "label": "", "family": "",
            "suppressed_by": None,
        }
    ]  # fmt: skip


def test_it_gives_back_all_hashes_of_all_views(facts: Make) -> None:
    views = (
        ViewHashes("on-white", PdqFamily.B, HASHES, 90, 4, 3, {"made-up": b"\x01\x02"}),
        ViewHashes("on-black", PdqFamily.A, HASHES[::-1], 20, 4, 3),
    )
    given = facts(fingerprints=Fingerprints({"md5": bytes(16)}, views), width=4, height=3)
    back = finding_fingerprints(decode_line(encode_line(make_finding(given, judge([])))))
    assert back.views == views
    assert back.exact == {"md5": bytes(16)}


def test_it_shows_the_first_view_at_the_top_and_lists_views_only_where_there_are_several(facts: Make) -> None:
    one = line_of(facts(pdq=HASHES[3]))
    assert one["pdq"] == "03" * 32
    assert "views" not in one
    pair = tuple(ViewHashes(f"frame {n}", PdqFamily.B, HASHES, 80 + n, 4, 3) for n in (1, 2))
    several = line_of(facts(fingerprints=Fingerprints({}, pair)))
    assert several["quality"] == 81
    assert [view["view"] for view in several["views"]] == ["frame 1", "frame 2"]  # type: ignore[attr-defined]


def test_it_names_a_member_by_its_container_and_keeps_odd_bytes(facts: Make) -> None:
    line = line_of(facts(b"/e/\xff.zip", member=b"in/\xfe!x.jpg"))
    assert line["path"] == "/e/\\xff.zip!in/\\xfe!x.jpg"
    assert line["container"] == "/e/\\xff.zip"
    finding = decode_line(json.dumps(line).encode())
    assert raw_path(finding) == b"/e/\xff.zip!in/\xfe!x.jpg"
    assert walk_path(finding) == b"/e/\xff.zip"


def test_it_keeps_code_and_message_of_an_error(facts: Make) -> None:
    line = line_of(facts(error=UntrustedMediaError("picture refused", code="too-large")))
    assert line["error"] == {"code": "too-large", "message": "picture refused"}
    assert line["verdict"] == "unreadable"


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_763_928_901_120_000_000, "2025-11-23T20:15:01.12Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (2**63 * 1000, None),
        (-(2**62), "1823-11-12T00:06:21.572612096Z"),
    ],
)
def test_it_writes_times_that_any_file_system_can_hold(time_ns: int, text: str | None) -> None:
    assert rfc3339(time_ns) == text


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"path":1}', b'{"path":"x"}'])
def test_it_refuses_lines_that_are_no_findings(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_line(line)
