"""The only reads of appeals on behalf of somebody: those they may see, and of what each contests no more than that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from leadline.workbench.actors import Actor
from leadline.workbench.cursors import Slice
from leadline.workbench.evidence.access import page_of
from leadline.workbench.evidence.models import Asset
from leadline.workbench.reports import access as reports
from leadline.workbench.reports.models import Report
from leadline.workbench.review import access
from leadline.workbench.review.models import Appeal, Assessment, Contest, Member, Review, Standing

STATES = ("arrived", "in-review", "to-answer", "answered")


def visible_appeals(actor: Actor) -> QuerySet[Appeal]:
    """As the report that each came in as; with the number of decisions it contests, and of those still open."""
    seen = Appeal.objects.filter(report__in=reports.visible_appeals(actor)).select_related("report__assigned_to")
    return seen.annotate(named=Count("contests"), left=Count("contests", filter=Q(contests__outcome="")))


def state_of(appeal: Any) -> str:
    """Of a row of `visible_appeals`. To answer: nothing of it is open, perhaps as it names nothing decided here."""
    if appeal.answered_at is not None:
        return "answered"
    if appeal.matched_at is None:
        return "arrived"
    return "in-review" if appeal.left else "to-answer"


def appeals_page(actor: Actor, *, answered: bool, cursor: str) -> Slice:
    """Open ones by their term, none more urgent than another; answered ones newest first."""
    rows = visible_appeals(actor).filter(answered_at__isnull=not answered)
    page = page_of(rows, ("-answered_at", "-id") if answered else ("due_at", "id"), cursor, f"appeals:{answered}")
    for row in page.rows:
        row.state, row.is_late = state_of(row), is_late(row)
    return page


def is_late(appeal: Appeal) -> bool:
    return appeal.answered_at is None and appeal.due_at <= timezone.now()


def find_appeal(actor: Actor, appeal_id: Any) -> Any:
    """None where there is none, and where it is not for this actor."""
    return visible_appeals(actor).filter(pk=appeal_id).first()


@dataclass(frozen=True, slots=True)
class ContestView:
    """One contested decision as this person may know it: without the assessment where they may not see it."""

    contest: Contest
    made: Assessment | None
    may_decide: bool


@dataclass(frozen=True, slots=True)
class AppealView:
    appeal: Any
    state: str
    told: str
    opened: Any  # reports.access.ReportView: text, contact, items, messages
    contests: list[ContestView]


def open_appeal(actor: Actor, appeal: Any) -> AppealView:
    rows = appeal.contests.select_related("assessment", "review", "decided_by", "ended_by")
    views = []
    for row in rows:
        made = access.find_assessment(actor, row.assessment_id)
        may = bool(made and not row.outcome and not access.has_assessed(actor.person, made.cluster_id))
        views.append(ContestView(row, made, may))
    report = appeal.report
    return AppealView(appeal, state_of(appeal), report.outcome, reports.open_report(actor, report), views)


def find_contest(actor: Actor, appeal: Appeal, contest_id: Any) -> Contest | None:
    """Only where its assessment may be seen."""
    row = appeal.contests.filter(pk=contest_id).first()
    return row if row is not None and access.find_assessment(actor, row.assessment_id) is not None else None


def find_contestable(actor: Actor, text: str) -> Assessment | None:
    """The decision in force of a file that this actor may see: by its hash, or the number of an assessment."""
    asked = text.strip().lower()
    exact = [column for column, digits in (("md5", 32), ("sha1", 40), ("sha256", 64)) if len(asked) == digits]
    clusters: Iterable[Any] = ()
    if exact:
        files = Asset.objects.filter(**{exact[0]: asked})
        clusters = Member.objects.filter(asset__in=files).values_list("cluster", flat=True)
    elif len(asked) == 36:
        clusters = Assessment.objects.filter(pk__in=_ids(asked)).values_list("cluster", flat=True)
    found = Assessment.objects.filter(cluster__in=list(clusters), standing=Standing.IN_FORCE.value).first()
    return None if found is None else access.find_assessment(actor, found.pk)


def _ids(text: str) -> list[str]:
    try:
        return [str(UUID(text))]
    except ValueError:
        return []


def beside(actor: Actor, review: Review) -> list[tuple[str, str]]:
    """Number and text of every appeal that a review was opened for: who decides anew has heard the other side."""
    waiting = Appeal.objects.filter(contests__review=review, contests__outcome="")
    visible: QuerySet[Report] = reports.visible_appeals(actor).filter(appeal__in=waiting)
    return [(report.number, reports.text_of(report)) for report in visible.order_by("received_at")]


def open_against(actor: Actor, made: Assessment) -> list[Contest]:
    """Appeals against an assessment that this actor may see, for its page."""
    seen = made.contests.filter(appeal__report__in=reports.visible_appeals(actor))
    return list(seen.select_related("appeal__report").order_by("id"))


# --- the appellant's side --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AppellantView:
    """What a program may read of an appeal that it handed in: where it stands, and what a person told it."""

    id: Any
    number: str
    received_at: datetime
    status: str
    outcome: str


def appellant_view(actor: Actor, appeal_id: Any) -> AppellantView | None:
    """Of an appeal that just this key handed in."""
    found = Appeal.objects.filter(pk=appeal_id, handed_in_by=actor.id).select_related("report").first()
    return None if found is None else appellant_view_of(found)


def appellant_view_of(appeal: Appeal) -> AppellantView:
    told = reports.reporter_view(appeal.report)
    return AppellantView(appeal.pk, appeal.report.number, told.received_at, told.status, told.outcome)
