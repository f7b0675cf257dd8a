"""Writes of accounts. Each is one transaction with its line in the journal."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from leadline.custody.verify import ID
from leadline.errors import NotAllowed, WrongState
from leadline.workbench.accounts import access
from leadline.workbench.accounts.models import ApiKey, Invitation, ObjectGrant, OfficeSetting, Person, RoleGrant
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.permissions import ROLE_PERMISSIONS, Permission, Role

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
def make_machine_link(role: Role) -> str:
    """The token of a link for somebody whom whoever has the machine names: an account that stands by itself.

    An office needs two of them, else nobody could ever confirm what the first administrator gives.
    """
    if not access.is_set_up():
        raise WrongState("nobody is set up yet", mend="`leadline up` prints the first administrator's link")
    if Permission.PEOPLE_CONFIRM not in ROLE_PERMISSIONS[role]:
        raise NotAllowed("only who can confirm others is named at the machine", mend="administrator or senior")
    return _invite(None, "", [role], _SETUP_LASTS)


@transaction.atomic
def make_demo_link(roles: Collection[Role]) -> str:
    """Of an office that is made up (`demo.py` makes sure that it is): who looks around has roles that nobody else has
    together, so that every page is there."""
    return _invite(None, "", roles, _SETUP_LASTS)


@transaction.atomic
def vouch_at_machine(person: Person) -> int:
    """Whoever has the machine says that this account is a person of its own; how many roles that confirms."""
    waiting = RoleGrant.objects.filter(person=person, ended_at__isnull=True, given_by__isnull=False)
    sleeping = waiting.filter(confirmed_by__isnull=True)
    count = sleeping.update(given_by=None, is_active=True)
    if not count:
        raise WrongState("no role of this person waits for anybody", mend="give one on the page of people")
    record("person.vouched", actor=SYSTEM, object_kind="person", object_id=_id(person), details={"roles": count})
    _end_one_person_office()
    return count


@transaction.atomic
def withdraw_invitation(by: Person, invitation_id: Any) -> None:
    live = Invitation.objects.select_for_update().filter(pk=invitation_id, used_by__isnull=True)
    if not live.filter(withdrawn_at__isnull=True).update(withdrawn_at=timezone.now()):
        raise WrongState("is used or withdrawn already")
    record("person.invitation-withdrawn", actor=_id(by), object_kind="invitation", object_id=str(invitation_id))


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


def mail_invitation(email: str, link: str) -> bool:
    """To the address itself, so that joining proves it and whoever invites cannot join in its place. False: no mail."""
    if settings.EMAIL_BACKEND.endswith("filebased.EmailBackend"):
        return False
    text = _("You are invited to {office}. This link works once, for seven days:").format(
        office=settings.LEADLINE_OFFICE_NAME
    )
    EmailMessage(settings.LEADLINE_OFFICE_NAME, f"{text}\n\n{link}\n", to=[email]).send()
    return True


@transaction.atomic
def accept_invitation(token: str, *, email: str, name: str, password: str, is_alone: bool = False) -> Person:
    """Make the person. `is_alone` counts at set-up only: in a one-person office nobody can confirm anything."""
    from allauth.account.models import EmailAddress  # not above: the public form's process has no sign-in

    invitation = Invitation.objects.select_for_update().filter(token_hash=access.hash_token(token)).first()
    if invitation is None or access.find_invitation(token) is None:
        raise WrongState("this link is no longer valid", mend="ask for a new one")
    at_machine, at_setup = invitation.invited_by is None, not access.is_set_up()
    if at_machine and not at_setup and invitation.made_at < Person.objects.earliest("joined_at").joined_at:
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
    is_active = at_machine or access.is_one_person_office()
    for role in roles:
        RoleGrant.objects.create(person=person, role=role, given_by=invitation.invited_by, is_active=is_active)
    record(
        "person.joined",
        actor=_id(person),
        object_kind="person",
        object_id=_id(person),
        details={"invitation": str(invitation.pk), "roles": sorted(roles), "one_person_office": at_setup and is_alone},
    )
    _end_one_person_office()
    return person


def _end_one_person_office() -> None:
    """By itself, as soon as two people come near evidence: from here on each act that needs two has two."""
    if access.office_setting(access.ONE_PERSON_OFFICE, "no") == "yes" and not access.is_one_person_office():
        _set(None, access.ONE_PERSON_OFFICE, "no", "a second person came near evidence")


@transaction.atomic
def end_one_person_office(by: Person) -> None:
    if not access.is_one_person_office():
        raise WrongState("this is no one-person office")
    _set(by, access.ONE_PERSON_OFFICE, "no", "ended by hand")


@transaction.atomic
def give_role(by: Person, person: Person, role: Role) -> RoleGrant:
    """Nobody gives a role to themself; it sleeps until a second person has confirmed it."""
    if by.pk == person.pk:
        raise NotAllowed("nobody gives a role to themself", mend="ask a colleague")
    if RoleGrant.objects.filter(person=person, role=role, ended_at__isnull=True).exists():
        raise WrongState("has that role already")
    is_active = access.is_one_person_office()
    grant = RoleGrant.objects.create(person=person, role=role, given_by=by, is_active=is_active)
    act = "role.given" if grant.is_active else "role.proposed"
    record(act, actor=_id(by), object_kind="person", object_id=_id(person), details={"role": role})
    _end_one_person_office()
    return grant


@transaction.atomic
def confirm_role(by: Person, grant_id: int) -> RoleGrant:
    """By somebody who is not the one who gave it, nor perhaps another account of that one, or of who gets it."""
    grant = RoleGrant.objects.select_for_update().get(pk=grant_id)
    if grant.confirmed_by_id is not None or grant.given_by is None or grant.ended_at is not None:
        raise WrongState("there is nothing to confirm")
    if by.pk in {grant.person_id, grant.given_by_id}:
        raise NotAllowed("a second person confirms", mend="ask somebody who neither has nor gave the role")
    if not access.are_two(by, grant.given_by) or access.stands_on_word_of(by, grant.person):
        mend = "ask somebody whom neither invited, or whose account a third person has confirmed"
        raise NotAllowed("one person stands behind both accounts", mend=mend)
    was_active = grant.is_active
    grant.confirmed_by, grant.confirmed_at, grant.is_active = by, timezone.now(), True
    grant.save()
    act = "role.confirmed" if was_active else "role.given"
    record(act, actor=_id(by), object_kind="person", object_id=str(grant.person_id), details={"role": grant.role})
    _end_one_person_office()
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


def list_session(request: HttpRequest) -> None:
    """Among the person's own sessions, as allauth lists those that its own sign-in begins."""
    from allauth.usersessions.models import UserSession  # not above: as in accept_invitation

    UserSession.objects.create_from_request(request)


def end_sessions(person: Person) -> None:
    from allauth.usersessions.models import UserSession  # not above: as in accept_invitation
    from django.contrib.sessions.models import Session

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


def grant_imported(person: Person, object_kind: str, object_id: str, lasts: timedelta) -> ObjectGrant:
    """What somebody brought in themself stays open to them for a while: they have seen it already."""
    return grant_own(person, object_kind, object_id, lasts, reason="imported")


@transaction.atomic
def grant_own(
    person: Person, object_kind: str, object_id: str, lasts: timedelta, *, reason: str, actor: str = ""
) -> ObjectGrant:
    """On what somebody made or brought in themself, or what `actor`, the machine, made for them."""
    until = timezone.now() + lasts
    grant = ObjectGrant.objects.create(
        person=person, object_kind=object_kind, object_id=object_id, until=until, given_by=person
    )
    details = {"person": _id(person), "days": lasts.days}
    record(
        "object.granted",
        actor=actor or _id(person),
        object_kind=object_kind,
        object_id=object_id,
        reason=reason,
        details=details,
    )
    return grant


@transaction.atomic
def end_grant(by: Person, grant: ObjectGrant, reason: str, *, lasts: timedelta = timedelta()) -> None:
    """Before its day: now, or so long from now. The row stays, and says that it was there."""
    until = timezone.now() + lasts
    live = ObjectGrant.objects.select_for_update().filter(pk=grant.pk, until__gt=until).first()
    if live is None:
        return
    live.until = until
    live.save(update_fields=["until"])
    record(
        "object.grant-shortened" if lasts else "object.grant-ended",
        actor=_id(by),
        object_kind=live.object_kind,
        object_id=live.object_id,
        reason=reason,
        details={"person": str(live.person_id), "days": lasts.days},
    )


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


def set_language(person: Person, code: str) -> None:
    """The language of their pages; "" is whatever their browser asks for. A taste, so no line of the journal."""
    person.language = code
    person.save(update_fields=["language"])


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
    return _set(by, name, value, legal_basis)


def _set(by: Person | None, name: str, value: str, legal_basis: str) -> OfficeSetting:
    setting = OfficeSetting.objects.create(name=name, value=value, legal_basis=legal_basis, set_by=by)
    # A list, or nothing, is no word that a line may hold. Its hash says as well that the row is unchanged.
    is_word = ID.fullmatch(value) is not None
    said = {"value": value} if is_word else {"sha256": hashlib.sha256(value.encode()).hexdigest()}
    record("setting.changed", actor=_id(by), object_kind="setting", object_id=name, details={**said, "row": setting.pk})
    return setting
