"""`leadline bank upload`: banks to a place that replicas of the match service pull them from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.options import Json
from leadline.cli.output import EXIT_DONE, complain, emit, say
from leadline.errors import BankError, BankNotFound, LeadlineError

if TYPE_CHECKING:
    from leadline.custody.storage import Storage
    from leadline.match.bank import Bank

_FOLLOW_S = 0.5


def upload_command(
    banks: Annotated[list[str], typer.Argument(metavar="BANK...", help="Folders of banks, or a folder of such.")],
    to: Annotated[str, typer.Option("--to", metavar="PLACE", help="s3://BUCKET/PREFIX?endpoint=URL, or a folder.")],
    follow: Annotated[bool, typer.Option("--follow", help="Go on, and upload each change, until stopped.")] = False,
    json: Json = False,
) -> int:
    """Upload banks to a place that `leadline serve --from PLACE` pulls them from. A change sends its own bytes only.

    With --follow also banks that are made later in a folder of banks. What fails after the first round (the place is
    away, a bank is damaged) is told once and tried again; a bank that is removed here stays there.

    Credentials of the storage service are read as its own tools read them. Whoever can write to the place decides what
    replicas match: guard it as the bank itself.

    \b
    Examples:
      leadline bank upload banks/known --to s3://lists/leadline
      leadline bank upload banks --to s3://lists/leadline --follow

    Exit codes: 0 there is what the banks are now, 1 a bank or the place cannot be read, 130 stopped while following.
    """
    from leadline.custody.storage import open_storage

    uploader = _Uploader(open_storage(to), [Path(bank) for bank in banks], json)
    faults = uploader.round(follow)
    if faults:
        raise next(iter(faults.values()))
    while follow:
        time.sleep(_FOLLOW_S)
        before, faults = faults, uploader.round(follow)
        for name, fault in faults.items():
            if str(fault) != str(before.get(name)):
                complain(fault, where=name)
    return EXIT_DONE


class _Uploader:
    """Of so many folders; each round tries all of them, whatever became of others."""

    def __init__(self, storage: Storage, paths: list[Path], json: bool) -> None:
        self._storage, self._paths, self._json = storage, paths, json
        self._opened: dict[Path, Bank] = {}

    def round(self, only_new: bool) -> dict[str, LeadlineError]:
        """What went wrong, by folder. only_new: what was there already is not told."""
        faults: dict[str, LeadlineError] = {}
        there = [folder for path in self._paths for folder in _banks_in(path, faults)]
        for folder in self._opened.keys() - set(there):
            del self._opened[folder]
            mend = "replicas go on with it: see docs/scale.md"
            faults[str(folder)] = BankNotFound("a bank that was uploaded is gone here", where=folder.name, mend=mend)
        for folder in there:
            try:
                self._upload(folder, only_new)
            except LeadlineError as error:
                faults[str(folder)] = error
            except OSError as error:  # a merge took a file away, say: the next round finds the new one
                faults[str(folder)] = BankError("cannot be read", where=folder.name, mend=str(error.strerror))
        return faults

    def _upload(self, folder: Path, only_new: bool) -> None:
        from leadline.match.bank import Bank
        from leadline.service.mirror import upload

        bank = self._opened.get(folder) or Bank.open(folder)
        self._opened[folder] = bank
        is_new = upload(bank, self._storage)
        if only_new and not is_new:
            return
        if self._json:
            emit({"bank": bank.name, "list_version": bank.list_version, "uploaded": is_new})
        else:
            say(f"{bank.name}: version {bank.list_version}{'' if is_new else ', was there'}")


def _banks_in(path: Path, faults: dict[str, LeadlineError]) -> Iterator[Path]:
    """The bank that lies there, or every bank in that folder."""
    from leadline.match.manifest import FILE_NAME

    try:
        inner = [] if (path / FILE_NAME).exists() else sorted(path.glob(f"*/{FILE_NAME}"))
    except OSError as error:
        faults[str(path)] = BankError("cannot be read", where=path.name, mend=str(error.strerror))
        return
    if inner:
        yield from (manifest.parent for manifest in inner)
    else:
        yield path
