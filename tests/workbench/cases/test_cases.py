"""Cases are opened from things, move by their table, and are seen by whom their handling or a membership lets."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from leadline.domain import Tlp
from leadline.errors import ConfigError, InputError, NotAllowed, WrongState
from leadline.workbench.accounts.models import ObjectGrant, OfficeSetting, Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases import access, actions
from leadline.workbench.cases.models import Case, CaseHandling, CaseStateChange, CaseTask, Member, Thing
from leadline.workbench.cases.outlines import outlines, own_folder
from leadline.workbench.cases.states import MemberRole, Outcome, Pap, Reason, State, TaskState
from leadline.workbench.evidence.access import visible_assets
from leadline.workbench.evidence.actions import set_handling
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role, Sensitivity
from leadline.workbench.reports.access import visible_reports
from leadline.workbench.review.models import Cluster
from leadline.workbench.review.models import Member as ClusterMember

from .conftest import again, arrive, reported

pytestmark = pytest.mark.django_db
MONTH = timedelta(days=30)


def seen(person: Person) -> set[str]:
    return set(access.visible_cases(Actor.of_person(again(person))).values_list("number", flat=True))


def close(by: Person, case: Case) -> None:
    actions.change_state(by, case.pk, State.CLOSED, Reason.RESOLVED, seen=State(case.state), outcome=Outcome.NO_ACTION)


# --- opening ---------------------------------------------------------------------------------------------------------


def test_a_case_is_opened_from_a_report_an_item_a_file_or_a_cluster(lead: Person) -> None:
    report, asset, other = reported("https://site.example.net/1"), arrive(1), arrive(2)
    cluster = Cluster.objects.create(centre=other, radius_bits=31)
    ClusterMember.objects.create(cluster=cluster, asset=other, distance=0)
    for target in (report, report.items.get(), asset, cluster):
        case = actions.open_case(lead, "made up", things=[target])
        (thing,) = case.things.all()
        assert getattr(thing, f"{thing.kind}_id") == target.pk
    assert sorted(Case.objects.values_list("number", flat=True)) == [
        f"C-{timezone.now().year}-000{n}" for n in (1, 2, 3, 4)
    ]


def test_what_its_opener_may_not_see_cannot_be_put_in(lead: Person, senior: Person) -> None:
    hidden = arrive(1)
    set_handling(senior, hidden, Sensitivity.RESTRICTED, Tlp.AMBER, "own-assessment")
    with pytest.raises(InputError):
        actions.open_case(lead, "made up", things=[hidden])
    assert not Case.objects.exists()
    with pytest.raises(NotAllowed):
        actions.open_case(Person.objects.create(email="x@example.org", name="x"), "made up")


def test_nothing_that_people_write_stands_in_the_database_or_the_journal(case: Case, lead: Person) -> None:
    actions.add_note(lead, case.pk, "a made-up observation")
    actions.add_task(lead, case.pk, "a made-up errand")
    assert access.title_of(case) == "A made-up case"
    held = [bytes(case.title_sealed), bytes(case.notes.get().text_sealed), bytes(case.tasks.get().text_sealed)]
    told = "".join(Line.objects.values_list("details", flat=True))
    assert not any(word in b"".join(held) for word in (b"made-up", b"observation", b"errand"))
    assert "made-up" not in told


def test_a_template_gives_its_tasks_with_their_days_and_the_case_keeps_its_version(lead: Person) -> None:
    case = actions.open_case(lead, "made up", outline=outlines().newest("seized-device"))
    today = timezone.now().date()
    tasks = access.show_tasks(case.tasks.all())
    assert (case.template, case.template_version) == ("seized-device", 1)
    assert tasks[1].text == "Hash and match the files"
    assert tasks[1].task.due_on == today + timedelta(days=3)


def test_the_office_loads_its_own_templates_and_a_wrong_file_is_named(office: Any, lead: Person) -> None:
    assert [one.id for one in outlines().choices()] == ["reported-site", "seized-device"]
    own_folder().mkdir()
    text = "format: case-template-1\nid: seized-device\nversion: 2\nname: Ours\nsource: us\ntasks: [{text: Call}]\n"
    (own_folder() / "ours.yaml").write_text(text)
    case = actions.open_case(lead, "made up", outline=outlines().newest("seized-device"))
    assert (case.template_version, case.tasks.count()) == (2, 1)
    (own_folder() / "ours.yaml").write_text(text + "more: wrong\n")
    with pytest.raises(ConfigError) as told:
        outlines()
    assert "ours.yaml" in told.value.where


def test_a_version_of_a_template_is_there_once(office: Any) -> None:
    own_folder().mkdir()
    same = Path(access.__file__).parent / "data" / "seized-device-1.yaml"
    (own_folder() / "same.yaml").write_text(same.read_text())
    with pytest.raises(ConfigError, match="there already"):
        outlines()


# --- states ----------------------------------------------------------------------------------------------------------


def test_a_case_moves_by_its_table_with_a_reason_and_closes_with_an_outcome(case: Case, lead: Person) -> None:
    actions.change_state(lead, case.pk, State.SUSPENDED, Reason.WAITS_FOR_PARTNER, seen=State.OPEN)
    with pytest.raises(WrongState):  # an old page
        actions.change_state(lead, case.pk, State.CLOSED, Reason.RESOLVED, seen=State.OPEN, outcome=Outcome.REMOVED)
    for reason, outcome in ((Reason.ANSWERED, Outcome.REMOVED), (Reason.RESOLVED, None)):
        with pytest.raises(WrongState):
            actions.change_state(lead, case.pk, State.CLOSED, reason, seen=State.SUSPENDED, outcome=outcome)
    actions.change_state(lead, case.pk, State.CLOSED, Reason.RESOLVED, seen=State.SUSPENDED, outcome=Outcome.REMOVED)
    case.refresh_from_db()
    assert (case.state, case.outcome, case.closed_at is not None) == ("closed", "removed", True)
    with pytest.raises(WrongState):
        actions.add_note(lead, case.pk, "too late")
    actions.change_state(lead, case.pk, State.OPEN, Reason.NEW_INFORMATION, seen=State.CLOSED)
    actions.add_note(lead, case.pk, "in time")
    steps = list(case.changes.values_list("from_state", "to_state", "reason"))
    assert steps == [
        ("open", "suspended", "waits-for-partner"), ("suspended", "closed", "resolved"),
        ("closed", "open", "new-information"),
    ]  # fmt: skip


def test_a_case_with_open_tasks_does_not_close(case: Case, lead: Person) -> None:
    task = actions.add_task(lead, case.pk, "made up")
    with pytest.raises(WrongState, match="tasks"):
        close(lead, case)
    actions.move_task(lead, case.pk, task.pk, TaskState.DROPPED, seen=TaskState.WAITING)
    close(lead, case)


def test_the_database_keeps_the_history_of_states_and_a_closed_case_its_outcome(case: Case, lead: Person) -> None:
    close(lead, case)
    for change in (
        lambda: CaseStateChange.objects.update(reason="other"),
        lambda: CaseStateChange.objects.all().delete(),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    with pytest.raises(IntegrityError), transaction.atomic():
        Case.objects.filter(pk=case.pk).update(outcome="")


def test_only_its_lead_moves_a_case(case: Case, lead: Person, analyst: Person) -> None:
    actions.add_member(lead, case.pk, analyst, MemberRole.WORKER, MONTH)
    with pytest.raises(NotAllowed):
        close(analyst, case)


# --- handling --------------------------------------------------------------------------------------------------------


def test_stricter_is_the_leads_alone_and_looser_takes_two(case: Case, lead: Person, senior: Person) -> None:
    strict = (Sensitivity.SENSITIVE, Tlp.RED, Pap.RED, "source-asked")
    assert actions.set_handling(lead, case.pk, *strict)
    assert not actions.set_handling(lead, case.pk, Sensitivity.SENSITIVE, Tlp.RED, Pap.GREEN, "source-asked")
    with pytest.raises(NotAllowed):
        actions.decide_handling(lead, case.pk, confirm=True)
    assert Case.objects.get().pap == "red"
    with pytest.raises(IntegrityError), transaction.atomic():
        CaseHandling.objects.update(decided_by=lead, decided_at=timezone.now(), is_confirmed=True)
    actions.decide_handling(senior, case.pk, confirm=True)
    assert Case.objects.get().pap == "green"


def test_tlp_and_sensitivity_say_who_sees_a_case(
    case: Case, lead: Person, analyst: Person, senior: Person, outsider: Person, make_person: Callable[..., Person]
) -> None:
    auditor, key = make_person("auditor", Role.AUDITOR), Actor.of_person(analyst)
    assert [bool(seen(one)) for one in (lead, analyst, senior, outsider, auditor)] == [True, True, True, False, False]
    actions.set_handling(lead, case.pk, Sensitivity.SENSITIVE, Tlp.RED, Pap.AMBER, "source-asked")
    assert [bool(seen(one)) for one in (lead, analyst, senior, outsider, auditor)] == [True, False, True, False, False]
    assert access.find_case(key, case.pk) is None
    Case.objects.update(tlp="green", sensitivity=int(Sensitivity.RESTRICTED))
    assert [bool(seen(one)) for one in (lead, analyst, senior)] == [True, False, True]


# --- members ---------------------------------------------------------------------------------------------------------


def test_membership_grants_the_case_and_what_is_in_it_and_both_end_with_it(senior: Person, analyst: Person) -> None:
    hidden, report = arrive(1), reported("https://site.example.net/1", sensitivity=Sensitivity.RESTRICTED)
    set_handling(senior, hidden, Sensitivity.RESTRICTED, Tlp.AMBER, "own-assessment")
    case = actions.open_case(
        senior, "made up", things=[hidden, report], sensitivity=Sensitivity.RESTRICTED, tlp=Tlp.RED
    )
    assert seen(analyst) == set()
    member = actions.add_member(senior, case.pk, analyst, MemberRole.READER, MONTH)
    actor = Actor.of_person(again(analyst))
    assert seen(analyst) == {case.number}
    assert visible_assets(actor).filter(pk=hidden.pk).exists()
    assert visible_reports(actor).filter(pk=report.pk).exists()
    grant = ObjectGrant.objects.get(person=analyst, object_kind="case")
    assert abs(grant.until - (timezone.now() + MONTH)) < timedelta(minutes=1)
    actions.end_membership(senior, case.pk, member.pk, "work-done")
    assert seen(analyst) == set()
    assert not visible_assets(Actor.of_person(again(analyst))).filter(pk=hidden.pk).exists()
    assert not visible_reports(Actor.of_person(again(analyst))).filter(pk=report.pk).exists()
    assert Line.objects.filter(act="object.grant-ended").count() == 3


def test_a_grant_that_came_another_way_outlives_the_membership(senior: Person, analyst: Person) -> None:
    from leadline.workbench.accounts.actions import grant_object

    hidden = arrive(1)
    set_handling(senior, hidden, Sensitivity.RESTRICTED, Tlp.AMBER, "own-assessment")
    grant_object(senior, analyst, "asset", str(hidden.pk), MONTH)
    case = actions.open_case(senior, "made up", things=[hidden])
    member = actions.add_member(senior, case.pk, analyst, MemberRole.READER, MONTH)
    actions.end_membership(senior, case.pk, member.pk, "work-done")
    assert visible_assets(Actor.of_person(again(analyst))).filter(pk=hidden.pk).exists()


def test_what_comes_in_later_is_granted_to_members_too(senior: Person, analyst: Person) -> None:
    case = actions.open_case(senior, "made up")
    actions.add_member(senior, case.pk, analyst, MemberRole.READER, MONTH)
    hidden = arrive(1)
    set_handling(senior, hidden, Sensitivity.RESTRICTED, Tlp.AMBER, "own-assessment")
    actions.add_things(senior, case.pk, [hidden])
    assert visible_assets(Actor.of_person(again(analyst))).filter(pk=hidden.pk).exists()


def test_nobody_passes_on_what_they_see_by_a_grant(
    case: Case, lead: Person, senior: Person, make_person: Callable[..., Person]
) -> None:
    from leadline.workbench.accounts.actions import grant_object

    hidden, other = arrive(1), make_person("other", Role.ANALYST)
    set_handling(senior, hidden, Sensitivity.RESTRICTED, Tlp.AMBER, "own-assessment")
    grant_object(senior, lead, "asset", str(hidden.pk), MONTH)
    actions.add_things(lead, case.pk, [hidden])
    actions.add_member(lead, case.pk, other, MemberRole.WORKER, MONTH)
    actor = Actor.of_person(again(other))
    assert not visible_assets(actor).filter(pk=hidden.pk).exists()
    (shown,) = access.show_things(actor, case, list(case.things.all()))
    assert (shown.target, shown.shown, shown.labels) == (None, "", ())


def test_who_administers_or_has_no_role_near_evidence_does_not_join(
    case: Case, lead: Person, outsider: Person, make_person: Callable[..., Person]
) -> None:
    refused = [outsider, make_person("both", Role.ADMINISTRATOR, Role.SENIOR)]
    refused += [make_person(role.value, role) for role in (Role.ADMINISTRATOR, Role.AUDITOR, Role.CURATOR)]
    for person in refused:
        with pytest.raises(NotAllowed):
            actions.add_member(lead, case.pk, person, MemberRole.READER, MONTH)
        with pytest.raises(NotAllowed):
            actions.hand_over(lead, case.pk, person, "handed-over")
        assert person not in access.candidates(case)
    assert not ObjectGrant.objects.exclude(person=lead).exists()


def test_only_the_lead_lets_somebody_join_and_nobody_lets_themself(
    case: Case, lead: Person, analyst: Person, senior: Person
) -> None:
    for by, person in ((analyst, analyst), (analyst, senior), (senior, analyst), (lead, lead)):
        with pytest.raises(NotAllowed):
            actions.add_member(by, case.pk, person, MemberRole.WORKER, MONTH)
    actions.add_member(lead, case.pk, analyst, MemberRole.WORKER, MONTH)
    with pytest.raises(NotAllowed):
        actions.add_member(analyst, case.pk, senior, MemberRole.WORKER, MONTH)


def test_a_membership_ends_by_itself_with_its_day(case: Case, lead: Person, analyst: Person) -> None:
    actions.set_handling(lead, case.pk, Sensitivity.SENSITIVE, Tlp.RED, Pap.AMBER, "source-asked")
    actions.add_member(lead, case.pk, analyst, MemberRole.WORKER, MONTH)
    past = timezone.now() - timedelta(seconds=1)
    ObjectGrant.objects.filter(person=analyst).update(until=past)
    Member.objects.filter(person=analyst).update(until=past)
    assert seen(analyst) == set()
    assert not access.may_write(analyst, case)


def test_a_membership_is_renewed_as_one(case: Case, lead: Person, analyst: Person) -> None:
    for role, days in ((MemberRole.READER, 1), (MemberRole.WORKER, 60)):
        actions.add_member(lead, case.pk, analyst, role, timedelta(days=days))
    (member,) = access.live_members().filter(case=case, person=analyst)
    assert member.role == "worker"
    live = ObjectGrant.objects.filter(person=analyst, until__gt=timezone.now())
    assert [(grant.until - timezone.now()).days for grant in live] == [59]


def test_a_reader_reads_and_writes_nothing(case: Case, lead: Person, analyst: Person, senior: Person) -> None:
    actions.add_member(lead, case.pk, analyst, MemberRole.READER, MONTH)
    for by in (analyst, senior):  # and who is no member at all
        for act in (
            lambda by: actions.add_note(by, case.pk, "made up"),
            lambda by: actions.add_task(by, case.pk, "made up"),
            lambda by: actions.set_title(by, case.pk, "made up"),
            lambda by: actions.add_things(by, case.pk, [arrive(1)]),
            lambda by: actions.ask_leads(by, case.pk),
        ):
            with pytest.raises(NotAllowed):
                act(by)
    assert not Thing.objects.exists()


def test_a_case_is_handed_over_by_its_lead_or_by_a_senior_where_the_lead_is_absent(
    case: Case, lead: Person, analyst: Person, senior: Person, make_person: Callable[..., Person]
) -> None:
    third = make_person("third", Role.ANALYST)
    for by, to in ((analyst, third), (senior, senior), (lead, lead)):
        with pytest.raises(NotAllowed):
            actions.hand_over(by, case.pk, to, "lead-absent")
    actions.hand_over(senior, case.pk, analyst, "lead-absent")
    case.refresh_from_db()
    assert case.lead == analyst
    kept = ObjectGrant.objects.get(person=lead, object_kind="case")
    stays = (kept.until - timezone.now(), Member.objects.get(person=lead).until - timezone.now())
    assert all(timedelta(days=89) < one < timedelta(days=91) for one in stays)
    with pytest.raises(NotAllowed):
        close(lead, case)
    close(analyst, case)


def test_the_lead_leaves_only_after_handing_over(case: Case, lead: Person, analyst: Person) -> None:
    own = Member.objects.get(case=case, person=lead)
    with pytest.raises(WrongState):
        actions.end_membership(lead, case.pk, own.pk, "conflict")
    actions.hand_over(lead, case.pk, analyst, "handed-over")
    with pytest.raises(NotAllowed):
        actions.end_membership(lead, case.pk, Member.objects.get(case=case, person=analyst).pk, "conflict")
    actions.end_membership(lead, case.pk, own.pk, "conflict")
    assert not access.may_write(lead, case)


def test_in_an_office_of_one_person_they_lead_although_they_administer_it(make_person: Callable[..., Person]) -> None:
    person = make_person("alone", Role.ADMINISTRATOR, Role.SENIOR)
    assert not access.may_join(again(person))
    OfficeSetting.objects.create(name="one-person-office", value="yes", legal_basis="made up", set_by=person)
    assert access.may_join(again(person))
    case = actions.open_case(person, "made up", tlp=Tlp.RED)
    assert actions.set_handling(person, case.pk, Sensitivity.SENSITIVE, Tlp.GREEN, Pap.CLEAR, "source-asked")


# --- things ----------------------------------------------------------------------------------------------------------


def test_a_thing_is_in_a_case_once_and_taken_out_with_a_reason(case: Case, lead: Person) -> None:
    asset = arrive(1)
    (thing,) = actions.add_things(lead, case.pk, [asset])
    assert actions.add_things(lead, case.pk, [asset]) == []
    with pytest.raises(InputError):
        actions.take_out(lead, case.pk, thing.pk, "because")
    actions.take_out(lead, case.pk, thing.pk, "not-related")
    assert not access.live_things(case).exists()
    assert [line.reason for line in Line.objects.filter(act="case.thing-removed")] == ["not-related"]
    actions.add_things(lead, case.pk, [asset])
    assert Thing.objects.count() == 2
    with pytest.raises(IntegrityError), transaction.atomic():
        Thing.objects.filter(removed_at__isnull=True).update(report=reported("https://site.example.net/2"))


def test_every_act_writes_one_line_about_the_case(case: Case, lead: Person, analyst: Person) -> None:
    before = Line.objects.count()
    actions.add_note(lead, case.pk, "made up")
    line = Line.objects.order_by("line").last()
    assert line is not None
    assert (Line.objects.count() - before, line.object_kind, line.object_id) == (1, "case", str(case.pk))
    assert json.loads(line.details) == {"note": str(case.notes.get().pk)}
    assert CaseTask.objects.count() == 0
    assert connection.in_atomic_block
