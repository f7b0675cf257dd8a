"""Writes of accounts. Each is one transaction with its line in the journal."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from leadline.errors import NotAllowed, WrongState
from leadline.workbench.accounts import access
from leadline.workbench.accounts.models import ApiKey, Invitation, ObjectGrant, OfficeSetting, Person, RoleGrant
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.permissions import EVIDENCE_ROLES, ROLE_PERMISSIONS, Permission, Role

_INVITATION_LASTS = timedelta(days=7)
_SETUP_LASTS = timedelta(days=1)
_KEY_LASTS_AT_MOST = timedelta(days=366)


def _id(person: Any) -> str:
    return SYSTEM if person is None else str(person.pk)


@transaction.atomic
def make_setup_link() -> str:
    """The token of a one-time link that makes the first administrator. WrongState once anyone is there."""
    if access.is_set_up():
        raise WrongState("somebody is set up already", mend="sign in, and invite others from there")
    Invitation.objects.filter(invited_by__isnull=True, used_by__isnull=True).update(withdrawn_at=timezone.now())
    return _invite(None, "", [Role.ADMINISTRATOR], _SETUP_LASTS)


@transaction.atomic
def invite(by: Person, email: str, roles: Collection[Role]) -> str:
    """The token of a one-time link for somebody new. Who invites gives the roles, another confirms them."""
    if Person.objects.filter(email__iexact=email).exists():
        raise WrongState("has an account already", mend="give the roles on the page of people")
    return _invite(by, email, roles, _INVITATION_LASTS)


def _invite(by: Person | None, email: str, roles: Collection[Role], lasts: timedelta) -> str:
    token = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        token_hash=access.hash_token(token),
        email=email,
        roles=sorted(roles),
        invited_by=by,
        until=timezone.now() + lasts,
    )
    record(
        "person.invited",
        actor=_id(by),
        object_kind="invitation",
        object_id=str(invitation.pk),
        details={"roles": sorted(roles)},
    )
    return token


@transaction.atomic
def accept_invitation(token: str, *, email: str, name: str, password: str, is_alone: bool = False) -> Person:
    """Make the person. `is_alone` counts at set-up only: in a one-person office nobody can confirm anything."""
    invitation = Invitation.objects.select_for_update().filter(token_hash=access.hash_token(token)).first()
    if invitation is None or access.find_invitation(token) is None:
        raise WrongState("this link is no longer valid", mend="ask for a new one")
    at_setup = invitation.invited_by is None
    if at_setup and access.is_set_up():
        raise WrongState("somebody is set up already", mend="ask for an invitation")
    person = Person(email=(invitation.email or email).lower(), name=name)
    person.set_password(password)
    person.save()
    EmailAddress.objects.create(user=person, email=person.email, verified=True, primary=True)
    invitation.used_by = person
    invitation.save(update_fields=["used_by"])
    if at_setup and is_alone:
        OfficeSetting.objects.create(
            name=access.ONE_PERSON_OFFICE, value="yes", legal_basis="chosen at set-up", set_by=person
        )
    roles = [Role(role) for role in invitation.roles]
    roles += [Role.SENIOR] if at_setup and is_alone else []
    for role in roles:
        _grant(invitation.invited_by, person, role)
    record(
        "person.joined",
        actor=_id(person),
        object_kind="person",
        object_id=_id(person),
        details={"invitation": str(invitation.pk), "roles": sorted(roles), "one_person_office": at_setup and is_alone},
    )
    return person


def _grant(by: Person | None, person: Person, role: Role) -> RoleGrant:
    needs_second = role in EVIDENCE_ROLES and not access.is_one_person_office()
    return RoleGrant.objects.create(person=person, role=role, given_by=by, is_active=not needs_second)


@transaction.atomic
def give_role(by: Person, person: Person, role: Role) -> RoleGrant:
    """Nobody gives a role to themself; a role near evidence sleeps until a second person has confirmed it."""
    if by.pk == person.pk:
        raise NotAllowed("nobody gives a role to themself", mend="ask a colleague")
    if RoleGrant.objects.filter(person=person, role=role, ended_at__isnull=True).exists():
        raise WrongState("has that role already")
    grant = _grant(by, person, role)
    act = "role.given" if grant.is_active else "role.proposed"
    record(act, actor=_id(by), object_kind="person", object_id=_id(person), details={"role": role})
    return grant


@transaction.atomic
def confirm_role(by: Person, grant_id: int) -> RoleGrant:
    grant = RoleGrant.objects.select_for_update().get(pk=grant_id)
    if grant.is_active or grant.ended_at is not None:
        raise WrongState("there is nothing to confirm")
    if by.pk in {grant.person_id, grant.given_by_id}:
        raise NotAllowed("a second person confirms", mend="ask somebody who neither has nor gave the role")
    grant.confirmed_by, grant.confirmed_at, grant.is_active = by, timezone.now(), True
    grant.save()
    record(
        "role.given", actor=_id(by), object_kind="person", object_id=str(grant.person_id), details={"role": grant.role}
    )
    return grant


@transaction.atomic
def end_role(by: Person, person: Person, role: Role) -> None:
    """Also one's own. Sessions end with the first request after it; keys of that role stop at once."""
    grant = RoleGrant.objects.select_for_update().filter(person=person, role=role, ended_at__isnull=True).first()
    if grant is None:
        raise WrongState("does not have that role")
    others = RoleGrant.objects.filter(role=role, is_active=True, ended_at__isnull=True).exclude(person=person)
    if role is Role.ADMINISTRATOR and not others.exists():
        raise WrongState("the last administrator stays", mend="give the role to somebody else first")
    grant.ended_at, grant.is_active = timezone.now(), False
    grant.save()
    record("role.ended", actor=_id(by), object_kind="person", object_id=_id(person), details={"role": role})


@transaction.atomic
def deactivate_person(by: Person, person: Person, reason: str) -> None:
    """Sign out everywhere, for good; roles and keys end. What they did stays."""
    if by.pk == person.pk:
        raise NotAllowed("nobody closes their own account", mend="ask a colleague")
    administrators = RoleGrant.objects.filter(role=Role.ADMINISTRATOR, is_active=True, ended_at__isnull=True)
    if administrators.filter(person=person).exists() and not administrators.exclude(person=person).exists():
        raise WrongState("the last administrator stays", mend="give the role to somebody else first")
    now = timezone.now()
    person.is_active = False
    person.save(update_fields=["is_active"])
    RoleGrant.objects.filter(person=person, ended_at__isnull=True).update(ended_at=now, is_active=False)
    ApiKey.objects.filter(owner=person, ended_at__isnull=True).update(ended_at=now)
    end_sessions(person)
    record("person.deactivated", actor=_id(by), object_kind="person", object_id=_id(person), reason=reason)


def end_sessions(person: Person) -> None:
    own = UserSession.objects.filter(user=person.pk)
    Session.objects.filter(session_key__in=list(own.values_list("session_key", flat=True))).delete()
    own.delete()


@transaction.atomic
def grant_object(by: Person, person: Person, object_kind: str, object_id: str, lasts: timedelta) -> ObjectGrant:
    if by.pk == person.pk:
        raise NotAllowed("nobody grants to themself", mend="ask a colleague")
    grant = ObjectGrant.objects.create(
        person=person, object_kind=object_kind, object_id=object_id, until=timezone.now() + lasts, given_by=by
    )
    record(
        "object.granted",
        actor=_id(by),
        object_kind=object_kind,
        object_id=object_id,
        details={"person": _id(person), "days": lasts.days},
    )
    return grant


@transaction.atomic
def make_key(
    owner: Person, name: str, role: Role, scopes: Collection[Permission], lasts: timedelta
) -> tuple[ApiKey, str]:
    """A key, and its secret, which is nowhere afterwards."""
    if role not in access.roles_of(owner):
        raise NotAllowed("a key is bound to a role of its owner")
    if not scopes or not set(scopes) <= ROLE_PERMISSIONS[role]:
        raise NotAllowed("a key can do no more than its role")
    secret = f"leadline_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        name=name,
        key_hash=access.hash_token(secret),
        owner=owner,
        role=role,
        scopes=sorted(scopes),
        until=timezone.now() + min(lasts, _KEY_LASTS_AT_MOST),
    )
    record("key.made", actor=_id(owner), object_kind="key", object_id=str(key.pk), details={"scopes": sorted(scopes)})
    return key, secret


@transaction.atomic
def end_key(by: Person, key: ApiKey) -> None:
    if key.ended_at is not None:
        raise WrongState("the key has ended already")
    key.ended_at = timezone.now()
    key.save(update_fields=["ended_at"])
    record("key.ended", actor=_id(by), object_kind="key", object_id=str(key.pk))


def note_key_use(key: ApiKey) -> None:
    """The day, not the moment: enough to find keys that nobody uses."""
    today = timezone.now().date()
    if key.last_used_on != today:
        ApiKey.objects.filter(pk=key.pk).update(last_used_on=today)


@transaction.atomic
def set_office_setting(by: Person, name: str, value: str, legal_basis: str) -> OfficeSetting:
    setting = OfficeSetting.objects.create(name=name, value=value, legal_basis=legal_basis, set_by=by)
    record(
        "setting.changed",
        actor=_id(by),
        object_kind="setting",
        object_id=name,
        details={"value": value, "row": setting.pk},
    )
    return setting
