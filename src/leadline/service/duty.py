"""`/v1/alarms`: what a person on duty is asked to look at, and what they found. A decision changes nothing itself."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadline.errors import InputError, RequestRefused
from leadline.service.alarms import Decision
from leadline.service.endpoints import demand, desk_of, read_as, tell_json
from leadline.service.tokens import Scope

_BODY_BYTES = 4096


class Acknowledgement(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    decided: Decision


_acknowledgement = msgspec.json.Decoder(Acknowledgement)


async def list_alarms(request: Request) -> Response:
    """Newest first, at most a thousand. `?open=1`: those that nobody has decided about."""
    demand(request, Scope.ADMIN)
    desk = desk_of(request)
    alarms = await asyncio.get_running_loop().run_in_executor(desk.clerks, desk.watch.alarms.all)
    is_open = request.query_params.get("open") == "1"
    return tell_json({"alarms": [alarm for alarm in alarms if not is_open or alarm.decided is None]})


async def acknowledge(request: Request) -> Response:
    call, desk = demand(request, Scope.ADMIN), desk_of(request)
    asked = read_as(_acknowledgement, await call.body(_BODY_BYTES))
    alarm_id, loop = request.path_params["id"], asyncio.get_running_loop()
    decide = desk.watch.alarms.decide
    try:
        alarm = await loop.run_in_executor(desk.clerks, decide, alarm_id, asked.decided, call.token.id)
    except InputError as error:
        raise RequestRefused(error.what, status=404, mend=error.mend, code=error.code) from None
    return tell_json(alarm)


ROUTES = [
    Route("/v1/alarms", list_alarms, name="alarms", methods=["GET"]),
    Route("/v1/alarms/{id}/acknowledge", acknowledge, name="alarm-acknowledge", methods=["POST"]),
]
