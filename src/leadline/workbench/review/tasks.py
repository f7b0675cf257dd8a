"""What the worker does for review: sorts what arrived, brings into force what can no longer be undone."""

from __future__ import annotations

from leadline.workbench.review import actions
from leadline.workbench.review.models import Review, State

_AT_ONCE = 500


def sort_all() -> int:
    done = 0
    while some := actions.sort_assets():
        done += some
        if some < _AT_ONCE:
            break
    return done


def refresh() -> int:
    """Reviews whose files are all known by now are set aside; reports that came later make others more urgent."""
    return sum(actions.refresh_review(pk) for pk in _waiting())


def _waiting() -> list[object]:
    waiting = Review.objects.filter(state=State.WAITING.value).order_by("rank", "received_at")
    return list(waiting.values_list("pk", flat=True)[:_AT_ONCE])


DUTIES = [
    ("review.sort", 5.0, sort_all),
    ("review.settle", 2.0, actions.settle),
    ("review.refresh", 60.0, refresh),
    ("review.derive", 3600.0, actions.derive_again),
]
