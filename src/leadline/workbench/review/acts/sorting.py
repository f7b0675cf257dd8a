"""Files that arrived -> clusters and reviews. What is known stays out of the queue; near-duplicates are one review.

The nearest centre within the radius takes a file in; without one it is the centre of a cluster of its own. A decided
cluster that grows needs no second look: the new file is covered by inference. Therefore files of several frames are
near each other only throughout, and never near a single picture.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone
from numpy.typing import NDArray

from leadline.domain import DEFAULT_QUALITY_FLOOR, PDQ_BYTES, Kind, PdqFamily
from leadline.workbench import sealing
from leadline.workbench.evidence.models import Asset, AssetMatch, AssetState, AssetView
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.reports.models import Item
from leadline.workbench.review import access
from leadline.workbench.review.acts.each import each
from leadline.workbench.review.centres import Centres, Near, farthest
from leadline.workbench.review.floors import CATEGORIES, category_of, severity_of
from leadline.workbench.review.models import (
    APART,
    Assessment,
    Cluster,
    Coverage,
    Member,
    Origin,
    Purpose,
    Review,
    Standing,
    State,
)
from leadline.workbench.review.scenes import LOOKED_AT

AT_ONCE = 500
_MOST_COMPARED = 50  # centres of several frames whose first frame is near, for each turn
_LOOKS_BACK = timedelta(days=2)


@dataclass
class _Known:
    """Centres in memory, and the row of the last one: another worker may have had this duty meanwhile.

    moving    those of several frames, by the first
    """

    single: Centres
    moving: Centres
    last_member: int = 0

    def add(self, member_id: int, cluster: Any, pdq: bytes, frames: int) -> None:
        (self.single if frames == 1 else self.moving).add(cluster, pdq)
        self.last_member = max(self.last_member, member_id)


_known: dict[tuple[str, int], _Known] = {}  # one office in life; tests have many
_failed: dict[str, set[Any]] = {}
_looked: dict[str, datetime] = {}  # when all files were looked through last, and none was left
_LOOKS_THROUGH, _ARRIVES_WITHIN = timedelta(hours=1), timedelta(hours=1)
_COUNTS = (Standing.PENDING.value, Standing.IN_FORCE.value)


def forget() -> None:
    """As after a new start: centres are read from their table again."""
    _known.clear()
    _failed.clear()
    _looked.clear()


def sort_assets(limit: int = AT_ONCE) -> int:
    """Every file without a cluster that is not erased gets one; how many were sorted in. A worker's duty."""
    known, home, now = _catch_up(), str(settings.LEADLINE_HOME), timezone.now()
    waiting = Asset.objects.filter(membership__isnull=True).exclude(state=AssetState.ERASED.value)
    # Asked every five seconds: all of a million sorted ones only once an hour.
    is_quick = home in _looked and timedelta(0) <= now - _looked[home] < _LOOKS_THROUGH
    if is_quick:
        waiting = waiting.filter(received_at__gt=_looked[home] - _ARRIVES_WITHIN)
    failed = _failed.setdefault(home, set())

    def sort(asset: Asset) -> int:
        failed.add(asset.pk)  # until it is through: one that fails is tried again after the next start
        _sort(asset, known)
        failed.discard(asset.pk)
        return 1

    found = list(waiting.exclude(pk__in=list(failed)).order_by("received_at", "id")[:limit])
    if not is_quick and len(found) < limit:
        _looked[home] = now
    return each(found, sort)


@transaction.atomic
def _sort(asset: Asset, known: _Known) -> None:
    turned = _hashes(asset)
    near = _nearest(asset, turned, known) if turned else None
    if near is None:
        radius = access.cluster_radius()
        cluster = Cluster.objects.create(centre=asset, radius_bits=radius)
        member = Member.objects.create(cluster=cluster, asset=asset, distance=0)
        if turned:
            transaction.on_commit(lambda: known.add(member.pk, cluster.pk, turned[0], asset.frames))
    else:
        cluster = _join(asset, near)
    _queue(cluster, asset)


def _nearest(asset: Asset, turned: list[bytes], known: _Known) -> Near | None:
    if asset.frames == 1:
        return known.single.nearest(turned)
    frames, found = _frames(asset), []
    if frames is None:
        return None
    met = known.moving.within(turned, most=_MOST_COMPARED)
    clusters = Cluster.objects.select_related("centre").filter(pk__in={near.cluster for near in met})
    of_centres = {cluster.pk: _frames(cluster.centre) for cluster in clusters}  # one is often met in several turns
    for near in met:
        if (of_centre := of_centres[near.cluster]) is not None:
            found.append(replace(near, distance=farthest(frames[:, near.turn], of_centre[:, 0])))
    nearest = min(found, key=lambda near: near.distance, default=None)
    return nearest if nearest is not None and nearest.distance <= known.moving.radius_bits else None


def _frames(asset: Asset) -> NDArray[np.uint8] | None:
    """Hashes of all frames: uint8 (frames, turns, 32). None where one is not known, or does not bear comparing."""
    views = list(asset.views.filter(family=PdqFamily.B.value).order_by("id"))
    if not views or asset.partial or asset.fault or any(view.quality < DEFAULT_QUALITY_FLOOR for view in views):
        return None
    return np.frombuffer(b"".join(bytes(view.pdq) for view in views), np.uint8).reshape(len(views), -1, PDQ_BYTES)


def _join(asset: Asset, near: Near) -> Cluster:
    cluster = Cluster.objects.select_for_update().get(pk=near.cluster)
    Member.objects.create(cluster=cluster, asset=asset, distance=near.distance, transform=near.transform)
    cluster.size += 1
    cluster.save(update_fields=["size"])
    if open_ones := list(cluster.reviews.filter(is_open=True)):
        severity, category = cost_of(cluster)
        for review in open_ones:
            _weigh(review, severity, category)
    decided = Assessment.objects.filter(cluster=cluster, standing=Standing.IN_FORCE.value).first()
    if decided is not None:
        Coverage.objects.get_or_create(
            assessment=decided, asset=asset, defaults={"origin": Origin.PROPAGATED.value, "distance": near.distance}
        )
        record(
            "asset.covered", actor=SYSTEM, object_kind="asset", object_id=str(asset.pk),
            details={"assessment": str(decided.pk), "distance": near.distance, "inferred": True},
        )  # fmt: skip
    return cluster


def _catch_up() -> _Known:
    """The centres that this process knows, and those that came since it last looked."""
    key = (str(settings.LEADLINE_HOME), access.cluster_radius())
    known = _known.setdefault(key, _Known(Centres(key[1]), Centres(key[1])))
    rows = Member.objects.filter(id__gt=known.last_member, asset=F("cluster__centre"))
    views = AssetView.objects.filter(asset=OuterRef("asset"), family=PdqFamily.B.value)
    best = views.filter(quality__gte=DEFAULT_QUALITY_FLOOR)
    first = Subquery(best.order_by("id").values("pdq")[:1])
    told = rows.order_by("id").values_list("id", "cluster", first, "asset__frames")
    for member_id, cluster, pdq, frames in told.iterator(20_000):
        if pdq:
            known.add(member_id, cluster, bytes(pdq)[:PDQ_BYTES], frames)
        known.last_member = max(known.last_member, member_id)
    return known


def _hashes(asset: Asset) -> list[bytes]:
    """Eight transforms of the first view that bears comparing; none of a file without a picture."""
    view = asset.views.filter(family=PdqFamily.B.value, quality__gte=DEFAULT_QUALITY_FLOOR).order_by("id").first()
    return list(view.hashes.pdq) if view else []


def _queue(cluster: Cluster, asset: Asset) -> None:
    """One open review a cluster, as urgent as the most urgent report of any of its files.

    Of what a person sees or hears only: letters and lists that reports came in are read on the pages of reports.
    """
    if not asset.mime.startswith(LOOKED_AT):
        return
    if asset.is_set_aside:
        if asset.inferred_kind == Kind.BENIGN or not _is_sampled(asset):
            return
        purpose = Purpose.SAMPLE
    elif Assessment.objects.filter(cluster=cluster, standing__in=_COUNTS).exists():
        return  # covered: what is pending covers it when it comes into force
    else:
        purpose = Purpose.DECISION
    urgency, why = urgency_of([asset])
    cost = functools.cache(lambda: cost_of(cluster))  # only where a review is made: `_join` has weighed an open one
    review, is_new = Review.objects.get_or_create(
        cluster=cluster,
        purpose=purpose.value,
        state__in=[state.value for state in access.OPEN],
        defaults={
            "state": "waiting", "urgency": urgency, "rank": 3 - urgency, "why": why,
            "severity": lambda: cost()[0], "category": lambda: _told_category(purpose, cost()[1]),
            "received_at": asset.received_at,
            # Of what is known just this file is checked: others of its cluster may wait for a decision.
            "subject": asset if purpose is Purpose.SAMPLE else None,
        },
    )  # fmt: skip
    if not is_new and urgency > review.urgency:
        review.urgency, review.rank, review.why = urgency, 3 - urgency, why
        review.save(update_fields=["urgency", "rank", "why"])


def cost_of(cluster: Cluster) -> tuple[int, str]:
    """Severity and category of the gravest of its files, whichever is looked at: near-duplicates show much the same."""
    live = AssetMatch.objects.filter(asset__membership__cluster=cluster, withdrawn_at__isnull=True, suppressed_by="")
    kinds: dict[Any, set[str]] = {}
    told: dict[Any, set[str]] = {}  # what stands in a list must not say what a TLP:RED bank holds
    for asset_id, kind, is_red in live.exclude(kind=Kind.FALSE_POSITIVE.value).values_list("asset", "kind", "is_red"):
        kinds.setdefault(asset_id, set()).add(kind)
        if not is_red:
            told.setdefault(asset_id, set()).add(kind)
    files = list(cluster.members.values_list("asset", "asset__verdict", "asset__mime"))
    severity = max(severity_of(verdict, kinds.get(asset_id, ())) for asset_id, verdict, _mime in files)
    categories = {category_of(mime, told.get(asset_id, ())) for asset_id, _verdict, mime in files}
    return severity, min(categories, key=CATEGORIES.index)


def _told_category(purpose: str, category: str) -> str:
    return "sample" if purpose == Purpose.SAMPLE else category


def _weigh(review: Review, severity: int, category: str) -> bool:
    """Whether that is another cost than the one it had."""
    category = _told_category(review.purpose, category)
    if (review.severity, review.category) == (severity, category):
        return False
    review.severity, review.category = severity, category
    review.save(update_fields=["severity", "category"])
    return True


def urgency_of(assets: Sequence[Asset]) -> tuple[int, list[Any]]:
    """Of the most urgent report that points at one of them, with its reasons."""
    items = Item.objects.filter(asset__in=list(assets), report__is_open=True).select_related("report")
    first = items.order_by("-report__urgency", "report__received_at").first()
    if first is None:
        return 0, []
    is_for_all = first.report.sensitivity <= max(asset.sensitivity for asset in assets)
    return first.report.urgency, first.report.urgency_why if is_for_all else []


def _is_sampled(asset: Asset) -> bool:
    """By an HMAC under the office's secret: not to be foreseen, and the same whoever asks."""
    digest = hashlib.blake2b(asset.sha256.encode(), key=sealing.derive("review-sample"), digest_size=4).digest()
    return int.from_bytes(digest, "big") % 1000 < access.sample_per_mille()


@transaction.atomic
def refresh_review(review_id: Any) -> int:
    """1 where an open review costs something else by what lists say now, and where one that waits is set aside or is
    more urgent than it was.
    """
    review = Review.objects.select_for_update().filter(pk=review_id, is_open=True).first()
    if review is None:
        return 0
    changed = int(_weigh(review, *cost_of(review.cluster)))
    if review.state != State.WAITING or review.purpose in (Purpose.REVISION, *APART):
        return changed  # the latter wait for a person, and are never more urgent
    assets = [member.asset for member in review.cluster.members.select_related("asset")]
    if review.purpose != Purpose.SAMPLE and all(asset.is_set_aside for asset in assets):
        review.state, review.decided_at = State.SET_ASIDE.value, timezone.now()
        review.save(update_fields=["state", "decided_at"])
        return 1
    urgency, why = urgency_of(assets)
    if urgency <= review.urgency:
        return changed
    review.urgency, review.rank, review.why = urgency, 3 - urgency, why
    review.save(update_fields=["urgency", "rank", "why"])
    return 1


def queue_again() -> int:
    """Files that lists no longer know, and that nobody decided: they wait for somebody now; how many."""
    since = timezone.now() - _LOOKS_BACK
    withdrawn = AssetMatch.objects.filter(withdrawn_at__gt=since).values("asset")
    concerned = Q(asset__in=withdrawn) | Q(asset__in=Asset.objects.filter(let_out_at__gt=since).values("pk"))
    members = Member.objects.filter(concerned, asset__is_set_aside=False)
    return each(members.select_related("asset", "cluster").iterator(AT_ONCE), _queue_again)


@transaction.atomic
def _queue_again(member: Member) -> int:
    cluster = member.cluster
    before = Review.objects.filter(cluster=cluster, state__in=[state.value for state in access.OPEN]).count()
    _queue(cluster, member.asset)
    return Review.objects.filter(cluster=cluster, state__in=[state.value for state in access.OPEN]).count() - before
