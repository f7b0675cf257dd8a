"""Quality in a real browser: a third person settles what two saw differently, a lead answers a golden item."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from tests.journeys.conftest import RunningOffice, ask_inside, faults_of_tabs, serve_office
from tests.journeys.test_reviewing import is_blank, start_shift, wait_for_name, wait_for_picture
from tests.machine import Machine


def ask(office: RunningOffice, function: str, **arguments: Any) -> Any:
    return ask_inside(office.environment, function, "inside_quality", **arguments)


@pytest.fixture(scope="module")
def measured(prepared: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningOffice]:
    """Ana and Ben saw one file differently; a golden item waits for answers."""
    home = shutil.copytree(prepared.home, tmp_path_factory.mktemp("quality") / "home")
    with serve_office(home) as running:
        roles = {"ana": ["analyst"], "ben": ["analyst"], "sue": ["senior"], "tom": ["senior"]}
        running.people = running.ask("make_people", roles=roles)
        ids = {name: running.people[name]["id"] for name in roles}
        running.filled = ask(running, "prepare", lead=ids["sue"], first=ids["ana"], second=ids["ben"])
        yield running


def look_with_the_lens(visitor: Any, page: Any, name: str) -> None:
    page.get_by_role("button", name="Open it, to look").click()
    page.wait_for_selector("canvas")
    visitor.look(f"{name}-open")
    assert faults_of_tabs(page) == []
    page.locator("#picture").focus()
    page.keyboard.press("?")
    page.locator("#keys[open]").wait_for()
    page.keyboard.press("Escape")
    assert is_blank(page)
    page.keyboard.down("Space")
    wait_for_name(page, "Lens")
    wait_for_picture(page)
    page.keyboard.up("Space")
    wait_for_name(page, "Hidden")
    assert is_blank(page)


def test_a_third_settles_from_the_keyboard_what_two_saw_differently(measured: RunningOffice, make_visitor: Any) -> None:
    page = start_shift(visitor := make_visitor("tom"), measured, "tom")
    page.goto(f"{measured.address}/quality/disagreements/")
    page.locator("main table a").click()
    assert page.locator("main table").get_by_text("Generated", exact=True).count() == 1
    assert not [name for name in ("ana", "ben") if page.locator("main").get_by_text(name, exact=True).count()]
    look_with_the_lens(visitor, page, "disagreement")
    for key in "72222":
        page.keyboard.press(key)
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/quality/disagreements/")
    assert "Settled" in page.content()
    assert ask(measured, "states")["pair"] == "confirmed"
    assert ["tom", "lens", "disagreement"] in ask(measured, "looks")


def test_a_lead_answers_a_golden_item_with_its_picture_beside(measured: RunningOffice, make_visitor: Any) -> None:
    page = start_shift(visitor := make_visitor("sue"), measured, "sue")
    page.goto(f"{measured.address}/quality/items/{measured.filled['item']}/")
    look_with_the_lens(visitor, page, "golden-item")
    for key in "72222":
        page.keyboard.press(key)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("caption:has-text('Your answers')")
    assert ask(measured, "states")["answers"] == "1"
    assert ["sue", "lens", "reference"] in ask(measured, "looks")
