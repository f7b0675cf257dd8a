"""One way in: what comes in is stored whole, sealed, keyed and counted."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.db.utils import DatabaseError

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Reporter, Urgency
from leadline.errors import InputError, KeyUnavailable, ReportFormatError
from leadline.workbench import sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Sensitivity
from leadline.workbench.reports import access, actions
from leadline.workbench.reports.models import Acknowledged, Item, Report, StateChange
from leadline.workbench.reports.states import Outcome, Reason, State

URL = IncomingItem(ItemKind.URL, "hxxps://www.example[.]org/a?utm_source=x")
SAME = IncomingItem(ItemKind.URL, "https://www.example.org:443/a#top")


def report_of(*items: IncomingItem, **more: Any) -> IncomingReport:
    return IncomingReport(Channel.STAFF_FORM, items=items, **more)


def receive(*items: IncomingItem, key: str = "", **more: Any) -> actions.Receipt:
    return actions.receive(report_of(*items, **more), channel=Channel.STAFF_FORM, actor="tester", idempotency_key=key)


def test_a_report_gets_a_number_items_and_its_line(office: Any) -> None:
    receipt = receive(URL, text="a note")
    report = Report.objects.get()
    assert receipt.report == report
    assert report.number == f"R-{report.received_at.year}-000001"
    assert (report.state, report.is_open, report.item_count) == ("new", True, 1)
    line = Line.objects.get(act="report.received")
    assert (line.object_id, line.actor, line.reason) == (str(report.id), "tester", "staff-form")
    assert receive(URL, text="another").report.number.endswith("000002")


def test_nothing_that_people_wrote_is_in_the_database_in_plain(office: Any) -> None:
    item = IncomingItem(ItemKind.URL, "https://needle-one.example.org/", note="needle-two", referrer="https://needle-six.test/")
    who = Reporter(name="needle-three", email="needle-four@example.org")
    actions.receive(
        report_of(item, text="needle-five", reporter=who, facts={"needle-seven": "needle-eight"}),
        channel=Channel.STAFF_FORM, actor="tester", passphrase="needle nine ten", idempotency_key="needle-eleven",
    )  # fmt: skip
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            if table.startswith(("reports_", "journal_")):
                cursor.execute(f"SELECT * FROM {table}")
                for row in cursor.fetchall():
                    whole = b" ".join(bytes(v) if isinstance(v, (bytes, memoryview)) else str(v).encode() for v in row)
                    assert b"needle" not in whole, table


def test_the_key_of_an_item_is_no_plain_hash_of_the_place(office: Any) -> None:
    key = receive(URL).items[0].key
    places = ["https://www.example.org/a", "//www.example.org/a", "url //www.example.org/a"]
    assert key not in {hashlib.sha256(place.encode()).hexdigest() for place in places}


def test_without_the_key_nothing_is_stored(office: Any, settings: Any, tmp_path: Any) -> None:
    settings.LEADLINE_KEY_FILE = tmp_path / "absent.key"
    sealing.forget()
    with pytest.raises(KeyUnavailable):
        receive(URL)
    assert not Report.objects.exists()


def test_the_same_place_written_otherwise_is_the_known_item(office: Any) -> None:
    first = receive(URL, text="first").items[0]
    second = receive(SAME, text="second")
    assert second.items[0].first_id == first.id
    assert [report.number for report in second.attached_to] == [first.report.number]
    first.refresh_from_db()
    assert first.times == 2
    assert first.last_seen_at == second.report.received_at
    seen = access.recurrence_of(second.items[0])
    assert seen == (first.first_seen_at, first.last_seen_at, 2)


def test_a_bare_repeat_is_a_duplicate_of_the_report_that_goes_on(office: Any) -> None:
    first, second = receive(URL).report, receive(SAME).report
    assert (second.state, second.attached_to_id) == (State.DUPLICATE, first.id)
    assert StateChange.objects.get(report=second).reason == Reason.ALL_ITEMS_KNOWN


def test_a_repeat_that_says_something_new_stays_on_the_desk(office: Any) -> None:
    receive(URL)
    assert receive(URL, text="it is back").report.state == State.NEW
    assert receive(URL, urgency=frozenset({Urgency.ONGOING})).report.state == State.NEW
    assert receive(URL, IncomingItem(ItemKind.URL, "https://example.net/new")).report.state == State.NEW


def test_a_repeat_of_a_closed_report_opens_it_again(office: Any, analyst: Person) -> None:
    report = receive(URL).report
    actions.change_state(analyst, report.id, State.TRIAGE, Reason.TAKEN, seen=State.NEW)
    actions.change_state(analyst, report.id, State.CLOSED, Reason.ASSESSED, seen=State.TRIAGE, outcome=Outcome.REMOVED)
    repeat = receive(SAME).report
    report.refresh_from_db()
    assert (report.state, report.is_open, report.outcome, report.closed_at) == (State.REOPENED, True, "", None)
    assert report.changes.last().reason == Reason.REPORTED_AGAIN
    assert repeat.attached_to_id == report.id


def test_a_repeat_of_a_duplicate_attaches_to_the_report_that_goes_on(office: Any) -> None:
    first = receive(URL).report
    receive(URL)
    assert receive(URL).report.attached_to_id == first.id
    assert Item.objects.get(report=first).times == 3


def test_one_thing_named_twice_in_a_report_is_one_item_with_both_notes(office: Any, analyst: Person) -> None:
    again = IncomingItem(ItemKind.URL, SAME.value, note="the second note")
    receipt = receive(URL, again)
    assert receipt.report.item_count == 1
    assert access.show_item(receipt.items[0]).note == "the second note"
    assert receipt.items[0].times == 1


def test_a_link_to_a_profile_and_the_account_are_one_thing(office: Any) -> None:
    receive(IncomingItem(ItemKind.URL, "https://t.me/made_up_name"))
    receipt = receive(IncomingItem(ItemKind.ACCOUNT, "https://t.me/s/Made_Up_Name"))
    assert receipt.report.known_count == 1


def test_a_hash_in_capitals_is_the_same_hash(office: Any) -> None:
    receive(IncomingItem(ItemKind.HASH, "0cc175b9c0f1b6a831c399e269772661"))  # md5("a"), RFC 1321
    assert receive(IncomingItem(ItemKind.HASH, "0CC175B9C0F1B6A831C399E269772661")).report.known_count == 1


def test_a_link_that_is_none_is_kept_and_says_so(office: Any) -> None:
    item = receive(IncomingItem(ItemKind.URL, "https://"), text="x").items[0]
    assert (item.key, item.flags) == ("", ["url-format"])


@pytest.mark.parametrize(
    "incoming",
    [
        IncomingReport(Channel.STAFF_FORM),
        IncomingReport(Channel.STAFF_FORM, text="  \n"),
        IncomingReport(Channel.STAFF_FORM, items=(URL,) * (actions.MAX_ITEMS + 1)),
        IncomingReport(Channel.STAFF_FORM, text="x" * (actions.MAX_TEXT_CHARS + 1)),
    ],
)
def test_an_empty_or_endless_report_is_refused(office: Any, incoming: IncomingReport) -> None:
    with pytest.raises(ReportFormatError):
        actions.receive(incoming, channel=Channel.STAFF_FORM, actor="tester")
    assert not Report.objects.exists()


def test_a_conversation_needs_its_legal_order(office: Any) -> None:
    incoming = IncomingReport(Channel.CHAT, text="[-] a: b")
    with pytest.raises(ReportFormatError) as caught:
        actions.receive(incoming, channel=Channel.CHAT, actor="tester")
    assert caught.value.field == "legal_order"
    named = IncomingReport(Channel.CHAT, text="[-] a: b", facts={"legal_order": "made-up order 12/2026"})
    report = actions.receive(named, channel=Channel.CHAT, actor="tester").report
    assert report.sensitivity == Sensitivity.RESTRICTED


def test_times_that_no_calendar_holds_are_no_times(office: Any) -> None:
    report = receive(URL, received_at=10**17, made_at=1_700_000_000).report
    assert report.sender_received_at is None
    assert report.made_at.isoformat() == "2023-11-14T22:13:20+00:00"  # date -u -d @1700000000


def test_hostile_signs_in_a_report_reach_no_database_error(office: Any) -> None:
    receipt = receive(IncomingItem(ItemKind.TEXT, "a\0b\ud800"), text="\ud800\0", source_reference="x\0y")
    assert Report.objects.get().source_reference == "x\ufffdy"
    assert access.show_item(receipt.items[0]).shown


# --- the same request again ------------------------------------------------------------------------------------------


def test_the_same_key_with_the_same_body_gives_the_same_answer(office: Any) -> None:
    first, again = receive(URL, key="k1"), receive(URL, key="k1")
    assert (first.is_new, again.is_new) == (True, False)
    assert again.report.number == first.report.number
    assert [item.id for item in again.items] == [item.id for item in first.items]
    assert Item.objects.get().times == 1


def test_the_same_key_with_another_body_is_refused(office: Any) -> None:
    receive(URL, key="k1")
    with pytest.raises(InputError) as caught:
        receive(URL, key="k1", text="other")
    assert caught.value.code == "idempotency-reuse"
    assert Report.objects.count() == 1


def test_keys_of_two_senders_never_meet(office: Any) -> None:
    for actor in ("key:a", "key:b"):
        actions.receive(report_of(URL), channel=Channel.API, actor=actor, idempotency_key="k1")
    assert Report.objects.count() == Acknowledged.objects.count() == 2


# --- rows that nobody rewrites ---------------------------------------------------------------------------------------


def test_the_database_refuses_to_change_a_state_change(office: Any) -> None:
    receive(URL)
    receive(URL)
    for sql in ("UPDATE reports_statechange SET reason = 'other'", "DELETE FROM reports_statechange"):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    assert StateChange.objects.get().reason == Reason.ALL_ITEMS_KNOWN


def test_the_database_refuses_a_second_first_item(office: Any) -> None:
    first = receive(URL).items[0]
    with pytest.raises(IntegrityError), transaction.atomic():
        Item.objects.create(
            report=first.report, position=9, kind="url", key=first.key,
            first_seen_at=first.first_seen_at, last_seen_at=first.first_seen_at,
        )  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_the_same_report_posted_at_once_attaches_once(office: Any) -> None:
    start, faults = threading.Barrier(4), []

    def post() -> None:
        try:
            start.wait(10)
            receive(URL)
        except Exception as error:
            faults.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert Item.objects.filter(first__isnull=True).count() == 1
    assert Item.objects.get(first__isnull=True).times == 4
    assert sorted(Report.objects.values_list("state", flat=True)) == ["duplicate"] * 3 + ["new"]
    numbers = sorted(Report.objects.values_list("number", flat=True))
    assert [number[-6:] for number in numbers] == ["000001", "000002", "000003", "000004"]


@pytest.mark.django_db(transaction=True)
def test_the_same_request_posted_at_once_is_one_report(office: Any) -> None:
    start, numbers, faults = threading.Barrier(3), [], []

    def post() -> None:
        try:
            start.wait(10)
            numbers.append(receive(URL, key="k1").report.number)
        except Exception as error:
            faults.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=post) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert len(set(numbers)) == 1
    assert Report.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", ["hold", "erase"])
def test_what_is_reported_again_while_somebody_works_on_it_waits_and_both_are_done(office: Any, act: str) -> None:
    """Two connections: one holds the known report and then wants the chain, the other one comes with a repeat."""
    clerk = Person.objects.create(email="clerk@example.org", name="clerk")
    known = receive(URL).report
    actions.change_state(None, known.pk, State.CLOSED, Reason.ASSESSED, seen=State.NEW, outcome=Outcome.REMOVED)
    holds, faults = threading.Event(), []

    def work() -> None:
        try:
            with transaction.atomic():
                Report.objects.select_for_update().get(pk=known.pk)
                holds.set()
                time.sleep(1.5)  # long enough for the other one to take whatever it takes before it waits
                if act == "hold":
                    actions.set_hold(clerk, known.pk, True, reason="court-order")
                else:
                    actions.erase_report(known.pk)
        except Exception as error:
            faults.append(error)
        finally:
            connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    assert holds.wait(10)
    again = receive(URL).report
    worker.join(60)
    assert faults == []
    known.refresh_from_db()
    if act == "hold":
        assert (known.on_hold, known.state, again.attached_to_id) == (True, "reopened", known.pk)
    else:
        assert (known.erased_at is not None, known.state, again.state) == (True, "closed", "new")
