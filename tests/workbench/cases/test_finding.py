"""Cases among what is searched: by number and selector, by words where the settings let them in, to who sees the case."""

from __future__ import annotations

from typing import Any

import pytest

from leadline.domain import Tlp
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases import actions
from leadline.workbench.cases.models import Case
from leadline.workbench.cases.states import PartyRole, SelectorKind
from leadline.workbench.search import access
from leadline.workbench.search import actions as search
from leadline.workbench.search.models import Document

pytestmark = pytest.mark.django_db


def found(person: Person, text: str) -> list[str]:
    search.follow()
    groups = access.find(Actor.of_person(person), text, limit=10)
    return [one.id for group in groups if group.kind == "case" for one in group.found]


def test_a_case_is_found_by_its_number_and_by_a_selector_as_it_is_spelled(case: Case, lead: Person) -> None:
    actions.add_selector(lead, case.pk, SelectorKind.LINK, "https://site.example.net/a", PartyRole.OTHER)
    selector = actions.add_selector(lead, case.pk, SelectorKind.EMAIL, "a@example.org", PartyRole.VICTIM)
    for text in (case.number, case.number.lower(), "hxxps://site[.]example[.]net/a", "A@example.org"):
        assert found(lead, text) == [str(case.pk)], text
    assert found(lead, "b@example.org") == []
    actions.remove_selector(lead, case.pk, selector.pk, "mistake")
    assert found(lead, "a@example.org") == []


def test_nobody_finds_a_case_that_they_may_not_see(lead: Person, senior: Person, outsider: Person) -> None:
    hidden = actions.open_case(senior, "made up", tlp=Tlp.RED)
    actions.add_selector(senior, hidden.pk, SelectorKind.EMAIL, "a@example.org", PartyRole.VICTIM)
    for text in (hidden.number, "a@example.org", str(hidden.pk)):
        assert [found(one, text) for one in (lead, outsider, senior)] == [[], [], [str(hidden.pk)]]


def test_what_is_sealed_in_a_case_is_in_the_index_only_where_the_settings_name_it(
    case: Case, lead: Person, settings: Any
) -> None:
    actions.add_note(lead, case.pk, "an observation of lanterns")
    assert found(lead, "lanterns") == []
    assert not Document.objects.filter(words__contains="lanterns").exists()
    settings.LEADLINE_SEARCH_FIELDS = ("note",)
    search.follow()
    search.follow()
    assert found(lead, "lanterns") == [str(case.pk)]
    actions.add_task(lead, case.pk, "count the harbours")
    assert found(lead, "harbours") == [str(case.pk)]
