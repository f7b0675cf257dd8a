"""What is a victim's in a case that the viewer may not see is shown as nobody's, and that case stays untold."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from leadline.domain import Tlp
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases import access, actions
from leadline.workbench.cases.models import Case, Selector
from leadline.workbench.cases.states import MemberRole, Outcome, PartyRole, Reason, SelectorKind, State
from leadline.workbench.permissions import Role, Sensitivity
from leadline.workbench.search import access as search_access
from leadline.workbench.search import actions as search

from .conftest import again

pytestmark = pytest.mark.django_db
HANDLE, LINK = SelectorKind.HANDLE, SelectorKind.LINK
VICTIM, SUSPECT = PartyRole.VICTIM, PartyRole.SUSPECT
HANDLINGS: list[dict[str, Any]] = [{"tlp": Tlp.RED}, {"sensitivity": Sensitivity.RESTRICTED}]


def listed(person: Person, case: Case) -> dict[str, list[str]]:
    people = access.people_of(Actor.of_person(again(person)), case)
    found = {section.role: [one.shown for one in section.selectors] for section in people.sections}
    rest = {"in doubt": people.in_doubt, "unclear": people.unclear}
    found |= {name: [one.shown for one in some] for name, some in rest.items()}
    return {name: some for name, some in found.items() if some}


@pytest.fixture(params=HANDLINGS, ids=["red", "restricted"])
def hidden(request: pytest.FixtureRequest, senior: Person) -> Case:
    """A case that analysts do not see."""
    return actions.open_case(senior, "The hidden title", **request.param)


def people_on(page: str) -> str:
    return page[page.index('id="people"') :].partition('id="tasks"')[0]


def test_it_is_unclear_to_whoever_does_not_see_both_and_in_doubt_to_whoever_does(
    case: Case, hidden: Case, lead: Person, senior: Person
) -> None:
    actions.add_selector(lead, case.pk, HANDLE, "made_up", SUSPECT)
    assert listed(lead, case) == {"suspect": ["made_up"]}
    selector = actions.add_selector(senior, hidden.pk, HANDLE, "made_up", VICTIM)
    assert listed(lead, case) == {"unclear": ["made_up"]}
    assert listed(senior, case) == {"in doubt": ["made_up"]}
    assert listed(senior, hidden) == {"victim": ["made_up"]}
    actions.remove_selector(senior, hidden.pk, selector.pk, "mistake")
    assert listed(lead, case) == listed(senior, case) == {"suspect": ["made_up"]}


def test_whoever_joins_the_other_case_sees_what_the_conflict_is(
    case: Case, hidden: Case, lead: Person, senior: Person
) -> None:
    actions.add_selector(lead, case.pk, HANDLE, "made_up", SUSPECT)
    actions.add_selector(senior, hidden.pk, HANDLE, "made_up", VICTIM)
    actions.add_member(senior, hidden.pk, lead, MemberRole.READER, timedelta(days=1))
    assert listed(lead, case) == {"in doubt": ["made_up"]}


def test_which_record_came_first_counts_for_nothing(case: Case, hidden: Case, lead: Person, senior: Person) -> None:
    actions.add_selector(senior, hidden.pk, LINK, "https://site.example.net/a", VICTIM)
    actions.add_selector(lead, case.pk, LINK, "hxxps://site[.]example[.]net/a#part", SUSPECT)
    assert [*listed(lead, case)] == ["unclear"]


def test_a_closed_case_still_holds_it_as_a_victims(case: Case, hidden: Case, lead: Person, senior: Person) -> None:
    actions.add_selector(senior, hidden.pk, HANDLE, "made_up", VICTIM)
    actions.change_state(senior, hidden.pk, State.CLOSED, Reason.RESOLVED, seen=State.OPEN, outcome=Outcome.SAFEGUARDED)
    actions.add_selector(lead, case.pk, HANDLE, "made_up", SUSPECT)
    assert listed(lead, case) == {"unclear": ["made_up"]}


def test_a_person_who_turns_out_a_victim_takes_their_selectors_along(
    case: Case, hidden: Case, lead: Person, senior: Person
) -> None:
    party = actions.add_party(senior, hidden.pk, "person 1", SUSPECT)
    actions.add_selector(senior, hidden.pk, HANDLE, "made_up", SUSPECT, party_id=party.pk)
    own = actions.add_party(lead, case.pk, "person 2", SUSPECT)
    actions.add_selector(lead, case.pk, HANDLE, "made_up", SUSPECT, party_id=own.pk)
    assert listed(lead, case) == {"suspect": ["made_up"]}
    actions.set_party_role(senior, hidden.pk, party.pk, VICTIM)
    assert listed(lead, case) == {"unclear": ["made_up"]}


@pytest.mark.parametrize("role", [role for role in PartyRole if role is not SUSPECT])
def test_no_other_role_is_unclear(role: PartyRole, case: Case, hidden: Case, lead: Person, senior: Person) -> None:
    """Neither is what is no suspect's here, nor what is no victim's there."""
    actions.add_selector(lead, case.pk, HANDLE, "one", role)
    actions.add_selector(senior, hidden.pk, HANDLE, "one", VICTIM)
    assert listed(lead, case) == {role.value: ["one"]}
    if role is not VICTIM:
        actions.add_selector(lead, case.pk, HANDLE, "two", SUSPECT)
        actions.add_selector(senior, hidden.pk, HANDLE, "two", role)
        assert listed(lead, case)["suspect"] == ["two"]


def test_a_hidden_suspects_record_marks_no_victims_one(case: Case, hidden: Case, lead: Person, senior: Person) -> None:
    actions.add_selector(lead, case.pk, HANDLE, "made_up", VICTIM)
    actions.add_selector(senior, hidden.pk, HANDLE, "made_up", SUSPECT)
    people = access.people_of(Actor.of_person(lead), case)
    assert [one.is_both for section in people.sections for one in section.selectors] == [False]


def test_a_seen_victims_record_beside_a_hidden_one_is_told_as_what_it_is(
    case: Case, hidden: Case, lead: Person, senior: Person
) -> None:
    actions.add_selector(senior, hidden.pk, HANDLE, "made_up", VICTIM)
    actions.add_selector(lead, case.pk, HANDLE, "made_up", VICTIM)
    actions.add_selector(lead, case.pk, HANDLE, "made_up", SUSPECT)
    assert listed(lead, case) == {"victim": ["made_up"], "in doubt": ["made_up"]}


def test_the_page_says_whom_to_ask_and_nothing_of_the_other_case(
    case: Case, hidden: Case, lead: Person, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    actions.add_selector(lead, case.pk, HANDLE, "made_up", SUSPECT)
    actions.add_selector(senior, hidden.pk, HANDLE, "made_up", VICTIM)
    page = people_on(client_of(lead).get(f"/cases/{case.pk}/").content.decode())
    listing = page.partition("<details")[0]
    assert ("Unclear whose" in listing, "ask the leads of cases or a senior" in listing, "made_up" in listing) == (
        True, True, True,
    )  # fmt: skip
    for secret in ("ictim", "uspect", hidden.number, str(hidden.pk), "The hidden title"):
        assert secret not in listing, secret
    seen = people_on(client_of(senior).get(f"/cases/{case.pk}/").content.decode())
    assert ("In doubt" in seen, "Unclear whose" in seen) == (True, False)


def test_it_leaves_in_no_export_and_the_search_tells_no_role(
    hidden: Case, senior: Person, make_person: Callable[..., Person]
) -> None:
    investigator = make_person("investigator", Role.INVESTIGATOR)
    case = actions.open_case(investigator, "made up")
    actions.add_selector(investigator, case.pk, HANDLE, "made_up", SUSPECT)
    actions.add_selector(investigator, case.pk, HANDLE, "other", SUSPECT)
    actions.add_selector(senior, hidden.pk, HANDLE, "made_up", VICTIM)
    made = actions.export_case(investigator, case.pk, with_selectors=True)
    out = json.loads(b"".join(made.pieces))["value"][0]["CaseMetadata"]
    told = [json.loads(one["PropertyValue"])["value"] for one in out if one["PropertyName"] == "LeadlineSelector"]
    assert (told, made.selectors, made.left_out) == (["other"], 1, 1)
    search.follow()
    groups = search_access.find(Actor.of_person(investigator), "made_up", limit=10)
    [found] = [one for group in groups for one in group.found]
    assert (found.id, {code for _, code in found.codes}) == (str(case.pk), {"open", ""})


def test_many_selectors_cost_no_more_queries_than_one(case: Case, hidden: Case, lead: Person, senior: Person) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            access.people_of(actor, case)
        return len(asked)

    actor = Actor.of_person(lead)
    actions.add_selector(lead, case.pk, HANDLE, "made_up_0", SUSPECT)
    one = queries()
    for number in range(1, 6):
        actions.add_selector(lead, case.pk, HANDLE, f"made_up_{number}", SUSPECT)
        actions.add_selector(senior, hidden.pk, HANDLE, f"made_up_{number}", VICTIM)
    assert queries() == one
    assert len(access.people_of(actor, case).unclear) == 5
    assert Selector.objects.count() == 11
