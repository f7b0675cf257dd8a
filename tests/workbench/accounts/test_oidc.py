"""Signing in by the office's OpenID Connect provider, against a small provider of our own on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from leadline.workbench.accounts.models import Person
from leadline.workbench.permissions import Role

pytestmark = pytest.mark.django_db


class Provider(ThreadingHTTPServer):
    """Says of everybody what `claims` says."""

    claims: dict[str, Any]

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        issuer = self.server.issuer
        if self.path == "/.well-known/openid-configuration":
            names = ("authorization", "token", "userinfo")
            endpoints = {f"{name}_endpoint": f"{issuer}/{name}" for name in names}
            self._send(endpoints | {"issuer": issuer, "jwks_uri": f"{issuer}/keys"})
        else:
            claims = self.server.claims
            self._send({name: claims[name] for name in ("sub", "email", "email_verified")})

    def do_POST(self) -> None:
        now = int(time.time())
        claims = self.server.claims | {"iss": self.server.issuer, "aud": "leadline", "iat": now, "exp": now + 60}
        token = jwt.encode(claims, "made-up-secret-of-thirty-two-bytes", algorithm="HS256")
        self._send({"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": token})

    def _send(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def provider(settings: Any, office: object) -> Iterator[Provider]:
    with Provider(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        app = {"provider_id": "office", "name": "Office", "client_id": "leadline", "secret": "s"}
        settings.SOCIALACCOUNT_PROVIDERS = {
            "openid_connect": {"APPS": [app | {"settings": {"server_url": server.issuer}}], "OAUTH_PKCE_ENABLED": True}
        }
        server.claims = {"sub": "77", "email": "ada@example.org", "email_verified": True}
        yield server
        server.shutdown()


def sign_in(client: Client, query: str = "") -> Any:
    asked = client.post(f"/account/oidc/office/login/{query}")
    state = parse_qs(urlsplit(asked["Location"]).query)["state"][0]
    return client.get("/account/oidc/office/login/callback/", {"code": "c", "state": state})


def invited(make_person: Callable[..., Person], *, has_factor: bool) -> Person:
    ada = make_person("ada", Role.ADMINISTRATOR)
    if not has_factor:
        Authenticator.objects.filter(user=ada).delete()
    return ada


def test_a_person_with_a_second_factor_claimed_by_the_provider_comes_in(
    provider: Provider, make_person: Callable[..., Person]
) -> None:
    invited(make_person, has_factor=False)
    provider.claims |= {"amr": ["pwd", "mfa"]}
    client = Client()
    sign_in(client)
    assert client.get("/people/").status_code == 200


def test_without_the_providers_claim_the_second_factor_is_asked_here(
    provider: Provider, make_person: Callable[..., Person]
) -> None:
    invited(make_person, has_factor=False)
    provider.claims |= {"amr": ["pwd"]}
    client = Client()
    sign_in(client)
    assert client.get("/people/")["Location"] == "/account/second-factor/"


def test_a_second_factor_that_is_set_up_here_is_asked_for(
    provider: Provider, make_person: Callable[..., Person]
) -> None:
    invited(make_person, has_factor=True)
    client = Client()
    assert sign_in(client)["Location"].startswith("/account/factors/authenticate/")
    assert client.get("/people/")["Location"].startswith("/account/login/")


@pytest.mark.parametrize("claims", [{"email": "stranger@example.org"}, {"email_verified": False}, {"email": ""}])
def test_strangers_and_unproved_addresses_are_turned_away(
    provider: Provider, make_person: Callable[..., Person], claims: dict[str, Any]
) -> None:
    invited(make_person, has_factor=False)
    provider.claims |= claims | {"amr": ["mfa"]}
    client = Client()
    assert sign_in(client)["Location"].startswith("/account/login/")
    assert Person.objects.count() == 1
    assert client.get("/people/")["Location"].startswith("/account/login/")


def test_a_closed_account_stays_closed(provider: Provider, make_person: Callable[..., Person]) -> None:
    ada = invited(make_person, has_factor=False)
    ada.is_active = False
    ada.save()
    client = Client()
    sign_in(client)
    assert client.get("/people/")["Location"].startswith("/account/login/")


@pytest.mark.parametrize("process", ["redirect", "connect"])
def test_a_providers_claim_for_one_person_opens_nothing_for_another(
    provider: Provider, make_person: Callable[..., Person], process: str
) -> None:
    mallory, victim = make_person("ada"), make_person("eve", Role.ADMINISTRATOR, password="correct horse battery staple")
    Authenticator.objects.filter(user__in=(mallory, victim)).delete()
    provider.claims |= {"amr": ["pwd", "mfa"]}
    client = Client()
    sign_in(client, f"?process={process}")
    client.post("/account/login/", {"login": "eve@example.org", "password": "correct horse battery staple"})
    assert client.get("/people/")["Location"] == "/account/second-factor/"


def test_a_claim_ends_with_the_next_sign_in_of_the_same_browser(
    provider: Provider, make_person: Callable[..., Person]
) -> None:
    ada = invited(make_person, has_factor=False)
    ada.set_password("correct horse battery staple")
    ada.save()
    provider.claims |= {"amr": ["pwd", "mfa"]}
    client = Client()
    sign_in(client)
    assert client.get("/people/").status_code == 200
    client.post("/account/logout/")
    client.post("/account/login/", {"login": "ada@example.org", "password": "correct horse battery staple"})
    assert client.get("/people/")["Location"] == "/account/second-factor/"


@pytest.mark.parametrize(
    ("methods", "is_multi"),
    [
        (["mfa"], True),
        (["pwd", "otp"], True),
        (["hwk", "fpt"], True),
        (["otp"], False),
        (["hwk", "swk"], False),
        (["face"], False),
        ([], False),
        ("mfa", False),
    ],
)
def test_one_kind_of_proof_is_one_factor(methods: object, is_multi: bool) -> None:
    from leadline.workbench.accounts.adapters import is_multi_factor

    assert is_multi_factor({"amr": methods}) is is_multi


def test_a_second_identity_with_the_same_address_is_turned_away(
    provider: Provider, make_person: Callable[..., Person]
) -> None:
    invited(make_person, has_factor=False)
    provider.claims |= {"amr": ["mfa"]}
    sign_in(Client())
    provider.claims |= {"sub": "78"}
    client = Client()
    sign_in(client)
    assert client.get("/people/")["Location"].startswith("/account/login/")
