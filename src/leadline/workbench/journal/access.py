"""Reads of the journal on behalf of a person. Lines hold ids and codes only, so who may read any may read all."""

from __future__ import annotations

from django.db.models import QuerySet

from leadline.workbench.journal.models import Anchor, Clock, Line


def visible_lines(*, object_id: str = "", actor: str = "", act: str = "") -> QuerySet[Line]:
    lines = Line.objects.order_by("-line")
    if object_id:
        lines = lines.filter(object_id=object_id)
    if actor:
        lines = lines.filter(actor=actor)
    if act:  # a range, as LIKE of SQLite uses no index; acts are lower-case letters, digits, - and .
        lines = lines.filter(act__gte=act, act__lt=act + "\x7f")
    return lines


def latest_anchor() -> Anchor | None:
    return Anchor.objects.order_by("-line").first()


def clock_doubts() -> list[str]:
    """What is wrong with clocks: `ahead`, `behind`; nothing where all are believed."""
    return sorted(Clock.objects.exclude(doubt="").values_list("doubt", flat=True))
