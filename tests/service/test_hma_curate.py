"""HMA's /c: banks and their contents are made, changed and removed through the folders of banks."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import PDQ, Worker
from tests.service.pictures import encoded, form, scene

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.service.tokens import Scope

SIGNAL = "5" * 64
OTHER = "a" * 64


def made(worker: Worker, name: str = "MADE", **more: Any) -> Any:
    answer = worker.ask("POST", "/c/banks", json={"name": name, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def added(worker: Worker, bank: str = "MADE", **signals: Any) -> int:
    answer = worker.ask("POST", f"/c/bank/{bank}/signal", json=signals or {"pdq": SIGNAL})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["id"])


def look_up(worker: Worker, signal: str = SIGNAL) -> Any:
    answer = worker.ask("GET", "/m/lookup", params={"signal": signal, "signal_type": "pdq"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def status(worker: Worker, method: str, path: str, **request: Any) -> int:
    answer = worker.ask(method, path, **request)
    if answer.status_code >= 400:
        assert list(answer.json()) == ["message"]
    return answer.status_code


# --- banks ---------------------------------------------------------------------------------------------------------


def test_a_bank_is_made_on_the_shelf_and_listed(worker: Worker, shelf: Path) -> None:
    config = {"name": "MADE_01", "matching_enabled_ratio": 1.0}
    assert made(worker, "MADE_01") == config
    assert config in worker.ask("GET", "/c/banks").json()
    assert worker.ask("GET", "/c/bank/MADE_01").json() == config
    opened = Bank.open(shelf / "MADE_01")
    assert (opened.name, opened.kind) == ("MADE_01", Kind.OTHER)
    assert Bank.open(shelf / made(worker, "GRAVE", kind="illegal")["name"]).kind is Kind.ILLEGAL
    assert status(worker, "GET", "/c/bank/ABSENT") == 404


@pytest.mark.parametrize("name", ["01_BANK", "bank", "BANK-1", "BANK 1", "", "../X", None, 5, "B\n", "A" * 201])
def test_names_of_banks_are_as_hma_wants_them(worker: Worker, name: Any) -> None:
    assert status(worker, "POST", "/c/banks", json={"name": name}) == 400


def test_a_name_is_given_once(worker: Worker) -> None:
    made(worker)
    answer = worker.ask("POST", "/c/banks", json={"name": "MADE"})
    assert (answer.status_code, answer.json()) == (403, {"message": "Bank already exists"})


@pytest.mark.parametrize(
    ("asked", "ratio"),
    [
        ({"enabled_ratio": 0.25}, 0.25),
        ({"enabled_ratio": "0.25"}, 0.25),  # as a text: roostorg/coop
        ({"enabled": False}, 0.0),
        ({"enabled": True}, 1.0),
        ({"enabled": "false"}, 0.0),
        ({"enabled": False, "enabled_ratio": 0.5}, 0.5),
    ],
)
def test_a_ratio_comes_in_the_ways_that_clients_send_it(worker: Worker, asked: dict[str, Any], ratio: float) -> None:
    assert made(worker, **asked)["matching_enabled_ratio"] == ratio
    changed = worker.ask("PUT", "/c/bank/MADE", json={"enabled_ratio": 1}).json()
    assert changed["matching_enabled_ratio"] == 1
    changed = worker.ask("PUT", "/c/bank/MADE", json=asked).json()
    assert changed == {"name": "MADE", "matching_enabled_ratio": ratio}


@pytest.mark.parametrize(
    "asked", [{"enabled_ratio": 1.1}, {"enabled_ratio": -1}, {"enabled_ratio": "x"}, {"enabled": 7}]
)
def test_a_ratio_that_is_none_is_refused(worker: Worker, asked: dict[str, Any]) -> None:
    assert status(worker, "POST", "/c/banks", json={"name": "MADE", **asked}) == 400
    made(worker)
    assert status(worker, "PUT", "/c/bank/MADE", json=asked) == 400


def test_a_bank_that_is_switched_off_matches_nothing_until_it_is_on_again(worker: Worker) -> None:
    made(worker)
    number = added(worker)
    worker.ask("PUT", "/c/bank/MADE", json={"enabled": False})
    assert look_up(worker) == {}
    worker.ask("PUT", "/c/bank/MADE", json={"enabled": True})
    assert look_up(worker) == {"MADE": [{"bank_content_id": number, "distance": "0"}]}


def test_a_bank_with_a_new_name_keeps_its_contents_and_their_numbers(worker: Worker) -> None:
    made(worker, enabled_ratio=0.5)
    number = added(worker)
    changed = worker.ask("PUT", "/c/bank/MADE", json={"name": "RENAMED"})
    assert changed.json() == {"name": "RENAMED", "matching_enabled_ratio": 0.5}
    assert status(worker, "GET", "/c/bank/MADE") == 404
    worker.ask("PUT", "/c/bank/RENAMED", json={"enabled_ratio": 1})
    assert look_up(worker) == {"RENAMED": [{"bank_content_id": number, "distance": "0"}]}
    answer = worker.ask("GET", "/m/lookup", params={"signal": SIGNAL, "signal_type": "pdq", "banks": "RENAMED"})
    assert list(answer.json()) == ["RENAMED"]
    made(worker)
    assert status(worker, "PUT", "/c/bank/MADE", json={"name": "RENAMED"}) == 403
    assert status(worker, "PUT", "/c/bank/MADE", json={"name": "1"}) == 400
    assert status(worker, "PUT", "/c/bank/ABSENT", json={"name": "X"}) == 404


def test_of_two_that_want_one_name_one_gets_it(make_worker: Callable[..., Worker]) -> None:
    one, other = make_worker(), make_worker()
    made(one, "FIRST")
    assert one.ask("PUT", "/c/bank/FIRST", json={"name": "WANTED"}).status_code == 200
    assert status(other, "POST", "/c/banks", json={"name": "WANTED"}) == 403  # which it had not yet looked for
    made(other, "SECOND")
    assert status(one, "PUT", "/c/bank/SECOND", json={"name": "WANTED"}) == 403


def test_who_may_only_match_hears_of_no_bank_in_silence(make_worker: Callable[..., Worker], tmp_path: Path) -> None:
    worker, plain = make_worker(), make_worker(Scope.MATCH)
    made(worker)
    worker.ask("PUT", "/c/bank/MADE", json={"enabled_ratio": 0})
    plain.service.desk.refresh()
    assert "MADE" not in plain.ask("GET", "/c/banks").text
    assert status(plain, "GET", "/c/bank/MADE") == 404
    assert "MADE" in worker.ask("GET", "/c/banks").text


def test_a_bank_is_removed_as_a_whole_and_removing_none_is_done_too(worker: Worker, shelf: Path) -> None:
    made(worker)
    added(worker)
    for _ in range(2):
        answer = worker.ask("DELETE", "/c/bank/MADE")
        assert (answer.status_code, answer.json()) == (200, {"message": "Done"})
    assert not (shelf / "MADE").exists()
    assert look_up(worker) == {}
    before = made(worker)  # one of the same name is another one, with other numbers
    assert before["matching_enabled_ratio"] == 1.0
    assert look_up(worker) == {}


def test_a_bank_that_was_named_on_the_command_line_stays(
    make_worker: Callable[..., Worker], tmp_path: Path
) -> None:
    bank = Bank.create(tmp_path / "elsewhere", name="NAMED", kind=Kind.OTHER)
    worker = make_worker(banks=(bank.path,))
    assert status(worker, "DELETE", "/c/bank/NAMED") == 403
    assert bank.path.exists()


def test_numbers_of_a_removed_bank_are_never_given_again(worker: Worker) -> None:
    made(worker)
    first = added(worker)
    worker.ask("DELETE", "/c/bank/MADE")
    made(worker)
    assert added(worker) != first


# --- contents ------------------------------------------------------------------------------------------------------


def test_a_hash_is_added_and_matches_at_once(worker: Worker, shelf: Path) -> None:
    made(worker)
    answer = worker.ask("POST", "/c/bank/MADE/signal", json={"pdq": SIGNAL.upper(), "note": "seen twice"})
    assert answer.json()["signals"] == {"pdq": SIGNAL}
    number = answer.json()["id"]
    assert look_up(worker) == {"MADE": [{"bank_content_id": number, "distance": "0"}]}
    (entry,) = Bank.open(shelf / "MADE").entries()
    assert (entry.kind, entry.note) == (Kind.OTHER, "seen twice")
    assert entry.source.startswith("token ")


@pytest.mark.parametrize(
    "asked",
    [{}, {"note": "x"}, {"pdq": ""}, {"pdq": "x" * 64}, {"pdq": 5}, {"nonsense": SIGNAL},
     {"pdq": SIGNAL, "note": "n" * 256}, {"md5": "d41d8cd98f00b204e9800998ecf8427e"}, [], "x"],
)  # fmt: skip
def test_what_is_no_signal_is_refused(worker: Worker, asked: Any) -> None:
    made(worker)
    assert status(worker, "POST", "/c/bank/MADE/signal", json=asked) == 400
    assert status(worker, "POST", "/c/bank/ABSENT/signal", json={"pdq": SIGNAL}) == 404


def test_a_file_is_added_with_what_is_said_of_it(make_worker: Callable[..., Worker], shelf: Path) -> None:
    worker, picture = make_worker(hashers=1), encoded(scene())
    made(worker)
    request = form(
        ("photo", "a.png", picture),
        ("content_id", None, b"1197433091"),
        ("content_uri", None, b"https://example.org/1"),
        ("metadata", None, b'{"asdf": {"a": 1}}'),
        ("note", None, "ein Gesch\u00e4ft".encode()),
    )
    answer = worker.ask("POST", "/c/bank/MADE/content", **request)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()["signals"]) == ["pdq"]
    assert look_up(worker, answer.json()["signals"]["pdq"])["MADE"][0]["distance"] == "0"
    path = f"/c/bank/MADE/content/{answer.json()['id']}"
    told = worker.ask("GET", path, params={"include_signals": "true"}).json()
    assert told == {
        "id": answer.json()["id"],
        "disable_until_ts": 1,
        "original_media_uri": "https://example.org/1",
        "bank": {"name": "MADE", "matching_enabled_ratio": 1.0},
        "metadata": {
            "content_id": "1197433091",
            "content_uri": "https://example.org/1",
            "json": {"asdf": {"a": 1}},
            "collab": {},
        },
        "note": "ein Gesch\u00e4ft",
        "signals": {
            "pdq": answer.json()["signals"]["pdq"],
            "md5": hashlib.md5(picture).hexdigest(),
            "sha1": hashlib.sha1(picture).hexdigest(),
            "sha256": hashlib.sha256(picture).hexdigest(),
        },
    }
    assert {"signals", "metadata"}.isdisjoint(worker.ask("GET", path, params={"include_metadata": "false"}).json())
    (entry,) = Bank.open(shelf / "MADE").entries()
    assert entry.quality is not None
    assert entry.quality >= 50
    video = worker.ask("POST", "/c/bank/MADE/content", **form(("video", "v.mp4", b"\0\0\0\x18ftypmp42" + bytes(9000))))
    assert list(video.json()["signals"]) == ["video_md5"]
    told = worker.ask("GET", f"/c/bank/MADE/content/{video.json()['id']}?include_signals=true").json()
    assert list(told["signals"]) == ["video_md5", "sha1", "sha256"]


def test_metadata_that_is_none_is_refused_and_nothing_is_added(
    make_worker: Callable[..., Worker], shelf: Path
) -> None:
    worker, picture = make_worker(hashers=1), encoded(scene())
    made(worker)
    for field in (
        ("metadata", None, b"[]"),
        ("metadata", None, b"{"),
        ("metadata", None, b'{"json": 5}'),
        ("metadata", None, json.dumps({"a": "x" * 5000}).encode()),
        ("note", None, b"n" * 256),
    ):
        assert status(worker, "POST", "/c/bank/MADE/content", **form(("photo", "a", picture), field)) == 400
    assert status(worker, "POST", "/c/bank/MADE/content") == 400
    assert status(worker, "POST", "/c/bank/ABSENT/content", **form(("photo", "a", picture))) == 404
    assert Bank.open(shelf / "MADE").count == 0


def test_a_content_is_switched_off_on_and_off_until_a_time(worker: Worker) -> None:
    made(worker)
    number = added(worker)
    path = f"/c/bank/MADE/content/{number}"
    off = worker.ask("PUT", path, json={"disable_until_ts": 0}).json()
    assert (off["disable_until_ts"], look_up(worker)) == (0, {})
    on = worker.ask("PUT", path, json={"disable_until_ts": 1, "note": "checked"}).json()
    assert (on["disable_until_ts"], on["note"]) == (1, "checked")
    assert list(look_up(worker)) == ["MADE"]
    soon = int(time.time()) + 3600
    until = worker.ask("PUT", path, json={"disable_until_ts": str(soon)}).json()
    assert (until["disable_until_ts"], look_up(worker)) == (soon, {})
    worker.ask("PUT", path, json={"disable_until_ts": int(time.time()) - 10})
    assert list(look_up(worker)) == ["MADE"]
    assert worker.ask("GET", path).json()["note"] == "checked"


@pytest.mark.parametrize(
    "asked", [{"disable_until_ts": -1}, {"disable_until_ts": "x"}, {"disable_until_ts": 9_999_999_999}, {"note": 5}, []]
)
def test_a_change_that_is_none_is_refused(worker: Worker, asked: Any) -> None:
    made(worker)
    path = f"/c/bank/MADE/content/{added(worker)}"
    assert status(worker, "PUT", path, json=asked) == 400
    assert worker.ask("GET", path).json()["disable_until_ts"] == 1


def test_changes_at_once_undo_none_of_each_other(make_worker: Callable[..., Worker]) -> None:
    one, other = make_worker(), make_worker()
    made(one)
    path = f"/c/bank/MADE/content/{added(one)}"
    with ThreadPoolExecutor(2) as threads:
        for number in range(10):
            soon = int(time.time()) + 1000 + number
            asks = [(one, {"disable_until_ts": soon}), (other, {"note": f"note {number}"})]
            for answer in threads.map(lambda asked: asked[0].ask("PUT", path, json=asked[1]), asks):
                assert answer.status_code == 200
            told = one.ask("GET", path).json()
            assert (told["disable_until_ts"], told["note"]) == (soon, f"note {number}")


def test_a_content_is_removed_and_then_there_is_none(worker: Worker) -> None:
    made(worker)
    path = f"/c/bank/MADE/content/{added(worker)}"
    assert worker.ask("DELETE", path).json() == {"deleted": 1}
    assert worker.ask("DELETE", path).json() == {"deleted": 0}
    assert look_up(worker) == {}
    assert status(worker, "GET", path) == 404
    assert status(worker, "PUT", path, json={"note": "x"}) == 404


def test_a_content_of_another_bank_is_not_found(worker: Worker) -> None:
    made(worker)
    made(worker, "OTHER")
    number = added(worker, "OTHER", pdq=OTHER)
    added(worker)
    for method in ("GET", "PUT", "DELETE"):
        assert status(worker, method, f"/c/bank/MADE/content/{number}", json={"note": "x"}) == 404
    assert list(look_up(worker, OTHER)) == ["OTHER"]
    for wrong in ("x", "-1", "0", str(2**70)):
        assert status(worker, "GET", f"/c/bank/MADE/content/{wrong}") == 404


def test_an_entry_that_came_another_way_is_a_content_too(worker: Worker, shelf: Path) -> None:
    entry = Entry(Kind.ILLEGAL, {"md5": bytes(16)}, 50, metadata='{"case": 7}', source="hotline", source_id="4711")
    Bank.open(shelf / "known").add([entry])
    worker.refresh()
    (match,) = worker.ask("GET", "/m/lookup", params={"signal": "0" * 32, "signal_type": "video_md5"}).json()["known"]
    told = worker.ask("GET", f"/c/bank/known/content/{match['bank_content_id']}").json()
    assert (told["metadata"]["json"], told["metadata"]["collab"]) == ({"case": 7}, {"hotline": ["4711"]})
    assert told["note"] is None


def test_each_change_is_written_down_with_its_token(worker: Worker, tmp_path: Path) -> None:
    made(worker)
    path = f"/c/bank/MADE/content/{added(worker)}"
    worker.ask("PUT", path, json={"note": "x"})
    worker.ask("DELETE", path)
    worker.ask("PUT", "/c/bank/MADE", json={"name": "RENAMED"})
    worker.ask("PUT", "/c/bank/RENAMED", json={"enabled": False})
    worker.ask("DELETE", "/c/bank/RENAMED")
    made(worker, "PARTLY", enabled_ratio=0.5)
    worker.ask("PUT", "/c/signal_type/pdq", json={"enabled_ratio": 0})
    worker.ask("PUT", "/v1/banks/known/settings", json={"enabled": False})
    logs = (tmp_path / "state/changes").glob("*.jsonl")
    lines = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    acts = [line["act"] for line in lines if "act" in line]
    assert acts == [
        "hma-make-bank", "hma-add-content", "hma-change-content", "hma-remove-content", "hma-rename-bank",
        "hma-settings", "hma-remove-bank", "hma-make-bank", "hma-settings", "hma-signal-type", "settings",
    ]  # fmt: skip
    switched = [line for line in lines if line.get("act", "").endswith(("settings", "signal-type"))]
    assert [line["bank"] for line in switched] == ["RENAMED", "PARTLY", "", "known"]
    assert [(line["ratio"], line.get("enabled")) for line in switched] == [
        (0.0, True), (0.5, True), (0.0, None), (1.0, False),
    ]  # fmt: skip
    assert len({line["token"] for line in lines if "act" in line}) == 1
    assert len([line for line in lines if "list_version" in line]) == len(acts)
    assert PDQ not in str(lines)
    assert SIGNAL not in str(lines)


def test_two_workers_of_one_state_see_each_others_banks_and_contents(make_worker: Callable[..., Worker]) -> None:
    one, other = make_worker(), make_worker()
    made(one)
    number = added(other)  # of a bank that it had not yet looked for
    assert one.ask("GET", f"/c/bank/MADE/content/{number}").json()["id"] == number
    one.refresh()
    assert look_up(one) == look_up(other) != {}


def test_who_may_not_curate_changes_nothing(make_worker: Callable[..., Worker], shelf: Path) -> None:
    worker = make_worker(Scope.MATCH, Scope.DETAILS, Scope.HASH, Scope.ADMIN)
    for method, path in (
        ("POST", "/c/banks"),
        ("PUT", "/c/bank/known"),
        ("DELETE", "/c/bank/known"),
        ("POST", "/c/bank/known/content"),
        ("POST", "/c/bank/known/signal"),
        ("GET", "/c/bank/known/content/7"),
        ("PUT", "/c/bank/known/content/7"),
        ("DELETE", "/c/bank/known/content/7"),
        ("PUT", "/c/signal_type/pdq"),
    ):
        assert status(worker, method, path, json={"name": "X"}) == 403
    assert Bank.open(shelf / "known").count == 2


def test_without_a_shelf_no_bank_is_made(make_worker: Callable[..., Worker], shelf: Path) -> None:
    worker = make_worker(shelf=None, banks=(shelf / "known",))
    assert status(worker, "POST", "/c/banks", json={"name": "MADE"}) == 501
    assert status(worker, "DELETE", "/c/bank/known") == 403
