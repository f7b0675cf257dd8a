"""Rows of clusters, their way to a decision, what was seen of them by whom, and shifts. Holds no picture."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from leadline.workbench.accounts.models import Person
from leadline.workbench.banks.models import Proposal
from leadline.workbench.evidence.models import Asset
from leadline.workbench.reports.models import Report
from leadline.workbench.review.floors import BREAK, LEAST_S, MOST, TOLD_AFTER, covered_share, weigh
from leadline.workbench.sealing import SealedField


class State(StrEnum):
    WAITING = "waiting"
    CLAIMED = "claimed"
    HELD = "held"
    ESCALATED = "escalated"  # waits for a senior
    DECIDED = "decided"
    SET_ASIDE = "set-aside"  # every file of it is known by now: nobody needs to look


class Purpose(StrEnum):
    """Why a review is asked for; the same word says why a picture was shown."""

    DECISION = "decision"
    SECOND_OPINION = "second-opinion"
    SAMPLE = "sample"  # of what banks know already: for volunteers
    REVISION = "revision"
    DOUBLE = "double"  # a second person decides as well, untold
    GOLDEN = "golden"  # an item whose answers are agreed on already, untold: a trial, never a decision
    DISAGREEMENT = "disagreement"  # a third person, where two differ
    REFERENCE = "reference"  # to agree on a golden item's answers


UNTOLD = frozenset({Purpose.DOUBLE, Purpose.GOLDEN})  # told as any decision for a day
APART = frozenset({Purpose.DISAGREEMENT, Purpose.REFERENCE})  # opened from the pages of quality, in no queue


class Level(StrEnum):
    """How much of a picture was sent."""

    TILE = "tile"
    LENS = "lens"
    WHOLE = "whole"


class Standing(StrEnum):
    PENDING = "pending"  # may be undone; nothing leaves this table yet
    IN_FORCE = "in-force"
    UNDONE = "undone"
    SUPERSEDED = "superseded"
    TRIAL = "trial"  # answers to a golden item: nobody's decision, of no file


class Origin(StrEnum):
    """Why an assessment counts for a file."""

    ASSESSED = "assessed"  # the file that the person had before them
    PROPAGATED = "propagated"  # a near-duplicate of it: an inference, never that person's statement


def _choices(words: type[StrEnum]) -> list[tuple[str, str]]:
    return [(word.value, word.value) for word in words]


class Cluster(models.Model):
    """Near-duplicates: a centre, and members that each lie within the radius of the centre, never of a chain."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    centre = models.OneToOneField(Asset, on_delete=models.PROTECT, related_name="centre_of")
    radius_bits = models.PositiveSmallIntegerField()
    size = models.PositiveIntegerField(default=1)
    made_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.id)


class Member(models.Model):
    """A file of a cluster, also its centre. A file is in one cluster only."""

    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="members")
    asset = models.OneToOneField(Asset, on_delete=models.PROTECT, related_name="membership")
    distance = models.PositiveSmallIntegerField()
    transform = models.CharField(max_length=16, blank=True)
    joined_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("distance", "id")


class Review(models.Model):
    """One cluster on its way to a decision."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="reviews")
    purpose = models.CharField(max_length=16, choices=_choices(Purpose), default=Purpose.DECISION.value)
    of = models.ForeignKey("self", on_delete=models.PROTECT, related_name="again", null=True)
    subject = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+", null=True)  # null: as found
    reserved_for = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)  # alone
    state = models.CharField(max_length=12, choices=_choices(State), default=State.WAITING.value)
    urgency = models.PositiveSmallIntegerField(default=0)
    rank = models.PositiveSmallIntegerField(default=3)  # 3 - urgency: lists go up by it
    why = models.JSONField(default=list)  # (code, points)
    severity = models.PositiveSmallIntegerField(default=1)  # what a look is expected to cost; see `floors`
    category = models.CharField(max_length=32)  # what a person may opt out of
    received_at = models.DateTimeField()
    claimed_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    lease_until = models.DateTimeField(null=True)
    assigned_to = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    held_until = models.DateTimeField(null=True)
    held_for = models.CharField(max_length=32, blank=True)
    decided_at = models.DateTimeField(null=True)
    is_open = models.GeneratedField(
        expression=Q(state__in=("waiting", "claimed", "held", "escalated")),  # type: ignore[arg-type]  # its stubs lack it
        output_field=models.BooleanField(),
        db_persist=True,
    )

    class Meta:
        ordering = ("rank", "received_at", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("cluster", "purpose"),
                condition=~Q(state__in=("decided", "set-aside")) & ~Q(purpose__in=("golden", "reference")),
                name="one_open_review_of_a_purpose",
            ),
            models.CheckConstraint(
                condition=~Q(state="claimed") | Q(claimed_by__isnull=False, lease_until__isnull=False),
                name="a_claim_has_a_person_and_an_end",
            ),
        )  # fmt: skip
        indexes = (
            models.Index(fields=("state", "rank", "received_at", "id"), name="review_queue"),
            # The queue is read in this order, of four states at once. Of a flag alone: SQLite takes no index whose
            # condition holds values, since those of a query come apart from it.
            models.Index(fields=("rank", "received_at", "id"), condition=Q(is_open=True), name="review_open"),
            models.Index(fields=("claimed_by", "state"), name="review_claims"),
            # Few are of another one: counted with all others, a planner takes the index of the key for one of no use.
            models.Index(fields=("of",), condition=Q(of__isnull=False), name="review_of_another"),
            models.Index(fields=("state", "decided_at"), name="review_decided"),
        )

    def is_claimed_by(self, person: object, now: datetime) -> bool:
        mine = self.claimed_by_id == getattr(person, "pk", None)
        return bool(mine and self.state == State.CLAIMED and self.lease_until and self.lease_until > now)

    @property
    def told_purpose(self) -> str:
        """As it stands in the queue and in the chain of the file, which whoever answers a golden item may read."""
        return Purpose.DECISION.value if self.purpose in (*UNTOLD, Purpose.REFERENCE) else self.purpose


class Skip(models.Model):
    """A person does not want this one. Never counted, never shown to anybody."""

    review = models.ForeignKey(Review, on_delete=models.CASCADE, related_name="skips")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("review", "person"), name="one_skip_of_a_person"),)


class Never(models.Model):
    """Not to be shown again: to one person, or (person null) to anybody of the office."""

    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="nevers")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    made_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("asset", "person"), condition=Q(person__isnull=False), name="one_never_of_a_person"
            ),
            models.UniqueConstraint(
                fields=("asset",), condition=Q(person__isnull=True), name="one_never_of_the_office"
            ),
        )


class Draft(models.Model):
    """Answers not handed in yet: a lease that ends loses none of them."""

    review = models.ForeignKey(Review, on_delete=models.CASCADE, related_name="drafts")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    answers = models.JSONField(default=dict)
    labels = models.JSONField(default=list)
    note_sealed = SealedField(null=True)
    saved_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("review", "person"), name="one_draft_of_a_person"),)


# --- what was seen ---------------------------------------------------------------------------------------------------


class Shift(models.Model):
    """A person at work. Starting one is the proof of who they are for every look until its end."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="shifts")
    began_at = models.DateTimeField()
    planned_minutes = models.PositiveSmallIntegerField()
    ended_at = models.DateTimeField(null=True)
    working_since = models.DateTimeField()  # as of the last break that they said they came back from
    break_began_at = models.DateTimeField(null=True)
    session_hash = models.CharField(max_length=64, blank=True)  # whose proof it was: another session begins its own

    class Meta:
        ordering = ("-began_at",)
        constraints = (
            models.UniqueConstraint(fields=("person",), condition=Q(ended_at__isnull=True), name="one_open_shift"),
        )

    def works_since(self, now: datetime) -> datetime:
        """Since the last break. One that was kept counts, whether or not they said that they go on."""
        kept = self.break_began_at + BREAK if self.break_began_at is not None else None
        return kept if kept is not None and kept <= now else self.working_since


class Exposure(models.Model):
    """A person was sent some of a picture. `id` is the grant; it counts from its issue to its end or expiry.

    view  which scene of the file (scenes.py), as the engine names it
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="exposures")
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="exposures")
    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="exposures")
    shift = models.ForeignKey(Shift, on_delete=models.PROTECT, related_name="exposures")
    level = models.CharField(max_length=8, choices=_choices(Level))
    view = models.CharField(max_length=40, default="picture")
    in_colour = models.BooleanField(default=False)
    purpose = models.CharField(max_length=16, choices=_choices(Purpose))
    severity = models.PositiveSmallIntegerField()
    issued_at = models.DateTimeField()
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)  # null for ever where the connection was lost: it counts in full
    areas = models.JSONField(default=list)  # of a lens: left, top, width, height in fractions, each as sent
    session_hash = models.CharField(max_length=64)

    class Meta:
        ordering = ("-issued_at",)
        indexes = (
            models.Index(fields=("person", "-issued_at"), name="exposure_person"),
            models.Index(fields=("asset", "level"), name="exposure_asset"),
        )

    @property
    def told_purpose(self) -> str:
        is_told = self.purpose not in UNTOLD or self.issued_at + TOLD_AFTER <= timezone.now()
        return self.purpose if is_told else Purpose.DECISION.value

    @property
    def seconds(self) -> float:
        return ((self.ended_at or self.until) - self.issued_at).total_seconds()

    @property
    def cost(self) -> float:
        """As the daily budget counts it; a lens that went over most of a picture counts as the whole."""
        level = Level.WHOLE.value if self.level == Level.LENS and covered_share(self.areas) > MOST else self.level
        least = 0.0 if self.level == Level.TILE else LEAST_S
        return weigh(max(least, self.seconds), level, self.severity, in_colour=self.in_colour)


class Wish(models.Model):
    """What a person set for themself: only ever more careful than the office's floor. Theirs alone to read."""

    person = models.OneToOneField(Person, on_delete=models.PROTECT, primary_key=True, related_name="wish")
    blur_share = models.FloatField(default=0.05)
    tile_edge_px = models.PositiveSmallIntegerField(default=160)
    reveal_seconds = models.PositiveSmallIntegerField(default=8)
    allow_whole = models.BooleanField(default=True)
    allow_colour = models.BooleanField(default=True)
    daily_minutes = models.PositiveSmallIntegerField(default=120)
    opted_out = models.JSONField(default=list)  # categories
    is_volunteer = models.BooleanField(default=False)  # for samples of what is known
    single_keys = models.BooleanField(default=True)  # keys without Ctrl act (WCAG 2.1.4: they can be switched off)


class CheckIn(models.Model):
    """How a person says they are: for themself. No page of anybody else reads this table."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="check_ins")
    mood = models.PositiveSmallIntegerField()
    at = models.DateTimeField(auto_now_add=True)


class DigestVisit(models.Model):
    """When a person last came to read what became of their decisions, so that what is new is marked. Theirs alone.

    at         when the latest visit began
    before_at  when the one before it did
    """

    person = models.OneToOneField(Person, on_delete=models.CASCADE, primary_key=True, related_name="+")
    at = models.DateTimeField()
    before_at = models.DateTimeField(null=True)


# --- decisions -------------------------------------------------------------------------------------------------------


class Assessment(models.Model):
    """A person's structured answers about a cluster. Never changed: revised by another one, or undone at once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="assessments")
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="assessments")
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="assessments")
    made_at = models.DateTimeField()
    effective_at = models.DateTimeField()
    standing = models.CharField(max_length=12, choices=_choices(Standing), default=Standing.PENDING.value)
    scheme = models.CharField(max_length=64)
    scheme_version = models.PositiveIntegerField()
    answers = models.JSONField()
    note_sealed = SealedField(null=True)
    revises = models.ForeignKey("self", on_delete=models.PROTECT, related_name="revisions", null=True)
    reason = models.CharField(max_length=64, blank=True)  # of a revision: a code

    class Meta:
        ordering = ("-made_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("cluster",), condition=Q(standing="in-force"), name="one_assessment_in_force"
            ),
            models.CheckConstraint(condition=Q(effective_at__gte=F("made_at")), name="an_assessment_can_be_undone"),
        )
        indexes = (
            models.Index(fields=("effective_at",), condition=Q(standing="pending"), name="assessment_pending"),
            models.Index(fields=("-made_at", "-id"), name="assessment_newest"),
        )

    @property
    def undo_left_ms(self) -> int:
        """Told as a span: whoever reads it need not have our clock."""
        return max(0, int((self.effective_at - timezone.now()).total_seconds() * 1000))

    @property
    def told_standing(self) -> str:
        """A trial looks like a decision to whoever made it, for a day."""
        now = timezone.now()
        if self.standing != Standing.TRIAL or self.made_at + TOLD_AFTER <= now:
            return self.standing
        return Standing.PENDING.value if self.effective_at > now else Standing.IN_FORCE.value


class Coverage(models.Model):
    """Which files an assessment counts for, and why."""

    assessment = models.ForeignKey(Assessment, on_delete=models.PROTECT, related_name="coverage")
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="coverage")
    origin = models.CharField(max_length=12, choices=_choices(Origin))
    distance = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("assessment", "asset"), name="one_coverage_of_a_file"),)


class Label(models.Model):
    """An official code of a scheme: picked by the person, or derived where a published mapping is cited."""

    assessment = models.ForeignKey(Assessment, on_delete=models.PROTECT, related_name="labels")
    scheme = models.CharField(max_length=64)
    version = models.CharField(max_length=64)
    code = models.CharField(max_length=64)
    is_derived = models.BooleanField(default=False)
    mapping = models.CharField(max_length=64, blank=True)
    mapping_version = models.PositiveIntegerField(null=True)
    source = models.CharField(max_length=300, blank=True)
    confidence = models.CharField(max_length=8, blank=True)
    lossy = models.BooleanField(default=False)
    ended_at = models.DateTimeField(null=True)  # derived anew under another version

    class Meta:
        ordering = ("scheme", "code", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("assessment", "scheme", "version", "code"), condition=Q(ended_at__isnull=True),
                name="one_live_label_of_a_code",
            ),
            models.CheckConstraint(
                condition=Q(is_derived=False) | ~Q(mapping="") & ~Q(source=""), name="a_derived_label_cites_its_source"
            ),
        )  # fmt: skip


class Reach(models.Model):
    """Something outside this app that an assessment led to: a proposal for a bank, and what undoes it."""

    assessment = models.ForeignKey(Assessment, on_delete=models.PROTECT, related_name="reached")
    proposal = models.OneToOneField(Proposal, on_delete=models.PROTECT, related_name="+")
    undone_by = models.OneToOneField(Proposal, on_delete=models.PROTECT, related_name="+", null=True)
    ended_at = models.DateTimeField(null=True)  # taken back before anybody confirmed it

    class Meta:
        ordering = ("id",)


class Outcome(models.Model):
    """What became of something that was decided here, as somebody outside told it: by hand or through the API."""

    WORDS = tuple((word, word) for word in ("removed", "safeguarded", "no-action", "unknown"))

    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="outcomes")
    word = models.CharField(max_length=16, choices=WORDS)
    source = models.CharField(max_length=64)  # a code: police, host, partner, own-check
    noted_by = models.CharField(max_length=128)  # a person's id, or key:ID
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-at", "-id")


# --- appeals, and who is to be told ----------------------------------------------------------------------------------


class Appeal(models.Model):
    """Somebody says that a decision was wrong. What they wrote lies sealed in `report`; here stands what is done of it.

    An appeal changes nothing: people decide each decision it contests, and a person answers it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    report = models.OneToOneField(Report, on_delete=models.PROTECT, related_name="appeal")
    handed_in_by = models.CharField(max_length=128)  # as the journal names them
    due_at = models.DateTimeField()  # the office's own term
    matched_at = models.DateTimeField(null=True)  # when it was looked up what it names
    answered_at = models.DateTimeField(null=True)
    answered_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)

    class Meta:
        ordering = ("due_at", "id")
        constraints = (
            models.CheckConstraint(
                condition=Q(answered_at__isnull=True, answered_by__isnull=True)
                | Q(answered_at__isnull=False, answered_by__isnull=False),
                name="a_person_answers_an_appeal",
            ),
        )
        indexes = (
            models.Index(fields=("due_at", "id"), condition=Q(answered_at__isnull=True), name="appeal_open"),
            models.Index(fields=("-answered_at", "-id"), name="appeal_answered"),
        )


class Contest(models.Model):
    """One assessment that an appeal contests, the review that was opened for it, and how that ended."""

    OUTCOMES = (("upheld", "upheld"), ("changed", "changed"))

    appeal = models.ForeignKey(Appeal, on_delete=models.PROTECT, related_name="contests")
    assessment = models.ForeignKey(Assessment, on_delete=models.PROTECT, related_name="contests")
    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="contests", null=True)
    outcome = models.CharField(max_length=8, choices=OUTCOMES, blank=True)
    reason = models.CharField(max_length=32, blank=True)
    ended_by = models.ForeignKey(Assessment, on_delete=models.PROTECT, related_name="+", null=True)
    decided_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=("appeal", "assessment"), name="one_contest_of_an_assessment"),
            models.CheckConstraint(
                condition=Q(outcome="", decided_at__isnull=True)
                | ~Q(outcome="") & Q(decided_at__isnull=False, decided_by__isnull=False),
                name="a_person_decides_a_contest",
            ),
        )
        indexes = (models.Index(fields=("assessment",), condition=Q(outcome=""), name="contest_open"),)


class ToTell(models.Model):
    """Somebody outside got something that a decision led to, and the decision was revised; or gave us an entry that a
    decision found to be false. A person tells them.

    `kind` and `object_id` are those of a way out in `reached`; who it is, is asked there and shown to who may see it.
    """

    assessment = models.ForeignKey(Assessment, on_delete=models.PROTECT, related_name="to_tell")
    kind = models.CharField(max_length=32)
    object_id = models.CharField(max_length=128)
    reached_at = models.DateTimeField()
    made_at = models.DateTimeField(auto_now_add=True)
    how = models.CharField(max_length=16, blank=True)
    told_at = models.DateTimeField(null=True)
    told_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=("assessment", "kind", "object_id"), name="each_is_told_once"),
            models.CheckConstraint(
                condition=Q(how="", told_at__isnull=True, told_by__isnull=True)
                | ~Q(how="") & Q(told_at__isnull=False, told_by__isnull=False),
                name="a_person_tells",
            ),
        )
        indexes = (models.Index(fields=("id",), condition=Q(told_at__isnull=True), name="to_tell_open"),)
