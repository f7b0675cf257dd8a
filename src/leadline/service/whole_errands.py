"""What a shard does with its part of a bank as a whole: asked by `parted_shelf.py`, on the wire as in `errands.py`."""

from __future__ import annotations

from msgspec.structs import astuple

from leadline.errors import BankError, ConfigError
from leadline.match.bank import Bank
from leadline.match.folder import MERGE_LOCK, WRITE_LOCK, hold_lock
from leadline.match.removal import remove_bank
from leadline.service.errands import Done, Drop, Make, OfWhole, Rename, Unmake, Whole, WholePart, refused_at
from leadline.service.lists import Lists
from leadline.service.shelving import create, is_on_shelf, place, settings_of

_LOCK_S = 2.0  # for each of two locks: less, together, than those who ask wait for an answer (cluster.py)


def run_whole(errand: OfWhole, lists: Lists) -> Done:
    """One at a time. BankLocked, BankError: nothing was done."""
    lists.refresh()
    try:
        _run(errand, lists)
    except ConfigError as error:
        return Done(refused=[refused_at(0, error)])
    except OSError as error:
        raise BankError(f"nothing was changed: {error.strerror}") from error
    lists.refresh()
    bank = _named(errand.name if isinstance(errand, Rename) else errand.bank, lists)
    return Done(whole=None if bank is None else _tell(bank, lists))


def _run(errand: OfWhole, lists: Lists) -> None:
    bank = _named(errand.bank, lists)
    if isinstance(errand, Make):
        _make(errand, bank, lists)
    elif bank is not None:
        _run_on(errand, bank, lists)


def _make(errand: Make, bank: Bank | None, lists: Lists) -> None:
    if bank is None:
        create(place(lists.shelf, errand.new.name), errand.new)
    elif not _is_just_made(bank, errand):
        raise BankError("a bank of that name is there")


def _run_on(errand: Whole | Unmake | Rename | Drop, bank: Bank, lists: Lists) -> None:
    match errand:
        case Whole(is_to_change=True):
            with hold_lock(bank.path, MERGE_LOCK, _LOCK_S), hold_lock(bank.path, WRITE_LOCK, _LOCK_S):
                pass
        case Unmake() if _is_just_made(bank, errand):
            remove_bank(bank.path, lock_timeout_s=_LOCK_S)
        case Rename() if _identity(bank) in errand.parts:
            if _named(errand.name, lists) is not None:
                raise BankError("a bank of that name is there")
            bank.set_settings(name=errand.name)
        case Drop() if _identity(bank) in errand.parts:
            remove_bank(bank.path, lock_timeout_s=_LOCK_S)


def _is_just_made(bank: Bank, errand: Make | Unmake) -> bool:
    return bank.list_version == 0 and settings_of(bank) == astuple(errand.new)


def _named(name: str, lists: Lists) -> Bank | None:
    return lists.bank(name) if name in lists.opened.versions else None


def _identity(bank: Bank) -> str:
    return bank.snapshot.manifest.identity


def _tell(bank: Bank, lists: Lists) -> WholePart:
    return WholePart(settings_of(bank), _identity(bank), bank.list_version, bank.count, is_on_shelf(bank, lists))
