"""Rows of reports, their items, states and messages. What people wrote is sealed; nothing of it is searched."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from leadline.domain import Channel, ItemKind, Tlp
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence.models import Asset
from leadline.workbench.permissions import Sensitivity
from leadline.workbench.reports.states import OPEN, State
from leadline.workbench.sealing import SealedField


def _choices(names: type[Channel] | type[ItemKind] | type[State] | type[Tlp]) -> list[tuple[str, str]]:
    return [(name.value, name.value) for name in names]


class Series(models.Model):
    """The last number given in a year. Its row lock is what orders two reports that arrive at once."""

    year = models.PositiveSmallIntegerField(primary_key=True)
    last = models.PositiveIntegerField(default=0)


class Report(models.Model):
    """What came in, from whom, when. The row stays for ever; what was sealed into it is erased in its time.

    sender_received_at, made_at   as the sender says: its own intake, and the moment it speaks of
    rank          3 - urgency: the queue's order is rank, received_at, id, all ascending
    urgency_why   list of [code, points]
    checks        codes of what was checked or claimed of the delivery (DKIM, SPF), never content
    due_at        when a waiting report is back on the desk
    is_appeal     it contests a decision: no queue of reports lists it, and nothing of it is keyed, matched or counted
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.CharField(max_length=16, unique=True)
    channel = models.CharField(max_length=20, choices=_choices(Channel))
    source = models.CharField(max_length=120, blank=True)
    source_reference = models.CharField(max_length=200, blank=True)
    received_at = models.DateTimeField()
    sender_received_at = models.DateTimeField(null=True)
    made_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=20, choices=_choices(State), default=State.NEW)
    is_open = models.BooleanField(default=True)
    outcome = models.CharField(max_length=20, blank=True)
    due_at = models.DateTimeField(null=True)
    urgency = models.PositiveSmallIntegerField(default=0)
    rank = models.PositiveSmallIntegerField(default=3)
    urgency_ticks = models.JSONField(default=list)
    urgency_why = models.JSONField(default=list)
    sensitivity = models.IntegerField(default=Sensitivity.SENSITIVE)
    tlp = models.CharField(max_length=20, choices=_choices(Tlp), default=Tlp.AMBER_STRICT)
    language = models.CharField(max_length=8, blank=True)
    item_count = models.PositiveIntegerField(default=0)
    known_count = models.PositiveIntegerField(default=0)  # of its items, those that somebody had reported before
    checks = models.JSONField(default=dict)
    assigned_to = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    attached_to = models.ForeignKey("self", on_delete=models.PROTECT, related_name="attached", null=True)
    text_sealed = SealedField(null=True)
    facts_sealed = SealedField(null=True)
    contact_sealed = SealedField(null=True)
    passphrase_hash = models.CharField(max_length=160, blank=True)
    receipt_lookup = models.CharField(max_length=8, blank=True)
    closed_at = models.DateTimeField(null=True)
    contact_erased_at = models.DateTimeField(null=True)
    erased_at = models.DateTimeField(null=True)
    on_hold = models.BooleanField(default=False)
    is_appeal = models.BooleanField(default=False)
    countries = models.JSONField(default=dict)  # law.terms.Involved -> ISO 3166 codes, as people noted them

    class Meta:
        ordering = ("rank", "received_at", "id")
        indexes = (
            models.Index(fields=("rank", "received_at", "id"), name="report_queue"),
            models.Index(fields=("is_open", "rank", "received_at", "id"), name="report_open"),
            models.Index(fields=("state", "rank", "received_at", "id"), name="report_state"),
            models.Index(fields=("urgency", "rank", "received_at", "id"), name="report_urgency"),
            models.Index(fields=("channel", "rank", "received_at", "id"), name="report_channel"),
            models.Index(fields=("assigned_to", "rank", "received_at", "id"), name="report_mine"),
            models.Index(fields=("received_at", "id"), name="report_received"),
            models.Index(fields=("source_reference",), name="report_reference"),
            models.Index(fields=("receipt_lookup",), name="report_receipt"),
            models.Index(fields=("received_at",), name="report_appeals", condition=Q(is_appeal=True)),
            models.Index(fields=("due_at",), name="report_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=("closed_at",), name="report_closed", condition=Q(closed_at__isnull=False)),
        )
        constraints = (
            models.CheckConstraint(condition=Q(urgency__lte=3), name="urgency_is_0_to_3"),
            models.CheckConstraint(
                condition=Q(is_open=True, state__in=sorted(OPEN)) | (Q(is_open=False) & ~Q(state__in=sorted(OPEN))),
                name="open_says_what_the_state_says",
            ),
            models.CheckConstraint(
                condition=Q(state=State.CLOSED) & ~Q(outcome="") | ~Q(state=State.CLOSED) & Q(outcome=""),
                name="closed_has_an_outcome",
            ),
        )

    def __str__(self) -> str:
        return self.number


class Item(models.Model):
    """One thing a report points at.

    key        HMAC of the normalised key, "" where there is none (text): the database alone does not tell the URL
    first      the item that first had this key; null for that one itself, which counts the others
    seen_*, times  of a first item: when it was reported first and last, and how often
    kind_met   domain.Kind of the bank entry that a reported hash met when it arrived; of a file its asset knows
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="items")
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=_choices(ItemKind))
    value_sealed = SealedField(null=True)
    key = models.CharField(max_length=64, blank=True)
    first = models.ForeignKey("self", on_delete=models.PROTECT, related_name="repeats", null=True)
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+", null=True)
    kind_met = models.CharField(max_length=16, blank=True)
    flags = models.JSONField(default=list)  # codes of `selectors` and of the media mode; never content
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ("report", "position")
        # Whole, not partial: a planner does not know that the key it is asked for is not "".
        indexes = (models.Index(fields=("key", "first"), name="item_key"),)
        constraints = (
            models.UniqueConstraint(fields=("report", "position"), name="one_item_at_a_position"),
            models.UniqueConstraint(
                fields=("key",), condition=Q(first__isnull=True) & ~Q(key=""), name="one_first_item_of_a_key"
            ),
        )


class StateChange(models.Model):
    """One step of a report. Database triggers refuse UPDATE and DELETE (migration 0001)."""

    report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="changes")
    at = models.DateTimeField()
    actor = models.CharField(max_length=128)
    from_state = models.CharField(max_length=20)
    to_state = models.CharField(max_length=20, choices=_choices(State))
    reason = models.CharField(max_length=30)
    outcome = models.CharField(max_length=20, blank=True)
    journal_line = models.BigIntegerField()

    class Meta:
        ordering = ("id",)


class ContactKey(models.Model):
    """The data key of one report's contact and conversation. Who deletes this row has erased them, whatever else is
    left of them; the list of erasures names it, so that a backup does not bring it back."""

    report = models.OneToOneField(Report, on_delete=models.PROTECT, primary_key=True, related_name="contact_key")
    key_sealed = SealedField()


class HandlingProposal(models.Model):
    """To let more people see a report: asked for by one person, decided by another."""

    report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="handling_proposals")
    sensitivity = models.IntegerField()
    tlp = models.CharField(max_length=20, choices=_choices(Tlp))
    reason = models.CharField(max_length=64)
    asked_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    decided_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    decided_at = models.DateTimeField(null=True)
    is_confirmed = models.BooleanField(default=False)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(
                condition=Q(is_confirmed=False) | ~Q(decided_by=F("asked_by")),
                name="a_second_person_lowers_handling",
            ),
            models.UniqueConstraint(
                fields=("report",), condition=Q(decided_at__isnull=True), name="one_open_handling_of_a_report"
            ),
        )


class Followed(models.Model):
    """Up to which line of the journal a duty has followed what others did."""

    name = models.CharField(max_length=40, primary_key=True)
    line = models.BigIntegerField()


class Message(models.Model):
    """A question of the office, or what the reporter answered. Sealed under the contact's key, and erased with it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="messages")
    at = models.DateTimeField()
    from_reporter = models.BooleanField()
    actor = models.CharField(max_length=128)
    text_sealed = SealedField(null=True)

    class Meta:
        ordering = ("at", "id")


class Acknowledged(models.Model):
    """What was answered to a sender's own key of a request, so that the same request gets the same answer."""

    scope = models.CharField(max_length=128)  # the actor: keys of two senders never meet
    key_hash = models.CharField(max_length=64)
    body_hash = models.CharField(max_length=64)
    report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("scope", "key_hash"), name="one_answer_to_a_key"),)
        indexes = (models.Index(fields=("at",)),)


class OnCall(models.Model):
    """Who is alerted, between when and when."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    set_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ("-begins_at",)


class Alert(models.Model):
    """An urgent report, told to the person on call until somebody acknowledges it."""

    report = models.OneToOneField(Report, on_delete=models.PROTECT, related_name="alert")
    raised_at = models.DateTimeField()
    last_sent_at = models.DateTimeField(null=True)
    sent_count = models.PositiveIntegerField(default=0)
    failure = models.CharField(max_length=80, blank=True)  # a code, never a message
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)

    class Meta:
        indexes = (models.Index(fields=("raised_at",), name="alert_open", condition=Q(acknowledged_at__isnull=True)),)


class Delivery(models.Model):
    """A bulk file between its preview and its import: sealed, and gone after the import, or its term.

    sha256  of the file as it came: what is left of it
    tries   how often its import has begun
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    made_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    source = models.CharField(max_length=120, blank=True)
    data_sealed = SealedField(null=True)
    sha256 = models.CharField(max_length=64, blank=True)
    begun_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    ended_at = models.DateTimeField(null=True)


class DeliveryLine(models.Model):
    """What became of one line: a report, or the code of what is wrong with it."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="lines")
    number = models.PositiveIntegerField()
    report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="+", null=True)
    code = models.CharField(max_length=40, blank=True)
    field = models.CharField(max_length=40, blank=True)

    class Meta:
        ordering = ("number",)
        constraints = (models.UniqueConstraint(fields=("delivery", "number"), name="one_result_of_a_line"),)
