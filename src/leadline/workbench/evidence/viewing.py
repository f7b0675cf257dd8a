"""How much of a file people were sent, for what an exhibit says of it. The app that shows files (review) tells it.

Nothing here is a guess: where no app tells it, nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

# Ids of assets -> a code (words: "seen") for each, by its id as text.
ViewedOf: TypeAlias = Callable[[Collection[Any]], Mapping[str, str]]
_told_by: list[ViewedOf] = []


def register(told_by: ViewedOf) -> None:
    """From an AppConfig.ready; of one app."""
    _told_by[:] = [told_by]


def viewed_of(asset_ids: Collection[Any]) -> Mapping[str, str]:
    return _told_by[0](asset_ids) if _told_by else {}
