"""The language of pages: one's own before the browser's cookie, and that before what the browser asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from leadline.workbench.accounts.models import Person
from leadline.workbench.journal.models import Line

pytestmark = pytest.mark.django_db
COOKIE = "leadline-language"


def language_of(client: Client, asked: str = "") -> str:
    answer = client.get("/", headers={"accept-language": asked}, follow=True)
    assert f'<html lang="{answer["Content-Language"]}">' in answer.content.decode()
    return str(answer["Content-Language"])


def choose(client: Client, language: str, page: str = "account") -> Any:
    return client.post(reverse(page), {"language": language})


def test_without_a_choice_the_browser_says_it(analyst: Person, client_of: Callable[[Person], Client]) -> None:
    client = client_of(analyst)
    assert language_of(client, "fr-BE,fr;q=0.9,en;q=0.5") == "fr"
    assert language_of(client, "sv") == "en"


def test_ones_own_language_goes_before_the_cookie_and_the_browser_and_into_every_browser(
    analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    first = client_of(analyst)
    first.cookies[COOKIE] = "de"
    assert language_of(first, "fr") == "de"
    assert choose(first, "nl").status_code == 302
    assert language_of(first, "fr") == "nl"
    assert language_of(client_of(analyst), "fr") == "nl"
    first.cookies[COOKIE] = "de"
    assert language_of(first, "fr") == "nl"


def test_taking_ones_own_back_leaves_it_to_the_browser(
    analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    client = client_of(analyst)
    choose(client, "nl", page="set_language")
    choose(client, "")
    analyst.refresh_from_db()
    assert analyst.language == ""
    assert language_of(client, "fr") == "fr"


def test_the_choice_at_the_head_of_a_page_is_ones_own_too(
    analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    choose(client_of(analyst), "de", page="set_language")
    assert language_of(client_of(analyst), "fr") == "de"


def test_a_stranger_chooses_for_the_browser_alone_in_a_cookie_that_no_script_reads(office: object) -> None:
    client = Client()
    answer = choose(client, "fr", page="set_language")
    assert answer.cookies[COOKIE]["httponly"]
    assert answer.cookies[COOKIE]["samesite"] == "Lax"
    assert language_of(client, "de") == "fr"


def test_a_language_that_is_not_there_is_refused(analyst: Person, client_of: Callable[[Person], Client]) -> None:
    client = client_of(analyst)
    assert choose(client, "tlh").status_code == 200
    choose(client, "tlh", page="set_language")
    analyst.refresh_from_db()
    assert analyst.language == ""


def test_a_row_of_a_language_that_was_taken_away_does_no_harm(
    analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    Person.objects.filter(pk=analyst.pk).update(language="tlh")
    assert language_of(client_of(analyst), "fr") == "fr"


def test_it_is_a_taste_and_no_line_of_the_chain(analyst: Person, client_of: Callable[[Person], Client]) -> None:
    client, before = client_of(analyst), Line.objects.count()
    choose(client, "fr")
    assert Line.objects.count() == before
