"""PDQ takes any array of pixels as it lies in memory, refuses what is none, never writes, works in threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from leadline.domain import PdqFamily
from leadline.match import kernel
from leadline.match.pdq import hash_view

U8 = NDArray[np.uint8]
ISAS = {"serial": [0], "avx2": [0, 1], "avx512": [0, 1, 2]}[kernel.cpu_isa()]


def noise(height: int, width: int, seed: int) -> U8:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def strided_copies(pixels: U8) -> dict[str, U8]:
    height, width, _ = pixels.shape
    wide = np.zeros((height, width * 40, 3), np.uint8)
    wide[:, :width] = pixels
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    sparse = np.zeros((2 * height, 2 * width, 3), np.uint8)
    sparse[::2, ::2] = pixels
    return {
        "huge row stride": wide[:, :width],
        "rows from last to first": np.ascontiguousarray(pixels[::-1])[::-1],
        "columns from last to first": np.ascontiguousarray(pixels[:, ::-1])[:, ::-1],
        "planes": planes.transpose(1, 2, 0),
        "column by column": np.asfortranarray(pixels),
        "every second pixel": sparse[::2, ::2],
        "blue first": np.ascontiguousarray(pixels[:, :, ::-1])[:, :, ::-1],
    }


@pytest.mark.parametrize("size", [(300, 211), (40, 50)])
def test_strides_do_not_matter(size: tuple[int, int]) -> None:
    pixels = noise(*size, 41)
    wanted = kernel.pdq_hash_reference(pixels)
    for name, same in strided_copies(pixels).items():
        for isa in ISAS:
            found = kernel.pdq_hash(same, dihedral=True, isa=isa)
            assert (found.hashes, found.quality) == (wanted.hashes, wanted.quality), name
        assert kernel.pdq_hash_reference(same) == wanted, name


def test_one_row_repeated_without_memory_of_its_own_is_read() -> None:
    row = noise(1, 400, 43)
    repeated = np.broadcast_to(row, (300, 400, 3))
    assert kernel.pdq_hash(repeated).hashes == kernel.pdq_hash_reference(repeated.copy()).hashes[:1]


def test_read_only_pixels_are_read_and_never_written() -> None:
    pixels = noise(300, 300, 47)
    before = pixels.copy()
    pixels.setflags(write=False)
    assert kernel.pdq_hash(pixels).hashes == kernel.pdq_hash(before).hashes
    hash_view(pixels, orientation=7, families=frozenset(PdqFamily))
    assert (pixels == before).all()


def test_pixels_at_odd_addresses_are_read_to_their_last_byte_only() -> None:
    pixels = noise(150, 171, 53)
    wanted = kernel.pdq_hash_reference(pixels)
    for offset in (1, 2, 3, 7, 33):
        memory = np.zeros(offset + pixels.size, np.uint8)
        moved = memory[offset:].reshape(pixels.shape)
        moved[:] = pixels
        for isa in ISAS:
            assert kernel.pdq_hash(moved, isa=isa).hashes == wanted.hashes[:1]


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((10, 10), np.int8),
        np.zeros((10, 10), np.uint16),
        np.zeros((10, 10), np.float32),
        np.zeros((10, 10), np.bool_),
        np.zeros(100, np.uint8),
        np.zeros((10, 10, 1), np.uint8),
        np.zeros((10, 10, 2), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((2, 10, 10, 3), np.uint8),
        np.zeros((), np.uint8),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_other_types_and_shapes_are_refused(pixels: U8) -> None:
    with pytest.raises(ValueError, match="pixels are uint8"):
        kernel.pdq_hash(pixels)
    with pytest.raises(ValueError, match="pixels are uint8"):
        kernel.pdq_hash_reference(pixels)
    with pytest.raises(ValueError, match="pixels are uint8"):
        hash_view(pixels, families=frozenset({PdqFamily.A}))


@pytest.mark.parametrize("orientation", [-1, 0, 9, 255])
def test_other_orientations_are_refused(orientation: int) -> None:
    pixels = np.zeros((10, 10), np.uint8)
    with pytest.raises(ValueError, match="orientation"):
        kernel.pdq_hash(pixels, orientation=orientation)
    with pytest.raises(ValueError, match="orientation"):
        hash_view(pixels, orientation=orientation, families=frozenset({PdqFamily.A}))


def test_threads_share_the_kept_weights() -> None:
    pictures = [noise(129 + 7 * n, 400 - 5 * n, n) for n in range(24)]
    pictures = [np.ascontiguousarray(p[:, :, 0]) if n % 2 else p for n, p in enumerate(pictures)]
    wanted = [kernel.pdq_hash_reference(p).hashes for p in pictures]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            assert [r.hashes for r in threads.map(lambda p: kernel.pdq_hash(p, dihedral=True), pictures)] == wanted
