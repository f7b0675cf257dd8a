"""Reviews through the queue: claimed with a lease, held, assigned, escalated, skipped. What was answered is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from leadline.errors import InputError, NotAllowed, WrongState
from leadline.workbench import sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.journal.actions import record
from leadline.workbench.permissions import Permission
from leadline.workbench.review import access
from leadline.workbench.review.acts.reveals import end_all, end_all_of
from leadline.workbench.review.floors import LEASE
from leadline.workbench.review.models import APART, UNTOLD, Draft, Purpose, Review, Skip, State

HOLD_REASONS = ("waits-for-partner", "waits-for-police", "waits-for-law", "needs-translation", "other")
_MAX_NOTE_CHARS = 10_000


@transaction.atomic
def claim_next(actor: Actor) -> Review | None:
    """The most urgent one this person may have; their own claim again where they have one. None: nothing waits."""
    work = access.work_of(actor.person)
    if work.shift is None:
        raise WrongState("no shift has begun", mend="start your shift")
    if not work.may_claim:
        raise NotAllowed("take a break first", mend="ten minutes; what you have claimed can be finished")
    mine = access.claimed_by(actor)
    if mine is not None:
        return mine
    # Several at once take different rows: whoever comes second looks at the next.
    for review_id in list(access.narrowed(access.queue(actor), work).values_list("pk", flat=True)[:20]):
        if (review := _take(actor.person, review_id)) is not None:
            return review
    return None


@transaction.atomic
def claim(actor: Actor, review_id: Any) -> Review:
    """This very one. WrongState where somebody else has it."""
    if not access.work_of(actor.person).may_claim:
        raise WrongState("nothing new is handed out now", mend="start your shift, or take the break that is due")
    free = access.narrowed(access.queue(actor), access.work_of(actor.person))
    if not free.filter(pk=review_id).exists() and access.claimed_by(actor) is None:
        raise WrongState("this is not free", mend="choose another")
    mine = access.claimed_by(actor)
    if mine is not None:
        if str(mine.pk) != str(review_id):
            raise WrongState("you have another one open", mend="hand it in, hold it or give it back")
        return mine
    review = _take(actor.person, review_id)
    if review is None:
        raise WrongState("somebody else has taken it")
    return review


def _take(person: Person, review_id: Any) -> Review | None:
    now = timezone.now()
    free = Q(state=State.WAITING.value) | Q(state=State.HELD.value, held_until__lte=now)
    free |= Q(state=State.CLAIMED.value, lease_until__lte=now) | Q(state=State.ESCALATED.value)
    rows = Review.objects.select_for_update(skip_locked=True) if connection.vendor == "postgresql" else Review.objects
    review = rows.filter(free, pk=review_id).first()
    if review is None:
        return None
    is_known = not review.cluster.members.filter(asset__is_set_aside=False).exists()
    if is_known and review.purpose not in (Purpose.SAMPLE, Purpose.REVISION, *APART):
        review.state, review.decided_at = State.SET_ASIDE.value, now
        review.save(update_fields=["state", "decided_at"])
        return None
    review.state, review.claimed_by, review.lease_until = State.CLAIMED.value, person, now + LEASE
    review.held_until, review.held_for = None, ""
    review.save(update_fields=["state", "claimed_by", "lease_until", "held_until", "held_for"])
    _tell("review.claimed", review, person)
    return review


def renew(person: Person, review: Review) -> None:
    """Every sign of life of whoever works on it."""
    Review.objects.filter(pk=review.pk, claimed_by=person, state=State.CLAIMED.value).update(
        lease_until=timezone.now() + LEASE
    )


def save_draft(
    person: Person, review: Review, answers: Mapping[str, Sequence[str]], labels: Sequence[str], note: str
) -> Draft:
    """What was answered so far. Nothing is checked but the size: it is nobody's statement yet."""
    if len(note) > _MAX_NOTE_CHARS or len(answers) > 200 or len(labels) > 200:
        raise InputError("too much for one draft", where="note")
    draft, _ = Draft.objects.get_or_create(review=review, person=person)
    draft.answers, draft.labels = {k: list(v) for k, v in answers.items()}, list(labels)
    draft.note_sealed = sealing.seal(note, f"draft-note:{draft.pk}") if note else None
    draft.save()
    renew(person, review)  # where it is still theirs
    return draft


@transaction.atomic
def give_back(person: Person, review_id: Any) -> Review:
    review = _mine(person, review_id)
    return _leave(review, person, State.WAITING, "review.given-back")


@transaction.atomic
def hold(person: Person, review_id: Any, until: datetime, reason: str) -> Review:
    """Not now: it comes back by itself."""
    if reason not in HOLD_REASONS:
        raise InputError("no such reason", where="reason", mend=", ".join(HOLD_REASONS))
    if until <= timezone.now():
        raise InputError("a time that has passed", where="until")
    review = _mine(person, review_id)
    review.held_until, review.held_for = until, reason
    return _leave(review, person, State.HELD, "review.held", reason)


@transaction.atomic
def escalate(person: Person, review_id: Any) -> Review:
    """To a senior."""
    review = _mine(person, review_id)
    review.assigned_to = None
    to = State.ESCALATED if review.reserved_for_id is None else State.SET_ASIDE  # what is one person's ends with them
    return _leave(review, person, to, "review.escalated")


@transaction.atomic
def assign(actor: Actor, review_id: Any, to: Person | None) -> Review:
    """Whoever has claimed it, or a lead, says who shall do it; nobody in particular where `to` is None."""
    review = Review.objects.select_for_update().get(pk=review_id)
    is_mine = review.is_claimed_by(actor.person, timezone.now())
    if not is_mine and not actor.may(Permission.REVIEW_LEAD):
        raise NotAllowed("it is not yours to give")
    if review.state in (State.DECIDED, State.SET_ASIDE):
        raise WrongState("it is decided")
    if review.reserved_for_id is not None:
        return _leave(review, actor.person, State.SET_ASIDE, "review.assigned")
    if to is not None and access.find_review(Actor.of_person(to), review.pk) is None:
        raise NotAllowed("they may not see it", mend="choose somebody whose role clears it")
    if to is not None and review.purpose == Purpose.REVISION and access.has_assessed(to, review.cluster_id):
        raise NotAllowed("they decided it before", mend="choose somebody else")
    review.assigned_to = to
    return _leave(review, actor.person, State.WAITING, "review.assigned")


@transaction.atomic
def second_opinion(person: Person, review_id: Any) -> Review:
    """Somebody else decides as well, without being told what the first one said."""
    review = _mine(person, review_id)
    if review.purpose in UNTOLD:  # to refuse would tell; of these there are other answers anyhow
        return review
    if review.purpose != Purpose.DECISION:
        raise WrongState("this is itself asked for", mend="hand it in, or escalate it")
    made, is_new = Review.objects.get_or_create(
        cluster=review.cluster,
        purpose=Purpose.SECOND_OPINION.value,
        state__in=[state.value for state in access.OPEN],
        defaults={
            "of": review, "urgency": review.urgency, "rank": review.rank, "why": review.why,
            "severity": review.severity, "category": review.category, "received_at": review.received_at,
        },
    )  # fmt: skip
    if is_new:
        _tell("review.second-asked", made, person)
    return made


def skip(person: Person, review_id: Any) -> None:
    """Always allowed, never counted: the row says only that it is not offered to this person."""
    review = Review.objects.filter(pk=review_id).first()
    if review is None:
        raise WrongState("it is not there")
    with transaction.atomic():
        Skip.objects.get_or_create(review=review, person=person)
        own = Review.objects.filter(pk=review.pk, claimed_by=person, state=State.CLAIMED.value)
        if own.update(state=State.WAITING.value, claimed_by=None, lease_until=None):
            end_all(person)
        Review.objects.filter(pk=review.pk, assigned_to=person).update(assigned_to=None)
        given = Review.objects.filter(pk=review.pk, reserved_for=person, state=State.WAITING.value)
        given.update(state=State.SET_ASIDE.value)  # nobody else is offered it


def _mine(person: Person, review_id: Any) -> Review:
    review = Review.objects.select_for_update().filter(pk=review_id).first()
    if review is None or not review.is_claimed_by(person, timezone.now()):
        raise WrongState("you have not claimed it, or your claim has ended", mend="claim it again: your draft is kept")
    return review


def _leave(review: Review, person: Person, to: State, act: str, reason: str = "none") -> Review:
    end_all_of(review)
    review.state, review.claimed_by, review.lease_until = to.value, None, None
    review.save()
    _tell(act, review, person, reason)
    return review


def _tell(act: str, review: Review, person: Person, reason: str = "none") -> None:
    record(
        act, actor=str(person.pk), object_kind="review", object_id=str(review.pk), reason=reason,
        details={"cluster": str(review.cluster_id), "purpose": review.purpose},
    )  # fmt: skip
