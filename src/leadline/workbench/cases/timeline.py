"""What happened in a case, in order: the lines of the journal about it, each with the row that it is about.

Every act on a case writes one line, so the chain's own order is the order here. Writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Count
from django.db.models.functions import Substr

from leadline.workbench.actors import Actor
from leadline.workbench.cases import access
from leadline.workbench.cases.models import Case, CaseTask, Note, Thing
from leadline.workbench.cursors import Slice
from leadline.workbench.evidence.access import page_of
from leadline.workbench.journal.access import visible_lines
from leadline.workbench.journal.models import Line

_BARS = 60  # of the chart
HEIGHT, BAR = 100, 12


@dataclass(frozen=True, slots=True)
class Event:
    """An act, who did it, and the text of what it was about, as far as the viewer may read that."""

    line: Line
    by: str
    text: str = ""
    thing: access.ThingView | None = None


def events_page(actor: Actor, case: Case, cursor: str) -> Slice:
    """Newest first."""
    lines = visible_lines(object_id=str(case.pk))
    page = page_of(lines, ("-line",), cursor, f"case-timeline:{case.pk}")
    return Slice(_events(actor, case, page.rows), page.next)


def _events(actor: Actor, case: Case, lines: Sequence[Line]) -> list[Event]:
    details = [(line, json.loads(line.details)) for line in lines]
    named = {kind: [said[kind] for _, said in details if kind in said] for kind in ("note", "task", "thing")}
    notes = access.show_notes(Note.objects.filter(case=case, pk__in=named["note"]))
    tasks = CaseTask.objects.filter(case=case, pk__in=named["task"])
    things = access.show_things(actor, case, list(Thing.objects.filter(case=case, pk__in=named["thing"])))
    texts = {str(one.note.pk): one.text for one in notes} | {str(one.pk): access.text_of(one) for one in tasks}
    of_things = {str(one.thing.pk): one for one in things}
    names = access.names_of(line.actor for line in lines)
    return [
        Event(
            line,
            names.get(line.actor, ""),
            texts.get(said.get("note", said.get("task", "")), ""),
            of_things.get(said.get("thing", "")),
        )
        for line, said in details
    ]


@dataclass(frozen=True, slots=True)
class Bar:
    """One span of the chart: from which day, how many acts, and where to draw it."""

    day: date
    count: int
    x: int
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Chart:
    """`span_days`: how many days one bar stands for."""

    bars: tuple[Bar, ...]
    span_days: int
    width: int
    most: int


def chart_of(case: Case) -> Chart:
    """Acts by day, from the first to the last; where these are many, some days in one bar."""
    lines = visible_lines(object_id=str(case.pk)).order_by()
    counted = lines.annotate(day=Substr("at", 1, 10)).values_list("day").annotate(count=Count("line"))
    days = {date.fromisoformat(day): count for day, count in counted}
    if not days:
        return Chart((), 1, BAR, 0)
    first, last = min(days), max(days)
    span = (last - first).days // _BARS + 1
    sums: dict[int, int] = {}
    for day, count in days.items():
        sums[(day - first).days // span] = sums.get((day - first).days // span, 0) + count
    most = max(sums.values())
    bars = tuple(_bar(first + timedelta(days=at * span), at, count, most) for at, count in sorted(sums.items()))
    return Chart(bars, span, (max(sums) + 1) * BAR, most)


def _bar(day: date, at: int, count: int, most: int) -> Bar:
    height = max(2, count * HEIGHT // most)
    return Bar(day, count, at * BAR, HEIGHT - height, height)
