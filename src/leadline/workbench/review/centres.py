"""The centres of all clusters in memory, asked for the nearest one within a radius. Exact; knows no table.

32 bytes a centre. The index is built anew when it has grown by a tenth; what came since lies in a small one beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.domain import PDQ_BYTES, Transform
from leadline.match.kernel import HammingIndex, build_index

_TURNS = tuple(Transform)


@dataclass(frozen=True, slots=True)
class Near:
    """A near centre: which, how far, and how the picture is turned against it, as a number of Transform's order."""

    cluster: Any
    distance: int
    turn: int

    @property
    def transform(self) -> str:
        return "" if self.turn == 0 else str(_TURNS[self.turn])


@dataclass
class Centres:
    radius_bits: int
    _clusters: list[Any] = field(default_factory=list)
    _rows: bytearray = field(default_factory=bytearray)
    _main: HammingIndex | None = None
    _main_count: int = 0
    _fresh: HammingIndex | None = None
    _fresh_count: int = 0

    def __len__(self) -> int:
        return len(self._clusters)

    def add(self, cluster: Any, pdq: bytes) -> None:
        self._clusters.append(cluster)
        self._rows += pdq

    def nearest(self, turned: Sequence[bytes]) -> Near | None:
        """turned: the picture's eight hashes in the order of Transform, or its one hash."""
        return next(iter(self.within(turned, most=1)), None)

    def within(self, turned: Sequence[bytes], *, most: int) -> list[Near]:
        """At most so many for each turn, of all the nearest first. The same centre may be met in several turns."""
        self._bring_up_to_date()
        queries = np.frombuffer(b"".join(turned), np.uint8).reshape(-1, PDQ_BYTES)
        found = []
        for index, offset in ((self._main, 0), (self._fresh, self._main_count)):
            if index is None:
                continue
            result = index.search(queries, self.radius_bits, limit=most)
            for turn in range(len(queries)):
                for at in range(int(result.starts[turn]), int(result.starts[turn + 1])):
                    which = self._clusters[offset + int(result.positions[at])]
                    found.append(Near(which, int(result.distances[at]), turn))
        return sorted(found, key=lambda near: near.distance)

    def _bring_up_to_date(self) -> None:
        count = len(self._clusters)
        if count == self._main_count + self._fresh_count:
            return
        rows: NDArray[np.uint8] = np.frombuffer(bytes(self._rows), np.uint8).reshape(-1, PDQ_BYTES)
        if count > 2000 and count - self._main_count < self._main_count // 10:
            self._fresh = HammingIndex(build_index(rows[self._main_count :]))
            self._fresh_count = count - self._main_count
            return
        self._main, self._main_count = HammingIndex(build_index(rows)), count
        self._fresh, self._fresh_count = None, 0


def farthest(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    """Bits from any frame of either of two files to the nearest frame of the other, at most. uint8 (frames, 32)."""
    apart = np.bitwise_count(one[:, np.newaxis] ^ other[np.newaxis]).sum(axis=2, dtype=np.int64)
    return int(max(apart.min(axis=0).max(), apart.min(axis=1).max()))
