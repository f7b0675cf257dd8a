"""Two people's answers to one file: paired, and where they differ settled by a third with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import chain
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from leadline.errors import NotAllowed, WrongState
from leadline.law.assessments import Given
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.quality import access
from leadline.workbench.quality.models import Pair, PairState
from leadline.workbench.review import access as review
from leadline.workbench.review import actions as reviews
from leadline.workbench.review.acts.each import each
from leadline.workbench.review.models import Assessment, Origin, Purpose, Review, Standing

REASON = "disagreement"
_LOOKS_BACK = timedelta(days=60)
_STATED = (Standing.IN_FORCE.value, Standing.SUPERSEDED.value)


def pair_up() -> int:
    """Second answers that can no longer be undone, each beside the first; how many. A worker's duty."""
    alone = Assessment.objects.filter(revises__isnull=True, pair__isnull=True, made_at__gt=timezone.now() - _LOOKS_BACK)
    seconds = alone.filter(review__purpose__in=review.SECOND, standing__in=_STATED)
    waiting = [some.order_by("made_at").values_list("pk", flat=True)[:500] for some in (seconds, _samples(alone))]
    return each(chain(*waiting), _pair)


def _samples(alone: QuerySet[Assessment]) -> QuerySet[Assessment]:
    """Those that stand beside what somebody else decided; not those that were in force themselves, and were revised."""
    stands = Assessment.objects.filter(cluster=OuterRef("cluster"), standing=Standing.IN_FORCE.value)
    beside = alone.filter(review__purpose=Purpose.SAMPLE.value, standing=Standing.SUPERSEDED.value)
    return beside.filter(Exists(stands.exclude(by=OuterRef("by")))).exclude(revisions__standing__in=_STATED)


@transaction.atomic
def _pair(second_id: Any) -> int:
    second = Assessment.objects.select_related("review").get(pk=second_id)
    first = _first(second)
    asset = _same_file(first, second) if first is not None else None
    if first is None or asset is None or _scheme(first) != _scheme(second):
        return 0  # answers to other questions, or of another file, are no pair
    differs = access.differing(first.answers, second.answers)
    if differs and _waits(first):
        return 0  # one of these files waits for a third already: after that
    made = Pair(first=first, second=second, asset=asset, scheme=first.scheme, scheme_version=first.scheme_version)
    made.differs, made.state = differs, (PairState.OPEN if differs else PairState.SAME).value
    if differs and access.in_force(made) not in (first, second):
        made.state, made.resolved_at = PairState.OVERTAKEN.value, timezone.now()
    elif differs:
        made.review = reviews.open_apart(Purpose.DISAGREEMENT, asset, of=first.review)
    made.save(force_insert=True)
    _tell("answers.paired", made, SYSTEM, details={"differ": len(differs)})
    return 1


def _scheme(made: Assessment) -> tuple[str, int]:
    return made.scheme, made.scheme_version


def _first(second: Assessment) -> Assessment | None:
    """What a sample checks is what is in force."""
    if second.review.purpose == Purpose.SAMPLE:
        own = Assessment.objects.filter(cluster=second.cluster_id, standing=Standing.IN_FORCE.value)
    else:
        own = Assessment.objects.filter(review=second.review.of_id, revises__isnull=True, standing__in=_STATED)
    return own.exclude(by=second.by_id).select_related("review").order_by("made_at").first()


def _same_file(first: Assessment, second: Assessment) -> Asset | None:
    """The one file that both had before them; of a sample the one that was drawn, where the first counts for it too."""
    looked_at = second.coverage.filter(origin=Origin.ASSESSED.value).select_related("asset").first()
    if looked_at is None:
        return None
    covered = first.coverage.filter(asset=looked_at.asset_id)
    if second.review.purpose != Purpose.SAMPLE:
        covered = covered.filter(origin=Origin.ASSESSED.value)
    return looked_at.asset if covered.exists() else None


def _waits(first: Assessment) -> bool:
    open_ones = Review.objects.filter(cluster=first.cluster_id, purpose=Purpose.DISAGREEMENT.value)
    return open_ones.filter(state__in=[state.value for state in review.OPEN]).exists()


def follow() -> int:
    """Open pairs whose answers were revised for another reason are over; a settlement that was undone waits again."""
    waiting = Pair.objects.filter(state=PairState.OPEN.value).values_list("pk", flat=True)
    undone = Pair.objects.filter(state=PairState.REVISED.value, resolution__standing=Standing.UNDONE.value)
    return each(waiting, _overtake) + each(undone.values_list("pk", flat=True), _reopen)


@transaction.atomic
def _overtake(pair_id: Any) -> int:
    pair = _locked(pair_id)
    if pair.state != PairState.OPEN or access.in_force(pair) in (pair.first, pair.second):
        return 0
    pair.state, pair.resolved_at = PairState.OVERTAKEN.value, timezone.now()
    pair.save(update_fields=["state", "resolved_at"])
    if pair.review is not None:
        reviews.end_apart(pair.review)
    _tell("disagreement.overtaken", pair, SYSTEM)
    return 1


@transaction.atomic
def _reopen(pair_id: Any) -> int:
    pair = _locked(pair_id)
    if pair.state != PairState.REVISED or pair.resolution is None or pair.resolution.standing != Standing.UNDONE:
        return 0
    pair.state, pair.resolution, pair.resolved_by, pair.resolved_at = PairState.OPEN.value, None, None, None
    pair.save(update_fields=["state", "resolution", "resolved_by", "resolved_at"])
    if pair.review is not None:
        reviews.reopen_apart(pair.review)
    _tell("disagreement.reopened", pair, SYSTEM)
    return 1


@transaction.atomic
def look(actor: Actor, pair_id: Any) -> Review:
    """Leave to look at the file and to settle it, under the rules of any card."""
    pair = _locked(pair_id)
    _check_third(pair, actor.person)
    if pair.review is None:
        raise WrongState("it is settled")
    return reviews.claim_apart(actor, pair.review.pk)


@transaction.atomic
def settle(person: Person, pair_id: Any, answers: Given, labels: Sequence[str] = (), note: str = "") -> Pair:
    """The third's answers. The same as those in force let these stand; others revise them, and can be undone."""
    pair = _locked(pair_id)
    _check_third(pair, person)
    if pair.state != PairState.OPEN or pair.review is None:
        raise WrongState("it is settled")
    standing = access.in_force(pair)
    if standing is None or standing not in (pair.first, pair.second):
        raise WrongState("it was revised meanwhile", mend="there is nothing left to settle")
    reviews.close_apart(person, pair.review.pk)
    pair.resolved_by, pair.resolved_at = person, timezone.now()
    newest = access.questions_now()
    if _scheme(standing) != (newest.id, newest.version) or access.differing(standing.answers, answers):
        pair.resolution = reviews.revise(person, standing.pk, REASON, answers, labels, note, asset=pair.asset)
        pair.state = PairState.REVISED.value
    else:
        pair.state = PairState.CONFIRMED.value
    pair.save(update_fields=["state", "resolution", "resolved_by", "resolved_at"])
    _tell(f"disagreement.{pair.state}", pair, str(person.pk), reason=REASON)
    return pair


def _locked(pair_id: Any) -> Pair:
    rows = Pair.objects.select_for_update(of=("self",))
    return rows.select_related("first", "second", "asset", "review", "resolution").get(pk=pair_id)


def _check_third(pair: Pair, person: Person) -> None:
    if person.pk in (pair.first.by_id, pair.second.by_id):
        raise NotAllowed("a third person decides this", mend="leave it to a colleague")


def _tell(act: str, pair: Pair, actor: str, *, reason: str = "none", details: dict[str, Any] | None = None) -> None:
    told = {"first": str(pair.first_id), "second": str(pair.second_id), **(details or {})}
    record(act, actor=actor, object_kind="pair", object_id=str(pair.pk), reason=reason, details=told)
