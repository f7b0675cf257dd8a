"""Types by first bytes. The bytes are those of the formats' own specifications."""

from __future__ import annotations

import io
import tarfile
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.media.foreign import (
    discord,
    discord_message,
    har,
    har_entry,
    mail,
    mhtml,
    record,
    telegram,
    telegram_message,
)
from tests.media.packed import zipped

from leadline.media.sniff import (
    ARCHIVE_TYPES,
    AV_TYPES,
    CONTAINER_TYPES,
    NOT_DECODED,
    NOT_OPENED,
    PICTURE_TYPES,
    ends_as_zip,
    sniff,
)

HEADS = {
    b"\xff\xd8\xff\xe0\0\x10JFIF": "image/jpeg",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR": "image/png",
    b"GIF89a\x01\0\x01\0": "image/gif",
    b"RIFF\x24\0\0\0WEBPVP8 ": "image/webp",
    b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf": "image/avif",
    b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf": "image/avif",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic": "image/heic",
    b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic": "image/heic",
    b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0": "image/bmp",
    b"II*\0\x08\0\0\0": "image/tiff",
    b"MM\0*\0\0\0\x08": "image/tiff",
    b"\0\0\x01\0\x01\0\x10\x10\0\0": "image/x-icon",
    b"PK\x03\x04\x14\0": "application/zip",
    b"PK\x05\x06" + bytes(18): "application/zip",
    b"7z\xbc\xaf\x27\x1c\0\x04": "application/x-7z-compressed",
    b"\x1f\x8b\x08\0": "application/gzip",
    b"BZh91AY&SY": "application/x-bzip2",
    b"\xfd7zXZ\0\0\x04": "application/x-xz",
    b"\0\0\0\x20ftypisom\0\0\x02\0": "video/mp4",
    b"\0\0\0\x14ftypqt  \0\0\0\0": "video/quicktime",
    b"\0\0\0\x08wide\0\0\x10\0mdat": "video/quicktime",
    b"\0\0\0\x18ftyp3gp5\0\0\0\0": "video/3gpp",
    b"\0\0\0\x20ftypM4A \0\0\0\0": "audio/mp4",
    b"\x1aE\xdf\xa3\x93\x42\x82\x88matroska": "video/x-matroska",
    b"\x1aE\xdf\xa3\x9f\x42\x82\x84webm": "video/webm",
    b"RIFF\x24\0\0\0AVI LIST": "video/x-msvideo",
    b"RIFF\x24\0\0\0WAVEfmt ": "audio/wav",
    b"\x47" + bytes(187) + b"\x47" + bytes(187) + b"\x47": "video/mp2t",
    b"\0\0\x01\xba\x44": "video/mpeg",
    b"FLV\x01\x05": "video/x-flv",
    b"OggS\0\x02" + bytes(22) + b"\x01vorbis": "audio/ogg",
    b"OggS\0\x02" + bytes(22) + b"\x80theora": "video/ogg",
    b"fLaC\0\0\0\x22": "audio/flac",
    b"ID3\x03\0": "audio/mpeg",
    b"\xff\xfb\x90\x64": "audio/mpeg",
    b"\xff\xf1\x50\x80": "audio/aac",
}


@pytest.mark.parametrize(("head", "mime"), HEADS.items(), ids=lambda value: value if isinstance(value, str) else "")
def test_it_knows_a_type_by_its_first_bytes(head: bytes, mime: str) -> None:
    assert sniff(head) == mime


@pytest.mark.parametrize("style", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_it_knows_a_tar(style: int) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=style) as archive:
        archive.addfile(tarfile.TarInfo("folder/" * 15 + "name"))
    assert sniff(stream.getvalue()) == "application/x-tar"


def test_it_knows_a_tar_from_before_tars_had_a_magic() -> None:
    header = bytearray(512)
    header[:1], header[100:107], header[148:156] = b"a", b"0000644", b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert sniff(bytes(header)) == "application/x-tar"
    header[200] ^= 1
    assert sniff(bytes(header)) == "application/octet-stream"


REPORTS = {
    "message/rfc822": mail("words\n"),
    "multipart/related": mhtml("https://example.org/", b"x"),
    "application/warc": record("resource", "urn:x", b"x"),
    "application/wacz": zipped({"datapackage.json": b"{}"}),
    "application/har+json": har(har_entry("urn:x", "x")),
    "application/x-telegram-export+json": telegram(telegram_message(1, "x")),
    "application/x-discord-export+json": discord(discord_message(1, "x")),
    "text/x-whatsapp-chat": b"\xe2\x80\x8e[13/03/2024, 14:08:18] Anna: hi\n",
}


@pytest.mark.parametrize("mime", REPORTS)
def test_it_knows_what_reports_arrive_in(mime: str) -> None:
    assert sniff(REPORTS[mime]) == mime
    assert mime in CONTAINER_TYPES
    if mime.endswith("json"):
        assert sniff(b"\xef\xbb\xbf \r\n" + REPORTS[mime]) == mime


def test_it_knows_more_shapes_of_them() -> None:
    assert sniff(zipped({"archive/data.warc.gz": b"x"})) == "application/wacz"
    assert sniff(b"Return-Path: <a@example.org>\r\nReceived: by x\r\n\tfor y\r\nFrom: a\r\n\r\n") == "message/rfc822"
    assert sniff(b"13/03/2024, 14:08 - Messages are end-to-end encrypted\n") == "text/x-whatsapp-chat"
    account = b'{\n "about": "Here is the data you requested. Remember: ...", "personal_information": {'
    assert sniff(account) == "application/x-telegram-export+json"
    assert sniff(mail("words\n") + bytes(9000)) == "message/rfc822"


@pytest.mark.parametrize(
    "head",
    [
        b"From MAILER-DAEMON Mon Jan  1 10:00:00 2024\nFrom: a\nTo: b\nSubject: c\n\n",  # an mbox
        b"Package: x\nVersion: 1\nDate: today\n\n",
        b"From: here\nTo: there\n\n",
        b"Date: 1\nSubject: 2\nTo: 3\n\n",
        b"From: a\nnot a field\nTo: b\nSubject: c\n",
        b"http://example.org/ and https://example.net/\n",
        b"2024-01-02 10:00:00 - started\n",
        b"[2024-01-02 10:00:00,123] INFO: started\n",
        b'{"log": "text", "entries": []}',
        b'{"name": "x", "type": "module", "messages": []}',
        b'{"guild": 3, "channel": {}}',
        b"{",
    ],
)
def test_it_takes_no_other_text_for_a_report(head: bytes) -> None:
    assert sniff(head) == "application/octet-stream"


# As the formats' own descriptions have their marks.
ONLY_NAMED = {
    b"Rar!\x1a\x07\x01\0": "application/vnd.rar",
    b"\x28\xb5\x2f\xfd\x04": "application/zstd",
    b"%PDF-1.7\n": "application/pdf",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0": "application/x-ole-storage",
    b"MSCF\0\0\0\0\x2c\x01": "application/vnd.ms-cab-compressed",
    b"\x60\xea\x2a\0\x1e\x0b\x01\0\x10\0\x02": "application/x-arj",
    b"\x24\xa1-lh5-\x10": "application/x-lha",
    b"LZIP\x01\x0c": "application/x-lzip",
    b"\x04\x22\x4d\x18\x64": "application/x-lz4",
    b"\x1f\x9d\x90\x61": "application/x-compress",
    b"070701000041": "application/x-cpio",
    b"hsqs\x07\0": "application/x-squashfs",
    b"SQLite format 3\0\x10\0": "application/vnd.sqlite3",
    b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ": "image/jp2",
    b"\xff\x4f\xff\x51\0\x2f": "image/jp2",
    b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ": "image/jxl",
    b"\xff\x0a\xfa\x1f": "image/jxl",
    b"II\xbc\x01\x20\0\0\0": "image/jxr",
    b"8BPS\0\x01\0\0": "image/vnd.adobe.photoshop",
    b'<svg xmlns="http://www.w3.org/2000/svg">': "image/svg+xml",
    b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a -- b -->\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1">': "image/svg+xml",
    b'<!-- made by hand --><svg:svg xmlns:svg="http://www.w3.org/2000/svg">': "image/svg+xml",
    b"gimp xcf v011\0": "image/x-xcf",
    b"\x76\x2f\x31\x01\x02\0\0\0": "image/x-exr",
    b"AT&TFORM\0\0\1\0DJVU": "image/vnd.djvu",
    b"DDS \x7c\0\0\0": "image/vnd-ms.dds",
    b"\x01\0\0\0\x6c\0\0\0" + bytes(32) + b" EMF": "image/emf",
    b"\xd7\xcd\xc6\x9a\0\0": "image/wmf",
    b"qoif\0\0\x02\0": "image/qoi",
    b"icns\0\0\x10\0": "image/icns",
    b"\0\0\0\x18ftypcrx \0\0\0\1crx isom": "image/x-canon-cr3",
    b"FUJIFILMCCD-RAW 0201": "image/x-fuji-raf",
}


@pytest.mark.parametrize(("head", "mime"), ONLY_NAMED.items(), ids=str)
def test_it_knows_types_that_are_only_named(head: bytes, mime: str) -> None:
    assert sniff(head) == mime
    assert mime in NOT_OPENED or mime in NOT_DECODED


def test_what_is_only_named_is_neither_decoded_nor_opened() -> None:
    assert set(ONLY_NAMED.values()) == {*NOT_OPENED, *NOT_DECODED}
    assert not {*NOT_OPENED, *NOT_DECODED} & (PICTURE_TYPES | CONTAINER_TYPES | AV_TYPES)


def test_it_sees_a_zip_that_stands_behind_something_else() -> None:
    whole = zipped({"a": b"x" * 99})
    assert ends_as_zip(b"anything" + whole)
    assert ends_as_zip(whole[:-2] + b"\x03\0and" + b"more")  # a comment, and what follows it
    for none in (b"", b"PK\5\6", whole[:-1], whole[:-22], zipped({}), b"PK\5\6" * 9):
        assert not ends_as_zip(none)


@pytest.mark.parametrize("head", [b"<!--" * 999, b"<!-- -->" * 999, b"<?" * 999, b"<" * 4096])
def test_no_text_takes_long_to_be_looked_at(head: bytes) -> None:
    begun = time.process_time()
    sniff(head)
    assert time.process_time() - begun < 0.1


@pytest.mark.parametrize("head", [b"", b"\0", b"BM", b"hello", b"<html><svg>", b"%!PS-Adobe", b"\xff\xff\xff\xff"])
def test_it_claims_nothing_for_what_it_does_not_know(head: bytes) -> None:
    assert sniff(head) == "application/octet-stream"


def test_it_names_only_types_of_its_lists_for_media() -> None:
    assert set(HEADS.values()) <= PICTURE_TYPES | ARCHIVE_TYPES | AV_TYPES
    assert not PICTURE_TYPES & ARCHIVE_TYPES
    assert not PICTURE_TYPES & AV_TYPES


@given(st.binary(max_size=600), st.sampled_from(list(HEADS)))
def test_it_answers_for_any_bytes(tail: bytes, head: bytes) -> None:
    for size in range(len(head)):
        assert "/" in sniff(head[:size] + tail)
