"""The vault and the chain as a whole: anchors, checks, a new key, backups and what a restored one lacks."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from leadline.custody.canonical import encode_canonical
from leadline.custody.keys import rotate_key as make_new_key
from leadline.custody.upkeep import rewrap_vault, verify_vault
from leadline.errors import WrongState
from leadline.workbench import sealing
from leadline.workbench.evidence.acts.keeping import note_still_held
from leadline.workbench.evidence.acts.telling import tell
from leadline.workbench.evidence.models import Asset, AssetState, WrappedSecret
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.journal.models import Anchor, Line

_CODE = re.compile(r"[A-Za-z0-9._:-]{1,100}")


@transaction.atomic
def note_anchor(line: int, head: str, statement: str) -> Anchor:
    anchor = Anchor.objects.create(line=line, head=head, statement=statement)
    record("chain.anchored", actor=SYSTEM, object_kind="line", object_id=str(line), details={"head": head})
    return anchor


@transaction.atomic
def note_erasures() -> None:
    """Where the list of erasures and holds stands; nothing where that has been said already."""
    stands = sealing.open_vault().erasures.head
    details = {"line": stands.line, "hash": stands.hash}
    last = Line.objects.filter(act="erasures.stand").order_by("-line").values_list("details", flat=True).first()
    if last != encode_canonical(details).decode():
        record("erasures.stand", actor=SYSTEM, object_kind="erasures", object_id="list", details=details)


def note_anchor_left(anchor: Anchor, way: str) -> None:
    anchor.left_by = [*anchor.left_by, way]
    anchor.save(update_fields=["left_by"])


def note_stamp(anchor: Anchor, url: str, token: str) -> None:
    anchor.stamps = [*anchor.stamps, {"url": url, "token": token}]
    anchor.save(update_fields=["stamps"])


@dataclass(frozen=True, slots=True)
class VaultCheck:
    """faults: sentences with ids. unrecorded: sealed files that no asset names (a stop left them; swept later)."""

    files: int
    unrecorded: int
    faults: tuple[str, ...]


def check_vault() -> VaultCheck:
    """Read every sealed file again, and hold what is there against what the office says it keeps."""
    vault = sealing.open_vault()
    faults = [str(fault) for fault in verify_vault(vault)]
    there = set(vault.addresses())
    kept = set(Asset.objects.filter(state=AssetState.KEPT.value).values_list("sha256", flat=True))
    faults += [f"kept, and not in the vault: {sha256}" for sha256 in sorted(kept - there)]
    return VaultCheck(len(there), len(there - kept), tuple(faults))


def rotate_key() -> tuple[dict[str, int], list[str]]:
    """A new key, and everything wrapped under it: files, secrets, sealed fields of every row, credentials of sources.
    Others work meanwhile.

    What was done, and what is damaged and was passed over. While a key of before still lies beside the present one, no
    other is made: what was stopped is finished. A service changes its keys by itself; then its answers are made anew.
    """
    vault, damaged = sealing.open_vault(), list[str]()
    if not settings.LEADLINE_KEY_SLOT and not sealing.has_older_keys():
        with vault.erasures.hold(alone=True):  # no seal is being finished: none is wrapped under the key before
            make_new_key(settings.LEADLINE_KEY_FILE)
    done = {"files": rewrap_vault(vault, damaged), "secrets": 0, "fields": sealing.rewrap_fields(damaged)}
    for kept in WrappedSecret.objects.all():
        held = bytes(kept.wrapped)
        if (fresh := sealing.rewrap_secret(kept.purpose, held)) != held:
            done["secrets"] += WrappedSecret.objects.filter(pk=kept.pk, wrapped=held).update(wrapped=fresh)
    done["sources"] = sealing.rewrap_sources(damaged)
    done["older"] = sealing.count_under_older_keys()
    details = done | {"damaged": len(damaged)}
    with transaction.atomic():
        record("key.rotated", actor=SYSTEM, object_kind="key", object_id=key_code(), details=details)
    return done, damaged


def key_code() -> str:
    """The key's id in the journal, where no free text may stand; a service may name its keys in any way."""
    name = sealing.key_slot().key_id
    return name if _CODE.fullmatch(name) else f"key:{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def forget_older_keys() -> list[str]:
    """Remove the keys of before, once nothing is wrapped under any of them; their ids. The office stands still.

    WrongState where anything still is. From then on backups that were made before open no more.
    """
    if not sealing.has_older_keys():
        return []
    rotate_key()
    if older := sealing.count_under_older_keys():
        mend = "run `leadline vault rotate` until it says older 0; see what `leadline vault verify` finds"
        raise WrongState(f"{older} data keys are still under a key of before", where="keys", mend=mend)
    forgotten = sealing.forget_older()
    with transaction.atomic():
        for key_id in forgotten:
            record("key.forgotten", actor=SYSTEM, object_kind="key", object_id=key_id)
    return forgotten


@transaction.atomic
def note_backup(name: str, *, damaged: int = 0) -> None:
    record("office.backed-up", actor=SYSTEM, object_kind="backup", object_id=name, details={"damaged": damaged})


def note_restored(name: str, line: int, head: str, replaced: tuple[int, str] | None) -> int:
    """After the copy is in place: erase again what was erased since it was made, hold what is on hold, and say which
    lines are missing.

    The gap cannot be mended, only told: lines after `line` stand in anchors and in what was moved aside, if anywhere.
    """
    erased = sealing.replay_erasures()
    with transaction.atomic():
        kept = Asset.objects.select_for_update().filter(state=AssetState.KEPT.value)
        gone = [asset for asset in kept.iterator() if sealing.is_erased(asset.sha256)]
        for asset in gone:
            asset.state, asset.erased_at, asset.name_sealed = AssetState.ERASED.value, timezone.now(), None
            asset.save(update_fields=["state", "erased_at", "name_sealed"])
            tell("asset.erased", asset, SYSTEM, reason="erased-before-restore")
        still_held = [asset for asset in kept.filter(on_hold=False) if sealing.is_held(asset.sha256)]
        for asset in still_held:
            note_still_held(asset)
        details: dict[str, Any] = {"line": line, "head": head, "erased": len(gone), "held": len(still_held)}
        if replaced is not None:
            details |= {"replaced_line": replaced[0], "replaced_head": replaced[1]}
        record("office.restored", actor=SYSTEM, object_kind="backup", object_id=name, details=details)
    return max(erased, len(gone))
