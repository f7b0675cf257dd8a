"""Reads of banks on behalf of somebody. A bank one may not see is not there; TLP:RED is seen by clearance or grant."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import QuerySet

from leadline.domain import Entry, Kind, Match, Tlp
from leadline.errors import BankError, BankNotFound, LeadlineError
from leadline.match.bank import Bank
from leadline.match.manifest import FILE_NAME
from leadline.match.matcher import MatchAnswer, Matcher
from leadline.workbench import sealing
from leadline.workbench.actors import Actor
from leadline.workbench.banks.models import Change, EntryChange, Followed, Proposal, Trusted

NEW_BANK_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")  # of banks made here; others made them, and may write larger
UNREADABLE = "unreadable"
BANK_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_LOOKED_AT_AT_MOST = 20  # pages of hidden entries passed over for one page of visible ones


class _Opened(NamedTuple):
    bank: Bank
    inode: int  # of its folder: a copy put in its place is another one, and opened anew


_open: dict[Path, _Opened] = {}
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


def bank_faults() -> list[str]:
    """Why banks cannot be matched, as codes without the names of whose."""
    return sorted({view.fault for view in _views() if view.bank is None})


def state_of(bank: Bank) -> str:
    """Names one state of one list: another folder, list or entry, and it is another name. A merge changes nothing.

    The list version alone does not do: a folder that was replaced, or restored and gone on, may have the same one.
    """
    snapshot = bank.snapshot
    with _opening:
        opened = _open.get(bank.path)
    inode = opened.inode if opened is not None else 0
    confirmed = Change.objects.filter(bank=bank_id_of(bank), what="confirm", state="done").count()
    parts = (f"{inode:x}", confirmed, snapshot.list_version, snapshot.next_id, snapshot.alive_count)
    return ".".join(map(str, (snapshot.manifest.identity, *parts)))


def is_same_list(one: str, other: str) -> bool:
    """Whether two names of states are of one bank in one folder, so that what changed between them can be told by it.

    Not so where two people confirmed entries in between: the folder does not know of that.
    """
    return one.split(".")[:3] == other.split(".")[:3]


def is_red(bank: Bank, entry_id: int | None = None) -> bool:
    """Whether a bank, or this entry of it, is TLP:RED. An entry that is gone meanwhile counts as the bank does."""
    if bank.snapshot.manifest.tlp is Tlp.RED or entry_id is None:
        return bank.snapshot.manifest.tlp is Tlp.RED
    try:
        return bank.get(entry_id).tlp is Tlp.RED
    except BankError:
        return False


def red_names_of(actor: Actor) -> frozenset[str] | None:
    """Names of the banks whose TLP:RED matches are for this actor by a grant; None: by clearance all are."""
    if actor.may_see(Tlp.RED):
        return None
    granted = set(actor.granted_ids("bank"))
    views = _views() if granted else []
    return frozenset(view.bank.name for view in views if view.id in granted and view.bank is not None)


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


def visible_history(actor: Actor, bank: Bank, entry_id: int) -> QuerySet[Change]:
    """None of an entry that is not for this actor, as of one that never was."""
    is_hidden = is_red(bank, entry_id) and not sees_red(actor, bank)
    return Change.objects.none() if is_hidden else history_of(bank, entry_id)


def history_of(bank: Bank, entry_id: int) -> QuerySet[Change]:
    """Changes to one entry, oldest first, also those found in the folder; also of one that is withdrawn."""
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


def wish_context(proposal_id: object) -> str:
    return f"bank-proposal:{proposal_id}:entries"


def wish_of(proposal: Proposal) -> str:
    """What an open one would do, as JSON; of which form is told by `Proposal`."""
    return sealing.unseal(bytes(proposal.entries_sealed or b""), wish_context(proposal.pk))


def look_up(
    actor: Actor, lines: Sequence[tuple[str, bytes]], radius_bits: int | None = None
) -> list[tuple[tuple[Match, ...], bool]]:
    """Per (algorithm, digest) its matches in the banks this actor sees, and whether there were more.

    algorithm  "" takes 32 bytes as SHA-256 and PDQ; radius_bits  in place of each bank's own
    """
    banks = {view.bank.name: view.bank for view in visible_banks(actor) if view.bank is not None}
    confirmed = Confirmed(banks.values())
    answers = map(confirmed.only, Matcher(list(banks.values()), radius_bits=radius_bits).match_hashes(lines))
    return [(tuple(m for m in a.matches if _is_seen(actor, banks[m.bank], m)), a.truncated) for a in answers]


def _is_seen(actor: Actor, bank: Bank, match: Match) -> bool:
    return sees_red(actor, bank) or bank.get(match.entry).tlp is not Tlp.RED


def needs_two(kind: Kind) -> bool:
    """A false positive takes a match off the pile, a benign entry a file out of sight: two people answer for it."""
    return kind in (Kind.FALSE_POSITIVE, Kind.BENIGN)


def trusted_bits(bank: Bank) -> int:
    """Within so many bits of an entry a file is as good as known. Never beyond the radius that the bank has now."""
    said = Trusted.objects.filter(pk=bank_id_of(bank), identity=bank.snapshot.manifest.identity).first()
    return min(said.bits, bank.radius_bits) if said is not None else 0


def confirmed_changes() -> QuerySet[Proposal, Any]:
    return Proposal.objects.filter(state="confirmed", change__isnull=False).values("change")


class Confirmed:
    """Which entries of kinds that need two people may act in this office: those that two people stand for.

    An entry of such a kind that came by another program is in the folder, and in no answer, until they do.
    """

    def __init__(self, banks: Iterable[Bank]) -> None:
        self._banks = {bank.name: bank for bank in banks}
        self._known: dict[str, list[tuple[int, int, bool]]] = {}

    def only(self, answer: MatchAnswer) -> MatchAnswer:
        matches = [
            self._without_suppressor(match)
            for match in answer.matches
            if not needs_two(match.kind) or self._may_act(match.bank, match.entry)
        ]
        return replace(answer, matches=tuple(matches))

    def _without_suppressor(self, match: Match) -> Match:
        bank, _, entry = (match.suppressed_by or "").rpartition("/")
        is_kept = not match.suppressed_by or self._may_act(bank, int(entry))
        return match if is_kept else replace(match, suppressed_by=None)

    def _may_act(self, name: str, entry: int) -> bool:
        if name not in self._known:
            bank = self._banks.get(name)
            self._known[name] = [] if bank is None else words_on(bank)[::-1]
        return next((is_yes for first, last, is_yes in self._known[name] if first <= entry <= last), False)


def words_on(bank: Bank) -> list[tuple[int, int, bool]]:
    """First and last entry, and whether two people confirmed them then or another program touched them; oldest first.

    The last word on an entry holds. Of a folder that holds another bank than the one the words are about: none.
    """
    followed = Followed.objects.filter(pk=bank_id_of(bank)).values_list("state", flat=True).first()
    if followed is not None and followed.partition(".")[0] != bank.snapshot.manifest.identity:
        return []
    confirmed = EntryChange.objects.filter(change__in=confirmed_changes())
    told = confirmed | EntryChange.objects.filter(change__what__in=("came", "altered"))
    rows = told.filter(bank=bank_id_of(bank)).order_by("pk").values_list("first_entry", "last_entry", "change__what")
    return [(first, last, what in ("add", "confirm")) for first, last, what in rows]


def _views() -> list[BankView]:
    """A folder whose name begins with a dot is being made or put away; every other one is a bank or a fault."""
    root = Path(settings.LEADLINE_BANKS)
    try:
        folders = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError:
        return [BankView("-", None, UNREADABLE)]
    views, names = [], set()
    for folder in folders:
        view = _view(folder)
        if view is None:
            continue
        name = "" if view.bank is None else view.bank.name
        views.append(BankView(view.id, None, "name-twice") if name in names else view)
        names.add(name or folder.name)
    return views


def _view(folder: Path) -> BankView | None:
    """Opened once a process; three stats where nothing changed. None where there is no bank at all."""
    name = os.fsencode(folder.name).decode("utf-8", "backslashreplace")
    try:
        if not (folder / FILE_NAME).exists():
            return None
        if not BANK_ID.fullmatch(folder.name):
            return BankView(name, None, "folder-name")
        return BankView(folder.name, _opened(folder))
    except (LeadlineError, OSError) as error:
        with _opening:
            _open.pop(folder, None)
        return BankView(name, None, error.code if isinstance(error, LeadlineError) else UNREADABLE)


def _opened(folder: Path) -> Bank:
    inode = folder.stat().st_ino
    with _opening:
        known = _open.get(folder)
    if known is not None and known.inode == inode:
        known.bank.refresh()
        return known.bank
    bank = Bank.open(folder)
    with _opening:
        _open[folder] = _Opened(bank, inode)
    return bank
