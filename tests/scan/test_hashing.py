from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leadline.domain import Isolation, PdqFamily
from leadline.errors import ConfigError
from leadline.match.pdq import turn_upright
from leadline.media import scenes
from leadline.media.client import Sandbox
from leadline.media.limits import Limits
from leadline.scan import hashing, reading
from leadline.scan.hashing import FileHasher, hash_file

Draw = Callable[[int], bytes]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


@pytest.fixture
def hasher(sandbox: Sandbox) -> FileHasher:
    return FileHasher(sandbox)


def test_it_computes_exact_digests_and_pdq_in_one_go(hasher: FileHasher, tmp_path: Path, picture: Draw) -> None:
    data = picture(2)
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    facts = hasher.hash_path(os.fsencode(path))
    assert facts.error is None
    assert facts.fingerprints.exact == {
        "md5": hashlib.md5(data).digest(),
        "sha1": hashlib.sha1(data).digest(),
        "sha256": hashlib.sha256(data).digest(),
    }
    (view,) = facts.fingerprints.views
    assert (facts.mime, facts.width, facts.height, facts.size_bytes) == ("image/jpeg", 160, 120, len(data))
    assert (len(view.pdq), view.family, view.view) == (8, PdqFamily.B, "picture")
    assert facts.isolation == Isolation.FILE
    assert facts.mtime_ns == path.stat().st_mtime_ns


def test_it_never_writes_a_source_nor_its_times(hasher: FileHasher, tmp_path: Path, picture: Draw) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(picture(2))
    os.utime(path, ns=(1_000_000_000, 2_000_000_000))
    before = path.stat()
    hasher.hash_path(os.fsencode(path))
    after = path.stat()
    assert (after.st_atime_ns, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_atime_ns,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_it_goes_on_without_o_noatime_where_that_is_refused(
    hasher: FileHasher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "theirs.txt"
    path.write_bytes(b"text")
    real, asked = os.open, []

    def refuse(name: bytes, flags: int, *rest: int) -> int:
        asked.append(bool(flags & os.O_NOATIME))
        if flags & os.O_NOATIME:
            raise PermissionError(errno.EPERM, "not the owner")
        return real(name, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    assert hasher.hash_path(os.fsencode(path)).error is None
    assert asked == [True, False]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("missing", "not-found"),
        ("link", "symbolic-link"),
        ("pipe", "not-a-regular-file"),
        ("folder", "not-a-regular-file"),
    ],
)
def test_it_neither_follows_nor_waits(hasher: FileHasher, tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "target").write_bytes(b"x")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    facts = hasher.hash_path(os.fsencode(tmp_path / name))
    assert facts.error is not None
    assert facts.error.code == code
    assert facts.fingerprints.exact == {}


def test_it_reports_a_medium_that_cannot_be_read(
    hasher: FileHasher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"x" * 10)

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "bad sector")

    monkeypatch.setattr(os, "readv", fail)
    facts = hasher.hash_path(os.fsencode(tmp_path / "a"))
    assert facts.error is not None
    assert (facts.error.code, facts.error.what) == ("io-error", "could not be read: Input/output error")


def test_it_marks_a_file_that_changes_while_it_is_read(
    hasher: FileHasher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first line\n")
    real = hashing.stream_fd

    def append_and_stream(fd: int, size: int, feed: Callable[[memoryview], None]) -> int:
        with open(path, "ab") as stream:
            stream.write(b"second line\n")
        return real(fd, size, feed)

    monkeypatch.setattr(hashing, "stream_fd", append_and_stream)
    facts = hasher.hash_path(os.fsencode(path))
    assert facts.changed_while_read
    assert facts.fingerprints.exact["md5"] == hashlib.md5(b"first line\n").digest()
    assert facts.reasons == ("changed while it was read: the hashes are of the first 11 bytes",)


def test_it_streams_what_is_larger_than_the_limit_and_says_so(
    sandbox: Sandbox, tmp_path: Path, picture: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_BYTES", 1000)
    path = tmp_path / "large.jpg"
    path.write_bytes(picture(2))
    facts = FileHasher(sandbox, limits=Limits(max_file_bytes=1500)).hash_path(os.fsencode(path))
    assert facts.error is not None
    assert facts.error.code == "too-large"
    assert facts.fingerprints.exact["sha256"] == hashlib.sha256(picture(2)).digest()
    assert facts.fingerprints.views == ()


def test_it_says_of_video_and_sound_that_frames_are_not_compared(hasher: FileHasher, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(100))
    facts = hasher.hash_path(os.fsencode(path))
    assert (facts.mime, facts.reasons, facts.error) == ("video/mp4", ("frames not compared",), None)
    assert set(facts.fingerprints.exact) == {"md5", "sha1", "sha256"}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"Rar!\x1a\x07\x01\0" + bytes(99), "not opened: what RAR holds is not compared"),
        (b"\x28\xb5\x2f\xfd" + bytes(99), "not opened: what Zstandard holds is not compared"),
        (b"%PDF-1.7\n" + bytes(99), "not opened: what PDF holds is not compared"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99), "not compared as a picture: JPEG 2000 is not decoded"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), "not compared as a picture: JPEG XL is not decoded"),
        (b"8BPS\0\x01" + bytes(99), "not compared as a picture: PSD is not decoded"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not compared as a picture: SVG is not decoded"),
    ],
    ids=["rar", "zstd", "pdf", "jp2", "jxl", "psd", "svg"],
)
def test_it_says_of_what_it_only_knows_by_name_that_it_was_not_compared(
    hasher: FileHasher, tmp_path: Path, data: bytes, told: str
) -> None:
    (tmp_path / "a").write_bytes(data)
    facts = hasher.hash_path(os.fsencode(tmp_path / "a"))
    assert (facts.reasons, facts.error) == ((told,), None)
    member = hasher.describe_member(b"a.zip", b"a", data, len(data), {})
    assert member.reasons == (told,)


def test_it_says_that_a_zip_lies_behind_a_picture_or_a_program(
    hasher: FileHasher, tmp_path: Path, picture: Draw
) -> None:
    behind = scenes.pack_zip({"1.jpg": picture(1)})
    for name, front in (("a.jpg", picture(2)), ("b.exe", b"MZ" + bytes(9000)), ("c.exe", b"MZ")):
        (tmp_path / name).write_bytes(front + behind)
        facts = hasher.hash_path(os.fsencode(tmp_path / name))
        assert facts.reasons == ("a ZIP lies behind what it begins as: not opened",)
        assert facts.fingerprints.exact["md5"] == hashlib.md5(front + behind).digest()
    (tmp_path / "d.zip").write_bytes(behind)
    assert hasher.hash_path(os.fsencode(tmp_path / "d.zip")).reasons == ()


def test_it_counts_the_frames_it_hashed_and_not_their_composites(hasher: FileHasher, tmp_path: Path) -> None:
    frames = []
    for seed in range(3):
        noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 4), dtype=np.uint8)
        frames.append(Image.fromarray(np.kron(noise, np.ones((20, 20, 1), np.uint8))))
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], disposal=1)
    facts = hasher.hash_path(os.fsencode(tmp_path / "a.png"))
    assert (facts.frames, facts.reasons) == (3, ())
    assert [view.view for view in facts.fingerprints.views] == [
        "picture", "on-white", "on-black", "frame 1", "frame-on-white 1", "frame-on-black 1", "frame 2",
        "frame-on-white 2", "frame-on-black 2",
    ]  # fmt: skip


def test_it_takes_an_empty_file(hasher: FileHasher, tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    facts = hasher.hash_path(os.fsencode(tmp_path / "empty.jpg"))
    assert (facts.size_bytes, facts.reasons, facts.error) == (0, ("empty file",), None)


def test_it_keeps_the_digests_of_a_picture_that_cannot_be_decoded(hasher: FileHasher, tmp_path: Path) -> None:
    data = b"\x89PNG\r\n\x1a\n" + bytes(50)
    (tmp_path / "broken.png").write_bytes(data)
    facts = hasher.hash_path(os.fsencode(tmp_path / "broken.png"))
    assert facts.error is not None
    assert facts.fingerprints.exact["md5"] == hashlib.md5(data).digest()


def test_it_hashes_a_member_of_a_container_from_memory(hasher: FileHasher, picture: Draw) -> None:
    data = picture(2)
    facts = hasher.hash_buffer(b"/e/a.zip", b"in/x", memoryview(data), {"md5": bytes(16)})
    assert (facts.path, facts.member, facts.width, facts.size_bytes) == (b"/e/a.zip", b"in/x", 160, len(data))


def test_it_asks_plug_ins_about_the_upright_picture(sandbox: Sandbox, tmp_path: Path, picture: Draw) -> None:
    class Corner:
        name, length_bytes, threshold = "made-up", 3, 1.0

        def distances(self, query: np.ndarray, table: np.ndarray) -> np.ndarray:
            return np.zeros(len(table))

        def compute(self, pixels: np.ndarray) -> bytes:
            return bytes([*pixels.shape[:2], 7])

    (tmp_path / "a.jpg").write_bytes(picture(2))
    facts = FileHasher(sandbox, kinds=[Corner()]).hash_path(os.fsencode(tmp_path / "a.jpg"))
    assert facts.fingerprints.views[0].others == {"made-up": bytes([120, 160, 7])}


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [[1, 2, 3], [4, 5, 6]]),
        (2, [[3, 2, 1], [6, 5, 4]]),
        (3, [[6, 5, 4], [3, 2, 1]]),
        (4, [[4, 5, 6], [1, 2, 3]]),
        (5, [[1, 4], [2, 5], [3, 6]]),
        (6, [[4, 1], [5, 2], [6, 3]]),
        (7, [[6, 3], [5, 2], [4, 1]]),
        (8, [[3, 6], [2, 5], [1, 4]]),
    ],
)
def test_it_turns_pixels_as_exif_says(orientation: int, expected: list[list[int]]) -> None:
    stored = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    assert turn_upright(stored, orientation).tolist() == expected


def test_it_hashes_one_file_by_its_name(tmp_path: Path, picture: Draw) -> None:
    (tmp_path / "a.png").write_bytes(scenes.encode_picture(scenes.draw_scene(2, 160, 120), "PNG"))
    assert hash_file(tmp_path / "a.png").mime == "image/png"
    with pytest.raises(ConfigError):
        hash_file(tmp_path / "a.png", family="c")
