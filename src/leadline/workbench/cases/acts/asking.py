"""The lead of a case that somebody may not see is asked to get in touch. Neither case tells anything of itself."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.errors import InputError, NotAllowed, WrongState
from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases import access, overlaps
from leadline.workbench.cases.acts.writing import lock_case, tell, to_write
from leadline.workbench.cases.models import Case, Question
from leadline.workbench.cases.states import ANSWERS


@transaction.atomic
def ask_leads(by: Person, case_id: Any) -> list[Question]:
    """Of every other case that holds the same and that they may not see. Their own case's line does not say which."""
    case = to_write(by, case_id)
    waiting = set(case.asked.filter(answered_at__isnull=True).values_list("to_case", flat=True))
    others = [pk for pk in overlaps.hidden_from(Actor.of_person(by), case) if pk not in waiting]
    if not others:
        raise WrongState("there is nobody to ask, or they are asked already", where=case.number)
    now = timezone.now()
    made = [Question.objects.create(from_case=case, to_case_id=pk, asked_by=by, asked_at=now) for pk in others]
    tell("case.asked-others", case, by)
    for one in made:
        tell("case.asked", Case.objects.get(pk=one.to_case_id), by, details={"question": str(one.pk)})
    return made


@transaction.atomic
def answer(by: Person, question_id: Any, word: str) -> Question:
    """By the lead of the case that was asked, in a code: what there is to say they say to the person."""
    question = Question.objects.select_for_update().get(pk=question_id)
    case = lock_case(question.to_case_id)
    if not access.is_lead(by, case):
        raise NotAllowed("its lead answers", where=case.number)
    if question.answered_at is not None:
        raise WrongState("is answered already", where=case.number)
    if word not in ANSWERS:
        raise InputError("no such answer", where="answer", mend=", ".join(ANSWERS))
    question.answer, question.answered_by, question.answered_at = word, by, timezone.now()
    question.save(update_fields=["answer", "answered_by", "answered_at"])
    tell("case.answered", case, by, reason=word, details={"question": str(question.pk)})
    tell("case.was-answered", Case.objects.get(pk=question.from_case_id), None, reason=word)
    return question


def set_red_hints(by: Person, *, is_on: bool, legal_basis: str) -> None:
    """Whether a TLP:RED case makes itself known to people who may not see it."""
    if not legal_basis.strip():
        raise InputError("say why", where="legal basis")
    set_office_setting(by, access.RED_HINTS, "yes" if is_on else "no", legal_basis)
