"""Reads of the journal on behalf of a person. Lines hold ids and codes only, so who may read any may read all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import QuerySet
from django.utils import timezone

from leadline.custody.chain import format_time
from leadline.workbench.journal.models import Anchor, Clock, Line

_LINES_A_PAGE = 50


def visible_lines(*, object_id: str = "", actor: str = "", act: str = "") -> QuerySet[Line]:
    lines = Line.objects.order_by("-line")
    if object_id:
        lines = lines.filter(object_id=object_id)
    if actor:
        lines = lines.filter(actor=actor)
    if act and lines.filter(act=act).exists():  # a whole one: its lines lie in order in the index
        lines = lines.filter(act=act)
    elif act:  # a range, as LIKE of SQLite uses no index; acts are lower-case letters, digits, - and .
        lines = lines.filter(act__gte=act, act__lt=act + "\x7f")
    return lines


class Page(NamedTuple):
    """Lines, newest first, and before which line the next page begins; None at the end."""

    lines: list[Line]
    before: int | None


def page_of_lines(before: str, **asked: str) -> Page:
    """As fast at the beginning of three million lines as at their end: nothing is counted."""
    lines = visible_lines(**asked)
    if before.isascii() and before.isdigit() and len(before) < 19:
        lines = lines.filter(line__lt=int(before))
    found = list(lines[: _LINES_A_PAGE + 1])
    more = len(found) > _LINES_A_PAGE
    return Page(found[:_LINES_A_PAGE], found[_LINES_A_PAGE - 1].line if more else None)


def latest_anchor() -> Anchor | None:
    return Anchor.objects.order_by("-line").first()


def last_time_of(act: str) -> datetime | None:
    """When it was last done. A line from the future, of a clock that was ahead, tells nothing."""
    soon = format_time(timezone.now() + timedelta(minutes=1))
    newest = Line.objects.filter(act=act, at__lt=soon).order_by("-line").values_list("at", flat=True).first()
    return None if newest is None else datetime.fromisoformat(newest)


def clock_doubts() -> list[str]:
    """What is wrong with clocks: `ahead`, `behind`; nothing where all are believed."""
    return sorted(Clock.objects.exclude(doubt="").values_list("doubt", flat=True))
