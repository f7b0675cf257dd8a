"""The flood breaker: finds entries that suddenly meet a large share of all look-ups. Marks them; removes nothing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from leadline.domain import Match

_SLICES = 6
_MOST_ENTRIES = 20_000  # of one slice: with 100 matches a look-up an entry is undercounted by at most 0.5 % of them
Key = tuple[str, int]  # bank, entry


@dataclass(slots=True)
class _Slice:
    begun_s: float
    lookups: int = 0
    met: dict[Key, int] = field(default_factory=dict)


class Flood:
    """Of one worker: the look-ups of the last `window_s`, counted in six slices.

    An entry floods once it met `least` of them and the share `share`; it does so until it is below half of either.
    """

    def __init__(
        self, *, window_s: float, share: float, least: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._slice_s, self._share, self._least, self._clock = window_s / _SLICES, share, least, clock
        self._slices: deque[_Slice] = deque([_Slice(clock())])
        self.entries: frozenset[Key] = frozenset()

    def saw(self, lookups: int) -> None:
        """So many hashes or files were looked up."""
        self._slices[-1].lookups += lookups

    def met(self, matches: Sequence[Match]) -> None:
        """What one look-up met; an entry counts once, whatever it was met by."""
        counts = self._slices[-1].met
        keys = [(match.bank, match.entry) for match in matches]
        for key in keys if len(keys) == 1 else set(keys):
            counts[key] = counts.get(key, 0) + 1
        if len(counts) > _MOST_ENTRIES:
            self._slices[-1].met = {key: count - 1 for key, count in counts.items() if count > 1}

    def judge(self) -> frozenset[Key]:
        """The entries that flood now. To be called about once a second."""
        self._turn()
        lookups = sum(part.lookups for part in self._slices)
        counts: dict[Key, int] = {}
        for part in self._slices:
            for key, count in part.met.items():
                counts[key] = counts.get(key, 0) + count
        entries = frozenset(key for key, count in counts.items() if self._floods(key, count, lookups))
        if entries != self.entries:
            self.entries = entries
        return self.entries

    def _floods(self, key: Key, count: int, lookups: int) -> bool:
        half = 2 if key in self.entries else 1
        return count * half >= self._least and count * half >= self._share * lookups

    def _turn(self) -> None:
        now = self._clock()
        if now - self._slices[-1].begun_s >= self._slice_s:
            self._slices.append(_Slice(now))
        while now - self._slices[0].begun_s >= self._slice_s * (_SLICES + 1):
            self._slices.popleft()
