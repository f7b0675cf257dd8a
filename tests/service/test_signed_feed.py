"""A published feed over HTTP: read by our own connector, receipts taken; nothing else of the disk is read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.service.conftest import Worker
from tests.service.served import command, free_port, served

from leadline.domain import Kind, Tlp
from leadline.errors import CredentialsRefused
from leadline.exchange.base import EntryDefaults
from leadline.exchange.feed.connector import FeedConnector, FeedOptions
from leadline.exchange.feed.keys import CARD_FORMAT, CARD_VERSION, Agreement, SubscriberKey, make_subscriber_key
from leadline.exchange.feed.ledger import Ledger
from leadline.exchange.feed.publishing import Terms, publish
from leadline.exchange.feed.roots import create_roots, load_roots
from leadline.match.bank import Bank
from leadline.service.options import Publication
from leadline.service.tokens import Scope, Tokens

KEY = make_subscriber_key()
DAY_S = 86_400


@pytest.fixture
def feed(shelf: Path, tmp_path: Path) -> Path:
    """`known` published into a folder, for one subscriber."""
    create_roots(tmp_path / "keys", "Example Hotline", keys=1, threshold=1, expires_s=time.time() + 300 * DAY_S)
    return publish_known(shelf, tmp_path)


def publish_known(shelf: Path, tmp_path: Path) -> Path:
    key = SubscriberKey(KEY)
    agreement = Agreement(
        format=CARD_FORMAT, version=CARD_VERSION, name="B", encrypt=key.encrypt, sign=key.sign_key,
        tlp=Tlp.AMBER_STRICT, kinds=(Kind.ILLEGAL,),
    )  # fmt: skip
    terms = Terms(7 * DAY_S, DAY_S, "agreement 12", "tester")
    with_keys = load_roots(tmp_path / "keys")
    publish(Bank.open(shelf / "known"), tmp_path / "feed", with_keys, [agreement], terms, now_s=time.time())
    return tmp_path / "feed"


def subscriber_token(state: Path, *lists: str) -> str:
    return Tokens(state).add("B", frozenset({Scope.SUBSCRIBE}), lists=lists)[1]


@pytest.fixture
def publishing(make_worker: Callable[..., Worker], feed: Path, tmp_path: Path) -> Worker:
    worker = make_worker(Scope.MATCH, publish=(Publication("known", Tlp.AMBER_STRICT),))
    worker.token = subscriber_token(tmp_path / "state", "known")
    return worker


def connector(address: str, token: str, keys: Path) -> FeedConnector:
    options = FeedOptions(address=address, root=str(keys / "1.root.json"))
    defaults = EntryDefaults(Kind.ILLEGAL, "partner")
    return FeedConnector(options, {"key": KEY, "token": token}, defaults, clock=time.time, sleep=lambda seconds: None)


def test_a_connector_pulls_over_http_and_its_receipt_is_in_the_ledger(shelf: Path, feed: Path, tmp_path: Path) -> None:
    state, port = tmp_path / "state", free_port()
    token = subscriber_token(state, "known")
    with served(command(shelf, state, port, "--workers", "1", "--publish", "known"), port, tmp_path / "log", token):
        address = f"http://127.0.0.1:{port}/feed/known"
        with closing(connector(address, token, tmp_path / "keys")) as source:
            assert "Example Hotline" in source.check().identity
            (page,) = source.pull(None)
            assert {record.key for record in page.records} == {"7", "8"}
            source.confirm(page.checkpoint)
        Bank.open(shelf / "known").remove([7])
        publish_known(shelf, tmp_path)
        with closing(connector(address, token, tmp_path / "keys")) as source:
            (change,) = source.pull(json.loads(json.dumps(dict(page.checkpoint))))
            assert [(record.key, record.entry) for record in change.records] == [("7", None)]
            with closing(Ledger(shelf / "known")) as ledger:
                assert [(s.confirmed, s.owed) for s in ledger.standings()] == [(1, 1)]
            source.confirm(change.checkpoint)
        with closing(Ledger(shelf / "known")) as ledger:
            assert [(s.confirmed, s.owed) for s in ledger.standings()] == [(2, 0)]
        with closing(connector(address, "llt_aaaaaaaa_" + "A" * 43, tmp_path / "keys")) as source:
            with pytest.raises(CredentialsRefused):
                source.check()


def test_only_files_of_a_feed_are_read(publishing: Worker, feed: Path) -> None:
    (feed / "metadata" / "secret.json").write_text("{}")
    (feed / "metadata" / "5.root.json").symlink_to("/etc/hostname")
    assert publishing.ask("GET", "/feed/known/metadata/timestamp.json").status_code == 200
    for path in (
        "metadata/secret.json", "metadata/..%2f..%2fkeys%2fonline-1.key", "metadata/7.root.json",
        f"targets/{'0' * 32}/x.age", "targets/../timestamp.json", "receipts/x", "feed.sqlite",
    ):  # fmt: skip
        assert publishing.ask("GET", f"/feed/known/{path}").status_code in (404, 405), path
    assert publishing.ask("GET", "/feed/known/metadata/5.root.json").status_code == 503


def test_who_may_not_read_the_bank_reads_no_feed(publishing: Worker, tmp_path: Path) -> None:
    path = "/feed/known/metadata/timestamp.json"
    others = subscriber_token(tmp_path / "state", "harmless")
    _, matcher = Tokens(tmp_path / "state").add("m", frozenset({Scope.MATCH}))
    assert publishing.ask("GET", path, token="").status_code == 401
    assert publishing.ask("GET", path, token=others).status_code == 404
    assert publishing.ask("GET", path, token=matcher).status_code == 403
    assert publishing.ask("POST", "/feed/known/receipts", token=matcher, json={}).status_code == 403


def test_a_bank_that_was_never_published_as_a_feed_has_none(make_worker: Callable[..., Worker], tmp_path: Path) -> None:
    worker = make_worker(publish=(Publication("known", Tlp.GREEN),))
    token = subscriber_token(tmp_path / "state", "known")
    assert worker.ask("GET", "/feed/known/metadata/timestamp.json", token=token).status_code == 404
    assert worker.ask("POST", "/feed/known/receipts", token=token, json={}).status_code == 404
    assert not (tmp_path / "banks/known/feed.sqlite").exists()


@pytest.mark.parametrize(("body", "status"), [(b"{}", 422), (b"[" * 3000, 422), (b" " * 5000, 413)])
def test_what_is_no_receipt_is_refused_and_not_kept(publishing: Worker, shelf: Path, body: bytes, status: int) -> None:
    answer = publishing.ask("POST", "/feed/known/receipts", content=body)
    assert answer.status_code == status
    with closing(Ledger(shelf / "known")) as ledger:
        assert [standing.confirmed for standing in ledger.standings()] == [0]
