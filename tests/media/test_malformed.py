"""A corpus of malformed and hostile files, made here: every file gets an answer, and the parent lives."""

from __future__ import annotations

import gzip
import os
import random
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from tests.media.conftest import encode
from tests.media.packed import sevenzipped, tarred, zipped

from leadline.errors import UntrustedMediaError
from leadline.media.client import Sandbox, SandboxViolation
from leadline.media.limits import MIB, Limits

pillow_heif.register_heif_opener()

KINDS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIF", "BMP", "TIFF", "ICO")


def answer(sandbox: Sandbox, data: bytes) -> str:
    """ "ok", "partial" or the code of the refusal, as a picture."""
    try:
        sandbox.input_buffer(len(data))[:] = data
        facts = sandbox.open_picture(len(data))
        for view in sandbox.views():
            assert view.pixels.ndim in (2, 3)
            int(view.pixels.sum())
    except UntrustedMediaError as error:
        return error.code
    return "partial" if facts.partial else "ok"


def unpack_answer(sandbox: Sandbox, data: bytes) -> str:
    try:
        sandbox.input_buffer(len(data))[:] = data
        for member in sandbox.members(len(data), from_fd=False):
            try:
                sum(map(len, member.chunks()))
            except SandboxViolation:
                raise
            except UntrustedMediaError:
                continue
    except UntrustedMediaError as error:
        return error.code
    return "ok"


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, pixels: bytes = b"", *more: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(pixels, 1))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + body + png_chunk(b"IEND", b"")


def gif(width: int, height: int, frames: int = 1) -> bytes:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frame * frames + b";"


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIIIII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def tiff(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """One directory at 8; an entry is tag, type, count, value."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", following)


def webp(width: int, height: int) -> bytes:
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4)
    extended += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 4 + len(extended)) + b"WEBP" + extended


SIZE = ((256, 3, 1, 30_000), (257, 3, 1, 30_000))
BOMBS = {
    "a PNG of 30000 x 30000": png(30_000, 30_000, bytes(1000)),
    "a PNG of 2**31 - 1 squared": png(2**31 - 1, 2**31 - 1),
    "a GIF with a huge canvas": gif(65_535, 65_535),
    "a BMP of 30000 x 30000": bmp(30_000, 30_000),
    "a TIFF of 30000 x 30000": tiff(*SIZE, (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 9)),
    "a WebP of 16384 x 16384": webp(16_384, 16_384),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_by_its_header(sandbox: Sandbox, bomb: str) -> None:
    assert answer(sandbox, BOMBS[bomb]) == "too-many-pixels"


def test_an_icon_cannot_smuggle_in_a_bomb(sandbox: Sandbox) -> None:
    inner = png(30_000, 30_000)
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22)
    assert answer(sandbox, b"\0\0\x01\0\x01\0" + entry + inner) == "too-many-pixels"


def test_an_honest_jpeg_beyond_the_limit_is_refused(sandbox: Sandbox) -> None:
    assert answer(sandbox, encode(Image.new("RGB", (2100, 2000)), "JPEG")) == "too-many-pixels"
    assert answer(sandbox, encode(Image.new("RGB", (1990, 2000)), "JPEG")) == "ok"


def test_a_file_beyond_the_limit_is_refused_before_it_is_read(sandbox: Sandbox) -> None:
    with pytest.raises(UntrustedMediaError) as caught:
        sandbox.input_buffer(sandbox.limits.max_file_bytes + 1)
    assert caught.value.code == "too-large"


def test_a_text_chunk_that_unpacks_without_end_is_bounded(sandbox: Sandbox) -> None:
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200 * MIB), 9))
    assert answer(sandbox, png(2, 2, bytes(14), text)) in ("ok", "partial", "undecodable")


def test_more_frames_than_anyone_needs_are_bounded(sandbox: Sandbox) -> None:
    assert answer(sandbox, gif(64, 64, frames=20_000)) in ("ok", "timeout", "truncated")


def test_frames_too_many_to_count_leave_the_first_picture() -> None:
    limits = Limits(max_file_bytes=8 * MIB, max_pixels=100_000, timeout_s=1.0)
    data = gif(64, 64, frames=300_000)
    with Sandbox(limits) as sandbox:
        assert answer(sandbox, data) == "partial"


def test_directories_of_a_tiff_that_go_round_in_a_circle_end(sandbox: Sandbox) -> None:
    entries = ((256, 3, 1, 2), (257, 3, 1, 2), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 0), (279, 4, 1, 4))
    assert answer(sandbox, tiff(*entries, following=8)) == "ok"


def test_a_tag_that_claims_gigabytes_is_refused(sandbox: Sandbox) -> None:
    assert answer(sandbox, tiff((256, 4, 2**31, 8), (257, 3, 1, 2))) == "undecodable"


def test_it_answers_for_files_of_nothing_and_of_anything(sandbox: Sandbox) -> None:
    assert answer(sandbox, b"") == "empty"
    assert answer(sandbox, b"\xff") == "unsupported"
    assert answer(sandbox, random.Random(1).randbytes(5000)) == "unsupported"
    assert answer(sandbox, b"\xff\xd8\xff" + random.Random(2).randbytes(5000)) == "undecodable"


def test_the_name_says_nothing_and_the_content_all(sandbox: Sandbox, scene: Image.Image) -> None:
    """No name ever reaches the sandbox; a picture that begins as one is one, whatever follows."""
    page = b"<html><script>alert(1)</script></html>"
    assert answer(sandbox, encode(scene, "GIF") + page) == "ok"
    assert answer(sandbox, encode(scene, "JPEG") + zipped({"a": b"b"})) == "ok"
    assert answer(sandbox, page + encode(scene, "PNG")) == "unsupported"
    assert answer(sandbox, b"%PDF-1.7\n" + encode(scene, "JPEG")) == "unsupported"
    assert answer(sandbox, b"%!PS-Adobe-3.0 EPSF-3.0\n") == "unsupported"


@pytest.fixture(scope="module")
def whole() -> dict[str, bytes]:
    blocks = np.random.default_rng(11).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(np.kron(blocks, np.ones((8, 8, 1), np.uint8)))
    return {kind: encode(picture, kind) for kind in KINDS}


@pytest.fixture(scope="module")
def batch(sandbox: Sandbox) -> Iterator[Sandbox]:
    sandbox.begin_batch()
    yield sandbox
    sandbox.end_batch()


ANSWERS = {
    *("ok", "partial", "unsupported", "undecodable", "truncated", "too-many-pixels", "empty", "out-of-memory"),
    "timeout",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_of_a_picture_gets_an_answer(batch: Sandbox, whole: dict[str, bytes], kind: str) -> None:
    data = whole[kind]
    cuts = sorted({*range(1, 40), *range(40, len(data), max(1, len(data) // 25))})
    answers = {answer(batch, data[:cut]) for cut in cuts}
    assert answers <= ANSWERS
    assert answer(batch, data) == "ok"


@pytest.mark.parametrize("kind", KINDS)
def test_every_damage_to_a_picture_gets_an_answer(batch: Sandbox, whole: dict[str, bytes], kind: str) -> None:
    """A crash of a decoder would be an answer too (child-died); with these seeds and versions none does."""
    chance = random.Random(kind)
    answers = set()
    for _ in range(40):
        data = bytearray(whole[kind])
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(min(len(data), 400)) if chance.random() < 0.6 else chance.randrange(len(data))
            data[at] = chance.choice((0, 255, 127, 128, chance.randrange(256)))
        answers.add(answer(batch, bytes(data)))
    assert answers <= {*ANSWERS, "child-died"}
    assert answer(batch, whole[kind]) == "ok"


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "7z"])
def test_every_damage_to_a_container_gets_an_answer(sandbox: Sandbox, kind: str) -> None:
    members = {f"{number}.bin": bytes([number]) * 3000 for number in range(5)}
    builders = {"zip": zipped, "tar": tarred, "tar.gz": lambda one: tarred(one, "w:gz"), "7z": sevenzipped}
    data = builders[kind](members)
    chance = random.Random(kind)
    answers = {unpack_answer(sandbox, data[: chance.randrange(1, len(data))]) for _ in range(15)}
    for _ in range(15):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 5)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        answers.add(unpack_answer(sandbox, bytes(damaged)))
    assert answers <= {*ANSWERS, "encrypted", "ratio-exceeded", "too-large", "trailing"}
    assert unpack_answer(sandbox, data) == "ok"


def test_bombs_within_bombs_stay_within_one_container(sandbox: Sandbox) -> None:
    bomb = zipped({"zeros": bytes(150 * MIB)})
    assert unpack_answer(sandbox, bomb) == "ratio-exceeded"
    assert unpack_answer(sandbox, zipped({str(number): bomb for number in range(9)})) == "ok"
    assert unpack_answer(sandbox, gzip.compress(gzip.compress(bytes(100 * MIB)))) == "ok"  # one layer at a time


def test_memory_is_bounded_whatever_a_file_asks_for() -> None:
    """A decoder that needs more than the limit fails; it does not take the machine's memory."""
    limits = Limits(max_file_bytes=8 * MIB, max_pixels=100_000_000, memory_bytes=64 * MIB)
    with Sandbox(limits) as sandbox:
        assert answer(sandbox, png(9000, 9000, bytes(1000))) == "out-of-memory"
        assert answer(sandbox, png(2, 2, bytes(14))) == "ok"


def test_a_very_large_picture_leaves_no_memory_behind() -> None:
    limits = Limits(max_file_bytes=MIB, max_pixels=60_000_000)
    before = shared_bytes()
    with Sandbox(limits) as sandbox:
        assert answer(sandbox, encode(Image.new("RGB", (7000, 7000)), "JPEG", quality=10)) == "ok"
        assert shared_bytes() - before > 100 * MIB
        assert answer(sandbox, png(2, 2, bytes(14))) == "ok"
        assert shared_bytes() - before < 70 * MIB


def shared_bytes() -> int:
    """Memory really behind the two shared regions (both are in the parent's list of mappings)."""
    total, ours = 0, False
    with open("/proc/self/smaps", encoding="ascii") as mappings:
        for line in mappings:
            if "-" in line.split()[0] and ":" not in line.split()[0]:
                ours = "leadline-" in line
            elif ours and line.startswith("Rss:"):
                total += int(line.split()[1]) << 10
    return total


def test_many_files_leave_no_process_and_no_descriptor_behind(sandbox: Sandbox) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    data = png(2, 2, bytes(14))
    answer(sandbox, data)
    before = descriptors()
    for number in range(120):
        assert answer(sandbox, data if number % 3 else b"\xff\xd8\xff" + bytes(9)) in ("ok", "undecodable")
    assert descriptors() == before


def test_ten_thousand_bytes_of_every_value_are_no_picture(sandbox: Sandbox) -> None:
    for value in range(0, 256, 5):
        assert answer(sandbox, bytes([value]) * 10_000) in ("unsupported", "undecodable")
