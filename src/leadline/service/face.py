"""The application by granian's own interface (RSGI): a body in one await, an answer without any. Knows no route.

ASGI costs a look-up more crossings between threads; docs/decisions.md has the figures. Everything behind stays ASGI.
"""

from __future__ import annotations

import asyncio
import gc
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias
from urllib.parse import unquote

from granian import rsgi
from granian.rsgi import Scope

from leadline.service.app import Service
from leadline.service.calls import Message

_COLLECTED_AFTER = 5000  # new objects, seven times as many as Python would let come
_IN_ONE_PIECE_BYTES = 1 << 20  # a body of such a length is awaited whole: its sender is bound to it by the server
Protocol: TypeAlias = Any  # granian's HTTPProtocol, which it does not export to type checkers
_Gone = (rsgi.ProtocolClosed, rsgi.ProtocolError)  # type: ignore[attr-defined]
_GONE: Message = {"type": "http.disconnect"}


class Face:
    """What granian calls: `__rsgi_init__` before the first request, `__rsgi_del__` after the last."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._life: AbstractAsyncContextManager[None] | None = None

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._life = self._service.living()
        loop.run_until_complete(self._life.__aenter__())
        _leave_alone_what_stays()

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._life is not None:
            loop.run_until_complete(self._life.__aexit__(None, None, None))

    async def __rsgi__(self, scope: Scope, protocol: Protocol) -> None:
        line = _Line(protocol, scope.headers.get("content-length", ""))
        await self._service(_as_asgi(scope), line.receive, line.send)


def _leave_alone_what_stays() -> None:
    """Python's collector looks no more through what was there before the first request, and comes less often: what a
    request makes is mostly gone without it (docs/decisions.md has the figures)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTED_AFTER)


class _Line:
    """Both directions of one request, as ASGI's two calls."""

    __slots__ = ("_body", "_head", "_is_heard", "_length", "_protocol", "_stream")

    def __init__(self, protocol: Protocol, length: str) -> None:
        self._protocol, self._length = protocol, length
        self._body: Any = None  # an iterator, while a body comes in pieces
        self._stream: Any = None  # once an answer goes out in pieces
        self._head: Message = {}
        self._is_heard = False

    async def receive(self) -> Message:
        try:
            if not self._is_heard:
                self._is_heard = True
                if self._length.isdigit() and int(self._length) <= _IN_ONE_PIECE_BYTES:
                    return {"type": "http.request", "body": await self._protocol(), "more_body": False}
                self._body = aiter(self._protocol)
            if self._body is not None:
                return await self._next_piece()
            await self._protocol.client_disconnect()
        except _Gone:
            self._body = None
        return _GONE

    async def _next_piece(self) -> Message:
        try:
            return {"type": "http.request", "body": await anext(self._body), "more_body": True}
        except StopAsyncIteration:
            self._body = None
            return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        """What is sent to a client that has gone is lost, as it would be anyway."""
        if message["type"] == "http.response.start":
            self._head = message
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        try:
            if self._stream is None:
                status, headers = self._head["status"], _as_texts(self._head["headers"])
                if not more:
                    self._protocol.response_bytes(status, headers, body)
                    return
                self._stream = self._protocol.response_stream(status, headers)
            if body:
                await self._stream.send_bytes(body)
        except _Gone:
            pass


def _as_texts(headers: Any) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _as_asgi(scope: Scope) -> Message:
    path, pairs, client = scope.path, scope.headers.items(), scope.client.rpartition(":")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": scope.http_version,
        "method": scope.method,
        "scheme": scope.scheme,
        "path": unquote(path) if "%" in path else path,
        "raw_path": path.encode("latin-1", "replace"),
        "query_string": scope.query_string.encode("latin-1", "replace"),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in pairs],
        "client": (client[0], int(client[2]) if client[2].isdigit() else 0),
        "server": None,
        "state": {},
    }
