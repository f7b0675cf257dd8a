"""Small things that people need: words for codes, keys that can be switched off, numbers that are theirs alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from lxml import html

from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.models import Asset
from leadline.workbench.permissions import Role
from leadline.workbench.review import access, actions
from leadline.workbench.review.models import Never, Review, Shift
from leadline.workbench.words import word

from .conftest import ANSWERS
from .decided import decide

pytestmark = pytest.mark.django_db


def test_never_again_for_the_office_is_for_a_lead_and_frees_the_review(
    arrive: Any, analyst: Person, senior: Person, browser_of: Callable[[Person], Client]
) -> None:
    arrive(1)
    for person in (analyst, senior):
        actions.begin_shift(person)
    review = actions.claim_next(Actor.of_person(analyst))
    assert review is not None
    address = f"/review/{review.pk}/"
    assert "never-office" not in browser_of(analyst).get(address).content.decode()
    assert browser_of(analyst).post(f"{address}do/never-office/").status_code == 404
    actions.give_back(analyst, review.pk)
    assert actions.claim_next(Actor.of_person(senior)) == review
    assert "never-office" in browser_of(senior).get(address).content.decode()
    browser_of(senior).post(f"{address}do/never-office/")
    assert Never.objects.get().person is None
    review.refresh_from_db()
    assert review.state == "waiting"
    assert not access.queue(Actor.of_person(analyst)).exists()


def test_the_teams_page_shows_no_numbers_of_fewer_than_three_people(
    arrive: Any, senior: Person, make_person: Callable[..., Person], client_of: Callable[[Person], Client]
) -> None:
    pages = []
    for number in range(3):
        person = make_person(f"person-{number}", Role.ANALYST)
        arrive(number + 1)
        actions.begin_shift(person)
        review = actions.claim_next(Actor.of_person(person))
        assert review is not None
        decide(person, review, ANSWERS)
        pages.append(client_of(senior).get("/review/team/").content.decode())
    assert ["Exposure saved: " in page for page in pages] == [False, False, True]
    assert ["3 people at work" in page for page in pages] == [False, False, True]
    assert "people at work" not in pages[1].replace("Fewer than three people are at work", "")
    assert Shift.objects.count() == 3


def test_whoever_went_home_without_a_word_is_not_at_work(
    arrive: Any, senior: Person, make_person: Callable[..., Person]
) -> None:
    for name in ("one", "another"):
        actions.begin_shift(make_person(name, Role.ANALYST), 60)
    Shift.objects.filter(person__name="one").update(began_at=timezone.now() - timedelta(minutes=91))
    [day] = access.teams_of([timezone.now()])
    assert day.people_at_work == 1


def test_a_break_that_was_kept_counts_however_one_comes_back(arrive: Any, analyst: Person) -> None:
    arrive(1)
    actions.begin_shift(analyst)
    now = timezone.now()
    Shift.objects.update(working_since=now - timedelta(minutes=70), break_began_at=now - timedelta(minutes=15))
    assert not access.work_of(analyst).break_due
    assert actions.claim_next(Actor.of_person(analyst)) is not None
    assert access.work_of(analyst, now + timedelta(minutes=46)).break_due  # fifty after its end
    actions.begin_break(analyst)  # another one: of the first it is still known when it ended
    assert Shift.objects.get().working_since == now - timedelta(minutes=5)


def test_a_wish_is_saved_beside_floors_that_came_after_the_last_one(
    office: Any, analyst: Person, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    actions.set_wish(analyst, reveal_seconds=3)
    for name, value in (("allow_whole", "no"), ("daily_minutes", "30"), ("reveal_seconds", "5")):
        set_office_setting(senior, f"review-{name}", value, "a test")
    client = client_of(analyst)
    page = html.document_fromstring(client.get("/review/me/").content.decode())
    given = dict(next(one for one in page.forms if "daily_minutes" in one.fields).form_values())
    assert (given["daily_minutes"], given["reveal_seconds"], "allow_whole" in given) == ("30", "3", False)
    assert client.post("/review/me/", given | {"is_volunteer": "on"}).status_code == 302
    wish = access.wish_of(analyst)
    assert (wish.is_volunteer, wish.reveal_seconds) == (True, 3)
    assert (wish.allow_whole, wish.daily_minutes) == (True, 120)  # nobody wished for the floor
    assert client.post("/review/me/", given | {"allow_whole": "on"}).status_code == 200  # less careful than it


def test_how_long_it_can_be_undone_is_told_as_a_span_whatever_clock_the_browser_has(
    claimed: Review, analyst: Person, browser_of: Callable[[Person], Client]
) -> None:
    made = actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS)
    for address in ("/review/", f"/review/assessments/{made.pk}/"):
        page = html.document_fromstring(browser_of(analyst).get(address).content.decode())
        [form] = page.xpath(f"//form[@action='/review/assessments/{made.pk}/undo/']")
        assert 5_000 < int(form.attrib["data-left-ms"]) <= 10_000
        assert form.getparent().attrib["class"] == "undo"  # all that the script takes away
    made.effective_at = made.made_at
    assert made.undo_left_ms == 0


def test_colour_is_a_button_too_and_says_whether_it_is_on(
    claimed: Review, analyst: Person, browser_of: Callable[[Person], Client]
) -> None:
    card = f"/review/{claimed.pk}/"
    page = html.document_fromstring(browser_of(analyst).get(card).content.decode())
    [button] = page.xpath("//button[@id='colour']")
    said = [button.attrib[name] for name in ("aria-pressed", "data-on", "data-off")]
    assert said == ["false", "Colour: yes", "Colour: no"]
    actions.set_wish(analyst, allow_colour=False)
    assert 'id="colour"' not in browser_of(analyst).get(card).content.decode()


def test_the_script_is_told_what_to_say_where_an_answer_was_not_kept(
    claimed: Review, analyst: Person, browser_of: Callable[[Person], Client]
) -> None:
    """A sign-in page that a lost session leads to arrives well: a script that trusts it says that all is saved."""
    page = html.document_fromstring(browser_of(analyst).get(f"/review/{claimed.pk}/").content.decode())
    told = page.get_element_by_id("card").attrib
    assert told["data-unsaved"] == "This is not saved yet."
    assert told["data-signed-out"].startswith("You were signed out.")
    answer = Client().post(told["data-draft"], {"note": "made up"}, follow=True)
    assert (answer.status_code, answer.redirect_chain[0][1]) == (200, 302)


def test_single_letter_keys_can_be_switched_off(
    claimed: Review, analyst: Person, browser_of: Callable[[Person], Client]
) -> None:
    card = f"/review/{claimed.pk}/"
    assert 'data-keys="yes"' in browser_of(analyst).get(card).content.decode()
    form = browser_of(analyst).get("/review/me/").content.decode()
    assert 'name="single_keys"' in form
    actions.set_wish(analyst, single_keys=False)
    for page in (card, "/review/"):
        assert 'data-keys="no"' in browser_of(analyst).get(page).content.decode()


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Blur, grey and size are comfort. They do not protect: seeing less does."),
        ("fr", "Le flou, le gris et la taille sont un confort. Ils ne protègent pas : en voir moins protège."),
    ],
)
def test_the_card_says_that_filters_do_not_protect(
    claimed: Review, analyst: Person, browser_of: Callable[[Person], Client], language: str, said: str
) -> None:
    card = browser_of(analyst).get(f"/review/{claimed.pk}/", headers={"accept-language": language})
    assert said in card.content.decode()


def test_what_is_shown_and_hidden_is_told_in_a_live_region(
    claimed: Review, analyst: Person, browser_of: Callable[[Person], Client]
) -> None:
    page = browser_of(analyst).get(f"/review/{claimed.pk}/").content.decode()
    assert '<p id="shown" role="status" aria-live="polite" class="visually-hidden"></p>' in page


def test_pages_say_words_and_no_codes(
    claimed: Review, analyst: Person, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    Review.objects.filter(pk=claimed.pk).update(category="sample", purpose="second-opinion", why=[["tick.ongoing", 30]])
    actions.give_back(analyst, claimed.pk)
    actions.set_wish(senior, is_volunteer=True)
    queue = client_of(senior).get("/review/").content.decode()
    assert "sample of what is known" in queue
    assert "second opinion" in queue
    assert "tick.ongoing" not in queue
    closed = client_of(senior).get(f"/review/{claimed.pk}/").content.decode()
    assert "tick.ongoing" not in closed


def test_the_queue_says_in_words_what_a_file_is_and_what_banks_say(
    arrive: Any, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    asset = arrive(1)
    said = {"inferred_kind": "other", "inferred_scheme": "made-up", "inferred_label": "label-7", "inferred_from": "known"}
    Asset.objects.filter(pk=asset.pk).update(verdict="near", size_bytes=12_345, source="public-form", **said)
    page = client_of(senior).get("/review/").content.decode()
    for shown in ("made-up label-7", ">inferred<", "<td>near", "12,345", word("public-form", "asset-source")):
        assert shown in page
    assert "<img" not in page
    Asset.objects.filter(pk=asset.pk).update(mime="video/mp4", width=0, height=0)
    assert "<td>unknown</td>" in client_of(senior).get("/review/").content.decode()


def test_the_queue_says_nothing_of_a_red_bank_that_is_not_for_the_reader(
    arrive: Any, analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    asset = arrive(1)
    said = {"inferred_kind": "illegal", "inferred_label": "label-7", "inferred_from": "red", "inferred_red": True}
    Asset.objects.filter(pk=asset.pk).update(verdict="near", **said)
    page = client_of(analyst).get("/review/").content.decode()
    assert "label-7" not in page
    assert "<td>near" not in page


def test_the_queue_asks_the_database_no_more_for_more_reviews(
    arrive: Any, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    client, counts = client_of(senior), []
    for seed in (1, 2, 3):
        arrive(seed)
        with CaptureQueriesContext(connection) as asked:
            client.get("/review/")
        counts.append(len(asked))
    assert counts[1] == counts[2]


@pytest.mark.parametrize(
    ("mime", "sound"), [("image/png", "no sound"), ("video/mp4", "sound: unknown"), ("audio/mpeg", "sound: unknown")]
)
def test_the_forewarning_says_whether_there_is_sound(
    claimed: Review, analyst: Person, browser_of: Callable[[Person], Client], mime: str, sound: str
) -> None:
    Asset.objects.filter(pk=claimed.cluster.centre_id).update(mime=mime)
    page = browser_of(analyst).get(f"/review/{claimed.pk}/").content.decode()
    line = page.partition('<p class="lead">')[2].partition("</p>")[0]
    assert f">{sound}<" in line
