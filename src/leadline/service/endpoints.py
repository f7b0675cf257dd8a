"""What an endpoint behind Starlette's router is given: its call, with the token's scopes asked for, and the desk."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from leadline.errors import RequestRefused
from leadline.service.calls import Call
from leadline.service.desk import Desk
from leadline.service.tokens import Scope

T = TypeVar("T")
CALL, DESK = "leadline.call", "leadline.desk"  # keys of a request's scope


def demand(request: Request, *scopes: Scope) -> Call:
    """The call behind a request whose token has these scopes. ScopeMissing otherwise."""
    call = request.scope[CALL]
    call.token.demand(*scopes)
    return call  # type: ignore[no-any-return]


def desk_of(request: Request) -> Desk:
    return request.scope[DESK]  # type: ignore[no-any-return]


def tell_json(told: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(told), status, {"cache-control": "no-store"}, "application/json")


def read_as(decoder: msgspec.json.Decoder[T], untrusted: bytes) -> T:
    """RequestRefused for anything else; it names the field at fault, and nothing that was sent."""
    try:
        return decoder.decode(untrusted)
    except msgspec.ValidationError as error:
        raise RequestRefused("not what is asked for here", where=place_of(error), mend="see docs/service.md") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise RequestRefused("not JSON", status=400, mend="send JSON") from None


def place_of(error: msgspec.ValidationError) -> str:
    """The path of the field at fault, which msgspec writes at the end of its message."""
    return str(error).rpartition(" - at `")[2].rstrip("`")[:100] if " - at `" in str(error) else ""
