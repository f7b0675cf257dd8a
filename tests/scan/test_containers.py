from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leadline.domain import Isolation
from leadline.errors import LeadlineError
from leadline.media import scenes
from leadline.media.client import Sandbox, SandboxViolation
from leadline.media.limits import Limits
from leadline.scan.containers import ContainerReader, container_facts
from leadline.scan.hashing import FileFacts, FileHasher, blank_facts

Draw = Callable[[int], bytes]
Read = Callable[[Path], tuple[list[FileFacts], LeadlineError | None]]
LIMITS = Limits(max_members=40, max_depth=2, max_member_bytes=200_000, max_total_bytes=2_000_000)


@pytest.fixture(scope="module")
def reader() -> Iterator[ContainerReader]:
    with Sandbox(LIMITS) as pictures:
        hasher = FileHasher(pictures, limits=LIMITS)
        made = ContainerReader(hasher, pictures, LIMITS, lambda: Sandbox(LIMITS))
        yield made
        made.close()


def as_hashed(path: Path) -> FileFacts:
    status = path.stat()
    return blank_facts(
        os.fsencode(path), Isolation.FILE, size_bytes=status.st_size, mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
    )  # fmt: skip


@pytest.fixture
def read(reader: ContainerReader) -> Read:
    def run(path: Path) -> tuple[list[FileFacts], LeadlineError | None]:
        found: list[FileFacts] = []
        groups = reader.read(as_hashed(path))
        while True:
            try:
                found += next(groups)
            except StopIteration as stop:
                return found, stop.value.fault

    return run


def members(found: list[FileFacts]) -> list[bytes | None]:
    return [facts.member for facts in found]


def test_it_hashes_the_members_of_a_zip_as_it_hashes_files(read: Read, tmp_path: Path, picture: Draw) -> None:
    (tmp_path / "a.zip").write_bytes(scenes.pack_zip({"x/1.jpg": picture(1), "x/": b"", "note.txt": b"note"}))
    found, fault = read(tmp_path / "a.zip")
    assert fault is None
    assert members(found) == [b"x/1.jpg", b"note.txt"]
    assert found[0].fingerprints.exact["sha256"] == hashlib.sha256(picture(1)).digest()
    assert found[0].fingerprints.views[0].quality > 50
    assert (found[1].mime, found[1].size_bytes) == ("application/octet-stream", 4)


def test_it_reads_tar_with_links_listed_as_skipped(read: Read, tmp_path: Path, picture: Draw) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("1.jpg")
        info.size = len(picture(1))
        archive.addfile(info, io.BytesIO(picture(1)))
        link = tarfile.TarInfo("../../etc/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    found, fault = read(tmp_path / "a.tar.gz")
    assert fault is None
    assert [(facts.member, facts.skipped) for facts in found] == [(b"1.jpg", False), (b"../../etc/link", True)]
    assert found[1].reasons == ("link inside a container, not followed",)


@pytest.mark.parametrize(("name", "pack"), [("photo.jpg.gz", gzip.compress), ("photo.jpg.bz2", bz2.compress)])
def test_it_names_what_a_bare_packed_file_holds(
    read: Read, tmp_path: Path, picture: Draw, name: str, pack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / name).write_bytes(pack(picture(1)))
    (only,), fault = read(tmp_path / name)
    assert (only.member, only.width, fault) == (b"photo.jpg", 160, None)


def test_it_opens_containers_inside_containers_members_first(read: Read, tmp_path: Path, picture: Draw) -> None:
    inner = scenes.pack_zip({"deep.jpg": picture(2)})
    (tmp_path / "a.zip").write_bytes(scenes.pack_zip({"1.jpg": picture(1), "in.zip": inner, "2.txt": b"2"}))
    found, fault = read(tmp_path / "a.zip")
    assert fault is None
    assert members(found) == [b"1.jpg", b"in.zip!deep.jpg", b"in.zip", b"2.txt"]
    assert found[2].reasons == ("container of 1 member",)
    assert found[2].fingerprints.exact["md5"] == hashlib.md5(inner).digest()


def test_it_says_of_a_container_nested_too_deep_that_it_was_not_opened(
    read: Read, tmp_path: Path, picture: Draw
) -> None:
    data = picture(1)
    for name in ("1.jpg", "c.zip", "b.zip"):
        data = scenes.pack_zip({name: data})
    (tmp_path / "a.zip").write_bytes(data)
    found, _ = read(tmp_path / "a.zip")
    assert members(found) == [b"b.zip!c.zip", b"b.zip"]
    assert found[0].error is not None
    assert found[0].error.code == "too-deep"
    assert found[0].fingerprints.exact["md5"]


def test_it_counts_members_of_all_depths_against_one_limit(read: Read, tmp_path: Path) -> None:
    inner = scenes.pack_zip({f"{n}": b"x" for n in range(15)})
    (tmp_path / "a.zip").write_bytes(scenes.pack_zip({f"{n}.zip": inner for n in range(4)}))
    found, fault = read(tmp_path / "a.zip")
    assert fault is not None
    assert fault.code == "too-large"
    assert len(found) <= LIMITS.max_members + 4


def test_it_tells_members_that_could_not_be_read(read: Read, tmp_path: Path, picture: Draw) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("first.txt", b"first")
        archive.writestr("large.bin", os.urandom(300_000))
        archive.writestr("last.jpg", picture(1))
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.index(b"first.txt") + len(b"first.txt")] ^= 0xFF  # its checksum does not fit any more
    (tmp_path / "a.zip").write_bytes(data)
    found, _ = read(tmp_path / "a.zip")
    told = {facts.member: facts.error.code if facts.error else None for facts in found}
    assert told == {b"first.txt": "undecodable", b"large.bin": "too-large", b"last.jpg": None}


def test_it_keeps_what_came_before_the_damage(read: Read, tmp_path: Path, picture: Draw) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for number in range(4):
            info = tarfile.TarInfo(f"{number}.jpg")
            info.size = len(picture(number))
            archive.addfile(info, io.BytesIO(picture(number)))
    data = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(data[: len(picture(0)) + len(picture(1)) + 2000])
    found, fault = read(tmp_path / "a.tar")
    assert members(found)[:1] == [b"0.jpg"]
    assert found[0].error is None
    assert fault is not None


@pytest.mark.parametrize("data", [b"PK\x03\x04", b"PK\x03\x04" + bytes(100), b"7z\xbc\xaf\x27\x1c" + bytes(60)])
def test_it_answers_for_containers_that_are_none(read: Read, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    found, fault = read(tmp_path / "a.zip")
    assert fault is not None
    assert not any(facts.size_bytes for facts in found)


@pytest.mark.parametrize("moment", ["before it is opened", "while it is read"])
def test_it_marks_a_container_that_is_not_the_one_that_was_hashed(
    reader: ContainerReader, tmp_path: Path, picture: Draw, moment: str
) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(scenes.pack_zip({f"{n}.jpg": picture(n) for n in range(3)}))
    hashed = as_hashed(path)

    def change() -> None:
        with open(path, "ab") as stream:
            stream.write(b"more")

    if moment == "before it is opened":
        change()
    groups = reader.read(hashed)
    first = next(groups)
    if moment == "while it is read":
        change()
    with pytest.raises(StopIteration) as stop:
        next(groups)
    assert members(first) == [b"0.jpg", b"1.jpg", b"2.jpg"]
    told = container_facts(hashed, 3, stop.value.value)
    assert told.changed_while_read
    assert "its members may not be of the bytes that were hashed" in told.reasons[0]
    assert told.reasons[1:] == ("container of 3 members",)


def test_it_tells_of_a_zip_behind_a_member(read: Read, tmp_path: Path, picture: Draw) -> None:
    behind = scenes.pack_zip({"1.jpg": picture(1)})
    film = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(9000)
    packed = {"a.jpg": picture(2) + behind, "b.exe": b"MZ" + bytes(500) + behind, "c.mp4": film + behind}
    (tmp_path / "a.zip").write_bytes(scenes.pack_zip(packed | {"plain.jpg": picture(2)}))
    found, _ = read(tmp_path / "a.zip")
    told = [any("a ZIP lies behind" in reason for reason in facts.reasons) for facts in found]
    assert told == [True, True, True, False]


def test_it_redoes_a_group_one_by_one_when_the_decoder_died(
    read: Read, tmp_path: Path, picture: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Sandbox.open_picture

    def die_on_one(self: Sandbox, size_bytes: int, *, grey: bool = False) -> object:
        if size_bytes == len(picture(2)):
            raise SandboxViolation("the decoder died", code="child-died")
        return real(self, size_bytes, grey=grey)

    monkeypatch.setattr(Sandbox, "open_picture", die_on_one)
    (tmp_path / "a.zip").write_bytes(scenes.pack_zip({f"{n}.jpg": picture(n) for n in range(4)}))
    found, fault = read(tmp_path / "a.zip")
    assert fault is None
    assert [facts.error.code if facts.error else None for facts in found] == [None, None, "child-died", None]
    assert {facts.isolation for facts in found} == {Isolation.FILE}
