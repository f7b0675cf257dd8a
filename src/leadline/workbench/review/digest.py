"""What became of what a person decided: by week and outcome, what is new marked. For that person alone; reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from leadline.workbench.accounts.models import Person
from leadline.workbench.review.access import outcomes_for
from leadline.workbench.review.models import DigestVisit, Outcome

LISTED = 10  # of one outcome in one period, the newest; all are counted
WORDS = ("safeguarded", "removed", "no-action", "unknown")  # in this order on the page


@dataclass(frozen=True, slots=True)
class Group:
    """One outcome in one period. count: of decided clusters; new: of those told since the visit before this one."""

    word: str
    count: int
    new: int
    newest: list[Outcome]


@dataclass(frozen=True, slots=True)
class Period:
    """name: a code. since: its first moment; None: it has none."""

    name: str
    since: datetime | None
    groups: list[Group] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Digest:
    """periods: newest first, without those in which nothing was told. new_since: None on the first visit."""

    periods: list[Period]
    new: int
    new_since: datetime | None


def digest_of(person: Person, now: datetime | None = None) -> Digest:
    """As it is on the visit that is noted (`actions.note_visit`): what was told before that one is not new."""
    visit = DigestVisit.objects.filter(person=person).first()
    since = visit.before_at if visit is not None else None
    is_new = Q(at__gt=since) if since is not None else Q(at__isnull=False)
    rows = outcomes_for(person)
    periods = [
        Period(name, begins, list(_groups(_within(rows, begins, ends), is_new)))
        for name, begins, ends in _spans(now or timezone.now())
    ]
    new = rows.filter(is_new).order_by().values("cluster").distinct().count()
    return Digest([period for period in periods if period.groups], new, since)


def _spans(now: datetime) -> Iterator[tuple[str, datetime | None, datetime | None]]:
    """Weeks begin on Monday, UTC."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today - timedelta(days=today.weekday())
    before = monday - timedelta(days=7)
    yield "this-week", monday, None
    yield "last-week", before, monday
    yield "earlier", None, before


def _within(rows: QuerySet[Outcome], begins: datetime | None, ends: datetime | None) -> QuerySet[Outcome]:
    rows = rows.filter(at__gte=begins) if begins is not None else rows
    return rows.filter(at__lt=ends) if ends is not None else rows


def _groups(rows: QuerySet[Outcome], is_new: Q) -> Iterator[Group]:
    counts = {
        row["word"]: row
        for row in rows.order_by().values("word").annotate(
            told=Count("cluster", distinct=True), fresh=Count("cluster", distinct=True, filter=is_new)
        )
    }  # fmt: skip
    for word in WORDS:
        if word in counts:
            row = counts[word]
            yield Group(word, row["told"], row["fresh"], list(rows.filter(word=word)[:LISTED]))
