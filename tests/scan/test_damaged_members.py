"""Containers that are damaged, or lie, around a known picture: it is found all the same, and the damage is told."""

from __future__ import annotations

import gzip
import io
import json
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.media import scenes
from leadline.scan.hashing import hash_file
from leadline.scan.run import scan_paths

Draw = Callable[[int], bytes]
NewBank = Callable[..., Bank]
Pack = Callable[[bytes], bytes]


def zipped(data: bytes, info: zipfile.ZipInfo | None = None) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(info or zipfile.ZipInfo("a.jpg"), data)
    return stream.getvalue()


def tarred(data: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        info = tarfile.TarInfo("a.jpg")
        info.size, info.type = len(data), kind
        archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def with_wrong_checksum(data: bytes) -> bytes:
    right = struct.pack("<I", zlib.crc32(data))
    return zipped(data).replace(right, struct.pack("<I", zlib.crc32(data) ^ 1))


def with_another_name_inside(data: bytes) -> bytes:
    return zipped(data).replace(b"a.jpg", b"b.jpg", 1)


def as_a_link(data: bytes) -> bytes:
    info = zipfile.ZipInfo("a.jpg")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped(data, info)


WHOLE: dict[str, Pack] = {
    "zip with a wrong checksum": with_wrong_checksum,
    "zip with another name inside": with_another_name_inside,
    "gzip with junk behind it": lambda data: gzip.compress(data) + b"junkjunk",
    "tar with an unknown type": lambda data: tarred(data, b"Z"),
    "zip that calls it a link": as_a_link,
}
CUT: dict[str, Pack] = {
    "tar": lambda data: tarred(data)[: 512 + len(data) * 97 // 100],
    "zip": lambda data: zipped(data)[: 35 + len(data) * 97 // 100],
    "tar.gz": lambda data: gzip.compress(tarred(data), 0)[: 512 + len(data) * 97 // 100],
    "zip in a tar": lambda data: tarred(zipped(data))[: 547 + len(data) * 97 // 100],
}


@pytest.fixture
def known(new_bank: NewBank, tmp_path: Path, picture: Draw) -> Bank:
    """A list of two scenes, by their exact digests and their PDQ."""
    entries = []
    for seed in (1, 3):
        (tmp_path / "listed.jpg").write_bytes(picture(seed))
        prints = hash_file(tmp_path / "listed.jpg").fingerprints
        view = prints.views[0]
        entries.append(Entry(Kind.ILLEGAL, {**prints.exact, "pdq": view.pdq[0]}, quality=view.quality))
    return new_bank("K", entries)


@pytest.fixture
def scan(tmp_path: Path, known: Bank) -> Callable[[bytes], list[dict[str, Any]]]:
    def run(data: bytes) -> list[dict[str, Any]]:
        (tmp_path / "source").mkdir()
        (tmp_path / "source/a.jpg.gz").write_bytes(data)
        scan_paths([tmp_path / "source"], [known], tmp_path / "out")
        return [json.loads(line) for line in (tmp_path / "out/findings.jsonl").read_text().splitlines()]

    return run


@pytest.mark.parametrize("made", WHOLE)
def test_a_known_picture_whose_bytes_are_all_there_is_known(scan: Any, picture: Draw, made: str) -> None:
    member, _ = scan(WHOLE[made](picture(1)))
    assert member["path"].endswith("!a.jpg")
    assert (member["verdict"], member["kind"]) == ("known", "illegal")
    assert {match["algorithm"] for match in member["matches"]} == {"md5", "sha1", "sha256", "pdq"}
    assert member["size"] == len(picture(1))


def test_the_damage_is_told_beside_the_verdict(scan: Any, picture: Draw) -> None:
    member, container = scan(with_wrong_checksum(picture(1)))
    assert member["error"]["code"] == "undecodable"
    assert member["partial"]
    told = f"damaged or cut off in its container: the hashes are of the {len(picture(1))} bytes that came out"
    assert told in member["reasons"]
    assert container["reasons"] == ["container of 1 member"]


def test_bytes_behind_a_container_are_told_and_are_no_fault(scan: Any, picture: Draw) -> None:
    _, container = scan(gzip.compress(picture(1)) + b"junkjunk")
    assert (container["verdict"], container["reasons"]) == (
        "unknown", ["container of 1 member", "bytes behind its end were not read"],
    )  # fmt: skip


@pytest.mark.parametrize("made", CUT)
def test_a_picture_cut_off_with_its_container_is_compared_as_far_as_it_goes(
    scan: Any, picture: Draw, made: str
) -> None:
    member, *_ = scan(CUT[made](picture(3)))
    assert (member["verdict"], member["kind"], member["partial"]) == ("near", "illegal", True)
    assert len(picture(3)) * 0.95 < member["size"] < len(picture(3))


def test_a_picture_cut_off_that_is_in_no_list_stays_unreadable(scan: Any, picture: Draw) -> None:
    member, container = scan(CUT["tar"](picture(7)))
    assert (member["verdict"], member["error"]["code"]) == ("unreadable", "truncated")
    assert member["pdq"] is not None
    assert container["verdict"] == "unreadable"


def test_what_lies_behind_a_damaged_container_in_a_container_is_read(scan: Any, picture: Draw) -> None:
    inner = with_wrong_checksum(picture(1))
    member, _, beside, _ = scan(scenes.pack_zip({"in.zip": inner, "note.txt": b"note"}))
    assert member["verdict"] == "known"
    assert beside["path"].endswith("!note.txt")


def test_a_member_that_declares_more_than_any_limit_does_not_hide_the_next(scan: Any, picture: Draw) -> None:
    data = scenes.pack_zip({f"{n}.txt": b"note" for n in range(6)} | {"a.jpg": picture(1)})
    for _ in range(6):
        at = data.index(struct.pack("<II", 4, 4), data.index(b"PK\x01\x02"))
        data = data[:at] + struct.pack("<II", 4, 0xFFFFFFF0) + data[at + 8 :]
    assert [f["verdict"] for f in scan(data)][-2:] == ["known", "unknown"]
