"""What the worker does for banks: settles what a crash cut, notes what others changed, merges what has become slow."""

from __future__ import annotations

from leadline.workbench.banks import actions

DUTIES = [
    ("banks.settle", 300.0, actions.settle_changes),
    ("banks.follow", 10.0, actions.follow_folders),
    ("banks.merge", 60.0, actions.merge_due),
]
