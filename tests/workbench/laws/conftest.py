"""The fixtures of review: a card to stand beside."""

from __future__ import annotations

from tests.workbench.review.conftest import arrive, claimed, keeping

__all__ = ["arrive", "claimed", "keeping"]
