"""Every page of the staff, asked for in French: what it says in both languages alike is data, or a word they share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.translation import override
from tests.journeys.filled import fill, fill_quality, sorted_in
from tests.journeys.test_pages import VISITED, VISITED_OUTSIDE
from tests.workbench.pages import Read
from tests.workbench.strings import collect

from leadline.errors import HashRefused, LeadlineError, WrongState, sentence
from leadline.workbench import matching, sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.laws.access import library
from leadline.workbench.permissions import Permission, Role
from leadline.workbench.review import actions as review
from leadline.workbench.review import pictures
from leadline.workbench.review.models import Assessment, Review
from leadline.workbench.words import told

pytestmark = pytest.mark.django_db
# Quoted or for programs, and English on purpose: docs/translating.md.
IN_ENGLISH = frozenset({"api_docs"})
_OFFICE = " · Leadline"  # at the end of every title
# Codes and names that are no words of a language, and what a test made up.
_DATA = re.compile(
    r"[^a-z]*|[a-z]{1,2}|\d+ / \d+ s|known / \d+|\d\S*|.*\d{4}-\d\d-\d\d.*|[\w.-]+@[\w.-]+|[a-z]+/[\w.+-]+.*|https?:.*|.*example\.(?:net|org).*|"
    r"MD5|md5|sha256|sqlite|English|Français|Nederlands|Deutsch|leadline-facts.*|R-\d.*|.*[Mm]ade[ -]up.*"
)
# What a test made up, columns of a sender, and a word of allauth that is French too.
_NAMES = frozenset(
    ["Leadline", "known", "a program", "Which page was it?", "Drawn scenes", "Another", "put right", "person 1",
     "url → url", "note → note", "Sessions", "stopncii",
     "test"]  # where the files of the tests come from
)  # fmt: skip


def shared_words() -> set[str]:
    """Texts whose French is the English word."""
    from django.utils.translation import gettext, ngettext, pgettext

    with override("fr"):
        found = set()
        for text in collect():
            said = pgettext(text.context, text.one) if text.context else gettext(text.one)
            if text.plural:
                said = ngettext(text.one, text.plural, 1)
            found |= {text.one} if said == text.one else set()
        return found


@pytest.fixture
def everybody(make_person: Callable[..., Person]) -> dict[Role, Person]:
    """The senior is the one who reads, and has the roles that see most."""
    roles = (Role.ANALYST, Role.INVESTIGATOR, Role.ADMINISTRATOR)
    reader = make_person("reader", Role.SENIOR, Role.AUDITOR, Role.ADMINISTRATOR, Role.CURATOR)
    return {Role.SENIOR: reader} | {role: make_person(role.value, role) for role in roles}


@pytest.fixture
def own_engine() -> Iterator[None]:
    """With this test's keys and banks, and none of its processes left over."""
    sealing.forget()
    yield
    matching.close_engine()
    pictures.forget()
    sealing.forget()


def said_alike(client: Client, address: str) -> set[str]:
    """What a page says in English and in French."""
    read = {}
    for language in ("en", "fr"):
        answer = client.get(address, headers={"accept-language": language}, follow=True)
        if answer.status_code not in (200, 401):
            return {f"status {answer.status_code}"}
        assert answer["Content-Language"] == language
        read[language] = {text.removesuffix(_OFFICE) for text in Read(answer.content.decode()).texts}
    return read["en"] & read["fr"]


def english_in(client: Client, addresses: dict[str, str], made_up: set[str]) -> dict[str, list[str]]:
    fine = shared_words() | made_up
    wrong = {}
    for name, address in addresses.items():
        alike = {text for text in said_alike(client, address) - fine if not _DATA.fullmatch(text)}
        wrong |= {name: sorted(alike)} if alike else {}
    return wrong


def on_shift(person: Person, client: Client) -> dict[str, str]:
    """A card that this browser's person has claimed, one that they have not, an assessment, and the break."""
    sorted_in(70), sorted_in(71)
    review.begin_shift(person, session=client.session.session_key or "")
    claimed = review.claim_next(Actor.of_person(person))
    assert claimed is not None
    other = Review.objects.filter(state="waiting", purpose="decision").first()
    made = Assessment.objects.filter(standing="in-force").first()
    assert other is not None
    assert made is not None
    return {
        "review_card": reverse("review_card", args=[claimed.pk]),
        "closed_card": reverse("review_card", args=[other.pk]),
        "review_assessment": reverse("review_assessment", args=[made.pk]),
        "review_break": reverse("review_break"),
    }


def test_no_page_of_the_staff_says_english_in_french(
    office: Any, own_engine: None, everybody: dict[Role, Person], client_of: Any
) -> None:
    filled = fill(everybody) | fill_quality(everybody)
    addresses = {
        name: reverse(name, kwargs={key: filled[thing] for key, thing in asked.items()} or None)
        for name, asked in VISITED.items()
        if name not in IN_ENGLISH
    }
    names = {person.name for person in Person.objects.all()}
    names |= {scheme.name for scheme in library().labels.choosable()}  # official, and quoted
    # tasks of a case are in the language of whoever opened it
    names |= {text.one for text, places in collect().items() if places[0].startswith("cases/data")}
    client = client_of(everybody[Role.SENIOR])
    addresses |= on_shift(everybody[Role.SENIOR], client)
    wrong = english_in(client, addresses, names | _NAMES)
    assert not wrong, "\n".join(f"{name}: {texts}" for name, texts in wrong.items())


def test_no_page_before_the_sign_in_says_english_in_french(office: Any) -> None:
    assert english_in(Client(), {name: reverse(name) for name in VISITED_OUTSIDE}, set(_NAMES)) == {}
    absent = Client(headers={"accept-language": "fr"}).get("/nothing/here/")
    assert "Il n’y a rien ici, ou rien que vous puissiez voir." in absent.content.decode()


def test_an_error_is_said_in_the_language_of_the_page_with_its_place_and_its_cure() -> None:
    error = WrongState("the report has moved on", where="R-1", mend="look at it again")
    with override("fr"):
        assert told(error) == "le signalement a avancé (R-1) : regardez-le de nouveau"
        assert told(LeadlineError("made up")) == "made up"
    assert str(error) == "the report has moved on (R-1): look at it again"


def test_a_sentence_with_values_is_said_in_french_with_them_also_one_within_another() -> None:
    inner = sentence("%(count)s characters are no hash", count=7)
    error = HashRefused(sentence("%(what)s; the rest of its record stays", what=inner), where="line 3")
    with override("fr"):
        assert told(error) == "7 caractères ne font pas un haché ; le reste de son enregistrement demeure (line 3)"
    assert str(error) == "7 characters are no hash; the rest of its record stays (line 3)"


def test_a_refusal_reaches_the_person_in_french(
    client_of: Callable[[Person], Client], make_person: Callable[..., Person]
) -> None:
    """Through a form, as somebody meets it: nobody gives a role to themself."""
    person = make_person("head", Role.ADMINISTRATOR)
    client = client_of(person)
    address = reverse("change_role", kwargs={"person_id": person.pk, "what": "give"})
    answer = client.post(address, {"role": "senior"}, headers={"accept-language": "fr"}, follow=True)
    assert "nul ne se donne un rôle à soi-même" in answer.content.decode()
    assert Permission.PEOPLE_MANAGE.value not in Read(answer.content.decode()).texts
