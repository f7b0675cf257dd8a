"""The only reads of review on behalf of a person. What a person may not see is as if it were not there."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext

from leadline.errors import InputError
from leadline.workbench import sealing
from leadline.workbench.accounts.access import office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cursors import Slice
from leadline.workbench.evidence.access import find_asset, matches_of, visible_through
from leadline.workbench.evidence.access import page_of as slice_of
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.access import visible_lines
from leadline.workbench.laws.access import LawBeside, law_beside, library
from leadline.workbench.permissions import ROLE_PERMISSIONS, Permission
from leadline.workbench.reports.access import countries_of, find_report, sent_at_of, visible_reports
from leadline.workbench.reports.models import Item
from leadline.workbench.review import scenes
from leadline.workbench.review.floors import (
    BREAK,
    LAST_STRETCH,
    LOW_SEVERITY,
    MOST,
    TOLD_AFTER,
    WORK_AT_MOST,
    Floors,
    covered_share,
)
from leadline.workbench.review.models import (
    APART,
    UNTOLD,
    Assessment,
    CheckIn,
    Cluster,
    Coverage,
    Draft,
    Exposure,
    Level,
    Member,
    Never,
    Origin,
    Outcome,
    Purpose,
    Reach,
    Review,
    Shift,
    Standing,
    State,
    Wish,
)
from leadline.workbench.review.scenes import Scene
from leadline.workbench.words import word

FLOOR_PREFIX = "review-"
CLUSTER_RADIUS, SAMPLE_SHARE, LABEL_SCHEMES = "review-cluster-radius", "review-sample-share", "review-label-schemes"
FACTS_SCHEME, APPEAL_DAYS = "review-facts-scheme", "review-appeal-days"
DEFAULT_RADIUS_BITS, DEFAULT_SAMPLE_PER_MILLE, DEFAULT_FACTS_SCHEME = 31, 10, "leadline-facts"
DEFAULT_APPEAL_DAYS = 14  # the office's own term: no law that we read names a number
MOST_DERIVED_ANEW = 100  # assessments of which the difference is listed
MOST_LISTED = 200  # files of one cluster on a page
FEWEST = 3  # people whose numbers may be shown as a team's
OPEN = (State.WAITING, State.CLAIMED, State.HELD, State.ESCALATED)
SECOND = (Purpose.SECOND_OPINION.value, Purpose.DOUBLE.value)
# Whose card does not say what others answered.
BLIND = (Purpose.SECOND_OPINION, Purpose.REVISION, Purpose.SAMPLE, *UNTOLD, *APART)
_NO_DECISIONS = (Standing.UNDONE.value, Standing.TRIAL.value)
OF_GOLDEN = (Purpose.GOLDEN.value, Purpose.REFERENCE.value)


# --- what the office and the person set ------------------------------------------------------------------------------


def office_floors() -> Floors:
    bound, said = Floors(), {}
    for name in ("reveal_seconds", "tile_edge_px", "daily_minutes"):
        said[name] = int(office_setting(FLOOR_PREFIX + name, str(getattr(bound, name))))
    said["blur_share"] = float(office_setting(FLOOR_PREFIX + "blur_share", str(bound.blur_share)))  # type: ignore[assignment]
    for name in ("allow_whole", "allow_colour"):
        said[name] = office_setting(FLOOR_PREFIX + name, "yes") == "yes"
    return bound.stricter(Floors(**said))  # type: ignore[arg-type]


def wish_of(person: Person) -> Wish:
    return Wish.objects.filter(person=person).first() or Wish(person=person)


def floors_of(person: Person) -> Floors:
    """The office's floor, and in each thing the person's wish where it is more careful."""
    wish = wish_of(person)
    own = Floors(
        wish.blur_share, wish.tile_edge_px, wish.reveal_seconds, wish.allow_whole, wish.allow_colour, wish.daily_minutes
    )
    return office_floors().stricter(own)


def cluster_radius() -> int:
    return int(office_setting(CLUSTER_RADIUS, str(DEFAULT_RADIUS_BITS)))


def sample_per_mille() -> int:
    return int(office_setting(SAMPLE_SHARE, str(DEFAULT_SAMPLE_PER_MILLE)))


def facts_scheme() -> str:
    return office_setting(FACTS_SCHEME, DEFAULT_FACTS_SCHEME)


def appeal_days() -> int:
    return int(office_setting(APPEAL_DAYS, str(DEFAULT_APPEAL_DAYS)))


def label_schemes() -> list[str]:
    return [name for name in office_setting(LABEL_SCHEMES, "").split(",") if name]


# --- shifts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Work:
    """Where a person's shift stands.

    break_due    50 minutes without a break: nothing new is handed out
    break_until  a break runs until then
    spent        seconds of looking today, weighed; of `budget`
    low_only     the last half hour of the shift
    """

    shift: Shift | None
    break_due: bool = False
    break_until: datetime | None = None
    spent: float = 0.0
    budget: float = 0.0
    low_only: bool = False

    @property
    def is_over(self) -> bool:
        return self.spent >= self.budget

    @property
    def may_look(self) -> bool:
        return self.shift is not None and self.break_until is None and not self.is_over

    @property
    def may_claim(self) -> bool:
        return self.shift is not None and self.break_until is None and not self.break_due


def work_of(person: Person, now: datetime | None = None) -> Work:
    now = now or timezone.now()
    shift = Shift.objects.filter(person=person, ended_at__isnull=True).first()
    if shift is not None and is_over(shift, now):
        shift = None
    budget = 60.0 * floors_of(person).daily_minutes
    spent = spent_today(person, now)
    if shift is None:
        return Work(None, spent=spent, budget=budget)
    ends = shift.break_began_at + BREAK if shift.break_began_at else None
    return Work(
        shift,
        break_due=now - shift.works_since(now) >= WORK_AT_MOST,
        break_until=ends if ends and ends > now else None,
        spent=spent,
        budget=budget,
        low_only=now >= shift.began_at + timedelta(minutes=shift.planned_minutes) - LAST_STRETCH,
    )


def is_over(shift: Shift, now: datetime) -> bool:
    """One that nobody ended ends half an hour after its time."""
    return now >= shift.began_at + timedelta(minutes=shift.planned_minutes) + LAST_STRETCH


def spent_today(person: Person, now: datetime) -> float:
    since = now.replace(hour=0, minute=0, second=0, microsecond=0)
    rows = Exposure.objects.filter(person=person, issued_at__gte=since).exclude(level=Level.TILE.value)
    return sum(row.cost for row in rows)


# --- the queue -------------------------------------------------------------------------------------------------------


def visible_reviews(actor: Actor) -> QuerySet[Review]:
    """Only where every file of the cluster may be seen: by its own sensitivity and TLP, or by a grant on it."""
    hidden = Member.objects.filter(~visible_through(actor, "asset"), cluster=OuterRef("cluster"))
    others = Q(reserved_for__isnull=False) & ~Q(reserved_for=actor.person)
    found = Review.objects.filter(~others, ~Exists(hidden))
    return found.select_related("cluster__centre", "subject", "claimed_by", "assigned_to")


def queue(actor: Actor) -> QuerySet[Review]:
    """What may be claimed by this person, most urgent first; their own claim among it."""
    now, person = timezone.now(), actor.person
    # By what is not wished for: a planner that is told which states are read would sort all of them, and not read the
    # index of what is open in its order.
    taken = Q(state=State.CLAIMED.value, lease_until__gt=now) | Q(state=State.HELD.value, held_until__gt=now)
    if not actor.may(Permission.REVIEW_LEAD):
        taken |= Q(state=State.ESCALATED.value)
    mine = Q(assigned_to__isnull=True) | Q(assigned_to=person) | Q(assigned_to__is_active=False)
    if actor.may(Permission.REVIEW_LEAD):
        mine |= Q(assigned_to__isnull=False)  # what lies with somebody who does not come is not lost
    mine |= Q(purpose=Purpose.SAMPLE.value)  # for all volunteers, whomever given: nobody is told who is one
    wish = wish_of(person)
    skipped = Q(skips__person=person) | Q(category__in=wish.opted_out)
    if not wish.is_volunteer:
        skipped |= Q(purpose=Purpose.SAMPLE.value)
    seen = Member.objects.filter(cluster=OuterRef("cluster"), asset__in=_never(person))
    found = visible_reviews(actor).filter(~taken, mine, is_open=True).exclude(skipped).filter(~Exists(seen))
    found = found.exclude(purpose__in=[purpose.value for purpose in APART])
    # A second opinion is somebody else's, whichever of the two is decided first. Each asks from its own row: a join is
    # planned from all that this person ever decided, anew for every review.
    written = Assessment.objects.filter(by=person)
    again = Review.objects.filter(Exists(written.filter(review=OuterRef("pk"))), of=OuterRef("pk"))
    found = found.filter(~(Q(purpose__in=SECOND) & Q(Exists(written.filter(review=OuterRef("of"))))))
    found = found.filter(~(Q(purpose=Purpose.DECISION.value) & Q(Exists(again))))
    # An appeal is decided by nobody who decided before, and nobody checks a sample of what they decided themselves.
    others = Q(purpose__in=[Purpose.REVISION.value, Purpose.SAMPLE.value])
    return found.filter(~(others & Q(Exists(written.filter(cluster=OuterRef("cluster"))))))


def has_assessed(person: Person, cluster_id: Any) -> bool:
    """Whether this person is an author of what was ever stated about a cluster."""
    stated = Assessment.objects.filter(cluster=cluster_id, by=person).exclude(standing=Standing.UNDONE.value)
    return stated.exists()


def _never(person: Person) -> QuerySet[Never, Any]:
    return Never.objects.filter(Q(person=person) | Q(person__isnull=True)).values_list("asset", flat=True)


def narrowed(reviews: QuerySet[Review], work: Work) -> QuerySet[Review]:
    return reviews.filter(severity__lte=LOW_SEVERITY) if work.low_only else reviews


def page_of(reviews: QuerySet[Review], cursor: str) -> Slice:
    return slice_of(reviews, ("rank", "received_at", "id"), cursor, "review")


def find_review(actor: Actor, review_id: Any) -> Review | None:
    return visible_reviews(actor).filter(pk=review_id).first()


def claimed_by(actor: Actor) -> Review | None:
    mine = visible_reviews(actor).filter(claimed_by=actor.person, state=State.CLAIMED.value)
    mine = mine.exclude(purpose__in=[purpose.value for purpose in APART])
    return mine.filter(lease_until__gt=timezone.now()).first()


def subject_of(review: Review) -> Asset:
    """The file that a person decides by: the one that was asked about, else the nearest to the centre that is not
    known already and can be shown.
    """
    if review.subject is not None:
        return review.subject
    if review.purpose == Purpose.REVISION and (contested := _contested_file(review)) is not None:
        return contested
    members = review.cluster.members.select_related("asset").order_by("distance", "id")
    unknown = [member.asset for member in members.filter(asset__is_set_aside=False)[:200]]
    shown = [asset for asset in unknown if scenes.has_picture(asset)]
    return next(iter([*shown, *unknown]), review.cluster.centre)


def _contested_file(review: Review) -> Asset | None:
    """The very file that the contested assessment speaks of, known to lists by now or not."""
    spoken = Coverage.objects.filter(assessment__contests__review=review, origin=Origin.ASSESSED.value)
    first = spoken.select_related("asset").order_by("id").first()
    return first.asset if first is not None else None


def differing(cluster: Cluster, centre: Asset) -> QuerySet[Member]:
    """Members that are not just the centre again, the farthest first: one decision for all of them should know."""
    same = Q(
        distance=0, asset__width=centre.width, asset__height=centre.height, asset__partial=centre.partial,
        asset__frames=centre.frames, asset__mime=centre.mime,
    )  # fmt: skip
    found = cluster.members.exclude(asset=centre).exclude(same)
    return found.select_related("asset").order_by("-distance", "id")


def _differs_in(member: Member, centre: Asset) -> list[str]:
    asset, told = member.asset, []
    if member.distance:
        told.append("distance")
    if (asset.width, asset.height) != (centre.width, centre.height):
        told.append("size")
    if asset.partial != centre.partial:
        told.append("partial")
    if asset.frames != centre.frames or asset.mime != centre.mime:
        told.append("type")
    return told


@dataclass(frozen=True, slots=True)
class NearFile:
    """A file that another one's decision counts for, with the facts by which a person can judge whether it should.

    differs  in what, from the file that the decision is made by
    is_late  it came after that was made
    """

    asset: Asset
    distance: int
    transform: str
    differs: list[str]
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """All that stands beside the picture: facts, what others said, how often it was reported. No picture.

    cut    how many of the files that differ are listed, where there are more
    """

    review: Review
    subject: Asset
    differing: list[NearFile]
    cut: int
    matches: list[Any]
    reports: list[Any]
    earlier: list[Assessment]
    draft: Draft | None
    note: str


def card_of(actor: Actor, review: Review) -> Card:
    items = Item.objects.filter(asset__membership__cluster=review.cluster)
    reported = visible_reports(actor).filter(pk__in=items.values("report"))
    earlier = Assessment.objects.filter(cluster=review.cluster).exclude(standing__in=_NO_DECISIONS)
    if review.purpose in BLIND:
        earlier = earlier.none()  # what was said before is not told
    draft = Draft.objects.filter(review=review, person=actor.person).first()
    note = sealing.unseal(bytes(draft.note_sealed), f"draft-note:{draft.pk}") if draft and draft.note_sealed else ""
    subject = subject_of(review)
    listed, cut = _cut(differing(review.cluster, subject))
    return Card(
        review,
        subject,
        [NearFile(one.asset, one.distance, one.transform, _differs_in(one, subject)) for one in listed],
        cut,
        list(matches_of(actor, subject)[:20]),
        list(reported.order_by("-urgency", "id")[:20]),
        list(earlier.select_related("by").prefetch_related("labels")),
        draft,
        note,
    )


def _cut(rows: QuerySet[Any]) -> tuple[list[Any], int]:
    """The first rows, and how many they are where there are more; 0: these are all."""
    found = list(rows[: MOST_LISTED + 1])
    return found[:MOST_LISTED], MOST_LISTED if len(found) > MOST_LISTED else 0


def law_of(card: Card) -> LawBeside:
    """For the countries of the reports that this person sees; periods run from the first report of its files, and from
    when those seen went on."""
    items = Item.objects.filter(asset__membership__cluster=card.review.cluster)
    first = items.aggregate(first=Min("report__received_at"))["first"]
    received = min(first, card.review.received_at) if first else card.review.received_at
    return law_beside(received, sent_at=sent_at_of(card.reports), others=countries_of(card.reports))


def forewarning(card: Card) -> list[str]:
    """One line of words before anything is shown: what it is, and what banks and reporters said of it."""
    centre = card.subject
    told = [centre.mime, sound_of(centre), word(card.review.category, "category")]
    live = [match for match in card.matches if not match.withdrawn_at and not match.suppressed_by]
    kinds = {(word(match.kind, "kind"), match.label) for match in live}
    told += sorted(f"{kind}: {label}" if label else kind for kind, label in kinds)
    told += sorted({word(code, "urgency") for report in card.reports for code in report.urgency_ticks})
    return told


def sound_of(asset: Asset) -> str:
    """Pictures have none; whether a film has any is not known before films are opened."""
    return gettext("sound: unknown") if scenes.is_timed(asset) else gettext("no sound")


def note_of(assessment: Assessment) -> str:
    if not assessment.note_sealed:
        return ""
    return sealing.unseal(bytes(assessment.note_sealed), f"assessment-note:{assessment.pk}")


def picked_of(assessment: Assessment) -> list[str]:
    """The official codes that its author picked, each as "scheme|version|code"."""
    rows = assessment.labels.filter(is_derived=False)
    return [f"{label.scheme}|{label.version}|{label.code}" for label in rows]


def is_apart(review: Review) -> bool:
    return review.purpose in APART


def find_member(review: Review, asset_id: Any) -> Asset | None:
    try:
        asked = uuid.UUID(str(asset_id))
    except ValueError:
        return None
    member = review.cluster.members.filter(asset=asked).select_related("asset").first()
    return member.asset if member else None


def find_assessment(actor: Actor, assessment_id: Any) -> Assessment | None:
    found = Assessment.objects.filter(pk=assessment_id).select_related("review", "cluster__centre", "by").first()
    if found is None or find_review(actor, found.review_id) is None:
        return None
    # A lead may read what a second person is being asked untold: `acts.apart.note_read` takes them out of it.
    also_double = not actor.may(Permission.REVIEW_LEAD)
    is_others = found.by_id != actor.person.pk
    if is_others and found.cluster_id in set(_asked_again(also_double=also_double)):
        return None
    if is_others and _handed(actor.person).filter(cluster=found.cluster_id).exists():
        return None
    return None if _decides_anew(actor.person).filter(cluster=found.cluster_id).exists() else found


def assessments(actor: Actor) -> QuerySet[Assessment]:
    """Those that count now, newest first, of clusters that this person may see; for a day their trials among them."""
    visible, now = Exists(visible_reviews(actor).order_by().filter(cluster=OuterRef("cluster"))), timezone.now()
    untold = Q(by=actor.person, standing=Standing.TRIAL.value, effective_at__lte=now, made_at__gt=now - TOLD_AFTER)
    # Each asks for its own: SQLite would make a list of all reviews that are seen, also for one assessment.
    found = Assessment.objects.filter(Q(visible, standing=Standing.IN_FORCE.value) | untold)
    found = found.exclude(untold_to(actor.person))
    return found.select_related("by", "cluster__centre").prefetch_related("labels").order_by("-made_at", "-id")


def assessments_page(actor: Actor, cursor: str) -> Slice:
    return slice_of(assessments(actor), ("-made_at", "-id"), cursor, "assessments")


@dataclass(frozen=True, slots=True)
class DerivedAnew:
    """What a changed scheme or mapping made of an assessment: the codes that ended with it, and those that stand."""

    made: Assessment
    at: datetime
    before: list[Any]
    after: list[Any]


def derived_anew(actor: Actor) -> list[DerivedAnew]:
    """Assessments that this person may see, whose derived codes changed last; newest first."""
    lines = visible_lines(act="labels.derived-again")[:MOST_DERIVED_ANEW]
    last: dict[str, datetime] = {}
    for line in lines:
        last.setdefault(line.object_id, datetime.fromisoformat(line.at))
    found = {str(made.pk): made for made in assessments(actor).filter(pk__in=list(last))}
    return [_difference(found[made_id], at) for made_id, at in last.items() if made_id in found]


def _difference(made: Assessment, at: datetime) -> DerivedAnew:
    derived = [label for label in made.labels.all() if label.is_derived]
    ended_at = max((label.ended_at for label in derived if label.ended_at is not None), default=None)
    before = [label for label in derived if label.ended_at is not None and label.ended_at == ended_at]
    return DerivedAnew(made, at, before, [label for label in derived if label.ended_at is None])


@dataclass(frozen=True, slots=True)
class Told:
    """All that an assessment says, for a page: answers in words of their scheme, labels with what they stand on.

    propagated    the farthest first
    cut           how many of these are listed, where there are more
    """

    answers: list[tuple[str, list[str]]]
    labels: list[Any]
    note: str
    assessed: list[Any]
    propagated: list[NearFile]
    cut: int
    seen: str
    history: list[Assessment]
    reached: list[Reach]
    outcomes: list[Outcome]


def told_of(made: Assessment) -> Told:
    covered = made.coverage.select_related("asset__membership").order_by("-distance", "id")
    assessed = list(covered.filter(origin=Origin.ASSESSED.value))
    if made.standing == Standing.TRIAL and made.review.subject is not None:  # it covers no file, and looks as if it did
        assessed = [Coverage(assessment=made, asset=made.review.subject, origin=Origin.ASSESSED.value)]
    propagated, cut = _cut(covered.filter(origin=Origin.PROPAGATED.value))
    return Told(
        _answers_of(made),
        list(made.labels.all()),
        note_of(made),
        assessed,
        [_near(one, made, assessed) for one in propagated],
        cut,
        seen_of(assessed[0].asset) if assessed else Seen.NOT,
        list(_history_of(made).select_related("by")[:50]),
        list(made.reached.select_related("proposal", "undone_by")),
        list(_outcomes_beside(made)[:50]),
    )


def _answers_of(made: Assessment) -> list[tuple[str, list[str]]]:
    """Each question with its answers; in their codes where the file of that version is loaded no more."""
    try:
        questions = library().assessments.get(made.scheme, made.scheme_version).questions
    except InputError:
        return [(question, list(codes)) for question, codes in made.answers.items()]
    return [
        (gettext(question.text), [gettext(c.name) for c in question.codes if c.code in made.answers[question.id]])
        for question in questions
        if question.id in made.answers
    ]


def _near(covered: Coverage, made: Assessment, assessed: Sequence[Coverage]) -> NearFile:
    member = covered.asset.membership
    differs = _differs_in(member, assessed[0].asset if assessed else made.cluster.centre)
    return NearFile(covered.asset, covered.distance, member.transform, differs, member.joined_at > made.made_at)


def _outcomes_beside(made: Assessment) -> QuerySet[Outcome]:
    """Of a trial those alone that its person noted, as beside any decision: others would tell that it was one."""
    told = made.cluster.outcomes.all()
    return told.filter(noted_by=str(made.by_id), at__gt=made.made_at) if made.standing == Standing.TRIAL else told


def _history_of(made: Assessment) -> QuerySet[Assessment]:
    others = Assessment.objects.filter(cluster=made.cluster).exclude(pk=made.pk)
    return others.none() if made.standing == Standing.TRIAL else others.exclude(standing=Standing.TRIAL.value)


def can_undo(made: Assessment, person: Person) -> bool:
    is_new = made.standing in (Standing.PENDING, Standing.TRIAL) and made.effective_at > timezone.now()
    return is_new and made.by_id == person.pk


def colleagues(actor: Actor) -> list[Person]:
    """Who may review, besides oneself."""
    roles = [role for role, held in ROLE_PERMISSIONS.items() if Permission.REVIEW in held]
    live = Person.objects.filter(is_active=True, role_grants__role__in=roles, role_grants__is_active=True)
    return list(live.exclude(pk=actor.person.pk).distinct().order_by("name"))


def find_colleague(person_id: str) -> Person | None:
    """Somebody who may review; None where nobody was named."""
    if not person_id:
        return None
    found = Person.objects.filter(pk=person_id, is_active=True).first()
    if found is None:
        raise InputError("no such colleague", where="person")
    return found


def untold_to(person: Person) -> Q:
    """Filter for the assessments that this person is not told yet, on no page: they, or others, still decide unseen."""
    again = Q(cluster__in=_asked_again()) | Q(cluster__in=_handed(person).values("cluster"))
    return ~Q(by=person) & again | Q(cluster__in=_decides_anew(person).values("cluster"))


def _asked_again(*, also_double: bool = True) -> QuerySet[Review, Any]:
    """Clusters whose second answers are not given yet: until then only its author reads the first."""
    second = SECOND if also_double else [Purpose.SECOND_OPINION.value]
    waiting = Review.objects.filter(purpose__in=second, state__in=[state.value for state in OPEN])
    return waiting.values_list("cluster", flat=True)


def _handed(person: Person) -> QuerySet[Review, Any]:
    """Golden items that wait in this person's queue or were there until a day ago: what others decided of such a file
    before would tell which it is, and what to answer."""
    given = Review.objects.filter(purpose=Purpose.GOLDEN.value, reserved_for=person)
    return given.filter(Q(is_open=True) | Q(decided_at__gt=timezone.now() - TOLD_AFTER))


def _decides_anew(person: Person) -> QuerySet[Review]:
    """What this person has claimed because somebody appeals, or for the sake of quality. Only to them is the first
    assessment hidden meanwhile: an appeal must not take from everybody what was decided."""
    return Review.objects.filter(
        purpose__in=[purpose.value for purpose in BLIND], state=State.CLAIMED.value, claimed_by=person,
        lease_until__gt=timezone.now(),
    )  # fmt: skip


# --- what was seen ---------------------------------------------------------------------------------------------------


class Seen:
    """How much of a file a person of the office was sent: what a report may say of it. Never more than is on record."""

    NOT = "not-viewed"
    TILE = "tile-only"
    PART = "part"
    WHOLE = "whole"


def seen_of(asset: Asset) -> str:
    """From the ledger of exposures alone, for whatever purpose. A grant under which nothing was sent shows nothing."""
    return seen_of_each([asset.pk])[str(asset.pk)]


def seen_of_each(asset_ids: Collection[Any]) -> dict[str, str]:
    """Of several files, by id. What two people saw is not added up: a whole is what one person was sent, each scene."""
    found = {str(asset_id): Seen.NOT for asset_id in asset_ids}
    sent: dict[str, dict[Any, dict[str, list[Any]]]] = {}  # file -> person -> view -> areas
    rows = Exposure.objects.filter(asset__in=asset_ids).values_list("asset", "person", "level", "view", "areas")
    for asset_id, person, level, view, areas in rows.iterator():
        if level == Level.TILE:
            found[str(asset_id)] = Seen.TILE
        elif areas:
            sent.setdefault(str(asset_id), {}).setdefault(person, {}).setdefault(view, []).extend(areas)
    for asset in Asset.objects.filter(pk__in=list(sent)):
        there = scenes.known_scenes(asset)
        people = sent[str(asset.pk)].values()
        is_whole = scenes.is_all(asset, there) and any(_is_whole(there, shown) for shown in people)
        found[str(asset.pk)] = Seen.WHOLE if is_whole else Seen.PART
    return found


def _is_whole(there: list[Scene], shown: dict[str, list[Any]]) -> bool:
    return all(covered_share(shown.get(scene.view, ())) > MOST for scene in there)


def exposures_of(person: Person) -> QuerySet[Exposure]:
    return Exposure.objects.filter(person=person).order_by("-issued_at")


@dataclass(frozen=True, slots=True)
class TeamDay:
    """What a lead may know: how many, not who; and of each person only whether they are over.

    decided           clusters, of which `without_reveal` without one look; these hold so many `files`
    known             files that arrived and were set aside, of no cluster decided since and without one look
    """

    decided: int
    without_reveal: int
    people_at_work: int
    over: list[str]
    deciders: int = 0
    files: int = 0
    known: int = 0

    @property
    def is_told(self) -> bool:
        """Of fewer than three people a number of the team is a number of a person."""
        return self.deciders >= FEWEST

    @property
    def saved_share(self) -> float:
        return self.without_reveal / self.decided if self.decided else 0.0


def teams_of(starts: Sequence[datetime]) -> list[TeamDay]:
    """Of each moment what was done since then."""
    return [_team_of(since, known) for since, known in zip(starts, _known_unseen(starts), strict=True)]


def _team_of(since: datetime, known: int) -> TeamDay:
    """`exposure saved` is the share of decided clusters of which nobody was sent a lens or a whole picture.

    Golden items are no decisions, and looks at them save and cost none.
    """
    looked = Exposure.objects.filter(review__cluster=OuterRef("cluster")).exclude(level=Level.TILE.value)
    looked = looked.exclude(purpose__in=OF_GOLDEN)  # no look for the sake of a decision
    decided = Review.objects.filter(state=State.DECIDED.value, purpose=Purpose.DECISION.value, decided_at__gte=since)
    decided = decided.annotate(was_seen=Exists(looked))
    told = decided.aggregate(
        decided=Count("id", distinct=True), unseen=Count("id", filter=Q(was_seen=False), distinct=True),
        deciders=Count("assessments__by", distinct=True),
    )  # fmt: skip
    unseen = Cluster.objects.filter(pk__in=decided.filter(was_seen=False).values("cluster"))
    files = unseen.aggregate(files=Sum("size", default=0))["files"]
    now, begun = timezone.now(), Shift.objects.filter(ended_at__isnull=True).select_related("person")
    at_work = [shift for shift in begun if not is_over(shift, now)]  # most people go home without a word
    over = [shift.person.name for shift in at_work if work_of(shift.person, now).is_over]
    return TeamDay(told["decided"], told["unseen"], len(at_work), sorted(over), told["deciders"], files, known)


def _known_unseen(starts: Sequence[datetime]) -> list[int]:
    """Of what is looked at, what arrived since each of these and banks know; what is decided since is counted there.

    All of it less what people had to do with: a lead waits for two counts, and no file is asked about by itself. Nobody
    looks at what has not arrived, so of looks and decisions those of that time are enough, however many there were.
    """
    first = min(starts)
    is_seen_type = reduce(or_, (Q(mime__startswith=prefix) for prefix in scenes.LOOKED_AT))
    found = Asset.objects.filter(is_seen_type, received_at__gte=first, is_set_aside=True).order_by()
    looks = Exposure.objects.filter(person__in=Person.objects.values("pk"), issued_at__gte=first)  # by their index
    looked = looks.exclude(level=Level.TILE.value).order_by().values("asset")
    ended = Review.objects.filter(state=State.DECIDED.value, decided_at__gte=first)
    decided = ended.order_by().values("cluster__members__asset")
    since = {str(place): Count("received_at", filter=Q(received_at__gte=start)) for place, start in enumerate(starts)}
    everything = found.aggregate(**since)
    dealt_with = found.filter(pk__in=looked.union(decided)).aggregate(**since)
    return [everything[place] - dealt_with[place] for place in since]


def team_days() -> list[tuple[Any, TeamDay]]:
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    spans = {"day": 0, "week": 7, "fortnight": 14}
    return list(zip(spans, teams_of([today - timedelta(days=back) for back in spans.values()]), strict=True))


def own_days(person: Person, days: int = 14) -> list[tuple[Any, float]]:
    """Weighed minutes of looking a day, for the person alone."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    rows = Exposure.objects.filter(person=person, issued_at__gte=today - timedelta(days=days - 1))
    sums: dict[Any, float] = {(today - timedelta(days=back)).date(): 0.0 for back in range(days)}
    for row in rows.exclude(level=Level.TILE.value):
        sums[row.issued_at.date()] += row.cost / 60
    return sorted(sums.items())


def settings_of(given: dict[str, Any]) -> dict[str, str]:
    """Name and value of each setting that the office's form gave."""

    def said(value: Any) -> str:
        return ("yes" if value else "no") if isinstance(value, bool) else str(value)

    return {FLOOR_PREFIX + name: said(given[name]) for name in Floors.__slots__} | {
        CLUSTER_RADIUS: str(given["cluster_radius"]),
        SAMPLE_SHARE: str(given["sample_per_mille"]),
        LABEL_SCHEMES: ",".join(given["label_schemes"]),
        FACTS_SCHEME: given["facts_scheme"],
        APPEAL_DAYS: str(given["appeal_days"]),
    }


def clusters_about(actor: Actor, about: str, object_id: Any) -> list[Cluster] | None:
    """Of an asset, an assessment or a report, those of which this actor sees every file; None: it is not for them."""
    if about == "assessment":
        made = Assessment.objects.filter(pk=object_id).select_related("cluster").first()
        return [made.cluster] if made is not None and find_review(actor, made.review_id) is not None else None
    if about == "asset":
        asset = find_asset(actor, object_id)
        named = None if asset is None else Q(members__asset=asset)
    else:
        report = find_report(actor, object_id)
        files = Item.objects.filter(report=report, asset__isnull=False) if report else Item.objects.none()
        named = None if report is None else Q(members__asset__in=files.values("asset"))
    if named is None:
        return None
    hidden = Member.objects.filter(~visible_through(actor, "asset"), cluster=OuterRef("pk"))
    return list(Cluster.objects.filter(named).filter(~Exists(hidden)).distinct().order_by("made_at", "id"))


def outcomes_for(person: Person) -> QuerySet[Outcome]:
    """What became of the clusters that this person decided: nobody else's."""
    mine = Assessment.objects.filter(by=person, cluster=OuterRef("cluster")).exclude(standing__in=_NO_DECISIONS)
    return Outcome.objects.filter(Exists(mine)).select_related("cluster__centre").order_by("-at", "-id")


def moods_of(person: Person) -> QuerySet[CheckIn]:
    return CheckIn.objects.filter(person=person).order_by("-at")


def pending_of(person: Person) -> QuerySet[Assessment]:
    """What this person handed in and may still undo."""
    fresh = (Standing.PENDING.value, Standing.TRIAL.value)
    mine = Assessment.objects.filter(by=person, standing__in=fresh, effective_at__gt=timezone.now())
    return mine.order_by("-made_at")


def handed_in_just_now(person: Person, review: Review, answers: Mapping[str, Sequence[str]]) -> Assessment | None:
    """The same answers to the same review: a key that was pressed twice."""
    mine = pending_of(person).filter(review=review).first()
    return mine if mine is not None and mine.answers == answers else None
