"""The pages of reports in a browser of a person: what they show, whom they let in, and what they never hold."""

from __future__ import annotations

import re
from datetime import timedelta
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.test import Client
from tests.workbench.reports.conftest import make_mail, make_report

from leadline.domain import Tlp, Urgency
from leadline.workbench.accounts.actions import grant_object, set_office_setting
from leadline.workbench.accounts.models import ObjectGrant, Person
from leadline.workbench.actors import Actor
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role, Sensitivity
from leadline.workbench.reports import access, actions, deliveries, tasks
from leadline.workbench.reports.models import Alert, Delivery, Report

FORM = {"tlp": "amber+strict", "source": "", "source_reference": ""}


@pytest.fixture
def browser(analyst: Person, client_of: Any) -> Client:
    client: Client = client_of(analyst)
    return client


def text_of(answer: Any) -> str:
    assert answer.status_code == 200, answer.status_code
    return str(answer.content.decode())


def without_token(answer: Any) -> bytes:
    return re.sub(rb'name="csrfmiddlewaretoken" value="\w+"', b"", answer.content)


def test_anything_pasted_is_split_shown_and_received(browser: Client) -> None:
    paste = "seen on hxxp://bad[.]example[.]net/x by @made_up, md5 d41d8cd98f00b204e9800998ecf8427f"
    shown = text_of(browser.post("/reports/new/", {**FORM, "paste": paste, "check": "1"}))
    assert "hxxp[:]//bad[.]example[.]net/x" in shown
    assert not Report.objects.exists()
    answer = browser.post("/reports/new/", {**FORM, "paste": paste, "urgency": ["ongoing"], "receive": "1"})
    report = Report.objects.get()
    assert answer["Location"] == f"/reports/{report.pk}/"
    assert (report.item_count, report.urgency, report.channel) == (3, 2, "staff-form")
    page = text_of(browser.get(f"/reports/{report.pk}/"))
    assert "ticked: ongoing +30" in page
    assert "seen on" in page


def test_a_list_of_bare_links_is_kept_without_a_text(browser: Client) -> None:
    browser.post("/reports/new/", {**FORM, "paste": "https://example.org/1\nhttps://example.org/2\n", "receive": "1"})
    report = Report.objects.get()
    assert (report.item_count, report.text_sealed) == (2, None)


def test_a_thing_that_was_reported_before_says_so_on_the_page_and_to_a_program(
    browser: Client, analyst: Person, program_of: Any
) -> None:
    one, two = (make_report("https://example.org/1", text=text) for text in ("first", "second"))
    program = program_of(analyst, Role.ANALYST)
    for report, other in ((one, two), (two, one)):
        page = text_of(browser.get(f"/reports/{report.pk}/"))
        items = page[page.index('id="items"') : page.index('id="text"')]
        assert (items.count("<td>2</td>"), other.number in items, report.number in items) == (1, True, False)
        (item,) = program.get(f"/api/v1/reports/{report.pk}/items").json()["items"]
        assert item["times"] == 2
    found = program.post("/api/v1/reports/search", {"text": "example.org/1"}, content_type="application/json").json()
    assert {report["number"] for report in found["reports"]} == {one.number, two.number}


def test_no_page_shows_a_link_to_what_was_reported_or_a_picture(browser: Client, analyst: Person) -> None:
    note = "<script>alert(1)</script> https://raw.example.org/ "
    report = make_report("https://reported.example.org/a", text=note)
    for address in ("/reports/", f"/reports/{report.pk}/", "/reports/new/", "/reports/import/", "/reports/bulk/"):
        page = text_of(browser.get(address))
        assert "<img" not in page
        assert "<script>alert" not in page
        assert all(href.startswith(("/", "#", "?")) for href in re.findall(r'href="([^"]*)"', page)), address
        assert "reported.example.org" not in page


def test_the_list_has_the_most_urgent_first_and_the_oldest_of_those(browser: Client) -> None:
    calm, again = make_report("https://example.org/1"), make_report("https://example.org/2")
    urgent = make_report("https://example.org/3", urgency=frozenset({Urgency.CHILD_AT_RISK_NOW}))
    page = text_of(browser.get("/reports/"))
    body = page[page.index("<tbody>") :]
    places = [body.index(report.number) for report in (urgent, calm, again)]
    assert places == sorted(places)


def test_lists_are_narrowed_by_state_urgency_channel_and_whose(browser: Client, analyst: Person) -> None:
    mine, other = make_report("https://example.org/1"), make_report("https://example.org/2", source_reference="ref-7")
    form = {"seen": "new", "to": "triage", "reason": "taken"}
    browser.post(f"/reports/{mine.pk}/state/", form)

    def found(query: str) -> set[str]:
        by_address = set(re.findall(r">(R-\d{4}-\d{6})<", text_of(browser.get(f"/reports/?{query}"))))
        posted = set(re.findall(r">(R-\d{4}-\d{6})<", text_of(browser.post("/reports/", dict(parse_qsl(query))))))
        assert by_address == posted or "text=" in query
        return posted

    assert found("mine=on") == found("state=triage") == {mine.number}
    assert found("state=new") == found("text=ref-7") == found(f"text={other.number.lower()}") == {other.number}
    assert found("text=example.org/1") == found("text=hxxp://example[.]org/1") == {mine.number}
    assert found("urgency=3") == found("channel=mail") == found("text=example.org") == set()
    assert found("urgency=0") == found("newest=on") == found("state=nonsense") == {mine.number, other.number}


def test_only_the_fields_that_the_setting_names_are_searched(analyst: Person, administrator: Person) -> None:
    report = make_report("https://example.org/1", source_reference="ref-7")
    set_office_setting(administrator, access.SEARCH_FIELDS, "number", "made-up law")
    actor = Actor.of_person(analyst)
    texts = (report.number, "ref-7", "example.org/1")
    hits = [len(access.list_reports(actor, access.Asked(text=text)).rows) for text in texts]
    assert hits == [1, 0, 0]


def test_pages_of_a_list_hold_every_report_once(browser: Client) -> None:
    made = {make_report(f"https://example.org/{n}").number for n in range(120)}
    seen: list[str] = []
    address: str | None = "/reports/"
    while address:
        page = text_of(browser.get(address))
        seen += re.findall(r">(R-\d{4}-\d{6})<", page)
        found = re.search(r'rel="next" href="(\?[^"]+)"', page)
        address = "/reports/" + found[1].replace("&amp;", "&") if found else None
    assert len(seen) == 120
    assert set(seen) == made
    assert browser.get("/reports/?cursor=made-up").status_code == 200


def test_what_is_looked_for_is_posted_from_page_to_page_and_stands_in_no_address(browser: Client) -> None:
    for number in range(60):
        make_report(f"https://example.org/{number}", source_reference="ref-7")
    page = text_of(browser.post("/reports/", {"state": "all", "text": "ref-7"}))
    assert 'action="' not in page[page.index('class="pages"') :]
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page[page.index('class="pages"') :]))
    assert (hidden["text"], hidden["state"]) == ("ref-7", "all")
    rest = text_of(browser.post("/reports/", hidden))
    assert len(re.findall(r">(R-\d{4}-\d{6})<", rest)) == 10
    assert 'class="pages"' not in rest
    assert len(re.findall(r">(R-\d{4}-\d{6})<", text_of(browser.get("/reports/?text=nothing-of-that-kind")))) == 50


def test_a_filter_that_is_switched_off_shows_nothing_and_says_so(browser: Client, administrator: Person) -> None:
    make_report()
    set_office_setting(administrator, access.SEARCH_FIELDS, "number", "made-up law")
    page = text_of(browser.post("/reports/", {"state": "closed"}))
    assert "does not search by that" in page
    assert not re.findall(r">(R-\d{4}-\d{6})<", page)


# --- what senders may say ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["items", "keys", "values", "get", "pop", "0", "__class__", ""])
def test_facts_that_are_named_like_parts_of_the_page_are_shown_like_any_other(browser: Client, name: str) -> None:
    report = make_report(facts={name: [["a", "b"]], "hidden": "seen-after-all"})
    page = text_of(browser.get(f"/reports/{report.pk}/"))
    assert "seen-after-all" in page
    assert "[[&#x27;a&#x27;, &#x27;b&#x27;]]" in page


# --- holds and handling -----------------------------------------------------------------------------------------------


def test_a_hold_needs_a_fresh_proof_and_a_reason_and_is_told(client_of: Any, analyst: Person, senior: Person) -> None:
    report = make_report()
    stale, fresh = client_of(analyst, signed_in_s_ago=7200), client_of(analyst)
    assert "/account/again/" in stale.post(f"/reports/{report.pk}/hold/", {"reason": "court-order"}).url
    fresh.post(f"/reports/{report.pk}/hold/", {})
    assert not Report.objects.get().on_hold
    fresh.post(f"/reports/{report.pk}/hold/", {"reason": "court-order"})
    assert Report.objects.get().on_hold
    assert fresh.post(f"/reports/{report.pk}/hold/end/", {"reason": "ended"}).status_code == 404
    assert "/account/again/" in client_of(senior, signed_in_s_ago=7200).post(f"/reports/{report.pk}/hold/end/").url
    client_of(senior).post(f"/reports/{report.pk}/hold/end/", {"reason": "ended"})
    assert not Report.objects.get().on_hold
    told = Line.objects.filter(act__startswith="report.hold").order_by("line").values_list("act", "reason", "actor")
    assert list(told) == [
        ("report.hold", "court-order", str(analyst.pk)), ("report.hold-ended", "ended", str(senior.pk)),
    ]  # fmt: skip


def test_to_show_a_report_to_more_people_takes_two_and_to_fewer_takes_one(
    client_of: Any, analyst: Person, senior: Person, make_person: Any
) -> None:
    report, other = make_report(), make_person("other", Role.SENIOR)
    form = {"sensitivity": "0", "tlp": "clear", "reason": "own-assessment"}
    path = f"/reports/{report.pk}/handling/"
    assert client_of(analyst).post(path, form).status_code == 404
    assert "/account/again/" in client_of(senior, signed_in_s_ago=7200).post(path, form).url
    client_of(senior).post(path, {**form, "reason": ""})
    assert not Line.objects.filter(act__startswith="report.handling").exists()
    client_of(senior).post(path, form)
    client_of(senior).post(path + "decide/", {"confirm": "1"})  # the same person
    assert Report.objects.values_list("sensitivity", "tlp").get() == (1, "amber+strict")
    assert "asks for sensitivity ordinary" in text_of(client_of(other).get(f"/reports/{report.pk}/"))
    client_of(other).post(path + "decide/", {"confirm": "1"})
    assert Report.objects.values_list("sensitivity", "tlp").get() == (0, "clear")
    client_of(senior).post(path, {"sensitivity": "2", "tlp": "red", "reason": "source-asked"})
    assert Report.objects.values_list("sensitivity", "tlp").get() == (2, "red")
    told = Line.objects.filter(object_id=str(report.pk), act__in=("report.handling-asked", "report.sensitivity"))
    assert [(line.act, line.reason, line.actor) for line in told.order_by("line")] == [
        ("report.handling-asked", "own-assessment", str(senior.pk)),
        ("report.sensitivity", "own-assessment", str(other.pk)),
        ("report.sensitivity", "source-asked", str(senior.pk)),
    ]


def test_a_senior_lets_one_colleague_see_one_report(client_of: Any, analyst: Person, senior: Person) -> None:
    report, browser = make_report(sensitivity=Sensitivity.RESTRICTED), client_of(analyst)
    path = f"/reports/{report.pk}/grant/"
    assert browser.get(f"/reports/{report.pk}/").status_code == 404
    assert browser.post(path, {"person": str(analyst.pk), "days": "7"}).status_code == 404
    client_of(senior).post(path, {"person": str(analyst.pk), "days": "7"})
    assert browser.get(f"/reports/{report.pk}/").status_code == 200
    assert ObjectGrant.objects.get().given_by == senior


# --- who sees what ---------------------------------------------------------------------------------------------------


def test_absent_and_forbidden_look_the_same(browser: Client, analyst: Person, senior: Person, client_of: Any) -> None:
    secret = make_report("https://example.org/1", sensitivity=Sensitivity.RESTRICTED)
    red = make_report("https://example.org/2", tlp=Tlp.RED)
    absent = browser.get("/reports/00000000-0000-0000-0000-000000000007/")
    for report in (secret, red):
        answer = browser.get(f"/reports/{report.pk}/")
        assert (answer.status_code, without_token(answer)) == (404, without_token(absent))
        assert browser.post(f"/reports/{report.pk}/state/", {}).status_code == 404
        assert f">{report.number}<" not in text_of(browser.post("/reports/", {"state": "all", "text": report.number}))
        assert client_of(senior).get(f"/reports/{report.pk}/").status_code == 200
    grant_object(senior, analyst, "report", str(secret.pk), timedelta(days=1))
    assert browser.get(f"/reports/{secret.pk}/").status_code == 200


def test_a_report_does_not_tell_of_others_that_may_not_be_seen(browser: Client) -> None:
    secret = make_report("https://example.org/1", sensitivity=Sensitivity.RESTRICTED, text="x")
    open_one = make_report("https://example.org/1", text="y")
    assert secret.number not in text_of(browser.get(f"/reports/{open_one.pk}/"))


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.ADMINISTRATOR, Role.CURATOR])
def test_who_is_not_near_reports_sees_none(role: Role, make_person: Any, client_of: Any) -> None:
    report = make_report()
    client = client_of(make_person("somebody", role))
    assert {client.get(address).status_code for address in ("/reports/", f"/reports/{report.pk}/")} == {404}


def test_only_who_clears_the_most_sensitive_sets_it(browser: Client, senior: Person, client_of: Any) -> None:
    report = make_report()
    form = {"sensitivity": "2", "tlp": "red", "reason": "source-asked"}
    assert browser.post(f"/reports/{report.pk}/handling/", form).status_code == 404
    client_of(senior).post(f"/reports/{report.pk}/handling/", form)
    report.refresh_from_db()
    assert (report.sensitivity, report.tlp) == (2, "red")


# --- work ------------------------------------------------------------------------------------------------------------


def test_a_report_is_moved_and_the_page_tells_every_step(browser: Client) -> None:
    report = make_report()
    browser.post(f"/reports/{report.pk}/state/", {"seen": "new", "to": "triage", "reason": "taken"})
    wrong = {"seen": "new", "to": "closed", "reason": "assessed", "outcome": "removed"}
    assert "has moved on" in text_of(browser.post(f"/reports/{report.pk}/state/", wrong, follow=True))
    browser.post(f"/reports/{report.pk}/state/", {**wrong, "seen": "triage"})
    page = text_of(browser.get(f"/reports/{report.pk}/"))
    assert "closed: removed" in page
    assert page.count("state changed") == 2


def test_an_urgent_report_is_acknowledged_by_a_button(browser: Client, analyst: Person) -> None:
    report = make_report(urgency=frozenset({Urgency.CHILD_AT_RISK_NOW}))
    assert "Urgent, not acknowledged" in text_of(browser.get("/reports/"))
    browser.post(f"/reports/{report.pk}/acknowledge/")
    assert Alert.objects.get().acknowledged_by == analyst
    assert "Urgent, not acknowledged" not in text_of(browser.get("/reports/"))


def test_a_question_to_the_reporter_is_sealed_and_shown(browser: Client) -> None:
    report = make_report(passphrase="made up words of a receipt", text="x")
    browser.post(f"/reports/{report.pk}/messages/", {"text": "Which page?"})
    assert "Which page?" in text_of(browser.get(f"/reports/{report.pk}/"))


def test_somebody_is_put_on_call(browser: Client, senior: Person) -> None:
    browser.post("/reports/on-call/", {"person": str(senior.pk), "hours": "12"})
    on_call = access.on_call()
    assert on_call is not None
    assert on_call.person == senior


def test_the_terms_are_set_by_an_administrator_with_a_legal_basis(administrator: Person, client_of: Any) -> None:
    client = client_of(administrator)
    form = {"contact_days": "30", "report_days": "20", "search_fields": ["number"], "legal_basis": "made-up law"}
    assert "never kept longer" in text_of(client.post("/reports/terms/", form))
    client.post("/reports/terms/", {**form, "report_days": "90"})
    assert access.retention(access.CONTACT_DAYS) == timedelta(days=30)
    assert access.retention(access.REPORT_DAYS) == timedelta(days=90)
    assert access.search_fields() == ("number",)


# --- files -----------------------------------------------------------------------------------------------------------


def upload(name: str, data: bytes) -> Any:
    file = BytesIO(data)
    file.name = name
    return file


def test_a_mail_is_imported_by_hand(browser: Client) -> None:
    form = {"channel": "mail", "tlp": "amber", "file": upload("a.eml", make_mail())}
    page = text_of(browser.post("/reports/import/", form))
    assert Report.objects.get().number in page


def test_a_conversation_without_its_order_is_refused_on_the_page(browser: Client) -> None:
    page = text_of(browser.post("/reports/import/", {"channel": "chat", "tlp": "amber", "file": upload("a", b"x")}))
    assert "legal order only" in page
    assert not Report.objects.exists()


def test_a_file_that_is_something_else_is_refused_with_a_reason(browser: Client) -> None:
    for channel in ("mail", "iccam", "ncmec", "capture", "scan"):
        form = {"channel": channel, "tlp": "amber", "file": upload("a", b"\0x")}
        page = text_of(browser.post("/reports/import/", form))
        assert 'role="alert"' in page, channel
    assert not Report.objects.exists()


CSV = b"""url,note,urgency
https://example.org/1,first,
not a url at all \x01,,
https://example.org/1,again,ongoing
,,
https://example.org/3,,nonsense
"""


def test_a_bulk_file_is_previewed_then_imported_line_by_line(browser: Client, settings: Any) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}
    answer = browser.post("/reports/bulk/", {"file": upload("a.csv", CSV), "source": "partner"})
    page = text_of(browser.get(answer["Location"]))
    assert "hxxps[:]//example[.]org/1" in page
    assert "Nothing is received yet" in page
    assert not Report.objects.exists()
    delivery = Delivery.objects.get()
    assert b"example.org" not in bytes(delivery.data_sealed)
    tasks.import_delivery.call(str(delivery.pk))
    page = text_of(browser.get(answer["Location"]))
    delivery.refresh_from_db()
    assert delivery.data_sealed is None
    numbers = {line.number: line.report_id for line in delivery.lines.all()}
    assert numbers[2] is not None
    assert numbers[4] is not None
    assert numbers[6] is None
    assert "import has ended" in page


def test_a_bulk_files_page_looks_again_by_itself_while_it_is_imported_and_no_longer(browser: Client) -> None:
    answer = browser.post("/reports/bulk/", {"file": upload("a.csv", CSV), "source": "partner"})
    delivery = Delivery.objects.get()
    assert "htmx" not in browser.get(answer["Location"]).content.decode()
    deliveries.begin(delivery)
    page = browser.get(answer["Location"]).content.decode()
    assert f'hx-get="{answer["Location"]}" hx-trigger="every 3s" hx-select="#progress"' in page
    assert "django_htmx/htmx-2.min" in page
    tasks.import_delivery.call(str(delivery.pk))
    page = browser.get(answer["Location"], headers={"hx-request": "true"}).content.decode()
    assert 'id="progress"' in page
    assert "hx-get" not in page


def test_an_import_begun_again_makes_no_report_twice(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = b"url\n" + b"".join(b"https://example.org/%d\n" % n for n in range(10))
    answer = browser.post("/reports/bulk/", {"file": upload("a.csv", rows)})
    delivery = Delivery.objects.get()
    real, count = actions.receive, iter(range(100))

    def broken(*args: Any, **more: Any) -> Any:
        if next(count) == 5:
            raise MemoryError
        return real(*args, **more)

    monkeypatch.setattr(actions, "receive", broken)
    with pytest.raises(MemoryError):
        tasks.import_delivery.call(str(delivery.pk))
    assert Report.objects.count() == 5
    tasks.import_delivery.call(str(delivery.pk))
    assert Report.objects.count() == delivery.lines.count() == 10
    assert browser.get(answer["Location"]).status_code == 200


def test_a_bulk_file_belongs_to_who_uploaded_it(browser: Client, senior: Person, client_of: Any) -> None:
    browser.post("/reports/bulk/", {"file": upload("a.csv", CSV)})
    delivery = Delivery.objects.get()
    assert client_of(senior).get(f"/reports/bulk/{delivery.pk}/").status_code == 404


def test_the_import_button_hands_the_file_to_the_worker_once(browser: Client) -> None:
    from django_tasks_db.models import DBTaskResult

    browser.post("/reports/bulk/", {"file": upload("a.csv", CSV)})
    delivery = Delivery.objects.get()
    for _ in range(2):
        browser.post(f"/reports/bulk/{delivery.pk}/import/")
    assert DBTaskResult.objects.count() == 1
