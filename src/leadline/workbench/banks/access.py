"""Reads of banks on behalf of somebody. A bank one may not see is not there; TLP:RED is seen by clearance or grant."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db.models import QuerySet

from leadline.domain import Entry, Kind, Match, Tlp
from leadline.errors import BankError, BankNotFound
from leadline.match.bank import Bank
from leadline.match.manifest import FILE_NAME
from leadline.match.matcher import Matcher
from leadline.workbench.actors import Actor
from leadline.workbench.banks.models import Change, EntryChange, Proposal

BANK_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_LOOKED_AT_AT_MOST = 20  # pages of hidden entries passed over for one page of visible ones
_open: dict[Path, Bank] = {}
_opening = threading.Lock()


@dataclass(frozen=True, slots=True)
class BankView:
    """A bank as a page shows it; `fault` is a code where it cannot be read."""

    id: str
    bank: Bank | None
    fault: str = ""

    @property
    def tlp(self) -> Tlp:
        return Tlp.RED if self.bank is None else self.bank.snapshot.manifest.tlp


def all_banks() -> list[Bank]:
    """Every bank of the office that can be read, as it is now: for matching, which is nobody's view."""
    return [view.bank for view in _views() if view.bank is not None]


def broken_banks() -> list[str]:
    return [view.id for view in _views() if view.bank is None]


def bank_id_of(bank: Bank) -> str:
    return bank.path.name


def visible_banks(actor: Actor) -> list[BankView]:
    granted = set(actor.granted_ids("bank"))
    return [view for view in _views() if actor.may_see(view.tlp) or view.id in granted]


def find_bank(actor: Actor, bank_id: str) -> Bank:
    """BankNotFound where there is none of that id, and where it is not for this actor."""
    view = next((view for view in visible_banks(actor) if view.id == bank_id), None)
    if view is None or view.bank is None:
        raise BankNotFound("no such bank", mend="see the list of banks")
    return view.bank


def sees_red(actor: Actor, bank: Bank) -> bool:
    """Whether single TLP:RED entries of a bank are for this actor."""
    return actor.may_see(Tlp.RED) or bank_id_of(bank) in actor.granted_ids("bank")


def page_entries(actor: Actor, bank: Bank, after: int, limit: int) -> tuple[list[Entry], int | None]:
    """Entries by id, and the id to go on after; None at the end. Metadata and hashes: a bank holds nothing else."""
    found: list[Entry] = []
    is_red_seen = sees_red(actor, bank)
    for _ in range(_LOOKED_AT_AT_MOST):
        page = bank.entries_after(after, limit + 1)
        for entry in page[:limit] if len(page) > limit else page:
            after = entry.id or 0
            if is_red_seen or entry.tlp is not Tlp.RED:
                found.append(entry)
            if len(found) == limit:
                return found, after if bank.entries_after(after, 1) else None
        if len(page) <= limit:
            return found, None
    return found, after


def find_entry(actor: Actor, bank: Bank, entry_id: int) -> Entry:
    """BankNotFound where there is none, or it is not for this actor."""
    try:
        entry = bank.get(entry_id)
    except BankError:
        raise BankNotFound("no such entry") from None
    if entry.tlp is Tlp.RED and not sees_red(actor, bank):
        raise BankNotFound("no such entry")
    return entry


def history_of(bank: Bank, entry_id: int) -> QuerySet[Change]:
    """Changes made at the workbench to one entry, oldest first; also of one that is withdrawn."""
    touched = EntryChange.objects.filter(bank=bank_id_of(bank), first_entry__lte=entry_id, last_entry__gte=entry_id)
    return Change.objects.filter(pk__in=touched.values("change")).select_related("person").order_by("begun_at", "id")


def changes_of(bank: Bank) -> QuerySet[Change]:
    return Change.objects.filter(bank=bank_id_of(bank)).select_related("person").order_by("-begun_at", "-id")


def open_proposals(actor: Actor) -> list[Proposal]:
    seen = {view.id for view in visible_banks(actor)}
    waiting = Proposal.objects.filter(state="open").select_related("proposed_by").order_by("proposed_at")
    return [proposal for proposal in waiting if proposal.bank in seen]


def find_proposal(actor: Actor, proposal_id: object) -> Proposal | None:
    return next((p for p in open_proposals(actor) if str(p.pk) == str(proposal_id)), None)


def look_up(
    actor: Actor, lines: Sequence[tuple[str, bytes]], radius_bits: int | None = None
) -> list[tuple[tuple[Match, ...], bool]]:
    """Per (algorithm, digest) its matches in the banks this actor sees, and whether there were more.

    algorithm  "" takes 32 bytes as SHA-256 and PDQ; radius_bits  in place of each bank's own
    """
    banks = {view.bank.name: view.bank for view in visible_banks(actor) if view.bank is not None}
    answers = Matcher(list(banks.values()), radius_bits=radius_bits).match_hashes(lines)
    return [(tuple(m for m in a.matches if _is_seen(actor, banks[m.bank], m)), a.truncated) for a in answers]


def _is_seen(actor: Actor, bank: Bank, match: Match) -> bool:
    return sees_red(actor, bank) or bank.get(match.entry).tlp is not Tlp.RED


def needs_two(kind: Kind) -> bool:
    """A false positive hides nothing, but it takes a match off the pile: two people answer for it."""
    return kind is Kind.FALSE_POSITIVE


def _views() -> list[BankView]:
    root = Path(settings.LEADLINE_BANKS)
    if not root.is_dir():
        return []
    folders = sorted(path for path in root.iterdir() if BANK_ID.fullmatch(path.name) and (path / FILE_NAME).exists())
    views, names = [], set()
    for folder in folders:
        view = _view(folder)
        name = "" if view.bank is None else view.bank.name
        views.append(BankView(view.id, None, "name-twice") if name in names else view)
        names.add(name or folder.name)
    return views


def _view(folder: Path) -> BankView:
    """Opened once a process; two stats where nothing changed. A bank that was replaced is opened anew."""
    with _opening:
        bank = _open.get(folder)
    try:
        if bank is None:
            bank = Bank.open(folder)
        else:
            bank.refresh()
    except BankError as error:
        with _opening:
            _open.pop(folder, None)
        return BankView(folder.name, None, error.code)
    with _opening:
        _open[folder] = bank
    return BankView(folder.name, bank)
