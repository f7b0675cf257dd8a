"""A case is opened, moves from state to state, and is shown to more people only by two."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from leadline.domain import Tlp
from leadline.errors import NotAllowed, WrongState
from leadline.workbench.accounts.access import are_two, is_one_person_office, roles_of
from leadline.workbench.accounts.models import Person
from leadline.workbench.cases import access, contents
from leadline.workbench.cases.acts.members import enter_lead
from leadline.workbench.cases.acts.things import put_in
from leadline.workbench.cases.acts.writing import lock_case, refuse_closed, tell, to_lead, to_write
from leadline.workbench.cases.models import Case, CaseHandling, CaseSeries, CaseStateChange, CaseTask
from leadline.workbench.cases.outlines import Outline
from leadline.workbench.cases.states import (
    PAP_ORDER,
    TLP_ORDER,
    TRANSITIONS,
    Outcome,
    Pap,
    Reason,
    State,
)
from leadline.workbench.permissions import EVIDENCE_ROLES, Sensitivity


@transaction.atomic
def open_case(
    by: Person,
    title: str,
    *,
    things: Iterable[Any] = (),
    outline: Outline | None = None,
    tlp: Tlp = Tlp.AMBER_STRICT,
    pap: Pap = Pap.AMBER,
    sensitivity: Sensitivity = Sensitivity.SENSITIVE,
) -> Case:
    """Whoever opens a case leads it. `things`: reports, items, assets and clusters that they may see."""
    case = make_case(by, title, tlp=tlp, pap=pap, sensitivity=sensitivity, outline=outline, actor=str(by.pk))
    put_in(by, case, list(things))
    return case


def make_case(
    lead: Person,
    title: str,
    *,
    tlp: Tlp,
    pap: Pap,
    sensitivity: Sensitivity,
    outline: Outline | None = None,
    actor: str,
    source_key: str | None = None,
    source: str = "",
) -> Case:
    """Inside a transaction. `source_key`, `source`: of a case that is read from a file."""
    if not roles_of(lead) & EVIDENCE_ROLES or not lead.is_active:
        raise NotAllowed("this person comes near no evidence", where="lead", mend="name an analyst or a senior")
    now, case_id = timezone.now(), uuid.uuid4()
    case = Case(id=case_id, number=_next_number(), lead=lead, opened_at=now, source_key=source_key)
    case.title_sealed = contents.seal_text(title, contents.title_context(case_id), contents.MAX_TITLE_CHARS)
    if source:
        case.source_sealed = contents.seal_text(source, contents.source_context(case_id), 1 << 20)
    case.tlp, case.pap, case.sensitivity = tlp.value, pap.value, int(sensitivity)
    case.template, case.template_version = (outline.id, outline.version) if outline else ("", None)
    case.save(force_insert=True)
    details: dict[str, Any] = {"tlp": _code(tlp.value), "pap": pap.value, "sensitivity": int(sensitivity)}
    if outline is not None:
        details |= {"template": outline.id, "version": outline.version}
    tell("case.opened", case, actor, reason="from-file" if source_key else "none", details=details)
    enter_lead(case, lead, actor)
    if outline is not None:
        _make_tasks(case, outline, actor)
    return case


def _make_tasks(case: Case, outline: Outline, actor: str) -> None:
    today = case.opened_at.date()
    for position, task in enumerate(outline.tasks):
        task_id = uuid.uuid4()
        CaseTask.objects.create(
            id=task_id,
            case=case,
            text_sealed=contents.seal_text(_(task.text), contents.task_context(task_id), contents.MAX_TASK_CHARS),
            due_on=None if task.due_days is None else today + timedelta(days=task.due_days),
            made_by=actor,
            made_at=case.opened_at,
            position=position,
        )
    tell("case.tasks-made", case, actor, reason="template", details={"tasks": len(outline.tasks)})


def stand_in_line() -> CaseSeries:
    """Of two cases that are opened at once one waits for the other, until the end of the transaction."""
    year = timezone.now().year
    CaseSeries.objects.get_or_create(year=year)
    return CaseSeries.objects.select_for_update().get(year=year)


def _next_number() -> str:
    """C-2026-0001."""
    series = stand_in_line()
    series.last += 1
    series.save(update_fields=["last"])
    return f"C-{series.year}-{series.last:04d}"


@transaction.atomic
def set_title(by: Person, case_id: Any, title: str) -> Case:
    case = to_write(by, case_id)
    case.title_sealed = contents.seal_text(title, contents.title_context(case.pk), contents.MAX_TITLE_CHARS)
    case.save(update_fields=["title_sealed"])
    tell("case.titled", case, by)
    return case


# --- states ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def change_state(
    by: Person, case_id: Any, to: State, reason: Reason, *, seen: State, outcome: Outcome | None = None
) -> Case:
    """By its lead. WrongState where it is not in the state that was seen, may not go there, or tasks of it are open."""
    case = to_lead(by, case_id)
    if case.state != seen:
        raise WrongState("the case has moved on", where=case.number, mend="look at it again")
    if reason not in TRANSITIONS[State(case.state)].get(to, frozenset()):
        raise WrongState("a case does not go there for this reason", where=case.number, mend="choose another reason")
    if (to is State.CLOSED) != (outcome is not None):
        raise WrongState("closing needs an outcome, and nothing else has one", where=case.number)
    if to is State.CLOSED and case.tasks.filter(state__in=access.OPEN_TASKS).exists():
        raise WrongState("tasks of it are open", where=case.number, mend="do or drop them first")
    before, now = case.state, timezone.now()
    case.state, case.outcome = to.value, outcome.value if outcome else ""
    case.closed_at = now if to is State.CLOSED else None
    case.save(update_fields=["state", "outcome", "closed_at"])
    CaseStateChange.objects.create(
        case=case, at=now, actor=str(by.pk), from_state=before, to_state=to.value, reason=reason.value,
        outcome=case.outcome,
    )  # fmt: skip
    said = {"from": before, "to": to.value, **({"outcome": outcome.value} if outcome else {})}
    tell("case.state", case, by, reason=reason.value, details=said)
    return case


# --- who may see it, and what one may do with it ---------------------------------------------------------------------


@transaction.atomic
def set_handling(by: Person, case_id: Any, sensitivity: Sensitivity, tlp: Tlp, pap: Pap, reason: str) -> bool:
    """Whether it is so now: stricter at once; looser in anything only when somebody else has agreed."""
    case = to_lead(by, case_id)
    refuse_closed(case)
    if case.handlings.filter(decided_at__isnull=True).exists():
        raise WrongState("a change waits for a second person already", where=case.number, mend="decide that first")
    if _is_looser(case, sensitivity, tlp, pap) and not is_one_person_office():
        asked = case.handlings.create(
            sensitivity=int(sensitivity), tlp=tlp.value, pap=pap.value, reason=reason, asked_by=by,
            asked_at=timezone.now(),
        )  # fmt: skip
        said = {"row": asked.pk, **_said(sensitivity, tlp, pap)}
        tell("case.handling-asked", case, by, reason=reason, details=said)
        return False
    _set(by, case, sensitivity, tlp, pap, reason)
    return True


def _is_looser(case: Case, sensitivity: Sensitivity, tlp: Tlp, pap: Pap) -> bool:
    is_tlp_looser = TLP_ORDER.index(tlp.value) < TLP_ORDER.index(case.tlp)
    return sensitivity < case.sensitivity or is_tlp_looser or PAP_ORDER.index(pap.value) < PAP_ORDER.index(case.pap)


@transaction.atomic
def decide_handling(by: Person, case_id: Any, *, confirm: bool) -> Case:
    """By a second person who may release evidence: the view asks for that. Never by who asked."""
    case = lock_case(case_id)
    asked = CaseHandling.objects.select_for_update().filter(case=case, decided_at__isnull=True).first()
    if asked is None:
        raise WrongState("there is nothing to decide", where=case.number)
    if confirm and (asked.asked_by_id == by.pk or not are_two(asked.asked_by, by)):
        raise NotAllowed("a second person decides", where=case.number, mend="ask a colleague")
    asked.decided_by, asked.decided_at, asked.is_confirmed = by, timezone.now(), confirm
    asked.save(update_fields=["decided_by", "decided_at", "is_confirmed"])
    if confirm:
        _set(by, case, Sensitivity(asked.sensitivity), Tlp(asked.tlp), Pap(asked.pap), asked.reason)
    else:
        tell("case.handling-refused", case, by, reason=asked.reason, details={"row": asked.pk})
    return case


def _set(by: Person, case: Case, sensitivity: Sensitivity, tlp: Tlp, pap: Pap, reason: str) -> None:
    case.sensitivity, case.tlp, case.pap = int(sensitivity), tlp.value, pap.value
    case.save(update_fields=["sensitivity", "tlp", "pap"])
    tell("case.handling-set", case, by, reason=reason, details=_said(sensitivity, tlp, pap))


def _said(sensitivity: Sensitivity, tlp: Tlp, pap: Pap) -> dict[str, Any]:
    return {"sensitivity": int(sensitivity), "tlp": _code(tlp.value), "pap": pap.value}


def _code(tlp: str) -> str:
    return tlp.replace("+", "-")
