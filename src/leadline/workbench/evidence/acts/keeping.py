"""How long what is kept stays, who may see it, and how it ends."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.custody.erasure import Act
from leadline.domain import Tlp
from leadline.errors import AssetNotFound, ErasureListBroken, LeadlineError, WrongState
from leadline.workbench import sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence.acts.telling import tell
from leadline.workbench.evidence.models import Asset, AssetState
from leadline.workbench.journal.actions import SYSTEM
from leadline.workbench.permissions import Sensitivity

_FAULTS_AT_MOST = 20  # of one round: where so many fail, it is not the assets
_IN_AT_ONCE = 500
_log = logging.getLogger("leadline.evidence")


def _check_kept(asset: Asset) -> None:
    """By the list of erasures too: after a stop half-way the row says kept of what is gone (`reconcile_erased`)."""
    if asset.state != AssetState.KEPT or sealing.is_erased(asset.sha256):
        raise WrongState("nothing is kept of it", where=str(asset.pk))


@transaction.atomic
def set_hold(by: Person, asset: Asset, *, is_on: bool, reason: str) -> Asset:
    """A legal hold beats every term of retention."""
    held = Asset.objects.select_for_update().get(pk=asset.pk)
    _check_kept(held)
    if held.on_hold == is_on:
        raise WrongState("is so already", where=str(held.pk))
    if is_on:  # the list first, and last when it ends: whatever is cut off, the file is held rather than not
        sealing.open_vault().set_hold(held.sha256, is_on=True, reason=reason)
    held.on_hold = is_on
    held.save(update_fields=["on_hold"])
    tell("asset.held" if is_on else "asset.hold-ended", held, str(by.pk), reason=reason)
    if not is_on:
        sealing.open_vault().set_hold(held.sha256, is_on=False, reason=reason)
    return held


def note_still_held(asset: Asset) -> None:
    """The list of holds says so, and the row does not: it came from a backup, or a stop came between the two."""
    asset.on_hold = True
    asset.save(update_fields=["on_hold"])
    tell("asset.held", asset, SYSTEM, reason="held-before")


@transaction.atomic
def set_term(by: Person, asset: Asset, until: datetime, reason: str) -> Asset:
    held = Asset.objects.select_for_update().get(pk=asset.pk)
    _check_kept(held)
    held.retain_until = until
    held.save(update_fields=["retain_until"])
    tell("asset.term-set", held, str(by.pk), reason=reason, details={"until": f"{until:%Y-%m-%d}"})
    return held


@transaction.atomic
def set_handling(by: Person | None, asset: Asset, sensitivity: Sensitivity, tlp: Tlp, reason: str) -> Asset:
    """Who may see it from here on. `by` None: the machine, for a file that came with a stricter word."""
    held = Asset.objects.select_for_update().get(pk=asset.pk)
    held.sensitivity, held.tlp = int(sensitivity), tlp.value
    held.save(update_fields=["sensitivity", "tlp"])
    details = {"sensitivity": int(sensitivity), "tlp": tlp.value.replace("+", "-")}
    tell("asset.handling-set", held, SYSTEM if by is None else str(by.pk), reason=reason, details=details)
    return held


def erase_expired(now: datetime | None = None, *, at_most: int = 500) -> int:
    """Destroy the keys of what may no longer be kept; how many. What is on hold stays, whatever its term.

    An asset that cannot be erased does not keep the others: it is named in the log, the first fault is raised at the
    end, and it is tried again in the next round. Raises at once where the vault or its list as a whole is at fault.
    """
    due = Asset.objects.filter(state="kept", on_hold=False, retain_until__lte=now or timezone.now())
    erased, faults = 0, list[LeadlineError | OSError]()
    for asset_id in list(due.order_by("retain_until").values_list("pk", flat=True)):
        if erased == at_most or len(faults) == _FAULTS_AT_MOST:
            break
        try:
            erased += _erase_due(asset_id)
        except ErasureListBroken:
            raise
        except (LeadlineError, OSError) as error:
            _log.error("asset %s was not erased: %s", asset_id, error)
            faults.append(error)
    if faults:
        raise faults[0]
    return erased


def _erase_due(asset_id: Any) -> int:
    with transaction.atomic():
        asset = Asset.objects.select_for_update().filter(pk=asset_id).first()
        if asset is None or asset.state != AssetState.KEPT or asset.on_hold:
            return 0
        if sealing.is_held(asset.sha256):
            note_still_held(asset)
            return 0
        erase(asset, actor=SYSTEM, reason="term-ended")
        return 1


def erase(asset: Asset, *, actor: str, reason: str) -> None:
    """Inside a transaction. The key goes first: after a stop half-way it is erased again; none is ever half kept."""
    try:
        sealing.open_vault().erase(asset.sha256, reason=reason)
    except AssetNotFound:  # lost, or taken away by hand. Backups may hold it still, so the list has to know it
        _list_as_erased(asset.sha256, reason)
        reason = f"{reason}-missing"
    _note_erased(asset, actor, reason)


def _list_as_erased(sha256: str, reason: str) -> None:
    vault = sealing.open_vault()
    with vault.erasures.hold(alone=True):
        vault.refuse_held(sha256)
        if not vault.erasures.is_erased(sha256):
            vault.erasures.append(Act.ERASE, sha256, reason, datetime.now(UTC))
    vault.replay_erasures()


def _note_erased(asset: Asset, actor: str, reason: str) -> None:
    asset.state, asset.erased_at, asset.name_sealed = AssetState.ERASED.value, timezone.now(), None
    asset.on_hold = False
    asset.save(update_fields=["state", "erased_at", "name_sealed", "on_hold"])
    tell("asset.erased", asset, actor, reason=reason)


def reconcile_erased() -> int:
    """Rows that say kept, of files that the list of erasures names: a stop between the two left them. How many.

    Also those on hold: what is gone cannot be held, and an office that believes it is there misleads a court.
    """
    vault, found = sealing.open_vault(), 0
    place = str(vault.erasures.path)
    head = vault.erasures.head.line
    after = _reconciled.get(place, 0)
    named = iter(line.sha256 for line in vault.erasures.lines(after if after <= head else 0))
    while some := list(islice(named, _IN_AT_ONCE)):
        with transaction.atomic():
            for asset in Asset.objects.select_for_update().filter(state=AssetState.KEPT.value, sha256__in=some):
                if vault.erasures.is_erased(asset.sha256):  # it may have been admitted again since
                    _note_erased(asset, SYSTEM, "erased-before")
                    found += 1
    _reconciled[place] = head
    return found


_reconciled: dict[str, int] = {}  # by list, its line up to which rows were looked at: lines only ever come after it
