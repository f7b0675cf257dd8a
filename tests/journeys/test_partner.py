"""A partner's program hands in a report, sends it again, and the office has it once."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

BODY = {
    "items": [{"kind": "url", "value": "https://pictures.example.net/of-a-partner/1"}],
    "text": "Told by a made-up partner.",
    "source_reference": "MP-2002",
}


def post(office: Any, secret: str, body: dict[str, Any], token: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"{office.address}/api/v1/reports",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {secret}", "Content-Type": "application/json", "Idempotency-Key": token},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def test_a_partner_posts_a_report_twice_and_the_analyst_sees_one(staffed_office: Any, visitor: Any) -> None:
    office, page = staffed_office, visitor.page
    secret = office.ask("make_key", owner=office.people["partner"]["id"], role="analyst")
    before = office.ask("count_reports")
    status, first = post(office, secret, BODY, "of-a-partner-1")
    assert status == 201
    status, second = post(office, secret, BODY, "of-a-partner-1")
    assert (status, second) == (200, first)
    assert post(office, secret, {**BODY, "text": "another"}, "of-a-partner-1")[0] == 422
    assert office.ask("count_reports") == before + 1

    visitor.sign_in(office, "partner")
    page.goto(f"{office.address}/reports/")
    assert page.get_by_role("link", name=first["number"]).count() == 1
    visitor.look("reports")
    page.get_by_role("link", name=first["number"]).click()
    visitor.look("report")
    assert "Told by a made-up partner." in page.content()
    assert "MP-2002" in page.content()
    assert page.locator("a[href*='of-a-partner']").count() == 0  # shown, and never as a link
