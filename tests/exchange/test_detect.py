"""Telling list formats apart."""

from __future__ import annotations

import pytest

from leadline.exchange.detect import ListFormat, detect_format

MD5 = "a1" * 16


@pytest.mark.parametrize(
    ("head", "ending", "expected"),
    [
        (b"id,md5\n1," + MD5.encode(), ".txt", ListFormat.CSV),
        (MD5.encode() + b"\n", "", ListFormat.TEXT),
        (MD5.encode() + b"\n", ".csv", ListFormat.TEXT),
        (b"# list\n\npdq " + b"c3" * 32, ".dat", ListFormat.TEXT),
        (b'\xef\xbb\xbf {"value": []}', ".bin", ListFormat.VICS),
        (b'{"type": "bundle", "objects": []}', ".json", ListFormat.STIX),
        (b'{"objects":[{"type":"indicator","spec_version":"2.1"}]}', "", ListFormat.STIX),
        (f"{MD5}\r\n".encode("utf-16"), ".x", ListFormat.TEXT),
        (b"%%%% HASHDEEP-1.0\n%%%% size,md5,filename\n", ".txt", ListFormat.HASHDEEP),
        (b"MD5;SHA1;PhotoDNA;Image ID;Series name;Baseline\n", ".csv", ListFormat.ICSE),
        (
            b'"SHA-1","MD5","CRC32","FileName","FileSize","ProductCode","OpSystemCode","SpecialCode"',
            "",
            ListFormat.NSRL,
        ),
        (b"SQLite format 3\0\x10\0\1\1\0", ".db", ListFormat.NSRL_DATABASE),
        (b"broken header\n", ".csv", ListFormat.CSV),
        (b"nothing of the kind", ".txt", ListFormat.TEXT),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", ".jpg", None),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "", None),
        (b"", "", None),
    ],
)
def test_it_tells_formats_apart_by_content_first(head: bytes, ending: str, expected: ListFormat | None) -> None:
    assert detect_format(head, ending) is expected
