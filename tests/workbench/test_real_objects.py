"""Every address and API route x every role x an object of its kind at each sensitivity, TLP and grant.

Who may see an object gets an answer; to everybody else it is exactly as absent: the same status, headers and page, and
no page that they may open names it. Nobody who may not changes a row. An address that is not in a table here fails.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.template import Template
from django.test import Client, override_settings
from django.views.defaults import page_not_found
from tests.workbench.conftest import new_browser, set_up_office
from tests.workbench.specimens import (
    ABSENT,
    BANKS,
    EVERYBODY,
    SHADES,
    Office,
    Specimen,
    Who,
    digest_of,
    label_of,
    md5_of,
)
from tests.workbench.test_access import all_patterns

from leadline.workbench import matching, sealing, urls
from leadline.workbench.accounts.access import permissions_of
from leadline.workbench.api import declared_operations
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Permission, Role
from leadline.workbench.search import actions as search

ANALYST, SENIOR, INVESTIGATOR, CURATOR, AUDITOR, ADMINISTRATOR = Role
ADMIN, LEAD = {ADMINISTRATOR}, {SENIOR}
READERS = {ANALYST, SENIOR, INVESTIGATOR}  # near evidence
EXPORTERS = {SENIOR, INVESTIGATOR}
LISTERS, BANK_READERS = {SENIOR, CURATOR}, READERS | {CURATOR}
ALL = set(Role)

# roles, kind of object ("" for none), names of addresses
PAGES: list[tuple[Any, str, str]] = [
    (READERS, "", "reports new_report import_report new_bulk on_call"),
    (ADMIN, "", "report_terms"),
    (READERS, "delivery", "bulk import_bulk"),
    (READERS, "report", "report report_state ask_reporter acknowledge report_countries report_hold"),
    (LEAD, "report", "report_handling decide_report_handling end_report_hold let_see_report"),
    (READERS, "", "assets upload_asset evidence_tasks exhibits"),
    (READERS, "task", "end_evidence_task"),
    (READERS, "asset", "asset hold_asset"),
    (LEAD, "asset", "end_hold set_term set_handling"),
    (EXPORTERS, "", "request_exhibit"),
    (READERS, "exhibit", "exhibit"),
    (EXPORTERS, "exhibit", "download_exhibit build_exhibit_again note_receipt"),
    (LEAD, "exhibit", "decide_exhibit"),
    (ADMIN, "", "media_mode"),
    (READERS, "", "review_queue review_next review_shift review_end_shift review_break review_begin_break"),
    (READERS, "", "review_blank review_me review_mood review_assessments review_appeals review_new_appeal"),
    (READERS, "", "review_to_tell"),
    (LEAD, "", "review_team"),
    (LISTERS, "", "review_withdrawals"),
    (ADMIN, "", "review_office"),
    (READERS, "review", "review_card review_claim review_draft review_hand_in review_reveal review_tile review_change"),
    (READERS, "look", "review_look review_end_look"),
    (READERS, "assessment", "review_assessment review_undo review_outcome"),
    (LISTERS, "assessment", "review_propose"),  # a curator writes banks, and is near evidence by a grant alone
    (READERS, "appeal", "review_appeal review_take_appeal review_ask_appellant review_contest review_answer_appeal"),
    (READERS, "contest", "review_uphold"),
    (LISTERS, "reach", "review_undo_reach"),
    (READERS, "to-tell", "review_note_told"),
    (LEAD, "", "quality quality_sets quality_choose"),
    (READERS, "", "quality_me quality_disagreements"),
    (ADMIN, "", "quality_office"),
    (LEAD, "golden-set", "quality_set quality_end_set"),
    (READERS, "golden-item", "quality_item quality_look_at_item"),
    (LEAD, "golden-item", "quality_ask quality_withdraw"),
    (READERS, "pair", "quality_disagreement quality_look_at_disagreement"),
    (READERS, "", "cases new_case"),
    (ADMIN, "", "case_office"),
    (READERS, "case", "case case_things case_records case_timeline case_title case_state case_handling case_add_thing"),
    (READERS, "case", "case_take_out case_add_person case_person_role case_add_selector case_remove_selector"),
    (READERS, "case", "case_add_task case_task case_add_note case_add_member case_end_member case_lead case_ask"),
    (LEAD, "case", "decide_case_handling"),
    (EXPORTERS, "case", "case_export"),
    (READERS, "question", "case_answer"),
    (BANK_READERS, "", "banks look_up"),
    (LISTERS, "", "make_bank"),
    (BANK_READERS, "bank", "bank bank_changes"),
    (BANK_READERS, "entry", "bank_entry"),
    (LISTERS, "bank", "add_entries withdraw_entries set_bank trust_bank"),
    (LISTERS, "proposal", "decide_proposal"),
    (ALL, "", "shares partners sources"),
    (BANK_READERS, "", "new_share"),
    (ADMIN, "", "make_partner"),
    (ALL, "share", "share share_receipt"),
    (BANK_READERS, "share", "withdraw_share"),
    (LISTERS, "share", "decide_share"),
    (ALL, "partner", "partner"),
    (ADMIN, "partner", "agree end_agreement"),
    (ALL, "source", "source"),
    (ADMIN, "", "webhooks make_webhook"),
    (ADMIN, "webhook", "webhook send_webhook_again change_webhook"),
    (READERS, "", "law"),
    (ADMIN, "", "correct_law law_office confirm_clock"),
    (READERS | {CURATOR, AUDITOR}, "", "search"),
    ({AUDITOR}, "", "journal journal-chain journal-proofs"),
    ({SENIOR, AUDITOR, ADMINISTRATOR}, "", "people health"),
    (ADMIN, "", "invite_person end_one_person_office"),
    (ADMIN, "invitation", "withdraw_invitation"),
    (ADMIN, "person", "change_role deactivate_person"),
    ({SENIOR, ADMINISTRATOR}, "role", "confirm_role"),
    (EVERYBODY, "", "home account keys make_key second_factor usersessions_list"),
    (EVERYBODY, "key", "end_key"),
]
API: list[tuple[Any, str, str]] = [
    (READERS, "", "post_report list_reports search_reports list_assets take_in_asset list_exports"),
    (READERS, "report", "get_report list_items"),
    (READERS, "item", "get_item"),
    (READERS, "asset", "show_asset list_matches"),
    (READERS, "", "look_up_assets"),
    (READERS, "exhibit", "show_export"),
    (READERS, "", "post_appeal post_outcome"),
    (READERS, "appeal own-appeal", "get_appeal"),
    (BANK_READERS, "", "list_banks look_up"),
    (BANK_READERS, "bank", "show_bank list_entries"),
    (BANK_READERS, "entry", "show_entry show_history"),
    (LISTERS, "bank", "add_entries withdraw_entries"),
    (ALL, "", "list_partners list_shares"),
    (ALL, "share", "show_share list_share_entries show_receipt"),
    (BANK_READERS, "", "preview_share propose_share"),
    (BANK_READERS, "share", "withdraw_share"),
    (READERS | {CURATOR, AUDITOR}, "", "search"),
    (ADMIN, "", "list_webhooks make_webhook"),
    (ADMIN, "webhook", "show_webhook end_webhook renew_secret list_deliveries send_again"),
]
# Before the sign-in, or of allauth's own about the account of whoever asks: no object of the office is in them.
OUTSIDE = frozenset(
    "join set_language account_login account_logout account_inactive account_reauthenticate account_change_password "
    "account_set_password account_reset_password account_reset_password_done account_reset_password_from_key "
    "account_reset_password_from_key_done mfa_index mfa_authenticate mfa_reauthenticate mfa_activate_totp "
    "mfa_deactivate_totp mfa_list_webauthn mfa_add_webauthn mfa_reauthenticate_webauthn mfa_login_webauthn "
    "mfa_remove_webauthn mfa_edit_webauthn mfa_view_recovery_codes mfa_generate_recovery_codes mfa_download_recovery_codes openid_connect_login "
    "openid_connect_callback socialaccount_login_cancelled socialaccount_login_error healthz metrics api_document "
    "api_docs".split()
)
WHAT = {
    "review_change": "skip", "decide_proposal": "refuse", "decide_share": "refuse", "change_webhook": "end",
    "decide_exhibit": "release", "change_role": "give",
}  # fmt: skip
# What programs have to send, so that it is asked of which object.
BODIES = {
    "add_entries": {"hashes": ["none"], "reason": "own-assessment"},
    "withdraw_entries": {"ids": [987654321], "reason": "made-up"},
}
_ALL_REPORT = "https://example.net/all-of-them"
_LISTED = [md5_of(label_of(bank_id, number)) for bank_id, _ in BANKS for number in (0, 1)]
# What finds something of every shade; everything else is sent empty.
BODIES |= {"search": {"query": _ALL_REPORT}, "search_reports": {"text": _ALL_REPORT}}
BODIES |= {"look_up": {"hashes": _LISTED}, "look_up_assets": {"hashes": [digest_of(shade) for shade in SHADES]}}
FORMS = {"search": {"query": _ALL_REPORT}, "look_up": {"hashes": "\n".join(_LISTED)}}
FORMS |= {"review_reveal": {"asset": "{asset_id}"}}
# Where the absent is answered otherwise than by 404: nothing is to be told apart there either.
ABSENT_STATUS = {
    "review_look": {405, 409},
    "review_end_look": {200, 405},
    "withdraw_invitation": {302},
    "confirm_role": {302},
    "show_history": {200, 404},
}
FINE = {200, 201, 202, 204, 302, 405, 409, 422}
# Not there by GET for whoever may see it either: downloads are noted, so forms ask for them.
POST_ONLY = frozenset({("download_exhibit", "GET"), ("journal-chain", "GET")})
# A file is written: of every object that may be seen.
WRITES = "case_export"
_TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="[^"]+"')


@dataclass(frozen=True)
class Route:
    """One address, or one operation of the API. holders: the roles that may use it at all."""

    name: str
    pattern: str
    methods: tuple[str, ...]
    holders: frozenset[Who]
    kinds: tuple[str, ...]

    @property
    def fields(self) -> list[str]:
        return [name for name in re.findall(r"<(?:\w+:)?(\w+)>", self.pattern) if name != "what"]

    def address(self, values: dict[str, str]) -> str:
        known = {"what": WHAT.get(self.name, "")} | values
        return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: known[found[1]], self.pattern)


NOWHERE = Route("nowhere", "nothing/here/", ("GET", "POST"), frozenset(), ())


def page_routes() -> list[Route]:
    found = [(str(entry.name), pattern, ("GET", "POST")) for pattern, entry in all_patterns() if not is_api(pattern)]
    return known(PAGES, [route for route in found if route[0] not in OUTSIDE])


def api_routes() -> list[Route]:
    found = [
        (one.name, re.sub(r"{(\w+)}", r"<\1>", one.path.lstrip("/")), (one.method,)) for one in declared_operations()
    ]
    return known(API, found)


def is_api(pattern: str) -> bool:
    return pattern.startswith("api/v1/") and pattern not in ("api/v1/openapi.json", "api/v1/docs")


def known(table: list[tuple[Any, str, str]], found: list[tuple[str, str, tuple[str, ...]]]) -> list[Route]:
    told = {name: (frozenset(who), tuple(kinds.split())) for who, kinds, names in table for name in names.split()}
    missing = sorted({name for name, *_ in found} - told.keys())
    assert missing == [], "say in a table of this file who may use these, and of which kind their object is"
    assert sorted(told.keys() - {name for name, *_ in found}) == [], "these are no more"
    return [Route(name, pattern, methods, *told[name]) for name, pattern, methods in found]


class Walk:
    """One role at pages, or its program: every address with the objects of its kind. `wrong` is what was found."""

    def __init__(self, office: Office, who: Who, client: Client, *, by_key: bool) -> None:
        self.office, self.who, self.client, self.by_key = office, who, client, by_key
        self.wrong: list[str] = []
        self._absent: dict[Any, Any] = {}
        self._turn = 0
        seen = {mark for one in office.specimens if self.sees(one) for mark in one.marks}
        hidden = {mark for one in office.specimens for mark in one.marks} - seen
        self.seen_ids = {value for one in office.specimens if self.sees(one) for value in one.values.values()}
        self.ids = {value for one in office.specimens for value in one.values.values()}
        self.hidden = [mark.encode() for mark in sorted(hidden)]

    def sees(self, one: Specimen) -> bool:
        return self.who in (one.programs if self.by_key else one.people)

    def all(self, found: list[Route]) -> None:
        kinds: set[tuple[str, ...]] = set()
        for route in found:
            self.go(route, is_first=route.kinds not in kinds)
            kinds.add(route.kinds)

    def go(self, route: Route, *, is_first: bool) -> None:
        """All objects that are hidden are tried, and one in turn of those that may be seen; by GET of the first address
        of their kind all. Who has no use of an address is shut out before anybody looks which object it is."""
        specimens = [one for kind in route.kinds for one in self.office.of(kind)]
        if bool(specimens) != bool(route.fields):
            self.wrong.append(f"{route.name} has no objects to walk with, or names none")
        for method in route.methods:
            if not route.fields:
                self.look(route, method, Specimen("", "", {}, EVERYBODY, EVERYBODY))
            elif self.who not in route.holders:
                self.look(route, method, self.next_of(specimens))
            else:
                seen = [one for one in specimens if self.sees(one)]
                turn = self.next_of(seen) if seen else None
                if turn is not None and route.name in WHAT and method == "POST":
                    self.say_what_is_none(route, turn)
                is_all = route.name == WRITES or (is_first and method == "GET")
                tried = [one for one in specimens if one not in seen or is_all or one is turn]
                for one in tried:
                    if self.look(route, method, one) == 405:
                        break  # before anybody looks which object it is

    def say_what_is_none(self, route: Route, one: Specimen) -> None:
        """An act of no name is none, for whoever may do all of them."""
        before, answer = written(), self.ask(route, "POST", {**one.values, "what": "made-up"})
        if answer.status_code != 404 or written() != before:
            self.wrong.append(f"POST {route.name} of what is no act: {answer.status_code}")

    def next_of(self, specimens: list[Specimen]) -> Specimen:
        self._turn += 1
        return specimens[self._turn % len(specimens)]

    def look(self, route: Route, method: str, one: Specimen) -> int:
        before = written()
        answer = self.ask(route, method, one.values)
        if self.who in route.holders and (not route.fields or self.sees(one)):
            expected, fine = "an answer", self.is_answered(route, method, answer)
        else:
            expected, fine = "as absent", written() == before and answer.status_code in self.refusals(route)
            fine = fine and (answer.status_code == 405 or self.is_as_absent(route, method, one.values, same(answer)))
        named = self.named(route, answer)
        if not fine or named:
            told = f"{method} {route.name}, {one.kind} {one.name}: {expected} expected, {answer.status_code}"
            self.wrong.append(f"{told}, names {named}" if named else told)
        return int(answer.status_code)

    def is_answered(self, route: Route, method: str, answer: Any) -> bool:
        if self.by_key and answer.status_code == 403:
            return bool(answer.json()["code"] != "scope")  # it may be seen, and is not this person's to change
        return answer.status_code in FINE or (route.name, method) in POST_ONLY

    def refusals(self, route: Route) -> set[int]:
        """By key one that lacks the scope is told so, whatever it asks for; what is not for it is absent."""
        if self.who in route.holders:
            return ABSENT_STATUS.get(route.name, {404, 405})
        return {403} if self.by_key else {404}

    def named(self, route: Route, answer: Any) -> list[str]:
        """Hidden things on a page. The log holds ids by its nature, and nothing else."""
        if answer.status_code != 200:
            return []
        found = [mark.decode() for mark in self.hidden if mark in answer.getvalue()]
        return [mark for mark in found if mark not in self.ids] if route.name.startswith("journal") else found

    def is_as_absent(self, route: Route, method: str, values: dict[str, str], told: Any) -> bool:
        """As an address that leads nowhere. Who may use this one reads on its page, perhaps, where they are: then as an
        object that is not there, in what it is in where that may be seen, else in nothing that is there."""
        has_use = self.by_key or self.who in route.holders
        if told == self.absent(NOWHERE, method if has_use else "POST", {}):
            return True
        around = route.fields[:-1]
        is_inside = bool(around) and all(values[name] in self.seen_ids for name in around)
        stays = around if is_inside else []
        asked = {name: value if name in stays else absent_like(value) for name, value in values.items()}
        return has_use and told == self.absent(route, method, asked)

    def absent(self, route: Route, method: str, asked: dict[str, str]) -> Any:
        key = (route.name, method, *asked.values())
        if key not in self._absent:
            self._absent[key] = same(self.ask(route, method, asked))
        return self._absent[key]

    def ask(self, route: Route, method: str, values: dict[str, str]) -> Any:
        """Whatever comes of it, it is undone."""
        point, address = transaction.savepoint(), route.address(values)
        more: dict[str, Any] = {}
        if method == "POST" and self.by_key:
            more = {"data": json.dumps(BODIES.get(route.name, {})), "content_type": "application/json"}
        elif method == "POST":
            more = {"data": {name: text.format(**values) for name, text in FORMS.get(route.name, {}).items()}}
        answer: Any = getattr(self.client, method.lower())(address, **more)
        answer.asked_for = (address, *values.values())
        transaction.savepoint_rollback(point)
        self.client.cookies.pop("messages", None)  # said on the next page, which is another one here
        return answer


def absent_like(value: str) -> str:
    return ABSENT["uuid" if value.count("-") == 4 and len(value) == 36 else "int" if value.isdigit() else "str"]


def same(answer: Any) -> tuple[Any, ...]:
    """An answer but for what was asked for, and what is by chance."""
    (address, *values), body = answer.asked_for, _TOKEN.sub(b"", answer.getvalue())
    body, headers = body.replace(f'"{address}"'.encode(), b"X"), repr(sorted(answer.headers.items()))
    for text in values:
        if len(text) > 8:  # numbers of rows are on no page that refuses
            body, headers = body.replace(text.encode(), b"X"), headers.replace(text, "X")
    headers = re.sub(r"\('Content-Length', '\d+'\), ", "", headers)
    return answer.status_code, body, headers, sorted(answer.cookies)


def written() -> int:
    """Rows that were written at all, where the database counts them; else lines of the journal."""
    rows = getattr(connection.connection, "total_changes", None)
    return Line.objects.count() if rows is None else rows


def say_absent(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The page is made by GET, for who may use the address or where there is none. Else a word stands for it: the gate
    shuts out before any view, and pages are half the time of this walk."""
    match = request.resolver_match
    is_shut_out = match is not None and match.func.permission not in {
        Permission.SIGNED_IN,
        *permissions_of(request.user),
    }
    if is_shut_out or request.method != "GET":
        return HttpResponse("absent", status=404)
    return page_not_found(request, exception)


@pytest.fixture(scope="module")
def filled(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The office and everything in it, once for this module, in a transaction that never ends well."""
    in_memory = {"SESSION_ENGINE": "django.contrib.sessions.backends.cache", "SESSION_CACHE_ALIAS": "process"}
    told = SimpleNamespace(LEADLINE_API_RATE=10**9, **in_memory)
    with django_db_blocker.unblock(), transaction.atomic(), pytest.MonkeyPatch.context() as patch:
        set_up_office(told, tmp_path_factory.mktemp("office") / "home")
        # Contexts of templates are copied for tests that look at them: half the time of these walks.
        patch.setattr(Template, "_render", lambda self, context: self.nodelist.render(context))
        patch.setattr(urls, "handler404", say_absent, raising=False)
        patch.setattr(logging.getLogger("django.request"), "disabled", True)
        with override_settings(**vars(told)):
            sealing.forget()
            office = Office()
            search.follow()
            yield office
            matching.close_engine()
            sealing.forget()
        transaction.set_rollback(True)


@pytest.fixture
def db(filled: Office) -> Office:
    """In place of pytest-django's, which begins with an empty database for each test and closes it."""
    return filled


@pytest.mark.parametrize("who", sorted(EVERYBODY, key=str), ids=str)
def test_of_pages_a_role_gets_what_it_may_see_and_nothing_tells_it_of_the_rest(db: Office, who: Who) -> None:
    browser = new_browser(db.people[who])
    browser.raise_request_exception = False
    db.claim(db.people[who])
    browser.get("/")  # its session begins
    walk = Walk(db, who, browser, by_key=False)
    walk.all(page_routes())
    assert not walk.wrong, "\n".join(walk.wrong)


@pytest.mark.parametrize("role", list(Role), ids=str)
def test_of_the_api_a_program_gets_what_its_role_may_see_and_no_grants(db: Office, role: Role) -> None:
    secret = db.keys[role][1]
    program = Client(headers={"authorization": f"Bearer {secret}"}, raise_request_exception=False)
    program.get("/api/v1/partners")  # noted as used today
    walk = Walk(db, role, program, by_key=True)
    walk.all(api_routes())
    assert not walk.wrong, "\n".join(walk.wrong)
