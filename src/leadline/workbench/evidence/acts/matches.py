"""What the banks say of held assets: their matches, inferences and tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone

from leadline.domain import Kind, Match, Verdict
from leadline.errors import WrongState
from leadline.match.bank import Bank
from leadline.match.matcher import MatchAnswer, Matcher
from leadline.scan.verdict import Judgement, is_exact, judge
from leadline.workbench.accounts.models import Person
from leadline.workbench.banks.access import Confirmed, is_red, trusted_bits
from leadline.workbench.evidence.acts.telling import bank_code, line_about, said_of, tell
from leadline.workbench.evidence.models import Asset, AssetMatch, BankSeen, Task, TaskKind
from leadline.workbench.journal.actions import SYSTEM, Said, record, record_all

_HARMLESS = frozenset({Kind.BENIGN, Kind.FALSE_POSITIVE})
_IN_AT_ONCE = 500  # assets of one transaction: a list that meets thousands must not wait for thousands of syncs
_INFERRED = (
    "verdict", "inferred_kind", "inferred_scheme", "inferred_label", "inferred_from", "inferred_red", "is_set_aside",
)  # fmt: skip


class Banks:
    """The banks that answered, asked for what an answer itself does not say."""

    def __init__(self, banks: Sequence[Bank]) -> None:
        self._by_name = {bank.name: bank for bank in banks}
        self._red: dict[tuple[str, int], bool] = {}
        self._trusted: dict[str, int] = {}
        self.confirmed = Confirmed(banks)

    def holds(self, bank: str, entry: int) -> bool:
        known = self._by_name.get(bank)
        return known is not None and bool(known.snapshot.holds(np.array([entry], np.int64))[0])

    def is_red(self, bank: str, entry: int) -> bool:
        if (bank, entry) not in self._red:
            self._red[bank, entry] = bank in self._by_name and is_red(self._by_name[bank], entry)
        return self._red[bank, entry]

    def is_trusted(self, match: Match) -> bool:
        """Whether a near match is as good as an exact one: of the whole picture, within what two people trusted."""
        if match.algorithm != "pdq" or match.view != "picture" or match.kind in _HARMLESS or match.suppressed_by:
            return False
        if match.bank not in self._trusted:
            bank = self._by_name.get(match.bank)
            # As a bank of the harmless its list is not one to trust, whatever kind a single entry has.
            self._trusted[match.bank] = 0 if bank is None or bank.kind in _HARMLESS else trusted_bits(bank)
        return match.distance <= self._trusted[match.bank] > 0

    def columns(self, match: Match) -> dict[str, Any]:
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
            "suppressed_by": self._suppressor(match.suppressed_by or ""),
            "is_red": self.is_red(match.bank, match.entry),
            "list_version": match.list_version,
        }

    def _suppressor(self, name: str) -> str:
        """BANK/ENTRY of the false positive; of a TLP:RED one in a code, for who sees the match may not see that."""
        bank, _, entry = name.rpartition("/")
        if name and self.is_red(bank, int(entry)):
            return f"{bank_code(bank, is_red=True)}/{entry}"
        return name[:240]


@dataclass
class Change:
    """What a new answer of the banks changes for one asset. `altered`: matches that stay and say something else."""

    asset: Asset
    found: list[AssetMatch]
    withdrawn: list[AssetMatch]
    altered: list[AssetMatch] = field(default_factory=list)

    @property
    def is_other(self) -> bool:
        return bool(self.found or self.withdrawn or self.altered)


def compare_answer(asset: Asset, live_rows: Iterable[AssetMatch], answer: MatchAnswer, banks: Banks) -> Change:
    """Nothing is written. An entry that the limit of the answer cut off is not withdrawn while its bank holds it."""
    live = {(row.bank, row.entry, row.algorithm): row for row in live_rows}
    found = {(match.bank, match.entry, match.algorithm): banks.columns(match) for match in answer.matches}
    gone = [row for key, row in live.items() if key not in found]
    if answer.truncated:
        gone = [row for row in gone if not banks.holds(row.bank, row.entry)]
    change = Change(asset, [AssetMatch(asset=asset, **said) for key, said in found.items() if key not in live], gone)
    for key in found.keys() & live.keys():
        row, said = live[key], found[key]
        if any(getattr(row, name) != value for name, value in said.items() if name != "list_version"):
            for name, value in said.items():
                setattr(row, name, value)
            change.altered.append(row)
    return change


def write_changes(changes: Sequence[Change]) -> None:
    """The matches of all of them; the assets themselves are not saved."""
    now = timezone.now()
    for change in changes:
        for row in change.found:
            row.found_at = now
        for row in change.withdrawn:
            row.withdrawn_at = now
    AssetMatch.objects.bulk_create([row for change in changes for row in change.found], batch_size=_IN_AT_ONCE)
    gone = [row.pk for change in changes for row in change.withdrawn]
    for some in _some_at_once(gone):
        AssetMatch.objects.filter(pk__in=some).update(withdrawn_at=now)
    for row in (row for change in changes for row in change.altered):
        row.save()


def infer(asset: Asset, answer: MatchAnswer, banks: Banks) -> None:
    """What the answer adds up to. Does not save the asset."""
    judged: Judgement = judge(answer.matches, error=asset.fault or None)
    trusted = _trusted_of(judged, asset, banks)
    best = trusted or (judged.matches[0] if judged.kind is not None else None)
    asset.verdict = judged.verdict.value
    asset.inferred_kind = judged.kind.value if judged.kind else ""
    asset.inferred_scheme = best.scheme[:200] if best else ""
    asset.inferred_label = best.label[:200] if best else ""
    asset.inferred_from = best.bank if best else ""
    asset.inferred_red = banks.is_red(best.bank, best.entry) if best else False
    is_known = judged.verdict is Verdict.KNOWN and judged.kind is not Kind.FALSE_POSITIVE
    asset.is_set_aside = is_known or trusted is not None


def _trusted_of(judged: Judgement, asset: Asset, banks: Banks) -> Match | None:
    """The near match that sets a file aside: of the gravest kind that was found, and contradicted by no exact one."""
    if judged.verdict is not Verdict.NEAR or asset.fault or asset.partial:
        return None
    live = [match for match in judged.matches if not match.suppressed_by]
    if any(is_exact(match) for match in live):
        return None  # a harmless or lesser entry is this very file: a person says which is right
    return next((match for match in live if match.kind is judged.kind and banks.is_trusted(match)), None)


def match_again(asset_ids: Collection[Any], banks: Sequence[Bank]) -> int:
    """Ask all banks again about some held assets; new hits and withdrawn ones raise tasks. How many changed.

    Some hundreds at a time: asked and compared without a lock, so that what stays as it is costs nobody a wait; only
    what changes is locked, compared once more, and written in one transaction.
    """
    matcher, asked = Matcher(banks), Banks(banks)
    return sum(_match_some(some, matcher, asked) for some in _some_at_once(sorted(asset_ids, key=str)))


def _some_at_once(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[first : first + _IN_AT_ONCE] for first in range(0, len(values), _IN_AT_ONCE))


def _match_some(asset_ids: Sequence[Any], matcher: Matcher, banks: Banks) -> int:
    assets = list(Asset.objects.filter(pk__in=asset_ids).prefetch_related("views").order_by("pk"))
    said = map(banks.confirmed.only, matcher.match([a.fingerprints for a in assets]))
    answers = dict(zip((a.pk for a in assets), said, strict=True))
    others = [change.asset.pk for change in _compare(assets, answers, banks) if _is_other(change, answers, banks)]
    if not others:
        return 0
    with transaction.atomic():
        locked = list(Asset.objects.select_for_update().filter(pk__in=others).order_by("pk"))
        changes = [change for change in _compare(locked, answers, banks) if _is_other(change, answers, banks)]
        write_changes(changes)
        _save_inferences(changes, answers, banks)
        raise_tasks(changes)
    return len(changes)


def _compare(assets: Sequence[Asset], answers: Mapping[Any, MatchAnswer], banks: Banks) -> Iterator[Change]:
    live: dict[Any, list[AssetMatch]] = defaultdict(list)
    for row in AssetMatch.objects.filter(asset__in=[asset.pk for asset in assets], withdrawn_at__isnull=True):
        live[row.asset_id].append(row)
    return (compare_answer(asset, live[asset.pk], answers[asset.pk], banks) for asset in assets)


def _is_other(change: Change, answers: Mapping[Any, MatchAnswer], banks: Banks) -> bool:
    """Also where the same matches say something else now: what is near enough to be trusted has changed."""
    asset = change.asset
    before = _inferred(asset)
    if not change.is_other:
        infer(asset, answers[asset.pk], banks)
    is_other = change.is_other or _inferred(asset) != before
    for name, value in zip(_INFERRED, before, strict=True):
        setattr(asset, name, value)
    return is_other


def _inferred(asset: Asset) -> tuple[Any, ...]:
    return tuple(getattr(asset, name) for name in _INFERRED)


def _save_inferences(changes: Sequence[Change], answers: Mapping[Any, MatchAnswer], banks: Banks) -> None:
    """One statement for all that a list says the same of."""
    alike: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    let_out: list[Any] = []
    for change in changes:
        was_aside = change.asset.is_set_aside
        infer(change.asset, answers[change.asset.pk], banks)
        alike[_inferred(change.asset)].append(change.asset.pk)
        if was_aside and not change.asset.is_set_aside:
            let_out.append(change.asset.pk)
    for said, asset_ids in alike.items():
        Asset.objects.filter(pk__in=asset_ids).update(**dict(zip(_INFERRED, said, strict=True)))
    Asset.objects.filter(pk__in=let_out).update(let_out_at=timezone.now())


def raise_tasks(changes: Sequence[Change]) -> None:
    """A task for each bank that a changed list newly met or withdrew from, unless one is open; and the lines."""
    wanted: dict[tuple[str, Any, str], Task] = {}
    for change in changes:
        hits = [row for row in change.found if Kind(row.kind) not in _HARMLESS]
        for kind, rows in ((TaskKind.NEW_HIT, hits), (TaskKind.WITHDRAWN, change.withdrawn)):
            for row in rows:
                task = Task(kind=kind.value, asset=change.asset, bank=row.bank, is_red=row.is_red)
                known = wanted.setdefault((task.kind, change.asset.pk, row.bank), task)
                known.is_red |= row.is_red
    open_ones = Task.objects.filter(asset__in=[change.asset.pk for change in changes], done_at__isnull=True)
    for key in open_ones.values_list("kind", "asset_id", "bank"):
        wanted.pop(key, None)
    Task.objects.bulk_create([wanted[key] for key in sorted(wanted, key=str)], batch_size=_IN_AT_ONCE)
    record_all(line for change in changes for line in _lines_about(change))


def _lines_about(change: Change) -> Iterator[Said]:
    told: list[tuple[str, Sequence[AssetMatch]]] = [
        ("asset.matched", change.found),
        ("asset.match-withdrawn", change.withdrawn),
        ("asset.match-changed", change.altered if not change.found and not change.withdrawn else ()),
    ]
    for act, rows in told:
        if rows:
            yield line_about(change.asset, act, SYSTEM, "list-changed", said_of(change.asset, rows))


@transaction.atomic
def announce_bank(name: str, state: str) -> None:
    """Before the held assets are walked through: whoever takes one in from here on asks this state of the bank."""
    blank = {"announced": state, "state": "", "list_version": -1, "settings": "", "seen_at": timezone.now()}
    seen, is_new = BankSeen.objects.select_for_update().get_or_create(bank=name, defaults=blank)
    if not is_new and seen.announced != state:
        seen.announced = state
        seen.save(update_fields=["announced"])


@transaction.atomic
def note_bank(
    bank: Bank, state: str, list_version: int, settings: str, seen_at: datetime, *, changed: int, asked: int
) -> None:
    """Every held asset has been matched against this state of the bank."""
    still = BankSeen.objects.filter(bank=bank.name, announced=state)  # else something came in between: once more
    still.update(state=state, list_version=list_version, settings=settings, seen_at=seen_at)
    record(
        "bank.matched",
        actor=SYSTEM,
        object_kind="bank-red" if is_red(bank) else "bank",  # hooks.models.CLOSED_OBJECTS
        object_id=bank_code(bank.name),
        reason="list-changed",
        details={"list_version": list_version, "asked": asked, "changed": changed},
    )


def note_bank_gone(name: str) -> None:
    """It is matched from the beginning when it is there again; its matches stay until then."""
    BankSeen.objects.filter(bank=name).update(announced="", state="", list_version=-1)


@transaction.atomic
def end_task(by: Person, task: Task) -> None:
    if not Task.objects.filter(pk=task.pk, done_at__isnull=True).update(done_at=timezone.now(), done_by=by):
        raise WrongState("somebody has done that already")
    said = {"task": task.pk, "kind": task.kind}
    tell("asset.task-done", task.asset, str(by.pk), reason=task.kind, details=said)
