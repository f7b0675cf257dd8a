"""What the worker does for banks: settles changes that a crash cut, and merges what has become slow."""

from __future__ import annotations

from leadline.workbench.banks import actions

DUTIES = [("banks.settle", 300.0, actions.settle_changes), ("banks.merge", 60.0, actions.merge_due)]
