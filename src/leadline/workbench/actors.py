"""On whose behalf something is read or done: a person at a page, or a program with its key. Grants nothing itself."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q
from django.http import HttpRequest

from leadline.domain import Tlp
from leadline.workbench.accounts import access
from leadline.workbench.accounts.models import ApiKey, Person
from leadline.workbench.permissions import Permission, Sensitivity

NO_CLEARANCE = -1


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, what they may do, and how sensitive an object they may see.

    person     who signs for it: the person at the page, or the owner of the key
    key        the program's key, or None
    clearance  the greatest Sensitivity by role; -1 where no role comes near evidence
    """

    person: Person
    key: ApiKey | None
    permissions: frozenset[Permission]
    clearance: int

    @classmethod
    def of_person(cls, person: Person) -> Actor:
        return cls(person, None, access.permissions_of(person), access.clearance_of(person))

    @classmethod
    def of_key(cls, key: ApiKey) -> Actor:
        clearance = access.key_clearance(key)
        return cls(key.owner, key, access.key_permissions(key), NO_CLEARANCE if clearance is None else int(clearance))

    @property
    def id(self) -> str:
        """As the journal names them: a person by id, a key as key:ID."""
        return str(self.person.pk) if self.key is None else f"key:{self.key.pk}"

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def granted_ids(self, object_kind: str) -> list[str]:
        """Objects this person was granted one by one. A grant is personal: a key has none of its owner's."""
        return [] if self.key is not None else list(access.granted_ids(self.person, object_kind))

    def visible_to(self, object_kind: str) -> Q:
        """Filter for rows with a `sensitivity` and an `id`."""
        return Q(sensitivity__lte=self.clearance) | Q(id__in=self.granted_ids(object_kind))

    def may_see(self, tlp: Tlp) -> bool:
        """TLP:RED is for those whose role clears the most sensitive; everything else is the office's own."""
        return tlp is not Tlp.RED or self.clearance >= Sensitivity.RESTRICTED


def actor_of(request: HttpRequest) -> Actor:
    """Of a request to a page whose view asks for a permission."""
    assert isinstance(request.user, Person)
    return Actor.of_person(request.user)
