"""A body is read within bounds of size and time, and its length is what was said."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest

from leadline.errors import RequestRefused
from leadline.service.calls import Call, SenderGone, Waits, end_overdue
from leadline.service.options import Options
from leadline.service.tokens import EVERYBODY, Token


def call_with(
    pieces: list[dict[str, Any]], said: int | None = None, waits: Waits | None = None, token: Token = EVERYBODY
) -> Call:
    left = list(pieces)

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Event().wait()  # a sender that sends no more, and stays
        return left.pop(0)

    async def send(message: Any) -> None:
        raise AssertionError("nothing is answered here")

    headers = [] if said is None else [(b"content-length", b"%d" % said)]
    options = Options(body_timeout_s=5)
    return Call({"headers": headers}, receive, send, token, options, {} if waits is None else waits)


def piece(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def in_one(call: Call) -> bytes:
    return await call.body(10)


async def in_pieces(call: Call) -> bytes:
    return b"".join([part async for part in call.pieces(10)])


WAYS = pytest.mark.parametrize("read", [in_one, in_pieces])


@WAYS
@pytest.mark.parametrize("parts", [[b"0123456789"], [b"01234", b"", b"56789"], [b""]])
def test_a_body_comes_whole_however_it_was_cut(read: Any, parts: list[bytes]) -> None:
    sent = [piece(part, more=at < len(parts) - 1) for at, part in enumerate(parts)]
    assert asyncio.run(read(call_with(sent))) == b"".join(parts)
    assert asyncio.run(read(call_with(sent, said=len(b"".join(parts))))) == b"".join(parts)


@WAYS
@pytest.mark.parametrize(
    ("sent", "said", "code"),
    [
        ([piece(b"x" * 11, more=False)], None, "too-large"),
        ([piece(b"x" * 6, more=True), piece(b"x" * 6, more=True)], None, "too-large"),
        ([], 11, "too-large"),  # before a byte is waited for
        ([piece(b"x" * 4, more=False)], 5, "length"),
        ([piece(b"x" * 6, more=False)], 5, "length"),
    ],
)
def test_a_body_out_of_bounds_is_refused(read: Any, sent: list[Any], said: int | None, code: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        asyncio.run(read(call_with(sent, said)))
    assert refused.value.code == code


@WAYS
@pytest.mark.parametrize(("own_bytes", "limit_bytes"), [(4, 4), (11, 10)])
def test_a_token_can_have_a_limit_that_is_smaller_never_larger(read: Any, own_bytes: int, limit_bytes: int) -> None:
    token = msgspec.structs.replace(EVERYBODY, max_body_bytes=own_bytes)
    assert asyncio.run(read(call_with([piece(b"x" * limit_bytes, more=False)], token=token)))
    with pytest.raises(RequestRefused, match=f"at most {limit_bytes} bytes"):
        asyncio.run(read(call_with([piece(b"x" * (limit_bytes + 1), more=False)], token=token)))


@WAYS
def test_a_sender_who_goes_is_answered_by_nobody(read: Any) -> None:
    with pytest.raises(SenderGone):
        asyncio.run(read(call_with([piece(b"x", more=True), {"type": "http.disconnect"}])))


@WAYS
@pytest.mark.parametrize(("own_s", "most_s"), [(0, 5), (3, 3), (60, 5)])
def test_a_sender_who_dribbles_is_ended_when_the_time_is_over(
    read: Any, own_s: int, most_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: Waits = {}
    token = msgspec.structs.replace(EVERYBODY, body_timeout_s=own_s)

    async def run() -> None:
        reading = asyncio.create_task(read(call_with([piece(b"x", more=True)], waits=waits, token=token)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        end_overdue(waits)
        await asyncio.sleep(0)
        assert not reading.done()  # there is time yet
        later = time.monotonic() + most_s + 0.5
        monkeypatch.setattr(time, "monotonic", lambda: later)
        end_overdue(waits)
        with pytest.raises(RequestRefused) as refused:
            await reading
        assert (refused.value.code, refused.value.status) == ("timeout", 408)
        assert reading.cancelling() == 0

    asyncio.run(run())
    assert waits == {}


def test_a_server_that_ends_is_no_timeout() -> None:
    async def run() -> None:
        reading = asyncio.create_task(in_one(call_with([])))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(run())
