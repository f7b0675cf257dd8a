"""Rows of cases: what is worked on together, by whom, and what each did. What people write in them is sealed."""

from __future__ import annotations

import uuid
from enum import StrEnum

from django.db import models
from django.db.models import F, Q

from leadline.domain import Tlp
from leadline.workbench.accounts.models import ObjectGrant, Person
from leadline.workbench.cases.states import MemberRole, Outcome, Pap, PartyRole, SelectorKind, State, TaskState
from leadline.workbench.evidence.models import Asset
from leadline.workbench.permissions import Sensitivity
from leadline.workbench.reports.models import Item, Report
from leadline.workbench.review.models import Cluster
from leadline.workbench.sealing import SealedField


def _choices(words: type[StrEnum]) -> list[tuple[str, str]]:
    return [(word.value, word.value) for word in words]


class CaseSeries(models.Model):
    """The last number given in a year. Its row lock orders two cases that are opened at once."""

    year = models.PositiveSmallIntegerField(primary_key=True)
    last = models.PositiveIntegerField(default=0)


class Case(models.Model):
    """Reports, assets and selectors worked on together.

    source_key  keyed hash of the identity of the case that it was read from, so that reading it again is the same case
    pap         what one may do with what the case knows
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.CharField(max_length=16, unique=True)
    title_sealed = SealedField()
    state = models.CharField(max_length=12, choices=_choices(State), default=State.OPEN.value)
    outcome = models.CharField(max_length=16, choices=_choices(Outcome), blank=True)
    tlp = models.CharField(max_length=12, choices=_choices(Tlp), default=Tlp.AMBER_STRICT.value)
    pap = models.CharField(max_length=8, choices=_choices(Pap), default=Pap.AMBER.value)
    sensitivity = models.IntegerField(
        choices=[(int(s), s.name.lower()) for s in Sensitivity], default=int(Sensitivity.SENSITIVE)
    )
    lead = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="leads")
    template = models.CharField(max_length=64, blank=True)
    template_version = models.PositiveIntegerField(null=True)
    source_key = models.CharField(max_length=64, null=True, unique=True)  # null: none, and many have none
    source_sealed = SealedField(null=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-opened_at", "-id")
        indexes = (
            models.Index(fields=("-opened_at", "-id"), name="case_opened"),
            models.Index(fields=("state", "-opened_at", "-id"), name="case_state"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(state="closed", closed_at__isnull=False) & ~Q(outcome="")
                | ~Q(state="closed") & Q(outcome="", closed_at__isnull=True),
                name="a_closed_case_has_an_outcome",
            ),
        )

    def __str__(self) -> str:
        return self.number


class CaseStateChange(models.Model):
    """One step of a case. Database triggers refuse UPDATE and DELETE."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="changes")
    at = models.DateTimeField()
    actor = models.CharField(max_length=128)
    from_state = models.CharField(max_length=12)
    to_state = models.CharField(max_length=12, choices=_choices(State))
    reason = models.CharField(max_length=32)
    outcome = models.CharField(max_length=16, blank=True)

    class Meta:
        ordering = ("id",)


class CaseHandling(models.Model):
    """To let more people see a case, or do more with it: asked for by one person, decided by another."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="handlings")
    sensitivity = models.IntegerField()
    tlp = models.CharField(max_length=12, choices=_choices(Tlp))
    pap = models.CharField(max_length=8, choices=_choices(Pap))
    reason = models.CharField(max_length=32)
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
                name="a_second_person_loosens_a_case",
            ),
            models.UniqueConstraint(
                fields=("case",), condition=Q(decided_at__isnull=True), name="one_open_handling_of_a_case"
            ),
        )


# --- who works on it -------------------------------------------------------------------------------------------------


class Member(models.Model):
    """A person in a case, until a day. Membership writes grants, and ends them."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="members")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=8, choices=_choices(MemberRole), default=MemberRole.WORKER.value)
    joined_at = models.DateTimeField()
    joined_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    until = models.DateTimeField()
    left_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("joined_at", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("case", "person"), condition=Q(left_at__isnull=True), name="one_membership_of_a_person"
            ),
        )


class MemberGrant(models.Model):
    """A grant that a membership wrote: on the case, or on a thing in it that the person's role does not clear."""

    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="grants")
    grant = models.OneToOneField(ObjectGrant, on_delete=models.PROTECT, related_name="+")


# --- what is in it ---------------------------------------------------------------------------------------------------


class Thing(models.Model):
    """A report, an item, an asset or a cluster in a case: exactly one of them."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="things")
    report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="+", null=True)
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="+", null=True)
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+", null=True)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+", null=True)
    added_by = models.CharField(max_length=128)  # as the journal names them
    added_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    KINDS = ("report", "item", "asset", "cluster")

    class Meta:
        ordering = ("added_at", "id")
        indexes = (models.Index(fields=("case", "added_at", "id"), name="thing_of_case"),)
        constraints = (
            models.CheckConstraint(
                condition=Q(report__isnull=False, item__isnull=True, asset__isnull=True, cluster__isnull=True)
                | Q(report__isnull=True, item__isnull=False, asset__isnull=True, cluster__isnull=True)
                | Q(report__isnull=True, item__isnull=True, asset__isnull=False, cluster__isnull=True)
                | Q(report__isnull=True, item__isnull=True, asset__isnull=True, cluster__isnull=False),
                name="a_thing_is_one_thing",
            ),
            *(
                models.UniqueConstraint(
                    fields=("case", kind),
                    condition=Q(removed_at__isnull=True, **{f"{kind}__isnull": False}),
                    name=f"one_{kind}_once_in_a_case",
                )
                for kind in ("report", "item", "asset", "cluster")
            ),
        )

    @property
    def kind(self) -> str:
        return next(kind for kind in self.KINDS if getattr(self, f"{kind}_id") is not None)


class Party(models.Model):
    """A person that the case is about, under a name or a stand-in for one, with the one role they have in it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="parties")
    role = models.CharField(max_length=8, choices=_choices(PartyRole))
    name_sealed = SealedField()
    added_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    added_at = models.DateTimeField()

    class Meta:
        ordering = ("added_at", "id")


class Selector(models.Model):
    """A typed text: kind, value, role. Sealed; `key`, a keyed hash of its spelling, is what two have in common."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="selectors")
    kind = models.CharField(max_length=8, choices=_choices(SelectorKind))
    value_sealed = SealedField()
    key = models.CharField(max_length=64, db_index=True)
    role = models.CharField(max_length=8, choices=_choices(PartyRole))
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="selectors", null=True)
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="+", null=True)  # where it was met
    added_by = models.CharField(max_length=128)
    added_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("added_at", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("case", "key", "role"), condition=Q(removed_at__isnull=True), name="one_selector_of_a_role"
            ),
        )


class CaseTask(models.Model):
    """Something to be done, perhaps by somebody, perhaps by a day."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="tasks")
    text_sealed = SealedField()
    state = models.CharField(max_length=8, choices=_choices(TaskState), default=TaskState.WAITING.value)
    assignee = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="case_tasks", null=True)
    due_on = models.DateField(null=True)
    made_by = models.CharField(max_length=128)
    made_at = models.DateTimeField()
    position = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("made_at", "position", "id")
        indexes = (
            models.Index(
                fields=("assignee", "due_on"), condition=Q(state__in=("waiting", "doing")), name="case_tasks_open"
            ),
        )


class Note(models.Model):
    """What somebody wrote down. Never changed: a correction is a new note that points at the old one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="notes")
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    text_sealed = SealedField()
    corrects = models.ForeignKey("self", on_delete=models.PROTECT, related_name="corrections", null=True)

    class Meta:
        ordering = ("at", "id")


# --- other cases -----------------------------------------------------------------------------------------------------


class Question(models.Model):
    """Somebody asks the lead of a case that they may not see to get in touch: both hold the same thing.

    It says who asks. Which case asks and which is asked, and what they have in common, is shown to neither.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    from_case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="asked")
    to_case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="asked_of")
    asked_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    answer = models.CharField(max_length=16, blank=True)
    answered_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("asked_at", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("from_case", "to_case"), condition=Q(answered_at__isnull=True), name="one_open_question"
            ),
        )


# --- read from a file ------------------------------------------------------------------------------------------------


class ImportState(StrEnum):
    TAKEN = "taken"  # its file came in, as the office's media mode says
    WITHOUT_FILE = "without-file"
    REFUSED = "refused"


class Imported(models.Model):
    """One record of a case file that was read in. Its labels are somebody else's: an inference, never an assessment.

    record  its number in the file, MediaID, or else its place there
    labels  (scheme, version, code) each; version "" where the file does not say
    fault   why its file was refused: a code
    """

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="imported")
    record = models.CharField(max_length=80)
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+", null=True)
    state = models.CharField(max_length=12, choices=_choices(ImportState))
    fault = models.CharField(max_length=40, blank=True)
    hashes = models.JSONField(default=dict)  # algorithm -> hex, as the record says
    labels = models.JSONField(default=list)
    source = models.CharField(max_length=32)
    facts_sealed = SealedField(null=True)
    imported_at = models.DateTimeField()

    class Meta:
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=("case", "record"), name="one_row_of_a_record"),)
        indexes = (
            models.Index(fields=("case", "asset"), name="imported_asset"),
            models.Index(fields=("case", "id"), name="imported_order"),
        )
