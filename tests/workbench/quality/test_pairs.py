"""Second answers, untold and unseen; pairs, and a third person where the two differ."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from leadline.domain import Kind
from leadline.errors import NotAllowed, WrongState
from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.models import Line
from leadline.workbench.quality import access, actions
from leadline.workbench.quality.models import Pair
from leadline.workbench.review import access as review_access
from leadline.workbench.review import actions as reviews
from leadline.workbench.review import to_do
from leadline.workbench.review.models import Assessment, Exposure, Level, Review, Skip

from .conftest import ANSWERS, OTHER, aged, decide, on_shift, settled, take

pytestmark = pytest.mark.django_db
FACTS = ("leadline-facts", 1)


@pytest.fixture
def first(arrive: Callable[..., Asset], analyst: Person, drawing: Callable[..., None]) -> Assessment:
    """Decided by the analyst, in force, and a second person is asked."""
    arrive(1)
    drawing(double=100)
    made = decide(analyst)
    assert actions.draw() == 1
    return made


@pytest.fixture
def pair(first: Assessment, other: Person) -> Pair:
    """The second answered otherwise."""
    decide(other, OTHER)
    assert actions.pair_up() == 1
    return Pair.objects.get()


# --- the second ------------------------------------------------------------------------------------------------------


def test_as_many_are_drawn_as_the_office_says_and_each_once(
    arrive: Callable[..., Asset], analyst: Person, other: Person, drawing: Callable[..., None]
) -> None:
    arrive(1)
    drawing(double=0)
    decide(analyst)
    assert actions.draw() == 0
    drawing(double=100)
    assert (actions.draw(), actions.draw()) == (1, 0)


def test_about_as_many_fall_as_the_percentage_says(keeping: Any) -> None:
    from leadline.workbench.quality.acts.drawing import falls

    drawn = [number for number in range(2000) if falls("double", number, 5)]
    assert 60 < len(drawn) < 140
    assert drawn == [number for number in range(2000) if falls("double", number, 5)]
    assert drawn != [number for number in range(2000) if falls("golden", number, 5)]


def test_nobody_is_asked_where_nobody_else_could_answer(
    arrive: Callable[..., Asset], senior: Person, drawing: Callable[..., None]
) -> None:
    arrive(1)
    drawing(double=100, golden=100)
    decide(senior)
    assert actions.draw() == 0


def test_the_second_does_not_know_and_reads_nothing_of_the_first(
    first: Assessment, analyst: Person, other: Person
) -> None:
    assert take(analyst) is None  # not the same person
    review = take(other)
    assert review is not None
    assert (review.purpose, review.told_purpose) == ("double", "decision")
    assert review_access.subject_of(review) == first.coverage.get().asset
    actor = Actor.of_person(other)
    assert review_access.card_of(actor, review).earlier == []
    assert review_access.find_assessment(actor, first.pk) is None
    assert not review_access.assessments(actor).exists()
    assert reviews.second_opinion(other, review.pk) == review  # a refusal would tell
    beside = settled(reviews.hand_in(other, review.pk, review.subject, OTHER))
    first.refresh_from_db()
    assert (first.standing, beside.standing) == ("in-force", "superseded")


def test_a_lead_who_reads_the_first_answers_is_not_the_second(first: Assessment, senior: Person) -> None:
    lead = Actor.of_person(senior)
    assert review_access.queue(lead).exists()
    assert review_access.find_assessment(lead, first.pk) == first
    reviews.note_read(senior, first)
    assert not review_access.queue(lead).exists()
    assert Skip.objects.get().person == senior


def test_second_answers_that_nobody_gives_in_a_fortnight_hide_the_first_no_longer(
    first: Assessment, other: Person
) -> None:
    assert review_access.find_assessment(Actor.of_person(other), first.pk) is None
    Review.objects.filter(pk=first.review_id).update(decided_at=timezone.now() - timedelta(days=15))
    assert actions.end_late() == 1
    assert review_access.find_assessment(Actor.of_person(other), first.pk) == first


# --- pairs -----------------------------------------------------------------------------------------------------------


def test_the_same_answers_are_a_pair_that_nobody_needs_to_settle(first: Assessment, other: Person) -> None:
    decide(other)
    assert (actions.pair_up(), actions.pair_up()) == (1, 0)
    made = Pair.objects.get()
    assert (made.first, made.state, made.differs, made.review) == (first, "same", [], None)
    assert (made.scheme, made.scheme_version) == FACTS


def test_answers_that_can_still_be_undone_are_no_pair_yet(first: Assessment, other: Person) -> None:
    review = take(other)
    assert review is not None
    reviews.hand_in(other, review.pk, review.subject, OTHER)
    assert actions.pair_up() == 0


def test_a_second_opinion_that_was_asked_for_is_one_of_a_pair_too(
    arrive: Callable[..., Asset], analyst: Person, other: Person
) -> None:
    arrive(1)
    review = take(analyst)
    assert review is not None
    reviews.second_opinion(analyst, review.pk)
    settled(reviews.hand_in(analyst, review.pk, review_access.subject_of(review), ANSWERS))
    decide(other, OTHER)
    actions.pair_up()
    assert Pair.objects.get().differs == ["depiction"]


@pytest.mark.parametrize("what", ["version", "file"])
def test_answers_to_other_questions_or_of_another_file_are_no_pair(
    what: str, first: Assessment, other: Person, arrive: Callable[..., Asset]
) -> None:
    made = decide(other, OTHER)
    if what == "version":
        Assessment.objects.filter(pk=made.pk).update(scheme_version=2)
    else:
        made.coverage.filter(origin="assessed").update(asset=arrive(1, quality=80))
    assert actions.pair_up() == 0


# --- a third ---------------------------------------------------------------------------------------------------------


def test_only_a_third_person_sees_and_settles_it(
    pair: Pair, analyst: Person, other: Person, third: Person, outsider: Person
) -> None:
    for person in (analyst, other):
        assert access.find_pair(Actor.of_person(person), pair.pk) is None
        with pytest.raises(NotAllowed):
            actions.look_at_pair(Actor.of_person(on_shift(person)), pair.pk)
        with pytest.raises(NotAllowed):
            actions.settle(person, pair.pk, ANSWERS)
    assert access.find_pair(Actor.of_person(outsider), pair.pk) is None
    assert list(access.open_pairs(Actor.of_person(third))) == [pair]
    assert not review_access.queue(Actor.of_person(third)).exists()  # it has a page of its own
    with pytest.raises(WrongState):
        actions.settle(third, pair.pk, ANSWERS)  # not claimed


def claim(pair: Pair, person: Person) -> Review:
    return actions.look_at_pair(Actor.of_person(on_shift(person)), pair.pk)


def test_the_picture_is_shown_to_the_third_under_the_rules_of_any_card(pair: Pair, third: Person) -> None:
    with pytest.raises(WrongState):
        reviews.grant(third, pair.review, pair.asset, Level.LENS, "session")
    review = claim(pair, third)
    reviews.show(third, reviews.grant(third, review, pair.asset, Level.LENS, "session").pk, "session")
    assert Exposure.objects.get().purpose == "disagreement"
    card = review_access.card_of(Actor.of_person(third), review)
    assert card.earlier == []  # names stand there
    assert review_access.find_assessment(Actor.of_person(third), pair.first_id) is None
    with pytest.raises(WrongState):
        reviews.hand_in(third, review.pk, pair.asset, ANSWERS)


def test_the_same_answers_confirm_what_is_in_force(pair: Pair, third: Person, first: Assessment) -> None:
    review = claim(pair, third)
    done = actions.settle(third, pair.pk, ANSWERS)
    first.refresh_from_db()
    review.refresh_from_db()
    assert (done.state, done.resolved_by, first.standing, review.state) == ("confirmed", third, "in-force", "decided")
    line = Line.objects.get(act="disagreement.confirmed")
    assert (line.actor, line.object_id, line.reason) == (str(third.pk), str(pair.pk), "disagreement")
    with pytest.raises(WrongState):
        actions.settle(third, pair.pk, OTHER)


def test_other_answers_revise_it_with_that_reason(pair: Pair, third: Person, first: Assessment) -> None:
    claim(pair, third)
    done = actions.settle(third, pair.pk, OTHER)
    assert done.resolution is not None
    made = settled(done.resolution)
    first.refresh_from_db()
    assert (made.standing, made.reason, made.revises, first.standing) == (
        "in-force", "disagreement", first, "superseded",
    )  # fmt: skip
    assert Line.objects.filter(act="disagreement.revised", object_id=str(pair.pk)).exists()
    assert actions.follow() == 0


def test_a_settlement_that_is_undone_waits_for_somebody_again(pair: Pair, third: Person) -> None:
    claim(pair, third)
    made = actions.settle(third, pair.pk, OTHER).resolution
    assert made is not None
    reviews.undo(third, made.pk)
    assert actions.follow() == 1
    assert list(access.open_pairs(Actor.of_person(third))) == [pair]
    claim(pair, third)


def test_what_was_revised_for_another_reason_needs_nobody(
    pair: Pair, third: Person, senior: Person, first: Assessment
) -> None:
    settled(reviews.revise(senior, first.pk, "mistake", {**ANSWERS, "live": ["yes"]}))
    assert actions.follow() == 1
    pair.refresh_from_db()
    assert pair.state == "overtaken"
    assert pair.review is not None
    assert pair.review.state == "set-aside"
    assert not access.open_pairs(Actor.of_person(third)).exists()


def test_each_of_the_two_is_told_on_their_own_page_and_nobody_else(
    pair: Pair, third: Person, analyst: Person, other: Person
) -> None:
    claim(pair, third)
    actions.settle(third, pair.pk, ANSWERS)
    for person, said in ((analyst, ("Drawn", "Generated")), (other, ("Generated", "Drawn"))):
        (told,) = access.own_pairs(person)
        assert (told.state, [(row.one, row.other) for row in told.rows]) == ("confirmed", [said])
    assert access.own_pairs(third) == []


# --- samples of what is known ----------------------------------------------------------------------------------------


@pytest.fixture
def known(
    arrive: Callable[..., Asset], senior: Person, other: Person, make_bank: Any, exact: Any
) -> Callable[[], Asset]:
    """known(): a file that a list knows joins the cluster of its near-duplicate, and a sample is drawn of it."""
    set_office_setting(senior, review_access.SAMPLE_SHARE, "1000", "a test")
    make_bank("known", exact(1))
    reviews.set_wish(other, is_volunteer=True)
    arrive(1, quality=80)
    return lambda: arrive(1)


def test_a_sample_is_of_the_file_that_was_drawn(known: Callable[[], Asset], other: Person) -> None:
    waits, drawn = Review.objects.get(), known()
    sample = Review.objects.get(purpose="sample")
    assert waits.cluster == sample.cluster
    assert (review_access.subject_of(sample), review_access.subject_of(waits)) == (drawn, waits.cluster.centre)
    assert review_access.card_of(Actor.of_person(other), sample).subject == drawn


@pytest.mark.parametrize(("answers", "state"), [(ANSWERS, "same"), (OTHER, "open")])
def test_a_sample_stands_beside_what_is_in_force_and_where_it_differs_a_third_decides(
    known: Callable[[], Asset], analyst: Person, other: Person, third: Person, senior: Person, make_bank: Any,
    browser_of: Callable[[Person], Client], answers: dict[str, list[str]], state: str,
) -> None:  # fmt: skip
    make_bank("own")
    first = decide(analyst)
    reviews.propose_entry(Actor.of_person(senior), first.pk, "own", Kind.ILLEGAL)
    drawn = known()
    reviews.set_wish(analyst, is_volunteer=True)
    assert not review_access.queue(Actor.of_person(analyst)).exists()  # what one decided one does not check
    sample = take(other)
    assert sample is not None
    assert review_access.card_of(Actor.of_person(other), sample).earlier == []
    assert review_access.find_assessment(Actor.of_person(other), first.pk) is None
    beside = settled(reviews.hand_in(other, sample.pk, drawn, answers))
    first.refresh_from_db()
    assert (first.standing, beside.standing) == ("in-force", "superseded")
    assert to_do.withdrawals(Actor.of_person(senior)) == []
    assert not first.to_tell.exists()
    assert (actions.pair_up(), actions.pair_up()) == (1, 0)
    pair = Pair.objects.get()
    assert (pair.first, pair.second, pair.asset, pair.state) == (first, beside, drawn, state)
    assert access.agreement(FACTS) == []  # they were not asked about the same file
    if state == "open":
        claim(pair, third)
        page = browser_of(third).get(f"/quality/disagreements/{pair.pk}/").content.decode()
        assert "in force were given for a near-duplicate of this file" in page
        done = actions.settle(third, pair.pk, OTHER)
        assert done.resolution is not None
        assert done.resolution.coverage.get(origin="assessed").asset == drawn  # the one that the third had before them
        assert settled(done.resolution).revises == first
        assert [reach.assessment for reach in first.reached.all() if reach.ended_at] == [first]


def test_a_sample_decides_nothing_of_files_that_wait_for_a_decision(
    known: Callable[[], Asset], analyst: Person, other: Person, senior: Person
) -> None:
    drawn = known()
    sample = Review.objects.get(purpose="sample")
    reviews.claim(Actor.of_person(on_shift(other)), sample.pk)
    beside = settled(reviews.hand_in(other, sample.pk, drawn, OTHER))
    assert (beside.standing, actions.pair_up()) == ("superseded", 0)
    first = decide(analyst)
    assert (first.standing, actions.pair_up()) == ("in-force", 1)
    settled(reviews.revise(senior, first.pk, "mistake", OTHER))
    assert (actions.follow(), actions.pair_up()) == (1, 0)


# --- figures ---------------------------------------------------------------------------------------------------------


def test_agreement_is_told_by_question_version_and_month(pair: Pair, third: Person) -> None:
    for number in range(1, 11):
        again(pair, {**ANSWERS, "age-band": ["0-2" if number % 2 else "adult"]}, same=number != 1)
    told = {row.text: row for row in access.agreement(FACTS)}
    assert access.schemes_seen() == [FACTS]
    age = told["Apparent age of the youngest person"]
    assert (age.all.level, age.all.units, age.all.same) == ("nominal", 11, 10)
    assert age.on_scale is not None
    assert age.on_scale.level == "ordinal"
    assert sum(month.units for _, month in age.months) == 11
    assert told["Live"].all.why == "no-variation"
    assert told["Live"].on_scale is None
    assert access.agreement(("leadline-facts", 1))[0].all.alpha == age.all.alpha


def again(pair: Pair, answers: dict[str, list[str]], *, same: bool) -> Pair:
    """One more pair of other files, as two people might have answered."""
    made = []
    for old, given in ((pair.first, answers), (pair.second, answers if same else {**answers, "age-band": ["3-6"]})):
        one = Assessment(review=old.review, cluster=old.cluster, by=old.by, answers=given, standing="superseded")
        one.made_at, one.effective_at, one.scheme, one.scheme_version = old.made_at, old.effective_at, *FACTS
        one.save(force_insert=True)
        made.append(one)
    return Pair.objects.create(
        first=made[0], second=made[1], asset=pair.asset, scheme=pair.scheme, scheme_version=1, state="same"
    )


def test_a_label_that_is_derived_or_chosen_keeps_its_scheme_and_version_in_what_leaves(first: Assessment) -> None:
    from leadline.domain import Kind
    from leadline.workbench.review.acts.reaching import entry_of

    first.labels.create(scheme="sap", version="until-2014-03-31", code="level-1")
    entry = entry_of(first.coverage.get().asset, first, Kind.OTHER)
    assert (entry.scheme, entry.label) == ("sap:until-2014-03-31", "level-1")
    assert '"answers_scheme": "leadline-facts 1"' in entry.metadata


def test_pairs_of_long_ago_are_not_looked_for(first: Assessment, other: Person) -> None:
    aged(decide(other, OTHER), days=timedelta(days=61).days)
    assert actions.pair_up() == 0
