"""Banks over shards are made, renamed and removed as wholes; a shard that is lost leaves none of them half done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.service.conftest import MD5, PDQ, Worker
from tests.service.sharding import KEY, SHARDS, Cluster
from tests.service.test_curating import add, is_met, md5
from tests.service.test_flood import until
from tests.service.test_hma_curate import added, look_up, made

from leadline.domain import Entry, Kind
from leadline.errors import ShardLost
from leadline.match.bank import Bank
from leadline.match.removal import remove_bank
from leadline.service import app
from leadline.service.errands import Drop, Errand, Make, Rename
from leadline.service.lists import Lists
from leadline.service.parted_shelf import Begun, Unsettled
from leadline.service.remote import RemoteLists
from leadline.service.shard import Shard
from leadline.service.shelving import NewBank

NEW = {"name": "new", "kind": "exploitative", "radius": 20, "tlp": "green", "source": "ours", "licence": "l"}
AS_BEFORE = [["harmless", "known"]] * SHARDS


def make(worker: Worker, **request: Any) -> Any:
    return worker.ask("POST", "/v1/banks", json=NEW, **request)


def losing(cluster: Cluster, kind: type[Errand]) -> Callable[[int, Errand, str], bool]:
    """Shard 2 does it, and is heard of no more."""

    def fails(number: int, errand: Errand, when: str) -> bool:
        cluster.lost |= {2} if isinstance(errand, kind) and (number, when) == (2, "after") else set()
        return number in cluster.lost

    return fails


def repair(cluster: Cluster) -> None:
    cluster.fails = lambda *asked: False
    cluster.lost.clear()


def begun(worker: Worker) -> dict[str, Begun]:
    return dict(Unsettled(worker.options.state).all())


def test_a_bank_is_made_on_every_shard_and_filled_by_the_rule_of_ids(
    cluster: Cluster, make_sharded: Callable[..., Worker]
) -> None:
    worker, other = make_sharded(), make_sharded()
    assert make(worker).json() == {"name": "new", "kind": "exploitative", "list_version": 0}
    manifests = [part.snapshot.manifest for part in cluster.parts("new")]
    settings = [(m.kind, m.radius_bits, m.tlp.value, m.source, m.licence) for m in manifests]
    assert settings == [(Kind.EXPLOITATIVE, 20, "green", "ours", "l")] * SHARDS
    assert len({manifest.identity for manifest in manifests}) == SHARDS
    entries = [{"hashes": {"md5": md5(n)}} for n in range(1, 5)]
    assert add(worker, *entries, bank="new").json()["ids"] == [1, 2, 3, 4]
    assert cluster.ids("new") == [[3], [1, 4], [2]]
    assert is_met(other, md5(4))
    told = worker.ask("GET", "/v1/banks/new").json()
    assert told.pop("created") == min(manifest.created for manifest in manifests)
    assert told == {
        "name": "new", "kind": "exploitative", "entries": 4, "list_version": 3, "radius": 20, "quality_floor": 50,
        "source": "ours", "tlp": "green", "licence": "l", "fault": None,
        "settings": {"enabled": True, "ratio": 1.0, "shadow": False},
    }  # fmt: skip
    assert make(worker).json()["code"] == "exists"
    assert make(other, headers=KEY).status_code == 409


def test_a_bank_that_other_means_made_is_there_whatever_its_settings(cluster: Cluster, sharded: Worker) -> None:
    Bank.create(cluster.folders[1] / "wide", name="new", kind=Kind.OTHER, radius_bits=64)
    assert make(sharded).json()["code"] == "exists"
    until(lambda: "new" in sharded.ask("GET", "/readyz").json()["lists"])
    answer = sharded.ask("PUT", "/c/bank/known", json={"name": "WANTED"})
    assert answer.status_code == 200, "and it is in the way of no other"


def test_what_no_bank_can_be_is_refused_as_on_one_machine(
    cluster: Cluster, sharded: Worker, make_worker: Callable[..., Worker], tmp_path: Path, shelf: Path
) -> None:
    asks = [("/v1/banks", {"name": name, "kind": "other"}) for name in ("", "a/b", "\x00", "n" * 201)]
    asks.append(("/c/banks", {"name": "small"}))
    refused = [sharded.ask("POST", path, json=body) for path, body in asks]
    assert (cluster.names(), begun(sharded)) == (AS_BEFORE, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "open_lists", lambda options: Lists((), shelf=shelf))
        here = make_worker(state=tmp_path / "other")
    expected = [here.ask("POST", path, json=body) for path, body in asks]
    assert [(a.status_code, a.content) for a in refused] == [(a.status_code, a.content) for a in expected]
    assert [answer.status_code for answer in refused] == [422] * 4 + [400]


CHANGES: list[tuple[str, str, Any]] = [
    ("POST", "/v1/banks", NEW),
    ("POST", "/c/banks", {"name": "NEW"}),
    ("PUT", "/c/bank/known", {"name": "RENAMED"}),
    ("DELETE", "/c/bank/known", None),
    ("DELETE", "/c/bank/ABSENT", None),  # nobody knows what the lost shard has
]


def test_while_a_shard_is_lost_no_bank_is_changed_and_nothing_is_counted(cluster: Cluster, sharded: Worker) -> None:
    cluster.lost.add(2)
    counts = [("GET", "/m/index/status", None), ("GET", "/c/signal_type/index", None)]
    for method, path, body in CHANGES + counts:
        answer = sharded.ask(method, path, json=body, headers=KEY)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), (method, path)
        assert "shard 2 does not answer" in answer.text
    assert (cluster.names(), begun(sharded)) == (AS_BEFORE, {})
    repair(cluster)
    told = make(sharded, headers=KEY)
    assert (told.status_code, make(sharded, headers=KEY).content) == (201, told.content)


@pytest.mark.parametrize(("kind", "change"), [(Make, CHANGES[0]), (Make, CHANGES[1]), (Rename, CHANGES[2])])
def test_what_one_shard_does_not_take_is_taken_back_on_the_others(
    cluster: Cluster, sharded: Worker, kind: type[Errand], change: tuple[str, str, Any]
) -> None:
    method, path, body = change

    def fails(number: int, errand: Errand, when: str) -> bool:
        is_meant = isinstance(errand, kind) and getattr(errand, "name", "RENAMED") == "RENAMED"  # not taking it back
        return is_meant and (number, when) == (2, "before")

    cluster.fails = fails
    for headers in ({}, KEY):
        assert sharded.ask(method, path, json=body, headers=headers).status_code == 503
        assert (cluster.names(), begun(sharded)) == (AS_BEFORE, {})
    assert is_met(sharded, MD5)
    repair(cluster)
    assert sharded.ask(method, path, json=body, headers=KEY).status_code in (200, 201)
    assert begun(sharded) == {}


def test_a_bank_whose_making_was_lost_on_one_shard_is_taken_back_there_as_soon_as_it_answers(
    cluster: Cluster, sharded: Worker
) -> None:
    cluster.fails = losing(cluster, Make)
    assert make(sharded, headers=KEY).json()["code"] == "shard-lost"
    assert cluster.names() == [*AS_BEFORE[1:], ["harmless", "known", "new"]]
    repair(cluster)
    until(lambda: cluster.names() == AS_BEFORE)
    until(lambda: begun(sharded) == {})
    assert make(sharded, headers=KEY).status_code == 201
    assert cluster.names() == [["harmless", "known", "new"]] * SHARDS


def test_the_same_request_sent_at_once_after_a_repair_makes_the_bank_whole(cluster: Cluster, sharded: Worker) -> None:
    for headers in ({}, KEY):
        cluster.fails = losing(cluster, Make)
        assert make(sharded, headers=headers).status_code == 503
        repair(cluster)
        assert make(sharded, headers=headers).status_code == 201
        assert cluster.names() == [["harmless", "known", "new"]] * SHARDS
        sharded.ask("DELETE", "/c/bank/new")


def test_a_name_that_was_lost_on_one_shard_is_taken_back_and_until_then_the_bank_takes_no_change(
    cluster: Cluster, sharded: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.fails = losing(cluster, Rename)
    assert sharded.ask("PUT", "/c/bank/known", json={"name": "RENAMED"}).status_code == 503
    assert cluster.names() == [*AS_BEFORE[1:], ["RENAMED", "harmless"]]
    with monkeypatch.context() as patch:
        patch.setattr(sharded.service.desk.curation, "settle", lambda: None)
        repair(cluster)
        until(lambda: "RENAMED" in sharded.ask("GET", "/readyz").json()["lists"])
        for bank in ("known", "RENAMED"):
            for answer in (
                add(sharded, {"hashes": {"md5": md5(1)}}, bank=bank),
                sharded.ask("GET", f"/v1/banks/{bank}/entries"),
            ):
                assert (answer.status_code, answer.json()["code"]) == (503, "shard-lost")
        assert is_met(sharded, MD5), "it is found all the while"
    until(lambda: cluster.names() == AS_BEFORE)
    until(lambda: begun(sharded) == {})
    assert add(sharded, {"hashes": {"md5": md5(1)}}).json()["ids"] == [9]
    assert sharded.ask("PUT", "/c/bank/known", json={"name": "RENAMED"}).status_code == 200
    assert cluster.names() == [["RENAMED", "harmless"]] * SHARDS


def test_a_bank_that_is_kept_in_silence_is_never_told_by_its_new_name(
    cluster: Cluster, make_sharded: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, other = make_sharded(), make_sharded()
    worker.ask("PUT", "/v1/banks/known/settings", json={"shadow": True})
    until(lambda: not is_met(other, MD5))
    met = []
    cluster.fails = lambda number, errand, when: isinstance(errand, Rename) and bool(met.append(is_met(other, MD5)))
    assert worker.ask("PUT", "/c/bank/known", json={"name": "RENAMED"}).status_code == 200
    assert met == [False] * 2 * SHARDS
    assert not is_met(other, MD5)
    cluster.fails = lambda number, errand, when: isinstance(errand, Rename) and (number, when) == (2, "before")
    assert worker.ask("PUT", "/c/bank/RENAMED", json={"name": "AGAIN"}).status_code == 503
    repair(cluster)
    assert worker.ask("POST", "/v1/banks", json={"name": "AGAIN", "kind": "other"}).status_code == 201
    assert worker.ask("GET", "/v1/banks/AGAIN/settings").json()["shadow"] is False


def test_a_removal_that_was_lost_on_one_shard_is_finished_there_as_soon_as_it_answers(
    cluster: Cluster, sharded: Worker
) -> None:
    made(sharded, enabled_ratio=0.5)
    number = added(sharded)
    cluster.fails = lambda number, errand, when: isinstance(errand, Drop) and number == 2
    assert sharded.ask("DELETE", "/c/bank/MADE").status_code == 503
    assert cluster.names() == [*AS_BEFORE[1:], ["MADE", "harmless", "known"]]
    repair(cluster)
    until(lambda: cluster.names() == AS_BEFORE)
    assert sharded.ask("DELETE", "/c/bank/MADE").json() == {"message": "Done"}
    until(lambda: begun(sharded) == {})
    assert made(sharded)["matching_enabled_ratio"] == 1.0
    assert added(sharded) != number
    assert look_up(sharded)["MADE"]


@pytest.mark.parametrize(("method", "body"), [("PUT", {"name": "RENAMED"}), ("DELETE", None)])
def test_a_part_that_another_writer_holds_is_told_of_before_anything_is_changed(
    cluster: Cluster, sharded: Worker, monkeypatch: pytest.MonkeyPatch, method: str, body: Any
) -> None:
    monkeypatch.setattr("leadline.service.whole_errands._LOCK_S", 0.05)
    before = cluster.versions()
    with cluster.parts()[1]._writer.writing():
        answer = sharded.ask(method, "/c/bank/known", json=body)
    assert (answer.status_code, answer.json()) == (503, {"message": "shard 1: another writer is at work"})
    assert (cluster.names(), cluster.versions(), begun(sharded)) == (AS_BEFORE, before, {})


def test_a_disk_of_one_shard_that_is_full_makes_no_bank(
    cluster: Cluster, sharded: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Bank.create

    def full(path: Path, **given: Any) -> Bank:
        if path.parent == cluster.folders[1]:
            raise OSError(28, "No space left on device")
        return create(path, **given)

    with monkeypatch.context() as patch:
        patch.setattr(Bank, "create", full)
        answer = make(sharded)
    what = "shard 1: nothing was changed: No space left on device"
    assert (answer.status_code, answer.json()["detail"]) == (503, what)
    assert (cluster.names(), begun(sharded)) == (AS_BEFORE, {})
    assert make(sharded).status_code == 201


def test_what_a_worker_that_was_killed_left_is_settled_by_whoever_comes_next(
    cluster: Cluster, make_sharded: Callable[..., Worker]
) -> None:
    worker = make_sharded()
    parts = [part.snapshot.manifest.identity for part in cluster.parts()]
    cluster.parts()[0].set_settings(name="RENAMED")
    Unsettled(worker.options.state).write("known", Begun(wanted="RENAMED", parts=parts))
    until(lambda: cluster.names() == AS_BEFORE)
    until(lambda: begun(worker) == {})
    Unsettled(worker.options.state).write("known", Begun(parts=parts[:1]))  # another bank of that name stays
    until(lambda: cluster.names() == [["harmless"], *AS_BEFORE[1:]])
    until(lambda: begun(worker) == {})


@pytest.mark.parametrize("is_half_made", [False, True])
def test_a_making_that_was_cut_off_is_answered_under_its_key_as_if_it_had_not_been(
    cluster: Cluster, sharded: Worker, monkeypatch: pytest.MonkeyPatch, is_half_made: bool
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("leadline.service.repeats.Turn.finish", lambda turn, reply: None)
        first = make(sharded, headers=KEY)
    identities = [part.snapshot.manifest.identity for part in cluster.parts("new")]
    if is_half_made:
        remove_bank(cluster.folders[0] / "new")
        Unsettled(sharded.options.state).write("new", Begun(new=msgspec.convert(NEW, NewBank)))
    again = make(sharded, headers=KEY)
    assert (again.status_code, again.content) == (201, first.content)
    now = [part.snapshot.manifest.identity for part in cluster.parts("new")]
    assert (now == identities) is not is_half_made, "what is whole is not made again"
    assert (cluster.names(), begun(sharded)) == ([["harmless", "known", "new"]] * SHARDS, {})


def test_what_cannot_be_settled_is_told_to_those_who_run_it(cluster: Cluster, sharded: Worker) -> None:
    part = cluster.parts()[0]
    part.set_settings(name="RENAMED")
    Bank.create(cluster.folders[0] / "other", name="known", kind=Kind.OTHER)
    begun = Begun(wanted="RENAMED", parts=[part.snapshot.manifest.identity])
    Unsettled(sharded.options.state).write("known", begun)
    until(lambda: "banks on shards: bank" in sharded.ask("GET", "/readyz").json()["reasons"])
    remove_bank(cluster.folders[0] / "other")
    until(lambda: sharded.ask("GET", "/readyz").json()["ready"])
    assert cluster.names() == AS_BEFORE


def test_shards_without_any_bank_take_the_first_one(
    tmp_path: Path, make_worker: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / f"empty-{number}" for number in range(2)]
    for folder in folders:
        folder.mkdir()
    shards = [Shard(str(folder)) for folder in folders]
    lists = RemoteLists(lambda number, message: shards[number].answer(message), 2, state=tmp_path / "state")
    monkeypatch.setattr(app, "open_lists", lambda options: lists)
    worker = make_worker(shelf=None, ray="somewhere")
    assert make(worker).status_code == 201
    assert add(worker, {"hashes": {"md5": md5(1)}}, bank="new").json()["ids"] == [1]
    assert is_met(worker, md5(1))
    for shard in shards:
        shard.close()


def test_signals_are_counted_once_wherever_they_lie(
    cluster: Cluster, sharded: Worker, make_worker: Callable[..., Worker], shelf: Path, tmp_path: Path
) -> None:
    whole = Bank.open(shelf / "known")
    entries = [{"hashes": {"pdq": PDQ, "md5": MD5}, "kind": kind} for kind in ("false-positive", "illegal")]
    assert add(sharded, *entries, *entries).json()["added"] == 4
    sharded.ask("POST", "/v1/banks/known/remove", json={"ids": [7, 9]})
    prints = {"pdq": bytes.fromhex(PDQ), "md5": bytes.fromhex(MD5)}
    whole.add([Entry(Kind.OTHER, prints)] * 3)
    whole.remove([7])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "open_lists", lambda options: Lists((), shelf=shelf))
        here = make_worker(state=tmp_path / "other")
    for path in ("/m/index/status", "/c/signal_type/index"):
        told, expected = sharded.ask("GET", path).json(), here.ask("GET", path).json()
        for of_kind in (*told.values(), *expected.values()):
            of_kind |= dict.fromkeys({"built_to", "newest_db_item", "index_built_to"} & of_kind.keys(), 0)
        assert told == expected


def test_without_a_folder_of_banks_on_any_shard_none_is_made_and_none_removed(
    cluster: Cluster, make_worker: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = [Shard(str(folder / "known"), is_bank=True) for folder in cluster.folders]

    def send(number: int, message: bytes) -> bytes:
        if number in cluster.lost:
            raise ShardLost(f"shard {number} does not answer")
        return shards[number].answer(message)

    monkeypatch.setattr(app, "open_lists", lambda options: RemoteLists(send, SHARDS, state=options.state))
    worker = make_worker(shelf=None, ray="somewhere")
    answer = make(worker)
    assert (answer.status_code, answer.json()["code"]) == (501, "no-shelf")
    assert worker.ask("POST", "/c/banks", json={"name": "MADE"}).status_code == 501
    assert worker.ask("DELETE", "/c/bank/known").status_code == 403
    assert worker.ask("PUT", "/c/bank/known", json={"name": "RENAMED"}).status_code == 200
    assert cluster.names() == [["RENAMED", "harmless"]] * SHARDS
    for shard in shards:
        shard.close()
