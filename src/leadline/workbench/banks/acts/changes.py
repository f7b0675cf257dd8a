"""The row of a change: begun in a transaction of its own, done in the folder, ended in another with its journal line.

What a crash cuts in between is found by `settle_changes`, which asks the folder what happened. It credits a person
only with what they wished for: another program may have changed the folder at the same time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain, islice
from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.domain import Entry, Tlp
from leadline.errors import InputError, LeadlineError, sentence
from leadline.match.bank import Bank
from leadline.workbench import sealing
from leadline.workbench.actors import Actor
from leadline.workbench.banks import access
from leadline.workbench.banks.models import REASONS, Change, EntryChange, Proposal
from leadline.workbench.journal.actions import SYSTEM, record

ACTS = {
    "create": "bank.created",
    "add": "bank.entry.added",
    "withdraw": "bank.entry.withdrawn",
    "set": "bank.changed",
    "confirm": "bank.entry.confirmed",
    "trust": "bank.trusted",
}
TEXTS = ("source", "licence")  # free text: not for the journal
_SETTLE_AFTER = timedelta(minutes=15)
_AT_ONCE = 1000
_SIGNED = 1000  # entries of an addition by which it is known again
Read = Entry | LeadlineError


def begin(
    by: Actor, bank_id: str, what: str, reason: str, *, bank: Bank | None = None, wished: Sequence[Any] = ()
) -> Change:
    return Change.objects.create(
        bank=bank_id,
        what=what,
        reason=reason,
        actor=by.id,
        person=by.person,
        wished=list(wished),
        from_version=0 if bank is None else bank.list_version,
        from_id=0 if bank is None else bank.snapshot.next_id,
    )


@transaction.atomic
def end(
    change: Change, bank: Bank, ranges: Iterable[tuple[int, int]], count: int, details: dict[str, Any], actor: str = ""
) -> int:
    """1, or 0 where somebody ended it meanwhile. The system as actor: it was settled after a crash."""
    begun = Change.objects.filter(pk=change.pk, state="begun")
    if not begun.update(state="done", ended_at=timezone.now(), count=count):
        return 0
    Proposal.objects.filter(change=change).update(entries_sealed=None)
    rows = note_ranges(change, ranges)
    if rows:
        details = details | {"first": rows[0].first_entry, "last": rows[-1].last_entry}
    settled = {"settled": True, "by": change.actor} if actor == SYSTEM else {}
    details = details | settled | {"change": str(change.pk)}
    record_of(ACTS[change.what], actor or change.actor, bank, change.reason, details)
    return 1


def make_proposal(bank: Bank, wish: str, **fields: Any) -> Proposal:
    """`wish` is JSON, see `Proposal`. It is sealed: no other row holds an entry."""
    proposal = Proposal(bank=access.bank_id_of(bank), **fields)
    proposal.entries_sealed = sealing.seal(wish, access.wish_context(proposal.pk))
    proposal.save()
    return proposal


def note_ranges(change: Change, ranges: Iterable[tuple[int, int]]) -> list[EntryChange]:
    rows = [EntryChange(change=change, bank=change.bank, first_entry=a, last_entry=b) for a, b in ranges]
    return EntryChange.objects.bulk_create(rows, batch_size=_AT_ONCE)


@transaction.atomic
def close(change: Change, state: str) -> int:
    """Without an effect on the bank, so without a line in the journal; a proposal it came from is open again."""
    Proposal.objects.filter(change=change).update(state="open", decided_by=None, decided_at=None, change=None)
    return Change.objects.filter(pk=change.pk, state="begun").update(state=state, ended_at=timezone.now())


@contextmanager
def noting_failure(change: Change) -> Iterator[None]:
    """Ends a change as failed where its bank refuses it; anything else than a refusal is left to be settled."""
    try:
        yield
    except LeadlineError:
        close(change, "failed")
        raise


def record_of(act: str, actor: str, bank: Bank, reason: str, details: dict[str, Any]) -> None:
    kind = "bank-red" if bank.snapshot.manifest.tlp is Tlp.RED else "bank"  # hooks.models.CLOSED_OBJECTS
    record(act, actor=actor, object_kind=kind, object_id=access.bank_id_of(bank), reason=reason, details=details)


def check_reason(what: str, reason: str) -> None:
    if reason not in dict(REASONS[what]):
        raise InputError(
            "not a reason for this",
            where="reason",
            mend=sentence("one of %(names)s", names=", ".join(dict(REASONS[what]))),
        )


def ranges_of(ids: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending runs of neighbouring numbers: a list of a million entries is one row."""
    runs: list[tuple[int, int]] = []
    if isinstance(ids, range):
        return [(ids[0], ids[-1])] if len(ids) else []
    for number in sorted(ids):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def code_of(value: object) -> Any:
    return value if isinstance(value, int) else str(value).replace("+", "-")


def settings_of(bank: Bank) -> dict[str, Any]:
    manifest = bank.snapshot.manifest
    names = ("kind", "tlp", "radius_bits", "quality_floor", *TEXTS)
    return {name: code_of(getattr(manifest, name)) for name in names}


# --- what a crash cut -------------------------------------------------------------------------------------------------


def sign(entries: Iterable[Read]) -> tuple[list[str], Iterator[Read]]:
    """Hashes by which the first of them are known again, and all of them. No hash can be turned back into a fingerprint
    that is not in the bank's folder anyway.
    """
    source = iter(entries)
    first = list(islice(source, _SIGNED))
    marks = [mark for entry in first if isinstance(entry, Entry) for mark in _marks(entry)]
    return marks, chain(first, source)


def _marks(entry: Entry) -> list[str]:
    """One a fingerprint: a bank may refuse some of an entry's."""
    prints: Mapping[str, bytes] = entry.fingerprints
    return [hashlib.sha256(f"{name}:{digest.hex()}".encode()).hexdigest()[:16] for name, digest in prints.items()]


def settle_changes() -> int:
    """Changes that a crash cut: ended where the folder shows that they happened, else marked as lost. How many."""
    cut = Change.objects.filter(state="begun", begun_at__lt=timezone.now() - _SETTLE_AFTER).order_by("begun_at")
    banks = {access.bank_id_of(bank): bank for bank in access.all_banks()}
    settled = 0
    for change in cut:
        bank = banks.get(change.bank)
        settled += _settle(change, bank) if bank is not None else close(change, "lost")
    return settled


def _settle(change: Change, bank: Bank) -> int:
    if change.what in ("confirm", "trust"):  # nothing happens in the folder
        return close(change, "lost")
    if change.what in ("create", "set"):
        now = settings_of(bank)
        is_done = all(now.get(name) == value for name, value in change.wished)
        is_done &= change.what == "create" or bank.list_version > change.from_version
        return end(change, bank, [], 0, {}, actor=SYSTEM) if is_done else close(change, "lost")
    ids = _gone(change, bank) if change.what == "withdraw" else list(_added(change, bank))
    if not ids:
        return close(change, "lost")
    return end(change, bank, ranges_of(ids), len(ids), {"entries": len(ids)}, actor=SYSTEM)


def _gone(change: Change, bank: Bank) -> list[int]:
    return [i for i in change.wished if not any(e.id == i for e in bank.entries_after(i - 1, 1))]


def _added(change: Change, bank: Bank) -> Iterator[int]:
    """Ids given since the change began that no change ended since explains, of entries that were wished for then.

    Of a long list the first thousand are known again; what was added behind them in the same second belongs to it.
    """
    marks, last, added = frozenset(change.wished), 0, -1
    for entry in _unexplained(change, bank):
        number = entry.id or 0
        is_behind = len(marks) >= _SIGNED and number == last + 1 and entry.added == added
        if is_behind or not marks.isdisjoint(_marks(entry)):
            last, added = number, entry.added
            yield number


def _unexplained(change: Change, bank: Bank) -> Iterator[Entry]:
    explained = EntryChange.objects.filter(bank=change.bank, last_entry__gte=change.from_id, change__what="add")
    ranges = list(explained.values_list("first_entry", "last_entry"))
    after = change.from_id - 1
    while page := bank.entries_after(after, _AT_ONCE):
        after = page[-1].id or 0
        yield from (e for e in page if (i := e.id or 0) and not any(a <= i <= b for a, b in ranges))
