"""The only writes of evidence. Each is one transaction with its line in the journal inside."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from leadline.custody.keys import rotate_key as make_new_key
from leadline.custody.upkeep import rewrap_vault, verify_vault
from leadline.domain import Fingerprints, Kind, Match, Tlp, Verdict
from leadline.errors import ConfigError, InputError, NotAllowed, WrongState
from leadline.match.bank import Bank
from leadline.match.matcher import MatchAnswer, Matcher
from leadline.scan.hashing import FileFacts
from leadline.scan.verdict import Judgement, judge
from leadline.workbench import matching, sealing
from leadline.workbench.accounts.access import is_one_person_office
from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.banks.access import all_banks
from leadline.workbench.evidence import access
from leadline.workbench.evidence.models import (
    Asset,
    AssetMatch,
    AssetState,
    AssetView,
    BankSeen,
    Exhibit,
    ExhibitState,
    MediaMode,
    Task,
    TaskKind,
    WrappedSecret,
)
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.journal.models import Anchor
from leadline.workbench.permissions import Sensitivity
from leadline.workbench.receiving import Received, receive

_KEPT_DETAILS = 20  # banks and entries named in one line of the journal
_NAME_MAX = 1000
_HARMLESS = frozenset({Kind.BENIGN, Kind.FALSE_POSITIVE})
_SAFE_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")


def bank_code(name: str) -> str:
    """A bank in the journal, where no free text may stand: its name where that is a plain one, else a hash of it."""
    return name if _SAFE_ID.fullmatch(name) else f"bank:{hashlib.sha256(name.encode()).hexdigest()[:16]}"


# --- the office's decision -------------------------------------------------------------------------------------------


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


# --- taking in -------------------------------------------------------------------------------------------------------


def take_in(content: matching.Readable | bytes | Received, *, actor: str, source: str, name: str = "") -> Asset:
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
            banks = all_banks()
            versions = {bank.name: bank.list_version for bank in banks}
            answer = Matcher(banks).match([facts.fingerprints])[0]
            if (asset := _store(received, facts, answer, versions, actor, source, name)) is not None:
                return asset
    finally:
        received.discard()


def _store(
    received: Received,
    facts: FileFacts,
    answer: MatchAnswer,
    versions: dict[str, int],
    actor: str,
    source: str,
    name: str,
) -> Asset | None:
    """Row, matches, seal and journal lines at once; None where a bank has moved on since it was asked."""
    with transaction.atomic():
        if _has_moved_on(versions):
            return None
        sha256 = facts.fingerprints.exact["sha256"].hex()
        asset, is_new = _row_of(sha256, facts, source, name)
        if is_new:
            _add_views(asset, facts.fingerprints)
        _apply(asset, answer, error=asset.fault)
        will_keep = received.is_sealing and _may_be_sealed(asset)
        if will_keep:
            received.keep()
            asset.state = AssetState.KEPT.value
            asset.retain_until = access.retain_until(asset.received_at if is_new else timezone.now())
        asset.save()
        _tell_arrival(asset, is_new, will_keep, actor, source)
    return asset


def _may_be_sealed(asset: Asset) -> bool:
    """Asked once more, for the office may have decided while the file came in. What was erased stays so."""
    if asset.state != AssetState.DISCARDED or sealing.is_erased(asset.sha256):
        return False
    return access.media_mode() is MediaMode.KEEP


def _has_moved_on(versions: dict[str, int]) -> bool:
    """Whether a change of a list was announced after we asked it: then whoever announced may have passed us over."""
    moved = False
    for seen in BankSeen.objects.select_for_update():
        if seen.bank not in versions and seen.announced >= 0:
            note_bank_gone(seen.bank)  # it cannot be read now: when it can, it is matched from the beginning
        moved = moved or seen.announced > versions.get(seen.bank, seen.announced)
    return moved


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
        asset.name_sealed = sealing.seal(name[:_NAME_MAX], f"asset-name:{asset.id}")
    try:
        with transaction.atomic():
            asset.save(force_insert=True)
    except IntegrityError:  # the same file, a moment earlier, by another process
        return Asset.objects.select_for_update().get(sha256=sha256), False
    return asset, True


def _add_views(asset: Asset, prints: Fingerprints) -> None:
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
        if view.pdq
    )


def _tell_arrival(asset: Asset, is_new: bool, was_sealed: bool, actor: str, source: str) -> None:
    said: dict[str, Any] = {"sha256": asset.sha256, "again": not is_new, "size_bytes": asset.size_bytes}
    _tell("asset.received", asset, actor, reason=source, details=said)
    if was_sealed:
        _tell("asset.sealed", asset, actor, details={"retain_days": access.retention_days()})
    elif asset.state == AssetState.DISCARDED:
        _tell("asset.discarded", asset, actor, reason=MediaMode.HASH_AND_DISCARD.value)
    elif asset.state == AssetState.ERASED:
        _tell("asset.discarded", asset, actor, reason="erased-before")
    if is_new and asset.verdict != Verdict.UNKNOWN.value and asset.inferred_kind:
        live = asset.matches.filter(withdrawn_at__isnull=True)
        _tell("asset.matched", asset, SYSTEM, reason="arrival", details=_said_of(asset, live))


def _said_of(asset: Asset, rows: Iterable[AssetMatch]) -> dict[str, Any]:
    named = list(rows)[:_KEPT_DETAILS]
    return {
        "verdict": asset.verdict,
        "kind": asset.inferred_kind or "none",
        "banks": [bank_code(row.bank) for row in named],
        "entries": [row.entry for row in named],
        "inferred": True,
    }


def _tell(act: str, asset: Asset, actor: str, *, reason: str = "none", details: dict[str, Any] | None = None) -> None:
    record(act, actor=actor, object_kind="asset", object_id=str(asset.id), reason=reason, details=details)


# --- what the banks say ----------------------------------------------------------------------------------------------


class Change:
    """What a new answer of the banks changed for one asset."""

    def __init__(self, found: list[AssetMatch], withdrawn: list[AssetMatch], *, is_other: bool) -> None:
        self.found, self.withdrawn = found, withdrawn
        self.is_other = is_other or bool(found or withdrawn)  # also where a match stayed and says something else


def _apply(asset: Asset, answer: MatchAnswer, *, error: str, holds: Any = None) -> Change:
    """Make the asset's live matches those of the answer, and its inference what they add up to. Does not save it."""
    now = timezone.now()
    live = {(m.bank, m.entry, m.algorithm): m for m in asset.matches.filter(withdrawn_at__isnull=True)}
    found = {(m.bank, m.entry, m.algorithm): m for m in answer.matches}
    withdrawn = [
        row for key, row in live.items() if key not in found and not (answer.truncated and holds and holds(*key[:2]))
    ]
    for row in withdrawn:
        row.withdrawn_at = now
    AssetMatch.objects.bulk_update(withdrawn, ["withdrawn_at"])
    new = [AssetMatch(asset=asset, found_at=now, **_columns(match)) for key, match in found.items() if key not in live]
    AssetMatch.objects.bulk_create(new)
    is_other = False
    for key in found.keys() & live.keys():
        columns = _columns(found[key])
        if any(getattr(live[key], name) != value for name, value in columns.items() if name != "list_version"):
            AssetMatch.objects.filter(pk=live[key].pk).update(**columns)
            is_other = True
    _infer(asset, judge(answer.matches, error=error or None))
    return Change(new, withdrawn, is_other=is_other)


def _columns(match: Match) -> dict[str, Any]:
    return {
        "bank": match.bank,
        "entry": match.entry,
        "kind": match.kind.value,
        "algorithm": match.algorithm,
        "distance": float(match.distance),
        "threshold": float(match.threshold),
        "transform": match.transform.value,
        "view": match.view[:40],
        "family": match.family,
        "scheme": match.scheme[:200],
        "label": match.label[:200],
        "suppressed_by": (match.suppressed_by or "")[:240],
        "list_version": match.list_version,
    }


def _infer(asset: Asset, judged: Judgement) -> None:
    decided = judged.kind is not None
    best = judged.matches[0] if decided else None
    asset.verdict = judged.verdict.value
    asset.inferred_kind = judged.kind.value if judged.kind else ""
    asset.inferred_scheme = best.scheme[:200] if best else ""
    asset.inferred_label = best.label[:200] if best else ""
    asset.is_set_aside = judged.verdict is Verdict.KNOWN and judged.kind is not Kind.FALSE_POSITIVE


def match_again(asset_ids: Collection[Any], banks: Sequence[Bank]) -> int:
    """Ask all banks again about some held assets; new hits and withdrawn ones raise tasks. How many changed."""
    matcher = Matcher(banks)
    by_name = {bank.name: bank for bank in banks}

    def holds(bank: str, entry: int) -> bool:
        import numpy as np

        return bank in by_name and bool(by_name[bank].snapshot.holds(np.array([entry], np.int64))[0])

    changed = 0
    for asset_id in sorted(asset_ids, key=str):
        with transaction.atomic():
            asset = Asset.objects.select_for_update().get(pk=asset_id)
            answer = matcher.match([asset.fingerprints])[0]
            change = _apply(asset, answer, error=asset.fault, holds=holds)
            if change.is_other:
                asset.save()
                _raise_tasks(asset, change)
                changed += 1
    return changed


def _raise_tasks(asset: Asset, change: Change) -> None:
    hits = {row.bank for row in change.found if Kind(row.kind) not in _HARMLESS}
    gone = {row.bank for row in change.withdrawn}
    for kind, banks in ((TaskKind.NEW_HIT, hits), (TaskKind.WITHDRAWN, gone)):
        for bank in sorted(banks):
            if not Task.objects.filter(kind=kind.value, asset=asset, bank=bank, done_at__isnull=True).exists():
                Task.objects.create(kind=kind.value, asset=asset, bank=bank)
    if change.found:
        _tell("asset.matched", asset, SYSTEM, reason="list-changed", details=_said_of(asset, change.found))
    if change.withdrawn:
        _tell("asset.match-withdrawn", asset, SYSTEM, reason="list-changed", details=_said_of(asset, change.withdrawn))
    if not change.found and not change.withdrawn:
        _tell("asset.match-changed", asset, SYSTEM, reason="list-changed", details=_said_of(asset, ()))


@transaction.atomic
def announce_bank(name: str, list_version: int) -> None:
    """Before the held assets are walked through: whoever takes one in from here on asks this state of the bank."""
    blank = {"announced": list_version, "list_version": -1, "settings": "", "seen_at": timezone.now()}
    seen, is_new = BankSeen.objects.select_for_update().get_or_create(bank=name, defaults=blank)
    if not is_new and seen.announced != list_version:
        seen.announced = list_version
        seen.save(update_fields=["announced"])


@transaction.atomic
def note_bank(name: str, list_version: int, settings: str, seen_at: datetime, *, changed: int, asked: int) -> None:
    """Every held asset has been matched against this state of the bank."""
    still = BankSeen.objects.filter(bank=name, announced=list_version)  # else something came in between: once more
    still.update(list_version=list_version, settings=settings, seen_at=seen_at)
    record(
        "bank.matched",
        actor=SYSTEM,
        object_kind="bank",
        object_id=bank_code(name),
        reason="list-changed",
        details={"list_version": list_version, "asked": asked, "changed": changed},
    )


def note_bank_gone(name: str) -> None:
    """It is matched from the beginning when it is there again; its matches stay until then."""
    BankSeen.objects.filter(bank=name).update(announced=-1, list_version=-1)


@transaction.atomic
def end_task(by: Person, task: Task) -> None:
    if not Task.objects.filter(pk=task.pk, done_at__isnull=True).update(done_at=timezone.now(), done_by=by):
        raise WrongState("somebody has done that already")
    said = {"task": task.pk, "kind": task.kind}
    _tell("asset.task-done", task.asset, str(by.pk), reason=task.kind, details=said)


# --- holds, terms, handling, erasure ---------------------------------------------------------------------------------


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
    _tell("asset.held" if is_on else "asset.hold-ended", held, str(by.pk), reason=reason)
    return held


@transaction.atomic
def set_term(by: Person, asset: Asset, until: datetime, reason: str) -> Asset:
    held = Asset.objects.select_for_update().get(pk=asset.pk)
    if held.state != AssetState.KEPT:
        raise WrongState("nothing is kept of it", where=str(held.pk))
    held.retain_until = until
    held.save(update_fields=["retain_until"])
    _tell("asset.term-set", held, str(by.pk), reason=reason, details={"until": f"{until:%Y-%m-%d}"})
    return held


@transaction.atomic
def set_handling(by: Person, asset: Asset, sensitivity: Sensitivity, tlp: Tlp, reason: str) -> Asset:
    """Who may see it from here on."""
    held = Asset.objects.select_for_update().get(pk=asset.pk)
    held.sensitivity, held.tlp = int(sensitivity), tlp.value
    held.save(update_fields=["sensitivity", "tlp"])
    details = {"sensitivity": int(sensitivity), "tlp": tlp.value.replace("+", "-")}
    _tell("asset.handling-set", held, str(by.pk), reason=reason, details=details)
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
    _tell("asset.erased", asset, actor, reason=reason)


# --- anchors ---------------------------------------------------------------------------------------------------------


@transaction.atomic
def note_anchor(line: int, head: str, statement: str) -> Anchor:
    anchor = Anchor.objects.create(line=line, head=head, statement=statement)
    record("chain.anchored", actor=SYSTEM, object_kind="line", object_id=str(line), details={"head": head})
    return anchor


def note_anchor_left(anchor: Anchor, way: str) -> None:
    anchor.left_by = [*anchor.left_by, way]
    anchor.save(update_fields=["left_by"])


def note_stamp(anchor: Anchor, url: str, token: str) -> None:
    anchor.stamps = [*anchor.stamps, {"url": url, "token": token}]
    anchor.save(update_fields=["stamps"])


# --- exhibits --------------------------------------------------------------------------------------------------------


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
    if decided.requested_by_id == by.pk and not is_one_person_office():
        raise NotAllowed("a second person releases", where=str(decided.pk), mend="ask a colleague")
    decided.state = (ExhibitState.RELEASED if release else ExhibitState.REFUSED).value
    decided.decided_by, decided.decided_at = by, timezone.now()
    decided.save(update_fields=["state", "decided_by", "decided_at"])
    _tell_exhibit("exhibit.released" if release else "exhibit.refused", decided, by, reason=reason)
    return decided


@transaction.atomic
def note_built(exhibit: Exhibit, *, line: int, manifest_sha512: str, size_bytes: int) -> None:
    row = Exhibit.objects.select_for_update().get(pk=exhibit.pk)
    if row.state not in (ExhibitState.RELEASED, ExhibitState.FAILED):
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


# --- the vault as a whole, backups -----------------------------------------------------------------------------------


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


def rotate_key() -> dict[str, int]:
    """A new key, and everything wrapped under it: files, secrets, sealed fields of every row.

    While a key of before still lies beside the present one, no other is made: what was stopped is finished.
    """
    if not sealing.has_older_keys():
        make_new_key(settings.LEADLINE_KEY_FILE)
    sealing.forget()
    done = {"files": rewrap_vault(sealing.open_vault()), "secrets": 0, "fields": sealing.rewrap_fields()}
    for kept in WrappedSecret.objects.all():
        fresh = sealing.rewrap_secret(kept.purpose, bytes(kept.wrapped))
        done["secrets"] += WrappedSecret.objects.filter(pk=kept.pk).update(wrapped=fresh)
    with transaction.atomic():
        record("key.rotated", actor=SYSTEM, object_kind="key", object_id=sealing.key_slot().key_id, details=done)
    return done


@transaction.atomic
def note_backup(name: str) -> None:
    record("office.backed-up", actor=SYSTEM, object_kind="backup", object_id=name)


def note_restored(name: str, line: int, head: str, replaced: tuple[int, str] | None) -> int:
    """After the copy is in place: erase again what was erased since it was made, and say which lines are missing.

    The gap cannot be mended, only told: lines after `line` stand in anchors and in what was moved aside, if anywhere.
    """
    erased = sealing.replay_erasures()
    with transaction.atomic():
        kept = Asset.objects.select_for_update().filter(state=AssetState.KEPT.value)
        gone = [asset for asset in kept.iterator() if sealing.is_erased(asset.sha256)]
        for asset in gone:
            asset.state, asset.erased_at, asset.name_sealed = AssetState.ERASED.value, timezone.now(), None
            asset.save(update_fields=["state", "erased_at", "name_sealed"])
            _tell("asset.erased", asset, SYSTEM, reason="erased-before-restore")
        details: dict[str, Any] = {"line": line, "head": head, "erased": len(gone)}
        if replaced is not None:
            details |= {"replaced_line": replaced[0], "replaced_head": replaced[1]}
        record("office.restored", actor=SYSTEM, object_kind="backup", object_id=name, details=details)
    return max(erased, len(gone))
