"""`GET /v1/changes`: the state, then each change, resumed by what was seen last; ends with the worker."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import MD5, Worker
from tests.service.served import command, free_port, served
from tests.service.test_curating import add, md5, remove
from tests.service.test_flood import until

from leadline.match.bank import Bank
from leadline.service.changes import event_id, read_event_id
from leadline.service.tokens import Scope, Tokens


class Listener:
    """One connection to a worker, without a socket."""

    def __init__(self, worker: Worker, last: str = "", token: str | None = None) -> None:
        self._worker, self.said, self.status, self.is_over = worker, b"", 0, False
        self._gone = worker.do(self._begin(last, worker.token if token is None else token))

    async def _begin(self, last: str, token: str) -> asyncio.Event:
        headers = [(b"authorization", b"Bearer " + token.encode()), (b"last-event-id", last.encode())]
        scope = {
            "type": "http", "method": "GET", "path": "/v1/changes", "raw_path": b"/v1/changes", "query_string": b"",
            "headers": headers, "http_version": "1.1", "scheme": "http", "root_path": "", "client": None,
        }  # fmt: skip
        gone, asked = asyncio.Event(), iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> Any:
            for message in asked:
                return message
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
            else:
                self.said += message["body"]
                self.is_over = not message.get("more_body", False)

        self._task = asyncio.create_task(self._worker.service(scope, receive, send))  # type: ignore[arg-type]
        return gone

    def events(self) -> list[tuple[str, Any]]:
        """Kind and data of what was said until now."""
        told = [dict(line.partition(": ")[::2] for line in block.splitlines()) for block in self._blocks()]
        return [(block["event"], json.loads(block["data"])) for block in told if "event" in block]

    def last(self) -> str:
        return [line for line in self.said.decode().splitlines() if line.startswith("id: ")][-1][4:]

    def _blocks(self) -> list[str]:
        return [block for block in self.said.decode().split("\n\n") if block]

    def leave(self) -> None:
        async def leave() -> None:
            self._gone.set()
            await asyncio.wait_for(self._task, 5)

        self._worker.do(leave())


KNOWN = ("change", {"bank": "known", "list_version": 2, "entries": 2})
HARMLESS = ("change", {"bank": "harmless", "list_version": 1, "entries": 1})


@contextmanager
def listening(worker: Worker, last: str = "", token: str | None = None) -> Iterator[Listener]:
    listener = Listener(worker, last, token)
    until(lambda: listener.status)
    yield listener
    listener.leave()


def test_the_state_is_told_and_then_each_change(worker: Worker) -> None:
    with listening(worker) as listener:
        until(lambda: len(listener.events()) == 2)
        assert listener.events() == [HARMLESS, KNOWN]
        add(worker, {"hashes": {"md5": md5(1)}})
        until(lambda: len(listener.events()) == 3)
        assert listener.events()[2] == ("change", {"bank": "known", "list_version": 3, "entries": 3})


def test_a_change_by_another_process_is_told_by_itself(worker: Worker, shelf: Path) -> None:
    with listening(worker) as listener:
        until(lambda: len(listener.events()) == 2)
        Bank.open(shelf / "known").remove([7])
        until(lambda: len(listener.events()) == 3)


def test_whoever_comes_back_is_told_what_is_another_now(worker: Worker) -> None:
    with listening(worker) as listener:
        until(lambda: len(listener.events()) == 2)
        last = listener.last()
    worker.ask("POST", "/v1/banks", json={"name": "new", "kind": "other"})
    remove(worker, ids=[7])
    with listening(worker, last) as listener:
        until(lambda: len(listener.events()) == 2)
        known, new = listener.events()
        assert known[1] == {"bank": "known", "list_version": 3, "entries": 1}
        assert new[1] == {"bank": "new", "list_version": 0, "entries": 0}
        last = listener.last()
    with listening(worker, last) as listener:
        time.sleep(0.7)
        assert listener.events() == []


def test_each_id_is_of_the_state_after_its_event(worker: Worker) -> None:
    with listening(worker) as listener:
        until(lambda: len(listener.events()) == 2)
        first = next(line for line in listener.said.decode().splitlines() if line.startswith("id: "))[4:]
    with listening(worker, first) as listener:
        until(lambda: listener.events())
        assert listener.events() == [KNOWN]


def test_a_bank_that_is_gone_or_silent_is_told_to_be_gone(make_worker: Callable[..., Worker]) -> None:
    admin = make_worker()
    _, matcher = Tokens(admin.options.state).add("m", frozenset({Scope.MATCH}))
    with listening(admin, token=matcher) as listener, listening(admin) as other:
        until(lambda: len(listener.events()) == len(other.events()) == 2)
        admin.ask("PUT", "/v1/banks/harmless/settings", json={"shadow": True})
        until(lambda: len(listener.events()) == 3)
        assert listener.events()[2] == ("gone", {"bank": "harmless"})
        assert len(other.events()) == 2


@pytest.mark.parametrize("last", ["x", "====", "eyJhIjo", event_id({"no bank": "1-1"}).decode(), "\xff", "W10"])
def test_an_id_that_is_none_of_ours_begins_anew(worker: Worker, last: str) -> None:
    with listening(worker, last) as listener:
        until(lambda: listener.events()[-2:] == [HARMLESS, KNOWN])


def test_ids_are_read_as_they_were_written() -> None:
    versions = {"a": "0123abcd-7", "ключ": "x-1"}
    assert read_event_id(event_id(versions)) == versions


def test_a_heartbeat_is_sent_where_nothing_changes(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadline.service.changes.HEARTBEAT_S", 0.05)
    with listening(worker) as listener:
        until(lambda: listener.said.count(b": alive\n\n") > 1)
        assert listener.events() == [HARMLESS, KNOWN]


def test_listeners_hold_no_place_among_the_requests_and_are_bounded(make_worker: Callable[..., Worker]) -> None:
    worker = make_worker(in_flight=1)
    listeners = [Listener(worker) for _ in range(8)]
    until(lambda: all(listener.status == 200 for listener in listeners))
    assert worker.ask("POST", "/v1/match", json={"hashes": [MD5]}).status_code == 200
    refused = Listener(worker)
    until(lambda: refused.status == 429)
    listeners[0].leave()
    with listening(worker) as again:
        assert again.status == 200
    for listener in listeners[1:]:
        listener.leave()


def test_listeners_are_those_who_may_match(make_worker: Callable[..., Worker]) -> None:
    refused = Listener(make_worker(Scope.HASH))
    until(lambda: refused.status == 403)


def test_who_listens_with_a_token_that_is_removed_or_ends_is_let_go(worker: Worker) -> None:
    tokens, match = Tokens(worker.options.state), frozenset({Scope.MATCH})
    (removed, text), (_, short) = tokens.add("removed", match), tokens.add("short", match, lasts_s=2)
    with listening(worker) as other, listening(worker, token=text) as listener, listening(worker, token=short) as ends:
        until(lambda: len(listener.events()) == len(ends.events()) == 2)
        tokens.remove(removed.id)
        until(lambda: listener.is_over and ends.is_over)
        assert not other.is_over
    refused = Listener(worker, token=text)
    until(lambda: refused.status == 401)


def test_they_end_when_the_worker_is_told_to(shelf: Path, tmp_path: Path) -> None:
    """As a process of its own: a stream that went on would hold the worker until it is killed."""
    port, state = free_port(), tmp_path / "state"
    _, token = Tokens(state).add("test", frozenset({Scope.MATCH}))
    with served(command(shelf, state, port, "--workers", "1"), port, tmp_path / "log", token) as service:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/v1/changes", headers={"authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        assert answer.readline() == b"event: change\n"
        began_s = time.monotonic()
        service.end()
        assert answer.read().endswith(b"\n\n")
        assert time.monotonic() - began_s < 10
        connection.close()
