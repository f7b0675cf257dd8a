"""Rows of golden sets and the answers agreed on, of who was handed what, and of pairs of answers to one file.

What a person answered to a golden item, or as the second of two, is an assessment of `review`; here stands why.
"""

from __future__ import annotations

import uuid
from enum import StrEnum

from django.db import models
from django.db.models import F, Q

from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence.models import Asset
from leadline.workbench.review.models import Assessment, Review

NAME_CHARS = 80


class PairState(StrEnum):
    SAME = "same"
    OPEN = "open"  # they differ: a third person looks
    CONFIRMED = "confirmed"  # what was in force stands
    REVISED = "revised"
    OVERTAKEN = "overtaken"  # what was in force was revised meanwhile, for another reason


class GoldenSet(models.Model):
    """Benign files with answers that two people agree on. Its name is the office's own word for it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=NAME_CHARS, unique=True)
    made_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)  # nothing of it is handed out any more

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return str(self.id)


class GoldenItem(models.Model):
    """One file of a set. It counts from when two people gave the same answers, each without the other's before them."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    set = models.ForeignKey(GoldenSet, on_delete=models.PROTECT, related_name="items")
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="golden_items")
    put_in_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    put_in_at = models.DateTimeField(auto_now_add=True)
    asked = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)  # to answer as well
    agreed_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-put_in_at", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("asset",), condition=Q(withdrawn_at__isnull=True), name="one_live_item_of_a_file"
            ),
        )

    def __str__(self) -> str:
        return str(self.id)


class GoldenAnswer(models.Model):
    """What one person says the answers are. A later one of the same person stands for the earlier; none is changed."""

    item = models.ForeignKey(GoldenItem, on_delete=models.PROTECT, related_name="answers")
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)
    scheme = models.CharField(max_length=64)
    scheme_version = models.PositiveIntegerField()
    answers = models.JSONField()
    is_agreed = models.BooleanField(default=False)  # one of the two that agree
    is_alone = models.BooleanField(default=False)  # a one-person office: nobody else could answer

    class Meta:
        ordering = ("-at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("item", "by"), condition=Q(is_agreed=True), name="one_agreed_answer_of_a_person"
            ),
        )


class Handout(models.Model):
    """A golden item was put into a person's queue: once for ever, and once for the decision that drew it."""

    item = models.ForeignKey(GoldenItem, on_delete=models.PROTECT, related_name="handouts")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    review = models.OneToOneField(Review, on_delete=models.PROTECT, related_name="handout")
    drawn_by = models.OneToOneField(Review, on_delete=models.PROTECT, related_name="drew")
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-at", "-id")
        constraints = (models.UniqueConstraint(fields=("asset", "person"), name="never_the_same_twice_to_a_person"),)


class Pair(models.Model):
    """Two people's answers to the same questions about the same file, given without the other's before them."""

    STATES = tuple((state.value, state.value) for state in PairState)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    first = models.ForeignKey(Assessment, on_delete=models.PROTECT, related_name="pairs")
    second = models.OneToOneField(Assessment, on_delete=models.PROTECT, related_name="pair")
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+")
    scheme = models.CharField(max_length=64)
    scheme_version = models.PositiveIntegerField()
    made_at = models.DateTimeField(auto_now_add=True)
    differs = models.JSONField(default=list)  # ids of questions
    state = models.CharField(max_length=12, choices=STATES)
    review = models.OneToOneField(Review, on_delete=models.PROTECT, related_name="disagreement", null=True)
    resolved_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    resolved_at = models.DateTimeField(null=True)
    resolution = models.ForeignKey(Assessment, on_delete=models.PROTECT, related_name="+", null=True)

    class Meta:
        ordering = ("-made_at", "id")
        constraints = (
            models.CheckConstraint(condition=~Q(first=F("second")), name="a_pair_is_of_two"),
            models.CheckConstraint(
                condition=~Q(state__in=("confirmed", "revised"))
                | Q(resolved_by__isnull=False, resolved_at__isnull=False),
                name="a_person_settles_a_pair",
            ),
            models.CheckConstraint(
                condition=~Q(state="revised") | Q(resolution__isnull=False), name="a_revised_pair_has_its_revision"
            ),
        )
        indexes = (
            models.Index(fields=("state", "-made_at", "id"), name="pair_queue"),
            models.Index(fields=("scheme", "scheme_version", "made_at"), name="pair_scheme"),
        )

    def __str__(self) -> str:
        return str(self.id)
