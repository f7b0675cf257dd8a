"""`/feed/BANK/`: the files of a published Leadline feed as they lie there, and receipts into the ledger. Signs nothing.

What is read here is signed and encrypted already (`leadline feed publish`); a token only says who may read along.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadline.errors import BankNotFound, ConfigError, InputError
from leadline.match.folder import FEED
from leadline.service.endpoints import demand, desk_of, tell_json
from leadline.service.publishing import find_published
from leadline.service.tokens import Scope

_RECEIPT_BYTES = 4096
T = TypeVar("T")


class Taken(msgspec.Struct, frozen=True):
    """taken: false where a receipt for this state or a later one was there."""

    taken: bool


async def read_metadata(request: Request) -> Response:
    return await _read(request, f"metadata/{request.path_params['file']}", "application/json")


async def read_contents(request: Request) -> Response:
    asked = request.path_params
    return await _read(request, f"targets/{asked['subscriber']}/{asked['file']}", "application/octet-stream")


async def _read(request: Request, name: str, media_type: str) -> Response:
    folder = _bank_folder(request)
    data = await _in_thread(request, lambda: _read_file(folder, name))
    return Response(data, headers={"cache-control": "no-store"}, media_type=media_type)


async def take_receipt(request: Request) -> Response:
    """InputError where it does not hold: it is kept nowhere."""
    folder, untrusted = _bank_folder(request), await demand(request, Scope.SUBSCRIBE).body(_RECEIPT_BYTES)
    return tell_json(Taken(await _in_thread(request, lambda: _take(folder, untrusted))))


def _bank_folder(request: Request) -> Path:
    call = demand(request, Scope.SUBSCRIBE)
    return find_published(desk_of(request), call.token, request.path_params["name"])[1].path


async def _in_thread(request: Request, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(desk_of(request).clerks, work)


def _read_file(bank_folder: Path, name: str) -> bytes:
    """BankNotFound for all that is no file of a feed, also where it lies in the folder."""
    with _needing_libraries():
        from leadline.exchange.feed.contents import MAX_PART_BYTES
        from leadline.exchange.feed.ledger import Ledger
        from leadline.exchange.feed.places import FolderPlace
    try:
        with closing(Ledger(bank_folder, must_exist=True)) as ledger:
            directory = ledger.fact("directory")
    except InputError:
        raise _absent() from None
    data = FolderPlace(Path(directory)).read(name, MAX_PART_BYTES) if directory else None
    if data is None:
        raise _absent()
    return data


def _take(bank_folder: Path, untrusted: bytes) -> bool:
    with _needing_libraries():
        from leadline.exchange.feed.ledger import Ledger
    if not (bank_folder / FEED).exists():
        raise _absent()
    with closing(Ledger(bank_folder)) as ledger:
        return ledger.take_receipt(untrusted, time.time())


@contextmanager
def _needing_libraries() -> Iterator[None]:
    """A service that publishes no feed needs none of them."""
    try:
        yield
    except ModuleNotFoundError as error:
        mend = "pip install 'leadline[exchange]'"
        raise ConfigError("feeds need libraries that are not installed", where=error.name or "", mend=mend) from None


def _absent() -> BankNotFound:
    return BankNotFound("no such file of a feed", mend="ask its publisher whether the feed is published")


ROUTES = [
    Route("/feed/{name}/metadata/{file}", read_metadata, name="feed-metadata", methods=["GET"]),
    Route("/feed/{name}/targets/{subscriber}/{file}", read_contents, name="feed-contents", methods=["GET"]),
    Route("/feed/{name}/receipts", take_receipt, name="feed-receipt", methods=["POST"]),
]
