"""The published banks of one worker: for each its journal, what subscribers said, and who keeps it up to date."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from leadline.errors import BankError, LeadlineError
from leadline.match.bank import Bank
from leadline.service.lists import Lists
from leadline.service.options import Publication
from leadline.service.publisher import Publisher
from leadline.service.subscribers import Subscribers
from leadline.service.told import Journal


@dataclass(frozen=True, slots=True)
class Published:
    """A bank with what lies beside it."""

    publication: Publication
    journal: Journal
    publisher: Publisher
    subscribers: Subscribers


class Publications:
    """`settle` is called by one thread, `of` by any."""

    def __init__(self, publish: tuple[Publication, ...], *, clock: Callable[[], float] = time.time) -> None:
        self._publish, self.clock = publish, clock
        self._by_folder: dict[tuple[Path, Publication], Published] = {}

    def now(self) -> float:
        return self.clock()

    def of(self, publication: Publication, bank: Bank) -> Published:
        key = (bank.path, publication)
        known = self._by_folder.get(key)
        if known is None:
            journal = Journal(bank.path, clock=self.now)
            publisher = Publisher(publication, journal, clock=self.now)
            made = Published(publication, journal, publisher, Subscribers(bank.path, clock=self.now))
            known = self._by_folder.setdefault(key, made)  # of two threads, one's is kept
        return known

    def settle(self, lists: Lists) -> dict[str, LeadlineError]:
        """Bring every journal to its bank, as it is open; what was wrong, by the name of the bank. Never raises."""
        faults: dict[str, LeadlineError] = {}
        for publication in self._publish:
            try:
                bank = lists.bank(publication.bank)
                self.of(publication, bank).publisher.settle(bank)
            except LeadlineError as error:
                faults[publication.bank] = error
            except OSError as error:
                faults[publication.bank] = BankError("cannot be read", mend=str(error.strerror))
        return faults
