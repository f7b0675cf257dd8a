"""Rows of sharing: partners, what was agreed with each, what was proposed, approved and sent. Free text is sealed."""

from __future__ import annotations

import uuid
from enum import StrEnum

from django.db import models
from django.db.models import F, Q

from leadline.domain import Tlp
from leadline.exchange.connector import Act
from leadline.workbench.accounts.models import Person
from leadline.workbench.cases.states import Pap
from leadline.workbench.sealing import SealedField
from leadline.workbench.words import choices

NAME_CHARS, DOCUMENT_CHARS, NOTE_CHARS, REMOTE_CHARS = 100, 500, 2000, 200
PURPOSES = choices("share-purpose")
REASONS = choices("share-reason")
REFUSALS = choices("share-refusal", "not-agreed", "too-much", "wrong-partner", "mistake")


class ShareState(StrEnum):
    PROPOSED = "proposed"
    APPROVED = "approved"  # waits for the worker
    SENDING = "sending"
    UNCLEAR = "unclear"  # of some entries nobody knows whether they arrived: a person finds out
    FAILED = "failed"  # nothing of what is left was tried; a person corrects the cause
    SENT = "sent"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class ItemState(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    TAKEN = "taken"
    REFUSED = "refused"  # by the partner
    UNCLEAR = "unclear"
    STOPPED = "stopped"  # by a rule of ours: it did not leave


OPEN = (ShareState.PROPOSED, ShareState.APPROVED, ShareState.FAILED)  # nothing is under way: can be taken back
_UNDECIDED = [ShareState.PROPOSED, ShareState.REFUSED, ShareState.WITHDRAWN, ShareState.EXPIRED]


def _choices(words: type[StrEnum]) -> list[tuple[str, str]]:
    return [(word.value, word.value) for word in words]


class Partner(models.Model):
    """Another organisation. source: the name of the source (subscriptions/folder.py) by which it is reached."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=NAME_CHARS, unique=True)
    source = models.CharField(max_length=61, unique=True)
    made_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)


class Agreement(models.Model):
    """What may leave to a partner. Never changed: a new one takes its place.

    tlp, pap  the strictest label that the partner has bound itself to keep
    kinds     of entries; purposes: codes
    onward    whether it may be given what other organisations gave us
    reach     digest of connector and address as they were: with another one it does not hold
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="agreements")
    tlp = models.CharField(max_length=12, choices=[(t.value, t.value) for t in Tlp if t is not Tlp.RED])
    pap = models.CharField(max_length=8, choices=_choices(Pap))
    kinds = models.JSONField(default=list)
    purposes = models.JSONField(default=list)
    onward = models.BooleanField(default=False)
    reach = models.CharField(max_length=64)
    valid_from = models.DateField()
    valid_until = models.DateField()
    document_sealed = SealedField()
    made_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-made_at", "-id")
        constraints = (
            models.UniqueConstraint(fields=("partner",), condition=Q(ended_at=None), name="one_agreement_a_partner"),
            models.CheckConstraint(condition=Q(valid_from__lte=F("valid_until")), name="an_agreement_has_a_term"),
            models.CheckConstraint(condition=~Q(tlp="red"), name="no_agreement_on_red"),
        )


class Share(models.Model):
    """Something to leave to one partner, on its way from one person's proposal to what the partner said.

    digest        of exactly what would leave (`leaving.digest_of`): what was seen is what is approved and sent
    algorithm, codes  of an opinion: the fingerprint it is about, the partner's own reason codes
    sender        of the one worker that sends it just now
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="shares")
    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="shares")
    act = models.CharField(max_length=10, choices=_choices(Act))
    bank = models.CharField(max_length=64)
    purpose = models.CharField(max_length=32, choices=PURPOSES)
    reason = models.CharField(max_length=32, choices=REASONS)
    note_sealed = SealedField(null=True)
    algorithm = models.CharField(max_length=32, blank=True)
    codes = models.JSONField(default=list)
    digest = models.CharField(max_length=64)
    passing = models.PositiveIntegerField()
    stopped = models.PositiveIntegerField()
    proposed_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    proposer = models.CharField(max_length=128)  # as the journal names them: a person, or key:ID
    proposed_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=_choices(ShareState), default=ShareState.PROPOSED.value)
    decided_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    decided_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    ended_for = models.CharField(max_length=40, blank=True)  # a code
    sender = models.CharField(max_length=32, blank=True)
    tries = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    failure = models.CharField(max_length=40, blank=True)  # a code

    class Meta:
        ordering = ("-proposed_at", "-id")
        constraints = (
            models.CheckConstraint(
                condition=Q(state__in=[state.value for state in _UNDECIDED])
                | Q(decided_by__isnull=False) & ~Q(decided_by=F("proposed_by")),
                name="two_people_let_it_leave",
            ),
        )
        indexes = (
            models.Index(fields=("-proposed_at", "-id"), name="share_proposed"),
            models.Index(fields=("state", "next_try_at"), name="share_state"),
        )


class ShareItem(models.Model):
    """One entry of a share: the rule that let it pass or stopped it, and what became of it.

    digest       of `left`, which is sealed: exactly what is handed to the connector
    remote_id    what the partner calls it, as it answered
    """

    id = models.BigAutoField(primary_key=True)
    share = models.ForeignKey(Share, on_delete=models.PROTECT, related_name="items")
    entry = models.BigIntegerField()
    rule = models.CharField(max_length=24, choices=choices("share-rule"))
    state = models.CharField(max_length=10, choices=_choices(ItemState))
    digest = models.CharField(max_length=64, blank=True)
    left_sealed = SealedField(null=True)
    remote_id = models.CharField(max_length=REMOTE_CHARS, blank=True)
    failure = models.CharField(max_length=40, blank=True)  # a code
    at = models.DateTimeField(null=True)  # when its outcome came

    class Meta:
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=("share", "entry"), name="an_entry_once_a_share"),)
        indexes = (
            models.Index(fields=("share", "state"), name="share_item_state"),
            models.Index(fields=("entry", "state"), name="share_item_entry"),
        )
