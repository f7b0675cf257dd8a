"""The whole flow in French: somebody whose browser asks for French signs in, looks, and clears the queue by its keys.

Addresses, keys and ids are the same in every language; every word that is read or clicked here is French.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.journeys.conftest import RunningOffice, code_for, serve_office
from tests.journeys.inside import PASSWORD
from tests.journeys.test_reviewing import ask, is_blank, wait_for_name
from tests.machine import Machine

SINGLES, COPIES = 3, 3


@pytest.fixture(scope="module")
def bureau(prepared: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningOffice]:
    home = shutil.copytree(prepared.home, tmp_path_factory.mktemp("french") / "home")
    with serve_office(home) as running:
        roles = {"ana": ["analyst"], "sue": ["senior", "administrator"], "kim": ["senior"]}  # a code is good once
        running.people = running.ask("make_people", roles=roles)
        sue = running.people["sue"]["id"]
        running.filled["reviews"] = ask(running, "arrive", person=sue, singles=SINGLES, copies=COPIES)
        yield running


def sign_in(visitor: Any, office: RunningOffice, name: str) -> Any:
    """By what every language shares: the names of fields, and Enter."""
    page, person = visitor.page, office.people[name]
    page.goto(f"{office.address}/account/login/")
    page.get_by_role("heading", name="Se connecter").wait_for()
    page.locator("input[name=login]").fill(person["email"])
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    page.locator("input[name=code]").fill(code_for(person["secret"]))
    page.locator("input[name=code]").press("Enter")
    page.wait_for_url(f"{office.address}/")
    return page


def test_an_analyst_clears_the_queue_in_french(bureau: RunningOffice, make_visitor: Any) -> None:
    visitor = make_visitor("ana", locale="fr-FR")
    page = sign_in(visitor, bureau, "ana")
    assert page.locator("html").get_attribute("lang") == "fr"
    visitor.look("accueil")
    page.get_by_role("link", name="Examen", exact=True).first.click()
    visitor.look("file")
    page.get_by_role("link", name="Commencer le service").click()
    page.get_by_role("button", name="Commencer").press("Enter")
    page.wait_for_url(f"{bureau.address}/review/")
    page.keyboard.press("Enter")
    for number in range(SINGLES + 1):
        page.wait_for_url("**/review/*-*/")
        if number == 0:
            look_once(visitor)
        for key in "72222":
            page.keyboard.press(key)
        if number == 1:
            visitor.look("fiche")
        with page.expect_navigation():
            page.keyboard.press("Control+Shift+Enter")
    page.wait_for_url(f"{bureau.address}/review/")
    page.get_by_text("Rien ne vous attend.").first.wait_for()
    visitor.look("file-vide")
    made = [row for row in ask(bureau, "decisions") if row["by"] == "ana"]
    assert sorted(row["files"] for row in made) == [1] * SINGLES + [COPIES]


def look_once(visitor: Any) -> None:
    """The keys, the lens by the words of a screen reader, and a refusal that a person can read."""
    page = visitor.page
    page.keyboard.press("?")
    page.get_by_text("maintenir : la loupe").wait_for()
    visitor.look("touches")
    page.keyboard.press("Escape")
    page.keyboard.down("Space")
    wait_for_name(page, "Loupe")
    assert not is_blank(page)
    page.keyboard.up("Space")
    assert is_blank(page)


def test_a_decision_is_revised_and_read_in_french(bureau: RunningOffice, make_visitor: Any) -> None:
    visitor = make_visitor("sue", locale="fr-FR")
    page = sign_in(visitor, bureau, "sue")
    first = next(row for row in ask(bureau, "decisions") if row["by"] == "ana")
    for _ in range(60):  # ten seconds are for the undo
        page.goto(f"{bureau.address}/review/assessments/{first['id']}/")
        if page.get_by_text("en vigueur", exact=True).count():
            break
        time.sleep(0.5)
    page.get_by_role("group", name="Réel, dessiné ou généré").get_by_label("Généré").check()
    page.get_by_label("Motif").select_option("mistake")
    visitor.look("reviser")
    page.get_by_role("button", name="Réviser").click()
    page.get_by_text("révise celle-ci").wait_for()
    visitor.look("revise")
    page.get_by_role("rowheader", name="Âge apparent de la personne la plus jeune").wait_for()
    page.get_by_role("link", name="Preuves", exact=True).click()
    visitor.look("preuves")
    page.locator("tbody th a").first.click()
    page.get_by_role("heading", name="Chaîne de possession").wait_for()
    visitor.look("preuve")


def test_ones_own_language_goes_before_that_of_the_browser(bureau: RunningOffice, make_visitor: Any) -> None:
    visitor = make_visitor("own", locale="fr-FR")
    page = sign_in(visitor, bureau, "kim")
    page.goto(f"{bureau.address}/account/")
    page.locator("main select[name=language]").select_option("de")
    page.get_by_role("button", name="Enregistrer").click()
    page.get_by_text("Die Änderung ist gespeichert.").wait_for()
    visitor.look("konto")
    page.goto(f"{bureau.address}/review/team/")
    assert page.locator("html").get_attribute("lang") == "de"
    page.goto(f"{bureau.address}/account/")
    page.locator("main select[name=language]").select_option("")
    page.get_by_role("button", name="Speichern").click()
    page.locator("html[lang=fr]").wait_for(state="attached")  # saved, before one goes elsewhere
    page.goto(f"{bureau.address}/review/team/")
    assert page.locator("html").get_attribute("lang") == "fr"
