"""Banks over HTTP: made, filled, listed, changed, emptied; refusals add up; it matches in every worker at once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.service.conftest import MD5, PDQ, SHA1, SHA256, Worker
from tests.service.test_flood import until

from leadline.match.bank import Bank
from leadline.service.shelving import folder_name
from leadline.service.tokens import Scope


def add(worker: Worker, *entries: Any, bank: str = "known", **request: Any) -> httpx.Response:
    return worker.ask("POST", f"/v1/banks/{bank}/entries", json={"entries": entries}, **request)


def remove(worker: Worker, bank: str = "known", **asked: Any) -> Any:
    return worker.ask("POST", f"/v1/banks/{bank}/remove", json=asked).json()


def is_met(worker: Worker, text: str) -> bool:
    answer = worker.ask("POST", "/v1/match", json={"hashes": [text]}).json()["answers"][0]
    return bool(answer["matches"])


def md5(number: int) -> str:
    return f"{number:032x}"


def test_the_whole_story_of_a_bank(worker: Worker) -> None:
    made = worker.ask("POST", "/v1/banks", json={"name": "new", "kind": "exploitative", "tlp": "green"})
    assert (made.status_code, made.json()["name"]) == (201, "new")
    entry = {
        "hashes": {"md5": md5(1), "pdq": "0f" * 32, "quality": 90, "family": "a"},
        "label": "A", "scheme": "uk", "source": "partner", "source_id": "77", "licence": "ours", "note": "seen twice",
        "metadata": {"case": [1, 2.50]}, "first_seen": 10, "last_seen": 20,
    }  # fmt: skip
    told = add(worker, entry, bank="new").json()
    assert told == {"bank": "new", "list_version": 1, "asked": 1, "added": 1, "ids": [1], "refused": []}
    kept = worker.ask("GET", "/v1/banks/new/entries/1").json()
    assert abs(kept.pop("added") - time.time()) < 60
    wanted = {"id": 1, "kind": "exploitative", "tlp": "green", "disabled_until": 0, "radius": 0}
    assert kept == entry | wanted
    assert is_met(worker, md5(1))
    changed = worker.ask("PATCH", "/v1/banks/new/entries/1", json={"note": "", "disabled_until": 2**40}).json()
    assert (changed["note"], changed["label"]) == ("", "A")
    assert not is_met(worker, md5(1))
    assert remove(worker, "new", hashes=[md5(1)])["removed"] == 1
    assert worker.ask("GET", "/v1/banks/new/entries/1").status_code == 404


def test_what_cannot_be_taken_is_refused_by_its_number_and_the_rest_is_added(worker: Worker) -> None:
    told = add(
        worker,
        {"hashes": {"md5": md5(1)}},
        {"hashes": {"md5": "xyz"}},
        {"hashes": {}},
        {"hashes": {"md5": md5(2)}, "kind": "nice"},
        {"hashes": {"md5": "d41d8cd98f00b204e9800998ecf8427e", "sha1": SHA1}},
        7,
        {"hashes": {"md5": md5(3)}, "radius": 5},
        {"hashes": {"md5": md5(3)}, "metadata": [1]},
        {"hashes": {"md5": md5(3)}, "note": "n" * 70_000},
        {"hashes": {"sha256": SHA256}, "kind": "false-positive", "radius": 5},
    ).json()
    assert (told["asked"], told["added"]) == (10, 2)
    assert [i is not None for i in told["ids"]] == [True, *[False] * 8, True]
    assert [refusal["index"] for refusal in told["refused"]] == list(range(1, 9))
    assert all(refusal["code"] and refusal["reason"] for refusal in told["refused"])
    assert told["refused"][2]["reason"] == "not an entry ($.kind): see docs/service.md"
    assert "nice" not in json.dumps(told)
    assert is_met(worker, md5(1))
    assert not is_met(worker, md5(3))


def test_it_is_written_down_which_token_added_what(worker: Worker) -> None:
    token = worker.token[4:12]
    add(worker, {"hashes": {"md5": md5(1)}, "kind": "false-positive"}, {"hashes": {"md5": md5(2)}, "source": "x"})
    entries = worker.ask("GET", "/v1/banks/known/entries").json()["entries"]
    assert [entry["source"] for entry in entries] == ["", "", f"token {token}", "x"]
    remove(worker, ids=[7])
    (path,) = (worker.options.state / "changes").glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("act") for line in lines] == ["add", None, "remove", None]
    assert (lines[0]["token"], lines[0]["bank"]) == (token, "known")
    assert lines[0]["kinds"] == {"false-positive": 1, "illegal": 1}
    assert (lines[1]["list_version"], lines[1]["ids"]) == (3, [[9, 10]])
    assert lines[3]["ids"] == [[7, 7]]
    assert lines[0]["change"] == lines[1]["change"]
    assert md5(1) not in path.read_text()


def test_ten_thousand_are_added_at_once_and_no_more(worker: Worker) -> None:
    told = add(worker, *({"hashes": {"md5": md5(number + 1)}} for number in range(10_000))).json()
    assert (told["added"], len(set(told["ids"])), told["refused"]) == (10_000, 10_000, [])
    assert add(worker, *[{"hashes": {"md5": md5(1)}}] * 10_001).status_code == 422
    assert add(worker).status_code == 422
    told = remove(worker, ids=told["ids"])
    assert (told["asked"], told["found"], told["removed"]) == (10_000, 10_000, 10_000)


def test_entries_are_removed_by_hash_wherever_they_hold_it(worker: Worker) -> None:
    first, second, low, disabled = add(
        worker,
        {"hashes": {"sha256": PDQ}},
        {"hashes": {"pdq": PDQ, "md5": md5(1)}},
        {"hashes": {"pdq": "0e" * 32, "quality": 3}},
        {"hashes": {"pdq": "0d" * 32}, "disabled_until": 2**40},
    ).json()["ids"]
    told = remove(worker, hashes=[PDQ, "pdq:" + "0e" * 32, "pdq:" + "0d" * 32, "md5:" + md5(5), "zz"])
    assert told["ids"] == [7, first, second, low, disabled]
    assert [(refusal["index"], refusal["code"]) for refusal in told["refused"]] == [(3, "absent"), (4, "hash-format")]
    assert (told["asked"], told["found"]) == (5, 3)
    assert not is_met(worker, "pdq:" + PDQ)
    assert is_met(worker, SHA1)


def test_ids_that_are_not_there_are_told(worker: Worker) -> None:
    told = remove(worker, ids=[7, 99, 7])
    assert (told["asked"], told["found"], told["removed"]) == (3, 2, 1)
    assert [refusal["index"] for refusal in told["refused"]] == [1]
    assert worker.ask("POST", "/v1/banks/known/remove", json={"ids": [1], "hashes": [MD5]}).status_code == 422
    assert worker.ask("POST", "/v1/banks/known/remove", json={}).status_code == 422


def test_pages_of_entries_go_on_where_they_ended_whatever_changes(worker: Worker) -> None:
    add(worker, *({"hashes": {"md5": md5(number + 1)}} for number in range(5)))
    seen: list[int] = []
    after = 0
    while after is not None:
        page = worker.ask("GET", f"/v1/banks/known/entries?limit=2&after={after}").json()
        seen += [entry["id"] for entry in page["entries"]]
        after = page["next"]
        if len(seen) == 2:
            remove(worker, ids=[7, 9])
    assert seen == [7, 8, 10, 11, 12, 13]
    for wrong in ("limit=0", "limit=1001", "limit=x", "after=-1", "after=x"):
        assert worker.ask("GET", f"/v1/banks/known/entries?{wrong}").status_code == 422


def test_banks_are_listed_by_name_in_pages(worker: Worker) -> None:
    for name in ("b", "a", "ä /?".replace("/", "")):
        assert worker.ask("POST", "/v1/banks", json={"name": name, "kind": "other"}).status_code == 201
    names: list[str] = []
    page: dict[str, Any] = {"next": ""}
    while page["next"] is not None:
        page = worker.ask("GET", "/v1/banks", params={"limit": 2, "after": page["next"]}).json()
        names += [bank["name"] for bank in page["banks"]]
    assert names == ["a", "b", "harmless", "known", "ä ?"]
    told = worker.ask("GET", "/v1/banks/known").json()
    assert told.pop("created") > 0
    assert told == {
        "name": "known", "kind": "illegal", "entries": 2, "list_version": 2, "radius": 31, "quality_floor": 50,
        "source": "", "tlp": "amber+strict", "licence": "", "fault": None,
        "settings": {"enabled": True, "ratio": 1.0, "shadow": False},
    }  # fmt: skip


def test_a_token_that_only_matches_hears_of_no_radius_and_no_silent_bank(make_worker: Callable[..., Worker]) -> None:
    admin, matcher = make_worker(), make_worker(Scope.MATCH)
    admin.ask("PUT", "/v1/banks/harmless/settings", json={"shadow": True})
    until(lambda: len(matcher.ask("GET", "/v1/banks").json()["banks"]) == 1)
    told = {"name": "known", "kind": "illegal", "entries": 2, "list_version": 2}
    assert matcher.ask("GET", "/v1/banks").json() == {"banks": [told], "next": None}
    assert matcher.ask("GET", "/v1/banks/harmless").status_code == 404
    assert list(matcher.ask("GET", "/readyz", token="").json()["lists"]) == ["known"], "which asks for no token"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/banks", {"name": "x", "kind": "other"}),
        ("POST", "/v1/banks/known/entries", {"entries": [{"hashes": {"md5": MD5}}]}),
        ("POST", "/v1/banks/known/remove", {"ids": [7]}),
        ("PATCH", "/v1/banks/known/entries/7", {"note": "x"}),
        ("GET", "/v1/banks/known/entries", None),
        ("GET", "/v1/banks/known/entries/7", None),
    ],
)
def test_banks_are_for_those_who_keep_them(
    make_worker: Callable[..., Worker], method: str, path: str, body: Any
) -> None:
    others = make_worker(Scope.MATCH, Scope.DETAILS, Scope.ADMIN, Scope.HASH)
    assert others.ask(method, path, json=body).status_code == 403
    nobody = make_worker(no_token=True)
    assert nobody.ask(method, path, json=body, token="").status_code == 403


def test_entries_are_read_by_those_who_may_read_details(make_worker: Callable[..., Worker]) -> None:
    curator = make_worker(Scope.CURATE)
    assert curator.ask("GET", "/v1/banks/known/entries").status_code == 403
    assert curator.ask("PATCH", "/v1/banks/known/entries/7", json={}).status_code == 403
    assert add(curator, {"hashes": {"md5": md5(1)}}).json()["added"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/entries", {"entries": [{"hashes": {"md5": MD5}}]}),
        ("POST", "/remove", {"ids": [7]}),
        ("GET", "/entries", None),
        ("GET", "", None),
        ("PUT", "/settings", {"ratio": 0.5}),
    ],
)
def test_a_bank_that_one_worker_made_is_there_in_the_next_request_to_another(
    make_worker: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: Any
) -> None:
    monkeypatch.setattr("leadline.service.app._REFRESH_S", 60.0)
    one, another = make_worker(), make_worker()
    assert one.ask("POST", "/v1/banks", json={"name": "shop", "kind": "other"}).status_code == 201
    assert another.ask(method, f"/v1/banks/shop{path}", json=body).status_code == 200
    assert another.ask(method, f"/v1/banks/absent{path}", json=body).status_code == 404


def test_an_entry_that_one_worker_added_is_read_in_the_next_request_to_another(
    make_worker: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadline.service.app._REFRESH_S", 60.0)
    one, another = make_worker(), make_worker()
    another.refresh()
    (added,) = add(one, {"hashes": {"md5": md5(1)}}).json()["ids"]
    assert another.ask("GET", f"/v1/banks/known/entries/{added}").json()["hashes"] == {"md5": md5(1)}
    (removed,) = remove(one, ids=[added])["ids"]
    told = another.ask("GET", "/v1/banks/known/entries").json()["entries"]
    assert removed not in [entry["id"] for entry in told]


def test_a_change_matches_in_another_worker_by_itself(make_worker: Callable[..., Worker]) -> None:
    one, other = make_worker(), make_worker()
    add(one, {"hashes": {"md5": md5(1)}})
    assert is_met(one, md5(1))
    until(lambda: is_met(other, md5(1)))
    remove(one, hashes=[md5(1)])
    assert not is_met(one, md5(1))
    until(lambda: not is_met(other, md5(1)))


def test_what_is_no_entry_any_more_is_no_change(worker: Worker) -> None:
    path = "/v1/banks/known/entries/7"
    for wrong in ({"radius": 5}, {"hashes": {}}, {"kind": "x"}, {"metadata": "text"}, {"other": 1}, {"radius": 64}):
        assert worker.ask("PATCH", path, json=wrong).status_code == 422, wrong
    assert worker.ask("PATCH", path, json={}).json()["id"] == 7
    assert worker.ask("GET", "/v1/banks/known").json()["list_version"] == 2
    told = worker.ask("PATCH", path, json={"hashes": {"sha1": "e5" * 20}, "kind": "other"}).json()
    assert (told["hashes"], told["kind"], told["label"]) == ({"sha1": "e5" * 20}, "other", "A")
    assert is_met(worker, "e5" * 20)
    assert not is_met(worker, MD5)
    for absent in ("99", "0", "x", "-1", str(2**60)):
        assert worker.ask("PATCH", f"/v1/banks/known/entries/{absent}", json={}).status_code == 404


def test_a_bank_is_made_once_and_under_a_name_that_can_be_one(worker: Worker) -> None:
    assert worker.ask("POST", "/v1/banks", json={"name": "known", "kind": "other"}).json()["code"] == "exists"
    for wrong in ("", "a/b", "\x00", "n" * 201):
        assert worker.ask("POST", "/v1/banks", json={"name": wrong, "kind": "other"}).status_code == 422, wrong
    for name in ("..", ".hidden", "con ", "ключ"):
        assert worker.ask("POST", "/v1/banks", json={"name": name, "kind": "other"}).status_code == 201, name
    shelf = worker.options.shelf
    assert shelf is not None
    assert sorted(path.name[:5] for path in shelf.iterdir()) == ["bank-"] * 4 + ["harml", "known"]
    assert {Bank.open(path).name for path in shelf.iterdir()} >= {"..", ".hidden", "con ", "ключ"}


def test_folder_names_are_the_banks_own_where_they_are_safe() -> None:
    assert [folder_name(name) for name in ("known", "a b", "IWF-2024.1")] == ["known", "a b", "IWF-2024.1"]
    assert all(folder_name(name).startswith("bank-") for name in ("..", ".", "a.", "x" * 101, "é"))


def test_without_a_shelf_no_bank_can_be_made(shelf: Path, make_worker: Callable[..., Worker]) -> None:
    worker = make_worker(shelf=None, banks=(shelf / "known",))
    assert worker.ask("POST", "/v1/banks", json={"name": "x", "kind": "other"}).json()["code"] == "no-shelf"


def test_a_full_disk_refuses_the_change_and_says_so(worker: Worker) -> None:
    def full(*given: Any) -> int:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leadline.match.log.os.pwrite", full)
        told = add(worker, {"hashes": {"md5": md5(1)}})
    assert (told.status_code, told.headers["retry-after"]) == (503, "1")
    assert told.json()["detail"] == "the change was not recorded: No space left on device"
    assert not is_met(worker, md5(1))
    assert is_met(worker, MD5)
    assert add(worker, {"hashes": {"md5": md5(1)}}).json()["added"] == 1


def test_another_writer_is_waited_for_and_then_told_of(worker: Worker, shelf: Path) -> None:
    bank = worker.service.desk.lists.bank("known")
    bank._writer._lock_timeout_s = 0.05
    with Bank.open(shelf / "known")._writer.writing():
        told = add(worker, {"hashes": {"md5": md5(1)}})
    assert (told.status_code, told.json()["code"]) == (503, "bank-locked")
    assert int(told.headers["retry-after"]) > 0
