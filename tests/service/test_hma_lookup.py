"""HMA's /m, /h by hash and /status: the shapes that its clients read, written from what HMA answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.service.conftest import MD5, PDQ, SHA1, SHA256, Worker

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.service.settings import BankSettings, Settings
from leadline.service.tokens import Scope

NEAR = "c2" + PDQ[2:]  # one bit away from PDQ
FAR = "5" * 64


def told(worker: Worker, path: str, **query: str) -> Any:
    answer = worker.ask("GET", path, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def look_up(worker: Worker, signal: str, signal_type: str = "pdq", **more: str) -> Any:
    return told(worker, "/m/lookup", signal=signal, signal_type=signal_type, **more)


def number_of(worker: Worker, bank: str, entry: int) -> int:
    """Banks are numbered in the order in which they were first seen: `harmless` 0, `known` 1."""
    return {"harmless": 0, "known": 1}[bank] * 2**40 + entry


def test_a_hash_is_answered_by_bank_with_number_and_distance(worker: Worker) -> None:
    known = number_of(worker, "known", 7)
    assert look_up(worker, PDQ) == {"known": [{"bank_content_id": known, "distance": "0"}]}
    assert look_up(worker, NEAR) == {"known": [{"bank_content_id": known, "distance": "1"}]}
    assert look_up(worker, FAR) == {}
    assert look_up(worker, MD5, "video_md5") == {"known": [{"bank_content_id": known, "distance": "-"}]}
    assert look_up(worker, SHA1, "sha1")["known"][0]["bank_content_id"] == number_of(worker, "known", 8)
    assert look_up(worker, SHA256, "sha256") == {"harmless": [{"bank_content_id": 9, "distance": "-"}]}


def test_upper_case_digits_are_a_hash_too(worker: Worker) -> None:
    assert look_up(worker, PDQ.upper()) == look_up(worker, PDQ) != {}


def test_an_escaped_query_is_read_as_a_plain_one(worker: Worker) -> None:
    escaped = "".join(f"%{ord(digit):02x}" for digit in PDQ)
    answer = worker.ask("GET", f"/m/lookup?signal={escaped}&signal_type=%70dq&banks=known%2Cabsent")
    assert answer.json() == look_up(worker, PDQ) != {}


def test_no_hash_of_a_featureless_picture_is_no_match(worker: Worker) -> None:
    assert look_up(worker, "") == {}


def test_banks_narrow_and_those_that_are_not_there_match_nothing(worker: Worker) -> None:
    assert list(look_up(worker, PDQ, banks="known")) == ["known"]
    assert list(look_up(worker, PDQ, banks="harmless,known")) == ["known"]
    assert look_up(worker, PDQ, banks="harmless") == {}
    assert look_up(worker, PDQ, banks="ABSENT") == {}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"signal": PDQ}, 400),
        ({"signal_type": "pdq"}, 400),
        ({"signal": PDQ, "signal_type": "nonsense"}, 400),
        ({"signal": PDQ[:-1], "signal_type": "pdq"}, 400),
        ({"signal": PDQ[:-1] + "g", "signal_type": "pdq"}, 400),
        ({"signal": " " + PDQ[1:], "signal_type": "pdq"}, 400),
        ({"signal": MD5, "signal_type": "pdq"}, 400),
        ({"url": "https://example.org/a.jpg"}, 403),  # fetching is off
    ],
)
def test_what_is_no_look_up_is_refused_as_hma_refuses(worker: Worker, query: dict[str, str], status: int) -> None:
    answer = worker.ask("GET", "/m/lookup", params=query)
    assert answer.status_code == status
    assert list(answer.json()) == ["message"]
    assert "c3c3" not in answer.text
    assert "example" not in answer.text


def test_a_bank_with_one_entry_matches(make_worker: Callable[..., Worker], shelf: Path) -> None:
    bank = Bank.create(shelf / "one", name="ONE", kind=Kind.OTHER)
    bank.add([Entry(Kind.OTHER, {"pdq": bytes.fromhex(FAR)})])
    assert list(look_up(make_worker(), FAR)) == ["ONE"]


def test_a_ratio_of_0_is_never_and_one_of_1_is_always(make_worker: Callable[..., Worker], tmp_path: Path) -> None:
    worker = make_worker()
    settings = worker.service.desk.settings
    settings.set("known", BankSettings(ratio=0.0))
    for number in range(50):
        assert look_up(worker, PDQ) == {}
        assert look_up(worker, PDQ, seed=str(number)) == {}
    settings.set("known", BankSettings(ratio=1.0))
    for number in range(50):
        assert look_up(worker, PDQ) != {}
        assert look_up(worker, PDQ, seed=str(number)) != {}


def test_bypass_coinflip_works_on_get_and_a_seed_decides_the_same_each_time(worker: Worker) -> None:
    worker.service.desk.settings.set("known", BankSettings(ratio=0.5))
    for seed in map(str, range(20)):
        assert look_up(worker, PDQ, seed=seed) == look_up(worker, PDQ, seed=seed)
    drawn = [bool(look_up(worker, PDQ, seed=str(seed))) for seed in range(40)]
    assert 5 < sum(drawn) < 35
    worker.service.desk.settings.set("known", BankSettings(ratio=0.0))
    assert look_up(worker, PDQ, bypass_coinflip="true") != {}
    assert look_up(worker, PDQ, bypass_coinflip="false") == {}


def test_raw_look_up_tells_numbers_whatever_the_ratio(worker: Worker) -> None:
    worker.service.desk.settings.set("known", BankSettings(ratio=0.0))
    known = number_of(worker, "known", 7)
    asked = {"signal": NEAR, "signal_type": "pdq"}
    assert told(worker, "/m/raw_lookup", **asked) == {"matches": [known]}
    far = told(worker, "/m/raw_lookup", **asked, include_distance="true")
    assert far == {"matches": [{"bank_content_id": known, "distance": "1"}]}
    assert told(worker, "/m/raw_lookup", **asked, banks="harmless") == {"matches": []}
    assert told(worker, "/m/raw_lookup", **asked, banks="ABSENT") == {"matches": []}
    assert worker.ask("GET", "/m/raw_lookup", params={"signal": NEAR}).status_code == 400


def test_without_the_scope_of_details_banks_are_told_and_nothing_of_entries(
    make_worker: Callable[..., Worker]
) -> None:
    worker = make_worker(Scope.MATCH)
    assert look_up(worker, NEAR) == {"known": [{"bank_content_id": 0, "distance": ""}]}
    assert worker.ask("GET", "/m/raw_lookup", params={"signal": PDQ, "signal_type": "pdq"}).status_code == 403


def test_what_a_false_positive_marks_is_told_with_its_mark(make_worker: Callable[..., Worker], shelf: Path) -> None:
    cleared = Bank.create(shelf / "cleared", name="cleared", kind=Kind.FALSE_POSITIVE)
    cleared.add([Entry(Kind.FALSE_POSITIVE, {"pdq": bytes.fromhex(PDQ)}, 3)])
    (content,) = look_up(make_worker(), PDQ, banks="cleared,known")["known"]
    assert content["suppressed"] is True


def test_compare_tells_whether_and_how_far(worker: Worker) -> None:
    near = f"{int(FAR, 16) ^ 0x1FF:064x}"
    further = f"{int(FAR, 16) ^ (2**32 - 1):064x}"
    asked = {"pdq": [FAR, near], "video_md5": [MD5, MD5.upper()]}
    assert worker.ask("POST", "/m/compare", json=asked).json() == {
        "pdq": [True, {"distance": 9}],
        "video_md5": [True, {}],
    }
    assert worker.ask("POST", "/m/compare", json={"pdq": [FAR, further]}).json() == {"pdq": [False, {"distance": 32}]}


@pytest.mark.parametrize(
    "asked",
    [["x"], {"pdq": "x"}, {"pdq": []}, {"pdq": ["x", "x"]}, {"pdq": [FAR] * 3}, {"nonsense": [FAR, FAR]}, "x", None],
)
def test_what_cannot_be_compared_is_refused(worker: Worker, asked: Any) -> None:
    answer = worker.ask("POST", "/m/compare", json=asked)
    assert answer.status_code == 400
    assert list(answer.json()) == ["message"]


def test_the_index_holds_what_the_banks_hold(worker: Worker) -> None:
    status = told(worker, "/m/index/status")
    assert {name: told_["size"] for name, told_ in status.items()} == {
        "pdq": 1, "video_md5": 1, "md5": 1, "sha1": 1, "sha256": 1,
    }  # fmt: skip
    assert status["pdq"]["present"] is True
    assert status["pdq"]["built_to"] > 1_700_000_000
    assert list(told(worker, "/m/index/status", signal_type="pdq")) == ["pdq"]
    assert worker.ask("GET", "/m/index/status", params={"signal_type": "x"}).status_code == 400
    index = told(worker, "/c/signal_type/index", signal_type="pdq")["pdq"]
    assert (index["db_size"], index["index_size"], index["index_out_of_date"]) == (1, 1, False)


def test_status_needs_no_token_and_says_when_lists_are_old(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("/status", "/status/live"):
        answer = worker.ask("GET", path, token="")
        assert (answer.status_code, answer.text) == (200, "I-AM-ALIVE")
    assert worker.ask("GET", "/readyz", token="").status_code == 200
    monkeypatch.setattr("leadline.service.lists.STALE_S", -1.0)
    answer = worker.ask("GET", "/status", token="")
    assert (answer.status_code, answer.text) == (503, "INDEX-STALE")
    ready = worker.ask("GET", "/readyz", token="")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert ready.json()["reasons"] == ["changes of banks have not been looked for in time"]
    assert worker.ask("GET", "/status/live", token="").status_code == 200


def test_a_token_in_the_address_is_a_token_and_is_in_no_answer(worker: Worker) -> None:
    known = look_up(worker, PDQ)
    path = f"/m/lookup?signal={PDQ}&signal_type=pdq"
    assert worker.ask("GET", f"/t/{worker.token}{path}", token="").json() == known
    assert worker.ask("GET", f"/t/{worker.token}/{path}", token="").json() == known  # a client's doubled slash
    assert worker.ask("GET", f"http://service/{path}").json() == known
    for wrong, status in (
        ("/t/llt_wrong" + path, 401),
        (f"/t/{worker.token}/v1/banks", 404),
        (f"/t/{worker.token}/m/absent", 404),
        (f"/t/{worker.token}", 404),
    ):
        answer = worker.ask("GET", wrong, token="")
        assert answer.status_code == status
        said = answer.text + str(answer.headers)
        assert worker.token not in said
        assert "llt_wrong" not in said


@pytest.mark.parametrize("path", ["/v1/banks/", "/v1/scan/", "/c/banks/", "/t/{token}/c/banks/"])
def test_a_slash_at_the_end_leads_nowhere(worker: Worker, path: str) -> None:
    """Behind a proxy that has TLS a redirect would name http://, and no token: bodies would travel in clear."""
    answer = worker.ask("POST", path.format(token=worker.token), json={"name": "NEW"})
    assert (answer.status_code, answer.headers.get("location")) == (404, None)


def test_errors_have_hmas_shape_on_its_addresses_alone(worker: Worker) -> None:
    for path in ("/m/absent", "/c/absent", "/h/absent"):
        answer = worker.ask("GET", path)
        assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"})
    refused = worker.ask("GET", "/m/lookup", token="")
    assert refused.json() == {"message": "no token: send Authorization: Bearer llt_..."}
    assert worker.ask("GET", "/absent").json()["code"] == "not-found"


def test_a_signal_type_can_be_switched_off_and_0_means_off(make_worker: Callable[..., Worker]) -> None:
    worker = make_worker()
    assert told(worker, "/c/signal_type")[0] == {"name": "pdq", "enabled_ratio": 1.0}
    changed = worker.ask("PUT", "/c/signal_type/pdq", json={"enabled_ratio": 0})
    assert (changed.status_code, changed.content) == (204, b"")
    assert told(worker, "/c/signal_type")[0] == {"name": "pdq", "enabled_ratio": 0.0}
    refused = worker.ask("GET", "/m/lookup", params={"signal": PDQ, "signal_type": "pdq"})
    assert refused.status_code == 400
    assert look_up(worker, MD5, "video_md5") != {}
    worker.ask("PUT", "/c/signal_type/pdq", json={"enabled_ratio": "1"})
    assert look_up(worker, PDQ) != {}
    for wrong in ({}, {"enabled_ratio": 2}, {"enabled_ratio": "x"}, {"enabled_ratio": None}):
        assert worker.ask("PUT", "/c/signal_type/pdq", json=wrong).status_code == 400
    assert worker.ask("PUT", "/c/signal_type/nonsense", json={"enabled_ratio": 1}).status_code == 400


def test_without_a_folder_of_sources_there_are_no_exchanges(worker: Worker) -> None:
    assert told(worker, "/c/exchanges") == told(worker, "/c/exchanges/apis") == []
    assert told(worker, "/c/content_type") == [{"name": "photo", "enabled": True}, {"name": "video", "enabled": True}]
    for method, path, status in (
        ("POST", "/c/exchanges", 403),
        ("GET", "/c/exchanges/api/ncmec", 400),
        ("POST", "/c/exchanges/api/ncmec", 400),
        ("GET", "/c/exchanges/api/ncmec/schema", 400),
        ("GET", "/c/exchange/KNOWN", 404),
        ("PUT", "/c/exchange/KNOWN", 404),
        ("GET", "/c/exchange/KNOWN/status", 404),
        ("DELETE", "/c/exchange/KNOWN", 200),
    ):
        answer = worker.ask(method, path)
        assert (answer.status_code, list(answer.json())) == (status, ["message"])


def test_numbers_stay_when_banks_come_and_the_service_starts_anew(
    make_worker: Callable[..., Worker], shelf: Path
) -> None:
    first = make_worker()
    before = look_up(first, PDQ)
    Bank.create(shelf / "aaa", name="AAA", kind=Kind.OTHER).add([Entry(Kind.OTHER, {"pdq": bytes.fromhex(FAR)})])
    first.refresh()
    (content,) = look_up(first, FAR)["AAA"]
    assert content["bank_content_id"] == 2 * 2**40 + 1
    again = make_worker()
    assert look_up(again, PDQ) == before
    assert look_up(again, FAR)["AAA"] == [content]
    numbers = again.options.state / "hma.json"  # of the replica that numbers, copied here
    banks = msgspec.json.decode(numbers.read_bytes())["banks"]
    numbers.write_bytes(msgspec.json.encode({"banks": {bank: 7 + number for bank, number in banks.items()}}))
    again.service.desk.refresh()
    assert look_up(again, FAR)["AAA"][0]["bank_content_id"] == 9 * 2**40 + 1


def test_an_entry_whose_number_is_too_great_for_hma_still_matches(
    make_worker: Callable[..., Worker], shelf: Path
) -> None:
    bank = Bank.create(shelf / "great", name="GREAT", kind=Kind.OTHER)
    bank.add([Entry(Kind.OTHER, {"pdq": bytes.fromhex(FAR)}, 2**41)])
    assert look_up(make_worker(), FAR) == {"GREAT": [{"bank_content_id": 0, "distance": "0"}]}


def test_settings_of_another_process_hold_here_too(make_worker: Callable[..., Worker], tmp_path: Path) -> None:
    worker = make_worker()
    Settings(tmp_path / "state").set("known", BankSettings(enabled=False))
    worker.service.desk.refresh()
    assert look_up(worker, PDQ) == {}
    listed = {bank["name"]: bank["matching_enabled_ratio"] for bank in told(worker, "/c/banks")}
    assert listed == {"known": 0.0, "harmless": 1.0}


def test_more_than_a_hundred_contents_are_told_to_be_more(make_worker: Callable[..., Worker], shelf: Path) -> None:
    bank = Bank.create(shelf / "many", name="MANY", kind=Kind.OTHER)
    bank.add([Entry(Kind.OTHER, {"pdq": bytes.fromhex(FAR)})] * 101)
    worker, asked = make_worker(), {"signal": FAR, "signal_type": "pdq"}
    for path in ("/m/lookup", "/m/raw_lookup"):
        answer = worker.ask("GET", path, params=asked)
        assert answer.headers["leadline-truncated"] == "1"
    assert len(answer.json()["matches"]) == 100
    assert "leadline-truncated" not in worker.ask("GET", "/m/lookup", params={**asked, "signal": PDQ}).headers


def test_a_flooding_entry_is_marked(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = type(worker.service.desk)
    monkeypatch.setattr(desk, "flooding", property(lambda _: frozenset({("known", 7)})))
    assert look_up(worker, PDQ)["known"][0]["flooding"] is True


def test_scopes_are_demanded(make_worker: Callable[..., Worker]) -> None:
    worker = make_worker(Scope.HASH)
    for method, path in (("GET", "/m/lookup"), ("GET", "/m/index/status"), ("POST", "/m/compare"), ("GET", "/c/banks")):
        assert worker.ask(method, path).status_code == 403
    other = make_worker(Scope.MATCH, state=dataclasses.replace(worker.options).state / "b")
    for method, path in (("POST", "/m/lookup"), ("GET", "/h/hash"), ("POST", "/h/hash"), ("POST", "/c/banks")):
        assert other.ask(method, path).status_code == 403
