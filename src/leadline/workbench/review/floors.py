"""How much may be shown, for how long, at what cost: the house's bounds, the office's floors, a person's own wishes.

A floor is only ever stricter than the house's bound, and a wish only ever more careful than the floor. Reads no table.
Blur, grey and size are comfort: a study of 2026 found that they do not protect by themselves. Less seen does.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from leadline.domain import Kind, Verdict

REVEAL_S = 8
BLUR_SHARE = 0.05
TILE_EDGE_PX = 160
LEASE = timedelta(minutes=20)
WORK_AT_MOST = timedelta(minutes=50)
BREAK = timedelta(minutes=10)
LAST_STRETCH = timedelta(minutes=30)  # of a shift: low severity only
SHIFT_MINUTES = 240
DAILY_MINUTES = 120  # of looking, weighed by severity and level
UNDO = timedelta(seconds=10)
TOLD_AFTER = timedelta(days=1)  # that an item was golden: nobody is to know while more of them are on their way
LOW_SEVERITY = 1
# What a second of looking weighs. A tile is not counted: it is on the card of whoever decides.
LEVEL_WEIGHTS: Mapping[str, float] = {"tile": 0.0, "lens": 1.0, "whole": 2.0}
COLOUR_WEIGHT = 1.5
SEVERITY_WEIGHTS = (0.5, 1.0, 1.5, 2.0)
LEAST_S = 2.0  # a look that is ended at once is not free
MOST, HALF = 0.75, 0.5  # shares of a picture that lenses together may show
_GRID = 32


@dataclass(frozen=True, slots=True)
class Floors:
    """What one look may be. The defaults are the house's bounds.

    blur_share      of a tile: Gaussian sigma over its long edge, at least
    tile_edge_px    of a tile, at most
    reveal_seconds  a grant lasts so long, at most
    daily_minutes   of looking a day, weighed
    """

    blur_share: float = BLUR_SHARE
    tile_edge_px: int = TILE_EDGE_PX
    reveal_seconds: int = REVEAL_S
    allow_whole: bool = True
    allow_colour: bool = True
    daily_minutes: int = DAILY_MINUTES

    def stricter(self, other: Floors) -> Floors:
        """Of two, in each thing the more careful."""
        return replace(
            self,
            blur_share=max(self.blur_share, other.blur_share),
            tile_edge_px=min(self.tile_edge_px, other.tile_edge_px),
            reveal_seconds=min(self.reveal_seconds, other.reveal_seconds),
            allow_whole=self.allow_whole and other.allow_whole,
            allow_colour=self.allow_colour and other.allow_colour,
            daily_minutes=min(self.daily_minutes, other.daily_minutes),
        )


def covered_share(areas: Iterable[Sequence[float]]) -> float:
    """How much of a picture these rectangles (left, top, width, height, in fractions) show together."""
    grid = np.zeros((_GRID, _GRID), bool)
    for left, top, width, height in areas:
        rows = slice(math.floor(top * _GRID + 1e-6), math.ceil((top + height) * _GRID - 1e-6))
        grid[rows, math.floor(left * _GRID + 1e-6) : math.ceil((left + width) * _GRID - 1e-6)] = True
    return float(grid.mean())


def weigh(seconds: float, level: str, severity: int, *, in_colour: bool) -> float:
    """Seconds of looking as the daily budget counts them."""
    weight = LEVEL_WEIGHTS[level] * SEVERITY_WEIGHTS[min(severity, len(SEVERITY_WEIGHTS) - 1)]
    return seconds * weight * (COLOUR_WEIGHT if in_colour else 1.0)


def severity_of(verdict: str, kinds: Collection[str]) -> int:
    """0..3: what a look is expected to cost, by what banks say of the file. Never by its content."""
    if Kind.ILLEGAL in kinds:
        return 3
    if Kind.EXPLOITATIVE in kinds:
        return 2
    return 0 if verdict == Verdict.NEAR and Kind.BENIGN in kinds else 1


# What a person may opt out of, the graver first: words that stand beside every line of the queue, known before anything
# is shown.
CATEGORIES = ("near-illegal", "near-exploitative", "near-other", "unknown", "video", "sample")


def category_of(mime: str, kinds: Collection[str]) -> str:
    if mime.startswith(("video/", "audio/")):
        return "video"
    for kind in (Kind.ILLEGAL, Kind.EXPLOITATIVE):
        if kind in kinds:
            return f"near-{kind}"
    return "near-other" if kinds else "unknown"
