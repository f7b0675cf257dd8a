"""Partners hand in reports by key; the same request twice is one report; nobody learns of others'."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from tests.workbench.reports.conftest import make_report

from leadline.workbench.accounts.actions import make_key
from leadline.workbench.accounts.models import Person
from leadline.workbench.permissions import Permission, Role, Sensitivity
from leadline.workbench.reports.acts import arrival
from leadline.workbench.reports.models import Report

BODY = {"items": [{"kind": "url", "value": "https://example.org/a"}], "text": "seen today", "urgency": ["ongoing"]}


@pytest.fixture
def secret(analyst: Person) -> str:
    scopes = [Permission.REPORTS_READ, Permission.REPORTS_WRITE]
    return make_key(analyst, "partner", Role.ANALYST, scopes, timedelta(days=1))[1]


def post(secret: str, body: Any, **headers: str) -> Any:
    client = Client(raise_request_exception=False)
    return client.post(
        "/api/v1/reports", json.dumps(body), content_type="application/json",
        headers={"Authorization": f"Bearer {secret}", **headers},
    )  # fmt: skip


def get(secret: str, path: str) -> Any:
    client = Client(raise_request_exception=False)
    return client.get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {secret}"})


def test_a_partner_posts_a_report_and_reads_it(secret: str) -> None:
    answer = post(secret, BODY)
    assert answer.status_code == 201, answer.content
    report = Report.objects.get()
    assert answer.json()["number"] == report.number
    assert (report.channel, report.source, report.urgency) == ("api", "partner", 2)
    assert get(secret, f"reports/{report.pk}").json()["urgency_why"] == [["tick.ongoing", 30]]
    (item,) = get(secret, f"reports/{report.pk}/items").json()["items"]
    assert (item["value"], item["times"]) == ("hxxps[:]//example[.]org/a", 1)
    assert get(secret, f"items/{item['id']}").json() == item
    assert [one["number"] for one in get(secret, "reports").json()["reports"]] == [report.number]
    assert [one["number"] for one in get(secret, "reports?text=example.org/a").json()["reports"]] == [report.number]


def test_the_same_key_and_body_is_the_same_answer_and_another_body_is_a_conflict(secret: str) -> None:
    first = post(secret, BODY, **{"Idempotency-Key": "k1"})
    again = post(secret, BODY, **{"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    other = post(secret, {**BODY, "text": "other"}, **{"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-reuse")
    assert Report.objects.count() == 1


def test_the_answer_says_nothing_of_what_others_reported(secret: str) -> None:
    fresh = post(secret, BODY).json()
    make_report("https://example.org/known", sensitivity=Sensitivity.RESTRICTED, text="x")
    known = post(secret, {**BODY, "items": [{"kind": "url", "value": "https://example.org/known"}]}).json()
    assert fresh.keys() == known.keys()
    assert fresh["items"][0].keys() == known["items"][0].keys() == {"id", "kind", "is_keyed"}


@pytest.mark.parametrize(
    "body",
    [
        {}, {"items": []}, {"items": [{"kind": "file", "value": "x"}]}, {"items": [{"kind": "url"}]}, [],
        {"items": [{"kind": "url", "value": "x" * 20_000}]}, {"text": "x", "urgency": ["made-up"]},
        {"text": "x", "received_at": -1}, {"text": "x", "received_at": 10**18},
    ],
)  # fmt: skip
def test_a_malformed_report_is_told_and_not_stored(secret: str, body: Any) -> None:
    answer = post(secret, body)
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert not Report.objects.exists()


def test_a_key_without_the_scope_posts_nothing(analyst: Person) -> None:
    secret = make_key(analyst, "reader", Role.ANALYST, [Permission.REPORTS_READ], timedelta(days=1))[1]
    assert post(secret, BODY).status_code == 403
    assert post("made-up", BODY).status_code == 401


def test_a_key_sees_what_its_role_clears_and_the_rest_is_absent(secret: str) -> None:
    report = make_report(sensitivity=Sensitivity.RESTRICTED)
    item = report.items.get()
    for path in (f"reports/{report.pk}", f"reports/{report.pk}/items", f"items/{item.pk}"):
        assert get(secret, path).status_code == 404
    assert get(secret, "reports").json() == {"reports": [], "next": None}


def test_without_the_database_the_answer_says_try_again(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise OperationalError("made up")

    monkeypatch.setattr(arrival, "_store", gone)
    answer = post(secret, BODY)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "made up" not in answer.content.decode()
