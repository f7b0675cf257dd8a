"""The connector does what every connector must; its stand-in is a feed published here and served as plain files."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.contracts.connector import NOW_S, Clock, Given, ListConnectorContract, Oddity, Planted

from leadline.domain import Entry, Kind, Tlp
from leadline.errors import CredentialsRefused, FeedRefused
from leadline.exchange.feed import publishing
from leadline.exchange.feed.connector import FeedConnector
from leadline.exchange.feed.contents import Provenance, entry_line
from leadline.exchange.feed.keys import CARD_FORMAT, CARD_VERSION, Agreement, SubscriberKey, make_subscriber_key
from leadline.exchange.feed.ledger import Ledger
from leadline.exchange.feed.roots import create_roots, load_roots
from leadline.exchange.mock.base import TOKEN, Asked, FaultKind, Mock, Reply, json_reply
from leadline.match.bank import Bank

KEY = make_subscriber_key()
DAY_S = 86_400
PREFIX = "/feed/list/"


class FeedMock(Mock):
    name = "leadline-feed"

    def __init__(self, folder: Path, keys: Path, clock: Clock) -> None:
        super().__init__(entries=40)
        self.clock, self.folder = clock, folder
        self.keys = Path(shutil.copytree(keys, folder / "keys"))
        self.odd: dict[int, str] = {}  # what stands in the line of an entry, in the place of its hash
        self.bank = Bank.create(folder / "bank", name="list", kind=Kind.OTHER, tlp=Tlp.GREEN, clock=clock, kinds={})
        self.bank.add([self._entry(number) for number in range(1, self.entries + 1)])

    def _entry(self, number: int) -> Entry:
        prints = {"md5": bytes.fromhex(self.hex(16)), "pdq": bytes.fromhex(self.hex(32))}
        return Entry(
            Kind.OTHER, prints, number, tlp=Tlp.GREEN, scheme="made-up", label="A", quality=90, first_seen=11,
            last_seen=12,
        )  # fmt: skip

    def put(self, text: str = "") -> Planted:
        number = self.bank.snapshot.next_id
        entry = self._entry(number)
        self.bank.add([entry])
        self.odd[number] = text or entry.fingerprints["md5"].hex()
        return Planted(str(number), entry.fingerprints["md5"])

    def withdraw(self, key: str) -> bool:
        return self.bank.remove([int(key)]) == 1

    def line(self, entry: Entry, default: Provenance) -> bytes:
        line, digits = entry_line(entry, default), entry.fingerprints["md5"].hex()
        odd = self.odd.get(entry.id or 0, digits)
        return line.replace(f'"{digits}"'.encode(), f'"{odd}"'.encode())

    def publish(self) -> None:
        key = SubscriberKey(KEY)
        agreement = Agreement(
            format=CARD_FORMAT, version=CARD_VERSION, name="B", encrypt=key.encrypt, sign=key.sign_key, tlp=Tlp.GREEN,
            kinds=(Kind.OTHER,),
        )  # fmt: skip
        terms = publishing.Terms(7 * DAY_S, DAY_S, "", "tester")
        publishing.publish(
            self.bank, self.folder / "feed", load_roots(self.keys), [agreement], terms, now_s=self.clock()
        )

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply(401)
        name = asked.path.removeprefix(PREFIX)
        if name.endswith("timestamp.json"):
            self.publish()
        if name == "receipts":
            with closing(Ledger(self.bank.path)) as ledger:
                return json_reply({"taken": ledger.take_receipt(asked.body, self.clock())})
        path = self.folder / "feed" / name
        if not path.exists() or (name.startswith("targets/") and self.has_fault(FaultKind.EXPIRED)):
            return Reply(404)
        return Reply(200, path.read_bytes())


@pytest.fixture(scope="module")
def publisher_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keys = tmp_path_factory.mktemp("publisher") / "keys"
    create_roots(keys, "Example Hotline", keys=1, threshold=1, expires_s=NOW_S + 365 * DAY_S)
    return keys


class TestLeadlineFeed(ListConnectorContract):
    connector = FeedConnector
    secrets: ClassVar = {"key": KEY, "token": TOKEN}
    keys: ClassVar[Path]

    @pytest.fixture(autouse=True)
    def known_keys(self, publisher_keys: Path) -> None:
        type(self).keys = publisher_keys

    @pytest.fixture
    def mock(self, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mock:
        mock = FeedMock(tmp_path / "source", self.keys, clock)
        monkeypatch.setattr("leadline.exchange.feed.shelf.PART_ENTRIES", 10)
        monkeypatch.setattr(publishing, "entry_line", mock.line)
        return mock

    def options(self, address: str) -> dict[str, Any]:
        return {"address": address + PREFIX.rstrip("/"), "root": str(self.keys / "1.root.json")}

    def plant(self, mock: Mock, oddity: Oddity) -> Planted:
        assert isinstance(mock, FeedMock)
        planted = mock.put()
        digits = planted.digest.hex()
        mock.odd[int(planted.key)] = {
            Oddity.UNKNOWN: f'{digits}","nobody-knows":"00ff', Oddity.SHORT_HASH: digits[:-1],
            Oddity.UPPER_CASE: digits.upper(),
        }[oddity]  # fmt: skip
        return planted

    def test_credentials_of_another_environment_are_refused(self, given: Given) -> None:
        token = self.refusal(given.connector({**self.secrets, "token": "another"}), self.ask)
        assert isinstance(token, CredentialsRefused)
        key = self.refusal(given.connector({**self.secrets, "key": make_subscriber_key()}), self.ask)
        assert isinstance(key, FeedRefused)
        assert key.code == "not-for-us"

    def test_a_pull_that_ended_is_receipted_at_the_publisher(self, given: Given) -> None:
        with closing(given.connector()) as connector:
            *_, last = connector.pull(None)
            connector.confirm(last.checkpoint)
        with closing(Ledger(given.mock.bank.path)) as ledger:  # type: ignore[attr-defined]
            assert [standing.confirmed for standing in ledger.standings()] == [1]
