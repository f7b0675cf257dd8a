"""What an endpoint behind Starlette's router is given: its call, with the token's scopes asked for, and the desk."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from leadline.errors import RequestRefused
from leadline.service.calls import Call
from leadline.service.desk import Desk
from leadline.service.problems import place_of
from leadline.service.tokens import Scope, Token

T = TypeVar("T")
CALL, DESK = "leadline.call", "leadline.desk"  # keys of a request's scope


def demand(request: Request, *scopes: Scope) -> Call:
    """The call behind a request whose token has these scopes. ScopeMissing otherwise."""
    call = request.scope[CALL]
    call.token.demand(*scopes)
    return call  # type: ignore[no-any-return]


def desk_of(request: Request) -> Desk:
    return request.scope[DESK]  # type: ignore[no-any-return]


def may_know_all(token: Token) -> bool:
    """Whether a token may know more of banks than what answers to it can name: radius, source, settings."""
    return bool(token.scopes & {Scope.DETAILS, Scope.CURATE, Scope.ADMIN})


def read_limit(request: Request, usual: int, most: int) -> int:
    """`?limit=` of a page. RequestRefused for another than 1 to `most`."""
    text = request.query_params.get("limit", str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 7 and 1 <= int(text) <= most):
        raise RequestRefused("no such number of items", where="limit", mend=f"1 to {most}")
    return int(text)


def tell_json(told: Any, status: int = 200, *, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    return Response(msgspec.json.encode(told), status, {"cache-control": "no-store", **headers}, "application/json")


def read_as(decoder: msgspec.json.Decoder[T], untrusted: bytes) -> T:
    """RequestRefused for anything else; it names the field at fault, and nothing that was sent."""
    try:
        return decoder.decode(untrusted)
    except msgspec.ValidationError as error:
        raise RequestRefused("not what is asked for here", where=place_of(error), mend="see docs/service.md") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise RequestRefused("not JSON", status=400, mend="send JSON") from None
