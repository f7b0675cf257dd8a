"""Signatures are those of Standard Webhooks, and secrets live in no row."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from leadline.workbench.accounts.models import Person
from leadline.workbench.hooks import access
from leadline.workbench.hooks.models import Endpoint


@pytest.mark.golden
def test_a_signature_is_the_published_one() -> None:
    """standard-webhooks/standard-webhooks, libraries/python/tests/test_webhooks.py, test_sign_function."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", '{"test": 2432232314}'
    signed = access.sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.fixture
def endpoint(make_person: Callable[..., Person]) -> Endpoint:
    return Endpoint.objects.create(url="https://example.org/", events=["bank.*"], made_by=make_person("admin"))


def test_a_secret_is_long_enough_its_own_and_in_no_row(endpoint: Endpoint) -> None:
    """24 to 64 bytes: Standard Webhooks 1.0.0, "Signature scheme"."""
    other = Endpoint.objects.create(url="https://example.org/", events=["bank.*"], made_by=endpoint.made_by)
    secret = access.secret_of(endpoint)
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret[6:])) <= 64
    assert secret != access.secret_of(other)
    assert secret[6:] not in str(list(Endpoint.objects.values()))


def test_after_a_renewal_both_secrets_sign_for_a_day(endpoint: Endpoint) -> None:
    old = access.secret_of(endpoint)
    endpoint.generation, endpoint.renewed_at = 2, timezone.now()
    assert access.secrets_of(endpoint) == [access.secret_of(endpoint), old]
    endpoint.renewed_at = timezone.now() - timedelta(days=1, seconds=1)
    assert access.secrets_of(endpoint) == [access.secret_of(endpoint)]


@pytest.mark.parametrize("event", ["report.received", "report.*", "bank.entry.added", "exhibit.*"])
def test_an_act_that_may_leave_is_an_event(event: str) -> None:
    assert access.is_event(event)


@pytest.mark.parametrize(
    "event", ["", "*", "report", "report.", "person.joined", "key.*", "setting.changed", "report.x y"]
)
def test_anything_else_is_none(event: str) -> None:
    assert not access.is_event(event)
