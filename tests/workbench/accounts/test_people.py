"""Who gives which right to whom, and the keys of programs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from leadline.errors import NotAllowed, WrongState
from leadline.workbench.accounts import access, actions
from leadline.workbench.accounts.models import ApiKey, Person, RoleGrant
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import ROLE_PERMISSIONS, Permission, Role, Sensitivity

pytestmark = pytest.mark.django_db
MakePerson = Callable[..., Person]


def again(person: Person) -> Person:
    return Person.objects.get(pk=person.pk)


def test_nobody_gives_a_role_to_themself(make_person: MakePerson) -> None:
    boss = make_person("boss", Role.ADMINISTRATOR)
    with pytest.raises(NotAllowed):
        actions.give_role(boss, boss, Role.SENIOR)
    with pytest.raises(IntegrityError), transaction.atomic():
        RoleGrant.objects.create(person=boss, role=Role.SENIOR, given_by=boss, is_active=True)


@pytest.mark.parametrize("role", sorted(Role))
def test_a_role_sleeps_until_a_second_person_confirms(make_person: MakePerson, role: Role) -> None:
    boss, second, new = make_person("boss", Role.ADMINISTRATOR), make_person("second", Role.SENIOR), make_person("new")
    grant = actions.give_role(boss, new, role)
    assert not access.roles_of(again(new))
    for wrong in (boss, new):
        with pytest.raises(NotAllowed):
            actions.confirm_role(wrong, grant.pk)
    actions.confirm_role(second, grant.pk)
    assert access.roles_of(again(new)) == {role}
    assert [line.act for line in Line.objects.order_by("line")] == ["role.proposed", "role.given"]


def test_a_one_person_office_is_a_recorded_setting_and_needs_no_second_person(office: object) -> None:
    token = actions.make_setup_link()
    alone = actions.accept_invitation(token, email="a@example.org", name="A", password="x" * 20, is_alone=True)
    assert access.roles_of(alone) == {Role.ADMINISTRATOR, Role.SENIOR}
    assert '"one_person_office":true' in Line.objects.get(act="person.joined").details


def test_the_administrator_sees_no_evidence() -> None:
    held = ROLE_PERMISSIONS[Role.ADMINISTRATOR]
    assert not [p for p in held if p.value.startswith(("evidence.", "reports."))]


def test_the_auditor_reads_the_journal_and_no_evidence() -> None:
    held = ROLE_PERMISSIONS[Role.AUDITOR]
    assert Permission.JOURNAL_READ in held
    assert not [p for p in held if p.value.startswith(("evidence.", "reports."))]


def test_clearance_follows_the_role_and_a_grant_opens_one_object(make_person: MakePerson) -> None:
    analyst, senior, outsider = make_person("a", Role.ANALYST), make_person("s", Role.SENIOR), make_person("o")
    assert access.clearance_of(analyst) == Sensitivity.SENSITIVE
    assert access.clearance_of(senior) == Sensitivity.RESTRICTED
    assert access.clearance_of(outsider) == -1
    actions.grant_object(senior, outsider, "asset", "7", timedelta(days=1))
    assert list(access.granted_ids(outsider, "asset")) == ["7"]
    assert list(access.granted_ids(outsider, "report")) == []
    assert list(access.granted_ids(analyst, "asset")) == []


def test_a_grant_ends_by_itself(make_person: MakePerson) -> None:
    senior, outsider = make_person("s", Role.SENIOR), make_person("o")
    actions.grant_object(senior, outsider, "asset", "7", timedelta(seconds=-1))
    assert list(access.granted_ids(outsider, "asset")) == []


def test_the_last_administrator_stays(make_person: MakePerson) -> None:
    boss, other = make_person("boss", Role.ADMINISTRATOR), make_person("other", Role.ADMINISTRATOR)
    actions.end_role(other, boss, Role.ADMINISTRATOR)
    with pytest.raises(WrongState):
        actions.end_role(boss, again(other), Role.ADMINISTRATOR)
    with pytest.raises(WrongState):
        actions.deactivate_person(boss, again(other), "left-office")


def test_a_key_is_shown_once_and_kept_as_a_hash(analyst: Person) -> None:
    key, secret = actions.make_key(analyst, "scanner", Role.ANALYST, [Permission.REPORTS_WRITE], timedelta(days=9))
    assert secret not in str(list(ApiKey.objects.values())) + str(list(Line.objects.values()))
    found = access.find_key(secret)
    assert found is not None
    assert found.pk == key.pk
    assert access.key_permissions(found) == {Permission.REPORTS_WRITE}
    assert access.find_key(secret + "x") is None


def test_a_key_never_does_more_than_its_owner_may_today(make_person: MakePerson) -> None:
    boss, owner = make_person("boss", Role.ADMINISTRATOR), make_person("owner", Role.ANALYST, Role.CURATOR)
    _, secret = actions.make_key(owner, "k", Role.ANALYST, [Permission.REPORTS_READ], timedelta(days=9))
    actions.end_role(boss, owner, Role.ANALYST)
    found = access.find_key(secret)
    assert found is not None
    assert access.key_permissions(found) == frozenset()


@pytest.mark.parametrize(
    ("role", "scope"), [(Role.SENIOR, Permission.REPORTS_READ), (Role.ANALYST, Permission.EVIDENCE_RELEASE)]
)
def test_a_key_is_bound_to_a_role_of_its_owner(analyst: Person, role: Role, scope: Permission) -> None:
    with pytest.raises(NotAllowed):
        actions.make_key(analyst, "k", role, [scope], timedelta(days=9))


def test_a_key_ends_by_its_day_by_hand_and_with_its_owner(make_person: MakePerson) -> None:
    boss, owner = make_person("boss", Role.ADMINISTRATOR), make_person("owner", Role.ANALYST)
    made = [
        actions.make_key(owner, str(n), Role.ANALYST, [Permission.REPORTS_READ], timedelta(days=9)) for n in range(3)
    ]
    ApiKey.objects.filter(pk=made[0][0].pk).update(until=timezone.now())
    actions.end_key(owner, made[1][0])
    assert [access.find_key(secret) is not None for _, secret in made] == [False, False, True]
    actions.deactivate_person(boss, owner, "misuse")
    assert access.find_key(made[2][1]) is None


def test_a_key_made_on_the_page_is_shown_there(analyst: Person, client_of: Callable[[Person], Client]) -> None:
    answer = client_of(analyst).post(
        "/account/keys/new/", {"name": "scanner", "role": "analyst", "scopes": ["reports.write"], "days": "30"}
    )
    assert answer.status_code == 200
    assert "leadline_" in answer.content.decode()


def test_an_invitation_gives_its_roles_by_the_rules(
    make_person: MakePerson, client_of: Callable[[Person], Client], settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"  # no mail server: the link is shown
    boss = make_person("boss", Role.ADMINISTRATOR)
    given = {"email": "new@example.org", "roles": ["analyst", "curator"]}
    page = client_of(boss).post("/people/invite/", given).content.decode()
    token = page.partition("/join/")[2].partition("/")[0]
    Client().post(f"/join/{token}/", {"email": "other@example.org", "name": "New", "password": "correct horse battery"})
    new = Person.objects.get(name="New")
    assert new.email == "new@example.org"  # the address of the invitation, whatever was sent
    assert access.roles_of(new) == frozenset()
    assert {grant.role for grant in access.unconfirmed_grants()} == {Role.ANALYST, Role.CURATOR}
