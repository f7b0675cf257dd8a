"""A report moves from state to state: guarded, reason-coded, append-only."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.errors import WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.reports.models import Report, StateChange
from leadline.workbench.reports.states import OF_APPEALS, OPEN, WAITS_AT_MOST, Outcome, Reason, State, reasons_for


@transaction.atomic
def change_state(
    by: Person | None,
    report_id: Any,
    to: State,
    reason: Reason,
    *,
    seen: State,
    outcome: Outcome | None = None,
    same_as: Report | None = None,
) -> Report:
    """Move a report; `by` None is the worker. WrongState where it is not in the state that was seen, or may not go.

    outcome  needed to close, refused elsewhere
    same_as  of a duplicate: the report that goes on
    """
    report = Report.objects.select_for_update().get(pk=report_id)
    if report.state != seen:
        raise WrongState("the report has moved on", where=report.number, mend="look at it again")
    if to is State.DUPLICATE:
        if same_as is None or same_as.pk == report.pk or same_as.attached_to_id is not None:
            raise WrongState("name the report that goes on", where=report.number)
        report.attached_to = same_as
    if to is State.TRIAGE and by is not None:
        report.assigned_to = by
    move(report, to, reason, SYSTEM if by is None else str(by.pk), outcome)
    return report


def move(report: Report, to: State, reason: Reason, actor: str, outcome: Outcome | None = None) -> None:
    """The one place where a state changes: guarded, reason-coded, with its line. Call it under the row's lock."""
    if reason not in reasons_for(State(report.state), to):
        raise WrongState("a report does not go there for this reason", where=report.number)
    if (to is State.CLOSED) != (outcome is not None):
        raise WrongState("closing needs an outcome, and nothing else has one", where=report.number)
    if outcome is not None and (outcome in OF_APPEALS) != report.is_appeal:
        raise WrongState("appeals have outcomes of their own", where=report.number)
    before, now = report.state, timezone.now()
    report.state, report.is_open, report.outcome = to.value, to in OPEN, outcome or ""
    report.closed_at = None if report.is_open else now
    report.due_at = now + WAITS_AT_MOST[to] if to in WAITS_AT_MOST else None
    if to is State.REOPENED:
        report.attached_to = None
    if not report._state.adding:
        report.save()
    event = record(
        "appeal.state" if report.is_appeal else "report.state",  # of appeals no program outside is told
        actor=actor,
        object_kind="report",
        object_id=str(report.id),
        reason=reason.value,
        details={"from": before, "to": to.value, **({"outcome": outcome.value} if outcome else {})},
    )
    StateChange.objects.create(
        report=report,
        at=now,
        actor=actor,
        from_state=before,
        to_state=to.value,
        reason=reason.value,
        outcome=outcome or "",
        journal_line=event.line,
    )
