"""What an endpoint behind Starlette's router is given: its call, with the token's scopes asked for, and the desk."""

from __future__ import annotations

from starlette.requests import Request

from leadline.service.calls import Call
from leadline.service.desk import Desk
from leadline.service.tokens import Scope

CALL, DESK = "leadline.call", "leadline.desk"  # keys of a request's scope


def demand(request: Request, *scopes: Scope) -> Call:
    """The call behind a request whose token has these scopes. ScopeMissing otherwise."""
    call = request.scope[CALL]
    call.token.demand(*scopes)
    return call  # type: ignore[no-any-return]


def desk_of(request: Request) -> Desk:
    return request.scope[DESK]  # type: ignore[no-any-return]
