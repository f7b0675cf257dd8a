"""The only writes of quality. Each is one transaction with its line in the journal inside. They are in `acts`."""

from __future__ import annotations

from leadline.workbench.quality.acts.drawing import draw, end_late
from leadline.workbench.quality.acts.golden import answer, ask, end_set, look, make_set, put_in, withdraw
from leadline.workbench.quality.acts.pairs import follow, pair_up, settle
from leadline.workbench.quality.acts.pairs import look as look_at_pair

__all__ = [
    "answer",
    "ask",
    "draw",
    "end_late",
    "end_set",
    "follow",
    "look",
    "look_at_pair",
    "make_set",
    "pair_up",
    "put_in",
    "settle",
    "withdraw",
]
