"""A bank as those who keep it over HTTP see it, wherever it lies; `HereBank` lies here. Decides nothing about a change.

`parted.py` has the same over shards, each of which does its part by a `HereBank` of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from leadline.domain import Entry, Kind, Tlp
from leadline.errors import RequestRefused
from leadline.match.bank import Bank
from leadline.match.changes import AddResult
from leadline.match.locate import find_holders


class KeptBank(Protocol):
    """What is told without asking (`list_version`, `next_id`) is as of `refresh`, or of the change that came last."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def tlp(self) -> Tlp: ...
    @property
    def list_version(self) -> int: ...
    @property
    def next_id(self) -> int: ...

    def now(self) -> int: ...

    def refresh(self) -> None: ...

    def get(self, entry_id: int) -> Entry:
        """RequestRefused `no-entry` where there is none of that id."""
        ...

    def page(self, after: int, limit: int) -> list[Entry]:
        """At most `limit` entries with greater ids than `after`, by id."""
        ...

    def held(self, ids: Sequence[int]) -> Mapping[int, int]:
        """id -> when it was added, of those that are there."""
        ...

    def holders(self, algorithm: str, hashes: Sequence[bytes]) -> list[list[int]]:
        """For each hash the ids of the entries that hold it."""
        ...

    def added_since(self, next_id: int, moment: int) -> list[Entry]:
        """What an addition that was cut off has added: from that id on, at its moment. What of it is not on every shard
        that it belongs on is taken away."""
        ...

    def add(self, entries: Sequence[Entry]) -> AddResult:
        """As `Bank.add`: all that are not refused match when this returns, or none is there."""
        ...

    def change(self, entry: Entry) -> None:
        """Replace the entry of that id. InputError where the bank does not take it."""
        ...

    def remove(self, ids: Sequence[int]) -> int:
        """How many were there."""
        ...


class HereBank:
    """A folder of this machine. Waits for files: in threads only."""

    def __init__(self, bank: Bank, threads: int = 1) -> None:
        self.bank, self._threads = bank, threads

    @property
    def name(self) -> str:
        return self.bank.name

    @property
    def kind(self) -> Kind:
        return self.bank.kind

    @property
    def tlp(self) -> Tlp:
        return self.bank.snapshot.manifest.tlp

    @property
    def list_version(self) -> int:
        return self.bank.list_version

    @property
    def next_id(self) -> int:
        return self.bank.snapshot.next_id

    def now(self) -> int:
        return self.bank.now()

    def refresh(self) -> None:
        self.bank.refresh()

    def get(self, entry_id: int) -> Entry:
        if entry_id not in self.held([entry_id]):
            raise no_entry()
        return self.bank.get(entry_id)

    def page(self, after: int, limit: int) -> list[Entry]:
        return self.bank.entries_after(after, limit)

    def held(self, ids: Sequence[int]) -> dict[int, int]:
        return self.bank.snapshot.added_at(np.array(ids, np.int64))

    def holders(self, algorithm: str, hashes: Sequence[bytes]) -> list[list[int]]:
        rows = np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1)
        return find_holders(self.bank.snapshot, algorithm, rows)

    def added_since(self, next_id: int, moment: int) -> list[Entry]:
        found: list[Entry] = []
        for table in self.bank.snapshot.tables:
            records = table.records
            rows = np.flatnonzero((records.ids >= next_id) & (records.added == moment))
            found += records.entries(table.alive_of(rows))
        return found

    def add(self, entries: Sequence[Entry]) -> AddResult:
        result = self.bank.add(entries, threads=self._threads)
        self.bank.merge_in_background()
        return result

    def change(self, entry: Entry) -> None:
        result = self.bank.update([entry])
        if result.refused:
            raise result.refused[0].error
        self.bank.merge_in_background()

    def remove(self, ids: Sequence[int]) -> int:
        removed = self.bank.remove(ids)
        self.bank.merge_in_background()
        return removed


def no_entry() -> RequestRefused:
    return RequestRefused("no such entry", status=404, code="no-entry", mend="its bank's /entries lists them")
