"""Reviews that the pages of quality ask for: a second person untold, golden items, and those that stand in no queue.

Which of them, and for whom, is decided there. What may be looked at, and that it is on record, is the same as ever.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from leadline.errors import NotAllowed, WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.review import access
from leadline.workbench.review.acts.reveals import end_all_of
from leadline.workbench.review.acts.sorting import cost_of, urgency_of
from leadline.workbench.review.floors import LEASE
from leadline.workbench.review.models import APART, Assessment, Cluster, Draft, Purpose, Review, Skip, Standing, State


@transaction.atomic
def ask_double(first: Assessment, asset: Asset) -> Review | None:
    """A second person decides what `first` decided, of the same file, untold. None where one is asked already."""
    of = first.review
    if Review.objects.filter(of=of, purpose__in=access.SECOND).exists():
        return None
    return _ask(
        Purpose.DOUBLE, asset, of.cluster, of=of, urgency=of.urgency, rank=of.rank, why=of.why, severity=of.severity,
        category=of.category, received_at=of.received_at,
    )  # fmt: skip


@transaction.atomic
def hand_out(person: Person, asset: Asset) -> Review | None:
    """A golden item into one person's queue, since its file arrived: the page of the file says the same. None where the
    file waits there anyhow.
    """
    cluster = Cluster.objects.select_for_update(of=("self",)).get(members__asset=asset)
    waits = Review.objects.filter(cluster=cluster, state__in=[state.value for state in access.OPEN])
    if waits.exclude(purpose__in=access.OF_GOLDEN).exists():
        return None
    urgency, why = urgency_of([asset])
    severity, category = cost_of(cluster)
    return _ask(
        Purpose.GOLDEN, asset, cluster, reserved_for=person, urgency=urgency, rank=3 - urgency, why=why,
        severity=severity, category=category, received_at=asset.received_at,
    )  # fmt: skip


@transaction.atomic
def open_apart(
    purpose: Purpose, asset: Asset, *, of: Review | None = None, reserved_for: Person | None = None
) -> Review:
    """To be opened from a page of its own by `claim_apart`; the same one again where it is open."""
    assert purpose in APART
    cluster = Cluster.objects.select_for_update(of=("self",)).get(members__asset=asset)
    live = Review.objects.filter(cluster=cluster, purpose=purpose.value, subject=asset, reserved_for=reserved_for)
    if (found := live.filter(state__in=[state.value for state in access.OPEN]).first()) is not None:
        return found
    severity, category = cost_of(cluster)
    made = _ask(
        purpose, asset, cluster, of=of, reserved_for=reserved_for, severity=severity, category=category,
        received_at=timezone.now(),
    )  # fmt: skip
    if made is None:
        raise WrongState("another one is open for these files", mend="end that one first")
    return made


def _ask(purpose: Purpose, asset: Asset, cluster: Cluster, **more: Any) -> Review | None:
    try:
        with transaction.atomic():
            made = Review.objects.create(purpose=purpose.value, cluster=cluster, subject=asset, **more)
    except IntegrityError:  # one of this purpose is open for the cluster
        return None
    _tell("review.asked", made, SYSTEM)
    return made


@transaction.atomic
def claim_apart(actor: Actor, review_id: Any) -> Review:
    """For whoever opens its page. Where two differ it is for a third: neither of them, nor who has judged it before."""
    if not access.work_of(actor.person).may_claim:
        raise WrongState("nothing new is handed out now", mend="start your shift, or take the break that is due")
    if access.find_review(actor, review_id) is None:
        raise WrongState("it is not there")
    review = Review.objects.select_for_update().get(pk=review_id)
    if review.purpose not in APART:
        raise WrongState("this waits in the queue")
    if review.of_id is not None and _wrote(actor.person, review.of_id):
        raise NotAllowed("a third person decides this", mend="leave it to a colleague")
    now = timezone.now()
    if review.is_claimed_by(actor.person, now):
        return review
    is_over = review.lease_until is not None and review.lease_until <= now
    if review.state not in access.OPEN or (review.state == State.CLAIMED and not is_over):
        raise WrongState("somebody else has taken it")
    review.state, review.claimed_by, review.lease_until = State.CLAIMED.value, actor.person, now + LEASE
    review.save(update_fields=["state", "claimed_by", "lease_until"])
    _tell("review.claimed", review, str(actor.person.pk))
    return review


def _wrote(person: Person, review_id: Any) -> bool:
    either = Q(review=review_id) | Q(review__of=review_id)
    return Assessment.objects.filter(either, by=person).exclude(standing=Standing.UNDONE.value).exists()


@transaction.atomic
def close_apart(person: Person, review_id: Any) -> Review:
    """It was answered on its page. WrongState where the claim has ended meanwhile."""
    review = Review.objects.select_for_update().filter(pk=review_id).first()
    if review is None or review.purpose not in APART or not review.is_claimed_by(person, timezone.now()):
        raise WrongState("your claim has ended", mend="claim it again: your draft is kept")
    end_all_of(review)
    Draft.objects.filter(review=review).delete()
    review.state, review.decided_at = State.DECIDED.value, timezone.now()
    review.claimed_by, review.lease_until = None, None
    review.save(update_fields=["state", "decided_at", "claimed_by", "lease_until"])
    return review


@transaction.atomic
def reopen_apart(review: Review) -> None:
    """What came of it was undone: it waits again."""
    Review.objects.filter(pk=review.pk, purpose__in=[purpose.value for purpose in APART]).update(
        state=State.WAITING.value, decided_at=None, claimed_by=None, lease_until=None
    )


@transaction.atomic
def end_apart(review: Review) -> None:
    """Nobody needs to answer it any more."""
    end_all_of(review)
    live = Review.objects.filter(pk=review.pk, state__in=[state.value for state in access.OPEN])
    live.update(state=State.SET_ASIDE.value, decided_at=timezone.now(), claimed_by=None, lease_until=None)


def take_back(asset: Asset) -> int:
    """A golden item that is handed out no more leaves the queues where nobody has it open; how many."""
    given = Review.objects.filter(subject=asset, purpose=Purpose.GOLDEN.value)
    return given.filter(state__in=[State.WAITING.value, State.HELD.value]).update(state=State.SET_ASIDE.value)


def note_read(person: Person, made: Assessment) -> None:
    """Whoever reads the first answers gives no second ones. Like a skip, it is never counted and shown to nobody."""
    if made.by_id == person.pk:
        return
    open_ones = Review.objects.filter(cluster=made.cluster_id, purpose=Purpose.DOUBLE.value)
    for review in open_ones.filter(state__in=[state.value for state in access.OPEN]):
        Skip.objects.get_or_create(review=review, person=person)


def _tell(act: str, review: Review, actor: str) -> None:
    details = {"cluster": str(review.cluster_id), "purpose": review.purpose}
    record(act, actor=actor, object_kind="review", object_id=str(review.pk), details=details)
