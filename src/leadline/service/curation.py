"""Changes of banks for those who send them over HTTP: each made once, what cannot be taken refused item by item.

A request with an idempotency key that was cut off (a worker was killed between a bank's change and the answer) finds
its plan again when it is sent anew, and goes on from there:

- An addition's plan is the next free id and the moment, which every entry bears as `added`. What stands in the bank
  from that id on, of that moment and with the same contents, was added by the first try and is not added again.
- A removal's plan is the ids it found, and its answer. Ids are never given twice, so removing them again does nothing.
- The plan of a new bank says that none was there, so a bank of these settings is the one that was made. Over shards
  what was left half made is taken back first (parted_shelf.py).
- A change of an entry comes to the same result each time.

One change of a bank at a time is made over HTTP, by whichever worker or replica. Other writers of its folder (the
command line, the workbench) take the bank's own lock, and each waits for the other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import msgspec

from leadline.domain import Entry
from leadline.errors import BankLocked, InputError, LeadlineError
from leadline.exchange.base import HashType, parse_hash
from leadline.service.acts import Act, Acts
from leadline.service.entries import EntryChange, changed_entry, read_entries, tell_entry
from leadline.service.keeping import KeptBank
from leadline.service.lists import Lists
from leadline.service.repeats import Reply, Turn
from leadline.service.shelving import KeptShelf, NewBank


class Curation:
    """Over the banks that one worker has open, here or on shards. Waits for files: in threads only.

    A change matches here already when it is answered, since the bank is the one that is searched; other workers look
    twice a second, and shards are asked by all."""

    def __init__(self, lists: Lists, acts: Acts, *, forget: Callable[[str], None] = lambda name: None) -> None:
        """forget: what is kept elsewhere under a name that is no bank's any more."""
        self._lists, self._acts, self._forget = lists, acts, forget

    def make_bank(self, act: Act, new: NewBank) -> Reply:
        """RequestRefused `exists` where the name is taken, `no-shelf` where there is no place for one."""
        shelf = self._lists.kept_shelf()
        shelf.demand_place()

        def work(turn: Turn) -> tuple[int, dict[str, Any]]:
            self._settle(shelf, new.name)
            if not shelf.has_made(new, was_begun=turn.plan is not None):
                turn.begin({})
                with self._acts.noted(act, {"kind": str(new.kind)}) as done, self._settling(shelf, new.name):
                    shelf.make(new)
                    done(0, ())
            self._lists.refresh()
            return 201, {"name": new.name, "kind": str(new.kind), "list_version": 0}

        return self._acts.perform(act, work)

    def rename_bank(self, act: Act, name: str, *, carry: Callable[[], None]) -> None:
        """In the turn of whoever makes a bank of the new name. RequestRefused `exists`.

        carry: gives the new name what has to be kept of the bank before anybody hears it."""
        shelf = self._lists.kept_shelf()

        def work(turn: Turn) -> tuple[int, dict[str, Any]]:
            turn.begin({})
            with self._acts.alone(act.bank):
                for one in (act.bank, name):
                    self._settle(shelf, one)
                shelf.refuse_taken(name)
                with self._acts.noted(act, {"renamed": name}) as done, self._settling(shelf, act.bank, name):
                    carry()
                    done(shelf.rename(act.bank, name), ())
            self._lists.refresh()
            return 200, {}

        self._acts.perform(replace(act, bank=name), work)

    def remove_bank(self, act: Act) -> None:
        """As a whole, where there is one. RequestRefused `forbidden` for one that was named on the command line."""
        shelf = self._lists.kept_shelf()
        if shelf.count_removable(act.bank) is None:
            return
        with self._acts.alone(act.bank):
            self._settle(shelf, act.bank)
            entries = shelf.count_removable(act.bank)
            if entries is not None:
                with self._acts.noted(act, {"entries": entries}) as done, self._settling(shelf, act.bank):
                    done(shelf.remove(act.bank), ())
                self._forget(act.bank)
        self._lists.refresh()

    def settle(self) -> None:
        """Bring to an end what was begun with whole banks on shards, and nobody is at work with. ShardLost, BankError
        where that cannot be yet."""
        shelf = self._lists.kept_shelf()
        for name in shelf.unsettled():
            with suppress(BankLocked), self._acts.alone(name, wait_s=0):
                self._settle(shelf, name)

    def _settle(self, shelf: KeptShelf, name: str) -> None:
        for gone in shelf.settle(name):
            self._forget(gone)

    @contextmanager
    def _settling(self, shelf: KeptShelf, name: str, wanted: str = "") -> Iterator[None]:
        """What fails is brought to its end at once, where that can be. wanted: a name that is then no bank's."""
        try:
            yield
        except (LeadlineError, OSError):
            with suppress(LeadlineError, OSError):
                self._settle(shelf, name)
                if wanted and name not in shelf.unsettled():
                    self._forget(wanted)
            raise

    def add(self, act: Act, untrusted: Sequence[msgspec.Raw]) -> Reply:
        bank = self._lists.kept(act.bank)

        def work(turn: Turn) -> tuple[int, dict[str, Any]]:
            bank.refresh()
            was_begun = turn.plan is not None
            if turn.plan is None:
                turn.begin({"next_id": bank.next_id, "added": bank.now()})
            assert turn.plan is not None
            offered = _stamped(read_entries(untrusted, bank, f"token {act.token_id}"), turn.plan["added"])
            there = _added_since(bank, turn.plan) if was_begun else {}
            ids = [there[key].pop(0) if there.get(key := _contents(entry)) else None for entry in offered]
            refused = self._add_missing(act, bank, offered, ids)
            told = {"asked": len(untrusted), "added": sum(i is not None for i in ids), "ids": ids, "refused": refused}
            return 200, {"bank": bank.name, "list_version": bank.list_version, **told}

        return self._acts.perform(act, work)

    def _add_missing(
        self, act: Act, bank: KeptBank, offered: Sequence[Entry | LeadlineError], ids: list[int | None]
    ) -> list[dict[str, Any]]:
        """Those without an id are added, and get one, or a reason."""
        left = [number for number, entry in enumerate(offered) if ids[number] is None and isinstance(entry, Entry)]
        refused = {number: error for number, error in enumerate(offered) if isinstance(error, LeadlineError)}
        if left:
            entries = [entry for number in left if isinstance(entry := offered[number], Entry)]
            kinds = Counter(str(entry.kind) for entry in entries)
            with self._acts.noted(act, {"entries": len(entries), "kinds": kinds}) as done:
                result = bank.add(entries)
                done(bank.list_version, result.ids)
            refused |= {left[refusal.position]: refusal.error for refusal in result.refused}
            taken = iter(result.ids)
            for number in left:
                ids[number] = None if number in refused else next(taken)
        return [_refusal(number, refused[number]) for number in sorted(refused)]

    def remove(self, act: Act, ids: Sequence[int], untrusted_hashes: Sequence[str]) -> Reply:
        """By ids, or by hashes: every entry that holds one of them."""
        bank = self._lists.kept(act.bank)

        def work(turn: Turn) -> tuple[int, dict[str, Any]]:
            bank.refresh()
            if turn.plan is None:
                found, refused = _find_by_id(bank, ids) if ids else _find_by_hash(bank, untrusted_hashes)
                asked = len(ids) or len(untrusted_hashes)
                turn.begin({"asked": asked, "found": asked - len(refused), "ids": found, "refused": refused})
            assert turn.plan is not None
            going = turn.plan["ids"]
            if going:
                with self._acts.noted(act, {"entries": len(going)}) as done:
                    bank.remove(going)
                    done(bank.list_version, going)
            told = {"bank": bank.name, "list_version": bank.list_version, "removed": len(going), **turn.plan}
            return 200, told

        return self._acts.perform(act, work)

    def change(self, act: Act, entry_id: int, change: EntryChange) -> Reply:
        """RequestRefused `no-entry`; InputError where it would be no entry any more."""
        bank = self._lists.kept(act.bank)

        def work(turn: Turn) -> tuple[int, dict[str, Any]]:
            bank.refresh()
            before = bank.get(entry_id)
            after = changed_entry(before, change)
            if turn.plan is None:
                turn.begin({})
            if after != before:
                with self._acts.noted(act, {"entries": 1, "kinds": {str(after.kind): 1}}) as done:
                    bank.change(after)
                    done(bank.list_version, [entry_id])
            return 200, tell_entry(after)

        return self._acts.perform(act, work)


def _stamped(entries: Sequence[Entry | LeadlineError], added: int) -> list[Entry | LeadlineError]:
    return [msgspec.structs.replace(entry, added=added) if isinstance(entry, Entry) else entry for entry in entries]


def _added_since(bank: KeptBank, plan: Mapping[str, int]) -> dict[object, list[int]]:
    """Contents -> ids of what was added from the plan's id on, at its moment."""
    found: defaultdict[object, list[int]] = defaultdict(list)
    for entry in bank.added_since(plan["next_id"], plan["added"]):
        assert entry.id is not None
        found[_contents(entry)].append(entry.id)
    return found


def _contents(entry: Entry | LeadlineError) -> object:
    """All but the id, to compare by; nothing of what is no entry."""
    if not isinstance(entry, Entry):
        return None
    prints = tuple(sorted(entry.fingerprints.items()))
    rest = tuple(getattr(entry, name) for name in Entry.__struct_fields__ if name not in _NOT_COMPARED)
    return prints, rest


_NOT_COMPARED = frozenset({"id", "fingerprints"})


def _find_by_id(bank: KeptBank, ids: Sequence[int]) -> tuple[list[int], list[dict[str, Any]]]:
    """Ids that are there, and a refusal for each that is not."""
    there = bank.held(ids)
    absent = InputError("no such entry", mend="it may be removed already", code="absent")
    return sorted(there), [_refusal(number, absent) for number, entry_id in enumerate(ids) if entry_id not in there]


def _find_by_hash(bank: KeptBank, untrusted: Sequence[str]) -> tuple[list[int], list[dict[str, Any]]]:
    """Ids of all entries that hold one of the hashes, and a refusal for each hash that is none or that none holds."""
    wanted: defaultdict[str, list[tuple[int, bytes]]] = defaultdict(list)
    faults: dict[int, LeadlineError] = {}
    for number, text in enumerate(untrusted):
        try:
            for algorithm, value in parse_hash(text, HashType.BOTH).items():
                wanted[algorithm].append((number, value))
        except InputError as error:
            faults[number] = error
    holders = dict(_holders(bank, wanted))
    for number in range(len(untrusted)):
        if number not in holders:
            absent = InputError("no entry holds this hash", mend="it may be removed already", code="absent")
            faults.setdefault(number, absent)
    ids = sorted({i for found in holders.values() for i in found})
    return ids, [_refusal(number, faults[number]) for number in sorted(faults)]


def _holders(bank: KeptBank, wanted: Mapping[str, Sequence[tuple[int, bytes]]]) -> Iterator[tuple[int, list[int]]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for algorithm, asked in wanted.items():
        holders = bank.holders(algorithm, [value for _, value in asked])
        for (number, _), ids in zip(asked, holders, strict=True):
            if ids:
                found[number] += ids
    yield from found.items()


def _refusal(number: int, error: LeadlineError) -> dict[str, Any]:
    return {"index": number, "code": error.code, "reason": str(error)}
