"""Krippendorff's alpha of answers given by several people to the same files. Reads no table.

The arithmetic is the library's (`krippendorff`, held against published examples by the tests); here stands what may be
measured with it. The library is under the GPL, so it comes with an extra of its own and the pages work without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

FEWEST_UNITS = 10  # below it the figure says nothing, and the page says so
Level = Literal["nominal", "ordinal"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """alpha is None where `why` says so: too-few, no-variation, not-installed.

    units  files that two or more people answered
    same   of these, where all answers are the same
    """

    level: Level
    units: int
    same: int
    alpha: float | None = None
    why: str = ""

    @property
    def percent(self) -> int:
        return round(100 * self.same / self.units) if self.units else 0

    @property
    def bar(self) -> float:
        """For a meter from 0 to 1; agreement worse than chance is at its start."""
        return max(0.0, self.alpha or 0.0)


def measure(units: Sequence[Sequence[str]], scale: Sequence[str] = (), *, fewest: int = FEWEST_UNITS) -> Agreement:
    """Nominal; with a scale (codes in their order) ordinal, over the answers on it alone.

    units  the answers given to each file; a file with fewer than two answers is no unit
    """
    level: Level = "ordinal" if scale else "nominal"
    on_scale = [[code for code in unit if not scale or code in scale] for unit in units]
    counted = [Counter(unit) for unit in on_scale if len(unit) > 1]
    same = sum(len(counts) == 1 for counts in counted)
    if len(counted) < fewest:
        return Agreement(level, len(counted), same, why="too-few")
    codes = list(scale) or sorted({code for counts in counted for code in counts})
    if len({code for counts in counted for code in counts}) < 2:
        return Agreement(level, len(counted), same, why="no-variation")
    try:
        from krippendorff import alpha
    except ImportError:
        return Agreement(level, len(counted), same, why="not-installed")
    table = [[counts[code] for code in codes] for counts in counted]
    found = alpha(value_counts=table, value_domain=list(range(len(codes))), level_of_measurement=level)
    return Agreement(level, len(counted), same, alpha=float(found))
