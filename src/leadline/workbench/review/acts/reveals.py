"""What is sent of a picture, to whom, for how long. The row of the ledger stands before the first pixel leaves.

It is written once the pixels are made: of those that could not be made nobody may say that they were shown.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from leadline.errors import InputError, NotAllowed, WrongState
from leadline.media.client import Rendition
from leadline.media.reduction import Reduction
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.actions import record
from leadline.workbench.review import pictures
from leadline.workbench.review.access import floors_of, work_of
from leadline.workbench.review.floors import HALF, LEASE, covered_share
from leadline.workbench.review.models import Exposure, Level, Never, Review, Shift
from leadline.workbench.review.scenes import Scene, find_scene, has_picture, scenes_of

MAX_AREAS = 400  # of one grant: eight seconds of moving


def show_tile(person: Person, review: Review, asset: Asset, session: str, *, scene: str = "1") -> Rendition:
    """The small, grey, blurred one, on the card of whoever has claimed the review. scene: its number, untrusted."""
    shift = _may_look(person, review, asset, session)
    floors, found = floors_of(person), find_scene(asset, scene)
    reduction = Reduction.tile(blur_share=floors.blur_share, edge_px=floors.tile_edge_px, view=found.view)
    made = _render(asset, reduction)
    now = timezone.now()
    _note(person, review, asset, shift, Level.TILE, session, found, until=now, at=now, in_colour=False)
    return made


@transaction.atomic
def grant(
    person: Person, review: Review, asset: Asset, level: Level, session: str, *, in_colour: bool = False,
    scene: str = "1",
) -> Exposure:  # fmt: skip
    """Leave to see the lens or the whole of one scene, for some seconds. It counts from now to its end, or in full."""
    review = Review.objects.select_for_update().get(pk=review.pk)
    shift, floors = _may_look(person, review, asset, session), floors_of(person)
    found = find_scene(asset, scene)
    if level is Level.TILE:
        raise InputError("a tile needs no grant", where="level")
    if level is Level.WHOLE and not floors.allow_whole:
        raise NotAllowed("whole pictures are not shown here", mend="use the lens")
    if in_colour and not floors.allow_colour:
        raise NotAllowed("colour is not shown here", mend="use grey")
    end_all(person)
    now = timezone.now()
    until = now + timedelta(seconds=floors.reveal_seconds)
    made = _note(person, review, asset, shift, level, session, found, until=until, at=now, in_colour=in_colour)
    review.lease_until = now + LEASE
    review.save(update_fields=["lease_until"])
    # Who looked stands in the ledger, which is that person's; the chain says that somebody did, and ties the two.
    record(
        "asset.revealed",
        actor="reviewer",
        object_kind="asset",
        object_id=str(asset.pk),
        reason=review.told_purpose,  # on the asset's own page: the ledger's row says which it was
        details={"level": level.value, "colour": in_colour, "seconds": floors.reveal_seconds, "exposure": str(made.pk)},
    )
    return made


def show(person: Person, exposure_id: Any, session: str, centre: tuple[float, float] = (0.5, 0.5)) -> Rendition:
    """Pixels under a live grant of this person in this session: of the lens around `centre` alone, or the whole.

    Raises WrongState once the grant has ended, also while they were made. The area is on record before they leave.
    """
    look, reduction, _area = _allowed(person, Exposure.objects, exposure_id, session, centre)
    made = _render(look.asset, reduction)
    with transaction.atomic():
        locked = Exposure.objects.select_for_update(of=("self",))
        look, _reduction, area = _allowed(person, locked, exposure_id, session, centre)
        if area not in look.areas:
            look.areas = [*look.areas, area]
            look.save(update_fields=["areas"])
    return made


def _allowed(
    person: Person, looks: Any, exposure_id: Any, session: str, centre: tuple[float, float]
) -> tuple[Exposure, Reduction, list[float]]:
    """The look, how it reduces the picture, and the area that it shows just now."""
    now = timezone.now()
    live = looks.filter(pk=exposure_id, person=person, ended_at__isnull=True, until__gt=now)
    look = live.select_related("asset", "review").first()
    is_own = look is not None and hmac.compare_digest(look.session_hash, hash_session(session))
    if look is None or not is_own or look.level == Level.TILE or not look.review.is_claimed_by(person, now):
        raise WrongState("this look has ended", mend="hold the key again")
    if not has_picture(look.asset) or _is_never(person, look.asset):
        raise WrongState("this look has ended")
    scene = _scene_of(look)
    if look.level == Level.WHOLE:
        reduction, area = Reduction.whole(colour=look.in_colour, view=scene.view), [0.0, 0.0, 1.0, 1.0]
    else:
        reduction = Reduction.lens(centre, colour=look.in_colour, view=scene.view)
        rectangle = reduction.rectangle(scene.width, scene.height)
        area = [round(v, 4) for v in (rectangle.left, rectangle.top, rectangle.width, rectangle.height)]
    if len(look.areas) >= MAX_AREAS:
        raise WrongState("this look has ended", mend="hold the key again")
    if look.level == Level.LENS and not floors_of(person).allow_whole:
        shown = [*_areas_today(person, look.asset, now), area]
        if covered_share(shown) > HALF:
            raise WrongState("half of this picture was shown today, and no more is", mend="decide by what you saw")
    return look, reduction, area


def _scene_of(made: Exposure) -> Scene:
    found = next((scene for scene in scenes_of(made.asset) if scene.view == made.view), None)
    if found is None:
        raise WrongState("this look has ended")
    return found


def _areas_today(person: Person, asset: Asset, now: Any) -> list[list[float]]:
    """Of all scenes together: frames of one animation show much the same."""
    since = now.replace(hour=0, minute=0, second=0, microsecond=0)
    rows = Exposure.objects.filter(person=person, asset=asset, issued_at__gte=since, level=Level.LENS.value)
    return [area for areas in rows.values_list("areas", flat=True) for area in areas]


def end(person: Person, exposure_id: Any) -> bool:
    """The key was let go. False where it had ended by itself."""
    now = timezone.now()
    live = Exposure.objects.filter(pk=exposure_id, person=person, ended_at__isnull=True, until__gt=now)
    pictures.forget_bytes()
    return bool(live.update(ended_at=now))


def end_all(person: Person) -> int:
    """Every live grant of a person: Escape, a break, the end of a shift, an answer."""
    return _end_now(Exposure.objects.filter(person=person))


def end_all_of(review: Review) -> int:
    """Every live grant under a review, whoever holds it: it goes to somebody else."""
    return _end_now(Exposure.objects.filter(review=review))


def _end_now(rows: Any) -> int:
    now = timezone.now()
    return int(rows.filter(ended_at__isnull=True, until__gt=now).update(ended_at=now))


@transaction.atomic
def never_again(person: Person, asset: Asset, *, for_office: bool = False) -> Never:
    made, is_new = Never.objects.get_or_create(
        asset=asset, person=None if for_office else person, defaults={"made_by": person}
    )
    if is_new and for_office:
        record("asset.never-shown", actor=str(person.pk), object_kind="asset", object_id=str(asset.pk))
    return made


def _is_never(person: Person, asset: Asset) -> bool:
    """Of any file of its cluster: near-duplicates show the same."""
    alike = Never.objects.filter(asset__membership__cluster__members__asset=asset)
    return alike.filter(Q(person=None) | Q(person=person)).exists()


def _may_look(person: Person, review: Review, asset: Asset, session: str) -> Shift:
    now = timezone.now()
    if not review.is_claimed_by(person, now):
        raise WrongState("this is not yours to look at", mend="claim it first")
    if not has_picture(asset):
        raise WrongState("there is nothing to show", mend="decide by the facts")
    if _is_never(person, asset):
        raise NotAllowed("this is never shown again")
    work = work_of(person, now)
    if work.shift is None or work.shift.session_hash != hash_session(session):
        raise WrongState("no shift has begun in this browser", mend="start your shift")
    if not work.may_look:
        mend = "the break lasts ten minutes" if work.break_until else "decide by the facts, or end the day"
        raise NotAllowed("nothing is shown now", mend=mend)
    return work.shift


def _note(
    person: Person, review: Review, asset: Asset, shift: Shift, level: Level, session: str, scene: Scene, *,
    at: Any, until: Any, in_colour: bool,
) -> Exposure:  # fmt: skip
    return Exposure.objects.create(
        person=person, asset=asset, review=review, shift=shift, level=level.value, in_colour=in_colour,
        purpose=review.purpose, severity=review.severity, issued_at=at, until=until, session_hash=hash_session(session),
        view=scene.view,
    )  # fmt: skip


def hash_session(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()


def _render(asset: Asset, reduction: Reduction) -> Rendition:
    return pictures.render(asset.sha256, asset.size_bytes, reduction)
