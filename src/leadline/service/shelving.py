"""Banks made, renamed and removed as wholes, in folders of this machine. Changes no entry.

`parted_shelf.py` has the same over shards, each of which does its part by what is here.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import msgspec
from msgspec.structs import astuple

from leadline.domain import DEFAULT_QUALITY_FLOOR, DEFAULT_RADIUS_BITS, Kind, Tlp
from leadline.errors import ConfigError, LeadlineError, RequestRefused
from leadline.match.bank import Bank
from leadline.match.manifest import FILE_NAME
from leadline.match.removal import remove_bank

if TYPE_CHECKING:
    from leadline.service.lists import Lists

_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")


class NewBank(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """radius: bits, of near matches. quality_floor: of PDQ hashes, 0..100. licence: what the list may be used for."""

    name: str
    kind: Kind
    radius: Annotated[int, msgspec.Meta(ge=0, le=64)] = DEFAULT_RADIUS_BITS
    quality_floor: Annotated[int, msgspec.Meta(ge=0, le=100)] = DEFAULT_QUALITY_FLOOR
    source: str = ""
    tlp: Tlp = Tlp.AMBER_STRICT
    licence: str = ""


Settings = tuple[str, Kind, int, int, str, Tlp, str]  # as the fields of NewBank, of any bank that there is


class KeptShelf(Protocol):
    """One change of a bank at a time: the caller holds the turn of each name that is given."""

    def settle(self, name: str) -> list[str]:
        """Bring to an end what an earlier try left between shards; names that are no bank's any more."""
        ...

    def unsettled(self) -> list[str]:
        """Banks that something was begun with, and has not come to its end."""
        ...

    def demand_place(self) -> None:
        """RequestRefused `no-shelf` where no bank can be made."""
        ...

    def has_made(self, new: NewBank, *, was_begun: bool) -> bool:
        """Whether an earlier try of the same request made it. RequestRefused `exists` where the name is taken."""
        ...

    def make(self, new: NewBank) -> None:
        """RequestRefused where no bank can be so; BankError, OSError where nothing was made."""
        ...

    def refuse_taken(self, name: str) -> None:
        """RequestRefused `exists`."""
        ...

    def rename(self, name: str, wanted: str) -> int:
        """Its list version."""
        ...

    def count_removable(self, name: str) -> int | None:
        """Entries of a bank that may be removed as a whole; None: there is none. RequestRefused `forbidden` for one
        that was named on the command line."""
        ...

    def remove(self, name: str) -> int:
        """Its last list version."""
        ...


class HereShelf:
    """Over the banks that one worker has open. Waits for files: in threads only."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    def settle(self, name: str) -> list[str]:
        return []

    def unsettled(self) -> list[str]:
        return []

    def demand_place(self) -> None:
        _ = self._lists.shelf

    def has_made(self, new: NewBank, *, was_begun: bool) -> bool:
        path = place(self._lists.shelf, new.name)
        if was_begun and _is_as_wished(path, new):
            return True
        self.refuse_taken(new.name)
        if (path / FILE_NAME).exists():
            raise taken()
        return False

    def make(self, new: NewBank) -> None:
        try:
            create(place(self._lists.shelf, new.name), new)
        except ConfigError as error:  # not ours: it is what was sent
            raise RequestRefused(error.what, mend=error.mend) from None

    def refuse_taken(self, name: str) -> None:
        self._lists.refresh()  # another worker may have made it, or given a bank that name
        if name in self._lists.opened.versions:
            raise taken()

    def rename(self, name: str, wanted: str) -> int:
        bank = self._lists.bank(name)
        bank.set_settings(name=wanted)
        return bank.list_version

    def count_removable(self, name: str) -> int | None:
        if name not in self._lists.opened.versions:
            self._lists.refresh()
        if name not in self._lists.opened.versions:
            return None
        bank = self._lists.bank(name)
        if not is_on_shelf(bank, self._lists):
            raise not_removable()
        return bank.count

    def remove(self, name: str) -> int:
        bank = self._lists.bank(name)
        remove_bank(bank.path)
        return bank.list_version


def taken() -> RequestRefused:
    return RequestRefused("a bank of that name is there", status=409, code="exists", mend="use another name")


def not_removable() -> RequestRefused:
    what = "this bank is none of those that the service makes and removes"
    return RequestRefused(what, status=403, code="forbidden")


def is_on_shelf(bank: Bank, lists: Lists) -> bool:
    try:
        return bank.path.parent == lists.shelf
    except RequestRefused:
        return False


def folder_name(bank: str) -> str:
    """The name itself where a folder can bear it safely; else made of it."""
    if _FOLDER_NAME.fullmatch(bank) and not bank.endswith((" ", ".")):
        return bank
    return f"bank-{hashlib.sha256(bank.encode('utf-8', 'replace')).hexdigest()[:32]}"


def place(shelf: Path, name: str) -> Path:
    """Where a bank of that name lies, or is to lie: a renamed bank keeps the folder of its old name."""
    path, number = shelf / folder_name(name), 1
    while (path / FILE_NAME).exists() and not _is_named(path, name):
        number += 1
        path = path.with_name(f"{folder_name(name)}-{number}")
    return path


def _is_named(path: Path, name: str) -> bool:
    try:
        return Bank.open(path).name == name
    except LeadlineError:
        return True  # damaged: the name is taken until somebody has mended or removed it


def create(path: Path, new: NewBank) -> None:
    """ConfigError for what no bank can be; BankError, OSError where nothing was made."""
    Bank.create(
        path,
        name=new.name,
        kind=new.kind,
        radius_bits=new.radius,
        quality_floor=new.quality_floor,
        source=new.source,
        tlp=new.tlp,
        licence=new.licence,
    )


def settings_of(bank: Bank) -> Settings:
    made = bank.snapshot.manifest
    return made.name, made.kind, made.radius_bits, made.quality_floor, made.source, made.tlp, made.licence


def _is_as_wished(path: Path, new: NewBank) -> bool:
    """Whether the bank is there that a request would make."""
    try:
        return settings_of(Bank.open(path)) == astuple(new)
    except LeadlineError:
        return False
