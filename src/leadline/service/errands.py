"""What a shard is asked to do with its part of a bank, and what became of it: on the wire, and done by the shard.

Each is done whole or not at all, and never in another part. How a change goes over several is `parted.py`'s work.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from leadline.domain import Entry, Kind, Tlp
from leadline.errors import BankLocked, InputError, LeadlineError
from leadline.match.changes import AddResult
from leadline.service.keeping import HereBank
from leadline.service.shelving import NewBank, Settings


class _OfBank(msgspec.Struct, tag=True):
    bank: str


class Held(_OfBank):
    """Which of these ids are there. Without any: how the part is now."""

    ids: list[int] = []


class Page(_OfBank):
    after: int
    limit: int


class Holders(_OfBank):
    algorithm: str
    hashes: list[bytes]


class Since(_OfBank):
    """As `KeptBank.added_since`."""

    next_id: int
    moment: int


class Add(_OfBank):
    """Entries with ids that nobody has: none is given another id, else nothing is added."""

    entries: list[Entry]


class Place(_OfBank):
    """This entry in the place of the one of its id, or where there is none."""

    entry: Entry


class Remove(_OfBank):
    """Of these ids the entries that were added at that moment: one of the same id that came another way stays."""

    moments: dict[int, int]


class Whole(_OfBank):
    """What the part is as a whole. is_to_change: BankLocked where nobody else may change it at this moment."""

    is_to_change: bool = False


class Make(_OfBank):
    """A part that is empty, or the one that is there already and is as it would be made."""

    new: NewBank


class Unmake(_OfBank):
    """Take back what `Make` made, where nothing was done to it since."""

    new: NewBank


class Rename(_OfBank):
    """The part, where it is one of these identities."""

    name: str
    parts: list[str]


class Drop(_OfBank):
    """Remove the part as a whole, where it is one of these identities."""

    parts: list[str]


OfWhole = Whole | Make | Unmake | Rename | Drop
OfEntries = Held | Page | Holders | Since | Add | Place | Remove
Errand = OfEntries | OfWhole


class Part(msgspec.Struct, frozen=True):
    """How a bank is on one shard."""

    list_version: int
    next_id: int
    kind: Kind
    tlp: Tlp


class Refused(NamedTuple):
    """An error on the wire. position: of the entry among those that were sent."""

    position: int
    code: str
    what: str
    where: str
    mend: str

    def error(self) -> InputError:
        return InputError(self.what, where=self.where, mend=self.mend, code=self.code)


class WholePart(msgspec.Struct, frozen=True):
    """A part as a whole. is_on_shelf: whether it may be removed."""

    settings: Settings
    identity: str
    list_version: int
    count: int
    is_on_shelf: bool


class Done(msgspec.Struct, omit_defaults=True):
    """part, whole: as it is now; None: the shard has no such bank. The rest answers the errand of its name."""

    part: Part | None = None
    whole: WholePart | None = None
    held: dict[int, int] = {}
    entries: list[Entry] = []
    holders: list[list[int]] = []
    refused: list[Refused] = []


def run(errand: OfEntries, bank: HereBank) -> Done:
    """BankLocked, BankError: nothing was done."""
    bank.refresh()
    done = Done()
    match errand:
        case Held():
            done.held = bank.held(errand.ids) if errand.ids else {}
        case Page():
            done.entries = bank.page(errand.after, errand.limit)
        case Holders():
            done.holders = bank.holders(errand.algorithm, errand.hashes)
        case Since():
            done.entries = bank.added_since(errand.next_id, errand.moment)
        case Add():
            done.refused = _add(errand.entries, bank)
        case Place():
            done.refused = _place(errand.entry, bank)
        case Remove():
            there = bank.held(list(errand.moments))
            bank.remove([i for i, moment in errand.moments.items() if there.get(i) == moment])
    done.part = Part(bank.list_version, bank.next_id, bank.kind, bank.tlp)
    return done


def _add(entries: list[Entry], bank: HereBank) -> list[Refused]:
    result = bank.add(entries)
    if result.renumbered:
        bank.remove(result.ids)
        raise BankLocked("another writer has given these numbers", mend="retry")
    return _refusals(result)


def _place(entry: Entry, bank: HereBank) -> list[Refused]:
    assert entry.id is not None
    if bank.held([entry.id]):
        try:
            bank.change(entry)
        except InputError as error:
            return [refused_at(0, error)]
        return []
    result = bank.add([entry])
    if result.renumbered:  # an id is never given twice in one part
        bank.remove(result.ids)
        mend = "remove the entry and add it anew"
        return [refused_at(0, InputError("it was on every shard before, and then on one", where="kind", mend=mend))]
    return _refusals(result)


def _refusals(result: AddResult) -> list[Refused]:
    return [refused_at(refusal.position, refusal.error) for refusal in result.refused if not refusal.entry_kept]


def refused_at(position: int, error: LeadlineError) -> Refused:
    return Refused(position, error.code, error.what, error.where, error.mend)
