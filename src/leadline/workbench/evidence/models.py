"""Rows of assets, what was computed of them, what the banks said of them, and exhibits. Holds no byte of any file."""

from __future__ import annotations

import uuid
from enum import StrEnum

from django.db import models
from django.db.models import F, Q

from leadline.domain import EXACT_ALGORITHMS, Fingerprints, PdqFamily, Tlp, ViewHashes
from leadline.workbench.accounts.models import Person
from leadline.workbench.permissions import Sensitivity
from leadline.workbench.sealing import SealedField

PDQ_HEX = 64


class MediaMode(StrEnum):
    """What the office does with the bytes of a file. Without a decision: hash and discard."""

    REFUSE = "refuse"
    HASH_AND_DISCARD = "hash-and-discard"
    KEEP = "keep"


class AssetState(StrEnum):
    KEPT = "kept"  # sealed in the vault
    DISCARDED = "discarded"  # hashed in memory; never written
    ERASED = "erased"  # was kept; its data key is destroyed


class TaskKind(StrEnum):
    NEW_HIT = "new-hit"
    WITHDRAWN = "withdrawn"


class ExhibitState(StrEnum):
    REQUESTED = "requested"
    REFUSED = "refused"
    RELEASED = "released"  # by a second person; the bag is being built
    READY = "ready"
    FAILED = "failed"
    RECEIVED = "received"  # its recipient has said so


def _choices(words: type[StrEnum]) -> list[tuple[str, str]]:
    return [(word.value, word.value) for word in words]


class Asset(models.Model):
    """One file, named by its SHA-256. `verdict` and `inferred_*` are what banks suggest: never a statement."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sha256 = models.CharField(max_length=64, unique=True)
    sha1 = models.CharField(max_length=40, db_index=True)
    md5 = models.CharField(max_length=32, db_index=True)
    size_bytes = models.BigIntegerField()
    mime = models.CharField(max_length=80)
    width = models.PositiveIntegerField(default=0)
    height = models.PositiveIntegerField(default=0)
    frames = models.PositiveIntegerField(default=1)
    pdq = models.CharField(max_length=PDQ_HEX, blank=True, db_index=True)  # of its first view, to be read and searched
    quality = models.PositiveSmallIntegerField(null=True)
    partial = models.BooleanField(default=False)
    fault = models.CharField(max_length=64, blank=True)  # why it was not decoded: a code
    sensitivity = models.IntegerField(
        choices=[(int(s), s.name.lower()) for s in Sensitivity], default=int(Sensitivity.SENSITIVE)
    )
    tlp = models.CharField(max_length=12, choices=_choices(Tlp), default=Tlp.AMBER_STRICT.value)
    state = models.CharField(max_length=12, choices=_choices(AssetState))
    source = models.CharField(max_length=64)
    name_sealed = SealedField(null=True)
    received_at = models.DateTimeField()
    retain_until = models.DateTimeField(null=True)
    on_hold = models.BooleanField(default=False)
    erased_at = models.DateTimeField(null=True)
    verdict = models.CharField(max_length=12, default="unknown")  # domain.Verdict
    inferred_kind = models.CharField(max_length=16, blank=True)  # domain.Kind
    inferred_scheme = models.CharField(max_length=200, blank=True)
    inferred_label = models.CharField(max_length=200, blank=True)
    inferred_from = models.CharField(max_length=200, blank=True)  # the bank whose entry says so
    inferred_red = models.BooleanField(default=False)  # TLP:RED: scheme and label are not for everybody
    is_set_aside = models.BooleanField(default=False)  # known: nobody needs to see it
    let_out_at = models.DateTimeField(null=True, db_index=True)  # when it last ceased to be set aside

    class Meta:
        ordering = ("-received_at", "-id")
        indexes = (
            models.Index(fields=("-received_at", "-id")),
            models.Index(fields=("state", "-received_at", "-id")),
            models.Index(fields=("verdict", "-received_at", "-id")),
            models.Index(fields=("inferred_kind", "-received_at", "-id")),
            # Lists of reviews ask for the files that somebody may not see: few, among all.
            models.Index(fields=("sensitivity",), name="assets_by_sensitivity"),
            models.Index(fields=("tlp",), name="assets_by_tlp"),
            models.Index(
                fields=("retain_until",), condition=Q(state="kept", on_hold=False), name="assets_that_expire"
            ),
            # The team's page counts them by when they came and what they are, without a look at the rows.
            models.Index(
                fields=("received_at", "mime"), condition=Q(is_set_aside=True), name="assets_set_aside_by_type"
            ),
        )

    def __str__(self) -> str:
        return str(self.id)

    @property
    def fingerprints(self) -> Fingerprints:
        """All that was computed of it: enough to match it again without its bytes."""
        exact = {name: bytes.fromhex(getattr(self, name)) for name in EXACT_ALGORITHMS}
        return Fingerprints(exact, tuple(view.hashes for view in self.views.all()))


class AssetView(models.Model):
    """The perceptual hashes of one view of an asset: 32 bytes a transform, one after the other."""

    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="views")
    view = models.CharField(max_length=40)
    family = models.CharField(max_length=1)
    quality = models.PositiveSmallIntegerField()
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    pdq = models.BinaryField()
    others = models.JSONField(default=dict)  # plug-in's name -> hex

    class Meta:
        ordering = ("id",)

    @property
    def hashes(self) -> ViewHashes:
        joined = bytes(self.pdq)
        return ViewHashes(
            view=self.view,
            family=PdqFamily(self.family),
            pdq=tuple(joined[at : at + 32] for at in range(0, len(joined), 32)),
            quality=self.quality,
            width=self.width,
            height=self.height,
            others={name: bytes.fromhex(value) for name, value in self.others.items()},
        )


class AssetMatch(models.Model):
    """A fingerprint of an asset met an entry of a bank; undone, never deleted, when the entry is withdrawn."""

    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="matches")
    bank = models.CharField(max_length=200)
    entry = models.BigIntegerField()
    kind = models.CharField(max_length=16)
    algorithm = models.CharField(max_length=40)
    distance = models.FloatField()
    threshold = models.FloatField()
    transform = models.CharField(max_length=16)
    view = models.CharField(max_length=40)
    family = models.CharField(max_length=1, blank=True)
    scheme = models.CharField(max_length=200, blank=True)
    label = models.CharField(max_length=200, blank=True)  # an inference
    suppressed_by = models.CharField(max_length=240, blank=True)
    is_red = models.BooleanField(default=False)  # bank or entry is TLP:RED: `access` keeps it from who may not see it
    list_version = models.BigIntegerField()
    found_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("withdrawn_at", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("asset", "bank", "entry", "algorithm"),
                condition=Q(withdrawn_at__isnull=True),
                name="one_live_match_of_an_entry",
            ),
        )
        indexes = (models.Index(fields=("bank", "entry"), condition=Q(withdrawn_at__isnull=True), name="live_matches"),)


class Task(models.Model):
    """Something about an asset that a person should look into."""

    kind = models.CharField(max_length=12, choices=_choices(TaskKind))
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="tasks")
    bank = models.CharField(max_length=200)
    is_red = models.BooleanField(default=False)  # the name of the bank is not for everybody
    made_at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True)
    done_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("kind", "asset", "bank"), condition=Q(done_at__isnull=True), name="one_open_task_of_a_kind"
            ),
        )
        indexes = (models.Index(fields=("-id",), condition=Q(done_at__isnull=True), name="open_tasks"),)


class BankSeen(models.Model):
    """Up to which state of a bank (banks.access.state_of) every held asset has been matched, and when.

    `announced` runs ahead while a change is worked through, so that what is taken in meanwhile asks the newer list.
    """

    bank = models.CharField(max_length=200, primary_key=True)
    announced = models.CharField(max_length=160, blank=True)  # a state; "": none, it is away
    state = models.CharField(max_length=160, blank=True)  # "": from the beginning
    list_version = models.BigIntegerField()  # of that state, for people; -1: none
    settings = models.CharField(max_length=80)  # TLP, radius, quality floor, kinds of fingerprints
    seen_at = models.DateTimeField()


class WrappedSecret(models.Model):
    """A secret for one purpose, under the instance key: worth nothing without it, and the same when it changes."""

    purpose = models.CharField(max_length=80, primary_key=True)
    wrapped = models.BinaryField()


class Exhibit(models.Model):
    """What leaves for a court: asked for by one person, released by another, received by its recipient."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=12, choices=_choices(ExhibitState), default=ExhibitState.REQUESTED.value)
    reference = models.CharField(max_length=200, blank=True)  # the recipient's own number
    recipient = models.CharField(max_length=200)
    recipient_key = models.CharField(max_length=200, blank=True)  # age1...; without it no file is enclosed
    reason = models.CharField(max_length=64)
    requested_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    decided_at = models.DateTimeField(null=True)
    is_alone = models.BooleanField(default=False)  # a one-person office: nobody else could decide
    line = models.BigIntegerField(null=True)  # the last line of the chain that it holds
    manifest_sha512 = models.CharField(max_length=128, blank=True)
    size_bytes = models.BigIntegerField(null=True)
    fault = models.CharField(max_length=64, blank=True)
    received_at = models.DateTimeField(null=True)
    receipt_sha256 = models.CharField(max_length=64, blank=True)  # of the recipient's confirmation
    receipt_noted_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", null=True)
    sensitivity = models.IntegerField(default=int(Sensitivity.SENSITIVE))  # the greatest of its assets
    assets = models.ManyToManyField(Asset, related_name="exhibits")

    class Meta:
        ordering = ("-requested_at", "-id")
        indexes = (models.Index(fields=("-requested_at", "-id")),)
        constraints = (
            models.CheckConstraint(
                condition=~Q(state__in=["released", "ready", "received"]) | Q(decided_by__isnull=False),
                name="a_released_exhibit_was_decided",
            ),
            models.CheckConstraint(
                condition=~Q(decided_by=F("requested_by"))
                | Q(decided_by__isnull=True)
                | Q(is_alone=True)
                | Q(state=ExhibitState.REFUSED.value),
                name="another_person_releases_an_exhibit",
            ),
        )
