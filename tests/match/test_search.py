"""Exact radius search: against plain brute force, in every layout, at every radius, on every instruction set."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from leadline.errors import BankCorrupt, HashFormatError
from leadline.match import kernel

U8 = NDArray[np.uint8]
ISAS = {"serial": [0], "avx2": [0, 1], "avx512": [0, 1, 2]}[kernel.cpu_isa()]


def random_hashes(count: int, seed: int) -> U8:
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


def flip_bits(row: U8, bits: list[int]) -> U8:
    out = row.copy()
    for bit in bits:
        out[bit // 8] ^= 1 << (bit % 8)
    return out


def near_queries(hashes: U8, count: int, farthest: int, seed: int) -> U8:
    """Half random, half at a known distance of a stored hash."""
    rng = np.random.default_rng(seed)
    queries = rng.integers(0, 256, (count, 32), dtype=np.uint8)
    for i in range(0, count, 2):
        bits = rng.choice(256, rng.integers(0, farthest + 1), replace=False).tolist()
        queries[i] = flip_bits(hashes[rng.integers(len(hashes))], bits)
    return queries


def brute_force(hashes: U8, queries: U8, radius: int) -> list[list[tuple[int, int]]]:
    """(distance, position) of every match of every query, sorted; numpy only, none of our kernel."""
    answers = []
    for query in queries:
        distances = np.bitwise_count(hashes ^ query).sum(axis=1)
        near = np.flatnonzero(distances <= radius)
        answers.append(sorted((int(distances[at]), int(at)) for at in near))
    return answers


def found(
    index: kernel.HammingIndex, queries: U8, radius: int, **options: object
) -> list[list[tuple[int, int]]]:
    result = index.search(queries, radius, **options)  # type: ignore[arg-type]
    pairs = list(zip(result.distances.tolist(), result.positions.tolist(), strict=True))
    return [pairs[a:b] for a, b in pairwise(result.starts)]


@cache
def opened(layout: str, count: int, seed: int) -> tuple[U8, kernel.HammingIndex]:
    hashes = random_hashes(count, seed)
    return hashes, kernel.HammingIndex(kernel.build_index(hashes, threads=2, layout=layout))


@pytest.mark.parametrize("layout", ["scan", "mih16"])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 9, 1000])
def test_it_finds_what_brute_force_finds_at_every_radius(layout: str, count: int) -> None:
    hashes, index = opened(layout, count, 5)
    queries = near_queries(hashes, 8, 66, 6) if count else random_hashes(4, 6)
    for radius in range(65):
        assert found(index, queries, radius) == brute_force(hashes, queries, radius), radius


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("radius", [0, 7, 15, 16, 31, 32, 40, 47, 64])
def test_its_tables_lose_nothing_on_any_instruction_set(isa: int, radius: int) -> None:
    hashes, index = opened("mih16", 120_000, 7)
    queries = near_queries(hashes, 40, radius + 4, 8)
    assert found(index, queries, radius, isa=isa) == brute_force(hashes, queries, radius)


@pytest.mark.parametrize("isa", ISAS)
def test_a_large_batch_answers_as_single_queries_do(isa: int) -> None:
    hashes, index = opened("mih16", 120_000, 7)
    queries = near_queries(hashes, 2000, 33, 9)
    batch = found(index, queries, 31, isa=isa, threads=2)
    assert batch == [found(index, queries[i : i + 1], 31, isa=0)[0] for i in range(len(queries))]
    assert batch[:60] == brute_force(hashes, queries[:60], 31)


@pytest.mark.parametrize("radius", [0, 31, 45])
def test_the_radius_2_layout_loses_nothing(radius: int) -> None:
    hashes, index = opened("mih-r2", 60_000, 11)
    queries = near_queries(hashes, 30, radius + 3, 12)
    assert found(index, queries, radius) == brute_force(hashes, queries, radius)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), layout=st.sampled_from(["scan", "mih16"]), radius=st.integers(0, 64))
def test_it_equals_brute_force_on_clustered_and_equal_hashes(
    data: st.DataObject, layout: str, radius: int
) -> None:
    base = random_hashes(3, data.draw(st.integers(0, 99)))
    flips = st.lists(st.integers(0, 255), max_size=40)
    picks = data.draw(st.lists(st.tuples(st.integers(0, 2), flips), max_size=40))
    hashes = np.array([flip_bits(base[i], bits) for i, bits in picks], dtype=np.uint8).reshape(-1, 32)
    queries = np.array([flip_bits(base[0], data.draw(flips)), base[1]])
    index = kernel.HammingIndex(kernel.build_index(hashes, layout=layout))
    assert found(index, queries, radius) == brute_force(hashes, queries, radius)


def test_it_stores_equal_hashes_once_and_returns_every_position() -> None:
    one, other = random_hashes(2, 3)
    hashes = np.stack([one, other, one, one])
    index = kernel.HammingIndex(kernel.build_index(hashes))
    assert (index.count, index.distinct) == (4, 2)
    assert found(index, one[None], 0) == [[(0, 0), (0, 2), (0, 3)]]


@pytest.mark.parametrize("layout", ["scan", "mih16"])
def test_removed_positions_do_not_match(layout: str) -> None:
    one, other = random_hashes(2, 3)
    index = kernel.HammingIndex(kernel.build_index(np.stack([one, one, other]), layout=layout))
    dead = np.array([0b010], dtype=np.uint8)
    assert found(index, np.stack([one, other]), 31, dead=dead) == [[(0, 0)], [(0, 2)]]


def test_a_limit_keeps_the_nearest_and_says_that_it_cut() -> None:
    base = random_hashes(1, 3)[0]
    hashes = np.stack([flip_bits(base, list(range(n))) for n in (9, 0, 4, 30)])
    index = kernel.HammingIndex(kernel.build_index(hashes))
    result = index.search(base[None], 31, limit=2)
    assert list(zip(result.distances.tolist(), result.positions.tolist(), strict=True)) == [(0, 1), (4, 2)]
    assert result.truncated.tolist() == [True]
    assert index.search(base[None], 31, limit=4).truncated.tolist() == [False]


def test_hot_buckets_and_a_million_equal_hashes_are_answered_exactly() -> None:
    rng = np.random.default_rng(4)
    hashes = rng.integers(0, 256, (400_000, 32), dtype=np.uint8)
    hashes[:100_000] = hashes[0]
    hashes[100_000:200_000, :24] = hashes[
        1, :24
    ]  # three quarters of the bits equal: every chunk's buckets are hot
    index = kernel.HammingIndex(kernel.build_index(hashes, threads=2))
    queries = near_queries(hashes, 6, 33, 5)
    queries[1], queries[3] = hashes[0], hashes[100_001]
    assert found(index, queries, 31) == brute_force(hashes, queries, 31)
    many_equal = np.repeat(hashes[:1], 50_000, axis=0)  # a disk full of one constant picture
    result = index.search(many_equal, 31, limit=1)
    assert result.positions.tolist() == [0] * 50_000


def test_queries_in_any_order_and_repeated_get_their_own_answers() -> None:
    hashes, index = opened("mih16", 1000, 5)
    order = [5, 3, 5, 999, 0, 3]
    assert [a[0] for a in found(index, hashes[order], 0)] == [(0, i) for i in order]


def test_an_index_works_from_a_saved_and_mapped_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    hashes = random_hashes(40_000, 21)
    kernel.build_index(hashes).tofile(tmp_path / "index")
    index = kernel.HammingIndex(np.memmap(tmp_path / "index", dtype=np.uint8, mode="r"))
    assert index.layout == "mih16"
    assert found(index, hashes[77:78], 31) == [[(0, 77)]]


def test_it_keeps_at_most_132_bytes_a_hash_at_a_million() -> None:
    index = kernel.build_index(random_hashes(1_000_000, 2), threads=2)
    assert len(index) <= 132 * 1_000_000


@pytest.mark.parametrize("layout", ["scan", "mih16"])
def test_a_damaged_index_is_refused_or_answers_without_reading_elsewhere(layout: str) -> None:
    hashes = random_hashes(300, 31)
    sound = kernel.build_index(hashes, layout=layout)
    queries = np.concatenate([hashes[:20], random_hashes(5, 32)])
    rng = np.random.default_rng(33)
    outcomes = {"refused": 0, "answered": 0}
    places = [*range(1200), *rng.integers(0, len(sound), 300).tolist()]
    for place in places:
        before = sound[place]
        sound[place] ^= np.uint8(1 << int(rng.integers(8)))
        try:
            result = kernel.HammingIndex(sound).search(queries, 31)
        except BankCorrupt:
            outcomes["refused"] += 1
            continue
        finally:
            sound[place] = before
        assert result.positions.size == 0 or int(result.positions.max()) < len(hashes)
        outcomes["answered"] += 1
    assert outcomes["refused"] >= 800  # the header is under a checksum, byte for byte


def test_a_truncated_or_misaligned_index_is_refused() -> None:
    sound = kernel.build_index(random_hashes(50, 1))
    for size in (0, 1, 63, 64, 500, len(sound) - 1):
        with pytest.raises(BankCorrupt):
            kernel.HammingIndex(sound[:size])
    shifted = np.zeros(len(sound) + 64, dtype=np.uint8)
    offset = 1 - shifted.ctypes.data % 64
    shifted = shifted[offset % 64 :][: len(sound)]
    shifted[:] = sound
    with pytest.raises(BankCorrupt, match="aligned"):
        kernel.HammingIndex(shifted)


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 31), np.uint8), np.zeros(32, np.uint8), np.zeros((1, 32), np.int16)]
)
def test_wrong_shapes_and_types_are_refused(bad: U8) -> None:
    with pytest.raises(HashFormatError):
        kernel.build_index(bad)
    index = kernel.HammingIndex(kernel.build_index(random_hashes(3, 1)))
    with pytest.raises(HashFormatError):
        index.search(bad, 31)


def test_it_answers_no_queries_and_ragged_lists_clearly() -> None:
    index = kernel.HammingIndex(kernel.build_index(random_hashes(3, 1)))
    assert found(index, np.zeros((0, 32), np.uint8), 31) == []
    with pytest.raises(HashFormatError, match="32 bytes"):
        index.search([b"short"], 31)


def test_the_plain_reference_agrees_with_numpy() -> None:
    hashes = random_hashes(200, 41)
    queries = near_queries(hashes, 6, 60, 42)
    starts, positions, distances = kernel.scan_reference(hashes, queries, 60)
    pairs = list(zip(distances.tolist(), positions.tolist(), strict=True))
    assert [pairs[a:b] for a, b in pairwise(starts)] == brute_force(
        hashes, queries, 60
    )
