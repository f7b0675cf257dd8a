"""`/v1/banks`: which banks there are, and what the service does with each."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadline.service.endpoints import demand, desk_of, read_as, tell_json
from leadline.service.settings import BankSettings
from leadline.service.tokens import Scope

_BODY_BYTES = 4096
_settings = msgspec.json.Decoder(BankSettings)


async def get_settings(request: Request) -> Response:
    demand(request, Scope.ADMIN)
    desk = desk_of(request)
    bank = desk.lists.bank(request.path_params["name"])
    return tell_json(desk.settings.of(bank.name))


async def put_settings(request: Request) -> Response:
    """All of them at once: what is left out is as it is for a new bank."""
    call, desk = demand(request, Scope.ADMIN), desk_of(request)
    bank = desk.lists.bank(request.path_params["name"])
    wanted = read_as(_settings, await call.body(_BODY_BYTES))
    await asyncio.get_running_loop().run_in_executor(desk.clerks, desk.settings.set, bank.name, wanted)
    desk.take_settings()
    return tell_json(desk.settings.of(bank.name))


ROUTES = [
    Route("/v1/banks/{name}/settings", get_settings, name="bank-settings", methods=["GET"]),
    Route("/v1/banks/{name}/settings", put_settings, name="bank-settings", methods=["PUT"]),
]
