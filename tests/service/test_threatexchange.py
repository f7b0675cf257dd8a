"""Meta's own `threatexchange`, as HMA runs it with the module of docs/hma.md, reads a published bank."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tests.service.conftest import MD5, PDQ, Worker
from tests.service.loopback import on_loopback
from threatexchange.exchanges.clients.ncmec import hash_api
from threatexchange.exchanges.impl import ncmec_api
from threatexchange.signal_type.md5 import VideoMD5Signal
from threatexchange.signal_type.pdq.signal import PdqSignal
from threatexchange.utils.dataclass_json import dataclass_load_dict

from leadline.domain import Entry, Kind, Tlp
from leadline.match.bank import Bank
from leadline.service.options import Publication
from leadline.service.tokens import Scope, Tokens

OTHER = "5a" * 32


class Moment:
    """One clock for both sides, so that nobody has to wait until the client asks for what has just happened."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


MANUAL = (Path(__file__).parents[2] / "docs" / "hma.md").read_text()


def module_of_the_manual(address: str) -> Any:
    """What HMA's operator writes into leadline_exchange.py, for a list at this address."""
    (source,) = re.findall(r"(?ms)^```python\n(.*?)^```$", MANUAL)
    assert source.count("https://HOST/ncmec/known") == 1
    module = ModuleType("leadline_exchange")
    code = compile(source.replace("https://HOST/ncmec/known", address), module.__name__, "exec", dont_inherit=True)
    exec(code, module.__dict__)  # our own manual
    return module


class Subscriber:
    """What HMA does with an exchange: fetch deltas from a checkpoint, merge them, convert, build an index."""

    SIGNALS = (PdqSignal, VideoMD5Signal)

    def __init__(self, address: str, token: str) -> None:
        exchange = module_of_the_manual(address).LeadlineExchange
        asked = {"name": "HOTLINE", "enabled": True, "api": exchange.get_name(), "environment": address}
        collab = dataclass_load_dict(asked, exchange.get_config_cls())  # as HMA does with what its API is given
        credentials = exchange.get_credential_cls()("anything", token)
        self.collab, self.api = collab, exchange.for_collab(collab, credentials)
        self.client = self.api.get_client(collab.environment)
        self.store: dict[str, Any] = {}
        self.checkpoint: Any = None

    def fetch(self) -> int:
        """How many updates came."""
        count = 0
        for delta in self.api.fetch_iter(self.SIGNALS, self.checkpoint):
            for key, value in delta.updates.items():
                count += 1
                merged = self.api.fetch_value_merge(self.store.get(key), value)
                if merged is None:
                    self.store.pop(key, None)
                else:
                    self.store[key] = merged
            self.checkpoint = delta.checkpoint
        return count

    def match(self, kind: Any, text: str) -> list[Any]:
        signals = self.api.naive_convert_to_signal_type(self.SIGNALS, self.collab, self.store)
        index = kind.get_index_cls().build(signals.get(kind, {}).items())
        return [found.metadata for found in index.query(text)]


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Moment:
    moment = Moment()
    monkeypatch.setenv("TZ", "UTC")  # it writes local time as if it were UTC
    time.tzset()
    for module in (ncmec_api, hash_api):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=moment))
    return moment


@pytest.fixture
def bank(shelf: Path) -> Bank:
    """Two pictures and a video, and one that must not leave."""
    bank = Bank.create(shelf / "listed", name="listed", kind=Kind.ILLEGAL, source="Hotline A")
    pdq, md5 = bytes.fromhex(PDQ), bytes.fromhex(MD5)
    bank.add(
        [
            Entry(Kind.ILLEGAL, {"pdq": pdq, "md5": md5}, 1, tlp=Tlp.GREEN, scheme="ncmec", label="A1"),
            Entry(Kind.ILLEGAL, {"pdq": bytes.fromhex(OTHER)}, 2, tlp=Tlp.GREEN),
            Entry(Kind.ILLEGAL, {"md5": md5}, 3, tlp=Tlp.GREEN, metadata='{"type":"video"}'),
            Entry(Kind.ILLEGAL, {"pdq": b"\x0f" * 32}, 4, tlp=Tlp.RED),
        ]
    )
    return bank


def settle(worker: Worker) -> None:
    worker.refresh()
    desk = worker.service.desk
    desk.publisher.submit(desk.publish).result()


@pytest.fixture
def worker(bank: Bank, make_worker: Callable[..., Worker], moment: Moment) -> Worker:
    worker = make_worker(publish=(Publication("listed"),))
    worker.service.desk.publications.clock = moment
    settle(worker)
    return worker


@pytest.fixture
def subscriber(worker: Worker, moment: Moment) -> Iterator[Subscriber]:
    _, token = Tokens(worker.options.state).add("platform", frozenset({Scope.SUBSCRIBE}), lists=("listed",))
    moment.now += 60
    with on_loopback(worker) as address:
        yield Subscriber(f"{address}/ncmec/listed", token)


def test_it_fetches_matches_and_forgets_what_is_withdrawn(
    subscriber: Subscriber, bank: Bank, worker: Worker, moment: Moment
) -> None:
    assert subscriber.fetch() == 3
    (met,) = subscriber.match(PdqSignal, PDQ)
    assert met.member_entries == {1: {"A1"}}
    assert len(subscriber.match(PdqSignal, OTHER)) == 1
    assert len(subscriber.match(VideoMD5Signal, MD5)) == 1
    assert subscriber.match(PdqSignal, "0f" * 32) == []

    bank.remove([1, 3])
    settle(worker)
    moment.now += 60
    assert subscriber.fetch() == 2
    assert subscriber.match(PdqSignal, PDQ) == []
    assert subscriber.match(VideoMD5Signal, MD5) == []
    assert len(subscriber.match(PdqSignal, OTHER)) == 1
    moment.now += 60
    assert subscriber.fetch() == 0


def test_it_pages_through_a_long_list_and_misses_nothing(
    subscriber: Subscriber, bank: Bank, worker: Worker, moment: Moment
) -> None:
    new = [
        Entry(Kind.ILLEGAL, {"pdq": number.to_bytes(32, "big")}, number, tlp=Tlp.GREEN) for number in range(10, 2510)
    ]
    bank.add(new)
    settle(worker)
    moment.now += 60
    assert subscriber.fetch() == 2503
    assert subscriber.store.keys() == {f"1-{number}" for number in (1, 2, 3, *range(10, 2510))}


def test_it_knows_who_it_is_and_who_publishes(subscriber: Subscriber) -> None:
    me = subscriber.client.status()
    assert me.esp_name == "platform"
    assert [(one.esp_id == 1, one.esp_name) for one in subscriber.client.members()] == [
        (True, "Hotline A"), (False, "platform"),
    ]  # fmt: skip


def test_its_feedback_arrives_and_comes_back_with_the_entry(subscriber: Subscriber) -> None:
    reasons = subscriber.client._get(hash_api.NCMECEndpoint.feedback, path="PDQ/reasons")
    guid = reasons[0].get("guid")
    up, down = hash_api.FeedbackType.upvote, hash_api.FeedbackType.downvote
    subscriber.client.submit_feedback(1, "1", hash_api.FingerprintType.md5, up)
    subscriber.client.submit_feedback(1, "1", hash_api.FingerprintType.pdq, down, guid)
    subscriber.fetch()
    said = {kind: [(one.feedback_type, one.member.esp_name) for one in given] for kind, given in
            subscriber.store["1-1"].feedback.items()}  # fmt: skip
    assert said == {"Md5": [(up, "platform")], "Pdq": [(down, "platform")]}


def test_its_type_has_a_name_of_its_own_so_that_no_credential_of_ncmec_is_sent_here(subscriber: Subscriber) -> None:
    assert subscriber.api.get_name() == subscriber.collab.api == "leadline"
    assert ncmec_api.NCMECSignalExchangeAPI.get_name() == "ncmec"
    for line in re.findall(r"(?m)^curl .*$", MANUAL):
        assert "/c/exchanges/api/leadline" in line or '"api": "leadline"' in line


def test_a_wrong_password_is_an_error_and_no_empty_list(subscriber: Subscriber) -> None:
    subscriber.api._password = "llt_wrong"
    with pytest.raises(Exception, match="401"):
        subscriber.fetch()
