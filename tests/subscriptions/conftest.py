"""What the tests of subscriptions share: a bank and holdings in a folder, opened anew for each pull as by a process."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.subscriptions.sources import MadeUpSource

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.subscriptions.holdings import Holdings, Kept
from leadline.subscriptions.importing import Importer, Outcome

NOW_S = 1_795_000_000.0


class Place:
    """One source's bank and holdings."""

    def __init__(self, folder: Path) -> None:
        self.bank_path, self.holdings_path = folder / "bank", folder / "holdings.sqlite"
        Bank.create(self.bank_path, name="SRC", kind=Kind.OTHER, clock=lambda: NOW_S, kinds={})

    def bank(self) -> Bank:
        return Bank.open(self.bank_path, clock=lambda: NOW_S, kinds={}, lock_timeout_s=0.05)

    def pull(self, source: MadeUpSource, bank: Bank | None = None, **options: Any) -> Outcome:
        with closing(Holdings(self.holdings_path)) as holdings:
            importer = Importer(bank or self.bank(), holdings, **options)
            return importer.run(source.pull(importer.checkpoint))

    def entries(self) -> dict[str, Entry]:
        entries = list(self.bank().entries())
        found = {entry.source_id: entry for entry in entries}
        assert len(found) == len(entries), "an entry of the source stands here twice"
        return found

    def md5s(self) -> dict[str, bytes]:
        return {key: entry.fingerprints["md5"] for key, entry in self.entries().items()}

    def kept(self) -> list[Kept]:
        with closing(Holdings(self.holdings_path)) as holdings:
            return list(holdings.kept())

    def id_of(self, key: str) -> int:
        return self.entries()[key].id or 0


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def is_sound(outcome: Outcome) -> bool:
    """told = added + changed + withdrawn + same + left out + absent + refused + kept"""
    parts = (outcome.added, outcome.changed, outcome.withdrawn, outcome.same, outcome.left_out, outcome.absent)
    return outcome.told == sum(parts) + outcome.refused + outcome.kept
