"""schemathesis sends what the document allows, and what it forbids, to every operation of an office with all kinds of objects."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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
from tests.journeys.filled import fill, picture

from leadline.domain import Channel, IncomingReport
from leadline.exchange.connector import Act
from leadline.workbench import matching, sealing
from leadline.workbench.accounts.actions import make_key
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence import tasks
from leadline.workbench.permissions import ROLE_PERMISSIONS, Role
from leadline.workbench.review import actions as review
from leadline.workbench.sharing.access import preview
from leadline.workbench.sharing.gate import Wish
from leadline.workbench.sharing.models import Partner

BUDGET_S = 60.0  # of this process's own time, in which the whole office is served: a busy machine changes nothing
POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
AT_LEAST = 10
KEYS = (Role.SENIOR, Role.ADMINISTRATOR, Role.AUDITOR)  # together they hold all that an operation asks for


def config(*statuses: str) -> SchemathesisConfig:
    """What a document cannot say (a hash that is none, a cursor of another list) is answered with 422."""
    return SchemathesisConfig.from_dict(
        {
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "409", "422", *statuses]}},
            "generation": {"with-security-parameters": False, "allow-x00": False},  # NUL is refused: docs/api.md
        }
    )


@dataclass
class Walk:
    """The same document twice: where ids are those of things that are there, 404 is wrong."""

    ids: dict[str, str]
    keys: dict[Role, str]
    calls: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def send(self, case: Any, label: str) -> int:
        self.calls[label] += 1
        permission = case.operation.definition.raw["x-permission"]
        key = next(k for role, k in self.keys.items() if permission in {*ROLE_PERMISSIONS[role], "signed-in"})
        return int(case.call_and_validate(headers={"Authorization": f"Bearer {key}"}).status_code)

    def bound(self, operation: Any) -> dict[str, str]:
        """Ids of things that are there, for the names in the operation's address."""
        return {name: self.ids[name] for name in (p.name for p in operation.path_parameters)}

    def one_that_succeeds(self, operation: Any) -> None:
        case = operation.Case(path_parameters=self.bound(operation), **GOOD.get(operation.label, {}))
        try:
            status = self.send(case, operation.label)
        except Exception as error:
            self.wrong.append(f"{operation.label}: {error}")
        else:
            self.wrong += [] if status < 300 else [f"{operation.label}: a right request got {status}"]

    def many(self, operation: Any, mode: Any, examples: int, *, is_bound: bool) -> None:
        @settings(
            max_examples=examples, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def run(case: Any) -> None:
            if is_bound:
                case.path_parameters = {**case.path_parameters, **self.bound(operation)}
            self.send(case, operation.label)

        try:
            run()
        except Unsatisfiable:  # nothing of it can be wrong: it takes nothing
            return
        except Exception as error:
            self.wrong.append(f"{operation.label} {mode}: {error}")


# One request for each operation that takes a body; it must succeed.
GOOD: dict[str, dict[str, Any]] = {
    "POST /api/v1/reports": {
        "body": {"items": [{"kind": "url", "value": "https://example.org/made-up"}], "text": "made up"},
        "media_type": "application/json",
    },
    "POST /api/v1/reports/search": {"body": {"text": "R-2026-000001"}, "media_type": "application/json"},
    "POST /api/v1/assets": {"body": {"file": picture(5)}, "media_type": "multipart/form-data"},
    "POST /api/v1/assets/look-ups": {"body": {"hashes": ["md5:" + "01" * 16]}, "media_type": "application/json"},
    "POST /api/v1/banks/{bank_id}/entries": {
        "body": {"hashes": ["md5:" + "ab" * 16], "reason": "own-assessment"},
        "media_type": "application/json",
    },
    "POST /api/v1/banks/{bank_id}/withdrawals": {
        "body": {"ids": [2], "reason": "duplicate"},
        "media_type": "application/json",
    },
    "POST /api/v1/look-ups": {"body": {"hashes": ["md5:" + "01" * 16]}, "media_type": "application/json"},
    "POST /api/v1/appeals": {
        "body": {"about": [{"kind": "hash", "value": "ab" * 32}], "text": "made up"},
        "media_type": "application/json",
    },
    "POST /api/v1/search": {"body": {"query": "made up"}, "media_type": "application/json"},
    "POST /api/v1/webhooks": {
        "body": {"url": "https://hook.example.net/other", "events": ["bank.*"]},
        "media_type": "application/json",
    },
}


@pytest.fixture
def filled(make_person: Callable[..., Person], settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Walk]:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("93.184.215.14", 443))])
    settings.LEADLINE_API_RATE = 10_000_000
    settings.LEADLINE_WEBHOOK_PRIVATE = []
    sealing.forget()
    tasks.forget()
    people = {role: make_person(str(role), role) for role in (*KEYS, Role.INVESTIGATOR)}
    ids = fill(people)
    ids = {
        "report_id": ids["report"],
        "item_id": ids["item"],
        "asset_id": ids["asset"],
        "exhibit_id": ids["exhibit"],
        "bank_id": ids["bank"],
        "entry_id": ids["entry"],
        "share_id": ids["share"],
        "webhook_id": ids["webhook"],
        "delivery_id": ids["hook_delivery"],
    }
    made = {role: make_key(people[role], "k", role, ROLE_PERMISSIONS[role], timedelta(days=1)) for role in KEYS}
    incoming = IncomingReport(Channel.API, text="made up")
    ids["appeal_id"] = str(review.receive_appeal(Actor.of_key(made[Role.SENIOR][0]), incoming)[0].pk)
    review.sort_assets()
    outcome = {"about": "asset", "id": ids["asset_id"], "word": "removed", "source": "host"}
    monkeypatch.setitem(GOOD, "POST /api/v1/outcomes", {"body": outcome, "media_type": "application/json"})
    wish = {"partner": "made-up-source", "act": "submit", "bank": ids["bank_id"], "purpose": "matching", "ids": [3]}
    seen = preview(Actor.of_key(made[Role.SENIOR][0]), Partner.objects.get(), Wish(Act.SUBMIT, "known", (3,)), "matching")
    proposal = wish | {"reason": "agreed-exchange", "digest": seen.digest}
    for label, body in (("dry-run", wish), ("", proposal)):
        path = "POST /api/v1/shares" + (f"/{label}" if label else "")
        monkeypatch.setitem(GOOD, path, {"body": body, "media_type": "application/json"})
    yield Walk(ids, {role: secret for role, (_, secret) in made.items()})
    matching.close_engine()
    sealing.forget()


@pytest.fixture
def one_connection() -> Iterator[None]:
    """The whole test is one transaction, so no request may close its connection, as Django's own test client has it."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def operations_of(*accepted: str) -> list[Any]:
    document = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application(), config=config(*accepted))
    found = [result.ok() for result in document.get_all_operations()]
    # What ends a thing comes last, so that it is there for all others.
    return sorted(found, key=lambda operation: operation.method.upper() == "DELETE")


@pytest.mark.usefixtures("one_connection")
def test_every_operation_answers_as_the_document_says(filled: Walk) -> None:
    started = time.process_time()
    there, made_up = operations_of(), {operation.label: operation for operation in operations_of("404")}
    assert len(there) >= 15
    for operation in there:
        filled.one_that_succeeds(operation)
    for operation in there:
        filled.many(operation, POSITIVE, AT_LEAST, is_bound=True)
        filled.many(operation, NEGATIVE, AT_LEAST, is_bound=False)
        if operation.path_parameters:
            filled.many(made_up[operation.label], POSITIVE, AT_LEAST // 2, is_bound=False)
    assert filled.wrong == [], "\n\n".join(filled.wrong)
    few = {
        operation.label: filled.calls[operation.label]
        for operation in there
        if filled.calls[operation.label] < AT_LEAST and _takes_anything(operation)
    }
    assert few == {}
    assert time.process_time() - started < BUDGET_S


def _takes_anything(operation: Any) -> bool:
    """One that takes neither parameter nor body has one request only."""
    return bool(list(operation.iter_parameters()) or operation.body)
