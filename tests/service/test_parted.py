"""Banks on shards are kept as those of one machine are; a shard that is lost leaves nothing half done."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.service import test_curating, test_hma_curate, test_repeats
from tests.service.conftest import MD5, PDQ, SHA1, Worker
from tests.service.test_curating import add, is_met, md5, remove
from tests.service.test_flood import until

from leadline.domain import Entry, Kind
from leadline.errors import ShardLost
from leadline.match.bank import Bank
from leadline.match.split import split_bank
from leadline.service import app
from leadline.service.errands import Add, Errand, Place
from leadline.service.remote import RemoteLists
from leadline.service.shard import Ask, Shard

SHARDS = 3
KEY = {"idempotency-key": "one"}
_read = msgspec.msgpack.Decoder(Ask).decode


class Cluster:
    """Three shards in this process. lost: those that do not answer. fails: asked before each errand, and after it
    with what it did: ShardLost where True."""

    def __init__(self, folders: list[Path]) -> None:
        self.folders = folders
        self._shards = [Shard(str(folder)) for folder in folders]
        self.lost: set[int] = set()
        self.fails: Callable[[int, Errand, str], bool] = lambda number, errand, when: False

    def send(self, number: int, message: bytes) -> bytes:
        errand = _read(message).errand
        if number in self.lost or (errand is not None and self.fails(number, errand, "before")):
            raise ShardLost(f"shard {number} does not answer")
        told = self._shards[number].answer(message)
        if errand is not None and self.fails(number, errand, "after"):
            raise ShardLost(f"shard {number} does not answer")
        return told

    def parts(self, name: str = "known") -> list[Bank]:
        return [Bank.open(folder / name) for folder in self.folders]

    def ids(self, name: str = "known") -> list[list[int]]:
        return [sorted(entry.id or 0 for entry in part.entries()) for part in self.parts(name)]

    def versions(self) -> list[int]:
        return [part.list_version for part in self.parts()]

    def close(self) -> None:
        for shard in self._shards:
            shard.close()


@pytest.fixture
def cluster(shelf: Path, tmp_path: Path) -> Iterator[Cluster]:
    """The banks of the shelf, each over three shards."""
    folders = [tmp_path / f"shard-{number}" for number in range(SHARDS)]
    Bank.create(shelf / "MADE", name="MADE", kind=Kind.OTHER)
    for name in ("known", "harmless", "MADE"):
        split_bank(Bank.open(shelf / name), [folder / name for folder in folders])
    made = Cluster(folders)
    yield made
    made.close()


@pytest.fixture
def make_sharded(
    cluster: Cluster, make_worker: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch, request: Any
) -> Callable[..., Worker]:
    def open_lists(options: Any) -> RemoteLists:
        lists = RemoteLists(cluster.send, SHARDS)
        request.addfinalizer(lists.close)
        return lists

    monkeypatch.setattr(app, "open_lists", open_lists)
    return lambda *scopes, **options: make_worker(*scopes, shelf=None, ray="somewhere", **options)


@pytest.fixture
def sharded(make_sharded: Callable[..., Worker]) -> Worker:
    return make_sharded()


@pytest.mark.parametrize(
    "story",
    [
        test_curating.test_what_cannot_be_taken_is_refused_by_its_number_and_the_rest_is_added,
        test_curating.test_entries_are_removed_by_hash_wherever_they_hold_it,
        test_curating.test_ids_that_are_not_there_are_told,
        test_curating.test_pages_of_entries_go_on_where_they_ended_whatever_changes,
        test_curating.test_what_is_no_entry_any_more_is_no_change,
        test_curating.test_entries_are_read_by_those_who_may_read_details,
        test_repeats.test_the_same_key_and_body_is_answered_the_same_and_done_once,
        test_repeats.test_an_addition_that_was_cut_off_is_told_by_its_own_ids_though_others_wrote_since,
        test_repeats.test_a_disk_that_is_full_before_it_changes_nothing,
        test_hma_curate.test_a_content_is_switched_off_on_and_off_until_a_time,
        test_hma_curate.test_a_content_is_removed_and_then_there_is_none,
        test_hma_curate.test_changes_at_once_undo_none_of_each_other,
    ],
)
def test_what_holds_on_one_machine_holds_on_shards(
    story: Callable[..., None], make_sharded: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_hma_curate, "made", lambda worker: None)  # it is there: no bank is made on shards
    needed = inspect.signature(story).parameters
    given = {"make_worker": make_sharded, "monkeypatch": monkeypatch}
    if "worker" in needed:
        given["worker"] = make_sharded()
    story(**{name: given[name] for name in needed})


def test_an_entry_goes_to_the_shard_of_its_id_and_a_false_positive_to_every_one(
    cluster: Cluster, make_sharded: Callable[..., Worker]
) -> None:
    worker, other = make_sharded(), make_sharded()
    told = add(
        worker, *({"hashes": {"md5": md5(n)}} for n in (1, 2)), {"hashes": {"pdq": PDQ}, "kind": "false-positive"}
    )
    assert told.json()["ids"] == [9, 10, 11]
    assert cluster.ids() == [[9, 11], [7, 10, 11], [8, 11]]
    assert is_met(other, md5(2)), "every worker asks the shards"
    answer = other.ask("POST", "/v1/match", json={"hashes": ["pdq:" + PDQ]}).json()["answers"][0]
    assert answer["matches"][0]["suppressed_by"] == "known/11"
    version = told.json()["list_version"]
    assert version == sum(cluster.versions())
    until(lambda: other.ask("GET", "/v1/banks/known").json()["list_version"] == version)
    (log,) = (worker.options.state / "changes").glob("*.jsonl")
    began, ended = (json.loads(line) for line in log.read_text().splitlines())
    assert (began["act"], began["token"], began["entries"]) == ("add", worker.token[4:12], 3)
    assert (ended["list_version"], ended["ids"]) == (version, [[9, 11]])


def test_a_kind_that_changes_brings_an_entry_to_every_shard_or_takes_it_from_the_others(
    cluster: Cluster, sharded: Worker
) -> None:
    path = "/v1/banks/known/entries/7"
    assert sharded.ask("PATCH", path, json={"kind": "false-positive", "note": "ours"}).status_code == 200
    assert cluster.ids() == [[7], [7], [7, 8]]
    assert [entry["id"] for entry in sharded.ask("GET", "/v1/banks/known/entries").json()["entries"]] == [7, 8]
    sharded.refresh()
    assert sharded.ask("GET", "/readyz").status_code == 200
    assert sharded.ask("GET", "/v1/banks/known").json()["entries"] == 2
    assert sharded.ask("PATCH", path, json={"kind": "illegal"}).json()["note"] == "ours"
    assert cluster.ids() == [[], [7], [8]]
    refused = sharded.ask("PATCH", path, json={"kind": "false-positive"})  # its id was given and taken back elsewhere
    assert (refused.status_code, cluster.ids()) == (422, [[], [7], [8]])
    assert remove(sharded, ids=[7])["removed"] == 1


def test_a_change_that_fails_between_shards_is_finished_by_being_sent_again(cluster: Cluster, sharded: Worker) -> None:
    path = "/v1/banks/known/entries/7"
    cluster.fails = lambda number, errand, when: isinstance(errand, Place) and number == 1  # that owns 7
    assert sharded.ask("PATCH", path, json={"kind": "false-positive"}).json()["code"] == "shard-lost"
    cluster.fails = lambda *asked: False
    assert sharded.ask("GET", path).json()["kind"] == "illegal"
    sharded.refresh()
    assert sharded.ask("GET", "/readyz").json()["reasons"] == ["known: false-positives: config"]
    assert sharded.ask("PATCH", path, json={"kind": "false-positive"}).json()["kind"] == "false-positive"
    sharded.refresh()
    assert (cluster.ids(), sharded.ask("GET", "/readyz").status_code) == ([[7], [7], [7, 8]], 200)


def test_what_came_another_way_is_found_and_one_id_for_two_entries_is_told(cluster: Cluster, sharded: Worker) -> None:
    cluster.parts()[0].add([Entry(Kind.ILLEGAL, {"md5": bytes.fromhex(md5(5))}, 20, added=5)])  # 20 is shard 2's
    assert sharded.ask("PATCH", "/v1/banks/known/entries/20", json={"note": "n"}).json()["note"] == "n"
    assert cluster.ids() == [[20], [7], [8]]
    assert add(sharded, {"hashes": {"md5": md5(6)}}).json()["ids"] == [21]
    cluster.parts()[1].add([Entry(Kind.ILLEGAL, {"md5": bytes.fromhex(md5(7))}, 20, added=6)])
    for method, address, body in (
        ("GET", "/entries/20", None),
        ("PATCH", "/entries/20", {"note": "m"}),
        ("POST", "/remove", {"hashes": [md5(7)]}),
    ):
        answer = sharded.ask(method, f"/v1/banks/known{address}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "id-twice")
    assert cluster.ids() == [[20, 21], [7, 20], [8]]


def test_a_false_positive_of_a_bank_that_is_not_on_every_shard_is_refused(cluster: Cluster, sharded: Worker) -> None:
    Bank.create(cluster.folders[0] / "single", name="single", kind=Kind.OTHER)
    until(lambda: "single" in sharded.ask("GET", "/readyz").json()["lists"])
    told = add(
        sharded, {"hashes": {"md5": md5(1)}}, {"hashes": {"md5": md5(2)}, "kind": "false-positive"}, bank="single"
    )
    assert (told.json()["ids"], [r["index"] for r in told.json()["refused"]]) == ([1, None], [1])
    answer = sharded.ask("PATCH", "/v1/banks/single/entries/1", json={"kind": "false-positive"})
    assert (answer.status_code, sharded.ask("GET", "/readyz").status_code) == (422, 200)


CHANGES: list[tuple[str, str, Any]] = [
    ("POST", "/v1/banks/known/entries", {"entries": [{"hashes": {"md5": md5(1)}}]}),  # not the lost shard's
    ("PATCH", "/v1/banks/known/entries/7", {"note": "n"}),
    ("POST", "/v1/banks/known/remove", {"ids": [7]}),
    ("POST", "/v1/banks/known/remove", {"hashes": [MD5]}),
    ("POST", "/c/bank/MADE/signal", {"pdq": "5" * 64}),
    ("PUT", "/c/bank/known/content/7", {"note": "n"}),
    ("DELETE", "/c/bank/known/content/7", None),
]


def test_while_a_shard_is_lost_every_change_is_an_error_and_none_is_made(cluster: Cluster, sharded: Worker) -> None:
    number = sharded.service.desk.hma._number(sharded.service.desk.lists)["known"] << 40
    cluster.lost.add(2)
    before = cluster.ids(), cluster.versions()
    for method, path, body in [
        *CHANGES,
        ("GET", "/v1/banks/known/entries", None),
        ("GET", "/v1/banks/known/entries/7", None),
    ]:
        answer = sharded.ask(method, path.replace("content/7", f"content/{number + 7}"), json=body, headers=KEY)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), (method, path)
        assert "shard 2 does not answer" in answer.text
    assert (cluster.ids(), cluster.versions(), cluster.ids("MADE")) == (*before, [[], [], []])
    cluster.lost.clear()
    assert add(sharded, {"hashes": {"md5": md5(1)}}, headers=KEY).json()["ids"] == [9]


def test_an_addition_that_one_shard_does_not_take_is_taken_back_on_the_others(
    cluster: Cluster, sharded: Worker
) -> None:
    entries = [{"hashes": {"md5": md5(n)}} for n in range(1, 7)] + [
        {"hashes": {"sha1": SHA1}, "kind": "false-positive"}
    ]
    cluster.fails = lambda number, errand, when: isinstance(errand, Add) and (number, when) == (2, "before")
    for headers in ({}, KEY):
        answer = add(sharded, *entries, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "shard-lost")
        assert cluster.ids() == [[], [7], [8]]
    cluster.fails = lambda *asked: False
    told = add(sharded, *entries, headers=KEY).json()
    assert told["added"] == 7
    assert add(sharded, *entries, headers=KEY).json() == told
    assert sum(map(len, cluster.ids())) == 2 + 6 + SHARDS


def test_an_addition_whose_answer_was_lost_is_found_by_its_key_and_made_whole(
    cluster: Cluster, sharded: Worker
) -> None:
    def fails(number: int, errand: Errand, when: str) -> bool:
        """Shard 2 adds, and is heard of no more."""
        cluster.lost |= {2} if isinstance(errand, Add) and (number, when) == (2, "after") else set()
        return number in cluster.lost

    entries = [{"hashes": {"md5": md5(n)}} for n in (1, 2, 3)] + [{"hashes": {"sha1": SHA1}, "kind": "false-positive"}]
    cluster.fails = fails
    assert add(sharded, *entries, headers=KEY).status_code == 503
    assert cluster.ids() == [[], [7], [8, 11, 12]]
    cluster.lost.clear()
    cluster.fails = lambda *asked: False
    told = add(sharded, *entries, headers=KEY).json()
    assert (told["added"], told["ids"]) == (4, [13, 14, 11, 15])  # 12 is on two shards given and taken back
    assert cluster.ids() == [[15], [7, 13, 15], [8, 11, 14, 15]]
    sharded.refresh()
    assert sharded.ask("GET", "/readyz").status_code == 200


def test_a_part_that_another_writer_holds_is_told_of_and_nothing_is_added(cluster: Cluster, sharded: Worker) -> None:
    for shard in cluster._shards:
        shard._lists.bank("known")._writer._lock_timeout_s = 0.05
    with cluster.parts()[1]._writer.writing():
        told = add(sharded, *({"hashes": {"md5": md5(n)}} for n in (1, 2, 3)))
    assert (told.status_code, told.json()["code"]) == (503, "bank-locked")
    assert cluster.ids() == [[], [7], [8]]
    assert not is_met(sharded, md5(1))
