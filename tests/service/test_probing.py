"""The probing alarm: forty small variations of one picture by one token, one of which met a bank or nearly did."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from tests.service.conftest import PDQ, Worker
from tests.service.test_flood import Hand, until

from leadline.client import packed
from leadline.service.probing import Probing

KNOWN = bytes.fromhex(PDQ)


def variations(of: bytes, distance_bits: int, count: int, seed: int = 1) -> Iterator[bytes]:
    """Different hashes at this distance of one, so at most twice of it from each other."""
    dice, value, seen = random.Random(seed), int.from_bytes(of, "big"), set[int]()
    while len(seen) < count:
        varied = value
        for bit in dice.sample(range(256), distance_bits):
            varied ^= 1 << bit
        if varied not in seen:
            seen.add(varied)
            yield varied.to_bytes(32, "big")


def test_forty_variations_of_what_met_a_bank_are_suspicious() -> None:
    probing = Probing(clock=Hand())
    assert probing.note("shop", KNOWN, True) is None
    told = [probing.note("shop", varied, False) for varied in variations(KNOWN, 20, 40)]
    assert told[:39] == [None] * 39
    assert (told[39].token, told[39].has_met) == ("shop", True)


@pytest.mark.parametrize(("workers", "of_each"), [(2, 20), (4, 10), (16, 10)])
def test_each_of_several_workers_counts_its_share_of_them(workers: int, of_each: int) -> None:
    probing = Probing(workers, clock=Hand())
    probing.note("shop", KNOWN, True)
    told = [probing.note("shop", varied, False) for varied in variations(KNOWN, 20, of_each)]
    assert told[:-1] == [None] * (of_each - 1)
    assert told[-1].variations == of_each


def test_the_same_hash_again_and_again_is_not() -> None:
    probing = Probing(clock=Hand())
    varied = next(variations(KNOWN, 20, 1))
    assert not any(probing.note("shop", KNOWN if at % 2 else varied, True) for at in range(200))


def test_variations_of_several_tokens_or_over_a_long_time_are_not() -> None:
    clock = Hand()
    probing = Probing(clock=clock)
    for number, varied in enumerate(variations(KNOWN, 20, 70)):
        assert probing.note(f"shop {number % 2}", varied, True) is None
    probing = Probing(clock=clock)
    for varied in variations(KNOWN, 20, 70):
        clock.now += 20
        assert probing.note("shop", varied, True) is None


def test_pictures_that_have_nothing_to_do_with_each_other_are_not() -> None:
    dice, probing = random.Random(2), Probing(clock=Hand())
    assert not any(probing.note("shop", dice.randbytes(32), number % 9 == 0) for number in range(3000))


def test_it_is_seen_among_a_platforms_other_uploads() -> None:
    dice, probing = random.Random(3), Probing(clock=Hand())
    probing.note("shop", KNOWN, True)
    told = []
    for varied in variations(KNOWN, 20, 40):
        told.append(probing.note("shop", varied, False))
        for _ in range(200):
            assert probing.note("shop", dice.randbytes(32), dice.random() < 0.01) is None
    assert told[-1] is not None


def test_what_never_met_a_bank_is_said_so() -> None:
    probing = Probing(clock=Hand())
    told = [probing.note("shop", varied, False) for varied in variations(KNOWN, 20, 41)]
    assert told[-1] is not None
    assert not told[-1].has_met


def test_memory_is_bounded_over_tokens_and_hashes() -> None:
    probing = Probing(clock=Hand())
    for number in range(2000):
        probing.note(f"token {number}", KNOWN, True)
    assert len(probing._centres_of) == 500
    for varied in variations(KNOWN, 24, 5000):
        probing.note("token 1999", varied, True)
    met, others = probing._centres_of["token 1999"]
    assert sum(len(centre.seen) for centre in [*met, *others]) <= 20 * 40


def alarms(worker: Worker) -> list[dict[str, object]]:
    found: list[dict[str, object]] = worker.ask("GET", "/v1/alarms").json()["alarms"]
    return [alarm for alarm in found if alarm["kind"] == "probing"]


def test_an_alarm_names_the_token_and_no_hash(make_worker: Callable[..., Worker]) -> None:
    worker = make_worker(workers=2)
    for varied in [KNOWN, *variations(KNOWN, 20, 20)]:
        worker.ask("POST", "/v1/match", json={"hashes": [{"hash": varied.hex(), "algorithm": "pdq"}]})
    (alarm,) = until(lambda: alarms(worker))
    assert alarm["subject"] == worker.token[4:12]
    assert alarm["facts"] == {"token": worker.token[4:12], "variations": 20}


@pytest.mark.parametrize(("distance_bits", "is_near"), [(40, True), (110, False)])
def test_variations_that_only_nearly_meet_a_bank_raise_one_too(
    worker: Worker, distance_bits: int, is_near: bool
) -> None:
    away = next(variations(KNOWN, distance_bits, 1))
    rows = np.array([list(varied) for varied in variations(away, 4, 60)], np.uint8)
    body = packed.encode_request("pdq", rows)
    answer = worker.ask("POST", "/v1/match", content=body, headers={"content-type": packed.REQUEST_TYPE})
    assert len(packed.decode_answer(answer.content).matches) == 0
    if is_near:
        assert until(lambda: alarms(worker))
    else:
        time.sleep(1.5)
        assert alarms(worker) == []
