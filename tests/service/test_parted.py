"""Banks on shards are kept as those of one machine are; a shard that is lost leaves nothing half done."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.service import test_curating, test_hma_curate, test_hma_lookup, test_repeats
from tests.service.conftest import MD5, PDQ, SHA1, Worker
from tests.service.sharding import KEY, SHARDS, Cluster
from tests.service.test_curating import add, is_met, md5, remove
from tests.service.test_flood import until

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.service.errands import Add, Errand, Place


@pytest.mark.parametrize(
    "story",
    [
        test_curating.test_the_whole_story_of_a_bank,
        test_curating.test_banks_are_listed_by_name_in_pages,
        test_curating.test_what_cannot_be_taken_is_refused_by_its_number_and_the_rest_is_added,
        test_curating.test_entries_are_removed_by_hash_wherever_they_hold_it,
        test_curating.test_ids_that_are_not_there_are_told,
        test_curating.test_pages_of_entries_go_on_where_they_ended_whatever_changes,
        test_curating.test_what_is_no_entry_any_more_is_no_change,
        test_curating.test_entries_are_read_by_those_who_may_read_details,
        test_repeats.test_the_same_key_and_body_is_answered_the_same_and_done_once,
        test_repeats.test_the_same_key_with_another_body_is_refused,
        test_repeats.test_removals_changes_and_new_banks_are_answered_the_same_too,
        test_repeats.test_an_addition_that_was_cut_off_is_told_by_its_own_ids_though_others_wrote_since,
        test_repeats.test_a_disk_that_is_full_before_it_changes_nothing,
        test_hma_curate.test_a_content_is_switched_off_on_and_off_until_a_time,
        test_hma_curate.test_a_content_is_removed_and_then_there_is_none,
        test_hma_curate.test_changes_at_once_undo_none_of_each_other,
        test_hma_curate.test_a_name_is_given_once,
        test_hma_curate.test_a_bank_that_is_switched_off_matches_nothing_until_it_is_on_again,
        test_hma_curate.test_a_bank_with_a_new_name_keeps_its_contents_and_their_numbers,
        test_hma_curate.test_of_two_that_want_one_name_one_gets_it,
        test_hma_curate.test_numbers_of_a_removed_bank_are_never_given_again,
        test_hma_curate.test_a_content_of_another_bank_is_not_found,
        test_hma_curate.test_each_change_is_written_down_with_its_token,
        test_hma_curate.test_two_workers_of_one_state_see_each_others_banks_and_contents,
        test_hma_lookup.test_the_index_holds_what_the_banks_hold,
    ],
)
def test_what_holds_on_one_machine_holds_on_shards(
    story: Callable[..., None], make_sharded: Callable[..., Worker], request: pytest.FixtureRequest
) -> None:
    given = {"make_worker": lambda: make_sharded, "worker": make_sharded}
    needed = inspect.signature(story).parameters
    story(**{name: given[name]() if name in given else request.getfixturevalue(name) for name in needed})


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
    told = other.ask("POST", "/v1/match", json={"hashes": [md5(2)]}).json()
    assert told["answers"][0]["matches"][0]["list_version"] == told["lists"]["known"] == version
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
    ("POST", "/c/bank/known/signal", {"pdq": "5" * 64}),
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
    assert (cluster.ids(), cluster.versions()) == before
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
