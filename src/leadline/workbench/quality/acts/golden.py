"""Golden sets: made, filled with harmless files, answered by two people who do not read each other before, ended."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from leadline.domain import Kind
from leadline.errors import InputError, NotAllowed, WrongState, sentence
from leadline.law.assessments import Given
from leadline.workbench.accounts.access import are_two, is_one_person_office
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.actions import record
from leadline.workbench.permissions import Permission
from leadline.workbench.quality import access
from leadline.workbench.quality.models import NAME_CHARS, GoldenAnswer, GoldenItem, GoldenSet
from leadline.workbench.review import actions as reviews
from leadline.workbench.review.models import Member, Purpose, Review
from leadline.workbench.review.scenes import has_picture

_GRAVE = frozenset({Kind.ILLEGAL.value, Kind.EXPLOITATIVE.value})


@transaction.atomic
def make_set(by: Person, name: str) -> GoldenSet:
    name = " ".join(name.split())
    if not 0 < len(name) <= NAME_CHARS:
        raise InputError("give it a name", where="name", mend=sentence("at most %(most)s characters", most=NAME_CHARS))
    if GoldenSet.objects.filter(name=name).exists():
        raise InputError("a set has this name", where="name")
    made = GoldenSet.objects.create(name=name, made_by=by)
    record("golden-set.made", actor=str(by.pk), object_kind="golden-set", object_id=str(made.pk))
    return made


@transaction.atomic
def end_set(by: Person, set_id: Any) -> GoldenSet:
    """Nothing of it is handed out any more; what was answered stays."""
    ended = GoldenSet.objects.select_for_update().get(pk=set_id)
    if ended.ended_at is not None:
        raise WrongState("it has ended")
    ended.ended_at = timezone.now()
    ended.save(update_fields=["ended_at"])
    for item in ended.items.filter(withdrawn_at__isnull=True).select_related("asset"):
        reviews.take_back(item.asset)
    record("golden-set.ended", actor=str(by.pk), object_kind="golden-set", object_id=str(ended.pk))
    return ended


@transaction.atomic
def put_in(by: Person, golden_set: GoldenSet, asset: Asset) -> GoldenItem:
    """A kept, harmless picture that no list knows: the queue never holds what is set aside."""
    if golden_set.ended_at is not None:
        raise WrongState("this set has ended", mend="make another one")
    _check_harmless(asset)
    try:
        with transaction.atomic():
            item = GoldenItem.objects.create(set=golden_set, asset=asset, put_in_by=by)
    except IntegrityError:
        raise WrongState("this file is in a set already") from None
    _tell("golden-item.put-in", item, by)
    return item


def _check_harmless(asset: Asset) -> None:
    if not has_picture(asset):
        raise InputError("not a picture that is kept here", where="asset", mend="choose one that can be shown")
    if asset.is_set_aside:
        raise InputError("a list knows this file", where="asset", mend="choose one that no list knows")
    live = asset.matches.filter(withdrawn_at__isnull=True, suppressed_by="", kind__in=_GRAVE)
    if live.exists():
        raise InputError("a list names something near it", where="asset", mend="choose a harmless picture")
    if not Member.objects.filter(asset=asset).exists():
        raise WrongState("this file is not sorted in yet", mend="try again in some seconds")


@transaction.atomic
def ask(by: Person, item: GoldenItem, whom: Person | None) -> GoldenItem:
    """A colleague is to answer as well. They read on their own page that they are asked, and nobody else does."""
    live = _live(item)
    if whom is not None and not access.may_see(whom, live):
        raise NotAllowed("they may not see it", mend="choose somebody whose role clears it")
    live.asked = whom
    live.save(update_fields=["asked"])
    _tell("golden-item.asked", live, by)
    return live


@transaction.atomic
def look(actor: Actor, item: GoldenItem) -> Review:
    """Leave to look at the item while answering, under the rules of any card."""
    _check_may(actor, _live(item))
    opened = reviews.open_apart(Purpose.REFERENCE, item.asset, reserved_for=actor.person)
    return reviews.claim_apart(actor, opened.pk)


@transaction.atomic
def answer(actor: Actor, item: GoldenItem, answers: Given) -> GoldenAnswer:
    """Stored whole. Where another person gave the same without reading these, the item counts from now."""
    live, scheme = _live(item), access.questions_now()
    _check_may(actor, live)
    given = {question: list(codes) for question, codes in answers.items() if codes}
    scheme.check(given)
    if missing := scheme.missing(given):
        raise InputError("a question has no answer", where=missing[0].id)
    made = GoldenAnswer.objects.create(
        item=live, by=actor.person, scheme=scheme.id, scheme_version=scheme.version, answers=given,
        is_alone=is_one_person_office(),
    )  # fmt: skip
    looking = access.reference_of(live, actor.person)
    if looking is not None:
        reviews.close_apart(actor.person, looking.pk)
    _tell("golden-item.answered", live, actor.person)
    _agree(live, made)
    return made


def _agree(item: GoldenItem, made: GoldenAnswer) -> None:
    others = [other for other in access.newest_answers(item) if other.by_id != made.by_id]
    alike = [other for other in others if _is_alike(other, made) and are_two(other.by, made.by)]
    if not alike and not made.is_alone:
        return
    GoldenAnswer.objects.filter(pk__in=[made.pk, *(other.pk for other in alike[:1])]).update(is_agreed=True)
    item.agreed_at = timezone.now()
    item.save(update_fields=["agreed_at"])
    _tell("golden-item.agreed", item, made.by)


def _is_alike(one: GoldenAnswer, other: GoldenAnswer) -> bool:
    same_scheme = (one.scheme, one.scheme_version) == (other.scheme, other.scheme_version)
    return same_scheme and not access.differing(one.answers, other.answers)


@transaction.atomic
def withdraw(by: Person, item: GoldenItem) -> GoldenItem:
    """Handed out no more. Results that people have of it stay theirs."""
    live = GoldenItem.objects.select_for_update(of=("self",)).get(pk=item.pk)
    if live.withdrawn_at is not None:
        raise WrongState("it is withdrawn")
    live.withdrawn_at = timezone.now()
    live.save(update_fields=["withdrawn_at"])
    reviews.take_back(live.asset)
    _tell("golden-item.withdrawn", live, by)
    return live


def _live(item: GoldenItem) -> GoldenItem:
    live = GoldenItem.objects.select_for_update(of=("self",)).select_related("asset").get(pk=item.pk)
    if live.withdrawn_at is not None:
        raise WrongState("it is withdrawn")
    if live.agreed_at is not None:
        raise WrongState("its answers are agreed on", mend="withdraw it and put it in anew")
    return live


def _check_may(actor: Actor, item: GoldenItem) -> None:
    if not actor.may(Permission.REVIEW_LEAD) and item.asked_id != actor.person.pk:
        raise NotAllowed("you were not asked")


def _tell(act: str, item: GoldenItem, by: Person) -> None:
    """Never names the file: its own page shows its lines, and is open to whoever answers a golden item."""
    record(act, actor=str(by.pk), object_kind="golden-item", object_id=str(item.pk), details={"set": str(item.set_id)})
