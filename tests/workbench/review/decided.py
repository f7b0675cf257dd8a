"""What has been decided, and can no longer be undone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from leadline.workbench.accounts.models import Person
from leadline.workbench.review import actions
from leadline.workbench.review.models import Assessment, Review

from .conftest import ANSWERS

OTHER = {**ANSWERS, "depiction": ["generated"]}


def in_force(made: Assessment) -> Assessment:
    """As if twenty seconds had gone by."""
    Assessment.objects.filter(pk=made.pk).update(
        made_at=made.made_at - timedelta(seconds=20), effective_at=made.effective_at - timedelta(seconds=20)
    )
    actions.settle()
    made.refresh_from_db()
    return made


def decide(person: Person, review: Review, answers: Any = None) -> Assessment:
    from leadline.workbench.review import access

    return in_force(actions.hand_in(person, review.pk, access.subject_of(review), answers or ANSWERS))
