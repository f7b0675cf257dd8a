"""Rows of webhooks: where they go, what is under way, how far the journal was read; and requests done before."""

from __future__ import annotations

import uuid

from django.db import models

from leadline.workbench.accounts.models import ApiKey, Person

# Acts of the journal that may leave, by the word before the first dot. Acts on people, keys and settings never do.
OPEN_KINDS = ("report", "item", "asset", "exhibit", "bank")
CLOSED_OBJECTS = ("bank-red",)  # the name of a TLP:RED bank is itself not for outside


class Endpoint(models.Model):
    """Where events are posted to. Its secret is derived (`access.secrets_of`), so no row holds one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    url = models.CharField(max_length=500)
    events = models.JSONField(default=list)  # acts of the journal, or their first words with .*
    generation = models.PositiveIntegerField(default=1)  # of its secret
    renewed_at = models.DateTimeField(auto_now_add=True)
    made_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)
    ended_for = models.CharField(max_length=40, blank=True)  # a code


class Delivery(models.Model):
    """One event on its way to one endpoint. `event` is the webhook-id: the same at every try."""

    STATES = (("waiting", "waiting"), ("delivered", "delivered"), ("failed", "failed"))

    id = models.BigAutoField(primary_key=True)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=64)
    act = models.CharField(max_length=64)
    body = models.CharField(max_length=600)  # as it is signed: act, moment, and ids
    made_at = models.DateTimeField(auto_now_add=True)
    state = models.CharField(max_length=10, choices=STATES, default="waiting")
    tries = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    last_try_at = models.DateTimeField(null=True)
    last_status = models.PositiveIntegerField(default=0)
    last_failure = models.CharField(max_length=40, blank=True)  # a code

    class Meta:
        constraints = (models.UniqueConstraint(fields=("endpoint", "event"), name="an_event_once_an_endpoint"),)
        indexes = (models.Index(fields=("state", "next_try_at")), models.Index(fields=("endpoint", "-id")))


class Position(models.Model):
    """The last line of the journal that was looked at. One row."""

    line = models.BigIntegerField()


class DoneRequest(models.Model):
    """A request that came with an Idempotency-Key: whose, which, and what was answered. Kept for a day."""

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+")
    token_hash = models.CharField(max_length=64)
    request_hash = models.CharField(max_length=64)
    begun_at = models.DateTimeField(auto_now_add=True)
    status = models.PositiveIntegerField(null=True)  # null: begun, not ended
    answer = models.TextField(blank=True)  # ids and codes only

    class Meta:
        constraints = (models.UniqueConstraint(fields=("key", "token_hash"), name="a_token_once_a_key"),)
        indexes = (models.Index(fields=("begun_at",)),)
