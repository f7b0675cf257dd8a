"""The only reads of quality on behalf of a person. Figures are of questions: nobody reads one of somebody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from leadline.errors import InputError
from leadline.law.assessments import AssessmentScheme, Question
from leadline.law.labels import LabelScheme
from leadline.workbench.accounts.access import office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cursors import Slice
from leadline.workbench.evidence.access import page_of, visible_assets, visible_through
from leadline.workbench.evidence.models import Asset
from leadline.workbench.laws.access import library
from leadline.workbench.permissions import Permission
from leadline.workbench.quality.alpha import Agreement, measure
from leadline.workbench.quality.models import GoldenAnswer, GoldenItem, GoldenSet, Handout, Pair, PairState
from leadline.workbench.reports.models import Item
from leadline.workbench.review.access import facts_scheme, label_schemes
from leadline.workbench.review.floors import TOLD_AFTER
from leadline.workbench.review.models import Assessment, Origin, Purpose, Review, Standing, State

GOLDEN_PERCENT, DOUBLE_PERCENT = "quality-golden-percent", "quality-double-percent"
DEFAULT_GOLDEN_PERCENT, DEFAULT_DOUBLE_PERCENT = 2, 5
MOST_PERCENT = 20
FEWEST_PEOPLE = 3  # a figure of fewer would speak of somebody
_NEWEST = 5000  # answers that one figure is made of, at most
_OWN = 30
_LATEST, _USUAL_SHARE = 200, 0.1
Scheme = tuple[str, int]
Given = Mapping[str, Sequence[str]]


def golden_percent() -> int:
    return int(office_setting(GOLDEN_PERCENT, str(DEFAULT_GOLDEN_PERCENT)))


def double_percent() -> int:
    return int(office_setting(DOUBLE_PERCENT, str(DEFAULT_DOUBLE_PERCENT)))


# --- golden sets -----------------------------------------------------------------------------------------------------


def golden_sets() -> QuerySet[GoldenSet]:
    """For leads."""
    live = Q(items__withdrawn_at__isnull=True)
    agreed = Count("items", filter=live & Q(items__agreed_at__isnull=False))
    return GoldenSet.objects.annotate(item_count=Count("items", filter=live), agreed_count=agreed).order_by("name")


def find_set(set_id: Any) -> GoldenSet | None:
    return GoldenSet.objects.filter(pk=set_id).first()


def items_of(actor: Actor, golden_set: GoldenSet) -> QuerySet[GoldenItem]:
    """Of files that this person may see."""
    seen = GoldenItem.objects.filter(visible_through(actor, "asset"), set=golden_set)
    return seen.select_related("asset", "asked").annotate(answer_count=Count("answers__by", distinct=True))


def came_as_usual() -> Q:
    """Filter of rows `with_ways`: those that came as one in ten of what was decided last, or more, did: by source, and
    by whether a report points at them. A golden item that came otherwise would be known by it.
    """
    made = Assessment.objects.filter(review__purpose=Purpose.DECISION.value).order_by("-made_at", "-id")
    reported = Exists(Item.objects.filter(asset__membership__cluster=OuterRef("cluster")))
    latest = made.annotate(is_reported=reported).values_list("cluster__centre__source", "is_reported")[:_LATEST]
    counted = Counter(latest)
    found = Q(pk__in=[]) if counted else Q()  # before anything is decided there is nothing to compare with
    for (source, is_reported), number in counted.items():
        if number >= _USUAL_SHARE * counted.total():
            found |= Q(way_source=source, is_reported=is_reported)
    return found


def with_ways(items: QuerySet[GoldenItem]) -> QuerySet[GoldenItem]:
    """As the queue and the card show them: the source of the centre, and reports of any file of the cluster."""
    reported = Item.objects.filter(asset__membership__cluster=OuterRef("asset__membership__cluster"))
    source = F("asset__membership__cluster__centre__source")
    return items.annotate(way_source=source, is_reported=Exists(reported))


def stand_out(items: Iterable[GoldenItem]) -> set[Any]:
    """Of items, those that nobody is handed now, since the way they came would tell."""
    ids = [item.pk for item in items]
    usual = with_ways(GoldenItem.objects.filter(pk__in=ids)).filter(came_as_usual())
    return set(ids) - set(usual.values_list("pk", flat=True))


def items_page(actor: Actor, golden_set: GoldenSet, cursor: str) -> Slice:
    return page_of(items_of(actor, golden_set), ("-put_in_at", "id"), cursor, f"golden:{golden_set.pk}")


def find_item(actor: Actor, item_id: Any) -> GoldenItem | None:
    """For leads, and for whom a lead asked to answer as well."""
    seen = GoldenItem.objects.filter(visible_through(actor, "asset"), pk=item_id)
    if not actor.may(Permission.REVIEW_LEAD):
        seen = seen.filter(asked=actor.person)
    return seen.select_related("asset", "set").first()


def find_kept(actor: Actor, sha256: str) -> Asset | None:
    return visible_assets(actor).filter(sha256=sha256.strip().lower()).first()


def may_see(person: Person, item: GoldenItem) -> bool:
    return visible_assets(Actor.of_person(person)).filter(pk=item.asset_id).exists()


def asked_of(actor: Actor) -> list[GoldenItem]:
    """Items that a lead wants this person's answers to, and that they have not given."""
    mine = GoldenItem.objects.filter(visible_through(actor, "asset"), asked=actor.person, agreed_at__isnull=True)
    waiting = mine.filter(withdrawn_at__isnull=True).exclude(answers__by=actor.person)
    return list(waiting.select_related("asset", "set")[:_OWN])


def newest_answers(item: GoldenItem) -> list[GoldenAnswer]:
    """The last of each person."""
    found: dict[Any, GoldenAnswer] = {}
    for answer in item.answers.order_by("-at", "-id"):
        found.setdefault(answer.by_id, answer)
    return list(found.values())


def answers_shown(item: GoldenItem, person: Person) -> list[GoldenAnswer]:
    """Their own; those of others only once they have given theirs."""
    answers = newest_answers(item)
    has_answered = any(answer.by_id == person.pk for answer in answers)
    return answers if has_answered else []


def reference_of(item: GoldenItem, person: Person) -> Review | None:
    """The review under which this person may look at the item just now."""
    mine = Review.objects.filter(subject=item.asset, purpose=Purpose.REFERENCE.value, reserved_for=person)
    live = mine.filter(state=State.CLAIMED.value, claimed_by=person, lease_until__gt=timezone.now())
    return live.select_related("cluster__centre", "subject").first()


def agreed_answers(item: GoldenItem) -> GoldenAnswer | None:
    return item.answers.filter(is_agreed=True).order_by("id").first()


# --- two who differ --------------------------------------------------------------------------------------------------


def open_pairs(actor: Actor) -> QuerySet[Pair]:
    """For a third: neither of the two sees it here."""
    seen = Pair.objects.filter(visible_through(actor, "asset"), state=PairState.OPEN.value)
    theirs = Q(first__by=actor.person) | Q(second__by=actor.person)
    return seen.exclude(theirs).select_related("asset", "first", "second", "review__cluster__centre")


def pairs_page(actor: Actor, cursor: str) -> Slice:
    return page_of(open_pairs(actor), ("-made_at", "id"), cursor, "disagreements")


def find_pair(actor: Actor, pair_id: Any) -> Pair | None:
    return open_pairs(actor).filter(pk=pair_id).first()


def in_force(pair: Pair) -> Assessment | None:
    return Assessment.objects.filter(cluster=pair.first.cluster_id, standing=Standing.IN_FORCE.value).first()


def is_inferred(pair: Pair) -> bool:
    """Whether what is in force counts for the file of the pair by inference alone: of a sample."""
    standing = in_force(pair)
    return standing is not None and standing.coverage.filter(asset=pair.asset, origin=Origin.PROPAGATED.value).exists()


def offered_labels() -> list[LabelScheme]:
    """Official codes that the office offers on a card."""
    offered = set(label_schemes())
    return [scheme for scheme in library().labels.choosable() if f"{scheme.id}|{scheme.version}" in offered]


def questions_now() -> AssessmentScheme:
    return library().assessments.newest(facts_scheme())


@dataclass(frozen=True, slots=True)
class Beside:
    """One question and what two say to it, in words."""

    question: str
    one: str
    other: str
    is_same: bool


def beside(scheme: Scheme, one: Given, other: Given) -> list[Beside]:
    """Every question that one of them was asked. A scheme that is no longer loaded is shown in its codes."""
    try:
        questions = library().assessments.get(*scheme).questions
    except InputError:
        questions = ()
    texts = {question.id: gettext(question.text) for question in questions}
    names = {question.id: {code.code: gettext(code.name) for code in question.codes} for question in questions}
    asked = [*(name for name in texts if name in one or name in other)]
    asked += sorted((set(one) | set(other)) - set(asked))
    rows = []
    for name in asked:
        words = names.get(name, {})
        said, also = (", ".join(words.get(code, code) for code in given.get(name, ())) or "—" for given in (one, other))
        rows.append(Beside(texts.get(name, name), said, also, is_same(one, other, name)))
    return rows


def is_same(one: Given, other: Given, question: str) -> bool:
    return sorted(one.get(question, ())) == sorted(other.get(question, ()))


def differing(one: Given, other: Given) -> list[str]:
    return sorted(name for name in set(one) | set(other) if not is_same(one, other, name))


# --- oneself ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Result:
    """Of one golden item: a day after it was handed in, to that person alone."""

    at: datetime
    sha256: str
    scheme: str
    version: int
    rows: list[Beside]


def golden_results(person: Person) -> list[Result]:
    trials = Assessment.objects.filter(by=person, standing=Standing.TRIAL.value, review__handout__person=person)
    told = trials.filter(made_at__lte=timezone.now() - TOLD_AFTER).select_related("review__handout__item__asset")
    found = []
    for trial in told.order_by("-made_at")[:_OWN]:
        item = trial.review.handout.item
        agreed = agreed_answers(item)
        if agreed is not None:
            scheme = (trial.scheme, trial.scheme_version)
            rows = beside(scheme, trial.answers, agreed.answers)
            found.append(Result(trial.made_at, item.asset.sha256, *scheme, rows))
    return found


@dataclass(frozen=True, slots=True)
class OwnPair:
    """What this person and another said of one file, and how it ended. No names: it is about the file."""

    at: datetime
    sha256: str
    state: str
    scheme: str
    version: int
    rows: list[Beside]


def own_pairs(person: Person) -> list[OwnPair]:
    mine = Pair.objects.filter(Q(first__by=person) | Q(second__by=person)).exclude(state=PairState.SAME.value)
    found = []
    for pair in mine.select_related("first", "second", "asset").order_by("-made_at")[:_OWN]:
        own, other = (pair.first, pair.second) if pair.first.by_id == person.pk else (pair.second, pair.first)
        scheme = (pair.scheme, pair.scheme_version)
        rows = [row for row in beside(scheme, own.answers, other.answers) if not row.is_same]
        found.append(OwnPair(pair.made_at, pair.asset.sha256, pair.state, *scheme, rows))
    return found


def count_same(person: Person) -> int:
    mine = Q(first__by=person) | Q(second__by=person)
    return Pair.objects.filter(mine, state=PairState.SAME.value).count()


# --- the team --------------------------------------------------------------------------------------------------------


def schemes_seen() -> list[Scheme]:
    """Versions that answers were compared under, newest first."""
    pairs = Pair.objects.order_by().values_list("scheme", "scheme_version").distinct()
    golden = GoldenAnswer.objects.filter(is_agreed=True).order_by().values_list("scheme", "scheme_version").distinct()
    return sorted({*pairs, *golden}, key=lambda scheme: (scheme[0], -scheme[1]))


@dataclass(frozen=True, slots=True)
class Measured:
    """Agreement on one question: over all pairs, along its scale where it has one, and month by month."""

    text: str
    all: Agreement
    on_scale: Agreement | None
    months: list[tuple[str, Agreement]] = field(default_factory=list)


def agreement(scheme: Scheme) -> list[Measured]:
    rows = Pair.objects.filter(scheme=scheme[0], scheme_version=scheme[1]).order_by("-made_at")
    rows = rows.exclude(second__review__purpose=Purpose.SAMPLE.value)  # the first were given for a near-duplicate
    pairs = list(rows.values_list("first__answers", "second__answers", "made_at")[:_NEWEST])
    return [_measured(question, pairs) for question in _scheme(scheme).questions] if pairs else []


def _scheme(scheme: Scheme) -> AssessmentScheme:
    return library().assessments.get(*scheme)


def _measured(question: Question, pairs: Sequence[tuple[Given, Given, datetime]]) -> Measured:
    asked = [(_said(one, question), _said(other, question), at) for one, other, at in pairs]
    both = [((one, other), at) for one, other, at in asked if one and other]  # else it is no unit
    units = [unit for unit, _ in both]
    months: dict[str, list[tuple[str, str]]] = {}
    for unit, at in both:
        months.setdefault(at.strftime("%Y-%m"), []).append(unit)
    scale = question.scale
    return Measured(
        gettext(question.text),
        measure(units),
        measure(units, scale) if scale else None,
        [(month, measure(some, scale)) for month, some in sorted(months.items())][-12:],
    )


def _said(given: Given, question: Question) -> str:
    """As one value: of several codes the set of them."""
    return "+".join(sorted(given.get(question.id, ())))


@dataclass(frozen=True, slots=True)
class Golden:
    """How often a question was answered as agreed. None of the figures where fewer than three people answered."""

    text: str
    people: int
    answered: int = 0
    as_agreed: int = 0

    @property
    def is_told(self) -> bool:
        return self.people >= FEWEST_PEOPLE

    @property
    def percent(self) -> int:
        return round(100 * self.as_agreed / self.answered) if self.answered else 0


def golden_figures(scheme: Scheme) -> list[Golden]:
    """Of trials that are a day old, as their people may be told of them too."""
    trials = Assessment.objects.filter(standing=Standing.TRIAL.value, made_at__lte=timezone.now() - TOLD_AFTER)
    trials = trials.filter(scheme=scheme[0], scheme_version=scheme[1], review__handout__isnull=False)
    rows = list(trials.order_by("-made_at").values_list("by", "answers", "review__handout__item")[:_NEWEST])
    agreed = dict(GoldenAnswer.objects.filter(is_agreed=True).values_list("item", "answers"))
    compared = [(by, given, agreed[item]) for by, given, item in rows if item in agreed]
    return [_golden(question, compared) for question in _scheme(scheme).questions] if compared else []


def _golden(question: Question, compared: Iterable[tuple[Any, Given, Given]]) -> Golden:
    asked = [(by, is_same(one, other, question.id)) for by, one, other in compared if question.id in {*one, *other}]
    people = len({by for by, _ in asked})
    if people < FEWEST_PEOPLE:
        return Golden(gettext(question.text), people)
    return Golden(gettext(question.text), people, len(asked), sum(same for _, same in asked))


@dataclass(frozen=True, slots=True)
class Counts:
    """What is under way, in numbers."""

    paired: int
    differ: int
    waits: int
    handed_out: int


def counts() -> Counts:
    return Counts(
        Pair.objects.count(),
        Pair.objects.exclude(state=PairState.SAME.value).count(),
        Pair.objects.filter(state=PairState.OPEN.value).count(),
        Handout.objects.count(),
    )
