"""Rows of the custody chain, its anchors, and the duties of the worker."""

from __future__ import annotations

from django.db import models


class Line(models.Model):
    """One custody event. Actor and object are plain ids, so that no row elsewhere can take this one with it.

    Database triggers refuse UPDATE, DELETE, REPLACE and a line out of its order (migration 0001); the columns
    hold just what `hash` was made of.
    """

    line = models.BigIntegerField(primary_key=True)
    at = models.CharField(max_length=24)  # RFC 3339, UTC, milliseconds: as it is hashed
    actor = models.CharField(max_length=128)
    act = models.CharField(max_length=64)
    object_kind = models.CharField(max_length=64)
    object_id = models.CharField(max_length=128)
    reason = models.CharField(max_length=64)
    details = models.TextField()  # RFC 8785 JSON: ids and codes only
    previous_hash = models.CharField(max_length=64, unique=True)  # a fork would need two lines after one
    salt = models.CharField(max_length=32)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ("line",)
        indexes = (
            models.Index(fields=("object_id", "line")),  # an id is of one kind, nearly always
            models.Index(fields=("actor", "line")),
            models.Index(fields=("act", "line")),
        )


class Anchor(models.Model):
    """The head of the chain as it left this machine: signed, dropped, perhaps stamped."""

    line = models.BigIntegerField()
    head = models.CharField(max_length=64)
    made_at = models.DateTimeField(auto_now_add=True)
    statement = models.TextField()
    stamps = models.JSONField(default=list)  # base64 RFC 3161 tokens, with the authority's address
    left_by = models.JSONField(default=list)  # how it left: drop, mail, partner:ADDRESS

    class Meta:
        ordering = ("-line",)


class Duty(models.Model):
    """Work that comes round: when it is due, when it was last begun and ended, and how. Also a worker's heartbeat."""

    name = models.CharField(max_length=80, primary_key=True)
    due_at = models.DateTimeField()
    begun_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    failure = models.CharField(max_length=80, blank=True)  # a code, never a message
    held_by = models.CharField(max_length=80, blank=True, default="")  # the worker that is doing it just now
    waits_since = models.DateTimeField(null=True)  # of what it works off: since when the oldest that is left waits


class Clock(models.Model):
    """What a machine's clock said when it was last looked at. In doubt nothing is destroyed (`journal.actions`)."""

    machine = models.CharField(max_length=80, primary_key=True)
    trusted_at = models.DateTimeField()  # what it said when it was last believed
    boot = models.CharField(max_length=40)  # the start of the machine since when `up_s` counts
    up_s = models.FloatField()  # how long the machine had been up then: goes on whatever the clock is set to
    doubt = models.CharField(max_length=10, blank=True)  # ahead | behind, or nothing
