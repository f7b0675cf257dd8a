"""A visitor appeals against a decision. What comes back never says whether anything is known here."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests.workbench.public.pages import (
    FORM,
    LANGUAGES,
    Page,
    open_page,
    passphrase_in,
    read_answer,
    send_report,
    urlencoded,
)

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.models import Line
from leadline.workbench.public import intake, limits, views
from leadline.workbench.reports import actions, contents
from leadline.workbench.reports.models import Alert, Item, Report
from leadline.workbench.reports.states import OF_APPEALS, Outcome, Reason, State

KNOWN, UNKNOWN = "ab" * 32, "cd" * 32
ADDRESS = "https://pictures.example.net/album/7"


def send_appeal(client: Client, language: str = "en", **fields: Any) -> Any:
    token = open_page(client, f"/{language}/appeal/").value("token")
    fields = {"text": "it was a drawing of mine", **fields}
    return client.post(f"/{language}/appeal/", urlencoded({"token": token, **fields}), content_type=FORM)


def test_it_is_sealed_numbered_and_keyed_by_nothing(visitor: Client) -> None:
    response = send_appeal(visitor, urls=f"{ADDRESS}\r\n{KNOWN}\r\nR-2026-000017", email="made.up@example.org")
    assert response.status_code == 200
    report = Report.objects.get()
    assert report.number in response.content.decode()
    assert (report.is_appeal, report.channel, report.number[:2]) == (True, Channel.PUBLIC_FORM, "A-")
    assert contents.open_text(report.text_sealed, contents.text_context(report.id)) == "it was a drawing of mine"
    kinds = list(Item.objects.order_by("position").values_list("kind", "key"))
    assert kinds == [(ItemKind.URL, ""), (ItemKind.HASH, ""), (ItemKind.TEXT, "")]
    line = Line.objects.get(act="appeal.received")
    assert line.actor == "public-form"
    assert KNOWN not in repr([list(Report.objects.values()), list(Item.objects.values()), list(Line.objects.values())])


def test_it_needs_a_reason_and_keeps_what_was_typed(visitor: Client) -> None:
    response = send_appeal(visitor, text="", urls=KNOWN)
    assert response.status_code == 422
    assert 'href="#text"' in response.content.decode()
    assert KNOWN in response.content.decode()
    assert not Report.objects.exists()


def test_sent_twice_it_is_one_and_no_report_is_taken_for_it(visitor: Client) -> None:
    token = open_page(visitor, "/en/appeal/").value("token")
    fields = urlencoded({"token": token, "text": "wrong"})
    first, second = (visitor.post("/en/appeal/", fields, content_type=FORM) for _ in range(2))
    assert passphrase_in(first) == passphrase_in(second)
    assert Report.objects.count() == 1
    assert visitor.post("/en/report/", fields, content_type=FORM).status_code == 422  # its token is for one form


def known_things(visitor: Client) -> None:
    """A report points at the address and the hash, so the office knows both."""
    items = (IncomingItem(ItemKind.URL, ADDRESS), IncomingItem(ItemKind.HASH, KNOWN))
    actions.receive(IncomingReport(Channel.API, items), channel=Channel.API, actor="test")


def seen(page: str) -> str:
    text = re.sub(r"[AR]-\d{4}-\d{6}|<p class=\"passphrase\".*?</p>", "", page, flags=re.S)
    return re.sub(r'value="[^"]*"', "", text)


def test_the_answer_and_the_work_behind_it_are_the_same_for_what_is_known_and_what_is_not(visitor: Client) -> None:
    known_things(visitor)
    send_appeal(visitor, urls=f"{ADDRESS}\n{'ef' * 32}")  # the first of a process makes its secrets
    pages, work, read = [], [], []
    for value in (f"{ADDRESS}\n{KNOWN}", f"https://other.example.net/album/8\n{UNKNOWN}"):
        with CaptureQueriesContext(connection) as asked:
            response = send_appeal(visitor, urls=value)
        work.append([re.sub(r"'[^']*'|\d+|x[0-9a-f]+", "", query["sql"])[:60] for query in asked])
        pages.append(seen(response.content.decode()))
        read.append(seen(read_answer(visitor, passphrase_in(response)).content.decode()))
    assert pages[0] == pages[1]
    assert read[0] == read[1]
    assert work[0] == work[1]


def test_what_is_known_learns_nothing_of_it(visitor: Client) -> None:
    known_things(visitor)
    send_appeal(visitor, urls=f"{ADDRESS}\n{KNOWN}")
    assert list(Item.objects.filter(report__is_appeal=False).values_list("times", flat=True)) == [1, 1]
    assert not Line.objects.filter(act="item.attached").exists()
    assert not Alert.objects.exists()
    assert Report.objects.get(is_appeal=True).urgency == 0


def test_a_file_inside_its_words_is_left_out_and_taken_in_by_nobody(office: Any) -> None:
    """Also of a program, in an office that hashes what reports bring: an appeal brings nothing in."""
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(3000)).decode()
    incoming = IncomingReport(Channel.API, text=f"see data:image/png;base64,{picture} here")
    report = actions.receive(incoming, channel=Channel.API, actor="test", is_appeal=True).report
    assert picture[:40] not in contents.open_text(report.text_sealed, contents.text_context(report.id))
    assert (Asset.objects.count(), report.items.count()) == (0, 0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_passphrase_opens_it_in_the_words_of_an_appeal(visitor: Client, senior: Person, language: str) -> None:
    passphrase = passphrase_in(send_appeal(visitor, language))
    report = Report.objects.get()
    page = read_answer(visitor, passphrase, language)
    assert page.status_code == 200
    assert report.number in page.content.decode()
    assert len(Page(page.content.decode()).all("h1")) == 1


def test_what_a_person_chose_to_tell_is_told_and_the_first_of_them_says_nothing_of_a_decision(
    visitor: Client, senior: Person
) -> None:
    for outcome in OF_APPEALS:
        passphrase = passphrase_in(send_appeal(visitor, text=f"appeal {outcome}"))
        report = Report.objects.order_by("-received_at", "-number").first()
        actions.change_state(senior, report.pk, State.CLOSED, Reason.ASSESSED, seen=State.NEW, outcome=outcome)
        page = read_answer(visitor, passphrase).content.decode()
        assert str(intake.OUTCOMES[outcome]) in page
        assert senior.name not in page
    assert "If a decision of ours was wrong" in str(intake.OUTCOMES[Outcome.EXAMINED])


def test_one_visitor_too_many_times_must_wait_and_a_report_is_still_taken(
    visitor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "APPEALS", limits.Limit("appeals", of_one=1, of_all=9, window_s=3600))
    send_appeal(visitor)
    response = send_appeal(visitor, text="the second text")
    assert response.status_code == 429
    assert "the second text" in response.content.decode()
    assert send_report(visitor, text="a report").status_code == 200


def test_without_the_key_it_is_closed_and_gives_the_text_back(visitor: Client, settings: Any) -> None:
    token = open_page(visitor, "/en/appeal/").value("token")
    settings.LEADLINE_KEY_FILE.unlink()
    fields = {"token": token, "text": "all that I wrote"}
    response = visitor.post("/en/appeal/", urlencoded(fields), content_type=FORM)
    assert response.status_code == 503
    assert "all that I wrote" in response.content.decode()
    assert not Report.objects.exists()
