"""Reads of accounts: what a person may do, and who is who."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from leadline.workbench.accounts.models import ApiKey, Invitation, ObjectGrant, OfficeSetting, Person, RoleGrant
from leadline.workbench.permissions import CLEARANCE, EVIDENCE_ROLES, ROLE_PERMISSIONS, Permission, Role, Sensitivity

ONE_PERSON_OFFICE = "one-person-office"
MFA_BY_PROVIDER = "leadline-mfa-by-provider"  # session: for whom the OIDC provider claimed a second factor
JOINED = "leadline-joined"  # session: who came in by an invitation here, and when
_ENROLS_WITHIN_S = 3600


def hash_token(token: str) -> str:
    """Tokens are 256 bits of chance, so a plain hash is enough to keep them secret at rest."""
    return hashlib.sha256(token.encode()).hexdigest()


def roles_of(person: Any) -> frozenset[Role]:
    """Live and confirmed. Asked once a request: the answer is kept on the object."""
    if (kept := getattr(person, "_leadline_roles", None)) is None:
        live = RoleGrant.objects.filter(person=person.pk, is_active=True, ended_at__isnull=True)
        kept = person._leadline_roles = frozenset(Role(role) for role in live.values_list("role", flat=True))
    return kept


def permissions_of(person: Any) -> frozenset[Permission]:
    if not person.is_active:
        return frozenset()
    return frozenset().union(*(ROLE_PERMISSIONS[role] for role in roles_of(person)))


def clearance_of(person: Any) -> int:
    """The greatest sensitivity that the person's roles clear; -1 where no role comes near evidence."""
    return max((int(CLEARANCE[role]) for role in roles_of(person) if role in CLEARANCE), default=-1)


def granted_ids(person: Any, object_kind: str) -> QuerySet[ObjectGrant, Any]:
    live = ObjectGrant.objects.filter(person=person.pk, object_kind=object_kind, until__gt=timezone.now())
    return live.values_list("object_id", flat=True)


def visible_to(person: Any, object_kind: str) -> Q:
    """Filter for rows with a `sensitivity` and an `id`: by role, or by a grant on the very object."""
    return Q(sensitivity__lte=clearance_of(person)) | Q(id__in=list(granted_ids(person, object_kind)))


def has_second_factor(person: Any, request: HttpRequest | None = None) -> bool:
    if request is not None and request.session.get(MFA_BY_PROVIDER) == str(person.pk):
        return True
    from allauth.mfa.models import Authenticator  # not above: the public form's process reads this room without it

    kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    return bool(Authenticator.objects.filter(user=person.pk, type__in=kinds).exists())


def has_just_joined(request: HttpRequest) -> bool:
    """Whether this browser's person came in by their invitation within the last hour: then a factor may be set up."""
    who, at = request.session.get(JOINED) or ("", 0)
    return bool(who == str(request.user.pk) and 0 <= time.time() - at < _ENROLS_WITHIN_S)


def proved_recently(request: HttpRequest) -> bool:
    """Whether this browser's person signed in, or proved again who they are, within the last 15 minutes."""
    from allauth.account.internal.flows.login import get_authentication_records  # not above: as in has_second_factor

    proofs = [float(record["at"]) for record in get_authentication_records(request, request.user)]
    return bool(proofs) and 0 <= time.time() - max(proofs) < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def office_setting(name: str, default: str = "") -> str:
    newest = OfficeSetting.objects.filter(name=name).order_by("-set_at", "-id").first()
    return default if newest is None else newest.value


def is_one_person_office() -> bool:
    """The recorded setting, and true still: a second person with a role near evidence ends it."""
    return office_setting(ONE_PERSON_OFFICE, "no") == "yes" and people_near_evidence() < 2


def people_near_evidence() -> int:
    live = RoleGrant.objects.filter(is_active=True, ended_at__isnull=True, person__is_active=True)
    return live.filter(role__in=EVIDENCE_ROLES).values("person").distinct().count()


def are_two(one: Any, other: Any) -> bool:
    """Whether these are two people to the office, and not perhaps one who invited the other account for themself.

    They are where no third and neither of them is the one on whose word alone both accounts stand.
    """
    words = _words()
    return not words[one.pk] & words[other.pk]


def stands_on_word_of(account: Any, person: Any) -> bool:
    """Whether that person alone could have made up this account."""
    return person.pk in _words()[account.pk]


def stand_on_one_word() -> frozenset[Any]:
    """People whose account somebody else alone could have made up: nobody but their inviter stands for them."""
    return frozenset(person for person, words in _words().items() if len(words) > 1)


def _words() -> dict[Any, frozenset[Any]]:
    """For everybody: themself, and whoever could alone have made up the account (dominators of the tree of trust).

    An account that was made at the machine stands by itself. Every other one stands on who invited it, and on both of
    whoever gave and whoever confirmed a role of it. One is in everybody's word that leads through that one only.
    """
    people = set(Person.objects.values_list("pk", flat=True))
    vouchers: dict[Any, set[Any]] = {person: set() for person in people}
    invited = Invitation.objects.filter(used_by__isnull=False, invited_by__isnull=False)
    for person, inviter in invited.values_list("used_by", "invited_by"):
        vouchers[person].add(inviter)
    at_machine = set(RoleGrant.objects.filter(given_by__isnull=True).values_list("person", flat=True))
    confirmed = RoleGrant.objects.filter(given_by__isnull=False, confirmed_by__isnull=False)
    for person, giver, confirmer in confirmed.values_list("person", "given_by", "confirmed_by"):
        vouchers[person] |= {giver, confirmer} - {person}
    roots = {person for person in people if person in at_machine or not vouchers[person]}
    words = {person: frozenset({person}) if person in roots else frozenset(people) for person in people}
    is_settled = False
    while not is_settled:
        is_settled = True
        for person in people - roots:
            fresh = frozenset.intersection(*(words[voucher] for voucher in vouchers[person])) | {person}
            is_settled, words[person] = is_settled and fresh == words[person], fresh
    return words


def is_set_up() -> bool:
    return Person.objects.exists()


def people() -> QuerySet[Person]:
    return Person.objects.prefetch_related("role_grants").order_by("name")


def person_of(request: HttpRequest) -> Person:
    """Who asks; for views behind the permission gate, where somebody is signed in."""
    assert isinstance(request.user, Person)
    return request.user


def find_person(person_id: Any) -> Person | None:
    return Person.objects.filter(pk=person_id).first()


def find_by_email(email: str) -> Person | None:
    return Person.objects.filter(email__iexact=email, is_active=True).first()


def unconfirmed_grants() -> QuerySet[RoleGrant]:
    """Also those in force that one person alone gave, in the days of a one-person office."""
    open_ones = RoleGrant.objects.filter(ended_at__isnull=True, given_by__isnull=False, confirmed_by__isnull=True)
    return open_ones.select_related("person", "given_by").order_by("given_at")


def open_invitations() -> QuerySet[Invitation]:
    """One ends with the right of who gave it: a closed account lets nobody in."""
    live = Invitation.objects.filter(used_by__isnull=True, withdrawn_at__isnull=True, until__gt=timezone.now())
    managing = [role for role in Role if Permission.PEOPLE_MANAGE in ROLE_PERMISSIONS[role]]
    grants = RoleGrant.objects.filter(role__in=managing, is_active=True, ended_at__isnull=True)
    inviters = grants.filter(person__is_active=True).values("person")
    may_still = Q(invited_by__isnull=True) | Q(invited_by__in=inviters)
    return live.filter(may_still).order_by("-made_at")


def has_second_person(by: Any) -> bool:
    """Whether anybody is here who could confirm what this person gives."""
    confirming = [role for role in Role if Permission.PEOPLE_CONFIRM in ROLE_PERMISSIONS[role]]
    live = RoleGrant.objects.filter(role__in=confirming, is_active=True, ended_at__isnull=True, person__is_active=True)
    words = _words()
    return any(not words[by.pk] & words[other] for other in set(live.values_list("person", flat=True)) - {by.pk})


def find_invitation(token: str) -> Invitation | None:
    return open_invitations().filter(token_hash=hash_token(token)).first()


def find_begun_invitation(token: str) -> Invitation | None:
    """One whose person has joined and not yet set up a second factor: with the password it leads back in."""
    live = Invitation.objects.filter(used_by__is_active=True, withdrawn_at__isnull=True, until__gt=timezone.now())
    begun = live.filter(token_hash=hash_token(token)).select_related("used_by").first()
    return None if begun is None or has_second_factor(begun.used_by) else begun


def keys_of(person: Any) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(owner=person.pk).order_by("-made_at")


def find_key(secret: str) -> ApiKey | None:
    """A live key of an active owner, by its secret."""
    live = ApiKey.objects.filter(ended_at__isnull=True, until__gt=timezone.now(), owner__is_active=True)
    return live.filter(key_hash=hash_token(secret)).select_related("owner").first()


def key_permissions(key: ApiKey) -> frozenset[Permission]:
    """What the key's scopes, its role, and its owner today have in common."""
    scopes = frozenset(Permission(scope) for scope in key.scopes)
    return scopes & ROLE_PERMISSIONS[Role(key.role)] & permissions_of(key.owner)


def key_clearance(key: ApiKey) -> Sensitivity | None:
    return CLEARANCE.get(Role(key.role)) if Role(key.role) in roles_of(key.owner) else None
