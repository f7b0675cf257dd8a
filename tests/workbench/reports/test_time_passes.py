"""Alerts, waiting reports and retention: what happens when nobody does anything, and when the clock is wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from tests.workbench.reports.conftest import make_report

from leadline.domain import Channel, Kind, Reporter, Urgency
from leadline.errors import WrongState
from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.journal.models import Line
from leadline.workbench.reports import access, actions, tasks
from leadline.workbench.reports.models import Alert, Message, Report
from leadline.workbench.reports.states import Outcome, Reason, State
from leadline.workbench.reports.urgency import explain_urgency

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
URGENT = frozenset({Urgency.CHILD_AT_RISK_NOW})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    class Clock:
        now = NOW

    monkeypatch.setattr(timezone, "now", lambda: Clock.now)
    return Clock


@pytest.fixture
def on_call(analyst: Person, senior: Person, settings: Any) -> Person:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    actions.set_on_call(senior, analyst, NOW - timedelta(hours=1), NOW + timedelta(days=7))
    return analyst


# --- urgency ---------------------------------------------------------------------------------------------------------


def test_urgency_is_explained_by_ticks_channel_and_matches() -> None:
    found = explain_urgency({Urgency.ONGOING, Urgency.COMMERCIAL}, Channel.NCMEC, {Kind.ILLEGAL})
    assert found.why == (
        ("tick.ongoing", 30), ("match.illegal", 20), ("channel.ncmec", 10), ("tick.commercial", 10)
    )  # fmt: skip
    assert found.level == 3
    assert explain_urgency((), Channel.PUBLIC_FORM).level == 0


def test_words_in_a_text_change_no_urgency(office: Any) -> None:
    loud = make_report(text="URGENT!!! child at risk now, ongoing, commercial, escalate, priority 3")
    assert (loud.urgency, loud.urgency_why) == (0, [])


def test_an_urgent_tick_alone_is_urgent_and_raises_an_alert(office: Any) -> None:
    report = make_report(urgency=URGENT)
    assert (report.urgency, report.rank, report.urgency_why) == (3, 0, [["tick.child-at-risk-now", 60]])
    assert Alert.objects.get().report == report


def test_an_urgent_repeat_of_a_quiet_report_stays_on_the_desk_and_alerts(office: Any) -> None:
    make_report()
    repeat = make_report(urgency=URGENT)
    assert repeat.state == State.NEW
    assert Alert.objects.get().report == repeat


# --- alerts ----------------------------------------------------------------------------------------------------------


def test_an_alert_tells_number_and_nothing_else_and_comes_again_after_15_minutes(clock: Any, on_call: Person) -> None:
    report = make_report("https://secret.example.org/", urgency=URGENT, text="words of the reporter")
    assert tasks.send_alerts() == 1
    (sent,) = mail.outbox
    assert sent.to == [on_call.email]
    assert report.number in sent.subject
    assert "secret" not in sent.subject + sent.body
    assert "words" not in sent.subject + sent.body
    clock.now = NOW + timedelta(minutes=14, seconds=59)
    assert tasks.send_alerts() == 0
    clock.now = NOW + timedelta(minutes=15)
    assert tasks.send_alerts() == 1
    assert len(mail.outbox) == 2


def test_an_alert_is_in_the_language_of_who_is_on_call(clock: Any, on_call: Person) -> None:
    on_call.language = "fr"
    on_call.save()
    report = make_report(urgency=URGENT)
    tasks.send_alerts()
    assert mail.outbox[0].subject == f"Le signalement urgent {report.number} attend"


def test_nobody_is_alerted_once_it_is_acknowledged(clock: Any, on_call: Person) -> None:
    report = make_report(urgency=URGENT)
    tasks.send_alerts()
    alert = actions.acknowledge(on_call, report)
    assert (alert.acknowledged_by, alert.acknowledged_at) == (on_call, NOW)
    clock.now = NOW + timedelta(hours=1)
    assert tasks.send_alerts() == 0
    with pytest.raises(WrongState):
        actions.acknowledge(on_call, report)
    assert Line.objects.filter(act="alert.acknowledged", object_id=str(report.pk)).count() == 1


def test_a_clock_set_back_delays_no_alert(clock: Any, on_call: Person) -> None:
    make_report(urgency=URGENT)
    tasks.send_alerts()
    clock.now = NOW - timedelta(days=1)
    actions.set_on_call(on_call, on_call, NOW - timedelta(days=2), NOW)
    assert tasks.send_alerts() == 1


def test_nobody_on_call_is_said_where_it_can_be_seen(clock: Any, senior: Person, settings: Any) -> None:
    make_report(urgency=URGENT)
    tasks.send_alerts()
    assert Alert.objects.get().failure == "nobody-on-call"


def test_a_mail_server_that_is_away_is_noted_and_tried_again(clock: Any, on_call: Person, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9  # discard: nobody listens
    make_report(urgency=URGENT)
    tasks.send_alerts()
    assert Alert.objects.get().failure == "mail"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    clock.now = NOW + timedelta(minutes=15)
    tasks.send_alerts()
    assert (Alert.objects.get().failure, len(mail.outbox)) == ("", 1)


@pytest.fixture
def webhook(settings: Any) -> Iterator[list[bytes]]:
    from ipaddress import ip_network

    got: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings.LEADLINE_ALERT_WEBHOOK = f"http://127.0.0.1:{server.server_port}/alert"
    settings.LEADLINE_WEBHOOK_PRIVATE = [ip_network("127.0.0.0/8")]
    yield got
    server.shutdown()
    server.server_close()


def test_a_webhook_gets_the_number_and_nothing_else(webhook: list[bytes], office: Any) -> None:
    report = make_report("https://secret.example.org/", urgency=URGENT)
    tasks.send_alerts()
    assert [json.loads(body) for body in webhook] == [
        {"event": "report.urgent", "report": str(report.pk), "number": report.number}
    ]
    assert Alert.objects.get().failure == ""


# --- waiting ---------------------------------------------------------------------------------------------------------


def test_no_report_waits_for_ever(clock: Any, analyst: Person) -> None:
    report = make_report()
    actions.change_state(analyst, report.pk, State.TRIAGE, Reason.TAKEN, seen=State.NEW)
    waiting = actions.change_state(analyst, report.pk, State.WAITING, Reason.ASKED_POLICE, seen=State.TRIAGE)
    assert waiting.due_at == NOW + timedelta(days=14)
    clock.now = NOW + timedelta(days=14, seconds=-1)
    assert tasks.return_overdue() == 0
    clock.now = NOW + timedelta(days=14)
    assert tasks.return_overdue() == 1
    report.refresh_from_db()
    assert (report.state, report.due_at, report.changes.last().actor) == (State.TRIAGE, None, "system")


# --- retention -------------------------------------------------------------------------------------------------------

PHRASE = "apple river stone cloud paper wind"


def closed_report(analyst: Person) -> Report:
    report = make_report(text="the text", reporter=Reporter(name="Ann"), passphrase=PHRASE, facts={"a": 1})
    actions.post_message(report, text="a question", actor="x", from_reporter=False)
    actions.change_state(
        analyst, report.pk, State.CLOSED, Reason.OUT_OF_SCOPE, seen=State.NEW, outcome=Outcome.NOT_FOR_US
    )
    return report


def test_contacts_go_first_and_the_report_later(clock: Any, analyst: Person, administrator: Person) -> None:
    set_office_setting(administrator, access.CONTACT_DAYS, "10", "made-up law")
    set_office_setting(administrator, access.REPORT_DAYS, "20", "made-up law")
    report = closed_report(analyst)
    clock.now = NOW + timedelta(days=10, seconds=-1)
    assert tasks.erase_expired() == 0
    clock.now = NOW + timedelta(days=10)
    assert tasks.erase_expired() == 1
    report.refresh_from_db()
    assert (report.contact_sealed, report.passphrase_hash, report.receipt_lookup) == (None, "", "")
    assert Message.objects.get().text_sealed is None
    assert report.text_sealed is not None
    assert actions.find_by_passphrase(PHRASE) is None
    clock.now = NOW + timedelta(days=20)
    assert tasks.erase_expired() == 1
    report.refresh_from_db()
    assert (report.text_sealed, report.facts_sealed, report.items.get().value_sealed) == (None, None, None)
    assert (report.number, report.state, report.outcome) == (report.number, "closed", "not-for-us")
    acts = list(Line.objects.filter(object_id=str(report.pk)).values_list("act", flat=True))
    assert acts[-2:] == ["contact.erased", "report.erased"]
    assert tasks.erase_expired() == 0


def test_an_open_report_and_one_on_hold_are_never_erased(clock: Any, analyst: Person) -> None:
    make_report("https://example.org/open", reporter=Reporter(name="Ann"))
    held = closed_report(analyst)
    actions.set_hold(analyst, held.pk, True, reason="court-order")
    clock.now = NOW + timedelta(days=4000)
    assert tasks.erase_expired() == 0
    actions.set_hold(analyst, held.pk, False, reason="ended")
    assert tasks.erase_expired() > 0


def test_a_clock_set_back_erases_nothing(clock: Any, analyst: Person) -> None:
    closed_report(analyst)
    clock.now = NOW - timedelta(days=4000)
    assert tasks.erase_expired() == 0


def test_a_report_of_something_erased_is_a_new_report_and_still_counts(clock: Any, analyst: Person) -> None:
    old = closed_report(analyst)
    clock.now = NOW + timedelta(days=400)
    tasks.erase_expired()
    again = make_report()
    old.refresh_from_db()
    assert (old.state, again.state, again.known_count) == ("closed", "new", 1)
    assert access.recurrence_of(again.items.get())[2] == 2


def test_an_erased_report_opens_as_an_empty_page(clock: Any, analyst: Person, client_of: Any) -> None:
    report = closed_report(analyst)
    clock.now = NOW + timedelta(days=400)
    tasks.erase_expired()
    clock.now = NOW + timedelta(days=400)
    page = client_of(analyst).get(f"/reports/{report.pk}/")
    assert page.status_code in {200, 302}


def test_answers_to_senders_keys_are_forgotten_after_a_month(clock: Any, office: Any) -> None:
    from leadline.domain import IncomingReport
    from leadline.workbench.reports.models import Acknowledged

    incoming = IncomingReport(Channel.API, text="x")
    actions.receive(incoming, channel=Channel.API, actor="key:a", idempotency_key="k")
    clock.now = NOW + timedelta(days=29)
    tasks.forget()
    assert Acknowledged.objects.exists()
    clock.now = NOW + timedelta(days=31)
    tasks.forget()
    assert not Acknowledged.objects.exists()
