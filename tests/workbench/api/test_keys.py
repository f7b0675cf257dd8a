"""Who gets in by a key, how far, and how often; and every operation x every role."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from leadline.workbench.accounts.actions import end_role, make_key
from leadline.workbench.accounts.models import ApiKey, Person
from leadline.workbench.api import Operation, declared_operations
from leadline.workbench.permissions import ROLE_PERMISSIONS, Permission, Role

MADE_UP = {"uuid": "00000000-0000-0000-0000-000000000007"}
BODY = "{}"


def address_of(operation: Operation) -> str:
    out, rest = "", operation.path
    while "{" in rest:
        before, _, rest = rest.partition("{")
        name, _, rest = rest.partition("}")
        made_up = "made-up" if name == "bank_id" else "7" if name in {"entry_id", "delivery_id"} else MADE_UP["uuid"]
        out += before + made_up
    return out + rest


def call(client: Client, operation: Operation) -> int:
    send = client.generic(operation.method, address_of(operation), BODY, content_type="application/json")
    return int(send.status_code)


def test_there_are_operations_to_walk() -> None:
    assert len(declared_operations()) >= 15


@pytest.mark.parametrize("operation", declared_operations(), ids=lambda o: f"{o.method} {o.path}")
def test_nobody_gets_anywhere_without_a_key(office: object, operation: Operation) -> None:
    assert call(Client(), operation) == 401


@pytest.mark.parametrize("role", list(Role))
def test_a_key_does_what_its_scopes_allow_and_nothing_else(
    role: Role, make_person: Callable[..., Person], program_of: Callable[..., Client]
) -> None:
    program, held = program_of(make_person("somebody", role), role), ROLE_PERMISSIONS[role]
    wrong = []
    for operation in declared_operations():
        status = call(program, operation)
        is_refused = status == 403
        is_allowed = operation.permission in held or operation.permission is Permission.SIGNED_IN
        if is_refused == is_allowed or status >= 500:
            wrong.append((operation, status))
    assert wrong == []


def test_a_key_without_the_scope_is_refused_although_its_owner_may(
    senior: Person, program_of: Callable[..., Client]
) -> None:
    program = program_of(senior, Role.SENIOR, Permission.EVIDENCE_READ)
    answer = program.get("/api/v1/banks")
    assert (answer.status_code, answer.json()["code"]) == (403, "scope")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic bGVhZGxpbmU6eA==", "Bearer leadline_" + "x" * 43])
def test_what_is_no_key_says_so_in_one_way(office: object, header: str) -> None:
    answer = Client(headers={"authorization": header}).get("/api/v1/banks")
    assert (answer.status_code, answer.json()["code"]) == (401, "key")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_key_ends_with_its_time_with_its_role_and_with_its_owner(
    senior: Person, make_person: Callable[..., Person], program_of: Callable[..., Client]
) -> None:
    program = program_of(senior, Role.SENIOR)
    assert program.get("/api/v1/banks").status_code == 200
    end_role(make_person("admin", Role.ADMINISTRATOR), senior, Role.SENIOR)
    assert program.get("/api/v1/banks").status_code == 403
    ApiKey.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert program.get("/api/v1/banks").status_code == 401
    ApiKey.objects.update(until=timezone.now() + timedelta(days=1))
    Person.objects.filter(pk=senior.pk).update(is_active=False)
    assert program.get("/api/v1/banks").status_code == 401


def test_the_day_of_use_is_noted(senior: Person) -> None:
    key, secret = make_key(senior, "k", Role.SENIOR, [Permission.BANKS_READ], timedelta(days=1))
    Client(headers={"authorization": f"Bearer {secret}"}).get("/api/v1/banks")
    key.refresh_from_db()
    assert key.last_used_on == timezone.now().date()


def test_a_session_is_no_key(senior: Person, client_of: Callable[[Person], Client]) -> None:
    """So no page of another site can make a browser call the API."""
    assert client_of(senior).get("/api/v1/banks").status_code == 401


def test_too_many_requests_wait_by_key(
    senior: Person, program_of: Callable[..., Client], settings: object
) -> None:
    settings.LEADLINE_API_RATE, settings.LEADLINE_WEB_WORKERS = 6, 2  # type: ignore[attr-defined]
    program, other = program_of(senior, Role.SENIOR), program_of(senior, Role.SENIOR)
    statuses = [program.get("/api/v1/banks").status_code for _ in range(8)]
    refused = program.get("/api/v1/banks")
    assert 429 in statuses
    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-requests")
    assert 1 <= int(refused["Retry-After"]) <= 61
    assert other.get("/api/v1/banks").status_code == 200
