"""What stand-ins that tell changes by time have in common: a million made-up records by number, and what changed since.

Record `number` was last changed `FIRST_S + number` seconds after 1970; nothing is made before it is asked for.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple

FIRST_S = 1_767_225_600  # 2026-01-01


class Change(NamedTuple):
    """What became of one record, and when. record: as the protocol says it."""

    key: str
    time_s: int
    record: dict[str, Any]


class Timeline:
    """make: the record of a number, as it was at first; its time is FIRST_S + number."""

    def __init__(self, entries: int, make: Callable[[int], Change]) -> None:
        self.entries, self._make = entries, make
        self._changed: set[int] = set()
        self._later: list[Change | None] = []  # None: it changed again after that

    def put(self, change: Change, number: int | None = None) -> None:
        """A change after all others. number: of the record that it is about, where that was there at first."""
        if number is not None:
            self._changed.add(number)
        self._later = [None if one and one.key == change.key else one for one in self._later]
        self._later.append(change)

    def get(self, key: str, number: int | None = None) -> Change | None:
        """How a record stands now."""
        for one in self._later:
            if one and one.key == key:
                return one
        return self._make(number) if number is not None and 0 <= number < self.entries else None

    def page(self, since_s: int, start: int, size: int, *, is_backwards: bool = False) -> tuple[list[Change], bool]:
        """(changes since then from the `start`th on, whether more come after). Backwards: the latest first."""
        first = min(max(0, since_s - FIRST_S), self.entries)
        count = self.entries - first + len(self._later)
        end = min(start + size, count)
        places = [count - 1 - place for place in range(start, end)] if is_backwards else range(start, end)
        found = (self._at(first + place) for place in places)
        return [one for one in found if one is not None and one.time_s >= since_s], end < count

    def _at(self, place: int) -> Change | None:
        if place >= self.entries:
            return self._later[place - self.entries]
        return None if place in self._changed else self._make(place)


def digits(seed: int, number: int, count: int) -> str:
    """Made-up hexadecimal digits; the last eight say the number, so that a stand-in finds it again."""
    return hashlib.shake_128(f"{seed}:{number}".encode()).hexdigest(count // 2)[: count - 8] + f"{number:08x}"


def make_token(*values: int) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def read_token(token: str) -> list[int]:
    """ValueError for a token that was not made here."""
    return [int(value) for value in json.loads(base64.urlsafe_b64decode(token.encode()))]
