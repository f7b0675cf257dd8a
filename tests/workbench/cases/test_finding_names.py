"""People of a case are found by their names, by whoever sees the case, and by nobody else; the index tells no name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from leadline.domain import Tlp
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases import actions
from leadline.workbench.cases.models import Case
from leadline.workbench.cases.states import MemberRole, Outcome, PartyRole, Reason, State
from leadline.workbench.permissions import Permission, Role, Sensitivity
from leadline.workbench.search import access
from leadline.workbench.search import actions as search
from leadline.workbench.search.models import Document, Progress

from .conftest import again

pytestmark = pytest.mark.django_db
NAME = "Éva Lantern-Quay"
HANDLINGS: list[dict[str, Any]] = [{"tlp": Tlp.RED}, {"sensitivity": Sensitivity.RESTRICTED}]


def found(person: Person, text: str) -> dict[str, list[str]]:
    search.follow()
    groups = access.find(Actor.of_person(again(person)), text, limit=10)
    return {group.kind: [one.id for one in group.found] for group in groups}


def test_a_person_is_found_by_each_word_of_their_name(case: Case, lead: Person) -> None:
    actions.open_case(lead, "another")
    actions.add_party(lead, case.pk, NAME, PartyRole.WITNESS)
    for typed in (NAME, "eva", "LANTERN-QUAY", "quay eva", '"eva lantern"', "éva kind:case", "eva open"):
        assert found(lead, typed) == {"case": [str(case.pk)]}, typed
    for typed in ("ev", "ev*", "eva*", '"quay eva"', "eva elsewhere", "eva kind:report", "eva -- closed"):
        assert found(lead, typed) == {}, typed


def test_people_of_every_role_are_found(lead: Person) -> None:
    named = {f"Éva {role}": role for role in PartyRole}
    ids = {}
    for name, role in named.items():
        ids[name] = str(actions.open_case(lead, "made up").pk)
        actions.add_party(lead, ids[name], name, role)
    for name in named:
        assert found(lead, name) == {"case": [ids[name]]}, name


@pytest.mark.parametrize("handling", HANDLINGS, ids=["red", "restricted"])
def test_who_may_not_see_the_case_finds_nothing_and_is_told_nothing(
    handling: dict[str, Any], lead: Person, senior: Person, outsider: Person, make_person: Callable[..., Person]
) -> None:
    hidden = actions.open_case(senior, "made up", **handling)
    actions.add_party(senior, hidden.pk, NAME, PartyRole.VICTIM)
    auditor, curator = make_person("auditor", Role.AUDITOR), make_person("curator", Role.CURATOR)
    assert found(senior, NAME) == {"case": [str(hidden.pk)]}
    for person in (lead, outsider, auditor, curator):
        assert found(person, NAME) == found(person, "a name that nobody has") == {}, person.name
    actions.add_member(senior, hidden.pk, lead, MemberRole.READER, timedelta(days=1))
    assert found(lead, NAME) == {"case": [str(hidden.pk)]}


def test_pages_of_what_is_seen_are_no_shorter_for_what_is_not(lead: Person, senior: Person) -> None:
    for number in range(6):
        who, handling = (lead, {}) if number % 2 else (senior, HANDLINGS[1])
        case = actions.open_case(who, f"made up {number}", **handling)
        actions.add_party(who, case.pk, NAME, PartyRole.OTHER)
    search.follow()
    [group] = access.find(Actor.of_person(lead), NAME, kind="case", limit=2)
    [rest] = access.find(Actor.of_person(lead), NAME, kind="case", limit=2, cursor=group.next or "")
    assert (len(group.found), len(rest.found), rest.next) == (2, 1, None)


def test_a_program_finds_names_only_where_its_scopes_read_cases(case: Case, lead: Person, program_of: Any) -> None:
    actions.add_party(lead, case.pk, NAME, PartyRole.WITNESS)
    search.follow()
    for scopes, kinds in (((Permission.SEARCH, Permission.CASES_READ), ["case"]), ((Permission.SEARCH,), [])):
        program = program_of(lead, Role.ANALYST, *scopes)
        answer = program.post("/api/v1/search", {"query": NAME}, content_type="application/json").json()
        assert [group["kind"] for group in answer["groups"]] == kinds
        assert NAME not in str(answer)


def test_the_index_holds_no_name_whatever_the_settings_name(case: Case, lead: Person, settings: Any) -> None:
    settings.LEADLINE_SEARCH_FIELDS = ("reference", "source", "state", "label", "host", "text", "note", "name")
    actions.add_party(lead, case.pk, NAME, PartyRole.VICTIM)
    assert found(lead, NAME)
    words = set(" ".join(Document.objects.values_list("words", flat=True)).split())
    assert words >= {"made", "case"}  # of the title
    assert not words & {"eva", "lantern", "quay"}


def test_names_of_an_office_that_was_there_before_are_found_once_the_index_is_made_anew(
    case: Case, lead: Person
) -> None:
    actions.add_party(lead, case.pk, NAME, PartyRole.SUSPECT)
    search.follow()
    form, _, rest = access.made_for().partition(":")
    assert int(form) > 2
    for document in Document.objects.filter(kind="case"):  # as form 2 had them
        document.words = " ".join(word for word in document.words.split() if len(word) != 25)
        document.save()
    Progress.objects.update(made_for=f"2:{rest}")
    assert access.find(Actor.of_person(lead), NAME, limit=10) == []
    assert found(lead, NAME) == {"case": [str(case.pk)]}


def test_a_name_is_found_in_a_closed_case_and_in_each_case_that_has_it(case: Case, lead: Person) -> None:
    other = actions.open_case(lead, "another")
    for one in (case, other):
        actions.add_party(lead, one.pk, NAME, PartyRole.OTHER)
    actions.change_state(lead, other.pk, State.CLOSED, Reason.RESOLVED, seen=State.OPEN, outcome=Outcome.NO_ACTION)
    assert sorted(found(lead, NAME)["case"]) == sorted([str(case.pk), str(other.pk)])
