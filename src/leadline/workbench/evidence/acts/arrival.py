"""A file arrives: fingerprinted, matched, and sealed or let go as the office has decided; and that decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from leadline.domain import Fingerprints, Verdict
from leadline.errors import ConfigError, InputError, NotAllowed
from leadline.match.matcher import MatchAnswer, Matcher
from leadline.scan.arriving import Readable
from leadline.scan.hashing import FileFacts
from leadline.workbench import matching, sealing
from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.banks.access import all_banks, state_of
from leadline.workbench.evidence import access
from leadline.workbench.evidence.acts.matches import (
    Banks,
    compare_answer,
    infer,
    note_bank_gone,
    raise_tasks,
    write_changes,
)
from leadline.workbench.evidence.acts.telling import said_of, tell
from leadline.workbench.evidence.models import Asset, AssetMatch, AssetState, AssetView, BankSeen, MediaMode
from leadline.workbench.journal.actions import SYSTEM
from leadline.workbench.receiving import Received, receive

_NAME_MAX = 1000


@transaction.atomic
def set_media_mode(by: Person, mode: MediaMode, legal_basis: str, *, retention_days: int | None = None) -> None:
    """What happens to bytes from now on; what is kept already keeps its term. Needs a legal basis in words."""
    if not legal_basis.strip():
        raise InputError("no legal basis", where="media mode", mend="say which law or agreement allows it")
    if mode is MediaMode.KEEP and not sealing.is_key_there():
        raise ConfigError("without the instance key nothing can be kept", mend="see docs/operate.md, Keys")
    set_office_setting(by, access.MEDIA_MODE, mode.value, legal_basis)
    if retention_days is not None:
        set_office_setting(by, access.RETENTION_DAYS, str(retention_days), legal_basis)


def take_in(content: Readable | bytes | Received, *, actor: str, source: str, name: str = "") -> Asset:
    """Fingerprint, match and, where the office keeps media, seal one file. The same file again is the same asset.

    NotAllowed where the office takes no files; SandboxUnavailable, OSError (disk full) and DatabaseError leave nothing
    acknowledged. Before it returns everything that the answer promises is on the disk.
    """
    mode = access.media_mode()
    if mode is MediaMode.REFUSE:
        if isinstance(content, Received):
            content.discard()
        raise NotAllowed("this office takes no files", code="media-refused", mend="send its hash or its address")
    received = content if isinstance(content, Received) else receive(content, keep=mode is MediaMode.KEEP)
    try:
        facts = matching.fingerprint(received.reading, Matcher(all_banks()))
        while True:
            asked = _Asked.now(facts)
            if (asset := _store(received, facts, asked, actor, source, name)) is not None:
                return asset
    finally:
        received.discard()


@dataclass(frozen=True)
class _Asked:
    """What the banks said of a file, and the state each was in (before: else a change in between passed unseen)."""

    states: dict[str, str]
    banks: Banks
    answer: MatchAnswer

    @classmethod
    def now(cls, facts: FileFacts) -> _Asked:
        banks = all_banks()
        states = {bank.name: state_of(bank) for bank in banks}
        asked = Banks(banks)
        return cls(states, asked, asked.confirmed.only(Matcher(banks).match([facts.fingerprints])[0]))


def _store(
    received: Received, facts: FileFacts, asked: _Asked, actor: str, source: str, name: str
) -> Asset | None:
    """Row, matches, seal and journal lines at once; None where a bank has moved on since it was asked."""
    with transaction.atomic():
        if _has_moved_on(asked.states):
            return None
        sha256 = facts.fingerprints.exact["sha256"].hex()
        asset, is_new = _row_of(sha256, facts, source, name)
        _add_views(asset, facts.fingerprints, is_new=is_new)
        live = () if is_new else AssetMatch.objects.filter(asset=asset, withdrawn_at__isnull=True)
        change = compare_answer(asset, live, asked.answer, asked.banks)
        write_changes([change])
        infer(asset, asked.answer, asked.banks)
        _tell_received(asset, is_new, actor, source)
        if received.is_sealing and access.media_mode() is MediaMode.KEEP:  # asked once more: it may have changed
            _keep(received, asset, actor, name)
        elif asset.state != AssetState.KEPT:
            tell("asset.discarded", asset, actor, reason=MediaMode.HASH_AND_DISCARD.value)
        asset.save()
        if is_new:
            _tell_inferred(asset)
        if not is_new and change.is_other:  # a list changed, and the file came again before the worker's round
            raise_tasks([change])
    return asset


def _keep(received: Received, asset: Asset, actor: str, name: str) -> None:
    """Each arrival has a term of its own: a file whose term has ended is kept anew, one that is kept is kept longer."""
    until = access.retain_until(timezone.now())
    if asset.state == AssetState.KEPT and sealing.open_vault().exists(asset.sha256):
        if asset.retain_until is not None and until > asset.retain_until:
            asset.retain_until = until
            tell("asset.term-set", asset, actor, reason="arrived-again", details={"until": f"{until:%Y-%m-%d}"})
        return
    received.keep()
    reason = "none" if asset.state == AssetState.DISCARDED else "arrived-again"  # erased in its time, or lost
    asset.state, asset.retain_until, asset.erased_at = AssetState.KEPT.value, until, None
    if asset.name_sealed is None and name:
        asset.name_sealed = _seal_name(asset, name)
    tell("asset.sealed", asset, actor, reason=reason, details={"retain_days": access.retention_days()})


def _has_moved_on(asked: dict[str, str]) -> bool:
    """Whether a change of a list was announced after we asked it: then whoever announced may have passed us over.

    Where the announced state is another one than ours, the list itself says which of the two is old: we may also be
    ahead of a worker that has not come round yet, and then must not wait for it.
    """
    now: dict[str, str] | None = None
    for seen in BankSeen.objects.select_for_update():
        if seen.bank not in asked:
            if seen.announced:
                note_bank_gone(seen.bank)  # it cannot be read now: when it can, it is matched from the beginning
        elif seen.announced and seen.announced != asked[seen.bank]:
            now = {bank.name: state_of(bank) for bank in all_banks()} if now is None else now
            if now.get(seen.bank) != asked[seen.bank]:
                return True
    return False


def _row_of(sha256: str, facts: FileFacts, source: str, name: str) -> tuple[Asset, bool]:
    if (known := Asset.objects.select_for_update().filter(sha256=sha256).first()) is not None:
        return known, False
    first = facts.fingerprints.views[0] if facts.fingerprints.views else None
    asset = Asset(
        sha256=sha256,
        sha1=facts.fingerprints.exact["sha1"].hex(),
        md5=facts.fingerprints.exact["md5"].hex(),
        size_bytes=facts.size_bytes,
        mime=facts.mime[:80],
        width=facts.width,
        height=facts.height,
        frames=facts.frames,
        pdq=first.pdq[0].hex() if first and first.pdq else "",
        quality=first.quality if first else None,
        partial=facts.partial,
        fault=facts.error.code if facts.error else "",
        state=AssetState.DISCARDED.value,
        source=source,
        received_at=timezone.now(),
    )
    if name:
        asset.name_sealed = _seal_name(asset, name)
    try:
        with transaction.atomic():
            asset.save(force_insert=True)
    except IntegrityError:  # the same file, a moment earlier, by another process
        return Asset.objects.select_for_update().get(sha256=sha256), False
    return asset, True


def _add_views(asset: Asset, prints: Fingerprints, *, is_new: bool) -> None:
    """Of a known asset those that it lacks: a bank may need another family of hashes since it first came."""
    known = set() if is_new else set(asset.views.values_list("view", "family"))
    AssetView.objects.bulk_create(
        AssetView(
            asset=asset,
            view=view.view,
            family=view.family.value,
            quality=view.quality,
            width=view.width,
            height=view.height,
            pdq=b"".join(view.pdq),
            others={name: value.hex() for name, value in view.others.items()},
        )
        for view in prints.views
        if view.pdq and (view.view, view.family.value) not in known
    )


def _seal_name(asset: Asset, name: str) -> bytes:
    return sealing.seal(name[:_NAME_MAX], f"asset-name:{asset.id}")


def _tell_received(asset: Asset, is_new: bool, actor: str, source: str) -> None:
    said: dict[str, Any] = {"sha256": asset.sha256, "again": not is_new, "size_bytes": asset.size_bytes}
    tell("asset.received", asset, actor, reason=source, details=said)


def _tell_inferred(asset: Asset) -> None:
    if asset.verdict != Verdict.UNKNOWN.value and asset.inferred_kind:
        live = asset.matches.filter(withdrawn_at__isnull=True)
        tell("asset.matched", asset, SYSTEM, reason="arrival", details=said_of(asset, live))
