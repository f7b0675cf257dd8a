"""Pages of quality: what each person reads there, and what stands nowhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.models import Asset
from leadline.workbench.quality import access, actions
from leadline.workbench.quality.models import GoldenItem, GoldenSet, Pair
from leadline.workbench.review import access as review_access
from leadline.workbench.review import actions as reviews
from leadline.workbench.review.models import Assessment, Review

from .conftest import ANSWERS, OTHER, aged, decide, golden_set, on_shift, settled

pytestmark = pytest.mark.django_db
Browser = Callable[[Person], Client]
GIVEN = {f"q-{name}": codes for name, codes in ANSWERS.items()}
GIVEN_OTHER = {f"q-{name}": codes for name, codes in OTHER.items()}


def listed_keys(page: str) -> set[str]:
    return set(re.findall("<kbd>([^<]+)</kbd>", page.partition('<dialog id="keys"')[2].partition("</dialog>")[0]))


@pytest.fixture
def pair(arrive: Callable[..., Asset], analyst: Person, other: Person, drawing: Callable[..., None]) -> Pair:
    arrive(1)
    drawing(double=100)
    decide(analyst)
    actions.draw()
    decide(other, OTHER)
    actions.pair_up()
    return Pair.objects.get()


def test_a_lead_makes_a_set_puts_a_file_in_and_answers(
    arrive: Callable[..., Asset], senior: Person, browser_of: Browser
) -> None:
    asset, browser = arrive(1), browser_of(senior)
    made = browser.post("/quality/sets/", {"name": "Spring"})
    golden = GoldenSet.objects.get()
    assert made["Location"] == f"/quality/sets/{golden.pk}/"
    again = browser.post("/quality/sets/", {"name": "Spring"})
    assert b"a set has this name" in again.content
    assert asset.sha256 in browser.get(f"/quality/sets/{golden.pk}/?sha256={asset.sha256}").content.decode()
    unseen = browser.post(f"/quality/sets/{golden.pk}/", {"sha256": asset.sha256})  # without saying it is harmless
    assert unseen.status_code == 200
    browser.post(f"/quality/sets/{golden.pk}/", {"sha256": asset.sha256.upper(), "is_harmless": "on"})
    item = GoldenItem.objects.get()
    browser.post(f"/quality/items/{item.pk}/", GIVEN)
    assert item.answers.get().answers == ANSWERS
    page = browser.get(f"/quality/items/{item.pk}/").content.decode()
    assert "Your answers, leadline-facts 1" in page
    gap = browser.post(f"/quality/items/{item.pk}/", {"q-live": "no"})
    assert b"a question has no answer" in gap.content


def test_the_page_of_an_asset_leads_a_lead_to_the_sets_and_nobody_else(
    arrive: Callable[..., Asset], senior: Person, analyst: Person, client_of: Browser
) -> None:
    asset = arrive(1)
    address = f"/quality/sets/choose/?sha256={asset.sha256}"
    assert address in client_of(senior).get(f"/evidence/assets/{asset.pk}/").content.decode()
    assert address not in client_of(analyst).get(f"/evidence/assets/{asset.pk}/").content.decode()
    golden = golden_set(senior)
    assert f"/quality/sets/{golden.pk}/?sha256={asset.sha256}" in client_of(senior).get(address).content.decode()


def test_who_is_asked_answers_and_who_is_not_finds_nothing_there(
    arrive: Callable[..., Asset], senior: Person, analyst: Person, other: Person, browser_of: Browser
) -> None:
    item = actions.put_in(senior, golden_set(senior), arrive(1))
    lead = browser_of(senior)
    lead.post(f"/quality/items/{item.pk}/ask/", {"person": str(analyst.pk)})
    assert f"/quality/items/{item.pk}/" in browser_of(analyst).get("/quality/me/").content.decode()
    page = browser_of(analyst).get(f"/quality/items/{item.pk}/").content.decode()
    assert "Ask a colleague" not in page
    assert item.set.name not in page
    for address in (f"/quality/items/{item.pk}/", f"/quality/items/{item.pk}/look/"):
        assert browser_of(other).post(address, GIVEN).status_code == 404
    lead.post(f"/quality/items/{item.pk}/withdraw/")
    item.refresh_from_db()
    assert item.withdrawn_at is not None
    lead.post(f"/quality/sets/{item.set_id}/end/")
    assert b"nothing of it is handed out" in lead.get(f"/quality/sets/{item.set_id}/").content


def test_the_picture_of_an_item_comes_with_a_claim_and_as_a_card_has_it(
    arrive: Callable[..., Asset], senior: Person, browser_of: Browser
) -> None:
    item = actions.put_in(senior, golden_set(senior), arrive(1))
    on_shift(senior)
    browser = browser_of(senior)
    assert "<canvas" not in browser.get(f"/quality/items/{item.pk}/").content.decode()
    browser.post(f"/quality/items/{item.pk}/look/")
    page = browser.get(f"/quality/items/{item.pk}/").content.decode()
    review = Review.objects.get(purpose="reference")
    assert "<canvas" in page
    assert f"/review/{review.pk}/reveal/" in page
    assert "<img" not in page
    assert listed_keys(page) >= {"1", "j", "t", "Space"}
    assert not listed_keys(page) & set("clnrheosz")  # they do nothing here
    assert 'review.js" data-keys="yes"' in page
    reviews.set_wish(senior, single_keys=False)  # off here too
    assert 'review.js" data-keys="no"' in browser.get(f"/quality/items/{item.pk}/").content.decode()
    assert browser.get(f"/review/{review.pk}/").status_code == 404  # its page is this one


def test_a_golden_item_reads_as_an_ordinary_one_on_every_page(
    make_golden: Callable[..., GoldenItem], arrive: Callable[..., Asset], analyst: Person, browser_of: Browser,
    drawing: Callable[..., None],
) -> None:  # fmt: skip
    item = make_golden(1)
    arrive(2)
    drawing(golden=100)
    decide(analyst)
    actions.draw()
    other = arrive(3)
    browser = browser_of(on_shift(analyst))
    golden, plain = Review.objects.get(purpose="golden"), Review.objects.get(cluster__centre=other)
    assert plain.purpose == "decision"
    pages, ordinary = pages_of(browser, analyst, golden), pages_of(browser, analyst, plain)
    for name, page in pages.items():
        assert not [word for word in ("olden", "trial", "reserved") if word in page], name
        assert is_alike(page, ordinary[name]), name
    address = f"/evidence/assets/{item.asset_id}/"
    received = item.asset.received_at.strftime("%Y-%m-%d %H:%M")  # one time, wherever it stands
    assert received in row_of(browser.get(address).content.decode(), "Received (UTC)")
    assert received in pages["queue"]
    assert item.asset.sha256[:12] not in browser.get("/quality/me/").content.decode()
    aged(Assessment.objects.get(review=golden), days=1)
    assert item.asset.sha256[:12] in browser.get("/quality/me/").content.decode()


def pages_of(browser: Client, person: Person, review: Review) -> dict[str, str]:
    """All that a person reads of a review, from the queue to a day before they are told."""
    asset, pages = review_access.subject_of(review), {}
    pages["queue"] = row_of(browser.get("/review/").content.decode(), str(review.pk))
    pages["closed"] = browser.get(f"/review/{review.pk}/").content.decode()
    browser.post(f"/review/{review.pk}/claim/")
    browser.post(f"/review/{review.pk}/do/second/")
    pages["card"] = browser.get(f"/review/{review.pk}/").content.decode()
    browser.post(f"/review/{review.pk}/reveal/", {"asset": str(asset.pk), "level": "lens"})
    done = browser.post(f"/review/{review.pk}/hand-in/", {**GIVEN, "asset": str(asset.pk)})
    made = Assessment.objects.get(review=review)
    assert done["Location"] == f"/review/assessments/{made.pk}/"
    pages["pending"] = browser.get(done["Location"]).content.decode()
    settled(made)
    browser.post(f"/review/assessments/{made.pk}/outcome/", {"word": "removed", "source": "host"})
    pages["in force"] = browser.get(done["Location"]).content.decode()
    pages["listed"] = row_of(browser.get("/review/assessments/").content.decode(), str(made.pk))
    pages["asset"] = browser.get(f"/evidence/assets/{asset.pk}/").content.decode()
    pages["assets"] = row_of(browser.get("/evidence/assets/").content.decode(), str(asset.pk))
    pages["me"] = row_of(browser.get("/review/me/").content.decode(), "<td>lens")
    for name, asked in {"by file": asset.sha256, "by number": str(made.pk)}.items():
        pages[name] = browser.post("/search/", {"query": asked}).content.decode()
        assert str(made.pk) in pages[name]
    return pages


def row_of(page: str, text: str) -> str:
    """The first row of a table that holds `text`."""
    return next(row for row in page.split("<tr>") if text in row).partition("</tr>")[0]


def is_alike(one: str, other: str) -> bool:
    """The same but for numbers: hashes, ids, sizes, times."""
    return _without_numbers(one) == _without_numbers(other)


def _without_numbers(page: str) -> list[str]:
    body = re.sub(r"csrfmiddlewaretoken\" value=\"\w+", "", page.partition("<main")[2] or page)
    return re.sub(r"[0-9a-f-]*[0-9][0-9a-f,.:-]*", "#", body).splitlines()


def test_what_was_decided_of_a_file_before_does_not_tell_whom_it_is_handed_as_golden(
    arrive: Callable[..., Asset], analyst: Person, other: Person, senior: Person, drawing: Callable[..., None],
    browser_of: Browser,
) -> None:  # fmt: skip
    arrive(1)
    first = decide(other)
    item = actions.put_in(senior, golden_set(senior), first.cluster.centre)
    item.answers.create(by=senior, scheme="leadline-facts", scheme_version=1, answers=ANSWERS, is_agreed=True)
    GoldenItem.objects.filter(pk=item.pk).update(agreed_at=item.put_in_at)
    arrive(2)
    drawing(golden=100)
    decide(analyst)
    browser, address = browser_of(on_shift(analyst)), f"/review/assessments/{first.pk}/"
    assert browser.get(address).status_code == 200
    actions.draw()

    def is_told() -> bool:
        listed = str(first.pk) in browser.get("/review/assessments/").content.decode()
        searched = str(first.pk) in browser.post("/search/", {"query": item.asset.sha256}).content.decode()
        return listed or searched or browser.get(address).status_code == 200

    assert not is_told()
    made = decide(analyst)
    assert made.standing == "trial"
    assert not is_told()
    Review.objects.filter(pk=made.review_id).update(decided_at=made.made_at - timedelta(days=1))
    assert is_told()
    assert browser_of(on_shift(senior)).get(address).status_code == 200  # of others nothing is taken


def test_a_lead_who_opens_the_first_answers_is_out_of_the_second(
    arrive: Callable[..., Asset], analyst: Person, senior: Person, drawing: Callable[..., None], browser_of: Browser
) -> None:
    arrive(1)
    drawing(double=100)
    made = decide(analyst)
    actions.draw()
    on_shift(senior)
    review = Review.objects.get(purpose="double")
    browser = browser_of(senior)
    assert str(review.pk) in browser.get("/review/").content.decode()
    assert browser.get(f"/review/assessments/{made.pk}/").status_code == 200
    assert str(review.pk) not in browser.get("/review/").content.decode()


def test_a_third_reads_both_answers_without_names_and_settles_them(
    pair: Pair, analyst: Person, other: Person, third: Person, browser_of: Browser
) -> None:
    on_shift(third)
    browser = browser_of(third)
    address = f"/quality/disagreements/{pair.pk}/"
    assert address in browser.get("/quality/disagreements/").content.decode()
    page = browser.get(address).content.decode()
    assert "<canvas" not in page
    browser.post(f"{address}look/")
    page = browser.get(address).content.decode()
    assert "<canvas" in page
    assert listed_keys(page) & set("clnrheosz") == {"c", "n"}
    assert 'review.js" data-keys="yes"' in page
    assert "<img" not in page
    body = page.partition("<main")[2]
    assert "Drawn</td><td>Generated" in body
    assert "leadline-facts 1" in body
    assert not [person for person in (analyst, other) if f">{person.name}<" in body or f", {person.name}" in body]
    gap = browser.post(address, {"q-live": "no"})
    assert b"a question has no answer" in gap.content
    assert browser.post(address, GIVEN_OTHER)["Location"] == "/quality/disagreements/"
    pair.refresh_from_db()
    assert (pair.state, pair.resolved_by) == ("revised", third)
    assert browser.get(address).status_code == 404
    for person, said in ((analyst, "Drawn</td><td>Generated"), (other, "Generated</td><td>Drawn")):
        own = browser_of(person).get("/quality/me/").content.decode()
        assert said in own
        assert third.name not in own.partition("<main")[2]


def test_neither_of_the_two_opens_it(pair: Pair, analyst: Person, other: Person, browser_of: Browser) -> None:
    for person in (analyst, other):
        browser = browser_of(on_shift(person))
        for end in ("", "look/"):
            assert browser.post(f"/quality/disagreements/{pair.pk}/{end}", GIVEN).status_code == 404


def test_answers_begun_on_the_page_are_kept(pair: Pair, third: Person, browser_of: Browser) -> None:
    on_shift(third)
    browser = browser_of(third)
    browser.post(f"/quality/disagreements/{pair.pk}/look/")
    pair.refresh_from_db()
    assert browser.post(f"/review/{pair.review_id}/draft/", {**GIVEN, "note": "half"}).json() == {"saved": True}
    page = browser.get(f"/quality/disagreements/{pair.pk}/").content.decode()
    assert ">half</textarea>" in page.replace("\n", "")


def test_the_page_of_the_team_has_figures_and_no_names(
    pair: Pair, analyst: Person, other: Person, senior: Person, client_of: Browser
) -> None:
    body = client_of(senior).get("/quality/").content.decode().partition("<main")[2]
    assert "too few" in body
    assert "under leadline-facts 1" in body
    assert not [person for person in (analyst, other) if person.name in body]
    assert client_of(analyst).get("/quality/").status_code == 404


def test_a_version_whose_file_is_gone_is_said_to_be(pair: Pair, senior: Person, client_of: Browser) -> None:
    Pair.objects.update(scheme="lost")
    assert b"no longer loaded" in client_of(senior).get("/quality/").content
    assert client_of(senior).get("/quality/disagreements/").status_code == 200


def test_the_office_sets_how_much(make_person: Any, client_of: Browser) -> None:
    from leadline.workbench.permissions import Role

    browser = client_of(make_person("chief", Role.ADMINISTRATOR))
    assert (access.double_percent(), access.golden_percent()) == (5, 2)
    refused = browser.post("/quality/office/", {"double_percent": 21, "golden_percent": 1, "legal_basis": "made up"})
    assert refused.status_code == 200
    browser.post("/quality/office/", {"double_percent": 7, "golden_percent": 0, "legal_basis": "made up"})
    assert (access.double_percent(), access.golden_percent()) == (7, 0)
    late = client_of(make_person("late", Role.ADMINISTRATOR), signed_in_s_ago=timedelta(hours=1).total_seconds())  # type: ignore[call-arg]
    assert late.get("/quality/office/").status_code == 302


def test_the_card_is_not_the_way_to_answer_what_has_its_own_page(
    pair: Pair, third: Person, browser_of: Browser
) -> None:
    actor = Actor.of_person(on_shift(third))
    review = actions.look_at_pair(actor, pair.pk)
    browser = browser_of(third)
    assert browser.get(f"/review/{review.pk}/").status_code == 404
    browser.post(f"/review/{review.pk}/hand-in/", {**GIVEN, "asset": str(pair.asset_id)})
    assert not Assessment.objects.filter(review=review).exists()
    assert reviews.claim_apart(actor, review.pk) == review


def test_a_file_that_somebody_may_not_see_hides_its_item_and_its_pair(
    pair: Pair, arrive: Callable[..., Asset], senior: Person, analyst: Person, third: Person, browser_of: Browser
) -> None:
    item = actions.put_in(senior, golden_set(senior), arrive(2))
    actions.ask(senior, item, analyst)
    addresses = [(analyst, f"/quality/items/{item.pk}/"), (third, f"/quality/disagreements/{pair.pk}/")]
    assert [browser_of(person).get(address).status_code for person, address in addresses] == [200, 200]
    Asset.objects.update(sensitivity=2)
    assert [browser_of(person).get(address).status_code for person, address in addresses] == [404, 404]
    assert str(item.pk) not in browser_of(analyst).get("/quality/me/").content.decode()
    assert str(pair.pk) not in browser_of(third).get("/quality/disagreements/").content.decode()


def test_scheme_and_version_of_each_label_stand_on_the_pages_of_assessments(
    arrive: Callable[..., Asset], analyst: Person, browser_of: Browser
) -> None:
    arrive(1)
    made = decide(analyst)
    made.labels.create(scheme="sap", version="until-2014-03-31", code="level-1")
    browser = browser_of(analyst)
    assert "sap until-2014-03-31: level-1" in browser.get("/review/assessments/").content.decode()
    page = browser.get(f"/review/assessments/{made.pk}/").content.decode()
    assert "sap (until-2014-03-31): level-1" in page
    assert "Answers under leadline-facts 1" in page
