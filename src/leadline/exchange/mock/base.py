"""What the stand-ins share: a server on loopback, faults that a person switches on, a record of what was asked.

Beside the protocol each answers, without credentials: `POST /-/faults {"kind": "429", "times": 2, "retry_after_s": 1}`
(an empty body clears them), `POST /-/withdraw {"key": K}`, and `GET /-/asked`, what came in.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

_MAX_BODY_BYTES = 64 << 20
_ASKED_KEPT = 10_000
_BLANKS = b" " * (1 << 16)
_WITHDRAW = '{"key": KEY}; KEY is the entry\'s source_id in `leadline bank list BANK --json`'
USER, PASSWORD, TOKEN = "rehearsal", "rehearsal-password", "rehearsal-token"  # of a stand-in


class FaultKind(StrEnum):
    UNAUTHORISED = "401"
    FORBIDDEN = "403"
    TOO_MANY = "429"  # with Retry-After
    BROKEN = "500"
    SLOW = "slow"  # answers after `seconds`
    CUT = "cut"  # half a body, then the connection ends
    MALFORMED = "malformed"  # a body that is no XML or JSON
    ENDLESS = "endless"  # a body, then blanks for as long as anybody reads
    OUT_OF_ORDER = "out-of-order"  # pages whose entries are not in the order of time
    EXPIRED = "expired"  # the address of a page is no longer known
    REDIRECT = "redirect"  # to an address in a private network


@dataclass(slots=True)
class Fault:
    """times: requests that it meets, the first ones; after: requests of the protocol that it lets pass before."""

    kind: FaultKind
    times: int = 1
    after: int = 0
    retry_after_s: float = 1.0
    seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. query: the last value of each name."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in small letters
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Mock(ABC):
    """One protocol. `answer` runs under a lock: one request at a time. clock: now, in seconds since 1970."""

    name: ClassVar[str]
    paged_faults: ClassVar[frozenset[FaultKind]] = frozenset({FaultKind.OUT_OF_ORDER, FaultKind.EXPIRED})

    def __init__(self, entries: int = 100, seed: int = 1) -> None:
        self.entries, self.random = entries, random.Random(seed)  # noqa: S311 # made-up hashes
        self.clock: Callable[[], float] = time.time
        self.faults: list[Fault] = []
        self.asked: list[Asked] = []
        self.lock = threading.Lock()

    @abstractmethod
    def answer(self, asked: Asked) -> Reply:
        """Of the protocol; credentials are looked at here too."""

    def withdraw(self, key: str) -> bool:
        """Take an entry back, as the source would. False where there is none."""
        return False

    def has_fault(self, kind: FaultKind) -> bool:
        """Whether this kind is on for the request at hand; used up by asking. For the kinds that only a protocol can
        make: `paged_faults`."""
        for fault in self.faults:
            if fault.kind is kind and fault.times > 0:
                if fault.after > 0:
                    fault.after -= 1
                    return False
                fault.times -= 1
                return True
        return False

    def hex(self, count: int) -> str:
        """Made-up digits."""
        return self.random.randbytes(count).hex()


def json_reply(value: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode())


def is_basic(asked: Asked, user: str = USER, password: str = PASSWORD) -> bool:
    want = base64.b64encode(f"{user}:{password}".encode()).decode()
    return asked.headers.get("authorization") == f"Basic {want}"


@contextmanager
def serving(mock: Mock, port: int = 0) -> Iterator[str]:
    """The stand-in on loopback, in threads of this process; gives its address. Port 0: any that is free."""
    server = _Server(("127.0.0.1", port), _Handler)
    server.mock = mock
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    mock: Mock

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asked may have been killed meanwhile: that is no fault of the stand-in's."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body waits 40 ms until the receipt of its head has come back
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: who runs it asks /-/asked."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Of the Date header: the stand-in's own time."""
        return super().date_time_string(self.server.mock.clock() if timestamp is None else timestamp)

    def _serve(self) -> None:
        asked = self._read()
        if asked is None:
            self._write(Reply(413))
        elif asked.path.startswith("/-/"):
            self._write(self._control(asked))
        else:
            self._answer(asked)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve

    def _read(self) -> Asked | None:
        size = int(self.headers.get("content-length") or 0)
        if size > _MAX_BODY_BYTES:
            return None
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Asked(self.command, parts.path, query, headers, self.rfile.read(size))

    def _control(self, asked: Asked) -> Reply:
        try:
            given = json.loads(asked.body or b"{}")
            with self.server.mock.lock:
                return _controlled(self.server.mock, asked.path, given)
        except (AttributeError, KeyError, TypeError, ValueError):
            kinds = ", ".join(FaultKind)
            fault = f'{{"kind": K, "times": 1, "after": 0}}, K one of {kinds}; or nothing, to end all'
            return json_reply({"error": "not understood", "withdraw": _WITHDRAW, "faults": fault}, 400)

    def _answer(self, asked: Asked) -> None:
        mock = self.server.mock
        with mock.lock:
            mock.asked.append(asked)
            del mock.asked[:-_ASKED_KEPT]
            fault = self._take_fault(mock)
            reply = _faulty(fault) or mock.answer(asked)
        if fault is not None and fault.kind is FaultKind.SLOW:
            time.sleep(fault.seconds)
        self._write(reply, fault)

    def _take_fault(self, mock: Mock) -> Fault | None:
        for fault in mock.faults:
            if fault.kind not in mock.paged_faults and fault.times > 0:
                if fault.after > 0:
                    fault.after -= 1
                    return None
                fault.times -= 1
                return fault
        return None

    def _write(self, reply: Reply, fault: Fault | None = None) -> None:
        body, told = reply.body, len(reply.body)
        if fault is not None and fault.kind is FaultKind.CUT:
            body, self.close_connection = body[: len(body) // 2], True
        if fault is not None and fault.kind is FaultKind.MALFORMED:
            body = body[: len(body) // 2] + b"<{" * 3
            told = len(body)
        is_endless = fault is not None and fault.kind is FaultKind.ENDLESS
        self.close_connection |= is_endless
        try:
            self.send_response(reply.status)
            for name, value in {"content-type": reply.content_type, **reply.headers}.items():
                self.send_header(name, value)
            if not is_endless:
                self.send_header("content-length", str(told))
            self.end_headers()
            self.wfile.write(body)
            while is_endless:
                self.wfile.write(_BLANKS)
        except ConnectionError:  # who asked is gone
            self.close_connection = True


def _controlled(mock: Mock, path: str, given: dict[str, Any]) -> Reply:
    """ValueError and the like where `given` is not what it should be."""
    if path == "/-/faults":
        mock.faults[:] = [Fault(**{**given, "kind": FaultKind(given["kind"])})] if given else []
        return json_reply({"faults": len(mock.faults)})
    if path == "/-/withdraw":
        key = str(given["key"])
        if mock.withdraw(key):
            return json_reply({"withdrawn": key})
        return json_reply({"error": "no such entry, or withdrawn before", "key": key, "withdraw": _WITHDRAW}, 404)
    if path == "/-/asked":
        return json_reply([_told(one) for one in mock.asked])
    return json_reply({"error": "not one of /-/faults, /-/withdraw, /-/asked"}, 404)


def _told(asked: Asked) -> dict[str, Any]:
    digest = hashlib.sha256(asked.body).hexdigest()
    return {"method": asked.method, "path": asked.path, "query": dict(asked.query), "sha256": digest}


def _faulty(fault: Fault | None) -> Reply | None:
    """The answer where a fault is one by itself."""
    if fault is None:
        return None
    if fault.kind is FaultKind.REDIRECT:
        return Reply(302, headers={"location": "http://10.1.2.3/elsewhere"})
    if fault.kind.isdigit():
        after = {"retry-after": str(fault.retry_after_s)} if fault.kind is FaultKind.TOO_MANY else {}
        return Reply(int(fault.kind), b"{}", headers=after)
    return None
