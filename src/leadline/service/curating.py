"""`/v1/banks` for those who keep them: entries listed, added, removed, changed; banks made. All in threads."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadline.errors import RequestRefused
from leadline.service.acts import Act
from leadline.service.calls import Call
from leadline.service.desk import Desk
from leadline.service.endpoints import demand, desk_of, read_as, read_limit, tell_json
from leadline.service.entries import MAX_ENTRIES, EntryChange, tell_entry
from leadline.service.keeping import KeptBank
from leadline.service.repeats import Reply
from leadline.service.shelving import NewBank
from leadline.service.tokens import Scope

_KEY = re.compile(r"[!-~]{1,200}")
_PAGE, _MOST = 100, 1000
T = TypeVar("T")
EntryId = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]


class Additions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """1 to 10,000; each is read by itself, so that one which is none costs no other."""

    entries: list[msgspec.Raw]


class Removals(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One of both. hashes: as in a look-up; 64 digits without a prefix are looked for as SHA-256 and as PDQ."""

    ids: list[EntryId] = []
    hashes: list[str] = []


_new_bank, _additions = msgspec.json.Decoder(NewBank), msgspec.json.Decoder(Additions)
_removals, _change = msgspec.json.Decoder(Removals), msgspec.json.Decoder(EntryChange)


async def list_entries(request: Request) -> Response:
    """By id. `after`: the `next` of the page before; whatever is added or removed meanwhile, none is told twice."""
    demand(request, Scope.CURATE, Scope.DETAILS)
    desk = desk_of(request)
    limit = read_limit(request, _PAGE, _MOST)
    after = request.query_params.get("after", "0")
    if not re.fullmatch(r"[0-9]{1,16}", after):
        raise RequestRefused("not a place to go on from", where="after", mend="give the `next` of the page before")

    def tell() -> Response:
        bank = _fresh(desk, request)
        page = bank.page(int(after), limit)
        more = page[-1].id if len(page) == limit else None
        return tell_json({"entries": [tell_entry(entry) for entry in page], "next": more})

    return await _in_thread(desk, tell)


async def get_entry(request: Request) -> Response:
    demand(request, Scope.CURATE, Scope.DETAILS)
    desk = desk_of(request)

    def tell() -> Response:
        bank = _fresh(desk, request)
        return tell_json(tell_entry(bank.get(_entry_id(request))))

    return await _in_thread(desk, tell)


def _fresh(desk: Desk, request: Request) -> KeptBank:
    """As it is now, also where another worker changed it this moment."""
    bank = desk.lists.kept(request.path_params["name"])
    bank.refresh()
    return bank


async def make_bank(request: Request) -> Response:
    call, desk, body = await _asked(request)
    new = read_as(_new_bank, body)
    act = _act(call, "make", new.name, body)
    return await _perform(desk, lambda: desk.curation.make_bank(act, new))


async def add_entries(request: Request) -> Response:
    call, desk, body = await _asked(request)
    act = _act(call, "add", request.path_params["name"], body)

    def add() -> Reply:
        untrusted = read_as(_additions, body).entries  # megabytes, so not on the loop
        _refuse_number(len(untrusted))
        return desk.curation.add(act, untrusted)

    return await _perform(desk, add)


async def remove_entries(request: Request) -> Response:
    call, desk, body = await _asked(request)
    asked = read_as(_removals, body)
    if asked.ids and asked.hashes:
        raise RequestRefused("ids and hashes at once", mend="send one of both")
    _refuse_number(len(asked.ids) or len(asked.hashes))
    act = _act(call, "remove", request.path_params["name"], body)
    return await _perform(desk, lambda: desk.curation.remove(act, asked.ids, asked.hashes))


async def change_entry(request: Request) -> Response:
    call, desk, body = await _asked(request, Scope.DETAILS)
    entry_id, change = _entry_id(request), read_as(_change, body)
    act = _act(call, f"change {entry_id}", request.path_params["name"], body)
    return await _perform(desk, lambda: desk.curation.change(act, entry_id, change))


async def _asked(request: Request, *scopes: Scope) -> tuple[Call, Desk, bytes]:
    call = demand(request, Scope.CURATE, *scopes)
    return call, desk_of(request), await call.body()


def _act(call: Call, name: str, bank: str, body: bytes) -> Act:
    key = call.header(b"idempotency-key").decode("latin-1")
    if key and not _KEY.fullmatch(key):
        raise RequestRefused("not an idempotency key", where="Idempotency-Key", mend="1 to 200 printable characters")
    return Act(call.token.id, name, bank, key, f"{name}\0{bank}\0".encode("utf-8", "replace") + body)


async def _perform(desk: Desk, work: Callable[[], Reply]) -> Response:
    reply = await _in_thread(desk, work)
    desk.woken.set()
    return tell_json(reply.body, reply.status)


async def _in_thread(desk: Desk, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(desk.clerks, work)


def _entry_id(request: Request) -> int:
    text = request.path_params["id"]
    if not re.fullmatch(r"[1-9][0-9]{0,15}", text) or int(text) > 2**53 - 1:
        raise RequestRefused("no such entry", status=404, code="no-entry", mend="ids are numbers")
    return int(text)


def _refuse_number(count: int) -> None:
    if not 1 <= count <= MAX_ENTRIES:
        raise RequestRefused(f"{count} items", mend=f"send 1 to {MAX_ENTRIES} at once")


ROUTES = [
    Route("/v1/banks", make_bank, name="bank-make", methods=["POST"]),
    Route("/v1/banks/{name}/entries", list_entries, name="entries", methods=["GET"]),
    Route("/v1/banks/{name}/entries", add_entries, name="entries-add", methods=["POST"]),
    Route("/v1/banks/{name}/entries/{id}", get_entry, name="entry", methods=["GET"]),
    Route("/v1/banks/{name}/entries/{id}", change_entry, name="entry-change", methods=["PATCH"]),
    Route("/v1/banks/{name}/remove", remove_entries, name="entries-remove", methods=["POST"]),
]
