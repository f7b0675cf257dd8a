"""What the worker does for review: sorts what arrived, brings into force what can no longer be undone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from leadline.workbench.reports.models import Item
from leadline.workbench.review import actions
from leadline.workbench.review.acts.each import each
from leadline.workbench.review.models import Review

_AT_ONCE = 500
_LATE = timedelta(hours=2)
_reached: list[Any] = []  # the last review that the round looked at; it goes on from there


def sort_all() -> int:
    done = 0
    while some := actions.sort_assets():
        done += some
        if some < _AT_ONCE:
            break
    return done


def refresh() -> int:
    """Reviews whose files are all known by now are set aside; reports that came later make others more urgent, and
    lists that did change what they cost.

    Those that a report of the last hours points at at once, all the others in turn.
    """
    late = Item.objects.filter(report__received_at__gt=timezone.now() - _LATE, asset__isnull=False)
    waiting = Review.objects.filter(is_open=True)
    concerned = waiting.filter(cluster__members__asset__in=late.values("asset")).distinct()
    turn = waiting.filter(pk__gt=_reached[0]) if _reached else waiting
    some = list(turn.order_by("pk").values_list("pk", flat=True)[:_AT_ONCE])
    _reached[:] = some[-1:] if len(some) == _AT_ONCE else []
    return each([*concerned.values_list("pk", flat=True), *some], actions.refresh_review)


DUTIES = [
    ("review.sort", 5.0, sort_all),
    ("review.settle", 2.0, actions.settle),
    ("review.appeals", 5.0, actions.open_appeals),
    ("review.refresh", 60.0, refresh),
    ("review.queue-again", 60.0, actions.queue_again),
    ("review.derive", 3600.0, actions.derive_again),
]
