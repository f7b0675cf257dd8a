"""The probing alarm: one token looks up many small variations of one picture, as whoever edits it until nothing
matches. Keeps a few hashes of each token in memory; stores none, refuses nothing.

A variation is compared with a few *centres* only: the last hashes of the token that met a bank, and some of the last
that met nothing. So a centre that met a bank is still there when a platform's ordinary uploads, which meet nothing,
have long pushed out the others.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from leadline.domain import PDQ_BYTES

RADIUS_BITS = 48
_VARIATIONS = 40  # of all workers together, where a balancer shares look-ups out evenly
_LEAST = 10  # of one worker: fewer come of ordinary copies of one picture
_WINDOW_S = 600.0
_MET, _OTHERS = 12, 8  # centres of a token
_MOST_TOKENS = 500


class _Centre:
    """A hash as a number, and the variations of it: number -> when it came last."""

    __slots__ = ("has_met", "seen", "value")

    def __init__(self, value: int, has_met: bool) -> None:
        self.value, self.has_met = value, has_met
        self.seen: dict[int, float] = {}


class Suspicion(NamedTuple):
    """centre: the hash. has_met: one of the variations met a bank, else whoever is told has to look near it."""

    token: str
    centre: bytes
    variations: int
    has_met: bool


class Probing:
    """Of one of so many workers. `note` costs about a microsecond or two; it says again what goes on, each time that
    as many variations came once more."""

    def __init__(self, workers: int = 1, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = max(_LEAST, _VARIATIONS // max(1, workers))
        self._clock = clock
        self._centres_of: OrderedDict[str, tuple[list[_Centre], list[_Centre]]] = OrderedDict()

    def note(self, token: str, pdq: bytes, has_met: bool) -> Suspicion | None:
        """One look-up of a PDQ hash, and whether it met a bank."""
        value = int.from_bytes(pdq, "big")
        met, others = self._centres(token)
        into, most = (met, _MET) if has_met else (others, _OTHERS)
        for centre in met:
            if (centre.value ^ value).bit_count() <= RADIUS_BITS:
                if centre is not met[0]:  # what is used stays
                    met.remove(centre)
                    met.insert(0, centre)
                return self._count(token, centre, value, has_met)
        for centre in others:
            if (centre.value ^ value).bit_count() <= RADIUS_BITS:
                others.remove(centre)
                _push(into, centre, most)
                return self._count(token, centre, value, has_met)
        _push(into, _Centre(value, has_met), most)
        return None

    def _centres(self, token: str) -> tuple[list[_Centre], list[_Centre]]:
        known = self._centres_of.get(token)
        if known is None:
            if len(self._centres_of) >= _MOST_TOKENS:
                self._centres_of.popitem(last=False)
            known = self._centres_of[token] = ([], [])
        else:
            self._centres_of.move_to_end(token)
        return known

    def _count(self, token: str, centre: _Centre, value: int, has_met: bool) -> Suspicion | None:
        centre.has_met = centre.has_met or has_met
        if value == centre.value:
            return None
        now, seen = self._clock(), centre.seen
        seen[value] = now
        if len(seen) < self._most:
            return None
        centre.seen = {other: at for other, at in seen.items() if now - at < _WINDOW_S}
        if len(centre.seen) < self._most:
            return None
        centre.seen = {}  # bounded: counted from the beginning
        return Suspicion(token, centre.value.to_bytes(PDQ_BYTES, "big"), self._most, centre.has_met)


def _push(centres: list[_Centre], centre: _Centre, most: int) -> None:
    centres.insert(0, centre)
    del centres[most:]
