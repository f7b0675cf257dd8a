"""Tasks, notes that are never changed, and the timeline of all of it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from leadline.domain import Tlp
from leadline.errors import InputError, NotAllowed, WrongState
from leadline.workbench import sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases import access, actions, timeline
from leadline.workbench.cases.models import Case, CaseTask, Note
from leadline.workbench.cases.states import MemberRole, TaskState
from leadline.workbench.evidence.actions import rotate_key, set_handling
from leadline.workbench.permissions import Sensitivity

from .conftest import arrive, reported

pytestmark = pytest.mark.django_db
WAITING, DOING, DONE = TaskState.WAITING, TaskState.DOING, TaskState.DONE
MONTH = timedelta(days=30)


def test_a_task_is_given_to_a_working_member_only(case: Case, lead: Person, analyst: Person) -> None:
    with pytest.raises(NotAllowed):
        actions.add_task(lead, case.pk, "made up", assignee=analyst)
    actions.add_member(lead, case.pk, analyst, MemberRole.READER, MONTH)
    with pytest.raises(NotAllowed):
        actions.add_task(lead, case.pk, "made up", assignee=analyst)
    actions.add_member(lead, case.pk, analyst, MemberRole.WORKER, MONTH)
    task = actions.add_task(lead, case.pk, "made up", assignee=analyst, due_on=date(2020, 1, 2))
    (own,) = access.own_tasks(Actor.of_person(analyst))
    assert (own.task, own.text, own.is_late) == (task, "made up", True)
    actions.set_task(analyst, case.pk, task.pk, assignee=None, due_on=None)
    assert access.own_tasks(Actor.of_person(analyst)) == []


def test_a_task_moves_by_its_table_and_an_old_page_moves_nothing(case: Case, lead: Person) -> None:
    task = actions.add_task(lead, case.pk, "made up")
    actions.move_task(lead, case.pk, task.pk, DOING, seen=WAITING)
    with pytest.raises(WrongState):
        actions.move_task(lead, case.pk, task.pk, DONE, seen=WAITING)
    actions.move_task(lead, case.pk, task.pk, DONE, seen=DOING)
    with pytest.raises(WrongState):
        actions.move_task(lead, case.pk, task.pk, DOING, seen=DONE)
    assert CaseTask.objects.get().state == "done"
    assert not access.show_tasks(CaseTask.objects.all())[0].is_late


def test_a_note_is_never_changed_and_a_correction_points_at_it(case: Case, lead: Person) -> None:
    first = actions.add_note(lead, case.pk, "seven of them")
    second = actions.add_note(lead, case.pk, "eight of them", corrects=first.pk)
    shown = access.show_notes(case.notes.all())
    assert [(one.text, one.is_corrected) for one in shown] == [("seven of them", True), ("eight of them", False)]
    assert second.corrects == first
    for change in ({"by": None}, {"at": timezone.now()}, {"corrects": second}):
        with pytest.raises(DatabaseError), transaction.atomic():
            Note.objects.filter(pk=first.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        Note.objects.filter(pk=second.pk).delete()


def test_a_change_of_the_key_reaches_notes_too(case: Case, lead: Person) -> None:
    actions.add_note(lead, case.pk, "made up")
    before = bytes(case.notes.get().text_sealed)
    rotate_key()
    sealing.forget()
    assert bytes(case.notes.get().text_sealed) != before
    assert access.show_notes(case.notes.all())[0].text == "made up"


def test_a_note_corrects_only_notes_of_its_own_case(case: Case, lead: Person) -> None:
    other = actions.open_case(lead, "other")
    note = actions.add_note(lead, other.pk, "made up")
    with pytest.raises(InputError):
        actions.add_note(lead, case.pk, "made up", corrects=note.pk)


def test_the_timeline_is_every_act_in_order_with_what_it_was_about(case: Case, lead: Person) -> None:
    asset = arrive(1)
    actions.add_things(lead, case.pk, [asset])
    actions.add_note(lead, case.pk, "an observation")
    actions.add_task(lead, case.pk, "an errand")
    page = timeline.events_page(Actor.of_person(lead), case, "")
    told = [(event.line.act, event.text) for event in page.rows][::-1]
    assert told == [
        ("case.opened", ""), ("object.granted", ""), ("case.thing-added", ""), ("case.note-added", "an observation"),
        ("case.task-added", "an errand"),
    ]  # fmt: skip
    (thing,) = [event.thing for event in page.rows if event.thing is not None]
    assert (thing.shown, {event.by for event in page.rows}) == (asset.sha256, {"lead"})


def test_the_timeline_shows_nothing_that_the_viewer_may_not_see(lead: Person, senior: Person) -> None:
    hidden = arrive(1)
    set_handling(senior, hidden, Sensitivity.RESTRICTED, Tlp.AMBER, "own-assessment")
    case = actions.open_case(senior, "made up", things=[hidden])
    page = timeline.events_page(Actor.of_person(lead), case, "")
    (thing,) = [event.thing for event in page.rows if event.thing is not None]
    assert (thing.target, thing.shown) == (None, "")


def test_the_timeline_goes_on_over_pages_and_the_chart_counts_all_of_it(case: Case, lead: Person) -> None:
    for _ in range(60):
        actions.add_note(lead, case.pk, "made up")
    first = timeline.events_page(Actor.of_person(lead), case, "")
    second = timeline.events_page(Actor.of_person(lead), case, first.next or "")
    lines = [event.line.line for event in [*first.rows, *second.rows]]
    assert lines == sorted(set(lines), reverse=True)
    assert len(lines) == 62
    chart = timeline.chart_of(case)
    assert sum(bar.count for bar in chart.bars) == 62
    assert (chart.bars[-1].day, chart.most) == (timezone.now().date(), max(bar.count for bar in chart.bars))
    assert reported("https://site.example.net/1")
