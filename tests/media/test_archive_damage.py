"""Damaged containers, and containers that lie: what is there comes out, and that it is damaged is told."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from typing import Any

import numpy as np
import py7zr
import pytest
from tests.media.packed import FAST, LONG, SHORT, sevenzipped, tarred, unpack, zipped

from leadline.errors import UntrustedMediaError
from leadline.media.client import Sandbox
from leadline.media.limits import MIB

MEMBERS = {"long.bin": LONG, "nothing": b"", "folder/short.txt": SHORT}
PICTURE = np.random.default_rng(5).integers(0, 64, 20_000, dtype=np.uint8).tobytes()  # as large as one
LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


def came_out(sandbox: Sandbox, data: bytes) -> list[tuple[bytes, bytes, str]]:
    """Of each member its name, the bytes that came of it, and how it ended."""
    sandbox.input_buffer(len(data))[:] = data
    told = []
    try:
        for member in sandbox.members(len(data), from_fd=False):
            read, code = bytearray(), member.reason
            try:
                for chunk in member.chunks():
                    read += chunk
            except UntrustedMediaError as error:
                code = error.code
            told.append((member.name, bytes(read), code))
    except UntrustedMediaError:
        pass
    return told


def changed(data: bytes, mark: bytes, at: int, value: bytes) -> bytes:
    """The same with some bytes put at a place behind the first such mark."""
    start = data.index(mark) + at
    return data[:start] + value + data[start + len(value) :]


def test_a_zip_cut_off_yields_the_members_before_the_cut(sandbox: Sandbox) -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        whole = zipped({"first": SHORT, "second": LONG[:MIB], "third": SHORT}, method)
        told, end = unpack(sandbox, whole[: len(whole) // 2])
        assert told[0] == (b"first", SHORT)
        assert told[1][0] == b"second"
        assert "then truncated" in str(told[1][1])
        assert len(told) == 2
        assert end == "truncated"


def test_a_zip_without_its_directory_yields_every_member(sandbox: Sandbox) -> None:
    inner = zipped({"inner": SHORT})
    whole = zipped({"first": SHORT, "nested.zip": inner, "last": SHORT}, zipfile.ZIP_STORED)
    told, end = unpack(sandbox, whole[: whole.index(b"PK\x01\x02", whole.index(b"last"))])
    assert [name for name, _ in told] == [b"first", b"nested.zip", b"inner", b"last"]  # the inner directory was found
    assert told[1] == (b"nested.zip", inner)
    assert told[3] == (b"last", SHORT)
    assert end == "truncated"


def test_a_second_zip_in_the_file_does_not_hide_the_first(sandbox: Sandbox) -> None:
    told, _ = unpack(sandbox, zipped({"hidden": SHORT}) + zipped({"shown": SHORT[:9]}))
    assert told == [(b"hidden", SHORT), (b"shown", SHORT[:9])]
    told, _ = unpack(sandbox, zipped({"shown": SHORT}) + zipped({"cut off": SHORT[:9]})[:-22])
    assert told == [(b"shown", SHORT), (b"cut off", SHORT[:9])]


def test_a_damaged_member_does_not_hide_the_next(sandbox: Sandbox) -> None:
    data = bytearray(zipped({"bad": LONG[:MIB], "good": SHORT}))
    data[MIB // 2 : MIB // 2 + 64] = bytes(64)
    told, end = unpack(sandbox, bytes(data))
    assert "undecodable" in str(told[0][1])
    assert told[1] == (b"good", SHORT)
    assert end == ""


def test_a_tar_cut_off_or_damaged_yields_what_came_before(sandbox: Sandbox) -> None:
    whole = bytearray(tarred({"first": SHORT, "second": LONG[:MIB]}))
    told, end = unpack(sandbox, bytes(whole[: MIB // 2]))
    assert told[0] == (b"first", SHORT)
    assert "then truncated" in str(told[1][1])
    assert end == "truncated"
    whole[1536:1600] = b"\xff" * 64  # the second header
    assert unpack(sandbox, bytes(whole)) == ([(b"first", SHORT)], "undecodable")


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_packed_tar_cut_off_yields_what_came_before(sandbox: Sandbox, mode: str) -> None:
    whole = tarred({"first": SHORT, "second": LONG[: 2 * MIB]}, mode)
    told, end = unpack(sandbox, whole[: len(whole) * 3 // 4])
    assert told[0] == (b"first", SHORT)
    assert "then truncated" in str(told[1][1])
    assert end == "truncated"


def test_a_7z_cut_off_is_told_as_truncated(sandbox: Sandbox) -> None:
    whole = sevenzipped(MEMBERS)
    assert unpack(sandbox, whole[: len(whole) // 2]) == ([], "truncated")


# --- what lies about its members, or says of files that they are none ------------------------------------------------


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_whose_checksum_is_wrong_comes_out_whole_and_is_told_as_damaged(
    sandbox: Sandbox, method: int
) -> None:
    wrong = struct.pack("<I", zlib.crc32(PICTURE) ^ 1)
    one = changed(zipped({"a": PICTURE, "b": SHORT}, method), LOCAL, 14, wrong)
    assert unpack(sandbox, one) == ([(b"a", PICTURE), (b"b", SHORT)], "")  # the other place has the right one
    both = changed(one, CENTRAL, 16, wrong)
    assert came_out(sandbox, both) == [(b"a", PICTURE, "undecodable"), (b"b", SHORT, "")]


def test_a_member_named_otherwise_by_its_own_header_is_read(sandbox: Sandbox) -> None:
    data = changed(zipped({"a.jpg": PICTURE}), LOCAL, 30, b"b")
    assert unpack(sandbox, data) == ([(b"a.jpg", PICTURE)], "")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(("mark", "places"), [(LOCAL, range(4, 26)), (CENTRAL, range(46))])
def test_no_byte_of_one_header_takes_a_member_away(
    sandbox: Sandbox, method: int, mark: bytes, places: range
) -> None:
    """Where its data begins, only its own header tells: that one's mark and lengths (0-3, 26-29) are left alone."""
    whole = zipped({"a.jpg": PICTURE, "b.txt": SHORT}, method)
    lost = []
    for at in places:
        for bits in (0x01, 0x80, 0xFF):
            value = bytes([whole[whole.index(mark) + at] ^ bits])
            told = came_out(sandbox, changed(whole, mark, at, value))
            if PICTURE not in [content for _, content, _ in told]:
                lost.append((at, bits, told))
    assert lost == []


def test_bytes_behind_a_gzip_are_told_and_take_nothing_away(sandbox: Sandbox) -> None:
    whole = gzip.compress(PICTURE)
    assert unpack(sandbox, whole + b"junkjunk") == ([(b"", PICTURE)], "trailing")
    assert unpack(sandbox, whole + bytes(99)) == ([(b"", PICTURE)], "")  # padding, as tapes have it
    assert unpack(sandbox, whole + gzip.compress(SHORT)) == ([(b"", PICTURE + SHORT)], "")
    packed = tarred({"a": PICTURE}, "w:gz")
    assert unpack(sandbox, packed + b"junkjunk") == ([(b"a", PICTURE)], "trailing")


def test_a_gzip_whose_checksum_is_wrong_comes_out_whole_and_is_told_as_damaged(sandbox: Sandbox) -> None:
    whole = bytearray(gzip.compress(PICTURE))
    whole[-8] ^= 1
    assert came_out(sandbox, bytes(whole)) == [(b"", PICTURE, "undecodable")]


def test_a_tar_member_of_a_type_nobody_knows_is_a_file_as_for_gnu_tar(sandbox: Sandbox) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, kind in (("a.jpg", b"Z"), ("b.jpg", b"0")):
            info = tarfile.TarInfo(name)
            info.size, info.type = len(PICTURE), kind
            archive.addfile(info, io.BytesIO(PICTURE))
    assert unpack(sandbox, stream.getvalue()) == ([(b"a.jpg", PICTURE), (b"b.jpg", PICTURE)], "")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK, stat.S_IFDIR])
@pytest.mark.parametrize("content", [PICTURE, b"\x89PNG\r\n\x1a\n tiny", b"tiny\0", bytes(5000)])
def test_bytes_in_a_zip_are_a_files_whatever_its_mode_says(sandbox: Sandbox, mode: int, content: bytes) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("a.jpg")
        info.external_attr = mode << 16
        archive.writestr(info, content)
    assert unpack(sandbox, stream.getvalue()) == ([(b"a.jpg", content)], "")


def test_a_zip_that_names_a_file_as_a_folder_does_not_hide_it(sandbox: Sandbox) -> None:
    named = zipped({"a.jpg": PICTURE}).replace(b"a.jpg", b"a.jp/")
    assert unpack(sandbox, named) == ([(b"a.jp/", PICTURE)], "")


def test_a_7z_that_calls_a_picture_a_link_does_not_hide_it(sandbox: Sandbox) -> None:
    for content in (PICTURE, b"GIF89a tiny", b"tiny\0"):
        data = sevenzip_of_links({"a.jpg": content, "b": b"../elsewhere", "c": SHORT})
        assert unpack(sandbox, data) == ([(b"a.jpg", content), (b"b", "link"), (b"c", "link")], "")


def sevenzip_of_links(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with py7zr.SevenZipFile(stream, "w", filters=[FAST]) as archive:
        for name, content in members.items():
            archive.writestr(content, name)
        for info in archive.header.files_info.files:
            info["attributes"] = stat.S_IFLNK << 16 | 0x8000  # FILE_ATTRIBUTE_UNIX_EXTENSION
    return stream.getvalue()


def test_a_7z_member_whose_checksum_is_wrong_does_not_take_the_next_ones_with_it(sandbox: Sandbox) -> None:
    members = {"a": PICTURE, "b": SHORT, "c": PICTURE[:99]}
    stream = io.BytesIO()
    with py7zr.SevenZipFile(stream, "w", filters=[FAST]) as archive:
        archive.set_encoded_header_mode(False)
        for name, content in members.items():
            archive.writestr(content, name)
    data = bytearray(stream.getvalue())
    header_at = 32 + int.from_bytes(data[12:20], "little")
    data[data.index(struct.pack("<I", zlib.crc32(PICTURE)), header_at)] ^= 1
    data[28:32] = struct.pack("<I", zlib.crc32(data[header_at:]))  # 7zFormat.txt: the next header's, then the start's
    data[8:12] = struct.pack("<I", zlib.crc32(data[12:32]))
    assert came_out(sandbox, bytes(data)) == [
        (b"a", PICTURE, "undecodable"), (b"b", SHORT, ""), (b"c", PICTURE[:99], ""),
    ]  # fmt: skip
    assert unpack(sandbox, bytes(data))[1] == "undecodable"


# --- what is cut off or damaged comes out as far as it goes ----------------------------------------------------------


@pytest.mark.parametrize(
    "pack",
    [
        lambda one: zipped(one, zipfile.ZIP_STORED),
        zipped,
        tarred,
        lambda one: tarred(one, "w:gz"),
        lambda one: gzip.compress(one["a"]),
    ],
    ids=["zip stored", "zip", "tar", "tar.gz", "gz"],
)
@pytest.mark.parametrize("part", [0.3, 0.9])
def test_a_small_member_cut_off_comes_out_up_to_the_cut(sandbox: Sandbox, pack: Any, part: float) -> None:
    data = pack({"a": PICTURE})
    end = data.index(CENTRAL) if data[:2] == b"PK" else 512 + len(PICTURE) if data[:1] == b"a" else len(data)
    ((_, content, code),) = came_out(sandbox, data[: int(end * part)])
    assert code == "truncated"
    assert content == PICTURE[: len(content)]
    assert len(content) > (part - 0.1) * len(PICTURE)


def test_a_small_deflated_member_comes_out_up_to_the_damage(sandbox: Sandbox) -> None:
    data = bytearray(zipped({"a": PICTURE, "b": SHORT}))
    middle = 31 + (data.index(LOCAL, 4) - 31) // 2
    for at in range(middle, middle + 40):
        data[at] ^= 0xFF
    (_, content, code), last = came_out(sandbox, bytes(data))
    assert (code, last) == ("undecodable", (b"b", SHORT, ""))
    assert content[: len(PICTURE) * 2 // 5] == PICTURE[: len(PICTURE) * 2 // 5]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_with_a_damaged_header_goes_on_at_the_next(sandbox: Sandbox, mode: str) -> None:
    whole = bytearray(tarred({"first": SHORT, "second": PICTURE, "third": SHORT, "fourth": PICTURE}))
    whole[1024 + 512 : 1024 + 640] = b"\xff" * 128
    data = bytes(whole) if mode == "w" else gzip.compress(bytes(whole))
    told, end = unpack(sandbox, data)
    assert told == [(b"first", SHORT), (b"third", SHORT), (b"fourth", PICTURE)]
    assert end == "undecodable"


def test_what_stands_behind_a_tars_end_is_read_too(sandbox: Sandbox) -> None:
    whole = tarred({"first": SHORT})
    assert unpack(sandbox, whole + tarred({"second": SHORT})) == ([(b"first", SHORT), (b"second", SHORT)], "")
    assert unpack(sandbox, whole + b"junk" * 200) == ([(b"first", SHORT)], "trailing")


def test_a_long_name_without_a_member_does_not_end_a_tar(sandbox: Sandbox) -> None:
    whole = bytearray(tarred({"n" * 150: SHORT, "second": PICTURE}))
    assert whole[156:157] == b"x"  # the name stands in a member of its own (POSIX.1-2001)
    whole[1024:1100] = bytes(range(1, 77))  # the header that the long name is for
    assert unpack(sandbox, bytes(whole)) == ([(b"second", PICTURE)], "undecodable")
