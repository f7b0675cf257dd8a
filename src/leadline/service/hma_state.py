"""What HMA's clients need kept beside the banks: a number for each bank, a ratio for each signal type."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from leadline.service.kept import Kept
from leadline.service.lists import Lists

if TYPE_CHECKING:
    from leadline.service.desk import Desk

FILE_NAME = "hma.json"


class HmaFile(msgspec.Struct, frozen=True):
    """banks: identity -> number, given once and never again. signal_types: ratios other than 1.
    A bank on shards has a name in the place of an identity; when it is removed, its number has none any more."""

    banks: dict[str, int] = {}
    signal_types: dict[str, float] = {}


class HmaState:
    """Of one worker. Numbers last as long as the state folder does: a bank that is removed keeps its own."""

    def __init__(self, folder: Path) -> None:
        self._file = Kept(folder / FILE_NAME, HmaFile, HmaFile())
        self._numbered: tuple[object, object, Mapping[str, int]] = (None, None, {})

    def refresh(self) -> None:
        """Pick up what another process set. ConfigError where the file is damaged: what held goes on to hold."""
        self._file.read()

    async def numbers(self, desk: Desk) -> Mapping[str, int]:
        """Name of each open bank -> its number. Another replica's file that is put in place holds once it is read."""
        opened, kept, known = self._numbered
        if opened is not desk.lists.opened or kept is not self._file.value:
            opened, kept = desk.lists.opened, self._file.value  # before they are read: what comes after is seen then
            known = await asyncio.get_running_loop().run_in_executor(desk.clerks, self._number, desk.lists)
            self._numbered = opened, kept, known
        return known

    def _number(self, lists: Lists) -> dict[str, int]:
        """May write and sync a file: for a thread."""
        identities = {bank.name: _identity(bank) for bank in lists.opened.banks}
        kept = self._file.read()
        if not set(identities.values()) <= kept.banks.keys():
            kept = self._file.change(lambda before: _with_banks(before, list(identities.values())))
        return {name: kept.banks[identity] for name, identity in identities.items()}

    def ratio(self, signal_type: str) -> float:
        return self._file.value.signal_types.get(signal_type, 1.0)

    def takes_part(self, signal_type: str, seed: str | None) -> bool:
        """Whether a signal type with a ratio below 1 takes part in one look-up; the same each time for a seed."""
        ratio = self.ratio(signal_type)
        return ratio >= 1 or random.Random(seed).random() < ratio  # noqa: S311 (a share of the traffic, no secret)

    def set_ratio(self, signal_type: str, ratio: float) -> None:
        """For a thread. Raises OSError."""
        self._file.change(
            lambda before: HmaFile(before.banks, {**before.signal_types, signal_type: ratio}),
        )

    def rename(self, bank: str, wanted: str) -> None:
        """For a thread: a bank on shards keeps its number. Raises OSError."""
        self._file.change(lambda before: _renamed(_set_aside(before, wanted), bank, wanted))

    def forget(self, bank: str) -> None:
        """For a thread: one on shards that is made under this name later gets another number. Raises OSError."""
        self._file.change(lambda before: _set_aside(before, bank))


def _renamed(before: HmaFile, bank: str, wanted: str) -> HmaFile:
    return _with_key(before, _of_name(bank), _of_name(wanted))


def _set_aside(before: HmaFile, bank: str) -> HmaFile:
    key = _of_name(bank)
    return _with_key(before, key, f"gone:{before.banks.get(key)}")


def _with_key(before: HmaFile, key: str, other: str) -> HmaFile:
    """As many keys as before, since the next number is how many there are."""
    if key not in before.banks:
        return before
    return HmaFile({other if k == key else k: number for k, number in before.banks.items()}, before.signal_types)


def _with_banks(before: HmaFile, identities: list[str]) -> HmaFile:
    numbers = dict(before.banks)
    for identity in identities:
        numbers.setdefault(identity, len(numbers))
    return HmaFile(numbers, before.signal_types)


def _identity(bank: Any) -> str:
    """A bank on shards has a name only."""
    snapshot = getattr(bank, "snapshot", None)
    return _of_name(bank.name) if snapshot is None else str(snapshot.manifest.identity)


def _of_name(bank: str) -> str:
    return f"name:{bank}"
