"""What is tried again, and what never is; every failure has its place in the tree of errors."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest

from leadline.client import AsyncClient, Client, NewEntry, Patience, packed
from leadline.errors import (
    AnswerBroken,
    BankNotFound,
    ConfigError,
    HashFormatError,
    RequestRefused,
    ScopeMissing,
    ServiceError,
    ServiceUnavailable,
    TokenRefused,
    TooBusy,
)

MD5 = "a1" * 16
TOKEN = "llt_abcdefgh_" + "x" * 43
QUICK = Patience(first_wait_s=0.0001)
NOTHING = {"answers": [{"matches": []}], "lists": {"known": 3}}


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    told = {"type": f"about:blank#{code}", "status": status, "code": code, "detail": "made up"}
    return httpx.Response(status, json=told, headers=headers)


class Stage:
    """Answers in turn; an exception is raised, the last one goes on for ever."""

    def __init__(self, *turns: httpx.Response | Exception) -> None:
        self.turns, self.requests = list(turns), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        turn = self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]
        if isinstance(turn, Exception):
            raise turn
        return httpx.Response(turn.status_code, headers=turn.headers, content=turn.content)

    def client(self, **options: Any) -> Client:
        named = {"token": TOKEN, "patience": QUICK, **options}
        return Client("https://match.example", transport=httpx.MockTransport(self), **named)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "token", TokenRefused),
        (403, "scope", ScopeMissing),
        (404, "bank-not-found", BankNotFound),
        (404, "not-found", RequestRefused),
        (413, "too-large", RequestRefused),
        (422, "body", RequestRefused),
        (500, "fault", ServiceError),
    ],
)
def test_a_problem_is_an_error_of_the_tree_and_is_not_tried_again(status: int, code: str, kind: type) -> None:
    stage = Stage(problem(status, code))
    with pytest.raises(kind) as raised:
        stage.client().match(MD5)
    assert type(raised.value) is kind
    assert raised.value.code == code
    assert raised.value.where == "POST /v1/match"
    assert len(stage.requests) == 1


@pytest.mark.parametrize(
    "turn",
    [
        httpx.ConnectError("x"),
        httpx.ReadTimeout("x"),
        httpx.RemoteProtocolError("x"),
        problem(429, "busy", **{"retry-after": "0"}),
        problem(503, "bank-locked"),
        httpx.Response(502, text="<html>a proxy</html>"),
    ],
    ids=["unreachable", "late", "cut", "429", "503", "502"],
)
def test_a_look_up_is_tried_again_until_it_is_answered(turn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadline.client.sync.time.sleep", lambda _: None)
    stage = Stage(turn, turn, httpx.Response(200, json=NOTHING))
    (answer,) = stage.client().match(MD5)
    assert (answer.matches, dict(answer.lists)) == ((), {"known": 3})
    assert [request.content for request in stage.requests] == [stage.requests[0].content] * 3


def test_in_the_end_it_is_an_error() -> None:
    stage = Stage(problem(503, "bank-locked"))
    with pytest.raises(ServiceUnavailable) as raised:
        stage.client(patience=Patience(tries=3, first_wait_s=0.0001)).match(MD5)
    assert raised.value.code == "bank-locked"
    assert len(stage.requests) == 3


def test_it_waits_as_long_as_the_service_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("leadline.client.sync.time.sleep", waits.append)
    busy = problem(429, "too-many-requests", **{"retry-after": "7"})
    Stage(busy, httpx.Response(200, json=NOTHING)).client().match(MD5)
    assert 7 <= waits[0] < 7.1


def test_who_is_asked_to_wait_for_longer_than_is_sensible_is_told_so_at_once() -> None:
    stage = Stage(problem(429, "too-many-requests", **{"retry-after": "3600"}))
    with pytest.raises(TooBusy) as raised:
        stage.client().match(MD5)
    assert raised.value.retry_after_s == 3600
    assert len(stage.requests) == 1


@pytest.mark.parametrize(
    "told",
    [
        {"answers": [], "lists": {}},
        {"answers": [{"matches": []}, {"matches": []}], "lists": {}},
        {"answers": [{}], "lists": {}},
        {"answers": [{"matches": [{"bank": "known", "kind": "no such kind"}]}], "lists": {}},
        {"answers": [{"matches": []}]},
        [],
    ],
    ids=["fewer", "more", "neither matches nor an error", "unknown kind", "no versions", "another thing"],
)
def test_what_is_not_the_answer_is_never_taken_for_no_match(told: Any) -> None:
    with pytest.raises(AnswerBroken):
        Stage(httpx.Response(200, json=told)).client().match(MD5)


@pytest.mark.parametrize("turn", [httpx.Response(200, text="<html>"), httpx.Response(302, headers={"location": "/"})])
def test_a_page_or_a_redirect_is_no_answer(turn: httpx.Response) -> None:
    with pytest.raises(AnswerBroken):
        Stage(turn).client().match(MD5)


def test_a_packed_answer_to_other_rows_is_none() -> None:
    rows = np.zeros((2, 32), np.uint8)
    fewer = packed.encode_answer(1, [("known", 1)], np.empty(0, packed.MATCH))
    beyond = np.zeros(1, packed.MATCH)
    beyond["hash"] = 2
    for body in (fewer, packed.encode_answer(2, [("known", 1)], beyond), b"LLM1", b""):
        with pytest.raises(AnswerBroken):
            Stage(httpx.Response(200, content=body)).client().match_packed(rows)


def test_packed_rows_beyond_one_request_are_told_as_one_answer() -> None:
    def one(banks: list[tuple[str, int]], bank: int) -> httpx.Response:
        found = np.zeros(1, packed.MATCH)
        found["hash"], found["bank"] = 3, bank
        return httpx.Response(200, content=packed.encode_answer(10_000 if bank else 5, banks, found))

    stage = Stage(one([("a", 4), ("b", 1)], 1), one([("b", 2)], 0))
    told = stage.client().match_packed(np.zeros((10_005, 32), np.uint8))
    assert told.hashes == 10_005
    assert told.matches["hash"].tolist() == [3, 10_003]
    assert [told.banks[number] for number in told.matches["bank"]] == [("b", 1), ("b", 1)]
    parts = [[(f"{part} {number}", 1) for number in range(200)] for part in range(2)]
    told = Stage(one(parts[0], 3), one(parts[1], 0)).client().match_packed(np.zeros((10_005, 32), np.uint8))
    assert [told.banks[number][0] for number in told.matches["bank"]] == ["0 3", "1 0"]


def test_a_hash_that_is_none_fails_before_anything_is_sent() -> None:
    stage = Stage(httpx.Response(200, json=NOTHING))
    for wrong in (b"short", "ä", None, "a" * 1000):
        with pytest.raises(HashFormatError):
            stage.client().match(MD5, wrong)  # type: ignore[arg-type]
    assert stage.requests == []


def test_a_look_up_in_no_bank_is_refused() -> None:
    stage = Stage(httpx.Response(200, json=NOTHING))
    for wrong in ([], "known"):
        with pytest.raises(RequestRefused):
            stage.client().match(MD5, banks=wrong)
    assert stage.requests == []


def test_many_hashes_have_their_errors_in_place() -> None:
    fault = {"error": {"code": "hash-format", "message": "not a hash"}}
    told = {"answers": [{"matches": []}, fault], "lists": {}}
    first, second, third = Stage(httpx.Response(200, json=told)).client().match_many([MD5, b"short", "zz"])
    assert first == msgspec.structs.replace(first, matches=())
    assert isinstance(second, HashFormatError)
    assert isinstance(third, HashFormatError)


def test_the_token_is_nowhere_to_be_read(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.DEBUG)
    kept = tmp_path / "token"
    kept.write_text(f"{TOKEN}\n")
    stage = Stage(problem(401, "token"))
    client = stage.client(token=None, token_file=kept)
    with pytest.raises(TokenRefused) as raised:
        client.match(MD5)
    assert stage.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    shown = [repr(client), repr(client._address), repr(client._http.headers), repr(raised.value), str(raised.value)]
    assert [text for text in [*shown, caplog.text] if "llt_" in text] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://match.example"},
        {"url": "ftp://match.example"},
        {"url": "match.example"},
        {"url": f"https://{TOKEN}@match.example"},
        {"url": "https://match.example", "token": "two words"},
        {"url": "https://match.example", "token_file": Path("absent")},
        {"url": "https://match.example", "authorities": Path("absent")},
    ],
    ids=["clear", "scheme", "no scheme", "in the address", "blank", "no file", "no authorities"],
)
def test_an_unsafe_or_unreadable_configuration_is_refused(wrong: dict[str, Any]) -> None:
    if "token_file" not in wrong:
        wrong = {"token": TOKEN, **wrong}
    with pytest.raises(ConfigError) as raised:
        Client(**wrong)
    assert TOKEN not in str(raised.value)


def test_a_token_in_clear_stays_on_this_machine() -> None:
    Client("http://127.0.0.1:1", token=TOKEN).close()
    Client("http://[::1]:1", token=TOKEN).close()
    Client("http://match.example", token=TOKEN, clear=True).close()


# --- gathering -------------------------------------------------------------------------------------------------------


def gathered(handler: Callable[[httpx.Request], httpx.Response], work: Any, **options: Any) -> Any:
    async def scenario() -> Any:
        transport = httpx.MockTransport(handler)
        named = {"patience": QUICK, "gather_ms": 5.0, **options}
        async with AsyncClient("https://match.example", token=TOKEN, transport=transport, **named) as client:
            return await work(client)

    return asyncio.run(scenario())


def echo(request: httpx.Request) -> httpx.Response:
    """Tells of each hash its own digits, as the name of a bank."""
    asked = msgspec.json.decode(request.content)["hashes"]
    answers = [{"matches": [{"bank": text, "kind": "illegal"}]} for text in asked]
    return httpx.Response(200, json={"answers": answers, "lists": {}})


def test_tasks_that_run_at_the_same_time_share_a_request_and_each_gets_its_own_answer() -> None:
    stage = Stage(httpx.Response(200))

    def handler(request: httpx.Request) -> httpx.Response:
        stage.requests.append(request)
        return echo(request)

    hashes = [f"{number:032x}" for number in range(100)]

    async def work(client: AsyncClient) -> Any:
        return await asyncio.gather(*(client.match(text, "f" * 32) for text in hashes))

    told = gathered(handler, work)
    assert [[answer.matches[0].bank for answer in pair] for pair in told] == [[text, "f" * 32] for text in hashes]
    assert len(stage.requests) == 1


def test_what_differs_in_its_terms_shares_nothing() -> None:
    seen: list[Any] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked = msgspec.json.decode(request.content)
        seen.append((asked.get("banks"), asked.get("radius")))
        return echo(request)

    async def work(client: AsyncClient) -> Any:
        await asyncio.gather(client.match(MD5), client.match(MD5, banks=["a"]), client.match(MD5, radius=3))

    gathered(handler, work)
    assert sorted(seen, key=str) == sorted([(None, None), (["a"], None), (None, 3)], key=str)


def test_more_than_one_request_holds_goes_in_two() -> None:
    sizes: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sizes.append(len(msgspec.json.decode(request.content)["hashes"]))
        return echo(request)

    async def work(client: AsyncClient) -> Any:
        return await asyncio.gather(*(client.match(*[MD5] * 6_000) for _ in range(3)))

    told = gathered(handler, work)
    assert [len(part) for part in told] == [6_000] * 3
    assert sorted(sizes) == [6_000, 6_000, 6_000]


def test_a_failure_reaches_everybody_who_shared_the_request() -> None:
    async def work(client: AsyncClient) -> Any:
        return await asyncio.gather(*(client.match(MD5) for _ in range(3)), return_exceptions=True)

    told = gathered(lambda request: problem(500, "fault"), work)
    assert [type(item) for item in told] == [ServiceError] * 3


def test_who_gives_up_leaves_the_others_their_answers() -> None:
    async def work(client: AsyncClient) -> Any:
        first = asyncio.ensure_future(client.match("0" * 32))
        second = asyncio.ensure_future(client.match("1" * 32))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert gathered(echo, work)[0].matches[0].bank == "1" * 32


def test_closing_sends_what_still_waits() -> None:
    async def scenario() -> Any:
        client = AsyncClient("https://match.example", transport=httpx.MockTransport(echo), gather_ms=60_000)
        waiting = asyncio.ensure_future(client.match(MD5))
        await asyncio.sleep(0)
        await client.close()
        return await waiting

    assert asyncio.run(scenario())[0].matches[0].bank == MD5


def test_a_file_that_changes_while_it_is_sent_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(b"x")
    stage = Stage(httpx.LocalProtocolError("Too much data for declared Content-Length"))
    with pytest.raises(RequestRefused):
        stage.client().hash(path)
    assert stage.requests[0].headers["content-length"] == "1"
    assert len(stage.requests) == 1


def test_a_file_that_cannot_be_read_again_is_not_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadline.client.sync.time.sleep", lambda _: None)

    class Pipe(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return 0

    stage = Stage(problem(429, "busy"))
    with pytest.raises(TooBusy):
        stage.client().hash(Pipe())  # type: ignore[arg-type]
    assert len(stage.requests) == 1
    with pytest.raises(TooBusy):
        stage.client().hash(io.BytesIO(b"again"))
    assert [request.content.count(b"again") for request in stage.requests[1:]] == [1] * 4


# --- changes ---------------------------------------------------------------------------------------------------------


def event(bank: str, version: int, state: str, kind: str = "change") -> str:
    return f'event: {kind}\nid: {state}\ndata: {{"bank":"{bank}","list_version":{version},"entries":3}}\n\n'


def stream(*events: str) -> httpx.Response:
    return httpx.Response(200, text=": alive\n\n" + "".join(events), headers={"content-type": "text/event-stream"})


def test_who_listens_goes_on_after_the_last_event_when_the_connection_breaks() -> None:
    later = stream(event("a", 2, "s2"), event("b", 1, "s3", "gone"))
    stage = Stage(stream(event("a", 1, "s1")), httpx.ReadError("x"), later)
    heard = stage.client().changes()
    told = [next(heard) for _ in range(3)]
    assert [(change.bank, change.list_version, change.is_gone) for change in told] == [
        ("a", 1, False), ("a", 2, False), ("b", 1, True),
    ]  # fmt: skip
    assert [request.headers.get("last-event-id") for request in stage.requests] == [None, "s1", "s1"]


def test_who_listens_is_told_in_the_end_that_nobody_is_there() -> None:
    heard = Stage(stream(event("a", 1, "s1")), httpx.ConnectError("x")).client().changes("s0")
    assert next(heard).id == "s1"
    with pytest.raises(ServiceUnavailable):
        next(heard)


@pytest.mark.parametrize(
    ("turn", "kind"),
    [
        (problem(403, "scope"), ScopeMissing),
        (httpx.Response(200, text="<html>"), AnswerBroken),
        (stream("event: other\ndata: {}\n\n"), AnswerBroken),
        (stream("event: change\nid: s\ndata: {}\n\n"), AnswerBroken),
    ],
    ids=["scope", "a page", "unknown", "without a bank"],
)
def test_what_is_no_stream_of_changes_is_an_error(turn: httpx.Response, kind: type) -> None:
    with pytest.raises(kind):
        next(Stage(turn).client().changes())


def test_async_listeners_hear_the_same() -> None:
    stage = Stage(stream(event("a", 1, "s1")), stream(event("a", 2, "s2")))

    async def work(client: AsyncClient) -> Any:
        told = []
        async for change in client.changes():
            told.append(change.id)
            if len(told) == 2:
                return told

    assert gathered(stage, work) == ["s1", "s2"]


# --- changes of banks ------------------------------------------------------------------------------------------------


def test_an_addition_that_is_sent_again_bears_the_same_key() -> None:
    told = {"bank": "known", "list_version": 2, "asked": 1, "added": 1, "ids": [8], "refused": []}
    stage = Stage(httpx.ReadTimeout("x"), httpx.Response(200, json=told))
    assert stage.client().add_entries("known", [NewEntry(hashes={"md5": MD5})]).ids == (8,)
    first, second = (request.headers["idempotency-key"] for request in stage.requests)
    assert first == second
    again = Stage(httpx.Response(200, json=told))
    again.client().add_entries("known", [NewEntry(hashes={"md5": MD5})])
    assert again.requests[0].headers["idempotency-key"] != first


def test_what_would_break_a_header_is_refused() -> None:
    stage = Stage(httpx.Response(200, json={}))
    for key in ("", "two words", "line\nbreak", "ä", "x" * 201):
        with pytest.raises(RequestRefused):
            stage.client().add_entries("known", [NewEntry(hashes={"md5": MD5})], key=key)
    with pytest.raises(RequestRefused):
        next(stage.client().changes("line\nbreak"))
    assert stage.requests == []


def test_an_addition_that_answers_for_fewer_is_an_error() -> None:
    told = {"bank": "known", "list_version": 2, "ids": [8, None], "refused": []}
    entries = [NewEntry(hashes={"md5": MD5})] * 2
    for ids in ([8], [8, None]):
        with pytest.raises(AnswerBroken):
            Stage(httpx.Response(200, json=told | {"ids": ids})).client().add_entries("known", entries)


def test_a_removal_that_answers_for_fewer_is_an_error() -> None:
    told = {"bank": "known", "list_version": 2, "ids": [8], "refused": []}
    with pytest.raises(AnswerBroken):
        Stage(httpx.Response(200, json=told)).client().remove_entries("known", ids=[8, 9])


def test_a_list_of_banks_that_does_not_go_on_is_an_error() -> None:
    bank = {"name": "a", "kind": "illegal", "entries": 1, "list_version": 1}
    pages = [httpx.Response(200, json={"banks": [bank], "next": step}) for step in ("a", "a")]
    with pytest.raises(AnswerBroken):
        Stage(*pages).client().banks()
    pages[1] = httpx.Response(200, json={"banks": [bank | {"name": "b"}], "next": None})
    stage = Stage(*pages)
    assert [told.name for told in stage.client().banks()] == ["a", "b"]
    assert [request.url.params.get("after") for request in stage.requests] == [None, "a"]
