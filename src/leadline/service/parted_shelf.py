"""Banks over shards as wholes: made on every shard, renamed and removed where they have a part. Each shard does its
part; written here is only what was begun.

Nothing is begun before every shard has answered. What is begun is written down in the state folder first, and crossed
out when all have done it. Where one fails, a new bank or a new name is taken back on all of them; a removal goes on,
since what is left of a bank would miss. Where a shard is lost meanwhile the line stays: as soon as it answers again
whoever comes next does the rest (`settle`), and until then the bank takes no change.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import astuple

from leadline.errors import BankNotFound, LeadlineError, RequestRefused, ShardLost
from leadline.service.errands import Done, Drop, Errand, Make, Rename, Unmake, Whole, WholePart
from leadline.service.kept import Kept
from leadline.service.shelving import NewBank, not_removable, taken

if TYPE_CHECKING:
    from leadline.service.remote import Shards

FILE_NAME = "begun.json"


class Begun(msgspec.Struct, frozen=True):
    """What was begun with a bank. new: it is made so. wanted: its new name. Neither: it is removed.
    parts: identities of its parts, so that no other bank is touched."""

    new: NewBank | None = None
    wanted: str = ""
    parts: list[str] = []


class Unsettled:
    """Of one state folder, by the name of the bank."""

    def __init__(self, folder: Path) -> None:
        self._file = Kept(folder / FILE_NAME, dict[str, Begun], {})

    def all(self) -> Mapping[str, Begun]:
        """ConfigError where the file is damaged."""
        return self._file.read()

    def of(self, name: str) -> list[tuple[str, Begun]]:
        return [(bank, begun) for bank, begun in self.all().items() if name in (bank, begun.wanted)]

    def refuse(self, name: str) -> None:
        """ShardLost while something that was begun with this bank has not come to its end on every shard."""
        if self.of(name):
            raise ShardLost("a change of the whole bank has not come to its end on every shard")

    def write(self, bank: str, begun: Begun) -> None:
        self._file.change(lambda before: {**before, bank: begun})

    def cross_out(self, bank: str) -> None:
        self._file.change(lambda before: {name: begun for name, begun in before.items() if name != bank})


class PartedShelf:
    """Waits for shards: in threads only. places: numbers of the shards that are folders of banks."""

    def __init__(self, shards: Shards, places: frozenset[int], unsettled: Unsettled) -> None:
        self._shards, self._places, self._unsettled = shards, places, unsettled

    def settle(self, name: str) -> list[str]:
        """ShardLost, BankLocked where it cannot be yet."""
        gone: list[str] = []
        for bank, begun in self._unsettled.of(name):
            errand: Errand = Drop(bank, begun.parts)
            if begun.new is not None:
                errand = Unmake(bank, begun.new)
            elif begun.wanted:
                errand = Rename(begun.wanted, bank, begun.parts)
            self._ask(dict.fromkeys(range(self._shards.count), errand))
            self._unsettled.cross_out(bank)
            gone.append(begun.wanted or bank)
        return gone

    def unsettled(self) -> list[str]:
        return sorted(self._unsettled.all())

    def demand_place(self) -> None:
        if not self._places:
            mend = "start the service with --shard FOLDER"
            raise RequestRefused("no place for new banks", status=501, code="no-shelf", mend=mend)

    def has_made(self, new: NewBank, *, was_begun: bool) -> bool:
        there = self._look(new.name)
        if was_begun and there.keys() == self._places and all(part.settings == astuple(new) for part in there.values()):
            return True
        if there:
            raise taken()
        return False

    def make(self, new: NewBank) -> None:
        self._unsettled.write(new.name, Begun(new=new))
        self._finish(new.name, dict.fromkeys(self._places, Make(new.name, new)))

    def refuse_taken(self, name: str) -> None:
        if self._look(name):
            raise taken()

    def rename(self, name: str, wanted: str) -> int:
        there = self._look(name, is_to_change=True)
        if not there:
            raise BankNotFound("no such bank", where=name[:100], mend="GET /v1/banks lists them")
        parts = [part.identity for part in there.values()]
        self._unsettled.write(name, Begun(wanted=wanted, parts=parts))
        done = self._finish(name, dict.fromkeys(there, Rename(name, wanted, parts)))
        return sum(told.whole.list_version for told in done.values() if told.whole is not None)

    def count_removable(self, name: str) -> int | None:
        """Entries of all parts, false positives in each."""
        there = self._look(name)
        if not all(part.is_on_shelf for part in there.values()):
            raise not_removable()
        return sum(part.count for part in there.values()) if there else None

    def remove(self, name: str) -> int:
        there = self._look(name, is_to_change=True)
        parts = [part.identity for part in there.values()]
        self._unsettled.write(name, Begun(parts=parts))
        self._finish(name, dict.fromkeys(there, Drop(name, parts)))
        return sum(part.list_version for part in there.values())

    def _finish(self, bank: str, errands: Mapping[int, Errand]) -> dict[int, Done]:
        """All of them; else what was begun stays written down."""
        done = self._ask(errands)
        self._unsettled.cross_out(bank)
        return done

    def _look(self, name: str, *, is_to_change: bool = False) -> dict[int, WholePart]:
        """Its parts. Of every shard, since one that is lost may have one."""
        told = self._ask(dict.fromkeys(range(self._shards.count), Whole(name, is_to_change)))
        return {number: done.whole for number, done in told.items() if done.whole is not None}

    def _ask(self, errands: Mapping[int, Errand]) -> dict[int, Done]:
        done: dict[int, Done] = {}
        for number, told in self._shards.run(errands).items():
            if isinstance(told, LeadlineError):
                raise told
            if told.refused:  # not the shard's fault: it is what was sent
                raise RequestRefused(told.refused[0].what, mend=told.refused[0].mend)
            done[number] = told
        return done
