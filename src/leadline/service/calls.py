"""One request on its way: its body, read within bounds, and its answer. Knows no route."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from leadline.errors import RequestRefused
from leadline.service.options import Options
from leadline.service.problems import Problem, as_message
from leadline.service.tokens import Token

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Waits = dict["asyncio.Task[Any] | None", float]  # who waits for a piece of a body, and until when
JSON = b"application/json"
_NO_STORE = (b"cache-control", b"no-store")
_NO_SNIFF = (b"x-content-type-options", b"nosniff")


class SenderGone(Exception):
    """The client closed the connection before its request was whole: nobody is there to be answered."""


class Call:
    """What an endpoint gets. `status` is 0 until an answer has begun."""

    __slots__ = ("_receive", "_send", "options", "route", "scope", "status", "token", "waits")

    def __init__(
        self, scope: Message, receive: Receive, send: Send, token: Token, options: Options, waits: Waits
    ) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self.token, self.options, self.waits = token, options, waits
        self.route, self.status = "", 0

    def header(self, name: bytes) -> bytes:
        """By its name in small letters; empty where absent."""
        for sent, value in self.scope["headers"]:
            if sent == name:
                return bytes(value)
        return b""

    def bound(self, limit_bytes: int) -> int:
        """The limit, or that of this token where it is smaller."""
        own_bytes = self.token.max_body_bytes
        return min(own_bytes, limit_bytes) if own_bytes else limit_bytes

    async def pieces(self, limit_bytes: int) -> AsyncIterator[bytes]:
        """The body as it comes. RequestRefused: too-large, timeout, length (it is not what the sender said it is)."""
        limit_bytes = self.bound(limit_bytes)
        said = self._said_bytes(limit_bytes)
        come, more = 0, True
        give_up_s = self._end_of_time_s()
        while more:
            piece, more = await self._hear(give_up_s)
            come += len(piece)
            if come > limit_bytes:
                raise _too_large(limit_bytes)
            if piece:
                yield piece
        _check_length(said, come)

    async def body(self, limit_bytes: int | None = None) -> bytes:
        """All of it. Raises as `pieces`."""
        limit_bytes = self.bound(self.options.max_body_bytes if limit_bytes is None else limit_bytes)
        said = self._said_bytes(limit_bytes)
        give_up_s = self._end_of_time_s()
        whole, more = await self._hear(give_up_s)
        if more:
            come = [whole]
            while more and sum(map(len, come)) <= limit_bytes:
                piece, more = await self._hear(give_up_s)
                come.append(piece)
            whole = b"".join(come)
        if len(whole) > limit_bytes:
            raise _too_large(limit_bytes)
        _check_length(said, len(whole))
        return whole

    def _end_of_time_s(self) -> float:
        own_s, most_s = self.token.body_timeout_s, self.options.body_timeout_s
        return time.monotonic() + (min(own_s, most_s) if own_s else most_s)

    def _said_bytes(self, limit_bytes: int) -> int | None:
        said = self.header(b"content-length")
        if not said.isdigit():
            return None
        if int(said) > limit_bytes:
            raise _too_large(limit_bytes)
        return int(said)

    async def _hear(self, give_up_s: float) -> tuple[bytes, bool]:
        """The next piece, and whether more follow."""
        task = asyncio.current_task()
        self.waits[task] = give_up_s
        try:
            message = await self._receive()
        except asyncio.CancelledError:
            if self.waits.get(task) is not None:  # the server ends, or the client has gone
                raise
            assert task is not None
            task.uncancel()
            raise RequestRefused("the body did not come in time", status=408, code="timeout") from None
        finally:
            self.waits.pop(task, None)
        if message["type"] != "http.request":
            raise SenderGone
        return message.get("body", b""), message.get("more_body", False)

    async def reply(
        self,
        body: bytes,
        content_type: bytes = JSON,
        status: int = 200,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        self.status = status
        told = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), _NO_STORE, _NO_SNIFF, *headers]
        await self._send({"type": "http.response.start", "status": status, "headers": told})
        await self._send({"type": "http.response.body", "body": body})

    async def begin(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """An answer that is sent in pieces."""
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def send_piece(self, piece: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": piece, "more_body": more})

    async def hear_end(self) -> None:
        """Returns when the client has closed the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    @property
    def speaks_hma(self) -> bool:
        """Whether it is one of HMA's addresses, whose errors have a shape of their own."""
        path: str = self.scope["path"]
        return path.startswith(("/h/", "/m/", "/c/")) or path in ("/status", "/status/live")

    async def refuse(self, problem: Problem) -> None:
        told = as_message(problem) if self.speaks_hma else problem
        await self.reply(told.body, told.content_type, told.status, told.headers)


def end_overdue(waits: Waits) -> None:
    """Cancel what waits for a sender longer than it may: one look now and then, instead of a timer for each request."""
    now = time.monotonic()
    for task in [task for task, give_up_s in waits.items() if give_up_s < now and task is not None]:
        del waits[task]  # tells the task why it was cancelled
        task.cancel()


def _too_large(limit_bytes: int) -> RequestRefused:
    mend = f"send at most {limit_bytes} bytes"
    return RequestRefused("a body that is too large", status=413, code="too-large", mend=mend)


def _check_length(said: int | None, come: int) -> None:
    if said is not None and said != come:
        raise RequestRefused("a body of another length than its header says", status=400, code="length")
