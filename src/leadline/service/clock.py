"""The time of day for whatever is to be removed when it is old: a clock that is set forward removes nothing early."""

from __future__ import annotations

import time


class Clock:
    """Seconds since 1970: the earlier of what the clock says and of what it must have come to since the start."""

    def __init__(self) -> None:
        self._start, self._begun_s = time.time(), time.monotonic()

    def __call__(self) -> float:
        return min(time.time(), self._start + time.monotonic() - self._begun_s)
