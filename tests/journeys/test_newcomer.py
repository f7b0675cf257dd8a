"""A newcomer sets up an office from nothing, in a real browser."""

from __future__ import annotations

import re
from typing import Any

from tests.journeys.conftest import code_for


def set_up(visitor: Any, office: Any, *, alone: bool = False) -> None:
    """From the printed link to the first page behind both factors."""
    page = visitor.page
    page.goto(office.setup_link)
    visitor.look("join")
    page.get_by_label("E-mail address").fill("first@example.org")
    page.get_by_label("Name").fill("First Person")
    page.get_by_label("Password").fill("correct horse battery staple")
    if alone:
        page.get_by_label("I work alone").check()
    page.get_by_role("button", name="Continue").click()
    visitor.look("second-factor")
    page.get_by_role("link", name="Authenticator app").click()
    visitor.look("authenticator")
    secret = page.locator("#authenticator_secret").input_value()
    page.locator("input[name=code]").fill(code_for(secret))
    page.get_by_role("button", name="Activate").click()
    page.wait_for_url(lambda url: "/factors/app/" not in url)


def test_a_newcomer_sets_up_an_office(new_office: Any, visitor: Any) -> None:
    page = visitor.page
    set_up(visitor, new_office)
    visitor.look("recovery-codes")
    page.goto(new_office.address)
    visitor.look("start")
    page.get_by_role("link", name="People").first.click()
    visitor.look("people")
    page.get_by_role("link", name="Invite").click()
    page.get_by_label("E-mail address").fill("second@example.org")
    page.get_by_label("analyst").check()
    visitor.look("invite")
    page.get_by_role("button", name="Make the link").click()
    visitor.look("invited")
    assert re.search(r"/join/\S{20,}/", page.locator("code").inner_text())
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{new_office.address}/people/")
    assert "/account/login/" in page.url
    visitor.look("sign-in")
    page.goto(new_office.setup_link)
    page.get_by_role("heading", name="Not found").wait_for()


def test_a_person_signs_in_with_a_passkey_alone(running_office: Any, visitor: Any) -> None:
    page = visitor.page
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.goto(running_office.setup_link)
    page.get_by_label("E-mail address").fill("first@example.org")
    page.get_by_label("Name").fill("First Person")
    page.get_by_label("Password").fill("correct horse battery staple")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("link", name="Passkey or security key").click()
    visitor.look("passkey")
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Add").click()
    page.wait_for_url(lambda url: "/keys/add/" not in url)
    page.goto(f"{running_office.address}/people/")
    page.get_by_role("heading", name="People").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{running_office.address}/account/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{running_office.address}/")
    page.get_by_role("heading", name="Welcome, First Person").wait_for()
