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
from leadline.workbench.permissions import CLEARANCE, ROLE_PERMISSIONS, Permission, Role, Sensitivity

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
    return office_setting(ONE_PERSON_OFFICE, "no") == "yes"


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


def unconfirmed_grants() -> QuerySet[RoleGrant]:
    return RoleGrant.objects.filter(is_active=False, ended_at__isnull=True).select_related("person", "given_by")


def open_invitations() -> QuerySet[Invitation]:
    live = Invitation.objects.filter(used_by__isnull=True, withdrawn_at__isnull=True, until__gt=timezone.now())
    return live.order_by("-made_at")


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
