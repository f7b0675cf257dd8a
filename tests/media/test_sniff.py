"""Types by first bytes. The bytes are those of the formats' own specifications."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.media.sniff import ARCHIVE_TYPES, AV_TYPES, PICTURE_TYPES, sniff

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


@pytest.mark.parametrize("head", [b"", b"\0", b"BM", b"hello", b"<svg xmlns=", b"%!PS-Adobe", b"\xff\xff\xff\xff"])
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
