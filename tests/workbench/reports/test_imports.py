"""Files that people import: others' pages are answered meanwhile, a stop loses nothing, and no file stays for ever."""

from __future__ import annotations

import hashlib
import threading
import time
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.test import Client
from django.utils import timezone
from tests.media.test_archives import zipped
from tests.workbench.reports.conftest import draw_png, mail_with_file

from leadline.domain import Channel
from leadline.errors import WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.models import Line
from leadline.workbench.reports import deliveries, intake, tasks
from leadline.workbench.reports.intake import Sender, receive_file, receive_mail
from leadline.workbench.reports.models import Delivery, Report

CSV = b"url,note\nhttps://example.org/1,a\nhttps://example.org/2,b\n,only a note\n"
FORM = {"channel": "chat", "tlp": "amber+strict", "legal_order": "made-up order 7", "source": ""}


# --- in the request --------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_large_imports_block_nobody_and_one_too_many_is_told_to_come_again(
    analyst: Person, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files that take long are being read; a third one waits for nothing, and every other page is answered."""
    begun, go_on = threading.Semaphore(0), threading.Event()
    read = intake.receive_file

    def take_long(*arguments: Any) -> Any:
        begun.release()
        assert go_on.wait(60)
        return read(*arguments)

    monkeypatch.setattr(intake, "receive_file", take_long)
    answers: list[Any] = []

    def send() -> None:
        try:
            answers.append(client_of(analyst).post("/reports/import/", {**FORM, "file": BytesIO(b"no chat")}))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(intake.MOST_AT_ONCE)]
    for thread in threads:
        thread.start()
    assert all(begun.acquire(timeout=30) for _ in threads)
    begun_at, browser = time.monotonic(), client_of(analyst)
    assert browser.get("/reports/").status_code == 200
    third = browser.post("/reports/import/", {**FORM, "file": BytesIO(b"no chat")})
    assert "other files are being read" in third.content.decode()
    assert time.monotonic() - begun_at < 20
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert [answer.status_code for answer in answers] == [200, 200]
    monkeypatch.setattr(intake, "receive_file", read)
    last = browser.post("/reports/import/", {**FORM, "file": BytesIO(b"no chat")})
    assert "other files are being read" not in last.content.decode()  # the turns were given back


def test_a_container_that_takes_too_long_is_received_as_far_as_it_was_read_and_names_the_rest(office: Any) -> None:
    pictures = {f"{n}.png": draw_png(n) for n in range(12)}
    archive = zipped({"report.txt": b"x", **pictures})
    sender = Sender(actor="tester", give_up_at=time.monotonic() + 3600)
    (receipt,) = receive_file(Channel.NCMEC, archive, "a.zip", sender, None)
    assert sum(item.asset is not None for item in receipt.items) == 13
    late = Sender(actor="tester", give_up_at=time.monotonic())
    begun = time.monotonic()
    (receipt,) = receive_file(Channel.NCMEC, archive + b"\0", "b.zip", late, None)
    assert time.monotonic() - begun < 30
    assert [item.asset is not None for item in receipt.items] == [True]  # the archive itself, hashed; nothing of it


def test_a_mail_of_very_many_files_holds_nobody_up_and_names_what_was_not_taken_in(office: Any) -> None:
    late = Sender(actor="tester", give_up_at=time.monotonic())
    receipt = receive_mail(mail_with_file("a.png", draw_png(3)), late, None)
    assert [(item.asset_id, item.flags) for item in receipt.items] == [(None, ["too-slow"])]


# --- bulk ------------------------------------------------------------------------------------------------------------


def kept(person: Person, data: bytes = CSV) -> Delivery:
    delivery = deliveries.keep(person, data, "partner", "a.csv")
    deliveries.order_import(delivery, person)
    delivery.refresh_from_db()
    return delivery


def hours_pass(delivery: Delivery, hours: float) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(
        begun_at=timezone.now() - timedelta(hours=hours), made_at=timezone.now() - timedelta(hours=hours)
    )
    delivery.refresh_from_db()


def test_an_import_that_died_is_begun_again_by_itself_and_receives_no_line_twice(
    analyst: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery, receive = kept(analyst), tasks.actions.receive
    calls: list[int] = []

    def dies(*arguments: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise OperationalError("made up")
        return receive(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(tasks.actions, "receive", dies)
        with pytest.raises(OperationalError):
            tasks.import_delivery.call(str(delivery.pk))
    assert (Report.objects.count(), tasks.import_again()) == (1, 0)
    with pytest.raises(WrongState):
        deliveries.order_import(delivery, analyst)  # it may be at work still
    hours_pass(delivery, 2)
    assert tasks.import_again() == 1
    tasks.import_delivery.call(str(delivery.pk))
    delivery.refresh_from_db()
    assert (Report.objects.count(), delivery.ended_at is not None, delivery.data_sealed) == (2, True, None)
    assert tasks.import_again() == 0


def test_a_line_that_stops_every_try_is_passed_over_at_the_last_one(
    analyst: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery, receive = kept(analyst), tasks.actions.receive

    def dies(incoming: Any, **more: Any) -> Any:
        if incoming.items[0].value.endswith("/1"):
            raise RuntimeError("a fault of ours, made up")
        return receive(incoming, **more)

    monkeypatch.setattr(tasks.actions, "receive", dies)
    for number in range(1, deliveries.MOST_TRIES):
        with pytest.raises(RuntimeError):
            tasks.import_delivery.call(str(delivery.pk))
        hours_pass(delivery, 2)
        assert tasks.import_again() == 1, number
    tasks.import_delivery.call(str(delivery.pk))
    assert list(delivery.lines.values_list("number", "code"))[:2] == [(2, "RuntimeError"), (3, "")]
    assert Report.objects.count() == 1


def test_a_person_tries_it_again_on_its_page(analyst: Person, client_of: Any) -> None:
    delivery = kept(analyst)
    browser: Client = client_of(analyst)
    assert "Try again" not in browser.get(f"/reports/bulk/{delivery.pk}/").content.decode()
    hours_pass(delivery, 2)
    assert "Try again" in browser.get(f"/reports/bulk/{delivery.pk}/").content.decode()
    browser.post(f"/reports/bulk/{delivery.pk}/import/")
    delivery.refresh_from_db()
    assert (delivery.tries, deliveries.is_stopped(delivery)) == (2, False)


def test_no_file_stays_beyond_its_term_whatever_became_of_it(analyst: Person) -> None:
    unbegun, begun = deliveries.keep(analyst, CSV, ""), kept(analyst)
    for delivery, hours in ((unbegun, 23), (begun, 24 * 6)):
        hours_pass(delivery, hours)
    Delivery.objects.filter(pk=unbegun.pk).update(begun_at=None)
    tasks.forget()
    assert Delivery.objects.filter(data_sealed__isnull=False).count() == 2
    hours_pass(begun, 24 * 8)
    Delivery.objects.filter(pk=unbegun.pk).update(made_at=timezone.now() - timedelta(days=2))
    tasks.forget()
    assert not Delivery.objects.filter(data_sealed__isnull=False).exists()
    begun.refresh_from_db()
    assert begun.ended_at is not None
    assert Line.objects.filter(act="delivery.forgotten", object_id=str(begun.pk)).count() == 1


def test_the_hash_of_a_bulk_file_stands_with_it_with_its_reports_and_in_the_chain(analyst: Person) -> None:
    delivery = kept(analyst)
    tasks.import_delivery.call(str(delivery.pk))
    digest = hashlib.sha256(CSV).hexdigest()
    assert delivery.sha256 == digest
    assert {report.checks["original_sha256"] for report in Report.objects.all()} == {digest}
    assert digest in Line.objects.get(act="delivery.kept").details
    assert not Asset.objects.exists()


def test_where_files_are_kept_a_bulk_file_is_sealed_as_it_came(analyst: Person, keeping: None) -> None:
    kept(analyst)
    asset = Asset.objects.get()
    assert (asset.state, asset.sha256) == ("kept", hashlib.sha256(CSV).hexdigest())
