"""Every address x every role: what a view declares is what is enforced, and a view that declares nothing fails here."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from leadline.workbench.accounts.models import Person
from leadline.workbench.permissions import ROLE_PERMISSIONS, Permission, Role

MADE_UP = {"uuid": str(uuid.UUID(int=7)), "int": "7", "str": "made-up", "slug": "made-up", "path": "made-up"}


def all_patterns(resolver: Any = None, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from all_patterns(entry, route)
        else:
            yield route, entry


def address_of(pattern_route: str) -> str | None:
    """An address that the route matches, with made-up ids; None for the few that are regular expressions."""
    if "(?P" in pattern_route:
        return None
    out, rest = "/", pattern_route.replace("^", "").replace("$", "").replace("\\Z", "")
    while "<" in rest:
        before, _, rest = rest.partition("<")
        kind, _, rest = rest.partition(">")
        out += before + MADE_UP.get(kind.partition(":")[0], "made-up")
    return out + rest


ROUTES = sorted({route for route, _ in all_patterns()})


def test_there_are_routes_to_walk() -> None:
    assert len(ROUTES) > 30


@pytest.mark.parametrize("route", ROUTES)
def test_every_view_declares_its_permission(route: str) -> None:
    view = next(entry.callback for found, entry in all_patterns() if found == route)
    assert isinstance(getattr(view, "permission", None), Permission), f"{route} declares no permission"
    assert isinstance(view.fresh, bool)


@pytest.mark.django_db
@pytest.mark.parametrize("role", [None, *Role])
def test_a_role_reaches_what_its_permissions_say_and_nothing_else(
    role: Role | None, make_person: Callable[..., Person], client_of: Callable[[Person], Client]
) -> None:
    person = make_person("somebody", *([role] if role else []))
    held = ROLE_PERMISSIONS[role] if role else frozenset()
    client = client_of(person)
    client.raise_request_exception = False
    wrong = []
    for route, entry in all_patterns():
        address, permission = address_of(route), entry.callback.permission
        if address is None or entry.name == "account_logout" or permission is Permission.ANYONE:
            continue
        status = client.get(address).status_code
        if permission is not Permission.SIGNED_IN and permission not in held and status != 404:
            wrong.append((route, status, "reached"))
        if status >= 500 or status == 403:
            wrong.append((route, status, "fell over"))
    assert wrong == []


@pytest.mark.django_db
def test_a_stranger_is_sent_to_the_sign_in_page_from_everywhere(office: object) -> None:
    client = Client(raise_request_exception=False)
    for route, entry in all_patterns():
        address = address_of(route)
        if address is None or entry.callback.permission is Permission.ANYONE:
            continue
        answer = client.get(address)
        assert answer.status_code == 302, route
        assert answer["Location"].startswith("/account/login/"), route
