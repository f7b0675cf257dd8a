"""What the banks say of held assets: their matches, inferences and tasks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.domain import Kind, Match, Verdict
from leadline.errors import WrongState
from leadline.match.bank import Bank
from leadline.match.matcher import MatchAnswer, Matcher
from leadline.scan.verdict import Judgement, judge
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence.acts.telling import bank_code, said_of, tell
from leadline.workbench.evidence.models import Asset, AssetMatch, BankSeen, Task, TaskKind
from leadline.workbench.journal.actions import SYSTEM, record

_HARMLESS = frozenset({Kind.BENIGN, Kind.FALSE_POSITIVE})


class Change:
    """What a new answer of the banks changed for one asset."""

    def __init__(self, found: list[AssetMatch], withdrawn: list[AssetMatch], *, is_other: bool) -> None:
        self.found, self.withdrawn = found, withdrawn
        self.is_other = is_other or bool(found or withdrawn)  # also where a match stayed and says something else


def apply_answer(asset: Asset, answer: MatchAnswer, *, error: str, holds: Any = None) -> Change:
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
            change = apply_answer(asset, answer, error=asset.fault, holds=holds)
            if change.is_other:
                asset.save()
                raise_tasks(asset, change)
                changed += 1
    return changed


def raise_tasks(asset: Asset, change: Change) -> None:
    hits = {row.bank for row in change.found if Kind(row.kind) not in _HARMLESS}
    gone = {row.bank for row in change.withdrawn}
    for kind, banks in ((TaskKind.NEW_HIT, hits), (TaskKind.WITHDRAWN, gone)):
        for bank in sorted(banks):
            if not Task.objects.filter(kind=kind.value, asset=asset, bank=bank, done_at__isnull=True).exists():
                Task.objects.create(kind=kind.value, asset=asset, bank=bank)
    if change.found:
        tell("asset.matched", asset, SYSTEM, reason="list-changed", details=said_of(asset, change.found))
    if change.withdrawn:
        tell("asset.match-withdrawn", asset, SYSTEM, reason="list-changed", details=said_of(asset, change.withdrawn))
    if not change.found and not change.withdrawn:
        tell("asset.match-changed", asset, SYSTEM, reason="list-changed", details=said_of(asset, ()))


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
    tell("asset.task-done", task.asset, str(by.pk), reason=task.kind, details=said)
