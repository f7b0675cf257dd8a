"""`/v1/banks`: which banks there are, and what the service does with each."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadline.errors import BankNotFound
from leadline.match.bank import Bank
from leadline.service.acts import Act
from leadline.service.desk import Desk
from leadline.service.endpoints import demand, desk_of, may_know_all, read_as, read_limit, tell_json
from leadline.service.settings import BankSettings
from leadline.service.tokens import Scope, Token

_BODY_BYTES = 4096
_PAGE, _MOST = 100, 1000
_settings = msgspec.json.Decoder(BankSettings)


async def list_banks(request: Request) -> Response:
    """By name. `after`: the `next` of the page before; banks that come or go meanwhile move none of the others."""
    call, desk = demand(request), desk_of(request)
    if not may_know_all(call.token):
        call.token.demand(Scope.MATCH)
    after, limit = request.query_params.get("after", ""), read_limit(request, _PAGE, _MOST)
    banks = sorted((bank for bank in desk.lists.opened.banks if bank.name > after), key=lambda bank: bank.name)
    page = list(islice((bank for bank in banks if _may_know(call.token, desk, bank)), limit + 1))
    more = page[limit - 1].name if len(page) > limit else None
    return tell_json({"banks": [_tell(call.token, desk, bank) for bank in page[:limit]], "next": more})


async def get_bank(request: Request) -> Response:
    call, desk = demand(request), desk_of(request)
    if not may_know_all(call.token):
        call.token.demand(Scope.MATCH)
    bank = await _find(desk, request)
    if not _may_know(call.token, desk, bank):
        raise _absent(bank.name)
    return tell_json(_tell(call.token, desk, bank))


async def _find(desk: Desk, request: Request) -> Bank:
    """Also one that lies on shards, and one that another worker made this moment."""
    name: str = request.path_params["name"]
    await desk.look_for(name)
    for bank in desk.lists.opened.banks:
        if bank.name == name:
            return bank
    raise _absent(name)


def _absent(name: str) -> BankNotFound:
    return BankNotFound("no such bank", where=name[:100], mend="GET /v1/banks lists them")


def _may_know(token: Token, desk: Desk, bank: Bank) -> bool:
    """Whoever may only match hears of the banks that an answer can name."""
    return may_know_all(token) or bank.name not in desk.settings.silent


def _tell(token: Token, desk: Desk, bank: Bank) -> dict[str, Any]:
    """What would help to evade a match (radius, floor) or is the curators' own is not for tokens that only match."""
    told: dict[str, Any] = {
        "name": bank.name,
        "kind": str(bank.kind),
        "entries": bank.count,
        "list_version": bank.list_version,
    }
    if not may_know_all(token):
        return told
    fault = desk.lists.faults.get(bank.name)
    return told | {
        "radius": bank.radius_bits,
        "quality_floor": bank.quality_floor,
        "settings": desk.settings.of(bank.name),
        "fault": fault.code if fault is not None else None,
        **(_tell_manifest(bank) if isinstance(bank, Bank) else bank.manifest),
    }


def _tell_manifest(bank: Bank) -> dict[str, Any]:
    manifest = bank.snapshot.manifest
    texts = {"source": manifest.source, "tlp": str(manifest.tlp), "licence": manifest.licence}
    return {**texts, "created": manifest.created}


async def get_settings(request: Request) -> Response:
    demand(request, Scope.ADMIN)
    desk = desk_of(request)
    bank = await _find(desk, request)
    return tell_json(desk.settings.of(bank.name))


async def put_settings(request: Request) -> Response:
    """All of them at once: what is left out is as it is for a new bank."""
    call, desk = demand(request, Scope.ADMIN), desk_of(request)
    bank = await _find(desk, request)
    wanted = read_as(_settings, await call.body(_BODY_BYTES))

    def put() -> None:
        act = Act(call.token.id, "settings", bank.name, "", b"")
        with desk.acts.noted(act, msgspec.structs.asdict(wanted)) as done:
            desk.settings.set(bank.name, wanted)
            done(bank.list_version, ())

    await asyncio.get_running_loop().run_in_executor(desk.clerks, put)
    desk.take_settings()
    desk.announce_changes()
    return tell_json(desk.settings.of(bank.name))


ROUTES = [
    Route("/v1/banks", list_banks, name="banks", methods=["GET"]),
    Route("/v1/banks/{name}", get_bank, name="bank", methods=["GET"]),
    Route("/v1/banks/{name}/settings", get_settings, name="bank-settings", methods=["GET"]),
    Route("/v1/banks/{name}/settings", put_settings, name="bank-settings", methods=["PUT"]),
]
