"""Partners hand in reports by key; the same request twice is one report; nobody learns of others'."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from tests.workbench.reports.conftest import make_report

from leadline.workbench.accounts.actions import make_key, set_office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.permissions import Permission, Role, Sensitivity
from leadline.workbench.reports import access
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


def search(secret: str, text: str, **more: Any) -> Any:
    client = Client(raise_request_exception=False)
    return client.post(
        "/api/v1/reports/search", json.dumps({"text": text, **more}), content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )  # fmt: skip


def test_a_filter_that_is_switched_off_is_refused_and_never_answers_with_the_whole_list(
    secret: str, administrator: Person
) -> None:
    make_report()
    set_office_setting(administrator, access.SEARCH_FIELDS, "number", "made-up law")
    for path in ("reports?state=closed", "reports?channel=mail"):
        answer = get(secret, path)
        assert (answer.status_code, answer.json()["code"]) == (422, "search-off")
    assert len(get(secret, "reports?state=open").json()["reports"]) == 1


def test_what_is_looked_for_stands_in_no_address(secret: str) -> None:
    """A proxy that logs it would tell the reported link."""
    assert get(secret, "reports?text=https://example.org/other").status_code == 422


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
    assert [one["number"] for one in search(secret, "example.org/a").json()["reports"]] == [report.number]
    assert search(secret, "example.org/b").json()["reports"] == []


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
