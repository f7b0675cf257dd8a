"""No container passes its limits, and what it holds within them is read all the same."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.media.packed import LONG, SHORT, sevenzipped, tarred, unpack, zipped

from leadline.errors import UntrustedMediaError
from leadline.media.client import Sandbox
from leadline.media.limits import MIB, Limits


@pytest.fixture(scope="module")
def narrow() -> Iterator[Sandbox]:
    limits = Limits(
        max_file_bytes=8 * MIB,
        max_pixels=100_000,
        memory_bytes=512 * MIB,
        max_members=20,
        max_member_bytes=20 * MIB,
        max_total_bytes=40 * MIB,
        max_ratio=50,
    )
    with Sandbox(limits) as started:
        yield started


@pytest.mark.parametrize("build", [zipped, lambda one: gzip.compress(one["bomb"])])
def test_a_bomb_is_stopped_by_its_ratio(narrow: Sandbox, build: Any) -> None:
    told, end = unpack(narrow, build({"bomb": bytes(19 * MIB)}))
    assert end == "ratio-exceeded"
    assert "then ratio-exceeded" in str(told[0][1])


def test_a_bomb_of_many_members_is_stopped_by_its_ratio(narrow: Sandbox) -> None:
    for data in (
        zipped({str(number): bytes(6 * MIB) for number in range(9)}),
        tarred({str(number): bytes(6 * MIB) for number in range(9)}, "w:gz"),
        sevenzipped({str(number): bytes(6 * MIB) for number in range(9)}),
    ):
        told, end = unpack(narrow, data)
        assert end == "ratio-exceeded"
        assert [len(content) for _, content in told[:2]] == [6 * MIB] * 2


def test_skipping_members_of_a_bomb_is_bounded_too(narrow: Sandbox) -> None:
    for data in (
        tarred({"one": bytes(19 * MIB), "two": bytes(19 * MIB)}, "w:gz"),
        sevenzipped({"one": bytes(19 * MIB), "two": bytes(19 * MIB)}),
    ):
        narrow.input_buffer(len(data))[:] = data
        with pytest.raises(UntrustedMediaError) as caught:
            list(narrow.members(len(data), from_fd=False))
        assert caught.value.code == "ratio-exceeded"


def test_it_stops_at_the_most_members(narrow: Sandbox) -> None:
    for build in (zipped, tarred, sevenzipped):
        told, end = unpack(narrow, build({str(number): SHORT for number in range(25)}))
        assert end == "too-many-members"
        assert len(told) == 20


def test_it_stops_at_the_most_bytes_in_all(narrow: Sandbox) -> None:
    told, end = unpack(narrow, zipped({str(number): LONG[: 3 * MIB] + bytes(16 * MIB) for number in range(2)}))
    assert (len(told), end) == (2, "")
    noise = np.random.default_rng(5)
    blocks = [np.repeat(noise.integers(0, 256, MIB // 4, dtype=np.uint8), 40).tobytes() for _ in range(5)]
    told, end = unpack(narrow, zipped({str(number): block for number, block in enumerate(blocks)}))
    assert end == "too-large"
    assert len(told) == 5


def test_a_member_too_large_is_skipped_and_the_next_is_read(narrow: Sandbox) -> None:
    big = bytes(21 * MIB)
    data = zipped({"big": big, "next": SHORT, "noise": LONG[: 2 * MIB]})
    assert unpack(narrow, data)[0][:2] == [(b"big", "too-large"), (b"next", SHORT)]


def test_a_member_that_lies_about_its_size_is_cut_at_the_limit(narrow: Sandbox) -> None:
    data = bytearray(zipped({"big": bytes(21 * MIB), "noise": LONG[: 2 * MIB]}))
    for mark, size_at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(mark) + size_at
        data[at : at + 4] = struct.pack("<I", 1000)
    told, _ = unpack(narrow, bytes(data))
    assert len(told[0][1]) <= 1000 or "then" in str(told[0][1])


def test_a_quine_of_zips_ends_since_the_reader_opens_one_container_only(sandbox: Sandbox) -> None:
    nested = zipped({"end": SHORT})
    for _ in range(20):
        nested = zipped({"nested.zip": nested})
    told, end = unpack(sandbox, nested)
    assert [name for name, _ in told] == [b"nested.zip"]
    assert end == ""
