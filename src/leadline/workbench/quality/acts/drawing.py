"""Which decisions draw a second person, and which a golden item for whoever decided. A worker's duty.

By an HMAC of the review under the office's secret: not to be foreseen, and a duty done again draws nothing more.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from leadline.workbench import sealing
from leadline.workbench.accounts.access import people_near_evidence
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.access import visible_through
from leadline.workbench.evidence.models import Asset, AssetState
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.quality import access
from leadline.workbench.quality.models import GoldenAnswer, GoldenItem, Handout
from leadline.workbench.review import access as review
from leadline.workbench.review import actions as reviews
from leadline.workbench.review.acts.each import each
from leadline.workbench.review.models import Assessment, Exposure, Never, Origin, Purpose, Review, Standing, State
from leadline.workbench.review.scenes import has_picture

_LOOKS_BACK = timedelta(days=2)
_LATE = timedelta(days=14)
_AT_MOST = 200  # items to choose among


def draw() -> int:
    """How many reviews were asked for."""
    if people_near_evidence() < 2:  # nobody else could answer
        return 0
    made = Assessment.objects.filter(standing=Standing.IN_FORCE.value, review__purpose=Purpose.DECISION.value)
    recent = made.filter(revises__isnull=True, made_at__gt=timezone.now() - _LOOKS_BACK).order_by("made_at")
    drawn = list(recent.values_list("pk", "review"))
    doubles, golden = access.double_percent(), access.golden_percent()
    twice = [pk for pk, decided in drawn if falls("double", decided, doubles)]
    trials = [pk for pk, decided in drawn if falls("golden", decided, golden)]
    return each(twice, _double) + each(trials, _hand_out)


def falls(what: str, review_id: Any, percent: int) -> bool:
    key = sealing.derive(f"quality-{what}")
    digest = hashlib.blake2b(str(review_id).encode(), key=key, digest_size=8).digest()
    return int.from_bytes(digest, "big") % 100 < percent


@transaction.atomic
def _double(assessment_id: Any) -> int:
    first = Assessment.objects.select_related("review__cluster").get(pk=assessment_id)
    covered = first.coverage.filter(origin=Origin.ASSESSED.value).select_related("asset").first()
    if covered is None or not has_picture(covered.asset):
        return 0
    return int(reviews.ask_double(first, covered.asset) is not None)


@transaction.atomic
def _hand_out(assessment_id: Any) -> int:
    made = Assessment.objects.select_related("by", "review").get(pk=assessment_id)
    waits = Handout.objects.filter(person=made.by, review__state__in=[state.value for state in review.OPEN])
    if Handout.objects.filter(drawn_by=made.review).exists() or waits.exists() or not made.by.is_active:
        return 0
    choice = items_for(made.by)
    while choice:
        item = choice.pop(secrets.randbelow(len(choice)))
        asked = reviews.hand_out(made.by, item.asset) if has_picture(item.asset) else None
        if asked is None:  # it waits for a decision just now
            continue
        Handout.objects.create(item=item, person=made.by, review=asked, drawn_by=made.review, asset=item.asset)
        details = {"review": str(asked.pk)}
        record("golden.handed-out", actor=SYSTEM, object_kind="golden-item", object_id=str(item.pk), details=details)
        return 1
    return 0


def end_late() -> int:
    """What nobody took in a fortnight ends: it must not hide first answers, or take a person's turn, for ever."""
    then, idle = timezone.now() - _LATE, (State.WAITING.value, State.HELD.value)
    waiting = Review.objects.filter(state__in=idle)
    doubles = waiting.filter(purpose=Purpose.DOUBLE.value, of__decided_at__lt=then)
    golden = waiting.filter(handout__at__lt=then)
    return each([*doubles, *golden], _end)


def _end(late: Review) -> int:
    reviews.end_apart(late)
    return 1


def items_for(person: Person) -> list[GoldenItem]:
    """Agreed under today's questions, of files that this person may see and has had nothing to do with, and that came
    in a way in which others do: else the queue's source or a lack of reports would tell."""
    actor, scheme = Actor.of_person(person), access.questions_now()
    live = GoldenItem.objects.filter(visible_through(actor, "asset"), agreed_at__isnull=False)
    live = live.filter(withdrawn_at__isnull=True, set__ended_at__isnull=True)
    live = live.filter(asset__state=AssetState.KEPT.value, asset__is_set_aside=False)
    agreed = GoldenAnswer.objects.filter(is_agreed=True, scheme=scheme.id, scheme_version=scheme.version)
    live = live.filter(pk__in=agreed.values("item"))
    live = live.exclude(Q(put_in_by=person) | Q(asked=person)).exclude(pk__in=_answered_by(person))
    fresh = access.with_ways(live.exclude(asset__in=_known_to(person))).filter(access.came_as_usual()).order_by("?")
    return list(fresh.select_related("asset", "set")[:_AT_MOST])


def _answered_by(person: Person) -> Any:
    return GoldenAnswer.objects.filter(by=person).values("item")


def _known_to(person: Person) -> Any:
    """Files handed to them before, and those near anything they decided, were shown, or wish never to see."""
    handed = Handout.objects.filter(person=person).values("asset")
    decided = Assessment.objects.filter(by=person).values("cluster")
    shown = Exposure.objects.filter(person=person).values("asset__membership__cluster")
    never = Never.objects.filter(Q(person=person) | Q(person__isnull=True)).values("asset__membership__cluster")
    near = Q(membership__cluster__in=decided) | Q(membership__cluster__in=shown) | Q(membership__cluster__in=never)
    return Asset.objects.filter(Q(pk__in=handed) | near).values("pk")
