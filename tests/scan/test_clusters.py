from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from leadline.scan.clusters import assign

U8 = NDArray[np.uint8]


def flip(hash_: U8, bits: range) -> U8:
    unpacked = np.unpackbits(hash_)
    unpacked[list(bits)] ^= 1
    return np.packbits(unpacked)


def distance(a: U8, b: U8) -> int:
    return int(np.unpackbits(a ^ b).sum())


def noise(count: int, seed: int = 5) -> U8:
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


def test_it_never_joins_a_chain() -> None:
    """A gradual morph: each picture 20 bits from the last, so neighbours are near and the ends are strangers."""
    start = noise(1)[0]
    chain = np.array([flip(start, range(20 * step)) for step in range(12)])
    found = assign(chain, 31)
    assert all(distance(chain[i], chain[found.centre[i]]) <= 31 for i in range(12))
    assert len(set(found.centre.tolist())) >= 4  # of 12 in a line, no centre can take more than one on each side


def test_it_takes_the_picture_in_the_middle_as_centre() -> None:
    middle = noise(1)[0]
    family = np.array([flip(middle, range(0, 20)), middle, flip(middle, range(30, 50)), flip(middle, range(60, 80))])
    assert assign(family, 31).centre.tolist() == [1, 1, 1, 1]


def test_it_names_how_far_each_member_is() -> None:
    middle = noise(1)[0]
    family = np.array([middle, flip(middle, range(7)), middle])
    assert assign(family, 31).distance.tolist() == [0, 7, 0]


def test_it_finds_members_that_are_turned_copies_of_the_centre() -> None:
    centre, turned = noise(2)
    hashes = np.array([centre, flip(turned, range(3))])
    eight = {0: np.array([centre, turned, *noise(6, 9)]), 1: np.array([hashes[1], *noise(7, 10)])}
    found = assign(hashes, 31, transforms=lambda position: eight[position])
    assert found.centre.tolist() == [0, 0]
    assert (found.distance.tolist(), found.transform.tolist()) == ([0, 3], [0, 1])


def test_it_leaves_strangers_alone() -> None:
    assert assign(noise(200), 31).centre.tolist() == list(range(200))


@pytest.mark.parametrize("count", [0, 1])
def test_it_takes_none_and_one(count: int) -> None:
    assert assign(noise(count), 31).centre.tolist() == list(range(count))


def test_it_is_not_slowed_by_equal_hashes() -> None:
    """A million copies of three pictures: quadratic work would not end here."""
    found = assign(np.repeat(noise(3), 333_334, axis=0)[:1_000_000], 31)
    assert len(np.unique(found.centre)) == 3


def test_it_is_not_slowed_by_one_dense_place() -> None:
    """30,000 different hashes, all within the radius of each other."""
    random = np.random.default_rng(3)
    spots = np.zeros((30_000, 256), np.uint8)
    spots[np.arange(30_000)[:, None], random.integers(0, 256, (30_000, 6))] = 1
    found = assign(np.packbits(spots, axis=1), 31)
    assert len(np.unique(found.centre)) == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60))
def test_it_keeps_every_member_within_the_radius_and_every_centre_apart(seed: int, radius: int) -> None:
    random = np.random.default_rng(seed)
    parents = noise(4, seed)
    starts, lengths = random.integers(0, 200, 40).tolist(), random.integers(0, 56, 40).tolist()
    spans = [range(start, start + length) for start, length in zip(starts, lengths, strict=True)]
    hashes = np.array([flip(parents[random.integers(0, 4)], span) for span in spans])
    found = assign(hashes, radius)
    for member, centre in enumerate(found.centre.tolist()):
        assert found.centre[centre] == centre
        assert distance(hashes[member], hashes[centre]) == found.distance[member] <= radius
    centres = sorted(set(found.centre.tolist()))
    assert all(distance(hashes[a], hashes[b]) > radius for a in centres for b in centres if a < b)
    assert assign(hashes, radius).centre.tolist() == found.centre.tolist()
