"""The page of search: a form, results by kind with their pages, nothing in the address."""

from __future__ import annotations

import re
from typing import Any

from django.test import Client
from django.urls import reverse
from tests.workbench.search.conftest import receive

from leadline.workbench.accounts.models import Person
from leadline.workbench.search import access, actions
from leadline.workbench.search.api import Kind
from leadline.workbench.search.forms import KINDS


def look_for(client: Client, text: str, **more: str) -> str:
    answer = client.post("/search/", {"query": text, **more})
    assert answer.status_code == 200
    return answer.content.decode()


def test_what_is_found_leads_to_its_page(analyst: Person, client_of: Any) -> None:
    report = receive("https://pictures.example.net/a/7")
    page = look_for(client_of(analyst), "hxxps://pictures[.]example[.]net/a/7")
    assert page.count(f'href="{reverse("report", args=[report.pk])}"') == 2  # the report, and its item
    assert "https://pictures.example.net" not in page


def test_a_group_goes_on_by_its_button(analyst: Person, client_of: Any) -> None:
    made = {receive(f"https://example.org/{n}", reference=f"seven {n}").number for n in range(14)}
    actions.follow()
    client = client_of(analyst)
    page = look_for(client, "seven")
    [cursor] = re.findall(r'name="cursor" value="([^"]+)"', page)
    more = look_for(client, "seven", kind="report", cursor=cursor)
    told = [{number for number in made if f">{number}<" in one} for one in (page, more)]
    assert (len(told[0]), len(told[1])) == (10, 4)
    assert told[0] | told[1] == made
    assert "cursor" not in more.partition("<h2")[2]


def test_an_address_asks_nothing(analyst: Person, client_of: Any) -> None:
    report = receive(reference="seven")
    actions.follow()
    assert report.number not in client_of(analyst).get("/search/?query=seven").content.decode()


def test_a_broken_question_or_cursor_is_a_page(analyst: Person, client_of: Any) -> None:
    client = client_of(analyst)
    assert "Nothing was found" in look_for(client, "nothing-like-it")
    for fields in ({"cursor": "made-up"}, {"kind": "report", "cursor": "made-up"}, {"kind": "made-up"}):
        look_for(client, "seven", **fields)
    look_for(client, "")


def test_who_has_no_role_finds_no_page(outsider: Person, client_of: Any) -> None:
    assert client_of(outsider).post("/search/", {"query": "seven"}).status_code == 404


def test_page_and_api_name_every_kind() -> None:
    assert set(KINDS) == set(access.KINDS) == set(Kind.__args__)
