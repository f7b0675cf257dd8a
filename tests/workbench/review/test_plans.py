"""How SQLite reads what is long. PostgreSQL plans by its statistics: bench/review.py says how long it takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.utils import timezone

from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.models import Asset
from leadline.workbench.review import access
from leadline.workbench.review.models import Assessment, Review

pytestmark = pytest.mark.django_db
Arrive = Callable[..., Asset]


def test_the_queue_is_read_in_the_order_of_its_index(arrive: Arrive, analyst: Person, senior: Person) -> None:
    """However many are decided, and though nobody told SQLite how many rows there are."""
    arrive(1)
    for person in (analyst, senior):
        page = access.queue(Actor.of_person(person)).order_by("rank", "received_at", "id")[:51]
        plan = page.explain()
        assert "USING INDEX review_open" in plan
        assert "TEMP B-TREE FOR ORDER BY" not in plan


@pytest.mark.parametrize("is_counted", [False, True])
def test_however_much_a_person_decided_each_review_and_outcome_asks_for_its_own_answers(
    arrive: Arrive, analyst: Person, *, is_counted: bool
) -> None:
    """Also where SQLite has counted: nearly all of many reviews are of no other one."""
    first = Review.objects.get(cluster__centre=arrive(1))
    now = timezone.now()
    said = dict(
        review=first, cluster=first.cluster, by=analyst, made_at=now, effective_at=now, standing="superseded",
        scheme="leadline-facts", scheme_version=1, answers={},
    )  # fmt: skip
    Assessment.objects.bulk_create(Assessment(**said) for _ in range(500))
    plain = dict(cluster=first.cluster, category="unknown", received_at=now, state="decided")
    Review.objects.bulk_create(Review(**plain) for _ in range(500))
    if is_counted:
        connection.cursor().execute("ANALYZE")
    page = access.queue(Actor.of_person(analyst)).order_by("rank", "received_at", "id")[:51]
    plans = page.explain(), access.outcomes_for(analyst)[:51].explain()
    assert not [plan for plan in plans if "review_assessment_by_id" in plan]
    assert "USING INDEX review_of_another" in plans[0]
