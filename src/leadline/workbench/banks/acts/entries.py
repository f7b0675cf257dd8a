"""Banks are made, entries come and go, settings change: at once, or where it takes two people as a proposal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from leadline.domain import DEFAULT_QUALITY_FLOOR, DEFAULT_RADIUS_BITS, Entry, Kind, Tlp
from leadline.errors import InputError, LeadlineError, NotAllowed, WrongState, sentence
from leadline.match.bank import Bank
from leadline.workbench.actors import Actor
from leadline.workbench.banks import access
from leadline.workbench.banks.acts import proposals
from leadline.workbench.banks.acts.changes import Read, begin, check_reason, code_of, end, noting_failure, sign
from leadline.workbench.banks.acts.proposals import Outcome
from leadline.workbench.banks.models import Change

MAX_PROPOSED = 500
MANY = 100  # entries whose matches one person alone may undo within a day
_A_DAY = timedelta(days=1)


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
    check_reason("create", reason)
    if not by.may_see(tlp):
        raise NotAllowed("a TLP:RED bank is made by somebody who may see it")
    path = Path(settings.LEADLINE_BANKS) / bank_id
    if path.exists():
        raise WrongState("a bank of that name is there", mend="choose another name")
    wished = {"kind": kind, "tlp": tlp, "radius_bits": radius_bits, "quality_floor": quality_floor}
    change = begin(by, bank_id, "create", reason, wished=_codes(wished))
    with noting_failure(change):
        bank = Bank.create(
            path, name=bank_id, kind=kind, radius_bits=radius_bits, quality_floor=quality_floor, source=source,
            tlp=tlp, licence=licence,
        )  # fmt: skip
    end(change, bank, [], 0, {"kind": kind, "tlp": code_of(tlp)})
    return bank


def add_entries(by: Actor, bank_id: str, entries: Iterable[Read], *, reason: str) -> Outcome:
    """Add entries, or propose them where two people answer for their kind. Both at once in one list are refused singly.

    MAX_PROPOSED at once: a long list of the harmless is made by the command line, and confirmed here as a whole.
    """
    bank = access.find_bank(by, bank_id)
    head, rest = _peek(entries)
    if isinstance(head, Entry) and access.needs_two(head.kind):
        return _propose_entries(by, bank, rest, reason)
    check_reason("add", reason)
    marks, rest = sign(_without_those_for_two(rest))
    return proposals.add(begin(by, bank_id, "add", reason, bank=bank, wished=marks), bank, rest, {})


def withdraw_entries(by: Actor, bank_id: str, ids: Sequence[int], *, reason: str) -> Outcome:
    """Take entries out; they match no more at once. Unknown ones are passed over. Many in a day are proposed."""
    bank = access.find_bank(by, bank_id)
    check_reason("withdraw", reason)
    wanted = sorted({i for i in ids if _is_there(by, bank, i)})
    if not wanted:
        return Outcome()
    if len(wanted) + _withdrawn_of_late(by, bank_id) > MANY:
        return proposals.propose(by, bank, "withdraw", wanted, len(wanted), reason)
    return proposals.withdraw(begin(by, bank_id, "withdraw", reason, bank=bank, wished=wanted), bank, wanted, {})


def set_bank(by: Actor, bank_id: str, *, reason: str, **given: Any) -> Outcome:
    """`kind`, `tlp`, `radius_bits`, `quality_floor`, `source`, `licence` as `Bank.set_settings` takes them.

    A smaller radius or a higher floor undoes matches: in a bank of many entries a second person confirms it.
    """
    bank = access.find_bank(by, bank_id)
    check_reason("set", reason)
    if given.get("tlp") is not None and not by.may_see(given["tlp"]):
        raise NotAllowed("a bank becomes TLP:RED by somebody who may see it then")
    given = {name: value for name, value in given.items() if value is not None}
    if _undoes_matches(bank, given) and bank.count > MANY:
        return proposals.propose(by, bank, "set", sorted(given.items()), bank.count, reason)
    change = begin(by, bank_id, "set", reason, bank=bank, wished=_codes(given))
    return proposals.set_settings(change, bank, given, {})


def trust_near(by: Actor, bank_id: str, bits: int, *, reason: str) -> Outcome:
    """Files so near to an entry need nobody's look. More of them takes two people; fewer, anybody who may set the bank.

    0 trusts exact matches alone. Harmless kinds take nothing off the pile by nearness, so there is nothing to trust.
    """
    bank = access.find_bank(by, bank_id)
    check_reason("set", reason)
    if not 0 <= bits <= bank.radius_bits:
        mend = sentence("from 0 to the radius of the bank, %(most)s", most=bank.radius_bits)
        raise InputError("not a margin of this bank", where="trusted_bits", mend=mend)
    if bits and access.needs_two(bank.kind):
        raise InputError("near to something harmless clears nothing", where="trusted_bits", mend="leave it at 0")
    before = access.trusted_bits(bank)
    if bits == before:
        return Outcome()
    if bits > before:
        return proposals.propose(by, bank, "trust", bits, bank.count, reason)
    return proposals.trust(begin(by, bank_id, "trust", reason, bank=bank, wished=[bits]), bank, bits, {})


def _undoes_matches(bank: Bank, given: dict[str, Any]) -> bool:
    radius_bits, floor = (int(given.get(name, getattr(bank, name))) for name in ("radius_bits", "quality_floor"))
    return radius_bits < bank.radius_bits or floor > bank.quality_floor


def _withdrawn_of_late(by: Actor, bank_id: str) -> int:
    mine = Change.objects.filter(bank=bank_id, what="withdraw", person=by.person, state="done")
    alone = mine.filter(begun_at__gt=timezone.now() - _A_DAY).exclude(pk__in=access.confirmed_changes())
    return int(alone.aggregate(sum=Sum("count"))["sum"] or 0)


def _propose_entries(by: Actor, bank: Bank, entries: Iterable[Read], reason: str) -> Outcome:
    check_reason("propose", reason)
    taken = list(islice(entries, MAX_PROPOSED + 1))
    wrong = [(n, e) for n, e in enumerate(taken) if isinstance(e, LeadlineError) or not access.needs_two(e.kind)]
    if wrong or len(taken) > MAX_PROPOSED:
        mend = sentence(
            "false positives and benign entries come alone, all readable, at most %(most)s at once", most=MAX_PROPOSED
        )
        raise InputError("this list cannot be proposed", where=f"entry {wrong[0][0] + 1}" if wrong else "", mend=mend)
    return proposals.propose(by, bank, "add", taken, len(taken), reason)


def _is_there(by: Actor, bank: Bank, entry_id: int) -> bool:
    try:
        access.find_entry(by, bank, entry_id)
    except LeadlineError:
        return False
    return True


def _peek(entries: Iterable[Read]) -> tuple[Read | None, Iterator[Read]]:
    """The first of them, and all of them."""
    source = iter(entries)
    head = next(source, None)
    return head, source if head is None else chain([head], source)


def _without_those_for_two(entries: Iterable[Read]) -> Iterator[Read]:
    for entry in entries:
        if isinstance(entry, Entry) and access.needs_two(entry.kind):
            mend = "send false positives and benign entries in a list of their own"
            yield InputError("this kind needs two people", mend=mend)
        else:
            yield entry


def _codes(given: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, code_of(value)) for name, value in given.items()]
