"""Shifts and breaks, and what a person sets for themself. The table of wishes and moods is theirs alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from leadline.errors import InputError, WrongState, sentence
from leadline.workbench.accounts.models import Person
from leadline.workbench.review.access import is_over, office_floors
from leadline.workbench.review.acts.reveals import end_all, hash_session
from leadline.workbench.review.floors import BREAK, CATEGORIES, SHIFT_MINUTES, Floors
from leadline.workbench.review.models import CheckIn, DigestVisit, Review, Shift, State, Wish

_LONGEST_MINUTES = 600
SAME_VISIT = timedelta(minutes=30)


@transaction.atomic
def begin_shift(person: Person, planned_minutes: int = SHIFT_MINUTES, *, session: str = "") -> Shift:
    """The caller's view has just asked who they are: the proof is of this session. One that was left open ends here.

    Beginning anew is no break: what the last one still owed of a break, and of its end, goes on.
    """
    if not 15 <= planned_minutes <= _LONGEST_MINUTES:
        raise InputError(
            "no length of a shift",
            where="planned_minutes",
            mend=sentence("15 to %(most)s minutes", most=_LONGEST_MINUTES),
        )
    now = timezone.now()
    left = Shift.objects.select_for_update().filter(person=person, ended_at__isnull=True).first()
    if left is not None:
        if not is_over(left, now) and left.session_hash == hash_session(session):
            raise WrongState("your shift has begun already")
        _end(left, person)
    before = Shift.objects.filter(person=person, ended_at__gt=now - BREAK).order_by("-ended_at").first()
    shift = Shift(person=person, began_at=now, planned_minutes=planned_minutes, working_since=now)
    shift.session_hash = hash_session(session)
    if before is not None:
        shift.working_since, shift.break_began_at = before.working_since, before.break_began_at
        owed = before.began_at + timedelta(minutes=before.planned_minutes) - now
        shift.planned_minutes = min(planned_minutes, max(1, int(owed.total_seconds() // 60)))
    try:
        shift.save(force_insert=True)
    except IntegrityError:
        raise WrongState("your shift has begun already") from None
    return shift


@transaction.atomic
def end_shift(person: Person) -> Shift:
    """Claims go back to the queue with their drafts kept; grants end."""
    shift = _open(person)
    _end(shift, person)
    return shift


def _end(shift: Shift, person: Person) -> None:
    end_all(person)
    Review.objects.filter(claimed_by=person, state=State.CLAIMED.value).update(
        state=State.WAITING.value, claimed_by=None, lease_until=None
    )
    shift.ended_at = timezone.now()
    shift.save(update_fields=["ended_at"])


@transaction.atomic
def begin_break(person: Person) -> Shift:
    """Ten minutes without a picture. Whoever wants longer comes back later."""
    shift, now = _open(person), timezone.now()
    if shift.break_began_at is None or now >= shift.break_began_at + BREAK:
        end_all(person)
        shift.working_since, shift.break_began_at = shift.works_since(now), now
        shift.save(update_fields=["working_since", "break_began_at"])
    return shift


@transaction.atomic
def end_break(person: Person) -> Shift:
    shift = _open(person)
    if shift.break_began_at is None:
        raise WrongState("there is no break")
    if timezone.now() < shift.break_began_at + BREAK:
        raise WrongState("the break is not over", mend="it lasts ten minutes")
    shift.working_since, shift.break_began_at = timezone.now(), None
    shift.save(update_fields=["working_since", "break_began_at"])
    return shift


def _open(person: Person) -> Shift:
    shift = Shift.objects.select_for_update().filter(person=person, ended_at__isnull=True).first()
    if shift is None:
        raise WrongState("no shift has begun", mend="start your shift")
    return shift


def set_wish(person: Person, **given: Any) -> Wish:
    """Only ever more careful than the office's floor: InputError names the field that is not."""
    floor = office_floors()
    own = Floors(**{name: given[name] for name in given if name in Floors.__slots__})
    for name in set(own.__slots__) & set(given):
        if getattr(floor.stricter(own), name) != getattr(own, name):
            mend = sentence("%(value)s or stricter", value=getattr(floor, name))
            raise InputError("less careful than the office's floor", where=name, mend=mend)
    if wrong := set(given.get("opted_out", ())) - set(CATEGORIES):
        raise InputError("no such category", where="opted_out", mend=", ".join(sorted(wrong)))
    wish, _ = Wish.objects.update_or_create(person=person, defaults=given)
    return wish


def check_in(person: Person, mood: int) -> None:
    if not 1 <= mood <= 5:
        raise InputError("a mood is 1 to 5", where="mood")
    CheckIn.objects.create(person=person, mood=mood)


@transaction.atomic
def note_visit(person: Person, now: datetime | None = None) -> DigestVisit:
    """That they read what became of their decisions. Coming back within half an hour is the same visit: reading a page
    again unmarks nothing."""
    now = now or timezone.now()
    visit, is_first = DigestVisit.objects.select_for_update().get_or_create(person=person, defaults={"at": now})
    if not is_first and now - visit.at > SAME_VISIT:
        visit.before_at, visit.at = visit.at, now
        visit.save(update_fields=["before_at", "at"])
    return visit
