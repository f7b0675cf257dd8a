"""HMA's clients see the sources that `leadline exchange` keeps, and how their pulls went; they change none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from tests.service.conftest import Worker
from threatexchange.exchanges.clients.ncmec.hash_api import NCMECEnvironment
from threatexchange.exchanges.impl.fb_threatexchange_api import FBThreatExchangeCollabConfig
from threatexchange.exchanges.impl.ncmec_api import NCMECCollabConfig
from threatexchange.utils import dataclass_json

from leadline.domain import Kind
from leadline.match.bank import Bank
from leadline.service.tokens import Scope
from leadline.subscriptions.folder import SecretSource, Subscription, Subscriptions
from leadline.subscriptions.pulling import Wish, pull_source

NEVER = {
    "checkpoint_ts": None, "running_fetch_start_ts": None, "last_fetch_complete_ts": None,
    "last_fetch_succeeded": None, "up_to_date": False, "fetched_items": 0,
}  # fmt: skip
START_S, LATER_S = 1_795_000_000, 1_795_003_600
GOOD = {"started": START_S, "ended": START_S + 60, "is_complete": True}
FAILED = {"started": LATER_S, "ended": LATER_S + 5, "is_complete": False, "error": {"code": "x", "text": "no answer"}}


def no_sealing() -> NoReturn:
    raise AssertionError("nothing is sealed here")


@pytest.fixture
def sources(shelf: Path, tmp_path: Path) -> Subscriptions:
    """`hotline` and `partner` with credentials, `first`, whose bank has another name, and a look-up."""
    made = Subscriptions(tmp_path / "exchanges", {}, no_sealing)

    def add(name: str, connector: str, bank: str, options: dict[str, Any], **secrets: SecretSource) -> None:
        folder = str(shelf / bank) if bank else ""
        if bank:
            Bank.create(shelf / bank, name=bank, kind=Kind.OTHER, source=name)
        made.add(Subscription(name, connector, options, folder, Kind.OTHER), secrets)

    places = {"user": SecretSource(file="/etc/credential.user"), "password": SecretSource(variable="CREDENTIAL")}
    ncmec = {"list": "ngo", "environment": "test", "address": "", "timeout_s": 60.0, "ca_file": None}
    add("hotline", "ncmec", "hotline", ncmec, **places)
    group = {"privacy_group": "1015366", "address": "https://user:credential@graph.example", "tags": "credential"}
    add("partner", "threatexchange", "partner", group, token=SecretSource(sealed=b"credential"))
    add("first", "sample", "COOP_FIRST", {})
    add("asked", "arachnid", "", {}, **places)
    return made


@pytest.fixture
def worker(make_worker: Callable[..., Worker], sources: Subscriptions, tmp_path: Path) -> Worker:
    return make_worker(Scope.CURATE, sources=tmp_path / "exchanges")


def told(worker: Worker, path: str) -> Any:
    answer = worker.ask("GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_sources_of_lists_are_exchanges_in_hmas_own_shapes(worker: Worker) -> None:
    assert told(worker, "/c/exchanges") == ["first", "hotline", "partner"]
    assert told(worker, "/c/exchanges/apis") == ["fb_threatexchange", "ncmec", "sample"]
    text = worker.ask("GET", "/c/exchange/hotline").text
    hotline = dataclass_json.dataclass_loads(text, NCMECCollabConfig)
    assert hotline == NCMECCollabConfig(name="hotline", environment=NCMECEnvironment.test_NGO)
    partner = dataclass_json.dataclass_loads(
        worker.ask("GET", "/c/exchange/partner").text, FBThreatExchangeCollabConfig
    )
    assert partner == FBThreatExchangeCollabConfig(name="partner", privacy_group=1015366)
    assert told(worker, "/c/exchange/first") == {"name": "first", "api": "sample", "enabled": True}
    assert told(worker, "/c/exchange/COOP_FIRST")["name"] == "first"  # as in HMA, by the name of its bank
    for api, has_some in (("ncmec", True), ("fb_threatexchange", True), ("sample", False)):
        known = {"supports_authentification": has_some, "has_set_authentification": has_some}
        assert told(worker, f"/c/exchanges/api/{api}") == known
        schema = {"config_schema": {"fields": []}, "credentials_schema": None}
        assert told(worker, f"/c/exchanges/api/{api}/schema") == schema
    for path, status in (("exchange/asked", 404), ("exchange/asked/status", 404), ("exchanges/api/arachnid", 400)):
        assert worker.ask("GET", f"/c/{path}").status_code == status


def test_no_answer_holds_a_credential_or_where_it_is(worker: Worker, tmp_path: Path) -> None:
    paths = [f"exchange/{name}{more}" for name in ("hotline", "partner", "first") for more in ("", "/status")]
    paths += [f"exchanges/api/{api}{more}" for api in ("ncmec", "fb_threatexchange") for more in ("", "/schema")]
    text = "".join(worker.ask("GET", f"/c/{path}").text for path in ["exchanges", "exchanges/apis", *paths])
    assert len(text) > 1000
    assert "credential" not in text.lower().replace("credentials_schema", "")
    assert str(tmp_path) not in text


def test_a_pull_is_told_as_a_fetch(worker: Worker, sources: Subscriptions) -> None:
    assert told(worker, "/c/exchange/first/status") == NEVER
    pull_source(sources, "first", Wish(), clock=lambda: float(START_S))
    good = {
        "checkpoint_ts": START_S, "running_fetch_start_ts": None, "last_fetch_complete_ts": START_S,
        "last_fetch_succeeded": True, "up_to_date": True, "fetched_items": 7,
    }  # fmt: skip
    assert told(worker, "/c/exchange/first/status") == good
    with sources.pulling("first"):
        sources.note_start("first", LATER_S)
        assert told(worker, "/c/exchange/first/status") == good | {"running_fetch_start_ts": LATER_S}
    assert told(worker, "/c/exchange/first/status") == good | {"up_to_date": False}  # it ended, and noted no end


def test_a_pull_that_failed_is_told_beside_the_last_that_went_well(worker: Worker, sources: Subscriptions) -> None:
    sources.note_run("hotline", GOOD)
    sources.note_run("hotline", FAILED)
    assert told(worker, "/c/exchange/hotline/status") == NEVER | {
        "checkpoint_ts": START_S, "last_fetch_complete_ts": LATER_S + 5, "last_fetch_succeeded": False,
    }  # fmt: skip


def test_a_change_is_refused_with_the_command_that_makes_it(worker: Worker, sources: Subscriptions) -> None:
    again = "`leadline exchange remove hotline`, then `leadline exchange add hotline`"
    for method, path, status, words in (
        ("POST", "exchanges", 403, "`leadline exchange add`"),
        ("POST", "exchanges/api/ncmec", 403, "`leadline exchange add`"),
        ("POST", "exchanges/api/other", 400, "no such Exchange API"),
        ("PUT", "exchange/hotline", 403, again),
        ("PUT", "exchange/other", 404, "Exchange not found"),
        ("DELETE", "exchange/hotline", 403, "`leadline exchange remove hotline`"),
        ("DELETE", "exchange/other", 200, "Exchange deleted"),
    ):
        answer = worker.ask(method, f"/c/{path}", json={"bank": "NEW", "api": "sample", "enabled": False})
        assert (answer.status_code, list(answer.json())) == (status, ["message"]), path
        assert words in answer.json()["message"]
    assert sources.names() == ["asked", "first", "hotline", "partner"]


def test_who_may_only_look_up_is_told_of_no_source(make_worker: Callable[..., Worker], sources: Subscriptions) -> None:
    folder = sources.path("first").parent
    asking = make_worker(Scope.MATCH, Scope.DETAILS, Scope.HASH, sources=folder)
    administering = make_worker(Scope.ADMIN, sources=folder)
    for method, path in (
        ("GET", "exchanges"), ("POST", "exchanges"), ("GET", "exchanges/apis"), ("GET", "exchanges/api/ncmec"),
        ("POST", "exchanges/api/ncmec"), ("GET", "exchanges/api/ncmec/schema"), ("GET", "exchange/first"),
        ("PUT", "exchange/first"), ("DELETE", "exchange/other"), ("GET", "exchange/first/status"),
    ):  # fmt: skip
        answer = asking.ask(method, f"/c/{path}")
        assert (answer.status_code, "scope" in answer.json()["message"]) == (403, True), path
    assert "first" in told(administering, "/c/exchanges")


def test_what_cannot_be_read_is_a_fault_and_no_empty_list(
    worker: Worker, sources: Subscriptions, tmp_path: Path
) -> None:
    (sources.path("first") / "status.json").write_text("{")
    assert worker.ask("GET", "/c/exchange/first/status").status_code == 500
    (tmp_path / "banks" / "hotline").rename(tmp_path / "away")
    answer = worker.ask("GET", "/c/exchange/hotline/status")
    assert (answer.status_code, "`leadline exchange status hotline`" in answer.json()["message"]) == (503, True)
    (sources.path("partner") / "settings.json").write_text("{")
    assert worker.ask("GET", "/c/exchanges").status_code == 500
    (tmp_path / "exchanges").rename(tmp_path / "gone")
    assert told(worker, "/c/exchanges") == []
    (tmp_path / "exchanges").write_text("no folder")
    assert worker.ask("GET", "/c/exchanges").status_code == 500
