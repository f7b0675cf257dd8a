"""Assessments: handed in, undone within ten seconds, in force after that, revised by somebody else with a reason.

What a person states is what they had before them. For near-duplicates of it the same answers are an inference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.errors import InputError, NotAllowed, WrongState
from leadline.law.assessments import Given
from leadline.law.labels import Label as LawLabel
from leadline.law.mappings import Answers, Derived
from leadline.law.terms import Confidence
from leadline.workbench import sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.laws import access as law
from leadline.workbench.review import access
from leadline.workbench.review.acts.appeals import end_contests
from leadline.workbench.review.acts.each import each
from leadline.workbench.review.acts.reaching import list_reached, undo_reach
from leadline.workbench.review.acts.reveals import end_all
from leadline.workbench.review.floors import LEASE, UNDO
from leadline.workbench.review.models import (
    APART,
    Assessment,
    Coverage,
    Draft,
    Label,
    Origin,
    Purpose,
    Review,
    Standing,
    State,
)

REVISION_REASONS = ("mistake", "new-information", "appeal", "scheme-changed", "second-opinion", "disagreement")
_AT_ONCE = 200
_derived_with: list[Any] = []  # the library of the last derivation of this process


@transaction.atomic
def hand_in(
    person: Person, review_id: Any, asset: Asset, answers: Given, labels: Sequence[str] = (), note: str = ""
) -> Assessment:
    """Store the answers whole. They count for the file `asset` as this person's statement, for the others by inference.

    labels  "scheme|version|code", as picked by the person
    Raises InputError naming the question that lacks an answer, or the label that is no code of its scheme.
    """
    review = Review.objects.select_for_update().filter(pk=review_id).first()
    if review is None or not review.is_claimed_by(person, timezone.now()):
        raise WrongState("your claim has ended", mend="claim it again: your draft is kept")
    if review.purpose in APART:
        raise WrongState("this is answered on its own page")
    if asset.pk != access.subject_of(review).pk:
        raise InputError("not the file of this card", where="asset", mend="open the card again")
    made = _store(person, review, asset, answers, labels, note)
    if review.purpose == Purpose.REVISION:
        _revise_if_other(made)
    review.state, review.decided_at = State.DECIDED.value, made.made_at
    review.claimed_by, review.lease_until = None, None
    review.save()
    end_all(person)
    if made.standing == Standing.TRIAL:
        Draft.objects.filter(review=review).delete()
        _tell_trial("golden.answered", made, person)
    else:
        _tell("assessment.made", made, person)
    return made


@transaction.atomic
def undo(person: Person, assessment_id: Any) -> Assessment:
    """Within ten seconds, by whoever handed it in: as if it had not been, with the answers back in their draft."""
    found = Assessment.objects.select_for_update().filter(pk=assessment_id, by=person)
    fresh = (Standing.PENDING.value, Standing.TRIAL.value)
    made = found.filter(standing__in=fresh, effective_at__gt=timezone.now()).first()
    if made is None:
        raise WrongState("it can no longer be undone", mend="ask a colleague to revise it")
    is_trial = made.standing == Standing.TRIAL
    made.standing = Standing.UNDONE.value
    made.save(update_fields=["standing"])
    if made.revises is not None and made.revises.review_id == made.review_id:
        # On the page of the assessment: the one it would have revised counts on, and no review was begun.
        _tell("assessment.undone", made, person)
        return made
    review = Review.objects.select_for_update().get(pk=made.review_id)
    end_all(person)
    # What they went on to waits again, its draft kept: a person has one at a time.
    Review.objects.filter(claimed_by=person, state=State.CLAIMED.value).update(
        state=State.WAITING.value, claimed_by=None, lease_until=None
    )
    review.state, review.decided_at = State.CLAIMED.value, None
    review.claimed_by, review.lease_until = person, timezone.now() + LEASE
    review.save(update_fields=["state", "decided_at", "claimed_by", "lease_until"])
    draft, _ = Draft.objects.get_or_create(review=review, person=person)
    draft.answers, draft.labels = made.answers, access.picked_of(made)
    draft.note_sealed = sealing.seal(note, f"draft-note:{draft.pk}") if (note := access.note_of(made)) else None
    draft.save()
    (_tell_trial if is_trial else _tell)("golden.undone" if is_trial else "assessment.undone", made, person)
    return made


def settle() -> int:
    """What can no longer be undone is in force; how many. A worker's duty."""
    due = Assessment.objects.filter(standing=Standing.PENDING.value, effective_at__lte=timezone.now())
    return each(due.values_list("pk", flat=True)[:_AT_ONCE], _settle)


@transaction.atomic
def _settle(assessment_id: Any) -> int:
    made = Assessment.objects.select_for_update().get(pk=assessment_id)
    if made.standing != Standing.PENDING:
        return 0
    before = Assessment.objects.filter(cluster=made.cluster, standing=Standing.IN_FORCE.value)
    replaced = [] if made.revises is None else list(before)  # not what it revises, where another revision was first
    if made.revises is None and (before.exists() or _checks_only(made)):
        # Only a revision takes the place of what is in force, since only that lists and undoes what it led to. Second
        # opinions, samples, and an appeal's review that came to the same stand beside it: whether they agree is for the
        # page of disagreements.
        made.standing = Standing.SUPERSEDED.value
    else:
        before.update(standing=Standing.SUPERSEDED.value)
        made.standing = Standing.IN_FORCE.value
        assessed = made.coverage.filter(origin=Origin.ASSESSED.value).select_related("asset").first()
        cover(made, assessed.asset if assessed else made.cluster.centre)  # also what joined meanwhile
    for old in replaced:
        list_reached(old)
        undo_reach(Actor.of_person(made.by), old)
    made.save(update_fields=["standing"])
    end_contests(made)
    Draft.objects.filter(review=made.review).delete()
    act = "assessment.in-force" if made.standing == Standing.IN_FORCE else "assessment.beside"
    cluster = {"cluster": str(made.cluster_id)}
    record(act, actor=SYSTEM, object_kind="assessment", object_id=str(made.pk), details=cluster)
    return 1


def _checks_only(made: Assessment) -> bool:
    """A sample of a cluster that waits for a decision, or has one that can still be undone."""
    decisions = made.cluster.reviews.filter(purpose=Purpose.DECISION.value)
    return made.review.purpose == Purpose.SAMPLE and decisions.exclude(state=State.SET_ASIDE.value).exists()


@transaction.atomic
def revise(
    person: Person, assessment_id: Any, reason: str, answers: Given, labels: Sequence[str] = (), note: str = "", *,
    asset: Asset | None = None,
) -> Assessment:  # fmt: skip
    """Other answers, by somebody else than the author, with a reason. What the old ones led to is undone with it.

    asset   that they had before them, where it is another of the cluster than the one assessed first
    """
    if reason not in REVISION_REASONS:
        raise InputError("no such reason", where="reason", mend=", ".join(REVISION_REASONS))
    old = Assessment.objects.select_for_update().get(pk=assessment_id)
    if old.standing != Standing.IN_FORCE:
        raise WrongState("it does not count any more", mend="revise the one that does")
    if old.by_id == person.pk:
        raise NotAllowed("somebody else revises it", mend="ask a colleague")
    if old.revisions.filter(standing=Standing.PENDING.value).exists():
        raise WrongState("somebody revises it just now", mend="look again in a moment, and revise what counts then")
    if asset is None:
        assessed = old.coverage.filter(origin=Origin.ASSESSED.value).select_related("asset").first()
        asset = assessed.asset if assessed else old.cluster.centre
    made = _store(person, old.review, asset, answers, labels, note, kept=access.picked_of(old))
    made.revises, made.reason = old, reason
    made.save(update_fields=["revises", "reason"])
    record(
        "assessment.revised", actor=str(person.pk), object_kind="assessment", object_id=str(made.pk), reason=reason,
        details={"before": str(old.pk), "cluster": str(old.cluster_id)},
    )  # fmt: skip
    return made


def _revise_if_other(made: Assessment) -> None:
    """Of an appeal: the same answers and codes let the assessment stand, any other revise it."""
    old = Assessment.objects.filter(cluster=made.cluster, standing=Standing.IN_FORCE.value).first()
    if old is None or _stated(old) == _stated(made):
        return
    made.revises, made.reason = old, "appeal"
    made.save(update_fields=["revises", "reason"])
    record(
        "assessment.revised", actor=str(made.by_id), object_kind="assessment", object_id=str(made.pk), reason="appeal",
        details={"before": str(old.pk), "cluster": str(old.cluster_id)},
    )  # fmt: skip


def _stated(made: Assessment) -> tuple[Any, ...]:
    answers = {question: sorted(codes) for question, codes in made.answers.items()}
    return made.scheme, answers, set(access.picked_of(made))


def _store(
    person: Person, review: Review, asset: Asset, answers: Given, labels: Sequence[str], note: str, *,
    kept: Sequence[str] = (),
) -> Assessment:  # fmt: skip
    """kept: codes that were picked before, and stay what they were also where their scheme is loaded no more."""
    library = law.library()
    scheme = library.assessments.newest(access.facts_scheme())
    given = {question: list(codes) for question, codes in answers.items() if codes}
    scheme.check(given)
    if missing := scheme.missing(given):
        raise InputError("a question has no answer", where=missing[0].id, mend="answer it, or skip the review")
    chosen = [LawLabel(*text.split("|")) if text in kept else _read_label(library, text) for text in labels]
    now = timezone.now()
    made = Assessment(
        review=review, cluster=review.cluster, by=person, made_at=now, effective_at=now + UNDO,
        scheme=scheme.id, scheme_version=scheme.version, answers=given,
    )  # fmt: skip
    made.note_sealed = sealing.seal(note, f"assessment-note:{made.pk}") if note.strip() else None
    if review.purpose == Purpose.GOLDEN:
        made.standing = Standing.TRIAL.value  # from the start: never pending, so it never counts for a file
    made.save(force_insert=True)
    for one in dict.fromkeys(chosen):
        Label.objects.create(assessment=made, scheme=one.scheme, version=one.version, code=one.code)
    _derive(made, chosen, Answers(scheme.id, scheme.version, given), library)
    if made.standing != Standing.TRIAL:
        cover(made, asset)
    return made


def _read_label(library: Any, text: str) -> LawLabel:
    parts = text.split("|")
    if len(parts) != 3:
        raise InputError("no label", where="labels", mend="scheme|version|code")
    found: LawLabel = library.labels.choose(*parts)
    return found


def _inferred(chosen: Sequence[LawLabel], answers: Answers, library: Any) -> list[Derived]:
    """What published mappings make of these, each code once: of several ways to it the surest is what it stands on."""
    found: dict[LawLabel, Derived] = {}
    for one in sorted(library.mappings.derive(chosen, [answers]), key=_doubt):
        found.setdefault(one.label, one)
    return list(found.values())


def _doubt(one: Derived) -> tuple[int, bool]:
    return list(Confidence).index(one.confidence), one.lossy


def _derive(made: Assessment, chosen: Sequence[LawLabel], answers: Answers, library: Any) -> None:
    for one in _inferred(chosen, answers, library):
        Label.objects.create(
            assessment=made, scheme=one.label.scheme, version=one.label.version, code=one.label.code, is_derived=True,
            mapping=one.mapping, mapping_version=one.mapping_version, source=one.source[:300],
            confidence=str(one.confidence), lossy=one.lossy,
        )  # fmt: skip


def cover(made: Assessment, asset: Asset) -> None:
    """The file before the person is assessed; every other of the cluster is covered by inference, with its distance."""
    rows = [
        Coverage(
            assessment=made, asset_id=member.asset_id, distance=member.distance,
            origin=Origin.ASSESSED.value if member.asset_id == asset.pk else Origin.PROPAGATED.value,
        )
        for member in made.cluster.members.all()
    ]  # fmt: skip
    Coverage.objects.bulk_create(rows, ignore_conflicts=True)


def derive_again() -> int:
    """After a scheme or mapping changed: derived labels that differ now end, and the new ones stand beside; how many.

    What a person chose never changes. History is kept: an ended label stays readable.
    """
    library, changed = law.library(), 0
    if _derived_with and _derived_with[0] is library:  # the same files as last time: nothing can differ
        return 0
    _derived_with[:] = [library]
    counting = (Standing.IN_FORCE.value, Standing.PENDING.value)  # these will be in force
    for made in Assessment.objects.filter(standing__in=counting).prefetch_related("labels").iterator(500):
        changed += _derive_again(made, library)
    return changed


@transaction.atomic
def _derive_again(made: Assessment, library: Any) -> int:
    live = [label for label in made.labels.all() if label.ended_at is None]
    chosen = [LawLabel(one.scheme, one.version, one.code) for one in live if not one.is_derived]
    answers = Answers(made.scheme, made.scheme_version, made.answers)
    now = {
        (d.label.scheme, d.label.version, d.label.code, d.mapping, d.mapping_version)
        for d in _inferred(chosen, answers, library)
    }
    before = {(o.scheme, o.version, o.code, o.mapping, o.mapping_version) for o in live if o.is_derived}
    if now == before:
        return 0
    made.labels.filter(is_derived=True, ended_at__isnull=True).update(ended_at=timezone.now())
    _derive(made, chosen, answers, library)
    record(
        "labels.derived-again", actor=SYSTEM, object_kind="assessment", object_id=str(made.pk),
        details={"ended": len(before - now), "new": len(now - before)},
    )  # fmt: skip
    return 1


def _tell(act: str, made: Assessment, person: Person) -> None:
    record(
        act, actor=str(person.pk), object_kind="assessment", object_id=str(made.pk),
        details={"review": str(made.review_id), "scheme": made.scheme, "version": made.scheme_version},
    )  # fmt: skip


def _tell_trial(act: str, made: Assessment, person: Person) -> None:
    record(act, actor=str(person.pk), object_kind="review", object_id=str(made.review_id))
