"""People and selectors: one role each, compared exactly, and a victim's never among an offender's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import IntegrityError, transaction

from leadline.errors import InputError, WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases import access, actions
from leadline.workbench.cases.models import Case, Selector
from leadline.workbench.cases.states import PartyRole, SelectorKind
from leadline.workbench.permissions import Role

from .conftest import reported

pytestmark = pytest.mark.django_db
HANDLE, EMAIL, PHONE, LINK, PGP = (
    SelectorKind.HANDLE, SelectorKind.EMAIL, SelectorKind.PHONE, SelectorKind.LINK, SelectorKind.PGP_KEY,
)  # fmt: skip
VICTIM, SUSPECT = PartyRole.VICTIM, PartyRole.SUSPECT


def listed(person: Person, case: Case) -> dict[str, list[str]]:
    people = access.people_of(Actor.of_person(person), case)
    found = {section.role: [one.shown for one in section.selectors] for section in people.sections}
    return found | {"in doubt": [one.shown for one in people.in_doubt]}


def test_each_role_has_a_section_of_its_own(case: Case, lead: Person) -> None:
    for role in PartyRole:
        actions.add_selector(lead, case.pk, HANDLE, f"made_up_{role.value}", role)
    found = listed(lead, case)
    assert found.pop("in doubt") == []
    assert found == {role.value: [f"made_up_{role.value}"] for role in PartyRole}


def test_a_victims_selector_is_never_listed_among_suspects(case: Case, lead: Person) -> None:
    actions.add_selector(lead, case.pk, HANDLE, "made_up", VICTIM)
    actions.add_selector(lead, case.pk, HANDLE, "made_up", SUSPECT)
    found = listed(lead, case)
    assert (found["victim"], found["suspect"], found["in doubt"]) == (["made_up"], [], ["made_up"])
    people = access.people_of(Actor.of_person(lead), case)
    assert all(one.is_both for section in people.sections for one in section.selectors)
    assert Selector.objects.count() == 2  # nothing is merged


def test_a_victims_selector_of_another_case_that_one_sees_is_no_suspects_either(case: Case, lead: Person) -> None:
    actions.add_selector(lead, case.pk, HANDLE, "made_up", SUSPECT)
    assert listed(lead, case)["suspect"] == ["made_up"]
    other = actions.open_case(lead, "another")
    selector = actions.add_selector(lead, other.pk, HANDLE, "made_up", VICTIM)
    assert (listed(lead, case)["suspect"], listed(lead, case)["in doubt"]) == ([], ["made_up"])
    actions.remove_selector(lead, other.pk, selector.pk, "wrong-role")
    assert listed(lead, case)["suspect"] == ["made_up"]


def test_a_selector_of_a_person_has_that_persons_role_and_changes_with_it(case: Case, lead: Person) -> None:
    party = actions.add_party(lead, case.pk, "person 1", SUSPECT)
    with pytest.raises(InputError):
        actions.add_selector(lead, case.pk, HANDLE, "made_up", VICTIM, party_id=party.pk)
    actions.add_selector(lead, case.pk, HANDLE, "made_up", SUSPECT, party_id=party.pk)
    actions.set_party_role(lead, case.pk, party.pk, VICTIM)
    found = listed(lead, case)
    assert (found["victim"], found["suspect"]) == (["made_up"], [])
    section = access.people_of(Actor.of_person(lead), case).sections[0]
    assert (section.role, [name for _, name in section.parties]) == ("victim", ["person 1"])
    with pytest.raises(WrongState):
        actions.set_party_role(lead, case.pk, party.pk, VICTIM)


@pytest.mark.parametrize(
    ("kind", "one", "other", "are_same"),
    [
        (HANDLE, "Made_Up", "Made_Up ", True),
        (HANDLE, "Made_Up", "made_up", False),
        (EMAIL, "A@example.org", "a[at]example[.]org", True),
        (PHONE, "+49 (0)30 / 1234", "+490301234", True),
        (PHONE, "+49 30 1234", "030 1234", False),
        (LINK, "https://site.example.net/a?x=1", "hxxps://site[.]example[.]net/a?x=1", True),
        (PGP, "0x0123 4567 89ab cdef", "0123456789ABCDEF", True),
        (SelectorKind.WALLET, "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "1boatslrhtknngkdxeeobr76b53lettpyt", False),
    ],
)
def test_selectors_are_compared_exactly_once_their_spelling_is_plain(
    case: Case, lead: Person, kind: SelectorKind, one: str, other: str, are_same: bool
) -> None:
    keys = [actions.add_selector(lead, case.pk, kind, one, SUSPECT).key]
    keys.append(actions.add_selector(lead, case.pk, kind, other, PartyRole.OTHER).key)
    assert (keys[0] == keys[1]) is are_same


def test_the_same_text_of_another_kind_is_another_selector(case: Case, lead: Person) -> None:
    one = actions.add_selector(lead, case.pk, HANDLE, "made_up", SUSPECT)
    assert actions.add_selector(lead, case.pk, SelectorKind.WALLET, "made_up", SUSPECT).key != one.key


def test_a_selector_is_there_once_in_a_role_and_sealed(case: Case, lead: Person) -> None:
    actions.add_selector(lead, case.pk, HANDLE, "made_up", SUSPECT)
    with pytest.raises(WrongState):
        actions.add_selector(lead, case.pk, HANDLE, "made_up", SUSPECT)
    row = Selector.objects.get()
    assert b"made_up" not in bytes(row.value_sealed)
    with pytest.raises(IntegrityError), transaction.atomic():
        Selector.objects.create(
            case=case, kind=row.kind, value_sealed=row.value_sealed, key=row.key, role=row.role, added_by="x",
            added_at=row.added_at,
        )  # fmt: skip
    with pytest.raises(InputError):
        actions.add_selector(lead, case.pk, HANDLE, "  ", SUSPECT)


def test_a_selector_names_the_item_it_was_met_on_only_where_one_sees_that(
    case: Case, lead: Person, make_person: Callable[..., Person]
) -> None:
    from leadline.workbench.permissions import Sensitivity

    item = reported("https://site.example.net/1").items.get()
    hidden = reported("https://site.example.net/2", sensitivity=Sensitivity.RESTRICTED).items.get()
    assert actions.add_selector(lead, case.pk, HANDLE, "made_up", SUSPECT, item=item).item == item
    with pytest.raises(InputError):
        actions.add_selector(lead, case.pk, HANDLE, "made_up_2", SUSPECT, item=hidden)
    assert make_person("x", Role.ANALYST)
