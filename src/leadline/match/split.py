"""A bank into parts of its name, for shards. Reads one bank and makes others; changes nothing that is there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from leadline.domain import Entry, Kind
from leadline.errors import ConfigError
from leadline.match.bank import Bank

MAX_PARTS = 1024


def split_bank(bank: Bank, folders: list[Path]) -> list[int]:
    """Make a bank in each folder; entries of each. They keep their ids; id modulo the number of parts says which.

    False-positive entries stand in every part, so that each marks as the whole would. ConfigError where a folder is
    there already. Where it fails, nothing of any part stays.
    """
    if not 2 <= len(folders) <= MAX_PARTS:
        raise ConfigError(f"{len(folders)} parts", mend=f"2 to {MAX_PARTS}")
    if there := [folder for folder in folders if folder.exists()]:
        raise ConfigError("is there already", where=str(there[0]), mend="choose another --out")
    settings = bank.snapshot.manifest
    made: list[Path] = []
    try:
        for number, folder in enumerate(folders):
            made.append(folder)
            part = Bank.create(
                folder, name=bank.name, kind=bank.kind, radius_bits=bank.radius_bits,
                quality_floor=bank.quality_floor, source=settings.source, tlp=settings.tlp, licence=settings.licence,
            )  # fmt: skip
            part.add(_share(bank, number, len(folders)))
    except BaseException:
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return [Bank.open(folder).count for folder in folders]


def _share(bank: Bank, number: int, parts: int) -> Iterator[Entry]:
    for entry in bank.entries():
        assert entry.id is not None
        if entry.kind is Kind.FALSE_POSITIVE or entry.id % parts == number:
            yield entry
