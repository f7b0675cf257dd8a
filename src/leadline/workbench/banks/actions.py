"""Writes of banks: the folder is changed by `match.bank` alone, the row and the journal say who did it and why.

A change is begun in a transaction of its own, done in the folder, and ended in another with its journal line. What a
crash cuts in between is found by `settle_changes`, which asks the folder what happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from leadline.domain import DEFAULT_QUALITY_FLOOR, DEFAULT_RADIUS_BITS, Entry, Kind, Tlp
from leadline.errors import InputError, LeadlineError, NotAllowed, WrongState
from leadline.match.admission import Refusal
from leadline.match.bank import Bank
from leadline.workbench.accounts.access import are_two, is_one_person_office
from leadline.workbench.actors import Actor
from leadline.workbench.banks import access
from leadline.workbench.banks.models import REASONS, Change, EntryChange, Proposal
from leadline.workbench.journal.actions import SYSTEM, record

ACTS = {"create": "bank.created", "add": "bank.entry.added", "withdraw": "bank.entry.withdrawn", "set": "bank.changed"}
MAX_PROPOSED = 500
_SETTLE_AFTER = timedelta(minutes=15)
_RANGES_AT_ONCE = 1000
_Read = Entry | LeadlineError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an addition came to. `proposal`: false positives now wait for a second person; nothing is added yet."""

    added: int
    ids: Sequence[int] = ()
    refused: Sequence[Refusal] = ()
    refused_count: int = 0
    proposal: Proposal | None = None


def create_bank(
    by: Actor,
    bank_id: str,
    *,
    kind: Kind,
    reason: str,
    tlp: Tlp = Tlp.AMBER_STRICT,
    radius_bits: int = DEFAULT_RADIUS_BITS,
    quality_floor: int = DEFAULT_QUALITY_FLOOR,
    source: str = "",
    licence: str = "",
) -> Bank:
    """A new, empty bank; its name is that of its folder. Who could not see a TLP:RED bank makes none."""
    if not access.NEW_BANK_ID.fullmatch(bank_id):
        mend = "up to 64 small letters, digits and hyphens, a letter or digit first"
        raise InputError("not a name for a bank", where="name", mend=mend)
    _check_reason("create", reason)
    if not by.may_see(tlp):
        raise NotAllowed("a TLP:RED bank is made by somebody who may see it")
    path = Path(settings.LEADLINE_BANKS) / bank_id
    if path.exists():
        raise WrongState("a bank of that name is there", mend="choose another name")
    change = _begin(by, bank_id, "create", reason)
    with _noting_failure(change):
        bank = Bank.create(
            path, name=bank_id, kind=kind, radius_bits=radius_bits, quality_floor=quality_floor, source=source,
            tlp=tlp, licence=licence,
        )  # fmt: skip
    _end(change, bank, [], 0, {"kind": kind, "tlp": _code(tlp)})
    return bank


def add_entries(by: Actor, bank_id: str, entries: Iterable[Entry | LeadlineError], *, reason: str) -> Outcome:
    """Add entries, or propose them where they are false positives. Both at once in one list are refused singly."""
    bank = access.find_bank(by, bank_id)
    head, rest = _peek(entries)
    if isinstance(head, Entry) and access.needs_two(head.kind):
        return _propose(by, bank, rest, reason)
    _check_reason("add", reason)
    change = _begin(by, bank_id, "add", reason, bank=bank)
    with _noting_failure(change):
        result = bank.add(_without_false_positives(rest))
    if result.added:
        _end(change, bank, _ranges(result.ids), result.added, {"entries": result.added})
    else:
        _close(change, "failed")
    return Outcome(result.added, result.ids, result.refused, result.refused_count)


def withdraw_entries(by: Actor, bank_id: str, ids: Sequence[int], *, reason: str) -> int:
    """Take entries out; they match no more at once. Unknown ones are passed over. How many were there."""
    bank = access.find_bank(by, bank_id)
    _check_reason("withdraw", reason)
    wanted = sorted({i for i in ids if _is_there(by, bank, i)})
    if not wanted:
        return 0
    change = _begin(by, bank_id, "withdraw", reason, bank=bank, wished=wanted)
    with _noting_failure(change):
        removed = bank.remove(wanted)
    _end(change, bank, _ranges(wanted), removed, {"entries": removed})
    return removed


def set_bank(by: Actor, bank_id: str, *, reason: str, **given: Any) -> bool:
    """`kind`, `tlp`, `radius_bits`, `quality_floor`, `source`, `licence` as `Bank.set_settings` takes them."""
    bank = access.find_bank(by, bank_id)
    _check_reason("set", reason)
    if given.get("tlp") is not None and not by.may_see(given["tlp"]):
        raise NotAllowed("a bank becomes TLP:RED by somebody who may see it then")
    change = _begin(by, bank_id, "set", reason, bank=bank)
    with _noting_failure(change):
        is_changed = bank.set_settings(**given)
    if not is_changed:
        _close(change, "failed")
        return False
    told = {name: _code(value) for name, value in given.items() if value is not None and name not in _TEXTS}
    _end(change, bank, [], 0, told)
    return True


def _propose(by: Actor, bank: Bank, entries: Iterable[Entry | LeadlineError], reason: str) -> Outcome:
    _check_reason("propose", reason)
    taken = list(islice(entries, MAX_PROPOSED + 1))
    wrong = [(n, e) for n, e in enumerate(taken) if isinstance(e, LeadlineError) or not access.needs_two(e.kind)]
    if wrong or len(taken) > MAX_PROPOSED:
        mend = f"false positives come alone, all of them readable, at most {MAX_PROPOSED} at once"
        raise InputError("this list cannot be proposed", where=f"entry {wrong[0][0] + 1}" if wrong else "", mend=mend)
    is_alone = is_one_person_office()
    with transaction.atomic():
        proposal = Proposal.objects.create(
            bank=access.bank_id_of(bank), reason=reason, entries=msgspec.json.encode(taken).decode(), count=len(taken),
            actor=by.id, proposed_by=by.person, is_alone=is_alone,
        )  # fmt: skip
        _record("bank.entry.proposed", by.id, bank, reason, {"proposal": str(proposal.pk), "entries": len(taken)})
    return confirm(by, proposal) if is_alone else Outcome(0, proposal=proposal)


def confirm(by: Actor, proposal: Proposal) -> Outcome:
    """A second person's yes: only now the entries exist."""
    bank = access.find_bank(by, proposal.bank)
    entries: list[Entry] = []
    with transaction.atomic():
        live = Proposal.objects.select_for_update().get(pk=proposal.pk)
        _check_open(live)
        if not live.is_alone and not are_two(live.proposed_by, by.person):
            raise NotAllowed("a second person confirms a false positive", mend="ask a colleague")
        entries = msgspec.json.decode(live.entries, type=list[Entry])
        change = _begin(by, proposal.bank, "add", live.reason, bank=bank)
        live.state, live.decided_by, live.decided_at, live.change = "confirmed", by.person, timezone.now(), change
        live.save()
    with _noting_failure(change):
        result = bank.add(entries)
    _end(change, bank, _ranges(result.ids), result.added, {"entries": result.added, "proposal": str(proposal.pk)})
    return Outcome(result.added, result.ids, result.refused, result.refused_count)


@transaction.atomic
def refuse(by: Actor, proposal: Proposal) -> None:
    """Also by who proposed it: then it is taken back."""
    bank = access.find_bank(by, proposal.bank)
    live = Proposal.objects.select_for_update().get(pk=proposal.pk)
    _check_open(live)
    live.state, live.decided_by, live.decided_at, live.entries = "refused", by.person, timezone.now(), ""
    live.save()
    _record("bank.proposal.refused", by.id, bank, "refused", {"proposal": str(proposal.pk)})


def settle_changes() -> int:
    """Changes that a crash cut: ended where the folder shows that they happened, else marked as lost. How many."""
    cut = Change.objects.filter(state="begun", begun_at__lt=timezone.now() - _SETTLE_AFTER).order_by("begun_at")
    banks = {access.bank_id_of(bank): bank for bank in access.all_banks()}
    settled = 0
    for change in cut:
        bank = banks.get(change.bank)
        settled += _settle(change, bank) if bank is not None else _close(change, "lost")
    return settled


def _settle(change: Change, bank: Bank) -> int:
    if change.what == "create":
        return _end(change, bank, [], 0, {}, actor=SYSTEM)
    if change.what == "set":
        is_done = bank.list_version > change.from_version
        return _end(change, bank, [], 0, {}, actor=SYSTEM) if is_done else _close(change, "lost")
    ids = _gone(change, bank) if change.what == "withdraw" else list(_unexplained(change, bank))
    if not ids:
        return _close(change, "lost")
    return _end(change, bank, _ranges(ids), len(ids), {"entries": len(ids)}, actor=SYSTEM)


def _gone(change: Change, bank: Bank) -> list[int]:
    return [i for i in change.wished if not any(e.id == i for e in bank.entries_after(i - 1, 1))]


def _unexplained(change: Change, bank: Bank) -> Iterator[int]:
    """Ids given since the change began that no change ended since explains."""
    explained = EntryChange.objects.filter(bank=change.bank, last_entry__gte=change.from_id, change__what="add")
    ranges = list(explained.values_list("first_entry", "last_entry"))
    after = change.from_id - 1
    while page := bank.entries_after(after, _RANGES_AT_ONCE):
        after = page[-1].id or 0
        yield from (i for e in page if (i := e.id or 0) and not any(a <= i <= b for a, b in ranges))


_TEXTS = ("source", "licence")  # free text: not for the journal


def _begin(
    by: Actor, bank_id: str, what: str, reason: str, *, bank: Bank | None = None, wished: Sequence[int] = ()
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
def _end(
    change: Change, bank: Bank, ranges: Iterable[tuple[int, int]], count: int, details: dict[str, Any], actor: str = ""
) -> int:
    """1, or 0 where somebody ended it meanwhile. The system as actor: it was settled after a crash."""
    begun = Change.objects.filter(pk=change.pk, state="begun")
    if not begun.update(state="done", ended_at=timezone.now(), count=count):
        return 0
    Proposal.objects.filter(change=change).update(entries="")
    rows = [EntryChange(change=change, bank=change.bank, first_entry=a, last_entry=b) for a, b in ranges]
    EntryChange.objects.bulk_create(rows, batch_size=_RANGES_AT_ONCE)
    if rows:
        details = details | {"first": rows[0].first_entry, "last": rows[-1].last_entry}
    settled = {"settled": True, "by": change.actor} if actor == SYSTEM else {}
    details = details | settled | {"change": str(change.pk)}
    _record(ACTS[change.what], actor or change.actor, bank, change.reason, details)
    return 1


@transaction.atomic
def _close(change: Change, state: str) -> int:
    """Without an effect on the bank, so without a line in the journal; a proposal it came from is open again."""
    Proposal.objects.filter(change=change).update(state="open", decided_by=None, decided_at=None, change=None)
    return Change.objects.filter(pk=change.pk, state="begun").update(state=state, ended_at=timezone.now())


@contextmanager
def _noting_failure(change: Change) -> Iterator[None]:
    """Ends a change as failed where its bank refuses it; anything else than a refusal is left to be settled."""
    try:
        yield
    except LeadlineError:
        _close(change, "failed")
        raise


def _record(act: str, actor: str, bank: Bank, reason: str, details: dict[str, Any]) -> None:
    kind = "bank-red" if bank.snapshot.manifest.tlp is Tlp.RED else "bank"  # hooks.models.CLOSED_OBJECTS
    record(act, actor=actor, object_kind=kind, object_id=access.bank_id_of(bank), reason=reason, details=details)


def _check_reason(what: str, reason: str) -> None:
    if reason not in dict(REASONS[what]):
        raise InputError("not a reason for this", where="reason", mend=f"one of {', '.join(dict(REASONS[what]))}")


def _check_open(proposal: Proposal) -> None:
    if proposal.state != "open":
        raise WrongState("this proposal is decided")


def _is_there(by: Actor, bank: Bank, entry_id: int) -> bool:
    try:
        access.find_entry(by, bank, entry_id)
    except LeadlineError:
        return False
    return True


def _peek(entries: Iterable[_Read]) -> tuple[_Read | None, Iterator[_Read]]:
    """The first of them, and all of them."""
    source = iter(entries)
    head = next(source, None)
    return head, source if head is None else chain([head], source)


def _without_false_positives(entries: Iterable[Entry | LeadlineError]) -> Iterator[Entry | LeadlineError]:
    for entry in entries:
        if isinstance(entry, Entry) and access.needs_two(entry.kind):
            yield InputError("a false positive needs two people", mend="send false positives in a list of their own")
        else:
            yield entry


def _ranges(ids: Iterable[int]) -> list[tuple[int, int]]:
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


def _code(value: object) -> Any:
    return value if isinstance(value, int) else str(value).replace("+", "-")


def merge_due() -> int:
    """Start merges of banks that many small changes have made slow; each in a thread of its own."""
    return sum(bank.merge_in_background() is not None for bank in access.all_banks())
