"""What became of one's decisions is a digest: by week and outcome, counted, what is new marked, for oneself alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence.models import Asset
from leadline.workbench.permissions import Role
from leadline.workbench.review import actions
from leadline.workbench.review.digest import LISTED, WORDS, Digest, digest_of
from leadline.workbench.review.models import Assessment, Cluster, Outcome, Review

pytestmark = pytest.mark.django_db

WEDNESDAY = datetime(2026, 11, 25, 15, 0, tzinfo=UTC)
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def decided(arrive: Callable[..., Asset], analyst: Person) -> list[Cluster]:
    """Three clusters that the analyst decided."""
    now, found = WEDNESDAY - timedelta(days=60), []
    for seed in (1, 2, 3):
        review = Review.objects.get(cluster__centre=arrive(seed))
        Assessment.objects.create(
            review=review, cluster=review.cluster, by=analyst, made_at=now, effective_at=now, standing="in-force",
            scheme="leadline-facts", scheme_version=1, answers={},
        )  # fmt: skip
        found.append(review.cluster)
    return found


def hear(cluster: Cluster, word: str, at: datetime) -> None:
    made = Outcome.objects.create(cluster=cluster, word=word, source="host", noted_by="test")
    Outcome.objects.filter(pk=made.pk).update(at=at)


def counts(digest: Digest) -> dict[str, dict[str, tuple[int, int]]]:
    return {one.name: {group.word: (group.count, group.new) for group in one.groups} for one in digest.periods}


def test_each_week_is_told_apart_and_each_outcome_counted(decided: list[Cluster], analyst: Person) -> None:
    one, two, three = decided
    hear(one, "removed", WEDNESDAY)
    hear(two, "removed", MONDAY)
    hear(two, "removed", MONDAY + SECOND)  # told twice, one decision
    hear(three, "safeguarded", MONDAY - SECOND)
    hear(one, "unknown", MONDAY - timedelta(days=7))
    hear(one, "no-action", MONDAY - timedelta(days=7) - SECOND)
    actions.note_visit(analyst, WEDNESDAY)
    assert counts(digest_of(analyst, WEDNESDAY)) == {
        "this-week": {"removed": (2, 2)},
        "last-week": {"safeguarded": (1, 1), "unknown": (1, 1)},
        "earlier": {"no-action": (1, 1)},
    }


def test_what_was_told_since_the_visit_before_is_new_and_reading_again_unmarks_nothing(
    decided: list[Cluster], analyst: Person
) -> None:
    one, two, three = decided
    hear(one, "removed", WEDNESDAY - timedelta(days=2))
    actions.note_visit(analyst, WEDNESDAY - timedelta(days=1))
    hear(two, "removed", WEDNESDAY - timedelta(hours=3))
    for minutes in (0, 20, 29):
        actions.note_visit(analyst, WEDNESDAY + timedelta(minutes=minutes))
        assert (digest_of(analyst, WEDNESDAY).new, digest_of(analyst, WEDNESDAY).periods[0].groups[0].new) == (1, 1)
    hear(three, "removed", WEDNESDAY + timedelta(minutes=5))  # while they read
    actions.note_visit(analyst, WEDNESDAY + timedelta(hours=2))
    assert digest_of(analyst, WEDNESDAY).new == 1
    actions.note_visit(analyst, WEDNESDAY + timedelta(hours=4))
    assert digest_of(analyst, WEDNESDAY).new == 0


def test_however_much_there_is_the_page_stays_short_and_counts_all(decided: list[Cluster], analyst: Person) -> None:
    for hours in range(LISTED + 5):
        hear(decided[0], "removed", WEDNESDAY - timedelta(hours=hours))
    [group] = digest_of(analyst, WEDNESDAY).periods[0].groups
    assert group.count == 1
    assert [one.at for one in group.newest] == [WEDNESDAY - timedelta(hours=n) for n in range(LISTED)]


def test_no_outcome_is_left_out() -> None:
    assert sorted(WORDS) == sorted(word for word, _ in Outcome.WORDS)


def test_the_page_says_it_kindly_and_to_that_person_alone(
    decided: list[Cluster], analyst: Person, make_person: Callable[..., Person], client_of: Callable[[Person], Client]
) -> None:
    hear(decided[0], "no-action", timezone.now())
    client, other = client_of(analyst), client_of(make_person("other", Role.ANALYST))
    page = client.get("/review/me/").content.decode()
    assert "no action: 1" in page
    assert "1 new" in page
    assert "your decision may be right" in page
    assert "nothing here counts for or against you" in page
    theirs = other.get("/review/me/").content.decode()
    assert "no action" not in theirs
    assert "that says nothing about your work" in theirs


def test_coming_back_another_day_nothing_old_is_marked(
    decided: list[Cluster], analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    hear(decided[0], "removed", timezone.now() - timedelta(days=3))
    actions.note_visit(analyst, timezone.now() - timedelta(days=1))
    page = client_of(analyst).get("/review/me/").content.decode()
    assert "Nothing new since you were here last." in page
    assert " new</span>" not in page
