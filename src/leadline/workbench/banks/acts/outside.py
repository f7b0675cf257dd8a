"""What other programs do to the folders of banks: found, written into each entry's history, and kept from acting alone.

The folder is the only truth about entries, so nothing here changes one: an entry whose kind takes two people does not
act in this office (`access.Confirmed`) until two have said so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone
from numpy.typing import NDArray

from leadline.match.bank import Bank
from leadline.match.difference import compare
from leadline.match.records import KIND_CODES
from leadline.match.snapshot import Snapshot
from leadline.workbench.banks import access
from leadline.workbench.banks.acts.changes import make_proposal, note_ranges, record_of, settings_of
from leadline.workbench.banks.models import Change, EntryChange, Followed
from leadline.workbench.journal.actions import SYSTEM

I64 = NDArray[np.int64]
Runs = list[tuple[int, int]]
REASON = "outside"
_MOST_RUNS = 100_000  # of one change: beyond, its history says from the first to the last
_known: dict[str, tuple[str, Snapshot]] = {}  # of this process: what an altered entry is told by


def follow_folders() -> int:
    """Changes that nobody made at the workbench, since the last round; in how many banks there were any."""
    return sum(_follow(bank) for bank in access.all_banks())


def _follow(bank: Bank) -> int:
    bank_id, snapshot, state = access.bank_id_of(bank), bank.snapshot, access.state_of(bank)
    settings, before = settings_of(bank), Followed.objects.filter(pk=bank_id).first()
    known = _known.get(bank_id)
    if before is not None and (before.state, before.settings) == (state, settings):
        if known is None or known[0] != state:
            _known[bank_id] = (state, snapshot)
        return 0
    now = _ids(snapshot)
    altered = _altered(known[1], bank) if before and known and known[0] == before.state else np.empty(0, np.int64)
    with transaction.atomic():
        if Change.objects.select_for_update().filter(bank=bank_id, state="begun").exists():
            return 0  # somebody is at it: once they have ended, the rest is from outside
        was = np.empty(0, np.int64) if before is None else _expand(json.loads(before.runs))
        if before is not None and before.state.partition(".")[0] != snapshot.manifest.identity:
            found = {"went": was, "came": now, "altered": altered}  # another bank: its numbers mean other entries
        else:
            found = {
                "went": _unexplained(bank_id, np.setdiff1d(was, now, assume_unique=True), "withdraw", "went"),
                "came": _unexplained(bank_id, np.setdiff1d(now, was, assume_unique=True), "add", "came"),
                "altered": np.intersect1d(altered, was, assume_unique=True),
            }
        is_set = before is not None and before.settings != settings and not _was_set_here(bank, settings)
        is_other = is_set or any(len(ids) for ids in found.values())
        if is_other:
            _note(bank, found, is_set=is_set)
        said = {"state": state, "settings": settings, "runs": json.dumps(_runs(now))}
        Followed.objects.update_or_create(bank=bank_id, defaults=said)
        _propose(bank, now if before is None else np.union1d(found["came"], found["altered"]))
    _known[bank_id] = (state, snapshot)
    return int(is_other)


def _note(bank: Bank, found: dict[str, I64], *, is_set: bool) -> None:
    bank_id, at = access.bank_id_of(bank), timezone.now()
    details: dict[str, Any] = {"list_version": bank.list_version, "settings": is_set}
    for what, ids in found.items():
        if not len(ids):
            continue
        change = Change.objects.create(
            bank=bank_id, what=what, reason=REASON, actor=SYSTEM, state="done", ended_at=at, count=len(ids)
        )
        runs = _runs(ids)
        note_ranges(change, runs if len(runs) <= _MOST_RUNS else [(int(ids[0]), int(ids[-1]))])
        details |= {what: len(ids), f"{what}_first": int(ids[0]), f"{what}_last": int(ids[-1])}
        details[f"{what}_change"] = str(change.pk)
    record_of("bank.changed-outside", SYSTEM, bank, REASON, details)


def _propose(bank: Bank, ids: I64) -> None:
    """Entries of kinds that two people answer for: they wait for both."""
    waiting = np.intersect1d(ids, _ids(bank.snapshot, for_two=True), assume_unique=True)
    may_act = np.zeros(len(waiting), np.bool_)
    for first, last, is_yes in access.words_on(bank):
        may_act[np.searchsorted(waiting, first) : np.searchsorted(waiting, last, side="right")] = is_yes
    waiting = waiting[~may_act]
    if not len(waiting):
        return
    runs = _runs(waiting)
    proposal = make_proposal(bank, json.dumps(runs), what="came", reason=REASON, count=len(waiting), actor=SYSTEM)
    details = {"proposal": str(proposal.pk), "what": "came", "entries": len(waiting)}
    record_of("bank.entry.waiting", SYSTEM, bank, REASON, details)


def _was_set_here(bank: Bank, settings: dict[str, Any]) -> bool:
    """Whether the last change of settings at the workbench is what they are now."""
    last = Change.objects.filter(bank=access.bank_id_of(bank), what="set", state="done").order_by("-begun_at").first()
    return last is not None and all(settings.get(name) == value for name, value in last.wished)


def _altered(before: Snapshot, bank: Bank) -> I64:
    difference = compare(before, bank.snapshot, disabled_since=bank.now(), now=bank.now())
    return np.empty(0, np.int64) if difference.changed is None else _ids(difference.changed)


def _unexplained(bank_id: str, ids: I64, *whats: str) -> I64:
    """Those that no recorded change of these sorts touched."""
    if not len(ids):
        return ids
    rows = EntryChange.objects.filter(
        bank=bank_id, change__what__in=whats, last_entry__gte=int(ids[0]), first_entry__lte=int(ids[-1])
    )
    keep = np.ones(len(ids), np.bool_)
    for first, last in rows.values_list("first_entry", "last_entry").iterator():
        keep[np.searchsorted(ids, first) : np.searchsorted(ids, last, side="right")] = False
    return ids[keep]


def _ids(snapshot: Snapshot, *, for_two: bool = False) -> I64:
    """Of entries that are there, ascending; or of those only whose kind two people answer for."""
    codes = [code for kind, code in KIND_CODES.items() if access.needs_two(kind)]
    chosen = [np.empty(0, np.int64)]
    for table in snapshot.tables:
        rows = table.alive_rows()
        if for_two:
            rows = rows[np.isin(table.records.kind[rows], codes)]
        chosen.append(table.records.ids[rows])
    return np.unique(np.concatenate(chosen))


def _runs(ids: I64) -> Runs:
    if not len(ids):
        return []
    breaks = np.flatnonzero(np.diff(ids) != 1)
    firsts, lasts = ids[np.r_[0, breaks + 1]], ids[np.r_[breaks, len(ids) - 1]]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def _expand(runs: Sequence[Sequence[int]]) -> I64:
    return np.concatenate([np.empty(0, np.int64), *(np.arange(first, last + 1) for first, last in runs)])
