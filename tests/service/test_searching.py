"""Long lists wait for a search up to a bound; beyond it they are told to come again, and none is lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.service.conftest import Worker

from leadline.client import packed
from leadline.errors import TooBusy
from leadline.service.searching import Searching


def test_a_list_beyond_the_bound_is_told_to_come_again_and_those_before_it_are_answered() -> None:
    async def scenario() -> None:
        held = threading.Event()
        with ThreadPoolExecutor(1) as threads:
            searching = Searching(threads, 100)
            first = asyncio.create_task(searching.run(60, held.wait))
            second = asyncio.create_task(searching.run(40, lambda: "second"))
            await asyncio.sleep(0)
            assert searching.waiting == 100
            with pytest.raises(TooBusy) as refused:
                await searching.run(1, lambda: "third")
            assert refused.value.retry_after_s == 1
            held.set()
            assert (await first, await second) == (True, "second")
            assert searching.waiting == 0
            assert await searching.run(500, lambda: "alone") == "alone"

    asyncio.run(scenario())


def test_who_leaves_gives_no_place_back_before_the_search_ends() -> None:
    async def scenario() -> None:
        held = threading.Event()
        with ThreadPoolExecutor(1) as threads:
            searching = Searching(threads, 100)
            asked = asyncio.create_task(searching.run(60, held.wait))
            await asyncio.sleep(0)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            assert searching.waiting == 60
            held.set()
            while searching.waiting:
                await asyncio.sleep(0.001)

    asyncio.run(scenario())


def test_a_packed_list_without_a_place_is_429_with_retry_after(make_worker: Callable[..., Worker]) -> None:
    worker = make_worker(queued_hashes=100)
    sent = packed.encode_request("pdq", np.zeros((50, 32), np.uint8))
    kind = {"content-type": packed.REQUEST_TYPE}
    worker.service.desk.searching.waiting = 51
    refused = worker.ask("POST", "/v1/match", content=sent, headers=kind)
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, "busy", "1")
    many = worker.ask("POST", "/v1/match", json={"hashes": ["a1" * 16] * 50})
    assert (many.status_code, many.json()["code"]) == (429, "busy")
    worker.service.desk.searching.waiting = 50
    assert worker.ask("POST", "/v1/match", content=sent, headers=kind).status_code == 200
