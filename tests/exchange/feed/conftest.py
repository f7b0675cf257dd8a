"""A publisher and its subscribers in folders: keys, a bank of made-up hashes, a clock that the test moves."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from leadline.domain import Entry, Kind, Tlp
from leadline.exchange.base import EntryDefaults
from leadline.exchange.connector import Page, Record
from leadline.exchange.feed.connector import FeedConnector, FeedOptions
from leadline.exchange.feed.keys import SubscriberKey, make_subscriber_key, read_agreements
from leadline.exchange.feed.ledger import Ledger
from leadline.exchange.feed.publishing import Published, Terms, publish
from leadline.exchange.feed.roots import create_roots, load_roots
from leadline.match.bank import Bank

NOW_S = 1_795_000_000.0
DAY_S = 86_400
DEFAULTS = EntryDefaults(Kind.OTHER, "partner", Tlp.AMBER_STRICT, "as agreed")


def md5(number: int) -> bytes:
    return number.to_bytes(16, "big")


def entry(number: int, **fields: Any) -> Entry:
    """A made-up entry, of TLP:GREEN unless said."""
    made = {"kind": Kind.OTHER, "tlp": Tlp.GREEN, "fingerprints": {"md5": md5(number)}, **fields}
    return Entry(id=number, **made)


class Clock:
    def __init__(self) -> None:
        self.now = NOW_S

    def __call__(self) -> float:
        return self.now


@dataclass
class Reader:
    """A subscriber: its key, and what pulls have made of its copy. `held` is what a bank would hold."""

    key: str
    root: str
    clock: Clock
    held: dict[str, Entry] = field(default_factory=dict)
    checkpoint: Any = None
    pages: list[Page] = field(default_factory=list)
    in_round: set[str] | None = None

    @property
    def id(self) -> str:
        return SubscriberKey(self.key).id

    def connector(self, address: Path | str, **options: Any) -> FeedConnector:
        made = FeedOptions(address=str(address), root=self.root, **options)
        return FeedConnector(made, {"key": self.key}, DEFAULTS, clock=self.clock, sleep=lambda seconds: None)

    def pull(self, address: Path | str, *, confirm: bool = True, most_pages: int = 0, **options: Any) -> None:
        """As the importer does: page by page, the checkpoint with each."""
        with closing(self.connector(address, **options)) as connector:
            self.pages = []
            for page in connector.pull(self.checkpoint):
                self.pages.append(page)
                self._apply(page)
                if page.is_last or len(self.pages) == most_pages:
                    break
            if confirm:
                connector.confirm(self.checkpoint)

    def _apply(self, page: Page) -> None:
        if page.begins_whole:
            self.in_round = set()
        for record in page.records:
            self._take(record)
        self.checkpoint = json.loads(json.dumps(dict(page.checkpoint)))
        if page.is_last and self.in_round is not None:
            self.held = {key: entry for key, entry in self.held.items() if key in self.in_round}
            self.in_round = None

    def _take(self, record: Record) -> None:
        if self.in_round is not None:
            self.in_round.add(record.key)
        if record.entry is None:
            self.held.pop(record.key, None)
        else:
            self.held[record.key] = record.entry

    @property
    def ids(self) -> set[int]:
        return {int(key) for key in self.held}


@dataclass
class Publisher:
    folder: Path
    clock: Clock
    bank: Bank
    agreements: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def feed(self) -> Path:
        return self.folder / "feed"

    @property
    def root(self) -> str:
        return max(self.keys.glob("*.root.json"), key=lambda path: int(path.name.split(".")[0])).read_text()

    def admit(self, name: str, *, tlp: str = "amber+strict", kinds: tuple[str, ...] = tuple(Kind)) -> Reader:
        """A new subscriber under an agreement."""
        key = make_subscriber_key()
        card = SubscriberKey(key).card(name)
        self.agreements[name] = {
            "format": card.format, "version": card.version, "name": name, "encrypt": card.encrypt, "sign": card.sign,
            "tlp": tlp, "kinds": list(kinds),
        }  # fmt: skip
        return Reader(key, (self.keys / "1.root.json").read_text(), self.clock)

    def publish(self, **terms: Any) -> Published:
        folder = self.folder / "subscribers"
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        for name, agreement in self.agreements.items():
            (folder / f"{name}.json").write_text(json.dumps(agreement))
        given = {"lasts_s": 7 * DAY_S, "withdraw_within_s": DAY_S, "reason": "for tests", "actor": "tester", **terms}
        self.bank.refresh()
        return publish(
            self.bank, self.feed, load_roots(self.keys), read_agreements(folder.iterdir()), Terms(**given),
            now_s=self.clock.now,
        )  # fmt: skip

    def ledger(self) -> Any:
        return closing(Ledger(self.bank.path))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_publisher(tmp_path: Path, clock: Clock) -> Callable[..., Publisher]:
    def make(name: str = "publisher", **settings: Any) -> Publisher:
        folder = tmp_path / name
        keys = settings.pop("keys", 1), settings.pop("threshold", 1)
        given = {"name": "list", "kind": Kind.OTHER, "tlp": Tlp.GREEN, "clock": clock, **settings}
        bank = Bank.create(folder / "bank", **given)
        create_roots(
            folder / "keys", "Example Hotline", keys=keys[0], threshold=keys[1], expires_s=clock.now + 365 * DAY_S
        )
        return Publisher(folder, clock, bank)

    return make


@pytest.fixture
def publisher(make_publisher: Callable[..., Publisher]) -> Publisher:
    return make_publisher()
