"""Rows about banks: which change touched which entries, who made it and why. No row holds an entry in clear."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from leadline.workbench.accounts.models import Person
from leadline.workbench.sealing import SealedField
from leadline.workbench.words import choices

# what is done -> reason codes that fit it, with their words
REASONS = {
    "create": choices("bank-reason", "new-list", "own-list"),
    "add": choices("bank-reason", "partner-list", "own-assessment", "authority", "correction"),
    "withdraw": choices("bank-reason", "list-withdrawn", "listed-by-mistake", "duplicate", "court-order"),
    "set": choices("bank-reason", "policy", "too-many-wrong", "too-few", "agreement-changed"),
    "outside": choices("bank-reason", "outside"),  # what nobody chose, because it was found in the folder
    "propose": choices("bank-reason", "harmless", "other-content", "harmless-list"),
}


class Change(models.Model):
    """One change of one bank: begun here, done in its folder, ended here. What a crash cuts is settled afterwards.

    came, went, altered  found in the folder: another program's doing, so nobody of the office stands for it
    confirm              two people let entries act that came so; its folder is not changed by that
    trust                how near is near enough to be set aside unseen: the office's word, not the folder's
    """

    WHATS = tuple(
        (what, what) for what in ("create", "add", "withdraw", "set", "came", "went", "altered", "confirm", "trust")
    )
    STATES = tuple((state, state) for state in ("begun", "done", "failed", "lost"))

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    bank = models.CharField(max_length=64)  # name of its folder
    what = models.CharField(max_length=10, choices=WHATS)
    reason = models.CharField(max_length=64)
    actor = models.CharField(max_length=128)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)  # null: from outside
    begun_at = models.DateTimeField(auto_now_add=True)
    from_version = models.BigIntegerField(default=0)  # the list's, before
    from_id = models.BigIntegerField(default=0)  # the next id, before
    wished = models.JSONField(default=list)  # ids to withdraw; hashes of entries to add; settings: to settle by
    state = models.CharField(max_length=10, choices=STATES, default="begun")
    ended_at = models.DateTimeField(null=True)
    count = models.BigIntegerField(default=0)  # entries touched

    class Meta:
        indexes = (models.Index(fields=("bank", "-begun_at", "-id")), models.Index(fields=("state", "begun_at")))


class EntryChange(models.Model):
    """Entries FIRST to LAST of a bank were touched by a change: the history of each of them. Append-only."""

    change = models.ForeignKey(Change, on_delete=models.PROTECT, related_name="entries")
    bank = models.CharField(max_length=64)
    first_entry = models.BigIntegerField()
    last_entry = models.BigIntegerField()

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(first_entry__lte=F("last_entry")), name="a_range_has_an_order"),
        )
        indexes = (models.Index(fields=("bank", "first_entry", "last_entry")),)


class Proposal(models.Model):
    """A change that one person wishes for and another confirms. Emptied when it is decided.

    What is sealed is JSON: entries to add, ids to withdraw, settings to set, (trust) a number of bits, or (came) ranges
    of entries that are in the folder already and do not act until two people say so; the first of the two is then who
    proposes.
    """

    WHATS = tuple((what, what) for what in ("add", "withdraw", "set", "came", "trust"))
    STATES = tuple((state, state) for state in ("open", "confirmed", "refused"))

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    bank = models.CharField(max_length=64)
    what = models.CharField(max_length=10, choices=WHATS, default="add")
    reason = models.CharField(max_length=64)
    entries_sealed = SealedField(null=True)
    count = models.PositiveBigIntegerField()
    actor = models.CharField(max_length=128)
    proposed_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    proposed_at = models.DateTimeField(auto_now_add=True)
    state = models.CharField(max_length=10, choices=STATES, default="open")
    decided_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    decided_at = models.DateTimeField(null=True)
    is_alone = models.BooleanField(default=False)  # a one-person office: nobody else could decide
    change = models.ForeignKey(Change, on_delete=models.PROTECT, related_name="+", null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=~Q(state="confirmed")
                | Q(is_alone=True)
                | (Q(proposed_by__isnull=False) & ~Q(decided_by=F("proposed_by"))),
                name="another_person_confirms",
            ),
        )
        indexes = (models.Index(fields=("state", "proposed_at")), models.Index(fields=("bank", "state")))


class Trusted(models.Model):
    """So near to an entry of this bank that nobody needs to see the file. No row, or another bank's: exact only."""

    bank = models.CharField(max_length=64, primary_key=True)  # name of its folder
    identity = models.CharField(max_length=32)  # of the bank that two people trusted, should its folder be another's
    bits = models.PositiveSmallIntegerField()


class Followed(models.Model):
    """What a folder held when its history was last written: in another state, somebody or something changed it."""

    bank = models.CharField(max_length=64, primary_key=True)  # name of its folder
    state = models.CharField(max_length=160)  # banks.access.state_of
    settings = models.JSONField(default=dict)
    runs = models.TextField()  # JSON: [first, last] of the entries that were there, ascending
