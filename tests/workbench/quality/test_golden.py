"""Golden items: two people agree on the answers, somebody else is handed them untold, and nobody is counted by them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from leadline.domain import Kind
from leadline.errors import InputError, NotAllowed, WrongState
from leadline.workbench.accounts.models import Invitation, OfficeSetting, Person, RoleGrant
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role
from leadline.workbench.quality import access, actions
from leadline.workbench.quality.models import GoldenAnswer, GoldenItem, Handout
from leadline.workbench.reports.models import Item, Report
from leadline.workbench.review import access as review_access
from leadline.workbench.review import actions as reviews
from leadline.workbench.review.models import Assessment, Coverage, Exposure, Level, Purpose, Review, Shift

from .conftest import ANSWERS, OTHER, aged, decide, golden_set, settled, take

pytestmark = pytest.mark.django_db
Make = Callable[..., GoldenItem]
FACTS = ("leadline-facts", 1)


@pytest.fixture
def unanswered(arrive: Callable[..., Asset], senior: Person) -> GoldenItem:
    return actions.put_in(senior, golden_set(senior), arrive(1))


@pytest.fixture
def handed(make_golden: Make, arrive: Callable[..., Asset], analyst: Person, drawing: Callable[..., None]) -> Review:
    """A golden item that the analyst's last decision drew, in their queue."""
    make_golden(1)
    arrive(2)
    drawing(golden=100)
    decide(analyst)
    assert actions.draw() == 1
    return Review.objects.get(purpose="golden")


# --- agreed on -------------------------------------------------------------------------------------------------------


def test_an_item_counts_once_two_people_gave_the_same_answers_without_reading_them(
    unanswered: GoldenItem, senior: Person, second_lead: Person
) -> None:
    actions.answer(Actor.of_person(senior), unanswered, ANSWERS)
    unanswered.refresh_from_db()
    assert unanswered.agreed_at is None
    assert access.answers_shown(unanswered, second_lead) == []
    actions.answer(Actor.of_person(second_lead), unanswered, ANSWERS)
    unanswered.refresh_from_db()
    assert unanswered.agreed_at is not None
    assert GoldenAnswer.objects.filter(is_agreed=True).count() == 2
    assert len(access.answers_shown(unanswered, second_lead)) == 2


def test_answers_that_differ_are_shown_to_both_and_given_again(
    unanswered: GoldenItem, senior: Person, second_lead: Person
) -> None:
    actions.answer(Actor.of_person(senior), unanswered, ANSWERS)
    actions.answer(Actor.of_person(second_lead), unanswered, OTHER)
    unanswered.refresh_from_db()
    assert unanswered.agreed_at is None
    assert len(access.answers_shown(unanswered, senior)) == 2
    actions.answer(Actor.of_person(senior), unanswered, OTHER)
    unanswered.refresh_from_db()
    assert unanswered.agreed_at is not None
    agreed = access.agreed_answers(unanswered)
    assert agreed is not None
    assert agreed.answers == OTHER
    with pytest.raises(WrongState):
        actions.answer(Actor.of_person(senior), unanswered, ANSWERS)


def test_an_account_of_ones_own_making_is_no_second_person(
    unanswered: GoldenItem, senior: Person, make_person: Callable[..., Person]
) -> None:
    alias = make_person("alias")
    Invitation.objects.create(token_hash="x", until=timezone.now(), invited_by=senior, used_by=alias)
    RoleGrant.objects.create(person=alias, role=Role.SENIOR, given_by=senior, is_active=True)
    for person in (senior, alias):
        actions.answer(Actor.of_person(person), unanswered, ANSWERS)
    unanswered.refresh_from_db()
    assert unanswered.agreed_at is None


def test_in_an_office_of_one_person_one_answer_counts_and_says_so(unanswered: GoldenItem, senior: Person) -> None:
    OfficeSetting.objects.create(name="one-person-office", value="yes", legal_basis="t", set_by=senior)
    made = actions.answer(Actor.of_person(senior), unanswered, ANSWERS)
    unanswered.refresh_from_db()
    assert unanswered.agreed_at is not None
    assert made.is_alone


def test_a_lead_asks_a_colleague_who_alone_reads_of_it(
    unanswered: GoldenItem, senior: Person, analyst: Person, other: Person
) -> None:
    assert access.find_item(Actor.of_person(analyst), unanswered.pk) is None
    with pytest.raises(NotAllowed):
        actions.answer(Actor.of_person(analyst), unanswered, ANSWERS)
    actions.ask(senior, unanswered, analyst)
    assert access.find_item(Actor.of_person(other), unanswered.pk) is None
    assert access.asked_of(Actor.of_person(analyst)) == [unanswered]
    actions.answer(Actor.of_person(senior), unanswered, ANSWERS)
    actions.answer(Actor.of_person(analyst), unanswered, ANSWERS)
    unanswered.refresh_from_db()
    assert unanswered.agreed_at is not None
    assert access.asked_of(Actor.of_person(analyst)) == []


def test_answers_must_be_whole(unanswered: GoldenItem, senior: Person) -> None:
    with pytest.raises(InputError):
        actions.answer(Actor.of_person(senior), unanswered, {"depiction": ["drawn"]})


def test_looking_at_an_item_is_a_claim_like_any_and_on_record(unanswered: GoldenItem, senior: Person) -> None:
    actor = Actor.of_person(senior)
    with pytest.raises(WrongState):
        actions.look(actor, unanswered)  # no shift
    reviews.begin_shift(senior, session="session")
    review = actions.look(actor, unanswered)
    look = reviews.grant(senior, review, unanswered.asset, Level.LENS, "session")
    reviews.show(senior, look.pk, "session")
    assert Exposure.objects.get().purpose == "reference"
    assert review_access.claimed_by(actor) is None  # the queue goes on beside it
    assert not review_access.queue(actor).filter(purpose="reference").exists()
    actions.answer(actor, unanswered, ANSWERS)
    with pytest.raises(WrongState):
        reviews.show(senior, look.pk, "session")


@pytest.mark.parametrize("how", ["set-aside", "no-picture", "near-illegal", "twice"])
def test_what_would_burden_or_be_recognised_is_not_put_in(
    how: str, arrive: Callable[..., Asset], senior: Person, make_bank: Any, exact: Any
) -> None:
    if how == "set-aside":
        make_bank("known", exact(1))
    asset, golden = arrive(1), golden_set(senior)
    if how == "no-picture":
        Asset.objects.filter(pk=asset.pk).update(width=0)
    if how == "near-illegal":
        asset.matches.create(
            bank="b", entry=1, kind="illegal", algorithm="pdq", distance=20, threshold=31, list_version=1,
            found_at=timezone.now(),
        )  # fmt: skip
    if how == "twice":
        actions.put_in(senior, golden, asset)
    asset.refresh_from_db()
    with pytest.raises((InputError, WrongState)):
        actions.put_in(senior, golden, asset)


# --- handed out ------------------------------------------------------------------------------------------------------


def test_it_lies_in_one_persons_queue_and_looks_like_any_decision(
    handed: Review, analyst: Person, other: Person, senior: Person
) -> None:
    assert handed.told_purpose == "decision"
    assert list(review_access.queue(Actor.of_person(analyst))) == [handed]
    for person in (other, senior):
        assert not review_access.queue(Actor.of_person(person)).exists()
        assert review_access.find_review(Actor.of_person(person), handed.pk) is None
    assert handed.assigned_to is None
    assert handed.category == "unknown"


def test_as_many_are_handed_out_as_the_office_says(
    make_golden: Make, arrive: Callable[..., Asset], analyst: Person, drawing: Callable[..., None]
) -> None:
    make_golden(1)
    arrive(2)
    drawing(golden=0)
    decide(analyst)
    assert actions.draw() == 0
    drawing(golden=100)
    assert actions.draw() == 1
    assert actions.draw() == 0  # the same decision draws once


def test_the_answers_are_no_decision_and_count_for_no_file(
    handed: Review, make_golden: Make, analyst: Person, senior: Person
) -> None:
    before, lines = review_access.teams_of([timezone.now() - timedelta(days=1)])[0], set(Line.objects.values_list("line"))
    review = take(analyst)
    assert review == handed
    look = reviews.grant(analyst, handed, handed.subject, Level.WHOLE, "session")
    reviews.show(analyst, look.pk, "session")
    made = settled(reviews.hand_in(analyst, handed.pk, handed.subject, ANSWERS))
    assert made.standing == "trial"
    assert not Coverage.objects.filter(assessment=made).exists()
    assert review_access.teams_of([timezone.now() - timedelta(days=1)])[0] == before
    assert not review_access.outcomes_for(analyst).exists()
    acts = set(Line.objects.exclude(line__in=[line for (line,) in lines]).values_list("act", flat=True))
    assert acts == {"review.claimed", "asset.revealed", "golden.answered"}
    with pytest.raises(WrongState):
        reviews.propose_entry(Actor.of_person(senior), made.pk, "own", Kind.OTHER)
    with pytest.raises(WrongState):
        reviews.revise(senior, made.pk, "mistake", OTHER)


def test_the_look_is_in_the_ledger_as_any_other_and_in_exposure_saved_of_no_decision(
    make_golden: Make, arrive: Callable[..., Asset], analyst: Person, other: Person, drawing: Callable[..., None]
) -> None:
    asset = arrive(3)
    decide(other)  # without a look
    item = golden_of(asset, make_golden)
    arrive(2)
    drawing(golden=100)
    decide(analyst)
    actions.draw()
    review = take(analyst)
    assert review is not None
    assert review.subject == item.asset
    reviews.show(analyst, reviews.grant(analyst, review, asset, Level.WHOLE, "session").pk, "session")
    told = review_access.teams_of([timezone.now() - timedelta(days=1)])[0]
    assert (told.decided, told.without_reveal) == (2, 2)
    assert review_access.seen_of(asset) == "whole"
    assert review_access.spent_today(analyst, timezone.now()) > 0


def golden_of(asset: Asset, make_golden: Make) -> GoldenItem:
    """A file that was decided, put in afterwards."""
    item = make_golden(1)
    GoldenItem.objects.filter(pk=item.pk).update(asset=asset)
    return GoldenItem.objects.get(pk=item.pk)


@pytest.mark.parametrize("who", ["put-in", "answered", "asked", "handed", "decided", "shown", "never"])
def test_nobody_gets_what_they_had_to_do_with(
    who: str, make_golden: Make, analyst: Person, other: Person, senior: Person
) -> None:
    item = make_golden(1)
    assert actions_for(analyst) == [item]
    review = Review.objects.get(cluster__centre=item.asset)
    if who == "put-in":
        GoldenItem.objects.update(put_in_by=analyst)
    elif who == "answered":
        GoldenAnswer.objects.create(item=item, by=analyst, scheme=FACTS[0], scheme_version=1, answers=OTHER)
    elif who == "asked":
        GoldenItem.objects.update(asked=analyst)
    elif who == "handed":
        Handout.objects.create(item=item, person=analyst, review=review, drawn_by=review, asset=item.asset)
    elif who == "decided":
        now = timezone.now()
        Assessment.objects.create(
            review=review, cluster=review.cluster, by=analyst, made_at=now, effective_at=now, scheme=FACTS[0],
            scheme_version=1, answers=ANSWERS, standing="superseded",
        )  # fmt: skip
    elif who == "shown":
        shift = Shift.objects.create(
            person=analyst, began_at=timezone.now(), planned_minutes=60, working_since=timezone.now()
        )
        Exposure.objects.create(
            person=analyst, asset=item.asset, review=review, shift=shift, level="tile", purpose="decision",
            severity=1, issued_at=timezone.now(), until=timezone.now(), session_hash="x",
        )  # fmt: skip
    else:
        reviews.never_again(analyst, item.asset)
    assert actions_for(analyst) == []
    assert actions_for(other) == [item]


def actions_for(person: Person) -> list[GoldenItem]:
    from leadline.workbench.quality.acts.drawing import items_for

    return items_for(person)


@pytest.mark.parametrize("why", ["not-agreed", "withdrawn", "ended", "known", "other-questions", "not-cleared"])
def test_what_does_not_count_is_not_handed_out(why: str, make_golden: Make, analyst: Person, senior: Person) -> None:
    item = make_golden(1)
    if why == "not-agreed":
        GoldenItem.objects.update(agreed_at=None)
    elif why == "withdrawn":
        actions.withdraw(senior, item)
    elif why == "ended":
        actions.end_set(senior, item.set_id)
    elif why == "known":
        Asset.objects.update(is_set_aside=True)
    elif why == "other-questions":
        GoldenAnswer.objects.update(scheme_version=2)
    else:
        Asset.objects.update(sensitivity=2)
    assert actions_for(analyst) == []


@pytest.mark.parametrize("way", ["source", "reported"])
def test_what_came_otherwise_than_most_is_not_handed_out(
    way: str, make_golden: Make, arrive: Callable[..., Asset], analyst: Person, other: Person
) -> None:
    """The queue names a file's source, and its card the reports: nine in ten of another kind would tell."""
    item = make_golden(1)
    arrive(2)
    decided = decide(other).cluster.centre
    assert actions_for(analyst) == [item]
    if way == "source":
        Asset.objects.filter(pk=decided.pk).update(source="mail")
    else:
        now = timezone.now()
        report = Report.objects.create(number="R-1", channel="api", received_at=now)
        Item.objects.create(report=report, position=1, kind="file", asset=decided, first_seen_at=now, last_seen_at=now)
    assert actions_for(analyst) == []
    assert access.stand_out([item]) == {item.pk}


def test_it_waits_while_the_same_file_waits_for_a_decision(
    make_golden: Make, arrive: Callable[..., Asset], analyst: Person, drawing: Callable[..., None]
) -> None:
    item = make_golden(1)
    arrive(2)
    drawing(golden=100)
    decide(analyst)
    Review.objects.filter(cluster__centre=item.asset).update(state="waiting")
    assert actions.draw() == 0
    assert not Handout.objects.exists()


def test_the_same_file_in_another_set_is_not_handed_to_a_person_again(
    handed: Review, analyst: Person, senior: Person, second_lead: Person
) -> None:
    item = GoldenItem.objects.get()
    actions.withdraw(senior, item)
    handed.refresh_from_db()
    assert handed.state == "set-aside"
    again = actions.put_in(senior, actions.make_set(senior, "Autumn"), item.asset)
    for lead in (senior, second_lead):
        actions.answer(Actor.of_person(lead), again, ANSWERS)
    assert actions_for(analyst) == []


# --- untold ----------------------------------------------------------------------------------------------------------


def test_for_a_day_it_looks_like_a_decision_to_its_person_and_like_nothing_to_others(
    handed: Review, analyst: Person, senior: Person
) -> None:
    taken = take(analyst)
    assert taken is not None
    reviews.show_tile(analyst, taken, handed.subject, "session")
    made = reviews.hand_in(analyst, handed.pk, handed.subject, OTHER)
    mine, lead = Actor.of_person(analyst), Actor.of_person(senior)
    assert made.told_standing == "pending"
    assert list(review_access.pending_of(analyst)) == [made]
    made = aged(made, seconds=20)
    assert made.told_standing == "in-force"
    assert made in review_access.assessments(mine)
    told = review_access.told_of(made)
    assert [one.asset for one in told.assessed] == [handed.subject]
    assert Exposure.objects.get().told_purpose == "decision"
    assert access.golden_results(analyst) == []
    assert review_access.find_assessment(lead, made.pk) is None
    assert made not in review_access.assessments(lead)
    aged(made, days=1)
    made.refresh_from_db()
    assert made.told_standing == "trial"
    assert made not in review_access.assessments(mine)
    (result,) = access.golden_results(analyst)
    assert [(row.one, row.other) for row in result.rows if not row.is_same] == [("Generated", "Drawn")]
    assert access.golden_results(senior) == []


def test_the_chain_of_the_file_says_nothing_of_it(handed: Review, analyst: Person, senior: Person) -> None:
    reviews.begin_shift(senior, session="session")
    looked = reviews.open_apart(Purpose.REFERENCE, handed.subject, reserved_for=senior)  # as while it was agreed on
    reviews.claim_apart(Actor.of_person(senior), looked.pk)
    reviews.grant(senior, looked, handed.subject, Level.LENS, "session")
    take(analyst)
    reviews.grant(analyst, handed, handed.subject, Level.LENS, "session")
    reasons = Line.objects.filter(object_id=str(handed.subject_id)).values_list("act", "reason")
    assert {reason for act, reason in reasons if act == "asset.revealed"} == {"decision"}
    assert not [act for act, _ in reasons if "golden" in act]
    assert set(Exposure.objects.values_list("purpose", flat=True)) == {"reference", "golden"}


def test_it_can_be_undone_within_ten_seconds_like_any(handed: Review, analyst: Person) -> None:
    take(analyst)
    made = reviews.hand_in(analyst, handed.pk, handed.subject, ANSWERS, note="half a note")
    reviews.undo(analyst, made.pk)
    handed.refresh_from_db()
    assert handed.is_claimed_by(analyst, timezone.now())
    card = review_access.card_of(Actor.of_person(analyst), handed)
    assert (card.draft is not None and card.draft.answers, card.note) == (ANSWERS, "half a note")
    assert not Line.objects.filter(act="assessment.undone").exists()


@pytest.mark.parametrize("how", ["escalate", "assign", "skip"])
def test_what_is_passed_on_ends_there_without_a_word(how: str, handed: Review, analyst: Person, other: Person) -> None:
    take(analyst)
    if how == "escalate":
        reviews.escalate(analyst, handed.pk)
    elif how == "assign":
        reviews.assign(Actor.of_person(analyst), handed.pk, other)
    else:
        reviews.skip(analyst, handed.pk)
    handed.refresh_from_db()
    assert handed.state == "set-aside"
    assert not Assessment.objects.filter(review=handed).exists()


def test_what_nobody_took_in_a_fortnight_ends(handed: Review, analyst: Person) -> None:
    assert actions.end_late() == 0
    Handout.objects.update(at=timezone.now() - timedelta(days=15))
    assert actions.end_late() == 1
    assert not review_access.queue(Actor.of_person(analyst)).exists()


def test_a_second_opinion_on_it_is_not_refused_and_asks_nobody(handed: Review, analyst: Person) -> None:
    take(analyst)
    reviews.second_opinion(analyst, handed.pk)
    assert not Review.objects.filter(purpose="second-opinion").exists()


# --- told ------------------------------------------------------------------------------------------------------------


def test_a_lead_reads_figures_of_questions_and_of_three_people_at_least(
    make_golden: Make, analyst: Person, other: Person, third: Person
) -> None:
    item = make_golden(1)
    for count, person in enumerate((analyst, other, third), start=1):
        trial(item, person, OTHER if person == third else ANSWERS)
        told = {row.text: row for row in access.golden_figures(FACTS)}["Real, drawn or generated"]
        assert told.is_told == (count == 3)
        if count < 3:
            assert (told.answered, told.as_agreed) == (0, 0)
    assert (told.people, told.answered, told.as_agreed, told.percent) == (3, 3, 2, 67)


def trial(item: GoldenItem, person: Person, answers: dict[str, list[str]]) -> Assessment:
    """Answers to a golden item, two days ago."""
    cluster = item.asset.membership.cluster
    drew = Review.objects.create(cluster=cluster, state="decided", category="unknown", received_at=timezone.now())
    review = reviews.hand_out(person, item.asset)
    assert review is not None
    Handout.objects.create(item=item, person=person, review=review, drawn_by=drew, asset=item.asset)
    reviews.begin_shift(person, session="session")
    reviews.claim(Actor.of_person(person), review.pk)
    return aged(reviews.hand_in(person, review.pk, item.asset, answers), days=2)
