"""What the tests of banks share: drawn hashes, a clock that is moved by hand, new banks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank


class Clock:
    """Seconds since 1970, moved by the test."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> float:
        return float(self.now)


class Draw:
    """Random material from a fixed seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def bytes(self, length: int = 32) -> bytes:
        return self.rng.bytes(length)

    def near(self, digest: bytes, distance_bits: int) -> bytes:
        """Another hash at exactly this distance."""
        bits = np.unpackbits(np.frombuffer(digest, np.uint8))
        bits[self.rng.choice(256, distance_bits, replace=False)] ^= 1
        return np.packbits(bits).tobytes()

    def entry(self, kind: Kind = Kind.ILLEGAL, **fields: Any) -> Entry:
        fields.setdefault("fingerprints", {"pdq": self.bytes()})
        return Entry(kind=kind, **fields)


@pytest.fixture
def clock() -> Clock:
    return Clock(1_700_000_000)


@pytest.fixture
def draw() -> Draw:
    return Draw(7)


@pytest.fixture
def new_bank(tmp_path: Path, clock: Clock) -> Callable[..., Bank]:
    """new_bank(name="BANK", kind=Kind.ILLEGAL, entries=[...], **settings) -> Bank, in a folder of its own."""

    def make(name: str = "BANK", kind: Kind = Kind.ILLEGAL, entries: Any = (), **settings: Any) -> Bank:
        settings.setdefault("kinds", {})
        bank = Bank.create(tmp_path / name, name=name, kind=kind, clock=clock, **settings)
        if entries:
            result = bank.add(entries)
            assert result.refused == []
        return bank

    return make
