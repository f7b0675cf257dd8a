"""Rows of people, what they may do, and how they came in."""

from __future__ import annotations

import uuid

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import F, Q

from leadline.workbench.permissions import Role

ROLES = [(role.value, role.value) for role in Role]


class People(BaseUserManager["Person"]):
    def get_by_natural_key(self, username: str | None) -> Person:
        return self.get(email__iexact=username)


class Person(AbstractBaseUser):
    """Someone who signs in. `name` is what colleagues see; it may be a pseudonym."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=80)
    language = models.CharField(max_length=8, blank=True, default="")  # "": as the browser says
    is_active = models.BooleanField(default=True)
    joined_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    objects = People()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class RoleGrant(models.Model):
    """A role of a person: given by one, confirmed by another, perhaps taken back.

    Nobody confirmed what was given at the machine itself, or while the office had one person.
    """

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="role_grants")
    role = models.CharField(max_length=20, choices=ROLES)
    given_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)  # null: at the machine
    given_at = models.DateTimeField(auto_now_add=True)
    confirmed_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    confirmed_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    is_active = models.BooleanField(default=False)  # given and, where it must be, confirmed

    class Meta:
        constraints = (
            models.CheckConstraint(condition=~Q(given_by=F("person")), name="nobody_gives_a_role_to_themself"),
            models.CheckConstraint(
                condition=~Q(confirmed_by=F("person")) & ~Q(confirmed_by=F("given_by")), name="a_second_person_confirms"
            ),
            models.UniqueConstraint(
                fields=("person", "role"), condition=Q(ended_at__isnull=True), name="one_live_grant_of_a_role"
            ),
        )


class ObjectGrant(models.Model):
    """A person may see one object beyond what their roles clear, until a day. Cases write these."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="object_grants")
    object_kind = models.CharField(max_length=64)
    object_id = models.CharField(max_length=128)
    until = models.DateTimeField()
    given_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    given_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = (models.Index(fields=("person", "object_kind", "object_id")),)


class Invitation(models.Model):
    """A one-time link. One that was made at the machine has no inviter. Only a hash of its token is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    token_hash = models.CharField(max_length=64, unique=True)
    email = models.EmailField(blank=True)
    roles = models.JSONField(default=list)
    invited_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    made_at = models.DateTimeField(auto_now_add=True)
    until = models.DateTimeField()
    used_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    withdrawn_at = models.DateTimeField(null=True)


class ApiKey(models.Model):
    """A key of a program. Shown once; a hash is kept. It can never do more than its role, nor its owner, may."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80)
    key_hash = models.CharField(max_length=64, unique=True)
    owner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="api_keys")
    role = models.CharField(max_length=20, choices=ROLES)
    scopes = models.JSONField(default=list)  # permissions
    made_at = models.DateTimeField(auto_now_add=True)
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    last_used_on = models.DateField(null=True)


class OfficeSetting(models.Model):
    """A decision of the office: its value, why, by whom. A newer row of a name replaces the older; none is changed."""

    name = models.CharField(max_length=64)
    value = models.CharField(max_length=4000)
    legal_basis = models.CharField(max_length=300)
    set_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    set_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = (models.Index(fields=("name", "-set_at")),)
