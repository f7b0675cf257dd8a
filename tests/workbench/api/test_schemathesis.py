"""schemathesis sends what the document allows, and what it forbids, to every operation of a small office."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.config import SchemathesisConfig

from leadline.domain import Entry, Kind
from leadline.workbench.accounts.actions import make_key
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.banks import actions as banks
from leadline.workbench.hooks import actions as hooks
from leadline.workbench.permissions import ROLE_PERMISSIONS, Role

BUDGET_S = 60.0
EXAMPLES = 25
# What a document cannot say (a hash that is none, a cursor of another list) is answered with 422.
CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422"]}},
        "generation": {"with-security-parameters": False, "allow-x00": False},  # NUL is refused: docs/api.md
    }
)


@pytest.fixture
def keys(make_person: Callable[..., Person], settings: Any) -> dict[Role, str]:
    """Three programs; one of each role, for together they hold every permission that an operation asks for."""
    settings.LEADLINE_API_RATE = 10_000_000
    settings.LEADLINE_WEBHOOK_PRIVATE = []
    found = {}
    for role in (Role.SENIOR, Role.ADMINISTRATOR, Role.AUDITOR):
        person = make_person(str(role), role)
        found[role] = make_key(person, "k", role, ROLE_PERMISSIONS[role], timedelta(days=1))[1]
        if role is Role.SENIOR:
            actor = Actor.of_person(person)
            banks.create_bank(actor, "known", kind=Kind.OTHER, reason="own-list")
            entries = [Entry(kind=Kind.OTHER, fingerprints={"md5": bytes([n]) * 16}) for n in range(5)]
            banks.add_entries(actor, "known", entries, reason="own-assessment")
        if role is Role.ADMINISTRATOR:
            hooks.make_endpoint(person, "https://hook.example.net/in", ["bank.*"])
    return found


@pytest.fixture
def one_connection() -> Iterator[None]:
    """The whole test is one transaction, so no request may close its connection, as Django's own test client has it."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def key_for(keys: dict[Role, str], permission: str) -> str:
    return next(key for role, key in keys.items() if permission in ROLE_PERMISSIONS[role] or permission == "signed-in")


@pytest.mark.usefixtures("one_connection")
def test_every_operation_answers_as_the_document_says(
    keys: dict[Role, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("93.184.215.14", 443))])
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application(), config=CONFIG)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 15
    started, wrong = time.monotonic(), []
    for number, operation in enumerate(operations, 1):
        key = key_for(keys, operation.definition.raw["x-permission"])
        until = started + BUDGET_S * number / len(operations)
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            wrong += _faults(operation, mode, key, until)
    assert wrong == []


def _faults(operation: Any, mode: Any, key: str, until: float) -> list[str]:
    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        if time.monotonic() < until:
            case.call_and_validate(headers={"Authorization": f"Bearer {key}"})

    try:
        send()
    except Unsatisfiable:  # nothing of it can be wrong: it takes nothing
        return []
    except Exception as error:
        return [f"{operation.method} {operation.path} {mode}: {error}"]
    return []
