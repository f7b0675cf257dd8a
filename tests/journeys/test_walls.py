"""What a person may not see is not there; who they are is asked again in time; and a sign-out ends it."""

from __future__ import annotations

import json
import re
import urllib.request
import uuid
from typing import Any

from tests.journeys.inside import PASSWORD

ABSENT = str(uuid.UUID(int=7))
_TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="[A-Za-z0-9]{64}"')
_OF_THE_MOMENT = {"date", "set-cookie"}


def seen(answer: Any) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body as a person gets them; the token of the sign-out form is new in every answer."""
    headers = {name: value for name, value in answer.headers.items() if name not in _OF_THE_MOMENT}
    return answer.status, headers, _TOKEN.sub(b"token", answer.body())


def test_a_wrong_role_sees_nothing_and_forbidden_looks_as_absent(staffed_office: Any, visitor: Any) -> None:
    office, page = staffed_office, visitor.page
    visitor.sign_in(office, "analyst")
    filled, at = office.filled, office.address
    absent = seen(page.request.get(f"{at}/made-up/"))
    assert absent[0] == 404
    forbidden = [
        "people/", "people/invite/", "journal/", "webhooks/", f"webhooks/{filled['webhook']}/", "health/",
        "evidence/media-mode/", "evidence/exhibits/new/", "reports/terms/", "banks/new/",
        f"banks/of/{filled['bank']}/add/",
    ]  # fmt: skip
    for path in forbidden:
        assert seen(page.request.get(f"{at}/{path}")) == absent, path
    pairs = [
        (f"reports/{filled['hidden_report']}/", f"reports/{ABSENT}/"),
        (f"evidence/assets/{filled['hidden_asset']}/", f"evidence/assets/{ABSENT}/"),
        (f"evidence/exhibits/{filled['exhibit']}/download/", f"evidence/exhibits/{ABSENT}/download/"),
        ("banks/of/hidden/", "banks/of/made-up/"),
    ]
    for hidden, made_up in pairs:
        assert seen(page.request.get(f"{at}/{hidden}")) == seen(page.request.get(f"{at}/{made_up}")) == absent, hidden
    page.goto(f"{at}/reports/new/")
    token = page.locator("main input[name=csrfmiddlewaretoken]").first.input_value()
    posts = [
        (f"reports/{filled['hidden_report']}/state/", f"reports/{ABSENT}/state/"),
        (f"evidence/assets/{filled['hidden_asset']}/hold/", f"evidence/assets/{ABSENT}/hold/"),
        ("people/invite/", "made-up/"),
    ]
    for hidden, made_up in posts:
        given = {"form": {"csrfmiddlewaretoken": token, "reason": "own-case"}, "headers": {"Origin": at}}
        assert seen(page.request.post(f"{at}/{hidden}", **given)) == seen(page.request.post(f"{at}/{made_up}", **given))
    page.goto(f"{at}/reports/{filled['hidden_report']}/")
    page.get_by_role("heading", name="Not found").wait_for()
    visitor.look("not-found")
    page.goto(f"{at}/reports/")
    assert page.locator(f"a[href*='{filled['hidden_report']}']").count() == 0
    assert page.locator(f"a[href*='{filled['report']}']").count() > 0
    visitor.look("reports")


def test_a_program_cannot_tell_forbidden_from_absent(staffed_office: Any) -> None:
    office, filled = staffed_office, staffed_office.filled
    secret = office.ask("make_key", owner=office.people["analyst"]["id"], role="analyst")

    def ask(path: str) -> tuple[int, bytes, list[tuple[str, str]]]:
        headers = {"Authorization": f"Bearer {secret}"}
        request = urllib.request.Request(f"{office.address}/api/v1/{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read(), []
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read(), [(k, v) for k, v in refused.headers.items() if k != "Date"]

    assert ask(f"reports/{filled['report']}")[0] == 200
    for path in ("reports/{}", "reports/{}/items", "items/{}", "assets/{}", "assets/{}/matches"):
        kind = f"hidden_{path.partition('s/')[0]}"
        hidden, absent = ask(path.format(filled[kind])), ask(path.format(ABSENT))
        assert hidden == absent, path
        assert (hidden[0], json.loads(hidden[1])["code"]) == (404, "not-found")


def test_who_a_person_is_is_asked_again_after_fifteen_minutes_and_leads_back(
    staffed_office: Any, visitor: Any
) -> None:
    office, page = staffed_office, visitor.page
    visitor.sign_in(office, "senior")
    wanted = f"{office.address}/evidence/exhibits/new/?asset={office.filled['asset']}"
    page.goto(wanted)
    assert page.url == wanted  # just signed in
    assert office.ask("age_sessions", minutes=14) > 0
    page.goto(wanted)
    assert page.url == wanted
    office.ask("age_sessions", minutes=1.1)
    page.goto(f"{office.address}/evidence/exhibits/")
    page.get_by_role("heading", name="Exhibits").wait_for()  # only what releases or exports asks
    page.goto(wanted)
    assert "/account/again/" in page.url
    visitor.look("again")
    page.locator("main input[name=password]").fill("not the password of anybody")
    page.get_by_role("button", name="Confirm").click()
    assert "/account/again/" in page.url
    visitor.look("wrong")
    page.locator("main input[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_url(wanted)
    page.get_by_role("heading", name="Ask for an exhibit").wait_for()
    visitor.look("back")


def test_a_sign_out_ends_the_session_and_leaves_nothing_to_go_back_to(
    staffed_office: Any, make_visitor: Any
) -> None:
    office, visitor = staffed_office, make_visitor()
    visitor.sign_in(office, "leaver")
    visitor.page.goto(f"{office.address}/reports/{office.filled['hidden_report']}/")
    visitor.look("report")
    assert "pictures" in visitor.page.content()
    cookies = visitor.page.context.cookies()
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.page.wait_for_url(lambda url: "/reports/" not in url)
    visitor.look("signed-out")
    visitor.page.go_back()
    visitor.page.wait_for_url(lambda url: "/account/login/" in url)  # no-store: asked of the office again
    visitor.page.get_by_role("heading", name="Sign in").wait_for()
    assert "pictures" not in visitor.page.content()
    thief = make_visitor("thief")
    thief.page.context.add_cookies(cookies)
    thief.page.goto(f"{office.address}/reports/")
    assert "/account/login/" in thief.page.url
