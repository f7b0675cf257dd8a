"""One request on its way: its body, read within bounds, and its answer. Knows no route."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from leadline.errors import RequestRefused
from leadline.service.options import Options
from leadline.service.problems import CONTENT_TYPE, Problem
from leadline.service.tokens import Token

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
JSON = b"application/json"
_NO_STORE = (b"cache-control", b"no-store")
_NO_SNIFF = (b"x-content-type-options", b"nosniff")


class SenderGone(Exception):
    """The client closed the connection before its request was whole: nobody is there to be answered."""


class Call:
    """What an endpoint gets. `status` is 0 until an answer has begun."""

    __slots__ = ("_receive", "_send", "options", "route", "scope", "status", "token")

    def __init__(self, scope: Message, receive: Receive, send: Send, token: Token, options: Options) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self.token, self.options = token, options
        self.route, self.status = "", 0

    def header(self, name: bytes) -> bytes:
        """By its name in small letters; empty where absent."""
        for sent, value in self.scope["headers"]:
            if sent == name:
                return bytes(value)
        return b""

    async def pieces(self, limit_bytes: int) -> AsyncIterator[bytes]:
        """The body as it comes. RequestRefused: too-large, timeout, length (it is not what the sender said it is)."""
        said = self.header(b"content-length")
        if said.isdigit() and int(said) > limit_bytes:
            raise RequestRefused("a body that is too large", status=413, code="too-large", mend=_at_most(limit_bytes))
        come, more = 0, True
        give_up_s = asyncio.get_running_loop().time() + self.options.body_timeout_s
        while more:
            message = await self._hear(give_up_s)
            if message["type"] != "http.request":
                raise SenderGone
            piece, more = message.get("body", b""), message.get("more_body", False)
            come += len(piece)
            if come > limit_bytes:
                raise RequestRefused(
                    "a body that is too large", status=413, code="too-large", mend=_at_most(limit_bytes)
                )
            if piece:
                yield piece
        if said.isdigit() and int(said) != come:
            raise RequestRefused("a body of another length than its header says", status=400, code="length")

    async def _hear(self, give_up_s: float) -> Message:
        try:
            async with asyncio.timeout_at(give_up_s):
                return await self._receive()
        except TimeoutError:
            raise RequestRefused("the body did not come in time", status=408, code="timeout") from None

    async def body(self, limit_bytes: int | None = None) -> bytes:
        """All of it. Raises as `pieces`."""
        limit_bytes = self.options.max_body_bytes if limit_bytes is None else limit_bytes
        return b"".join([piece async for piece in self.pieces(limit_bytes)])

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

    async def refuse(self, problem: Problem) -> None:
        await self.reply(problem.body, CONTENT_TYPE, problem.status, problem.headers)


def _at_most(limit_bytes: int) -> str:
    return f"send at most {limit_bytes} bytes"
