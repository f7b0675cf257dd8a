"""Exhibits: asked for by one person, released by another, built by the worker, received by their recipient."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.errors import InputError, NotAllowed, WrongState
from leadline.workbench import sealing
from leadline.workbench.accounts.access import are_two, is_one_person_office
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import access
from leadline.workbench.evidence.models import Asset, Exhibit, ExhibitState
from leadline.workbench.journal.actions import SYSTEM, record


@transaction.atomic
def request_exhibit(
    by: Person,
    assets: Sequence[Asset],
    *,
    recipient: str,
    reason: str,
    reference: str = "",
    recipient_key: str = "",
) -> Exhibit:
    """Hashes only; with the recipient's age key the files too, encrypted to it. Somebody else has to release it."""
    if not assets:
        raise InputError("an exhibit of nothing", mend="name assets by their numbers or hashes")
    if recipient_key:
        sealing.check_recipient(recipient_key)
        missing = [asset for asset in assets if not access.can_be_enclosed(asset)]
        if missing:
            mend = "leave it out, or ask for hashes only"
            raise WrongState("its file is not kept and cannot be enclosed", where=str(missing[0].pk), mend=mend)
    exhibit = Exhibit.objects.create(
        recipient=recipient,
        recipient_key=recipient_key,
        reason=reason,
        reference=reference,
        requested_by=by,
        sensitivity=max(asset.sensitivity for asset in assets),
    )
    exhibit.assets.set(assets)
    details = {"assets": len(assets), "with_files": bool(recipient_key)}
    _tell_exhibit("exhibit.requested", exhibit, by, reason=reason, details=details)
    return exhibit


@transaction.atomic
def decide_exhibit(by: Person, exhibit: Exhibit, *, release: bool, reason: str) -> Exhibit:
    """Release or refuse. Never by who asked, except in an office of one person, which is recorded."""
    decided = Exhibit.objects.select_for_update().get(pk=exhibit.pk)
    if decided.state != ExhibitState.REQUESTED:
        raise WrongState("is decided already", where=str(decided.pk))
    is_own = decided.requested_by_id == by.pk
    if not is_one_person_office() and not are_two(decided.requested_by, by):
        raise NotAllowed("a second person releases", where=str(decided.pk), mend="ask a colleague")
    decided.is_alone = is_own
    decided.state = (ExhibitState.RELEASED if release else ExhibitState.REFUSED).value
    decided.decided_by, decided.decided_at = by, timezone.now()
    decided.save(update_fields=["state", "decided_by", "decided_at", "is_alone"])
    _tell_exhibit("exhibit.released" if release else "exhibit.refused", decided, by, reason=reason)
    return decided


@transaction.atomic
def note_built(exhibit: Exhibit, *, line: int, manifest_sha512: str, size_bytes: int) -> None:
    row = Exhibit.objects.select_for_update().get(pk=exhibit.pk)
    if row.state != ExhibitState.RELEASED:
        return
    row.state, row.fault, row.line = ExhibitState.READY.value, "", line
    row.manifest_sha512, row.size_bytes = manifest_sha512, size_bytes
    row.save(update_fields=["state", "fault", "line", "manifest_sha512", "size_bytes"])
    _tell_exhibit("exhibit.built", row, None, details={"line": line, "manifest_sha512": manifest_sha512})


@transaction.atomic
def note_failed(exhibit: Exhibit, fault: str) -> None:
    row = Exhibit.objects.select_for_update().get(pk=exhibit.pk)
    if row.state == ExhibitState.RELEASED:
        row.state, row.fault = ExhibitState.FAILED.value, fault[:64]
        row.save(update_fields=["state", "fault"])
        _tell_exhibit("exhibit.failed", row, None, reason=fault)


@transaction.atomic
def build_again(by: Person, exhibit: Exhibit) -> Exhibit:
    """After a fault was mended: the release stands, so nobody decides again."""
    row = Exhibit.objects.select_for_update().get(pk=exhibit.pk)
    if row.state != ExhibitState.FAILED:
        raise WrongState("its building has not failed", where=str(row.pk))
    row.state, row.fault = ExhibitState.RELEASED.value, ""
    row.save(update_fields=["state", "fault"])
    _tell_exhibit("exhibit.build-again", row, by)
    return row


@transaction.atomic
def note_download(by: Person, exhibit: Exhibit) -> None:
    if not access.is_ready(exhibit):
        raise WrongState("is not ready", where=str(exhibit.pk))
    _tell_exhibit("exhibit.downloaded", exhibit, by)


@transaction.atomic
def note_receipt(by: Person, exhibit: Exhibit, untrusted_confirmation: bytes) -> None:
    """The recipient's confirmation: its hash is kept, the paper itself stays where it came."""
    row = Exhibit.objects.select_for_update().get(pk=exhibit.pk)
    if row.state != ExhibitState.READY:
        raise WrongState("is not ready, or confirmed already", where=str(row.pk))
    row.state, row.received_at, row.receipt_noted_by = ExhibitState.RECEIVED.value, timezone.now(), by
    row.receipt_sha256 = hashlib.sha256(untrusted_confirmation).hexdigest()
    row.save(update_fields=["state", "received_at", "receipt_noted_by", "receipt_sha256"])
    _tell_exhibit("exhibit.received", row, by, details={"receipt_sha256": row.receipt_sha256})


def _tell_exhibit(
    act: str, exhibit: Exhibit, by: Person | None, *, reason: str = "none", details: dict[str, Any] | None = None
) -> None:
    actor = SYSTEM if by is None else str(by.pk)
    record(act, actor=actor, object_kind="exhibit", object_id=str(exhibit.pk), reason=reason, details=details)
