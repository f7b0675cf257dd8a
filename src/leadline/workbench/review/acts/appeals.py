"""Appeals: taken in, looked up by the worker, each contested decision decided by somebody else, answered by a person.

An appeal changes nothing by itself. It opens a review of what it contests; that review, or somebody who reads the
appeal, ends by letting the assessment stand or by revising it, and only a revision touches what it led to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.domain import Channel, IncomingReport
from leadline.errors import InputError, NotAllowed, WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.reports import actions as reports
from leadline.workbench.reports.models import Report
from leadline.workbench.reports.states import OF_APPEALS, Outcome, Reason
from leadline.workbench.reports.states import State as ReportState
from leadline.workbench.review import access, contested
from leadline.workbench.review.acts.each import each
from leadline.workbench.review.models import Appeal, Assessment, Contest, Purpose, Review, Standing, State

PUBLIC_FORM = "public-form"
UPHOLD_REASONS = ("nothing-new", "not-about-this", "decided-before")
TOLD = tuple(outcome.value for outcome in Outcome if outcome in OF_APPEALS)
_OPEN = tuple(state.value for state in access.OPEN)
_AT_ONCE = 100


def receive_appeal(
    by: Actor, incoming: IncomingReport, *, assessment_id: Any = None, source: str = "", idempotency_key: str = ""
) -> tuple[Appeal, bool]:
    """By a person at the form or a program; and whether it is new. What it names is looked up later, by the worker.

    So the answer is the same, and as fast, whatever is known here.
    """
    if assessment_id:
        incoming = replace(incoming, facts={**incoming.facts, contested.ASSESSMENT: str(assessment_id)})
    with transaction.atomic():
        receipt = reports.receive(
            incoming, channel=Channel(incoming.channel), actor=by.id, source=source, is_appeal=True,
            idempotency_key=idempotency_key,
        )  # fmt: skip
        return _open(receipt.report, by.id), receipt.is_new


def _open(report: Report, handed_in_by: str) -> Appeal:
    due_at = report.received_at + timedelta(days=access.appeal_days())
    appeal, _ = Appeal.objects.get_or_create(report=report, defaults={"handed_in_by": handed_in_by, "due_at": due_at})
    return appeal


def open_appeals() -> int:
    """Those of the public form get their row, and what new ones name is looked up; how many. A worker's duty."""
    waiting = Report.objects.filter(is_appeal=True, appeal__isnull=True).order_by("received_at")
    for report in waiting[:_AT_ONCE]:
        _open(report, PUBLIC_FORM)
    unread = Appeal.objects.filter(matched_at__isnull=True).values_list("pk", flat=True)
    return each(unread[:_AT_ONCE], look_up_appeal)


@transaction.atomic
def look_up_appeal(appeal_id: Any) -> int:
    """Contest what it names; 1, or 0 where that was done."""
    appeal = Appeal.objects.select_for_update(of=("self",)).select_related("report").get(pk=appeal_id)
    if appeal.matched_at is not None:
        return 0
    found = contested.contested_by(appeal.report)
    for made in found:
        was_upheld = Contest.objects.filter(assessment=made, outcome="upheld").exists()
        contest, _ = Contest.objects.get_or_create(appeal=appeal, assessment=made)
        if not was_upheld:  # what was upheld once is opened again by a person, not by whoever asks again
            _open_review(contest)
    appeal.matched_at = timezone.now()
    appeal.save(update_fields=["matched_at"])
    _tell("appeal.opened", appeal, SYSTEM, details={"report": str(appeal.report_id), "contests": len(found)})
    return 1


@transaction.atomic
def contest_assessment(person: Person, appeal_id: Any, made: Assessment) -> Contest:
    """A person says which decision is meant, or that one that was upheld before is looked at again."""
    appeal = _live(appeal_id)
    if made.standing != Standing.IN_FORCE:
        raise WrongState("it does not count any more", mend="contest the one that does")
    found, _ = Contest.objects.get_or_create(appeal=appeal, assessment=made)
    if found.outcome or found.review_id is not None:
        raise WrongState("this appeal contests it already")
    _open_review(found)
    _tell("appeal.contested", appeal, str(person.pk), details={"assessment": str(made.pk)})
    return found


def _open_review(found: Contest) -> None:
    """One open review of a cluster, whoever appeals and how often; never more urgent than another."""
    old = found.assessment.review
    review, _ = Review.objects.get_or_create(
        cluster=old.cluster,
        purpose=Purpose.REVISION.value,
        state__in=_OPEN,
        defaults={
            "of": old, "urgency": 0, "rank": 3, "why": [], "severity": old.severity, "category": old.category,
            "received_at": found.appeal.report.received_at,
        },
    )  # fmt: skip
    found.review = review
    found.save(update_fields=["review"])


@transaction.atomic
def uphold(person: Person, contest_id: Any, reason: str) -> Contest:
    """The assessment stands: by somebody else than its authors, who needs not look at the file again."""
    if reason not in UPHOLD_REASONS:
        raise InputError("no such reason", where="reason", mend=", ".join(UPHOLD_REASONS))
    found = Contest.objects.select_for_update(of=("self",)).select_related("assessment", "review").get(pk=contest_id)
    _live(found.appeal_id)
    if found.outcome:
        raise WrongState("it is decided already")
    if access.has_assessed(person, found.assessment.cluster_id):
        raise NotAllowed("somebody else decides it", mend="ask a colleague")
    if found.review is not None and _is_decided_by_another(found.review, person):
        raise WrongState("a colleague is deciding it", mend="wait for their answers")
    _end(found, "upheld", person, reason)
    _close_reviews([found.review_id])
    return found


def _is_decided_by_another(review: Review, person: Person) -> bool:
    """Somebody else holds it, or has handed in what can still be undone."""
    is_held = review.state == State.CLAIMED and review.lease_until is not None and review.lease_until > timezone.now()
    return (is_held and review.claimed_by_id != person.pk) or review.state == State.DECIDED


def end_contests(made: Assessment) -> None:
    """Called when an assessment comes into force, or stands beside: what it decides of the appeals against another.

    A revision, for whatever reason, changes what was contested. The same answers in an appeal's review let it stand.
    """
    live = Contest.objects.select_for_update().filter(outcome="")
    if made.revises_id is not None:
        concerned, outcome = live.filter(assessment=made.revises_id), "changed"
    elif made.review.purpose == Purpose.REVISION:
        concerned, outcome = live.filter(review=made.review_id), "upheld"
    else:
        return
    ended = list(concerned.order_by("pk"))
    for one in ended:
        one.ended_by = made
        _end(one, outcome, made.by, "assessed-again")
    _close_reviews([one.review_id for one in ended if one.review_id != made.review_id])


def _end(found: Contest, outcome: str, person: Person, reason: str) -> None:
    found.outcome, found.reason = outcome, reason
    found.decided_by, found.decided_at = person, timezone.now()
    found.save(update_fields=["outcome", "reason", "decided_by", "decided_at", "ended_by"])
    details = {"assessment": str(found.assessment_id), **({"by": str(found.ended_by_id)} if found.ended_by_id else {})}
    _tell(f"appeal.{outcome}", found.appeal, str(person.pk), reason=reason, details=details)


def _close_reviews(review_ids: Sequence[Any]) -> None:
    """Those that no other appeal waits for: nobody needs to look any more."""
    left = Review.objects.select_for_update().filter(pk__in=[one for one in review_ids if one], state__in=_OPEN)
    for review in left:
        if not review.contests.filter(outcome="").exists():
            review.state, review.decided_at = State.SET_ASIDE.value, timezone.now()
            review.claimed_by, review.lease_until = None, None
            review.save(update_fields=["state", "decided_at", "claimed_by", "lease_until"])


@transaction.atomic
def answer_appeal(person: Person, appeal_id: Any, told: str, text: str = "") -> Appeal:
    """Once everything it contests is decided. `told` is all that the appellant learns, beside a text of the office's.

    `examined` says neither whether a decision was there nor what became of it; the other two are for somebody who was
    told of the decision. Which of them it is, a person chooses: no decision is told by a machine.
    """
    if told not in TOLD:
        raise InputError("no such answer_appeal", where="told", mend=", ".join(TOLD))
    appeal = _live(appeal_id)
    if appeal.matched_at is None or appeal.contests.filter(outcome="").exists():
        raise WrongState("a decision of it is open", mend="decide that first")
    report = appeal.report
    if text.strip():
        reports.post_message(report, text=text, actor=str(person.pk), from_reporter=False)
    reports.change_state(
        person, report.pk, ReportState.CLOSED, Reason.ASSESSED, seen=ReportState(report.state), outcome=Outcome(told)
    )
    appeal.answered_at, appeal.answered_by = timezone.now(), person
    appeal.save(update_fields=["answered_at", "answered_by"])
    _tell("appeal.answered", appeal, str(person.pk), reason=told)
    return appeal


def _live(appeal_id: Any) -> Appeal:
    appeal = Appeal.objects.select_for_update(of=("self",)).select_related("report").get(pk=appeal_id)
    if appeal.answered_at is not None:
        raise WrongState("it is answered")
    return appeal


def _tell(act: str, appeal: Appeal, actor: str, *, reason: str = "none", details: dict[str, Any] | None = None) -> None:
    record(act, actor=actor, object_kind="appeal", object_id=str(appeal.pk), reason=reason, details=details)
