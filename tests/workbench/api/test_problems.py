"""Every error is application/problem+json, and none repeats what was sent."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory

from leadline.errors import (
    BankCorrupt,
    BankLocked,
    ConfigError,
    InputError,
    NotAllowed,
    SandboxUnavailable,
    WrongState,
)
from leadline.workbench.accounts.models import Person
from leadline.workbench.banks import access
from leadline.workbench.pages import show_fault
from leadline.workbench.permissions import Role
from leadline.workbench.problems import problem_of

SECRET = "made-up-value-that-must-not-come-back"


@pytest.fixture
def program(senior: Person, program_of: Callable[..., Client]) -> Client:
    return program_of(senior, Role.SENIOR)


def told(answer: Any) -> tuple[int, str]:
    assert answer["Content-Type"] == "application/problem+json"
    body = json.loads(answer.content)
    assert body["status"] == answer.status_code
    assert body["type"] == f"/api/v1/docs#{body['code']}"
    assert body["title"]
    return answer.status_code, body["code"]


def test_what_is_not_there_and_what_is_not_for_this_key_look_the_same(program: Client) -> None:
    absent = program.get("/api/v1/banks/made-up")
    assert told(absent) == (404, "not-found") or told(absent) == (404, "bank-not-found")
    assert told(program.get("/api/v1/nothing/here")) == (404, "not-found")
    assert told(program.post("/api/v1/nothing")) == (404, "not-found")


def test_another_method_is_named(program: Client) -> None:
    answer = program.delete("/api/v1/banks")
    assert told(answer) == (405, "method")
    assert answer["Allow"] == "GET"


@pytest.mark.parametrize("body", ["{", "[1", '{"a": NaN}', '{"hashes": ["\\u0000"]}', '"\\ud800"', b"\xff\xfe"])
def test_a_body_that_is_no_json_is_refused(program: Client, body: str | bytes) -> None:
    answer = program.generic("POST", "/api/v1/look-ups", body, content_type="application/json")
    assert told(answer) == (400, "request")


def test_wrong_fields_are_named_and_their_values_are_not(program: Client) -> None:
    body = {"hashes": SECRET, "radius_bits": SECRET}
    answer = program.post("/api/v1/look-ups", json.dumps(body), content_type="application/json")
    assert told(answer) == (422, "validation")
    assert {fault["where"] for fault in answer.json()["errors"]} == {"body/wish/hashes", "body/wish/radius_bits"}
    assert SECRET not in answer.content.decode()


def test_a_hash_that_is_none_is_not_repeated(program: Client) -> None:
    answer = program.post("/api/v1/look-ups", json.dumps({"hashes": [SECRET]}), content_type="application/json")
    assert told(answer) == (422, "hash-format")
    assert SECRET not in answer.content.decode()


def test_a_body_too_large_is_refused_before_it_is_read(program: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    body = json.dumps({"hashes": ["a" * 900, "b" * 900]})
    assert told(program.post("/api/v1/look-ups", body, content_type="application/json")) == (413, "too-large")


def test_nul_in_an_address_is_refused(program: Client) -> None:
    assert told(program.get("/api/v1/banks/a%00b")) == (400, "request")
    assert told(program.get("/api/v1/webhooks?cursor=%00")) == (400, "request")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InputError("w"), (422, "input")),
        (NotAllowed("w"), (403, "not-allowed")),
        (WrongState("w"), (409, "wrong-state")),
        (BankLocked("w", where="/srv/x"), (503, "bank-locked")),
        (BankCorrupt("w", where="/srv/x"), (500, "bank-corrupt")),
        (ConfigError("w", where="/srv/x"), (500, "config")),
        (OperationalError("/srv/x"), (503, "unavailable")),
        (OSError(errno.ENOSPC, "full", "/srv/x"), (503, "unavailable")),
        (ValueError("/srv/x"), (500, "fault")),
    ],
)
def test_each_fault_has_its_status_and_tells_no_path(error: Exception, expected: tuple[int, str]) -> None:
    answer = problem_of(error)
    assert told(answer) == expected
    assert b"/srv/x" not in answer.content
    assert ("Retry-After" in answer) == (expected[0] == 503)


@pytest.mark.parametrize(
    ("error", "status"),
    [(OperationalError("/srv/x"), 503), (OSError(errno.ENOSPC, "full", "/srv/x"), 503), (ValueError("/srv/x"), 500)],
)
def test_a_page_that_falls_over_tells_a_person_the_same(error: Exception, status: int, rf: RequestFactory) -> None:
    try:
        raise error
    except type(error):
        answer = show_fault(rf.get("/reports/"))
    assert answer.status_code == status
    assert ("Retry-After" in answer) == (status == 503) == (b"is full" in answer.content)
    assert b"/srv/x" not in answer.content


def test_a_fault_in_an_operation_leaves_as_a_problem(program: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fall_over(actor: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(access, "visible_banks", fall_over)
    answer = program.get("/api/v1/banks")
    assert told(answer) == (500, "fault")
    assert SECRET not in answer.content.decode()


def test_a_database_that_is_gone_says_try_again(program: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(token: str) -> None:
        raise OperationalError("made up")

    monkeypatch.setattr("leadline.workbench.api.access.find_key", gone)
    assert told(program.get("/api/v1/banks")) == (503, "unavailable")


def test_a_decoder_that_was_killed_says_try_again() -> None:
    answer = problem_of(SandboxUnavailable("the decoder's parent has ended", where="/made/up"))
    assert told(answer)[0] == 503
    assert answer["Retry-After"]
    assert b"/made/up" not in answer.content
