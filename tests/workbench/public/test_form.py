"""A visitor reports, and comes back with the passphrase."""

from __future__ import annotations

import json
import re
import threading
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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

from leadline.domain import Channel, ItemKind
from leadline.workbench.accounts.models import Person
from leadline.workbench.journal.models import Line
from leadline.workbench.public import intake, limits, tokens, views
from leadline.workbench.reports import access, actions, contents
from leadline.workbench.reports.acts import talk
from leadline.workbench.reports.models import Item, Message, Report
from leadline.workbench.reports.states import Outcome, Reason, State

ADDRESS = "https://pictures.example.net/album/7"


def stored_text(report: Report) -> str:
    return contents.open_text(report.text_sealed, contents.text_context(report.id))


def test_an_address_alone_is_a_report_and_it_is_anonymous(visitor: Client) -> None:
    response = send_report(visitor, urls=ADDRESS)
    assert response.status_code == 200
    report = Report.objects.get()
    assert report.number in response.content.decode()
    assert (report.channel, report.contact_sealed, report.text_sealed) == (Channel.PUBLIC_FORM, None, None)
    item = Item.objects.get()
    assert item.kind == ItemKind.URL
    assert contents.open_json(item.value_sealed, contents.item_context(item.id)) == [{"value": ADDRESS}]
    assert Line.objects.get(act="report.received").actor == "public-form"


def test_words_alone_are_a_report(visitor: Client) -> None:
    assert send_report(visitor, text="In a group that is called Example.").status_code == 200
    assert stored_text(Report.objects.get()) == "In a group that is called Example."
    assert not Item.objects.exists()


def test_every_line_is_an_item_and_a_line_that_is_no_address_is_kept_as_text(visitor: Client) -> None:
    send_report(visitor, urls=f"{ADDRESS}\r\n\r\nhxxp://other[.]example/x\r\nthe one with the red banner !!")
    kinds = [item.kind for item in Item.objects.order_by("position")]
    assert kinds == [ItemKind.URL, ItemKind.URL, ItemKind.TEXT]


def test_ticks_make_the_urgency_and_words_do_not(visitor: Client) -> None:
    send_report(visitor, text="urgent! a child is in danger now")
    calm = Report.objects.get()
    send_report(visitor, urls=ADDRESS, urgency=["child-at-risk-now", "ongoing"])
    ticked = Report.objects.exclude(pk=calm.pk).get()
    assert (calm.urgency_ticks, ticked.urgency_ticks) == ([], ["child-at-risk-now", "ongoing"])
    assert calm.urgency < ticked.urgency


def test_a_tick_that_the_form_does_not_have_is_refused(visitor: Client) -> None:
    assert send_report(visitor, urls=ADDRESS, urgency=["sender-escalated"]).status_code == 422
    assert not Report.objects.exists()


def test_contact_is_sealed_where_it_is_given(visitor: Client) -> None:
    send_report(visitor, urls=ADDRESS, name="Made Up", email="made.up@example.org", phone="+32 000")
    report = Report.objects.get()
    key, context = access.contact_key(report), contents.contact_context(report.id)
    assert json.loads(contents.open_private(report.contact_sealed, key, context))["email"] == "made.up@example.org"
    assert b"made.up" not in bytes(report.contact_sealed)


def test_the_page_language_is_kept_so_that_the_office_answers_in_it(visitor: Client) -> None:
    send_report(visitor, "nl", urls=ADDRESS)
    assert Report.objects.get().language == "nl"


def test_an_empty_form_says_what_is_missing_and_keeps_what_was_typed(visitor: Client) -> None:
    response = send_report(visitor, name="Made Up", urls="  ")
    page = Page(response.content.decode())
    assert response.status_code == 422
    summary = [e for e in page.all("a") if e.attributes.get("href") == "#urls"]
    assert len(summary) == 1
    assert "Give an address here" in summary[0].text
    urls = next(e for e in page.fields() if e.attributes["name"] == "urls")
    assert urls.attributes["aria-invalid"] == "true"
    assert set(urls.attributes["aria-describedby"].split()) <= set(page.ids())
    assert next(e for e in page.fields() if e.attributes["name"] == "name").attributes["value"] == "Made Up"
    assert not Report.objects.exists()


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"urls": "\n".join(f"https://example.org/{n}" for n in range(101))}, "urls"),
        ({"text": "x" * 20_001}, "text"),
        ({"text": "a nul \x00 byte"}, "text"),
        ({"urls": ADDRESS, "email": "no address"}, "email"),
        ({"urls": ADDRESS, "name": "x" * 121}, "name"),
    ],
)
def test_what_is_too_long_or_wrong_is_named_and_nothing_is_stored(
    visitor: Client, fields: dict[str, str], wrong: str
) -> None:
    response = send_report(visitor, **fields)
    assert response.status_code == 422
    assert f'href="#{wrong}"' in response.content.decode()
    assert not Report.objects.exists()


def test_markup_in_what_was_typed_stays_text(visitor: Client) -> None:
    response = send_report(visitor, text="</textarea><script>alert(1)</script>", email="x")
    assert Page(response.content.decode()).all("script") == []


@pytest.mark.parametrize("token", ["", "made-up", "e30:1vvvvv:AAAA"])
def test_without_our_token_nothing_is_stored_and_the_text_comes_back_with_a_good_one(
    visitor: Client, token: str
) -> None:
    fields = {"token": token, "text": "what I wrote"}
    response = visitor.post("/en/report/", urlencoded(fields), content_type=FORM)
    assert response.status_code == 422
    assert not Report.objects.exists()
    page = Page(response.content.decode())
    assert next(e for e in page.all("textarea") if e.attributes["name"] == "text").text.strip() == "what I wrote"
    again = {"token": page.value("token"), "text": "what I wrote"}
    assert visitor.post("/en/report/", urlencoded(again), content_type=FORM).status_code == 200


def test_a_form_sent_within_two_seconds_asks_to_be_sent_again(visitor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "FORM_AT_LEAST_S", 60)
    response = send_report(visitor, text="pasted at once")
    assert response.status_code == 422
    assert "Please send it once more" in response.content.decode()
    assert not Report.objects.exists()


def test_a_form_sent_twice_is_one_report_with_one_passphrase(visitor: Client) -> None:
    token = open_page(visitor, "/en/report/").value("token")
    fields = urlencoded({"token": token, "urls": ADDRESS})
    first, second = (visitor.post("/en/report/", fields, content_type=FORM) for _ in range(2))
    assert Report.objects.count() == 1
    assert passphrase_in(first) == passphrase_in(second)
    changed = urlencoded({"token": token, "urls": ADDRESS, "text": "one thing more"})
    third = visitor.post("/en/report/", changed, content_type=FORM)
    assert Report.objects.count() == 2
    assert passphrase_in(third) != passphrase_in(first)


# --- coming back -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_passphrase_opens_the_report_however_it_is_typed(visitor: Client, language: str) -> None:
    passphrase = passphrase_in(send_report(visitor, language, urls=ADDRESS))
    response = read_answer(visitor, passphrase.upper().replace(" ", " - "), language)
    assert response.status_code == 200
    assert Report.objects.get().number in response.content.decode()


def test_the_words_are_stored_nowhere(visitor: Client) -> None:
    passphrase = passphrase_in(send_report(visitor, urls=ADDRESS))
    report = Report.objects.get()
    assert report.passphrase_hash.startswith("argon2")
    rows = repr([list(Report.objects.values()), list(Item.objects.values()), list(Line.objects.values())])
    words = passphrase.split()
    assert not [pair for pair in pairwise(words) if re.search(rf"{pair[0]}\W{pair[1]}", rows)]


def test_wrong_and_absent_get_the_same_answer_after_the_same_work(
    visitor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = passphrase_in(send_report(visitor, urls=ADDRESS))
    checks: list[str] = []
    real = talk.check_password
    monkeypatch.setattr(talk, "check_password", lambda plain, kept: checks.append(kept) or real(plain, kept))
    bodies, work = [], []
    lookup = Report.objects.get().receipt_lookup
    for typed in (right + " more", "no such words at all"):
        if typed.endswith("more"):  # a wrong passphrase that falls upon a stored one's place
            monkeypatch.setattr(talk.keys, "receipt_lookup", lambda _: lookup)
        else:
            monkeypatch.setattr(talk.keys, "receipt_lookup", lambda _: "none")
        checks.clear()
        response = read_answer(visitor, typed)
        assert response.status_code == 422
        bodies.append(re.sub(r'value="[^"]*"', "", response.content.decode()))
        work.append(len(checks))
    assert bodies[0] == bodies[1]
    assert work == [1, 1]


def test_the_outcome_is_told_in_words_of_the_reporters_language(visitor: Client, senior: Person) -> None:
    passphrase = passphrase_in(send_report(visitor, "de", urls=ADDRESS))
    report = Report.objects.get()
    assert "noch nicht begonnen" in read_answer(visitor, passphrase, "de").content.decode()
    actions.change_state(senior, report.id, State.CLOSED, Reason.ASSESSED, seen=State.NEW, outcome=Outcome.REMOVED)
    page = read_answer(visitor, passphrase, "de").content.decode()
    assert "wurde entfernt" in page
    assert "abgeschlossen" in page
    assert senior.name not in page
    assert str(senior.pk) not in page


# --- what a reporter does not learn -----------------------------------------------------------------------------------


def told(visitor: Client, passphrase: str) -> str:
    """The sentences of the page: everything but what is made by chance, and the report's own number."""
    page = read_answer(visitor, passphrase).content.decode()
    text = re.sub(r"R-\d{4}-\d{6}", "", re.sub(r"<[^>]*>", " ", page))
    return " ".join(text.split())


def step(senior: Person, report: Report, *to: State) -> None:
    for one in to:
        report.refresh_from_db()
        reason = {State.TRIAGE: Reason.TAKEN, State.CLOSED: Reason.ASSESSED}[one]
        outcome = Outcome.PASSED_ON if one is State.CLOSED else None
        actions.change_state(senior, report.pk, one, reason, seen=State(report.state), outcome=outcome)


@pytest.mark.parametrize("before", [(), (State.TRIAGE,), (State.TRIAGE, State.CLOSED)])
def test_who_reports_a_known_address_reads_what_who_reports_an_unknown_one_reads(
    visitor: Client, senior: Person, before: tuple[State, ...]
) -> None:
    """Somebody may report an address to learn whether it is known, and what became of it."""
    send_report(visitor, urls=ADDRESS)
    known = Report.objects.get()
    step(senior, known, *before)
    probe = passphrase_in(send_report(visitor, urls=ADDRESS))
    fresh = passphrase_in(send_report(visitor, urls="https://unknown.example.org/"))
    new = Report.objects.get(items__key=Report.objects.order_by("-number").first().items.get().key)
    assert "has not begun yet" in told(visitor, probe)
    assert told(visitor, probe) == told(visitor, fresh)
    for one in (State.TRIAGE, State.CLOSED):
        known.refresh_from_db()
        if known.state == State.TRIAGE and one is State.TRIAGE:
            actions.change_state(senior, known.pk, State.NEW, Reason.GIVEN_BACK, seen=State.TRIAGE)
        step(senior, known, one)
        step(senior, new, one)
        assert told(visitor, probe) == told(visitor, fresh)
    assert "We have finished working" in told(visitor, probe)
    assert "police" not in told(visitor, probe)


def test_who_reported_first_does_not_learn_that_somebody_reported_it_again(visitor: Client, senior: Person) -> None:
    first = passphrase_in(send_report(visitor, urls=ADDRESS))
    step(senior, Report.objects.get(), State.TRIAGE, State.CLOSED)
    before = told(visitor, first)
    send_report(visitor, urls=ADDRESS)
    assert Report.objects.order_by("number").first().state == State.REOPENED
    assert told(visitor, first) == before


def test_every_state_and_outcome_of_a_report_has_its_sentence() -> None:
    assert set(intake.OUTCOMES) == {outcome.value for outcome in Outcome}
    documented = re.search(r"status +([a-z| -]+)", access.ReporterView.__doc__ or "")
    assert documented
    assert set(intake.STATES) == set(documented[1].split(" | "))


def answer_form(page: Page) -> dict[str, str]:
    return {"token": page.value("token"), "ticket": page.value("ticket")}


def test_the_reporter_answers_a_question_and_sees_the_answer(visitor: Client, senior: Person) -> None:
    passphrase = passphrase_in(send_report(visitor, urls=ADDRESS))
    report = Report.objects.get()
    actions.post_message(report, text="Which day was it?", actor=str(senior.pk), from_reporter=False)
    page = Page(read_answer(visitor, passphrase).content.decode())
    assert "Which day was it?" in page.html
    assert passphrase not in page.html
    fields = urlencoded(answer_form(page) | {"answer": "It was a Tuesday.\n<b>Really</b>"})
    response = visitor.post("/en/answer/send/", fields, content_type=FORM)
    assert response.status_code == 200
    assert "It was a Tuesday." in response.content.decode()
    assert Page(response.content.decode()).all("b") == []
    sent = Message.objects.get(from_reporter=True)
    assert sent.actor == "public-form"
    assert b"Tuesday" not in bytes(sent.text_sealed)
    visitor.post("/en/answer/send/", fields, content_type=FORM)
    assert Message.objects.filter(from_reporter=True).count() == 1


def test_an_answer_can_be_followed_by_another(visitor: Client) -> None:
    page = Page(read_answer(visitor, passphrase_in(send_report(visitor, urls=ADDRESS))).content.decode())
    for text in ("one", "two"):
        fields = urlencoded(answer_form(page) | {"answer": text})
        page = Page(visitor.post("/en/answer/send/", fields, content_type=FORM).content.decode())
    assert Message.objects.count() == 2


def test_an_empty_answer_is_named_and_a_long_one_too(visitor: Client) -> None:
    page = Page(read_answer(visitor, passphrase_in(send_report(visitor, urls=ADDRESS))).content.decode())
    for text in ("  ", "x" * 10_001):
        fields = urlencoded(answer_form(page) | {"answer": text})
        response = visitor.post("/en/answer/send/", fields, content_type=FORM)
        assert response.status_code == 422
        assert 'href="#answer"' in response.content.decode()
    assert not Message.objects.exists()


def test_an_answer_whose_ticket_has_ended_is_given_back_to_be_copied(visitor: Client) -> None:
    page = Page(read_answer(visitor, passphrase_in(send_report(visitor, urls=ADDRESS))).content.decode())
    fields = answer_form(page) | {"ticket": "ended", "answer": "all that I wrote"}
    response = visitor.post("/en/answer/send/", urlencoded(fields), content_type=FORM)
    assert response.status_code == 422
    assert "all that I wrote" in response.content.decode()
    assert not Message.objects.exists()


def test_a_message_that_could_not_be_stored_can_be_sent_again(visitor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(read_answer(visitor, passphrase_in(send_report(visitor, urls=ADDRESS))).content.decode())
    fields = urlencoded(answer_form(page) | {"answer": "sent twice"})
    with monkeypatch.context() as patch:
        patch.setattr(actions, "post_message", _disk_full)
        assert visitor.post("/en/answer/send/", fields, content_type=FORM).status_code == 503
    assert visitor.post("/en/answer/send/", fields, content_type=FORM).status_code == 200
    assert Message.objects.count() == 1


def _disk_full(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fields=st.dictionaries(
        st.sampled_from(
            ["token", "urls", "text", "urgency", "name", "email", "phone", "passphrase", "answer", "ticket"]
        ),
        st.text(max_size=60),
    ),
    path=st.sampled_from(["report/", "answer/", "answer/send/"]),
)
def test_whatever_is_sent_without_a_token_of_ours_is_answered_with_a_sound_page(
    visitor: Client, fields: dict[str, str], path: str
) -> None:
    body = urlencode({"sent": "", **fields}, errors="replace")
    response = visitor.post(f"/fr/{path}", body, content_type=FORM)
    assert response.status_code == 422
    page = Page(response.content.decode())
    assert page.all("script", "img", "style") == []
    assert len(page.all("h1")) == 1


def test_no_more_than_two_passphrases_are_hashed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes 100 MiB: a crowd must not take the machine's memory."""
    running, most, enough = [0], [0], threading.Event()
    lock = threading.Lock()

    def hash_slowly(_: str) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        enough.wait(0.05)
        with lock:
            running[0] -= 1

    monkeypatch.setattr(actions, "find_by_passphrase", hash_slowly)
    threads = [threading.Thread(target=intake.find_report, args=("words",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2


# --- limits ----------------------------------------------------------------------------------------------------------


def test_one_visitor_too_many_times_must_wait_and_loses_nothing(
    visitor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "REPORTS", limits.Limit("reports", of_one=1, of_all=9, window_s=3600))
    send_report(visitor, text="first")
    response = send_report(visitor, text="the second text")
    assert response.status_code == 429
    assert response["Retry-After"] == "3600"
    assert "the second text" in response.content.decode()
    assert Report.objects.count() == 1
    assert send_report(Client(REMOTE_ADDR="203.0.113.78"), text="another visitor").status_code == 200


def test_passphrases_cannot_be_tried_without_end(visitor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "READINGS", limits.Limit("readings", of_one=2, of_all=9, window_s=600))
    right = passphrase_in(send_report(visitor, urls=ADDRESS))
    assert [read_answer(visitor, "wrong words").status_code for _ in range(3)] == [422, 422, 429]
    assert read_answer(visitor, right).status_code == 429  # the right one tells nothing either


def test_behind_an_onion_service_one_visitor_does_not_shut_out_the_next(
    office: Any, public_site: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "REPORTS", limits.Limit("reports", of_one=1, of_all=3, window_s=3600))
    onion = Client(REMOTE_ADDR="127.0.0.1")
    assert [send_report(onion, text=f"text {n}").status_code for n in range(4)] == [200, 200, 200, 429]
