"""Every address x every role: what a view declares is what is enforced, and a view that declares nothing fails here."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from leadline.workbench.accounts.models import Person
from leadline.workbench.permissions import ROLE_PERMISSIONS, Permission, Role

# Whatever releases, exports or changes rights, or what the office is bound to: by name, so that a view comes in or goes
# out of it only where somebody says so here.
FRESH = frozenset({
    # releases and exports
    "build_exhibit_again", "case_export", "decide_exhibit", "decide_proposal", "decide_share", "download_exhibit",
    "journal-chain", "journal-proofs", "request_exhibit", "share_receipt",
    # rights: of people, of programs, of things
    "agree", "case_add_member", "case_end_member", "case_handling", "case_lead", "change_role", "change_webhook",
    "confirm_role", "deactivate_person", "decide_case_handling", "decide_report_handling", "end_agreement", "end_key",
    "end_one_person_office", "invite_person", "let_see_report", "make_key", "make_partner", "make_webhook",
    "report_handling", "set_bank", "set_handling", "trust_bank", "withdraw_invitation",
    # what is kept, how long, under which rules; and coming near pictures
    "case_office", "confirm_clock", "correct_law", "end_hold", "end_report_hold", "law_office", "media_mode",
    "quality_office", "report_hold", "report_terms", "review_office", "review_shift", "set_term",
})  # fmt: skip
# One's own second factors: allauth asks itself, also just after the sign-in.
FRESH_BY_ALLAUTH = frozenset({
    "mfa_activate_totp", "mfa_deactivate_totp", "mfa_add_webauthn", "mfa_remove_webauthn", "mfa_edit_webauthn",
    "mfa_generate_recovery_codes", "mfa_view_recovery_codes", "mfa_download_recovery_codes",
})  # fmt: skip
_QUARTER_S = 15 * 60
_AGAIN = ("/account/again/", "/account/factors/again/", "/account/factors/keys/again/")
MADE_UP = {"uuid": str(uuid.UUID(int=7)), "int": "7", "str": "made-up", "slug": "made-up", "path": "made-up"}


def all_patterns(resolver: Any = None, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from all_patterns(entry, route)
        else:
            yield route, entry


def address_of(pattern_route: str, values: Mapping[str, str] = MADE_UP) -> str | None:
    """An address that the route matches, with made-up ids; None for the few that are regular expressions."""
    if "(?P" in pattern_route:
        return None
    out, rest = "/", pattern_route.replace("^", "").replace("$", "").replace("\\Z", "")
    while "<" in rest:
        before, _, rest = rest.partition("<")
        kind, _, rest = rest.partition(">")
        out += before + values.get(kind.partition(":")[0], "made-up")
    return out + rest


ROUTES = sorted({route for route, _ in all_patterns()})


def test_there_are_routes_to_walk() -> None:
    assert len(ROUTES) > 30


@pytest.mark.parametrize("route", ROUTES)
def test_every_view_declares_its_permission(route: str) -> None:
    view = next(entry.callback for found, entry in all_patterns() if found == route)
    assert isinstance(getattr(view, "permission", None), Permission), f"{route} declares no permission"
    assert isinstance(view.fresh, bool)


def test_the_views_that_ask_for_a_fresh_proof_are_these_and_no_others() -> None:
    assert {str(entry.name) for _, entry in all_patterns() if getattr(entry.callback, "fresh", False)} == FRESH


@pytest.mark.django_db
def test_a_proof_older_than_a_quarter_of_an_hour_opens_none_of_them(
    make_person: Callable[..., Person], client_of: Callable[..., Client]
) -> None:
    """By GET and by POST; from a sign-in of just now the same person is let through to ours."""
    person = make_person("somebody", *Role)
    RecoveryCodes.activate(person)
    made_up = MADE_UP | {"int": str(Authenticator.objects.get(user=person, type="totp").pk)}
    late, soon = client_of(person, signed_in_s_ago=_QUARTER_S + 5), client_of(person)
    late.raise_request_exception = soon.raise_request_exception = False
    wrong = []
    for route, entry in all_patterns():
        if entry.name not in FRESH | FRESH_BY_ALLAUTH:
            continue
        address = address_of(route, made_up)
        assert address is not None
        asked = [client.generic(how, address).get("Location", "") for client in (late, soon) for how in ("GET", "POST")]
        is_asked = [place.startswith(_AGAIN) for place in asked]
        if entry.name in FRESH_BY_ALLAUTH:  # some take no POST
            wrong += [] if is_asked[0] else [(entry.name, asked)]
        else:
            wrong += [] if is_asked == [True, True, False, False] else [(entry.name, asked)]
    assert wrong == []


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
