"""Entries found by exactly a hash: in log and segments, disabled, below the floor; none that was removed."""

from __future__ import annotations

import numpy as np
import pytest

from leadline.domain import Kind
from leadline.match.locate import find_holders


def rows(*hashes: bytes) -> np.ndarray:
    return np.array([list(value) for value in hashes], np.uint8)


@pytest.mark.parametrize("merged", [False, True])
def test_every_holder_is_found_whether_it_matches_now_or_not(new_bank, draw, clock, merged):
    known, other, absent = draw.bytes(), draw.bytes(), draw.bytes()
    bank = new_bank(
        entries=[
            draw.entry(fingerprints={"pdq": known}, quality=90),
            draw.entry(fingerprints={"pdq": known}, quality=10),
            draw.entry(fingerprints={"pdq": known}, disabled_until=clock.now + 1000),
            draw.entry(fingerprints={"pdq": known}, kind=Kind.FALSE_POSITIVE, radius_bits=20),
            draw.entry(fingerprints={"pdq": known}),
            draw.entry(fingerprints={"pdq": other, "sha256": known}),
            draw.entry(fingerprints={"pdq": draw.near(known, 1)}),
        ],
        quality_floor=50,
    )
    if merged:
        bank.merge()
    bank.remove([5])
    bank.add([draw.entry(fingerprints={"pdq": known})])
    found = find_holders(bank.snapshot, "pdq", rows(known, absent, other, known))
    assert found == [[1, 2, 3, 4, 8], [], [6], [1, 2, 3, 4, 8]]
    assert find_holders(bank.snapshot, "sha256", rows(known, absent)) == [[6], []]
    assert find_holders(bank.snapshot, "md5", rows(known[:16])) == [[]]


def test_an_empty_bank_and_no_question_have_no_answer(new_bank, draw):
    assert find_holders(new_bank().snapshot, "pdq", rows(draw.bytes())) == [[]]
    assert find_holders(new_bank("B", entries=[draw.entry()]).snapshot, "pdq", np.empty((0, 32), np.uint8)) == []
