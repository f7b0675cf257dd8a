"""What the worker does for search: keeps the index up to date, and the database clean of what went out of it."""

from __future__ import annotations

from leadline.workbench.search import actions

DUTIES = [("search.follow", 2.0, actions.follow), ("search.scrub", 60.0, actions.scrub)]
