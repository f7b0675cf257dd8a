"""`/v1/match`: every way of asking gives the engine's answer, and what is not asked well says why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from tests.service.conftest import MD5, PDQ, SHA1, SHA256, Worker

from leadline.client import packed
from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.service import matching
from leadline.service.tokens import Scope

NEAR = f"{int(PDQ, 16) ^ 0b1011:064x}"  # three bits away
NOTHING = "00" * 32


def ask(worker: Worker, **body: Any) -> Any:
    answer = worker.ask("POST", "/v1/match", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_match_says_bank_kind_entry_algorithm_distance_and_version(worker: Worker) -> None:
    (answer,) = ask(worker, hashes=[f"pdq:{NEAR}"])["answers"]
    assert answer == {
        "matches": [
            {
                "bank": "known", "kind": "illegal", "entry": 7, "algorithm": "pdq", "distance": 3,
                "transform": "original", "view": "picture", "threshold": 31, "list_version": 2, "scheme": "uk",
                "label": "A", "family": "b", "suppressed_by": None, "flooding": False,
            }
        ]
    }  # fmt: skip


def test_nothing_met_is_an_empty_list_and_the_lists_that_were_asked_are_named(worker: Worker) -> None:
    assert ask(worker, hashes=[NOTHING]) == {"answers": [{"matches": []}], "lists": {"harmless": 1, "known": 2}}


@pytest.mark.parametrize(
    ("hash", "entry"),
    [(MD5, 7), (MD5.upper(), 7), (f"md5:{MD5}", 7), (SHA1, 8), (f"sha256:{SHA256}", 9), (SHA256, 9), (PDQ, 7)],
)
def test_each_kind_of_hash_is_known_by_its_length_or_its_prefix(worker: Worker, hash: str, entry: int) -> None:
    (answer,) = ask(worker, hashes=[hash])["answers"]
    assert [match["entry"] for match in answer["matches"]] == [entry]


def test_a_token_without_details_learns_which_banks_it_met_and_nothing_that_helps_to_evade(
    make_worker: Callable[..., Worker],
) -> None:
    worker = make_worker(Scope.MATCH)
    (answer,) = ask(worker, hashes=[f"pdq:{NEAR}"])["answers"]
    assert answer == {"matches": [{"bank": "known", "kind": "illegal"}]}


def test_a_long_list_answers_as_single_ones_do_and_in_order(worker: Worker) -> None:
    hashes = [NOTHING, MD5, f"pdq:{NEAR}", SHA1, NOTHING] * 20
    assert len(hashes) > matching._INLINE
    together = ask(worker, hashes=hashes)["answers"]
    assert together[:5] == [ask(worker, hashes=[one])["answers"][0] for one in hashes[:5]]
    assert together == together[:5] * 20


def test_many_single_ones_at_once_are_each_answered_with_their_own(worker: Worker) -> None:
    async def all_at_once() -> list[Any]:
        asked = [MD5, SHA1, NOTHING, f"pdq:{NEAR}"] * 100
        requests = [worker._ask("POST", "/v1/match", worker.token, {"json": {"hashes": [one]}}) for one in asked]
        return [answer.json()["answers"][0]["matches"] for answer in await asyncio.gather(*requests)]

    entries = [[match["entry"] for match in matches] for matches in worker.do(all_at_once())]
    assert entries == [[7], [8], [], [7]] * 100


def test_one_that_is_no_hash_is_an_error_in_its_place_and_the_rest_is_answered(worker: Worker) -> None:
    bad, good = ask(worker, hashes=["not a hash", SHA1])["answers"]
    assert bad["error"]["code"] == "hash-format"
    assert "matches" not in bad
    assert [match["entry"] for match in good["matches"]] == [8]


def test_where_none_is_a_hash_the_request_is_refused(worker: Worker) -> None:
    for hashes in (["zz"], ["zz", "yy"]):
        answer = worker.ask("POST", "/v1/match", json={"hashes": hashes})
        assert (answer.status_code, answer.json()["code"]) == (422, "hash-format")


def test_radius_and_banks_narrow_a_look_up(worker: Worker) -> None:
    assert ask(worker, hashes=[f"pdq:{NEAR}"], radius=2)["answers"] == [{"matches": []}]
    assert ask(worker, hashes=[f"pdq:{NEAR}"], radius=3)["answers"][0]["matches"]
    assert ask(worker, hashes=[MD5], banks=["harmless"])["answers"] == [{"matches": []}]
    assert ask(worker, hashes=[MD5], banks=["known", "harmless"])["answers"][0]["matches"]


def test_a_radius_of_ones_own_demands_details_in_every_form(make_worker: Callable[..., Worker]) -> None:
    worker = make_worker(Scope.MATCH, Scope.HASH)
    rows = np.frombuffer(bytes.fromhex(NEAR), np.uint8)[None]
    kind = {"content-type": packed.REQUEST_TYPE}
    refused = [
        worker.ask("POST", "/v1/match", json={"hashes": [MD5], "radius": 31}),
        worker.ask("POST", "/v1/match", json={"hashes": [MD5, PDQ], "radius": 0}),
        worker.ask("GET", "/v1/match", params={"hash": PDQ, "radius": "64"}),
        worker.ask("POST", "/v1/match", content=packed.encode_request("pdq", rows, radius_bits=3), headers=kind),
        worker.ask("POST", "/v1/scan?radius=3", content=b"x"),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(403, "scope")] * 5
    assert worker.ask("POST", "/v1/match", content=packed.encode_request("pdq", rows), headers=kind).status_code == 200


def test_a_quality_below_the_floor_of_a_bank_is_not_compared_and_says_so(worker: Worker) -> None:
    low, good = ask(worker, hashes=[{"hash": NEAR, "algorithm": "pdq", "quality": q} for q in (10, 90)])["answers"]
    assert low["matches"] == []
    assert "quality 10 below 50" in low["reasons"][0]
    assert [match["entry"] for match in good["matches"]] == [7]


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        (b"{", 400, ""),
        (b"\xff", 400, ""),
        (b"[]", 422, ""),
        (b'{"hashes":[]}', 422, "(hashes)"),
        (b'{"hashes":[1]}', 422, "$.hashes"),
        (b'{"hashes":["00"],"radius":65}', 422, "(radius)"),
        (b'{"hashes":["00"],"radius":-1}', 422, "(radius)"),
        (b'{"hashes":["00"],"more":1}', 422, ""),
        (b'{"hashes":["' + b'0' * 32 + b'"],"banks":["nix"]}', 404, "(nix)"),
    ],
)
def test_a_request_that_cannot_be_read_names_the_field(worker: Worker, body: bytes, status: int, where: str) -> None:
    answer = worker.ask("POST", "/v1/match", content=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert where in answer.json()["detail"]


def test_more_hashes_than_one_request_may_hold_are_refused(worker: Worker) -> None:
    answer = worker.ask("POST", "/v1/match", json={"hashes": [MD5] * 10_001})
    assert (answer.status_code, "10001 hashes" in answer.json()["detail"]) == (422, True)


def test_who_may_not_match_is_told_which_scope_is_missing(make_worker: Callable[..., Worker]) -> None:
    worker = make_worker(Scope.HASH)
    refused = worker.ask("POST", "/v1/match", json={"hashes": [MD5]})
    assert (refused.status_code, refused.json()["code"]) == (403, "scope")
    unknown = worker.ask("POST", "/v1/match", json={"hashes": [MD5]}, token="llt_aaaaaaaa_" + "x" * 43)
    assert (unknown.status_code, unknown.headers["www-authenticate"]) == (401, 'Bearer realm="leadline"')
    assert worker.ask("POST", "/v1/match", json={"hashes": [MD5]}, token="").status_code == 401


def test_a_packed_list_says_the_same_as_json(worker: Worker, shelf: Any) -> None:
    Bank.open(shelf / "known").add([Entry(Kind.FALSE_POSITIVE, {"pdq": bytes.fromhex(NEAR)}, 10)])
    worker.refresh()
    rows = np.frombuffer(bytes.fromhex(NOTHING + NEAR + PDQ), np.uint8).reshape(3, 32)
    sent = packed.encode_request("pdq", rows)
    answer = worker.ask("POST", "/v1/match", content=sent, headers={"content-type": packed.REQUEST_TYPE})
    told = packed.decode_answer(answer.content)
    fields = ("hash", "entry", "distance", "flags")
    found = {(told.banks[match["bank"]][0], *(int(match[name]) for name in fields)) for match in told.matches}
    assert found == {
        ("known", 1, 7, 3, packed.SUPPRESSED),
        ("known", 1, 10, 0, 0),
        ("known", 2, 7, 0, 0),
    }
    together = ask(worker, hashes=[f"pdq:{row.tobytes().hex()}" for row in rows])["answers"]
    assert {
        (match["bank"], at, match["entry"], match["distance"], int(match["suppressed_by"] is not None))
        for at, one in enumerate(together)
        for match in one["matches"]
    } == found
    assert dict(told.banks)["known"] == 3


def test_a_packed_answer_names_what_was_met_where_there_is_no_room_for_all(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = packed.encode_request("md5", np.frombuffer(bytes.fromhex(MD5), np.uint8)[None])

    def ask_packed() -> httpx.Response:
        return worker.ask("POST", "/v1/match", content=sent, headers={"content-type": packed.REQUEST_TYPE})

    monkeypatch.setattr(packed, "MAX_BANKS", 1)
    told = packed.decode_answer(ask_packed().content)
    assert (told.banks, told.matches["entry"].tolist()) == ((("known", 2),), [7])
    monkeypatch.setattr(packed, "MAX_BANKS", 0)
    refused = ask_packed()
    assert (refused.status_code, refused.json()["code"]) == (422, "packed-banks")


def test_a_packed_answer_without_details_holds_no_distance_and_no_entry(make_worker: Callable[..., Worker]) -> None:
    worker = make_worker(Scope.MATCH)
    sent = packed.encode_request("pdq", np.frombuffer(bytes.fromhex(NEAR), np.uint8)[None])
    answer = worker.ask("POST", "/v1/match", content=sent, headers={"content-type": packed.REQUEST_TYPE})
    (match,) = packed.decode_answer(answer.content).matches
    assert (match["entry"], match["distance"], match["threshold"]) == (0, packed.NOT_TOLD, packed.NOT_TOLD)


def test_a_change_by_another_writer_is_picked_up(worker: Worker, shelf: Any) -> None:
    fresh = "5a" * 16
    assert ask(worker, hashes=[fresh])["answers"] == [{"matches": []}]
    bank = Bank.open(shelf / "known")
    bank.add([Entry(Kind.ILLEGAL, {"md5": bytes.fromhex(fresh)}, 77)])
    worker.refresh()
    assert [match["entry"] for match in ask(worker, hashes=[fresh])["answers"][0]["matches"]] == [77]
    bank.remove([77])
    worker.refresh()
    assert ask(worker, hashes=[fresh])["answers"] == [{"matches": []}]


@pytest.mark.parametrize("hash", [MD5, f"pdq:{NEAR}", SHA256, NOTHING])
@pytest.mark.parametrize("more", [{}, {"radius": "2"}, {"banks": "known"}, {"banks": "harmless,known", "seed": "x y"}])
def test_one_hash_in_the_address_is_answered_as_a_list_of_one(worker: Worker, hash: str, more: dict[str, str]) -> None:
    body: dict[str, Any] = {**more, "hashes": [hash]}
    if "radius" in more:
        body["radius"] = int(more["radius"])
    if "banks" in more:
        body["banks"] = more["banks"].split(",")
    answer = worker.ask("GET", "/v1/match", params={"hash": hash, **more})
    assert (answer.status_code, answer.json()) == (200, ask(worker, **body))


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 422, "body"),
        ("hash=", 422, "body"),
        ("hash=xyz", 422, "hash-format"),
        (f"hash={MD5}&radius=65", 422, "body"),
        (f"hash={MD5}&radius=-1", 422, "body"),
        (f"hash={MD5}&banks=absent", 404, "bank-not-found"),
        ("hash=%C3%28&x=\xff", 422, "hash-format"),
    ],
)
def test_what_is_no_question_in_the_address_is_told(worker: Worker, query: str, status: int, code: str) -> None:
    answer = worker.ask("GET", f"/v1/match?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "xyz" not in answer.text
