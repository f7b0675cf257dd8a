"""The banks of one worker: opened, kept fresh by another thread, and the matchers over them. Changes no entry."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from leadline.errors import BankError, BankNotFound, ConfigError, LeadlineError, RequestRefused
from leadline.match.bank import Bank
from leadline.match.info import count_prints
from leadline.match.manifest import FILE_NAME
from leadline.match.matcher import Matcher
from leadline.match.snapshot import Snapshot
from leadline.service.keeping import HereBank
from leadline.service.shelving import HereShelf

STALE_S = 10.0
_MATCHERS_KEPT = 256
_WARM_AT_MOST_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


@dataclass(frozen=True, slots=True)
class Opened:
    """What is open at one moment. `versions`: name -> list version."""

    banks: tuple[Bank, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict)

    def named(self, names: Sequence[str]) -> tuple[Bank, ...]:
        """In the order of `banks`. BankNotFound for a name that is not open."""
        known = set(self.versions)
        if unknown := [name for name in names if name not in known]:
            raise BankNotFound("no such bank", where=unknown[0][:100], mend="GET /v1/banks lists them")
        return tuple(bank for bank in self.banks if bank.name in names)


class Lists:
    """`refresh` is called by one thread, the rest by any: what is open is replaced as a whole.

    A bank that cannot be read any more (damaged, taken away) goes on matching as it was, and stands in `faults`.
    """

    is_remote = False

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        shelf: Path | None = None,
        radius_bits: int | None = None,
        threads: int = 1,
        lock_timeout_s: float = 10.0,
    ) -> None:
        self._folders, self._shelf, self._lock_timeout_s = tuple(folders), shelf, lock_timeout_s
        self._radius_bits, self._threads = radius_bits, threads
        self._by_folder: dict[Path, Bank] = {}
        self._leaving: list[Snapshot] = []
        self._writing = threading.Lock()
        self.faults: dict[str, LeadlineError] = {}
        self.opened = Opened()
        self._left_out: frozenset[str] = frozenset()
        self._matchers: dict[tuple[tuple[str, ...] | None, int | None], Matcher] = {}
        for folder in self._folders:  # what was named has to be there; what lies on the shelf may come and go
            self._by_folder[folder] = self._open(folder)
        self.refresh()
        if self.faults and not self.opened.banks:
            raise next(iter(self.faults.values()))

    @property
    def shelf(self) -> Path:
        """Where new banks are made. RequestRefused where the service has no such place."""
        if self._shelf is None:
            mend = "start the service with --banks FOLDER"
            raise RequestRefused("no place for new banks", status=501, code="no-shelf", mend=mend)
        return self._shelf

    def refresh(self) -> dict[str, int]:
        """Pick up what changed; name -> list version of each bank that is another than before. Never raises.

        Two stats a bank where nothing did. A change of any writer is seen here and nowhere else.
        """
        with self._writing:
            before = dict(self.opened.versions)
            # The last to let go of a large segment waits until it is unmapped: this thread, not a search.
            self._leaving = [bank.snapshot for bank in self._by_folder.values()]
            faults: dict[str, LeadlineError] = {}
            self._open_shelf(faults)
            for folder, bank in self._by_folder.items():
                try:
                    bank.refresh()
                except LeadlineError as error:
                    faults[bank.name] = error
                except OSError as error:
                    faults[bank.name] = BankError("cannot be read", where=folder.name, mend=str(error.strerror))
            self._publish(faults)
            self.checked_at = time.monotonic()
            now = self.opened.versions
            return {name: version for name, version in now.items() if before.get(name) != version}

    def _open_shelf(self, faults: dict[str, LeadlineError]) -> None:
        if self._shelf is None:
            return
        try:
            there = {folder for folder in self._shelf.iterdir() if (folder / FILE_NAME).exists()}
        except OSError as error:
            faults[self._shelf.name] = BankError("the folder of banks cannot be read", mend=str(error.strerror))
            return
        for folder in sorted(there - self._by_folder.keys()):
            try:
                self._by_folder[folder] = self._open(folder)
            except LeadlineError as error:
                faults[folder.name] = error
        for folder in [f for f in self._by_folder if f not in there and f not in self._folders]:
            del self._by_folder[folder]  # a bank that was removed as a whole

    def _open(self, folder: Path) -> Bank:
        return Bank.open(folder, warm_bytes=_WARM_AT_MOST_BYTES, lock_timeout_s=self._lock_timeout_s)

    def _publish(self, faults: dict[str, LeadlineError]) -> None:
        banks: dict[str, Bank] = {}
        for folder, bank in self._by_folder.items():
            if banks.setdefault(bank.name, bank) is not bank:
                faults[f"{bank.name} in {folder.name}"] = ConfigError("two banks of one name", where=folder.name)
        self.faults = faults
        versions = {name: bank.list_version for name, bank in banks.items()}
        if versions != self.opened.versions or tuple(banks.values()) != self.opened.banks:
            are_others = tuple(banks.values()) != self.opened.banks or [*versions] != [*self.opened.versions]
            self.opened = Opened(tuple(banks.values()), versions)
            if are_others:
                self._matchers = {}  # after what is open: see `matcher`

    def leave_out(self, names: frozenset[str]) -> None:
        """Search these banks no more, until they are not among the names."""
        if names != self._left_out:
            self._left_out = names
            self._matchers = {}

    def matcher(self, names: tuple[str, ...] | None = None, radius_bits: int | None = None) -> Matcher:
        """Over all banks, or those named (sorted). BankNotFound; ConfigError for a radius that cannot be."""
        key = (names, radius_bits)
        if (known := self._matchers.get(key)) is not None:
            return known
        matchers = self._matchers  # first: one made of what is open no more must not be put among the newer ones
        opened, left_out = self.opened, self._left_out
        banks = opened.banks if names is None else opened.named(names)
        if left_out:
            banks = tuple(bank for bank in banks if bank.name not in left_out)
        radius = self._radius_bits if radius_bits is None else radius_bits
        made = Matcher(banks, radius_bits=radius, threads=self._threads)
        if len(matchers) < _MATCHERS_KEPT:  # of the banks that were open when it was made, or of nobody's use
            matchers[key] = made
        return made

    def bank(self, name: str) -> Bank:
        """BankNotFound where none of that name is open."""
        return self.opened.named([name])[0]

    def kept(self, name: str) -> HereBank:
        """The bank for those who change it. BankNotFound. One that another worker made this moment is looked for once,
        so: for a thread."""
        if name not in self.opened.versions:
            self.refresh()
        return HereBank(self.bank(name), self._threads)

    def kept_shelf(self) -> HereShelf:
        """For those who make, rename and remove banks."""
        return HereShelf(self)

    def count_prints(self) -> Counter[str]:
        """Fingerprints of all banks by kind. Looks at every entry: in a thread."""
        found: Counter[str] = Counter()
        for bank in self.opened.banks:
            found.update(count_prints(bank.snapshot))
        return found

    @property
    def is_stale(self) -> bool:
        """Whether nobody has looked for changes for a while."""
        return time.monotonic() - self.checked_at > STALE_S
