"""Tasks and notes of a case."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.errors import InputError, NotAllowed, WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.cases import access, contents
from leadline.workbench.cases.acts.writing import tell, to_write
from leadline.workbench.cases.models import Case, CaseTask, Note
from leadline.workbench.cases.states import TASK_STEPS, MemberRole, TaskState


@transaction.atomic
def add_task(
    by: Person, case_id: Any, text: str, *, assignee: Person | None = None, due_on: date | None = None
) -> CaseTask:
    case, task_id = to_write(by, case_id), uuid.uuid4()
    _check_assignee(case, assignee)
    task = CaseTask.objects.create(
        id=task_id,
        case=case,
        text_sealed=contents.seal_text(text, contents.task_context(task_id), contents.MAX_TASK_CHARS),
        assignee=assignee,
        due_on=due_on,
        made_by=str(by.pk),
        made_at=timezone.now(),
    )
    tell("case.task-added", case, by, details={"task": str(task.pk), **_with(assignee)})
    return task


@transaction.atomic
def move_task(by: Person, case_id: Any, task_id: Any, to: TaskState, *, seen: TaskState) -> CaseTask:
    case = to_write(by, case_id)
    task = _task(case, task_id)
    if task.state != seen or to not in TASK_STEPS[TaskState(task.state)]:
        raise WrongState("the task has moved on, or does not go there", where=case.number, mend="look at it again")
    before, task.state = task.state, to.value
    task.save(update_fields=["state"])
    tell("case.task-moved", case, by, details={"task": str(task.pk), "from": before, "to": to.value})
    return task


@transaction.atomic
def set_task(by: Person, case_id: Any, task_id: Any, *, assignee: Person | None, due_on: date | None) -> CaseTask:
    """Who does it, and by which day."""
    case = to_write(by, case_id)
    task = _task(case, task_id)
    _check_assignee(case, assignee)
    task.assignee, task.due_on = assignee, due_on
    task.save(update_fields=["assignee", "due_on"])
    said = {"task": str(task.pk), **_with(assignee), **({"due": due_on.isoformat()} if due_on else {})}
    tell("case.task-set", case, by, details=said)
    return task


def _task(case: Case, task_id: Any) -> CaseTask:
    task = CaseTask.objects.select_for_update().filter(case=case, pk=task_id).first()
    if task is None:
        raise WrongState("there is no such task", where=case.number)
    return task


def _check_assignee(case: Case, assignee: Person | None) -> None:
    if assignee is None:
        return
    member = access.member_of(assignee, case)
    if member is None or member.role != MemberRole.WORKER:
        raise NotAllowed("a task is given to a working member", where=case.number, mend="let them join first")


def _with(assignee: Person | None) -> dict[str, str]:
    return {"assignee": str(assignee.pk)} if assignee else {}


@transaction.atomic
def add_note(by: Person, case_id: Any, text: str, *, corrects: Any = None) -> Note:
    """Nothing is ever changed: `corrects` names the note that this one puts right."""
    case, note_id = to_write(by, case_id), uuid.uuid4()
    old = Note.objects.filter(case=case, pk=corrects).first() if corrects else None
    if corrects and old is None:
        raise InputError("no such note in this case", where="corrects")
    sealed = contents.seal_text(text, contents.note_context(note_id), contents.MAX_NOTE_CHARS)
    note = Note.objects.create(id=note_id, case=case, by=by, at=timezone.now(), text_sealed=sealed, corrects=old)
    said = {"note": str(note.pk), **({"corrects": str(old.pk)} if old else {})}
    tell("case.note-corrected" if old else "case.note-added", case, by, details=said)
    return note
