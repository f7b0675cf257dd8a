"""How long what is kept stays, who may see it, and how it ends."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from leadline.domain import Tlp
from leadline.errors import WrongState
from leadline.workbench import sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence.acts.telling import tell
from leadline.workbench.evidence.models import Asset, AssetState
from leadline.workbench.journal.actions import SYSTEM
from leadline.workbench.permissions import Sensitivity


@transaction.atomic
def set_hold(by: Person, asset: Asset, *, is_on: bool, reason: str) -> Asset:
    """A legal hold beats every term of retention."""
    held = Asset.objects.select_for_update().get(pk=asset.pk)
    if held.state != AssetState.KEPT:
        raise WrongState("nothing is kept of it", where=str(held.pk))
    if held.on_hold == is_on:
        raise WrongState("is so already", where=str(held.pk))
    held.on_hold = is_on
    held.save(update_fields=["on_hold"])
    tell("asset.held" if is_on else "asset.hold-ended", held, str(by.pk), reason=reason)
    return held


@transaction.atomic
def set_term(by: Person, asset: Asset, until: datetime, reason: str) -> Asset:
    held = Asset.objects.select_for_update().get(pk=asset.pk)
    if held.state != AssetState.KEPT:
        raise WrongState("nothing is kept of it", where=str(held.pk))
    held.retain_until = until
    held.save(update_fields=["retain_until"])
    tell("asset.term-set", held, str(by.pk), reason=reason, details={"until": f"{until:%Y-%m-%d}"})
    return held


@transaction.atomic
def set_handling(by: Person, asset: Asset, sensitivity: Sensitivity, tlp: Tlp, reason: str) -> Asset:
    """Who may see it from here on."""
    held = Asset.objects.select_for_update().get(pk=asset.pk)
    held.sensitivity, held.tlp = int(sensitivity), tlp.value
    held.save(update_fields=["sensitivity", "tlp"])
    details = {"sensitivity": int(sensitivity), "tlp": tlp.value.replace("+", "-")}
    tell("asset.handling-set", held, str(by.pk), reason=reason, details=details)
    return held


def erase_expired(now: datetime | None = None, *, at_most: int = 500) -> int:
    """Destroy the keys of what may no longer be kept. What is on hold stays, whatever its term."""
    due = Asset.objects.filter(state="kept", on_hold=False, retain_until__lte=now or timezone.now())
    erased = 0
    for asset_id in list(due.order_by("retain_until").values_list("pk", flat=True)[:at_most]):
        with transaction.atomic():
            asset = Asset.objects.select_for_update().filter(pk=asset_id).first()
            if asset is None or asset.state != AssetState.KEPT or asset.on_hold:
                continue
            erase(asset, actor=SYSTEM, reason="term-ended")
            erased += 1
    return erased


def erase(asset: Asset, *, actor: str, reason: str) -> None:
    """Inside a transaction. The key goes first: after a stop half-way it is erased again; none is ever half kept."""
    sealing.open_vault().erase(asset.sha256, reason=reason)
    asset.state, asset.erased_at, asset.name_sealed = AssetState.ERASED.value, timezone.now(), None
    asset.save(update_fields=["state", "erased_at", "name_sealed"])
    tell("asset.erased", asset, actor, reason=reason)
