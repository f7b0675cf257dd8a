"""What the worker does for quality: draws second answers and golden items, pairs answers, follows them."""

from __future__ import annotations

from leadline.workbench.quality import actions

DUTIES = [
    ("quality.draw", 60.0, actions.draw),
    ("quality.pair", 60.0, actions.pair_up),
    ("quality.follow", 60.0, actions.follow),
    ("quality.late", 3600.0, actions.end_late),
]
