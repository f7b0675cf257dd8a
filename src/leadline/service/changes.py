"""`GET /v1/changes`: who wants to know when a bank changes hears it as server-sent events, until the worker ends.

An event's id holds the versions of all banks, as this token may know them, so that whoever comes back with it, to
any worker or replica, is told what is another now, and nothing twice.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import msgspec

from leadline.match.bank import Bank
from leadline.service.calls import Call
from leadline.service.desk import Desk
from leadline.service.endpoints import may_know_all
from leadline.service.tokens import Scope

PATH = "/v1/changes"
HEARTBEAT_S = 15.0
_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # a proxy must not collect them
    (b"x-content-type-options", b"nosniff"),
]
Versions = Mapping[str, str]  # name -> identity and list version


async def stream(call: Call, desk: Desk) -> None:
    """The banks as they are, then each change, with a heartbeat in between. Holds no place among the requests."""
    call.token.demand(Scope.MATCH)
    call.route = "changes"
    with desk.feed.place(call.token.id):
        known = read_event_id(call.header(b"last-event-id"))
        await call.begin(200, _HEADERS)
        gone = asyncio.ensure_future(call.hear_end())
        try:
            async for piece in _events(call, desk, known, gone):
                await call.send_piece(piece)
            if not gone.done():
                await call.send_piece(b"", more=False)
        finally:
            gone.cancel()


async def _events(call: Call, desk: Desk, known: Versions, gone: asyncio.Future[None]) -> AsyncIterator[bytes]:
    while not gone.done() and not desk.feed.is_over(call.token.id):
        turn = desk.feed.next_turn  # before the look, so that no change falls between both
        banks = _banks(call, desk)
        now = {name: _version(bank) for name, bank in banks.items()}
        for event in _differences(banks, now, known):
            yield event
        known, turned = now, asyncio.ensure_future(turn.wait())
        either: set[asyncio.Future[Any]] = {turned, gone}
        done, _ = await asyncio.wait(either, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
        turned.cancel()
        if not done:
            yield b": alive\n\n"


def _banks(call: Call, desk: Desk) -> dict[str, Bank]:
    silent = frozenset[str]() if may_know_all(call.token) else desk.settings.silent
    return {bank.name: bank for bank in desk.lists.opened.banks if bank.name not in silent}


def _version(bank: Bank) -> str:
    identity: str = bank.snapshot.manifest.identity if isinstance(bank, Bank) else bank.identity
    return f"{identity[:8]}-{bank.list_version}"


def _differences(banks: Mapping[str, Bank], now: Versions, known: Versions) -> Iterator[bytes]:
    """An event for each bank that is another, new or gone; each id is that of the state after its event."""
    state = dict(known)
    for name in sorted(known.keys() - now.keys()):
        del state[name]
        yield _event("gone", {"bank": name}, state)
    for name in sorted(name for name in now if now[name] != known.get(name)):
        state[name] = now[name]
        bank = banks[name]
        yield _event("change", {"bank": name, "list_version": bank.list_version, "entries": bank.count}, state)


def _event(kind: str, data: Mapping[str, str | int], state: Versions) -> bytes:
    return b"event: %s\nid: %s\ndata: %s\n\n" % (kind.encode(), event_id(state), msgspec.json.encode(data))


def event_id(versions: Versions) -> bytes:
    return base64.urlsafe_b64encode(msgspec.json.encode(versions)).rstrip(b"=")


def read_event_id(untrusted: bytes) -> Versions:
    """The versions in an id; none, so that all is told, where it is none of ours."""
    try:
        padded = untrusted + b"=" * (-len(untrusted) % 4)
        return msgspec.json.decode(base64.b64decode(padded, b"-_", validate=True), type=dict[str, str])
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError):
        return {}
