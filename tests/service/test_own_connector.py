"""A Leadline reads another's published bank through its connector of NCMEC's protocol, as it reads NCMEC."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.service.conftest import Worker
from tests.service.loopback import on_loopback

from leadline.domain import Entry, Kind, Tlp
from leadline.exchange.base import EntryDefaults
from leadline.exchange.connector import Act, Outgoing, Record
from leadline.exchange.ncmec import NcmecConnector
from leadline.exchange.ncmec_lists import NcmecOptions
from leadline.match.bank import Bank
from leadline.service.options import Publication
from leadline.service.tokens import Scope, Tokens

COUNT = 1200  # more than a page


class Moment:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def moment() -> Moment:
    return Moment()


@pytest.fixture
def bank(shelf: Path) -> Bank:
    bank = Bank.create(shelf / "listed", name="listed", kind=Kind.ILLEGAL)
    prints = {number: {"md5": number.to_bytes(16, "big"), "pdq": b"\x5a" * 32} for number in range(1, COUNT + 1)}
    bank.add(
        Entry(Kind.ILLEGAL, one, number, tlp=Tlp.GREEN, scheme="ncmec", label="A1") for number, one in prints.items()
    )
    return bank


@pytest.fixture
def settle(bank: Bank, make_worker: Callable[..., Worker], moment: Moment) -> Callable[[], Worker]:
    worker = make_worker(publish=(Publication("listed"),))
    desk = worker.service.desk
    desk.publications.clock = moment

    def settle() -> Worker:
        worker.refresh()
        desk.publisher.submit(desk.publish).result()
        moment.now += 60
        return worker

    return settle


@pytest.fixture
def connector(settle: Callable[[], Worker], moment: Moment) -> Iterator[NcmecConnector]:
    worker = settle()
    _, token = Tokens(worker.options.state).add("hotline b", frozenset({Scope.SUBSCRIBE}), lists=("listed",))
    with on_loopback(worker, moment) as address:
        options = NcmecOptions(address=f"{address}/ncmec/listed")
        secrets = {"user": "anybody", "password": token}
        made = NcmecConnector(options, secrets, EntryDefaults(kind=Kind.ILLEGAL), clock=moment, sleep=lambda s: None)
        with contextlib.closing(made):
            yield made


def test_it_pulls_everything_and_then_what_was_withdrawn(
    connector: NcmecConnector, bank: Bank, settle: Callable[[], Worker]
) -> None:
    pages = list(connector.pull(None))
    told: dict[str, Record] = {record.key: record for page in pages for record in page.records}
    assert told.keys() == {f"1-{number}" for number in range(1, COUNT + 1)}
    entry = told["1-7"].entry
    assert entry is not None
    assert dict(entry.fingerprints) == {"md5": (7).to_bytes(16, "big"), "pdq": b"\x5a" * 32}
    assert (entry.scheme, entry.label) == ("ncmec", "A1")
    assert [fault for page in pages for fault in page.faults] == []
    assert [dict(page.unknown) for page in pages if page.unknown] == []
    bank.remove([7])
    settle()
    (record,) = (record for page in connector.pull(pages[-1].checkpoint) for record in page.records)
    assert (record.key, record.entry) == ("1-7", None)


def test_it_knows_itself_and_its_opinions_arrive(connector: NcmecConnector, bank: Bank) -> None:
    assert "hotline b" in connector.check().identity
    code = next(iter(connector.reasons("pdq")))
    acts = [Outgoing(Act.AFFIRM, "1-7", "md5"), Outgoing(Act.DISPUTE, "1-7", "pdq", (code,))]
    assert [sent.error for sent in connector.send(acts)] == [None, None]
    lines = (bank.path / "subscribers.jsonl").read_text()
    assert [f'"verdict":"{said}"' in lines for said in ("affirmative", "negative")] == [True, True]
