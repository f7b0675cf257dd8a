"""The office of review's tests, people who decide in it, and golden items."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.workbench.review.conftest import (  # noqa: F401
    ANSWERS,
    _end_sandboxes,
    arrive,
    browser_of,
    exact,
    keeping,
    make_bank,
)

from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.models import Asset
from leadline.workbench.permissions import Role
from leadline.workbench.quality import access, actions
from leadline.workbench.quality.models import GoldenItem
from leadline.workbench.review import access as review_access
from leadline.workbench.review import actions as reviews
from leadline.workbench.review.models import Assessment, Review

OTHER = {**ANSWERS, "depiction": ["generated"]}
Decide = Callable[..., Assessment]


def settled(made: Assessment) -> Assessment:
    """As if twenty seconds had passed."""
    Assessment.objects.filter(pk=made.pk).update(
        made_at=made.made_at - timedelta(seconds=20), effective_at=made.effective_at - timedelta(seconds=20)
    )
    reviews.settle()
    made.refresh_from_db()
    return made


def aged(made: Assessment, **span: float) -> Assessment:
    """As if that much time had passed since."""
    Assessment.objects.filter(pk=made.pk).update(
        made_at=made.made_at - timedelta(**span), effective_at=made.effective_at - timedelta(**span)
    )
    made.refresh_from_db()
    return made


def on_shift(person: Person) -> Person:
    if review_access.work_of(person).shift is None:
        reviews.begin_shift(person, session="session")
    return person


def take(person: Person) -> Review | None:
    """What the queue gives this person next."""
    return reviews.claim_next(Actor.of_person(on_shift(person)))


def decide(person: Person, answers: dict[str, list[str]] = ANSWERS) -> Assessment:
    """The next of the queue, in force or beside."""
    review = take(person)
    assert review is not None
    return settled(reviews.hand_in(person, review.pk, review_access.subject_of(review), answers))


@pytest.fixture
def other(make_person: Callable[..., Person]) -> Person:
    return make_person("Otto", Role.ANALYST)


@pytest.fixture
def third(make_person: Callable[..., Person]) -> Person:
    return make_person("Thea", Role.ANALYST)


@pytest.fixture
def second_lead(make_person: Callable[..., Person]) -> Person:
    return make_person("second lead", Role.SENIOR)


@pytest.fixture
def drawing(keeping: Any, senior: Person) -> Callable[..., None]:  # noqa: F811
    """drawing(double=100, golden=0): how many of a hundred decisions draw something."""

    def draw(double: int = 0, golden: int = 0) -> None:
        set_office_setting(senior, access.DOUBLE_PERCENT, str(double), "a test")
        set_office_setting(senior, access.GOLDEN_PERCENT, str(golden), "a test")

    return draw


@pytest.fixture
def make_golden(
    arrive: Callable[..., Asset], senior: Person, second_lead: Person  # noqa: F811
) -> Callable[..., GoldenItem]:  # fmt: skip
    """make_golden(seed): a drawn picture whose answers two leads agree on, and that waits in no queue."""

    def make(seed: int, answers: dict[str, list[str]] = ANSWERS) -> GoldenItem:
        asset = arrive(seed)
        Review.objects.filter(cluster__centre=asset).update(state="set-aside")
        item = actions.put_in(senior, golden_set(senior), asset)
        for lead in (senior, second_lead):
            actions.answer(Actor.of_person(lead), item, answers)
        item.refresh_from_db()
        return item

    return make


def golden_set(senior: Person) -> Any:
    return access.golden_sets().first() or actions.make_set(senior, "Spring")
