"""How SQLite reads what is long. PostgreSQL plans by its statistics: bench/review.py says how long it takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.models import Asset
from leadline.workbench.review import access

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
