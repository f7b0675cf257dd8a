"""Containers are read in the sandbox: every member comes out or is told why not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import py7zr
import pytest
from PIL import Image
from tests.media.conftest import encode
from tests.media.packed import FAST, LONG, SHORT, sevenzipped, tarred, unpack, zipped

from leadline.errors import UntrustedMediaError
from leadline.media.client import Sandbox
from leadline.media.limits import MIB

__all__ = ["sevenzipped", "tarred", "zipped"]  # other tests take them from here

BZIP2 = zipfile.ZIP_BZIP2
FILTERS = {
    "lzma2": [FAST],
    "lzma1": [{"id": py7zr.FILTER_LZMA, "preset": 0}],
    "x86 code": [{"id": py7zr.FILTER_X86}, FAST],
    "delta": [{"id": py7zr.FILTER_DELTA, "dist": 2}, FAST],
    "zstd": [{"id": py7zr.FILTER_ZSTD}],
    "brotli": [{"id": py7zr.FILTER_BROTLI, "level": 1}],
    "deflate": [{"id": py7zr.FILTER_DEFLATE}],
    "bzip2": [{"id": py7zr.FILTER_BZIP2}],
    "stored": [{"id": py7zr.FILTER_COPY}],
}
MEMBERS = {"long.bin": LONG, "nothing": b"", "folder/short.txt": SHORT}
CONTAINERS = {
    "zip stored": lambda: zipped(MEMBERS, zipfile.ZIP_STORED),
    "zip deflate": lambda: zipped(MEMBERS),
    "zip bzip2": lambda: zipped({**MEMBERS, "long.bin": LONG[:MIB]}, BZIP2),
    "zip lzma": lambda: zipped({**MEMBERS, "long.bin": LONG[:MIB]}, zipfile.ZIP_LZMA),
    "tar": lambda: tarred(MEMBERS),
    "tar gzip": lambda: tarred(MEMBERS, "w:gz"),
    "tar bzip2": lambda: tarred({**MEMBERS, "long.bin": LONG[:MIB]}, "w:bz2"),
    "tar xz": lambda: tarred(MEMBERS, "w:xz"),
    **{f"7z {name}": lambda how=how: sevenzipped(MEMBERS, filters=how) for name, how in FILTERS.items()},
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_it_streams_every_member_of_each_kind(sandbox: Sandbox, kind: str) -> None:
    told, end = unpack(sandbox, CONTAINERS[kind]())
    assert end == ""
    for (name, content), (wanted_name, wanted) in zip(told, MEMBERS.items(), strict=True):
        assert name == wanted_name.encode()
        assert content == wanted[: len(content)]
        assert len(content) in (len(wanted), MIB)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_single_packed_file_is_one_member_without_a_name(sandbox: Sandbox, pack: Any) -> None:
    assert unpack(sandbox, pack(SHORT)) == ([(b"", SHORT)], "")


def test_it_reads_from_a_descriptor_and_leaves_its_position(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(MEMBERS))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.lseek(descriptor, 3, os.SEEK_SET)
        sizes = [
            (member.name, sum(map(len, member.chunks()))) for member in sandbox.members(descriptor, from_fd=True)
        ]
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 3
    finally:
        os.close(descriptor)
    assert sizes == [(name.encode(), len(data)) for name, data in MEMBERS.items()]


def test_it_takes_no_descriptor_that_could_be_written(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(MEMBERS))
    with path.open("r+b") as stream, pytest.raises(ValueError, match="read-only"):
        next(sandbox.members(stream.fileno(), from_fd=True))


def test_members_are_decoded_by_a_second_sandbox_meanwhile(
    sandbox: Sandbox, second_sandbox: Sandbox, scene: Image.Image
) -> None:
    data = zipped({f"{kind}.bin": encode(scene, kind) for kind in ("PNG", "JPEG", "GIF")})
    sandbox.input_buffer(len(data))[:] = data
    found = []
    for member in sandbox.members(len(data), from_fd=False):
        size = member.read_into(second_sandbox.input_buffer(member.size_bytes))
        found.append((second_sandbox.open_picture(size).mime, len(list(second_sandbox.views()))))
    assert found == [("image/png", 1), ("image/jpeg", 1), ("image/gif", 1)]


def test_a_member_nobody_reads_is_passed_over(sandbox: Sandbox) -> None:
    for build in (zipped, tarred, sevenzipped):
        data = build(MEMBERS)
        sandbox.input_buffer(len(data))[:] = data
        names = [member.name for member in sandbox.members(len(data), from_fd=False)]
        assert names == [name.encode() for name in MEMBERS]
        last = [member for member in sandbox.members(len(data), from_fd=False) if member.name.endswith(b"txt")]
        assert len(last) == 1


def test_a_member_read_in_part_does_not_disturb_the_next(sandbox: Sandbox) -> None:
    for build in (zipped, tarred, sevenzipped):
        data = build({"one": LONG, "two": LONG[::-1], "three": SHORT})
        sandbox.input_buffer(len(data))[:] = data
        starts = [bytes(next(member.chunks())[:9]) for member in sandbox.members(len(data), from_fd=False)]
        assert starts == [LONG[:9], LONG[::-1][:9], SHORT[:9]]


def test_a_members_bytes_can_be_read_only_in_its_turn(sandbox: Sandbox) -> None:
    data = zipped({"one": SHORT, "two": SHORT})
    sandbox.input_buffer(len(data))[:] = data
    members = list(sandbox.members(len(data), from_fd=False))
    with pytest.raises(RuntimeError, match="before the next"):
        next(members[0].chunks())


def test_an_abandoned_container_does_not_disturb_the_next_picture(sandbox: Sandbox, scene: Image.Image) -> None:
    data = zipped(MEMBERS)
    sandbox.input_buffer(len(data))[:] = data
    members = sandbox.members(len(data), from_fd=False)
    next(members)
    picture = encode(scene, "PNG")
    sandbox.input_buffer(len(picture))[:] = picture
    assert sandbox.open_picture(len(picture)).mime == "image/png"
    with pytest.raises(RuntimeError, match="something else"):
        next(members)
    assert [view.name for view in sandbox.views()] == ["picture"]


# --- names and kinds -------------------------------------------------------------------------------------------------


def test_names_are_raw_bytes_and_lead_nowhere(sandbox: Sandbox, tmp_path: Path) -> None:
    names = ["../../outside.txt", "/absolute.txt", "C:\\drive.txt", "new\nline", "a" * 300, "名前.txt", "."]
    before = sorted(tmp_path.parent.rglob("*"))
    for build in (zipped, tarred):
        told, end = unpack(sandbox, build(dict.fromkeys(names, SHORT)))
        assert end == ""
        assert told == [(name.encode(), SHORT) for name in names]
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_names_that_are_not_utf8_survive(sandbox: Sandbox) -> None:
    told, _ = unpack(sandbox, tarred({b"caf\xe9\xff".decode("utf-8", "surrogateescape"): SHORT}))
    assert told == [(b"caf\xe9\xff", SHORT)]
    marked = zipped({"cafX": SHORT}).replace(b"cafX", b"caf\xe9")
    assert unpack(sandbox, marked)[0] == [(b"caf\xe9", SHORT)]


def test_a_zip_name_that_lies_about_being_utf8_hides_nothing(sandbox: Sandbox) -> None:
    data = bytearray(zipped({"caf\u00e9": SHORT, "other": SHORT}))
    broken = bytes(data).replace("caf\u00e9".encode(), b"caf\xff\xfe")
    told, end = unpack(sandbox, broken)
    assert (b"caf\xff\xfe", SHORT) in told
    assert (b"other", SHORT) in told
    assert end == "truncated"  # its directory could not be believed


def test_links_devices_and_folders_are_told_and_skipped(sandbox: Sandbox) -> None:
    stream = io.BytesIO()
    kinds = {
        "link": tarfile.SYMTYPE,
        "hard": tarfile.LNKTYPE,
        "char": tarfile.CHRTYPE,
        "block": tarfile.BLKTYPE,
        "fifo": tarfile.FIFOTYPE,
        "folder": tarfile.DIRTYPE,
    }
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, kind in kinds.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.devmajor = kind, "/etc/passwd", 1
            archive.addfile(info)
    told, end = unpack(sandbox, stream.getvalue())
    assert end == ""
    assert dict(told) == {
        **{b"link": "link", b"hard": "link", b"folder": "directory"},
        **{b"char": "device", b"block": "device", b"fifo": "device"},
    }


def test_links_and_folders_in_a_zip_are_told_and_skipped(sandbox: Sandbox) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, mode, content in (
            ("link", stat.S_IFLNK, SHORT),
            ("pipe", stat.S_IFIFO, b""),
            ("plain", stat.S_IFREG, SHORT),
        ):
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content)
        archive.writestr("folder/", b"")
    told, _ = unpack(sandbox, stream.getvalue())
    assert told == [(b"link", "link"), (b"pipe", "device"), (b"plain", SHORT), (b"folder/", "directory")]


def test_encrypted_members_are_told_as_encrypted(sandbox: Sandbox) -> None:
    data = bytearray(zipped({"secret": SHORT, "open": SHORT}))
    for mark, flags_at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + flags_at] |= 1
    assert unpack(sandbox, bytes(data)) == ([(b"secret", "encrypted"), (b"open", SHORT)], "")
    told, _ = unpack(sandbox, sevenzipped({"secret": SHORT}, password="x"))
    assert told == [(b"secret", "encrypted")]
    hidden = sevenzipped({"secret": SHORT}, password="x", header_encryption=True)
    assert unpack(sandbox, hidden) == ([], "encrypted")


def test_methods_beyond_the_readers_are_told_as_unsupported(sandbox: Sandbox) -> None:
    ppmd = sevenzipped({"a": SHORT, "b": SHORT}, filters=[{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 20}])
    assert unpack(sandbox, ppmd) == ([(b"a", "unsupported"), (b"b", "unsupported")], "")
    data = bytearray(zipped({"odd": SHORT, "plain": SHORT}))
    for mark, method_at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(mark) + method_at] = 97
    assert unpack(sandbox, bytes(data)) == ([(b"odd", "unsupported"), (b"plain", SHORT)], "")


def test_an_empty_container_and_an_empty_file_are_told_apart(sandbox: Sandbox) -> None:
    assert unpack(sandbox, zipped({})) == ([], "")
    assert unpack(sandbox, tarred({})) == ([], "unsupported")  # zeros, which nothing marks as a tar
    with pytest.raises(UntrustedMediaError) as caught:
        next(sandbox.members(0, from_fd=False))
    assert caught.value.code == "empty"


def test_a_file_that_is_no_container_is_unsupported(sandbox: Sandbox) -> None:
    assert unpack(sandbox, b"just text") == ([], "unsupported")
