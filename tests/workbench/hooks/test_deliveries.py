"""From a line of the journal to the other side: ids only, signed, retried, once an event."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from leadline.errors import InputError, UrlFormatError, WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.hooks import access, actions, tasks
from leadline.workbench.hooks.models import Delivery, DoneRequest, Endpoint
from leadline.workbench.journal.actions import record
from leadline.workbench.journal.models import Line
from leadline.workbench.outgoing import Answer
from leadline.workbench.permissions import ROLE_PERMISSIONS, Permission, Role


@pytest.fixture
def admin(make_person: Callable[..., Person]) -> Person:
    return make_person("admin", Role.ADMINISTRATOR)


@pytest.fixture
def endpoint(admin: Person, settings: Any) -> Endpoint:
    settings.LEADLINE_WEBHOOK_PRIVATE = [ipaddress.ip_network("127.0.0.0/8")]
    made = actions.make_endpoint(admin, "http://127.0.0.1:9/in", ["report.*", "bank.entry.added"])
    actions.follow_journal()
    return made


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the other side answers, and what reached it."""
    told: dict[str, Any] = {"next": Answer(200), "got": []}

    def post(url: str, body: bytes, headers: dict[str, str], *, allowed: object) -> Answer:
        told["got"].append((url, body.decode(), headers))
        return told["next"]

    monkeypatch.setattr(actions, "post", post)
    return told


def happen(act: str, kind: str = "report", object_id: str = "R-1", **details: Any) -> None:
    with transaction.atomic():
        record(act, actor="somebody", object_kind=kind, object_id=object_id, reason="policy", details=details)


def send() -> int:
    while actions.follow_journal():
        pass
    return tasks.send_due()


def test_an_act_leaves_with_its_ids_and_nothing_else(endpoint: Endpoint, answers: dict[str, Any]) -> None:
    happen("report.received", secret="not-for-outside")
    assert send() == 1
    url, body, headers = answers["got"][0]
    line = Line.objects.order_by("-line").first()
    assert line is not None
    assert url == "http://127.0.0.1:9/in"
    told = {"type": "report.received", "timestamp": line.at, "data": {"kind": "report", "id": "R-1"}}
    assert json.loads(body) == told
    signed = access.sign(access.secret_of(endpoint), headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == signed
    assert abs(int(headers["webhook-timestamp"]) - timezone.now().timestamp()) < 60


def test_what_was_not_asked_for_and_what_may_not_leave_stays(endpoint: Endpoint, answers: dict[str, Any]) -> None:
    for act, kind in (
        ("person.joined", "person"), ("key.made", "key"), ("bank.changed", "bank"), ("asset.received", "asset"),
        ("bank.entry.added", "bank-red"),
    ):  # fmt: skip
        happen(act, kind)
    assert send() == 0
    happen("bank.entry.added", "bank", "known")
    assert send() == 1


def test_what_was_before_the_first_webhook_is_not_sent(admin: Person, answers: dict[str, Any]) -> None:
    happen("report.received")
    actions.follow_journal()
    assert send() == 0


def test_an_act_that_is_rolled_back_is_no_event(endpoint: Endpoint, answers: dict[str, Any]) -> None:
    with transaction.atomic():
        record("report.received", actor="a", object_kind="report", object_id="R-1")
        transaction.set_rollback(True)
    assert send() == 0


def test_a_failed_try_is_retried_later_and_later_under_the_same_id(endpoint: Endpoint, answers: dict[str, Any]) -> None:
    happen("report.received")
    answers["next"] = Answer(500, "refused")
    waits = []
    for _ in range(len(actions.DELAYS_S)):
        Delivery.objects.update(next_try_at=timezone.now())
        assert send() == 1
        row = Delivery.objects.get()
        waits.append((row.next_try_at - timezone.now()).total_seconds())  # type: ignore[operator]
        assert send() == 0
    for wait, delay in zip(waits, actions.DELAYS_S, strict=True):
        assert delay - 5 <= wait <= 1.1 * delay
    Delivery.objects.update(next_try_at=timezone.now())
    assert send() == 1
    row = Delivery.objects.get()
    assert (row.state, row.tries, row.last_status, row.last_failure) == ("failed", 10, 500, "refused")
    assert len({headers["webhook-id"] for _, _, headers in answers["got"]}) == 1
    assert tasks.send_due() == 0


def test_a_wish_to_wait_is_heard_but_not_for_ever(endpoint: Endpoint, answers: dict[str, Any]) -> None:
    happen("report.received")
    for asked, expected in ((600, 600), (999_999, 86_400)):
        answers["next"] = Answer(429, "refused", asked)
        Delivery.objects.update(next_try_at=timezone.now())
        send()
        wait = (Delivery.objects.get().next_try_at - timezone.now()).total_seconds()  # type: ignore[operator]
        assert expected - 5 <= wait <= expected


def test_gone_ends_the_webhook(endpoint: Endpoint, answers: dict[str, Any]) -> None:
    """Standard Webhooks 1.0.0, "Delivery success and failure": 410."""
    happen("report.received")
    happen("report.state")
    answers["next"] = Answer(410, "refused")
    actions.follow_journal()
    actions.try_delivery(actions.claim_due(1)[0])
    endpoint.refresh_from_db()
    assert endpoint.ended_for == "gone"
    assert set(Delivery.objects.values_list("state", flat=True)) == {"failed"}
    happen("report.received")
    assert send() == 0


def test_a_receiver_that_is_away_does_not_hold_up_the_others(
    endpoint: Endpoint, admin: Person, answers: dict[str, Any]
) -> None:
    for n in range(5):
        happen("report.received", object_id=f"R-{n}")
    answers["next"] = Answer(failure="timeout")
    actions.follow_journal()
    actions.try_delivery(actions.claim_due(1)[0])
    assert actions.claim_due(10) == []


def test_a_claim_is_one_workers_and_runs_out_with_it(endpoint: Endpoint, answers: dict[str, Any]) -> None:
    happen("report.received")
    actions.follow_journal()
    assert len(actions.claim_due(5)) == 1
    assert actions.claim_due(5) == []  # the first worker has died here
    Delivery.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))
    assert len(actions.claim_due(5)) == 1


def test_an_event_is_made_once_though_the_journal_is_read_twice(endpoint: Endpoint) -> None:
    happen("report.received")
    position = actions.Position.objects.get()
    actions.follow_journal()
    position.save()
    actions.follow_journal()
    assert Delivery.objects.count() == 1


def test_what_failed_is_sent_again_by_hand(endpoint: Endpoint, admin: Person, answers: dict[str, Any]) -> None:
    happen("report.received")
    send()
    delivery = Delivery.objects.get()
    with pytest.raises(WrongState):
        actions.send_again(admin, delivery)
    Delivery.objects.update(state="failed")
    actions.send_again(admin, delivery)
    assert send() == 1


@pytest.mark.parametrize(
    ("url", "events"),
    [
        ("https://127.0.0.1/", ["bank.*"]), ("http://169.254.169.254/", ["bank.*"]), ("https://10.0.0.1/", ["bank.*"]),
        ("https://example.org/", []), ("https://example.org/", ["person.*"]), ("https://example.org/", ["bank.*"] * 21),
        ("nothing", ["bank.*"]),
    ],
)  # fmt: skip
def test_a_webhook_that_may_not_be_is_refused(
    admin: Person, url: str, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "example" in url:
        monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("93.184.215.14", 443))])
    with pytest.raises((InputError, UrlFormatError)):
        actions.make_endpoint(admin, url, events)
    assert not Endpoint.objects.exists()


def test_making_renewing_and_ending_are_in_the_journal(endpoint: Endpoint, admin: Person) -> None:
    actions.renew_secret(admin, endpoint)
    actions.end_endpoint(admin, endpoint, "ended-by-person")
    with pytest.raises(WrongState):
        actions.renew_secret(admin, endpoint)
    acts = Line.objects.filter(object_id=str(endpoint.pk)).order_by("line").values_list("act", "actor")
    assert [act for act, _ in acts] == ["webhook.made", "webhook.renewed", "webhook.ended"]
    assert {actor for _, actor in acts} == {str(admin.pk)}


def test_the_pages_make_show_and_end(
    admin: Person, client_of: Callable[[Person], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("93.184.215.14", 443))])
    client = client_of(admin)
    made = client.post("/webhooks/new/", {"url": "https://hook.example.org/in", "events": "report.* bank.changed"})
    endpoint = Endpoint.objects.get()
    secret = access.secret_of(endpoint)
    assert secret in made.content.decode()
    assert endpoint.events == ["bank.changed", "report.*"]
    for address in ("/webhooks/", f"/webhooks/{endpoint.pk}/"):
        assert secret not in client.get(address).content.decode()
    refused = client.post("/webhooks/new/", {"url": "https://hook.example.org/in", "events": "person.*"})
    assert "not a list of events" in refused.content.decode()
    client.post(f"/webhooks/{endpoint.pk}/renew/")
    assert Endpoint.objects.get().generation == 2
    client.post(f"/webhooks/{endpoint.pk}/end/")
    assert Endpoint.objects.get().ended_for == "ended-by-person"


def test_a_key_makes_webhooks_by_a_scope_that_is_for_nothing_else_and_sees_the_secret_once(
    admin: Person, program_of: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("93.184.215.14", 443))])
    body = {"url": "https://hook.example.org/in", "events": ["report.*"]}
    all_but_this = ROLE_PERMISSIONS[Role.ADMINISTRATOR] - {Permission.WEBHOOKS_MANAGE}
    without = program_of(admin, Role.ADMINISTRATOR, *all_but_this)
    refused = without.post("/api/v1/webhooks", json.dumps(body), content_type="application/json")
    assert (refused.status_code, refused.json()["code"], Endpoint.objects.count()) == (403, "scope", 0)
    program = program_of(admin, Role.ADMINISTRATOR, Permission.WEBHOOKS_MANAGE)
    made = program.post("/api/v1/webhooks", json.dumps(body), content_type="application/json")
    assert made.status_code == 201
    told = made.json()
    assert Line.objects.get(act="webhook.made").actor.startswith("key:")
    assert told["secret"].startswith("whsec_")
    shown = program.get(f"/api/v1/webhooks/{told['id']}")
    assert "secret" not in shown.json()
    assert program.get("/api/v1/webhooks").json()["items"] == [shown.json()]
    assert program.delete(f"/api/v1/webhooks/{told['id']}").status_code == 204
    again = program.delete(f"/api/v1/webhooks/{told['id']}")
    assert (again.status_code, again.json()["code"]) == (409, "wrong-state")


def test_old_requests_and_deliveries_are_forgotten(endpoint: Endpoint, answers: dict[str, Any]) -> None:
    happen("report.received")
    send()
    assert actions.forget_old() == 0
    Delivery.objects.update(made_at=timezone.now() - timedelta(days=31))
    assert actions.forget_old() == 1
    assert not DoneRequest.objects.exists()
