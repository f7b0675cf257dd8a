"""Every named page of both processes under axe. A new address is visited here, or listed with the reason why not."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator
from typing import Any

import django
import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils.translation import override
from tests.journeys.conftest import code_for, faults_of, faults_of_tabs
from tests.journeys.inside import PASSPHRASE, PASSWORD

STAFF, PUBLIC = "leadline.workbench.urls", "leadline.workbench.public_urls"

# Name of an address -> what it is called with, each the name of a thing in `filled.fill`. Opened by one person who has
# the roles that see most.
VISITED: dict[str, dict[str, str]] = {
    "home": {}, "search": {}, "people": {}, "invite_person": {}, "keys": {}, "make_key": {}, "usersessions_list": {},
    "account": {},
    "account_reauthenticate": {}, "account_change_password": {}, "mfa_index": {},
    "mfa_list_webauthn": {}, "mfa_add_webauthn": {}, "mfa_generate_recovery_codes": {},
    "mfa_reauthenticate": {}, "reports": {}, "new_report": {}, "import_report": {}, "new_bulk": {}, "on_call": {},
    "report_terms": {}, "bulk": {"delivery_id": "delivery"}, "report": {"report_id": "report"}, "journal": {},
    "banks": {}, "make_bank": {}, "look_up": {}, "bank": {"bank_id": "bank"}, "add_entries": {"bank_id": "bank"},
    "set_bank": {"bank_id": "bank"}, "trust_bank": {"bank_id": "bank"}, "bank_changes": {"bank_id": "bank"},
    "bank_entry": {"bank_id": "bank", "entry_id": "entry"}, "webhooks": {}, "make_webhook": {},
    "webhook": {"endpoint_id": "webhook"}, "health": {}, "api_docs": {}, "assets": {}, "upload_asset": {},
    "evidence_tasks": {}, "asset": {"asset_id": "asset"}, "exhibits": {}, "request_exhibit": {},
    "exhibit": {"exhibit_id": "exhibit"}, "media_mode": {}, "review_queue": {}, "review_shift": {}, "review_me": {},
    "review_appeals": {}, "review_new_appeal": {}, "review_appeal": {"appeal_id": "appeal"}, "review_to_tell": {},
    "cases": {}, "new_case": {}, "case_office": {}, "case": {"case_id": "case"}, "case_things": {"case_id": "case"},
    "case_records": {"case_id": "case"}, "case_timeline": {"case_id": "case"},
    "review_withdrawals": {}, "review_team": {}, "quality": {}, "quality_me": {}, "quality_sets": {},
    "quality_choose": {},
    "quality_set": {"set_id": "golden_set"}, "quality_item": {"item_id": "golden_item"}, "quality_disagreements": {},
    "quality_disagreement": {"pair_id": "pair"}, "quality_office": {},
    "shares": {}, "new_share": {}, "share": {"share_id": "share"}, "partners": {}, "make_partner": {},
    "partner": {"partner_id": "partner"}, "agree": {"partner_id": "partner"}, "sources": {},
    "source": {"name": "source"},
    "review_assessments": {}, "review_office": {}, "law": {}, "correct_law": {}, "law_office": {},
}  # fmt: skip
# Of these, those that are walked through with the Tab key: one of each make.
WALKED = (
    "home", "new_report", "report", "bank", "asset", "exhibit", "webhook", "review_queue", "review_me", "quality_item",
    "case", "search", "new_share", "share",
)
# Opened by somebody who has not signed in.
VISITED_OUTSIDE = (
    "account_login", "account_inactive", "account_reset_password", "account_reset_password_done",
    "account_reset_password_from_key_done", "socialaccount_login_cancelled", "socialaccount_login_error",
)  # fmt: skip
VISITED_PUBLIC = ("start", "report", "appeal", "read", "help")

_FORM = "takes a form only, and answers with another page"
_DATA = "answers a program, not a person"
_REVIEW = "needs a review under way: tests/workbench/review, and a journey of its own"
NOT_VISITED: dict[str, str] = {
    **dict.fromkeys(
        [
            "end_one_person_office", "withdraw_invitation", "change_role", "deactivate_person", "confirm_role",
            "end_key", "import_bulk", "report_state", "ask_reporter", "acknowledge", "report_handling",
            "decide_report_handling", "report_hold", "end_report_hold", "let_see_report", "withdraw_entries",
            "decide_proposal", "send_webhook_again", "change_webhook", "confirm_clock", "end_evidence_task",
            "hold_asset", "end_hold", "set_term", "set_handling", "download_exhibit", "build_exhibit_again",
            "note_receipt", "decide_exhibit", "set_language", "send", "decide_share", "withdraw_share", "end_agreement",
        ],
        _FORM,
    ),
    **dict.fromkeys(
        [
            "review_next", "review_end_shift", "review_begin_break", "review_blank", "review_mood", "review_undo",
            "review_end_look", "review_outcome", "review_propose", "review_claim", "review_draft", "review_hand_in",
            "review_reveal", "review_change", "review_take_appeal", "review_ask_appellant", "review_contest",
            "review_uphold", "review_answer_appeal", "review_undo_reach", "review_note_told", "report_countries",
            "quality_end_set", "quality_look_at_item", "quality_ask",
            "quality_withdraw", "quality_look_at_disagreement",
        ],
        _FORM,
    ),
    **dict.fromkeys(
        ["review_break", "review_assessment", "review_look", "review_card", "review_tile"], _REVIEW
    ),
    **dict.fromkeys(
        [
            "case_answer", "case_title", "case_state", "case_handling", "decide_case_handling", "case_add_thing",
            "case_take_out", "case_add_person", "case_person_role", "case_add_selector", "case_remove_selector",
            "case_add_task", "case_task", "case_add_note", "case_add_member", "case_end_member", "case_lead",
            "case_ask", "case_export",
        ],
        _FORM,
    ),
    **dict.fromkeys(["healthz", "metrics", "api_document", "mfa_login_webauthn"], _DATA),
    "join": "looked at in test_newcomer",
    "second_factor": "looked at in test_newcomer",
    "mfa_activate_totp": "looked at in test_newcomer; leads elsewhere for somebody who has one",
    "account_logout": "ends the session: test_walls",
    "account_set_password": "leads to the change of a password for somebody who has one",
    "account_reset_password_from_key": "looked at below, from the mail",
    "mfa_authenticate": "looked at below, while signing in",
    "mfa_deactivate_totp": "leads back while it is the last factor",
    "mfa_reauthenticate_webauthn": "as mfa_reauthenticate, for somebody with a security key",
    "mfa_remove_webauthn": "needs a security key: test_newcomer adds one",
    "mfa_edit_webauthn": "needs a security key: test_newcomer adds one",
    "mfa_view_recovery_codes": "looked at in test_newcomer; not there before somebody made some",
    "mfa_download_recovery_codes": "a text file",
    "share_receipt": "a file: tests/workbench/sharing",
    "journal-chain": "a file: test_court",
    "journal-proofs": "a file: test_court",
    "openid_connect_login": "leads to the provider: tests/workbench/accounts/test_oidc.py",
    "openid_connect_callback": "comes from the provider: tests/workbench/accounts/test_oidc.py",
    "exit": "leads away to a harmless site",
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _addresses_by_name() -> None:
    django.setup()


def names_of(urlconf: str) -> set[str]:
    def walk(resolver: Any) -> Iterator[str]:
        for entry in resolver.url_patterns:
            if isinstance(entry, URLResolver):
                yield from walk(entry)
            elif isinstance(entry, URLPattern) and entry.name:
                yield entry.name

    return set(walk(get_resolver(urlconf)))


def test_every_name_of_an_address_is_visited_or_says_why_not() -> None:
    named = names_of(STAFF) | names_of(PUBLIC)
    visited = {*VISITED, *VISITED_OUTSIDE, *VISITED_PUBLIC}
    assert sorted(named - visited - NOT_VISITED.keys()) == []
    assert sorted((visited | NOT_VISITED.keys()) - named) == []
    assert sorted(visited & NOT_VISITED.keys()) == []


def look_at_all(visitor: Any, addresses: dict[str, str], walked: Container[str] = ()) -> None:
    """Each opens without a serious fault, those `walked` with the Tab key too. All faults are told at once."""
    faults: dict[str, Any] = {}
    for name, address in addresses.items():
        answer = visitor.page.goto(address)
        if answer.status not in (200, 401):  # 401: the provider's sign-in failed
            found: list[Any] = [answer.status]
        else:
            found = faults_of(visitor.page)
            found += faults_of_tabs(visitor.page) if name in walked else []
        faults |= {name: found} if found else {}
    assert faults == {}


def test_no_page_of_the_workbench_has_a_serious_fault(staffed_office: Any, visitor: Any) -> None:
    office = staffed_office
    visitor.sign_in(office, "everything")
    addresses = {}
    for name, asked in VISITED.items():
        given = {key: office.filled[thing] for key, thing in asked.items()}
        addresses[name] = office.address + reverse(name, kwargs=given or None)
    look_at_all(visitor, addresses, WALKED)


def test_no_page_before_the_sign_in_has_a_serious_fault(staffed_office: Any, visitor: Any) -> None:
    office, page = staffed_office, visitor.page
    look_at_all(visitor, {name: office.address + reverse(name) for name in VISITED_OUTSIDE})
    page.goto(f"{office.address}/made-up/")
    visitor.look("not-found")
    page.goto(office.address + office.ask("reset_link", person=office.people["auditor"]["id"]))
    visitor.look("new-password")
    page.goto(f"{office.address}/account/login/")
    page.locator("input[name=login]").fill(office.people["administrator"]["email"])
    page.locator("input[name=password]").fill("not the password of anybody")
    page.get_by_role("button", name="Sign in", exact=True).click()
    visitor.look("wrong-password")
    page.locator("input[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.locator("input[name=code]").fill("000000")
    page.locator("main button").first.click()
    visitor.look("wrong-code")
    page.locator("input[name=code]").fill(code_for(office.people["administrator"]["secret"]))
    page.locator("main button").first.click()
    page.wait_for_url(f"{office.address}/")


def test_what_follows_a_form_has_no_serious_fault_either(staffed_office: Any, visitor: Any) -> None:
    """Pages that no address opens: a key shown once, a webhook's secret, text split into items, hashes looked up."""
    office, page, at = staffed_office, visitor.page, staffed_office.address
    visitor.sign_in(office, "maker")
    page.goto(f"{at}/account/keys/")
    page.locator("main input[name=name]").first.fill("a program")
    page.locator("main select[name=role]").select_option("senior")
    page.get_by_label("reports.read").check()
    page.get_by_role("button", name="Make the key").click()
    visitor.look("key")
    page.get_by_text("leadline_").first.wait_for()
    page.goto(f"{at}/webhooks/new/")
    page.locator("main input[name=url]").fill(f"http://127.0.0.1:{at.rpartition(':')[2]}/in")
    for box in page.locator("main input[type=checkbox]").all()[:1]:
        box.check()
    page.locator("main form").last.locator("button").last.click()
    visitor.look("webhook")
    page.get_by_text("whsec_").first.wait_for()
    page.goto(f"{at}/reports/new/")
    page.locator("main textarea").first.fill("hxxps://pictures[.]example[.]net/made-up/9\n@made_up_handle")
    page.locator("main form button").first.click()
    visitor.look("split")
    page.goto(f"{at}/banks/look-up/")
    page.locator("main textarea").first.fill("md5:" + "01" * 16)
    page.locator("main form button").first.click()
    visitor.look("looked-up")
    page.get_by_text("known / 2").first.wait_for()
    page.goto(f"{at}/banks/")
    page.keyboard.press("/")  # to the page of search, and once more to its field
    page.wait_for_url(f"{at}/search/")
    page.keyboard.press("/")
    page.keyboard.type("md5:" + "01" * 16)
    page.keyboard.press("Enter")
    page.get_by_text("known / 2").wait_for()
    visitor.look("found")


def test_no_page_of_the_public_form_has_a_serious_fault(staffed_office: Any, make_visitor: Any) -> None:
    """With scripts on, only so that axe can run: the pages have none."""
    office, page_of = staffed_office, {}
    for language in ("en", "fr", "nl", "de"):
        with override(language):
            page_of |= {f"{name}-{language}": reverse(name, urlconf=PUBLIC) for name in VISITED_PUBLIC}
    visitor = make_visitor()
    look_at_all(visitor, {name: office.public_address + path for name, path in page_of.items()})
    page, at = visitor.page, office.public_address
    assert page.locator("script").count() == 0
    page.goto(f"{at}/en/report/")
    page.get_by_role("button", name="Send the report").click()
    visitor.look("nothing-in-it")
    page.get_by_label("What do you want to tell us?").fill("I came across this by chance.")
    time.sleep(3.2)  # the form takes nothing that is sent faster than a person can
    page.get_by_role("button", name="Send the report").click()
    visitor.look("receipt")
    page.goto(f"{at}/en/answer/")
    page.get_by_label("Your passphrase").fill("these are seven words of somebody else")
    page.get_by_role("button", name="Show the answer").click()
    visitor.look("not-known")
    page.get_by_label("Your passphrase").fill(PASSPHRASE)
    page.get_by_role("button", name="Show the answer").click()
    visitor.look("outcome")
    assert "Which page was it?" in page.content()
    page.goto(f"{at}/en/made-up/")
    visitor.look("not-found")
