"""The flood breaker: what suddenly meets a large share of look-ups is marked, told to a person, and never left out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from tests.service.conftest import MD5, PDQ, Worker

from leadline.client import packed
from leadline.domain import Kind, Match
from leadline.service.flood import Flood


class Hand:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def match(entry: int, algorithm: str = "pdq") -> Match:
    return Match("known", Kind.ILLEGAL, entry, algorithm, 0, 31, 1)


def new_flood(clock: Hand | None = None) -> Flood:
    return Flood(window_s=60, share=0.05, least=50, clock=clock or Hand())


def test_an_entry_floods_at_the_share_and_the_least_number() -> None:
    flood = new_flood()
    flood.saw(1000)
    for _ in range(49):
        flood.met([match(7), match(7, "md5")])  # two ways of one look-up
    assert flood.judge() == frozenset()
    flood.met([match(7)])
    assert flood.judge() == {("known", 7)}


def test_a_number_that_is_a_small_share_is_no_flood() -> None:
    flood = new_flood()
    flood.saw(1001)
    for _ in range(50):
        flood.met([match(7)])
    assert flood.judge() == frozenset()


def test_a_flood_ends_when_it_is_half_gone_and_the_window_has_passed() -> None:
    clock = Hand()
    flood = new_flood(clock)
    flood.saw(100)
    for _ in range(100):
        flood.met([match(7)])
    assert flood.judge() == {("known", 7)}
    flood.saw(1900)  # 100 of 2000 are the whole share, of 3900 half of it
    assert flood.judge() == {("known", 7)}
    flood.saw(1900)
    assert flood.judge() == {("known", 7)}
    clock.now += 59
    assert flood.judge() == {("known", 7)}
    clock.now += 12
    assert flood.judge() == frozenset()


def test_memory_is_bounded_and_what_floods_is_found_all_the_same() -> None:
    flood = new_flood()
    for number in range(60_000):
        flood.saw(1)
        flood.met([match(number + 10), *([match(7)] if number % 10 == 0 else [])])
    assert flood.judge() == {("known", 7)}
    assert sum(len(part.met) for part in flood._slices) <= 20_001


def until(is_so: Callable[[], Any]) -> Any:
    give_up_s = time.monotonic() + 10
    while not (found := is_so()):
        assert time.monotonic() < give_up_s, "it did not come to be"
        time.sleep(0.05)
    return found


def test_a_flooding_entry_is_marked_in_every_form_of_an_answer_and_a_person_decides(worker: Worker) -> None:
    def answer() -> Any:
        return worker.ask("POST", "/v1/match", json={"hashes": [MD5]}).json()["answers"][0]["matches"]

    worker.ask("POST", "/v1/match", json={"hashes": [MD5] * 60})
    (alarm,) = until(lambda: worker.ask("GET", "/v1/alarms").json()["alarms"])
    assert [(match["bank"], match["entry"], match["flooding"]) for match in answer()] == [("known", 7, True)]
    body = packed.encode_request("md5", np.array([list(bytes.fromhex(MD5))], np.uint8))
    told = worker.ask("POST", "/v1/match", content=body, headers={"content-type": packed.REQUEST_TYPE})
    assert [int(match["flags"]) & packed.FLOODING for match in packed.decode_answer(told.content).matches] == [2]

    assert (alarm["kind"], alarm["subject"]) == ("flood", "known/7")
    assert alarm["facts"] == {"bank": "known", "entry": 7}
    path = f"/v1/alarms/{alarm['id']}/acknowledge"
    assert worker.ask("POST", path, json={"decided": "perhaps"}).status_code == 422
    decided = worker.ask("POST", path, json={"decided": "mistake"}).json()
    assert (decided["decided"], len(decided["decided_by"])) == ("mistake", 8)
    assert worker.ask("GET", "/v1/alarms?open=1").json()["alarms"] == []
    assert [match["flooding"] for match in answer()] == [True], "a decision changes nothing by itself"


def test_hashes_that_are_near_flood_too(worker: Worker) -> None:
    rows = np.repeat(np.array([list(bytes.fromhex(PDQ))], np.uint8), 100, axis=0)
    body = packed.encode_request("pdq", rows)
    worker.ask("POST", "/v1/match", content=body, headers={"content-type": packed.REQUEST_TYPE})
    assert until(lambda: worker.ask("GET", "/v1/alarms").json()["alarms"])[0]["subject"] == "known/7"
