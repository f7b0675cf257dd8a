"""Whatever needs two people has two: accounts that one person made up for themself do not count as another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from typer.testing import CliRunner

from leadline.cli.app import app
from leadline.domain import Entry, Kind
from leadline.errors import InputError, NotAllowed, WrongState
from leadline.workbench import matching, sealing
from leadline.workbench.accounts import access, actions
from leadline.workbench.accounts.models import Invitation, OfficeSetting, Person, RoleGrant
from leadline.workbench.actors import Actor
from leadline.workbench.banks import actions as banks
from leadline.workbench.evidence import actions as evidence
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Permission, Role

pytestmark = [pytest.mark.django_db, pytest.mark.database]
PASSWORD = "x" * 20


@pytest.fixture(autouse=True)
def _engine() -> Iterator[None]:
    sealing.forget()
    yield
    matching.close_engine()
    sealing.forget()


def again(person: Person) -> Person:
    return Person.objects.get(pk=person.pk)


def roles(person: Person) -> set[Role]:
    return set(access.roles_of(again(person)))


def join(token: str, name: str, **more: Any) -> Person:
    return actions.accept_invitation(token, email=f"{name}@example.org", name=name, password=PASSWORD, **more)


def invited(by: Person, name: str, *held: Role) -> Person:
    return join(actions.invite(by, f"{name}@example.org", held), name)


def grant_of(person: Person, role: Role) -> int:
    return int(RoleGrant.objects.get(person=person, role=role, ended_at__isnull=True).pk)


@pytest.fixture
def first(office: Any) -> Person:
    return join(actions.make_setup_link(), "first")


@pytest.fixture
def second(first: Person) -> Person:
    """The second whom nobody in the office made up."""
    return join(actions.make_machine_link(Role.ADMINISTRATOR), "second")


def test_one_administrator_alone_puts_no_role_in_force_whatever_accounts_they_invite(first: Person) -> None:
    aliases = [invited(first, f"alias{n}", Role.ADMINISTRATOR, Role.SENIOR) for n in range(3)]
    assert [roles(alias) for alias in aliases] == [set()] * 3
    actions.give_role(first, aliases[0], Role.CURATOR)
    for alias in aliases[1:]:
        with pytest.raises(NotAllowed):
            actions.confirm_role(alias, grant_of(aliases[0], Role.CURATOR))


def test_aliases_in_force_from_older_days_do_not_make_their_inviter_a_senior(first: Person) -> None:
    one, two = (invited(first, f"alias{n}", Role.ADMINISTRATOR) for n in range(2))
    RoleGrant.objects.filter(person__in=(one, two)).update(is_active=True)  # as it was before every role needed two
    grant = actions.give_role(one, first, Role.SENIOR)
    with pytest.raises(NotAllowed):
        actions.confirm_role(two, grant.pk)
    assert Role.SENIOR not in roles(first)


def test_two_aliases_of_a_third_do_not_confirm_each_others_gifts_either(first: Person, second: Person) -> None:
    one, two = (invited(first, f"alias{n}", Role.ADMINISTRATOR) for n in range(2))
    RoleGrant.objects.filter(person__in=(one, two)).update(is_active=True)
    grant = actions.give_role(one, second, Role.SENIOR)
    with pytest.raises(NotAllowed):
        actions.confirm_role(two, grant.pk)
    actions.confirm_role(first, actions.give_role(second, two, Role.CURATOR).pk)  # a third stands for that account now
    actions.confirm_role(two, grant.pk)
    assert Role.SENIOR in roles(second)


def test_with_a_second_person_named_at_the_machine_an_office_grows(first: Person, second: Person) -> None:
    analyst = invited(first, "analyst", Role.ANALYST)
    actions.confirm_role(second, grant_of(analyst, Role.ANALYST))
    assert roles(analyst) == {Role.ANALYST}
    senior = invited(second, "senior", Role.SENIOR)
    with pytest.raises(NotAllowed):
        actions.confirm_role(second, grant_of(senior, Role.SENIOR))
    actions.confirm_role(first, grant_of(senior, Role.SENIOR))
    third = invited(first, "third", Role.SENIOR)
    actions.confirm_role(senior, grant_of(third, Role.SENIOR))  # two stand for that account: it counts as another
    assert access.are_two(first, third)
    assert access.stand_on_one_word() == frozenset()


def test_an_account_of_one_word_is_shown_as_such(first: Person, second: Person, client_of: Any) -> None:
    alias = invited(first, "alias", Role.CURATOR)
    assert access.stand_on_one_word() == {alias.pk}
    assert not access.are_two(first, alias)
    assert access.are_two(second, alias)
    assert not access.are_two(alias, alias)
    actions.confirm_role(second, grant_of(alias, Role.CURATOR))
    assert access.are_two(first, again(alias))


def test_long_chains_of_invitations_lead_back_to_the_one_who_began_them(first: Person, second: Person) -> None:
    chain = [first]
    for number in range(4):
        chain.append(invited(chain[-1], f"link{number}", Role.ADMINISTRATOR))
        RoleGrant.objects.filter(person=chain[-1]).update(is_active=True)
    assert not any(access.are_two(first, one) for one in chain)
    assert not access.are_two(chain[2], chain[4])
    actions.confirm_role(second, grant_of(chain[2], Role.ADMINISTRATOR))
    assert access.are_two(first, chain[4])
    assert not access.are_two(chain[3], chain[4])


def test_the_machine_names_only_who_can_confirm_and_only_after_the_first(office: Any) -> None:
    with pytest.raises(WrongState):
        actions.make_machine_link(Role.ADMINISTRATOR)
    join(actions.make_setup_link(), "first")
    for role in Role:
        if role in (Role.ADMINISTRATOR, Role.SENIOR):
            assert actions.make_machine_link(role)
        else:
            with pytest.raises(NotAllowed):
                actions.make_machine_link(role)


def test_a_link_of_the_machine_asks_for_an_address_and_not_whether_one_works_alone(first: Person) -> None:
    token = actions.make_machine_link(Role.SENIOR)
    assert b"I work alone" not in Client().get(f"/join/{token}/").content
    given = {"email": "second@example.org", "name": "Second", "password": "correct horse battery", "is_alone": "on"}
    Client().post(f"/join/{token}/", given)
    assert roles(Person.objects.get(name="Second")) == {Role.SENIOR}
    assert not access.is_one_person_office()


def test_whoever_has_the_machine_can_stand_for_an_account(first: Person) -> None:
    colleague = invited(first, "colleague", Role.ADMINISTRATOR)
    assert actions.vouch_at_machine(colleague) == 1
    assert roles(colleague) == {Role.ADMINISTRATOR}
    assert access.are_two(first, again(colleague))
    assert Line.objects.get(act="person.vouched").actor == "system"
    with pytest.raises(WrongState):
        actions.vouch_at_machine(colleague)


def test_an_alias_of_who_asks_releases_no_exhibit_and_confirms_no_false_positive(first: Person) -> None:
    alias = invited(first, "alias", Role.SENIOR)
    RoleGrant.objects.filter(person=alias).update(is_active=True)  # as from older days
    RoleGrant.objects.create(person=first, role=Role.SENIOR, is_active=True)
    asset = evidence.take_in(b"made up", actor="somebody", source="test")
    exhibit = evidence.request_exhibit(first, [asset], recipient="Made-up court", reason="court-order")
    with pytest.raises(NotAllowed):
        evidence.decide_exhibit(alias, exhibit, release=True, reason="checked")
    asker, helper = Actor.of_person(again(first)), Actor.of_person(again(alias))
    banks.create_bank(asker, "ours", kind=Kind.FALSE_POSITIVE, reason="own-list")
    entry = Entry(kind=Kind.FALSE_POSITIVE, fingerprints={"sha256": bytes(32)})
    proposal = banks.add_entries(asker, "ours", [entry], reason="harmless").proposal
    assert proposal is not None
    with pytest.raises(NotAllowed):
        banks.confirm(helper, proposal)


def test_both_are_done_by_commands_at_the_machine(first: Person) -> None:
    def leadline(*words: str) -> tuple[Any, str]:
        done = CliRunner().invoke(app, ["people", *words], standalone_mode=False)
        return done.exception or done.return_value, done.output

    code, said = leadline("link", "--role", "senior")
    assert code == 0
    assert roles(join(said.strip().rstrip("/").rpartition("/")[2], "second")) == {Role.SENIOR}
    assert isinstance(leadline("link", "--role", "analyst")[0], InputError)
    invited(first, "colleague", Role.ADMINISTRATOR)
    assert leadline("vouch", "colleague@example.org")[0] == 0
    assert roles(Person.objects.get(name="colleague")) == {Role.ADMINISTRATOR}
    assert isinstance(leadline("vouch", "nobody@example.org")[0], InputError)


# --- the office of one person ----------------------------------------------------------------------------------------


@pytest.fixture
def alone(office: Any) -> Person:
    return join(actions.make_setup_link(), "first", is_alone=True)


def test_an_office_of_one_person_ends_by_itself_when_a_second_comes_near_evidence(alone: Person) -> None:
    assert access.is_one_person_office()
    auditor = invited(alone, "auditor", Role.AUDITOR)
    assert roles(auditor) == {Role.AUDITOR}
    assert access.is_one_person_office()
    analyst = invited(alone, "analyst", Role.ANALYST, Role.CURATOR)
    assert roles(analyst) == {Role.ANALYST, Role.CURATOR}
    assert not access.is_one_person_office()
    assert access.office_setting(access.ONE_PERSON_OFFICE) == "no"
    assert Line.objects.filter(act="setting.changed", object_id=access.ONE_PERSON_OFFICE, actor="system").count() == 1
    late = invited(alone, "late", Role.ANALYST)
    assert roles(late) == set()


def test_it_does_not_begin_again_when_the_second_leaves(alone: Person) -> None:
    analyst = invited(alone, "analyst", Role.ANALYST)
    actions.deactivate_person(alone, analyst, "left-office")
    assert not access.is_one_person_office()


def test_a_setting_of_the_first_day_counts_no_longer_where_two_are_near_evidence(
    make_person: Callable[..., Person],
) -> None:
    one = make_person("one", Role.SENIOR)
    OfficeSetting.objects.create(name=access.ONE_PERSON_OFFICE, value="yes", legal_basis="", set_by=one)
    assert access.is_one_person_office()
    make_person("two", Role.INVESTIGATOR)
    assert not access.is_one_person_office()


def test_who_came_in_while_it_was_one_person_counts_as_another_once_somebody_else_stands_for_them(
    alone: Person,
) -> None:
    helper = invited(alone, "helper", Role.SENIOR)
    assert not access.are_two(alone, helper)
    third = join(actions.make_machine_link(Role.ADMINISTRATOR), "third")
    assert [grant.person for grant in access.unconfirmed_grants()] == [helper]
    actions.confirm_role(third, grant_of(helper, Role.SENIOR))
    assert access.are_two(alone, again(helper))
    assert Line.objects.get(act="role.confirmed").actor == str(third.pk)


def test_an_administrator_ends_it_on_the_page_of_people(alone: Person, client_of: Callable[..., Client]) -> None:
    from allauth.mfa.models import Authenticator

    Authenticator.objects.create(user=alone, type=Authenticator.Type.TOTP, data={"secret": "made up"})
    page = client_of(alone).get("/people/").content.decode()
    assert "One-person office" in page
    client_of(alone, signed_in_s_ago=3600).post("/people/alone/end/", headers={"Referer": "http://testserver/people/"})
    assert access.is_one_person_office()
    client_of(alone).post("/people/alone/end/")
    assert not access.is_one_person_office()
    page = client_of(alone).get("/people/").content.decode()
    assert "leadline people link" in page


# --- invitations -----------------------------------------------------------------------------------------------------


def test_an_invitation_ends_with_the_right_of_who_gave_it(first: Person, second: Person) -> None:
    actions.confirm_role(first, actions.give_role(second, invited(first, "boss"), Role.ADMINISTRATOR).pk)
    boss = Person.objects.get(name="boss")
    token = actions.invite(boss, "new@example.org", [Role.ANALYST])
    assert access.find_invitation(token) is not None
    actions.end_role(first, boss, Role.ADMINISTRATOR)
    assert access.find_invitation(token) is None
    with pytest.raises(WrongState):
        join(token, "new")


def test_an_invitation_can_be_withdrawn(make_person: Callable[..., Person], client_of: Any) -> None:
    boss = make_person("boss", Role.ADMINISTRATOR)
    token = actions.invite(boss, "new@example.org", [Role.ANALYST])
    client_of(boss).post(f"/people/invitations/{Invitation.objects.get().pk}/withdraw/")
    assert access.find_invitation(token) is None
    assert Line.objects.filter(act="person.invitation-withdrawn").count() == 1
    with pytest.raises(WrongState):
        actions.withdraw_invitation(boss, Invitation.objects.get().pk)


def test_where_mail_is_set_up_the_link_goes_to_the_address_and_not_to_who_invites(
    make_person: Callable[..., Person], client_of: Any, settings: Any, mailoutbox: Any
) -> None:
    boss = make_person("boss", Role.ADMINISTRATOR)
    page = client_of(boss).post("/people/invite/", {"email": "new@example.org", "roles": ["analyst"]}).content.decode()
    assert "/join/" not in page
    (sent,) = mailoutbox
    assert sent.to == ["new@example.org"]
    token = sent.body.partition("/join/")[2].partition("/")[0]
    assert access.find_invitation(token) is not None


def test_a_key_for_a_role_that_sleeps_is_not_made(first: Person) -> None:
    alias = invited(first, "alias", Role.ANALYST)
    with pytest.raises(NotAllowed):
        actions.make_key(alias, "k", Role.ANALYST, [Permission.REPORTS_READ], timedelta(days=9))
