"""A bank over shards as those who keep it see it. Writes no file: each shard writes its part.

The part of an entry is its id modulo the number of parts, as `leadline bank split` has it; a false-positive entry
stands in every part, so that each marks as the whole would. Ids are given here, for all parts; whatever is read or
removed is asked of every part, so one that came another way is found too.

Nothing is changed before every shard has answered. Where one fails in the middle,

- an addition is taken back on the others;
- a removal, and a change of a false-positive entry, are finished by being sent again: the part that owns the entry is
  changed last, so until then it is read as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from leadline.domain import Entry, Kind, Tlp
from leadline.errors import BankNotFound, InputError, LeadlineError, RequestRefused, ShardLost
from leadline.match.admission import Refusal
from leadline.match.changes import AddResult
from leadline.service.errands import Add, Done, Errand, Held, Holders, Page, Part, Place, Remove, Since
from leadline.service.keeping import no_entry

if TYPE_CHECKING:
    from leadline.service.remote import Shards


class PartedBank:
    """Waits for shards: in threads only. Made for one request. list_version: the sum over the parts."""

    def __init__(self, shards: Shards, name: str, demand_settled: Callable[[], None]) -> None:
        """demand_settled: raises where it is not certain that all parts of the bank have its name."""
        self._shards, self.name, self._demand_settled = shards, name, demand_settled
        self._parts: dict[int, Part] = {}

    @property
    def kind(self) -> Kind:
        return next(iter(self._parts.values())).kind

    @property
    def tlp(self) -> Tlp:
        return next(iter(self._parts.values())).tlp

    @property
    def list_version(self) -> int:
        return sum(part.list_version for part in self._parts.values())

    @property
    def next_id(self) -> int:
        return max(part.next_id for part in self._parts.values())

    def now(self) -> int:
        return int(time.time())

    def refresh(self) -> None:
        self._ask_all(Held(self.name))

    def get(self, entry_id: int) -> Entry:
        done = self._ask_all(Page(self.name, entry_id - 1, 1))
        found = {number: told.entries[0] for number, told in done.items() if told.entries}
        there = {number: entry for number, entry in found.items() if entry.id == entry_id}
        if not there:
            raise no_entry()
        _refuse_twice({entry_id: entry.added} for entry in there.values())
        return there[self._last(entry_id, there)]

    def page(self, after: int, limit: int) -> list[Entry]:
        done = self._ask_all(Page(self.name, after, limit))
        once = {(entry.id or 0, entry.added): entry for told in done.values() for entry in told.entries}
        return [once[key] for key in sorted(once)][:limit]

    def held(self, ids: Sequence[int]) -> Mapping[int, int]:
        return {entry_id: moment for there in self._where(ids).values() for entry_id, moment in there.items()}

    def holders(self, algorithm: str, hashes: Sequence[bytes]) -> list[list[int]]:
        done = self._ask_all(Holders(self.name, algorithm, list(hashes)))
        of_parts = [told.holders for told in done.values()]
        return [sorted({i for ids in of_one for i in ids}) for of_one in zip(*of_parts, strict=True)]

    def added_since(self, next_id: int, moment: int) -> list[Entry]:
        found: dict[int, Entry] = {}
        there: dict[int, set[int]] = {}
        for number, told in self._ask_all(Since(self.name, next_id, moment)).items():
            for entry in told.entries:
                found[entry.id or 0] = entry
                there.setdefault(entry.id or 0, set()).add(number)
        for entry_id, numbers in there.items():
            if found[entry_id].kind is Kind.FALSE_POSITIVE and numbers < self._parts.keys():
                entry = found.pop(entry_id)  # where it was taken back its id is spent, so it is added anew
                self._ask({number: Remove(self.name, _moments([entry])) for number in numbers})
        return list(found.values())

    def add(self, entries: Sequence[Entry]) -> AddResult:
        first, now = self.next_id, self.now()
        numbered = [replace(entry, id=first + at, added=entry.added or now) for at, entry in enumerate(entries)]
        refused: dict[int, LeadlineError] = {}
        shares: dict[int, list[int]] = {}
        for at, entry in enumerate(numbered):
            if self._is_too_narrow_for(entry):
                refused[at] = _too_narrow()
                continue
            for number in self._homes(entry):
                shares.setdefault(number, []).append(at)
        for number, done in self._add_shares(numbered, shares).items():
            refused |= {shares[number][told.position]: told.error() for told in done.refused}
        ids = [entry.id or 0 for at, entry in enumerate(numbered) if at not in refused]
        return AddResult(ids, len(ids), [Refusal(at, refused[at]) for at in sorted(refused)], len(refused))

    def _add_shares(self, entries: Sequence[Entry], shares: Mapping[int, Sequence[int]]) -> dict[int, Done]:
        chosen = {number: [entries[at] for at in share] for number, share in shares.items()}
        told = self._run({number: Add(self.name, share) for number, share in chosen.items()})
        if failed := [error for error in told.values() if isinstance(error, LeadlineError)]:
            may_stand = [number for number, error in told.items() if isinstance(error, Done | ShardLost)]
            self._run({number: Remove(self.name, _moments(chosen[number])) for number in may_stand})
            raise failed[0]
        return {number: done for number, done in told.items() if isinstance(done, Done)}

    def change(self, entry: Entry) -> None:
        assert entry.id is not None
        if self._is_too_narrow_for(entry):
            raise _too_narrow()
        there = {number for number, held in self._where([entry.id]).items() if held}
        if not there:
            raise no_entry()
        last = self._last(entry.id, there)
        homes = self._homes(entry) if entry.kind is Kind.FALSE_POSITIVE else {last}
        before: dict[int, Errand] = {number: Place(self.name, entry) for number in homes - {last}}
        before |= {number: Remove(self.name, _moments([entry])) for number in there - homes}
        refused = [told for done in self._ask(before).values() for told in done.refused]
        if refused:
            self._ask({number: Remove(self.name, _moments([entry])) for number in homes - there})
        else:
            refused = self._ask({last: Place(self.name, entry)})[last].refused
        if refused:
            raise refused[0].error()

    def remove(self, ids: Sequence[int]) -> int:
        there = {number: held for number, held in self._where(ids).items() if held}
        self._ask({number: Remove(self.name, held) for number, held in there.items()})
        return len({entry_id for held in there.values() for entry_id in held})

    def _homes(self, entry: Entry) -> set[int]:
        return set(self._parts) if entry.kind is Kind.FALSE_POSITIVE else {self._owner(entry.id or 0)}

    def _owner(self, entry_id: int) -> int:
        numbers = sorted(self._parts)
        return numbers[entry_id % len(numbers)]

    def _last(self, entry_id: int, there: Mapping[int, object] | set[int]) -> int:
        """The part whose word counts, of those that have the entry: another than the owner where it came so."""
        owner = self._owner(entry_id)
        return owner if owner in there else min(there)

    def _is_too_narrow_for(self, entry: Entry) -> bool:
        return entry.kind is Kind.FALSE_POSITIVE and len(self._parts) < self._shards.count

    def _where(self, ids: Sequence[int]) -> dict[int, dict[int, int]]:
        """Part -> those of the ids that it has, and when each was added."""
        there = {number: told.held for number, told in self._ask_all(Held(self.name, list(ids))).items()}
        _refuse_twice(there.values())
        return there

    def _ask_all(self, errand: Errand) -> dict[int, Done]:
        """Of every shard, since one that is lost may have a part. BankNotFound where none has one."""
        told = self._ask(dict.fromkeys(range(self._shards.count), errand))
        return {number: done for number, done in told.items() if done.part is not None}

    def _ask(self, errands: Mapping[int, Errand]) -> dict[int, Done]:
        self._demand_settled()
        told = self._run(errands)
        for error in told.values():
            if isinstance(error, LeadlineError):
                raise error
        return {number: done for number, done in told.items() if isinstance(done, Done)}

    def _run(self, errands: Mapping[int, Errand]) -> dict[int, Done | LeadlineError]:
        told = self._shards.run(errands)
        for number, done in told.items():
            if isinstance(done, Done) and done.part is not None:
                self._parts[number] = done.part
        if not self._parts and not any(isinstance(error, LeadlineError) for error in told.values()):
            raise BankNotFound("no such bank", where=self.name[:100], mend="GET /v1/banks lists them")
        return told


def _moments(entries: Sequence[Entry]) -> dict[int, int]:
    return {entry.id or 0: entry.added for entry in entries}


def _refuse_twice(held: Iterable[Mapping[int, int]]) -> None:
    """Parts that were filled by themselves may have given one id to different entries: which is meant, nobody knows."""
    moments: dict[int, int] = {}
    for entry_id, moment in (of_one for of_part in held for of_one in of_part.items()):
        if moments.setdefault(entry_id, moment) != moment:
            what, mend = "two shards have different entries of this id", "remove one with `leadline bank` on its shard"
            raise RequestRefused(what, status=409, code="id-twice", where=f"{entry_id}", mend=mend)


def _too_narrow() -> InputError:
    mend = "`leadline bank split` its whole over all of them"
    return InputError("a false positive of a bank that is not on every shard", where="kind", mend=mend)
