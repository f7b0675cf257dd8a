"""The only reads of cases on behalf of a person. What they may not see is as if it were not there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from leadline.domain import ItemKind, Tlp
from leadline.workbench.accounts.access import is_one_person_office, office_setting, roles_of
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases import contents
from leadline.workbench.cases.models import (
    Case,
    CaseHandling,
    CaseStateChange,
    CaseTask,
    Imported,
    Member,
    Note,
    Party,
    Question,
    Selector,
    Thing,
)
from leadline.workbench.cases.states import TRANSITIONS, MemberRole, PartyRole, State, TaskState
from leadline.workbench.cases.whose import Doubt, doubts_about
from leadline.workbench.cursors import Slice
from leadline.workbench.evidence.access import page_of, visible_assets, visible_through
from leadline.workbench.permissions import EVIDENCE_ROLES, Role
from leadline.workbench.reports.access import show_item, show_value, visible_items, visible_reports
from leadline.workbench.review.access import untold_to
from leadline.workbench.review.models import Assessment, Cluster, Coverage, Origin, Standing
from leadline.workbench.review.models import Member as ClusterMember

RED_HINTS = "case-red-hints"
THINGS_SHOWN, TASKS_SHOWN, NOTES_SHOWN = 50, 200, 200
_NEWEST = ("-opened_at", "-id")
_LINKS = frozenset({"link", "onion", "i2p", "freenet"})
OPEN_TASKS = (TaskState.WAITING.value, TaskState.DOING.value)


# --- which cases -----------------------------------------------------------------------------------------------------


def visible_cases(actor: Actor) -> QuerySet[Case]:
    """By the case's own sensitivity and TLP, or by the grant that a membership wrote."""
    by_role = Q(sensitivity__lte=actor.clearance)
    if not actor.may_see(Tlp.RED):
        by_role &= ~Q(tlp=Tlp.RED.value)
    granted = actor.granted_ids("case")
    return Case.objects.filter(by_role | Q(id__in=granted) if granted else by_role).select_related("lead")


def find_case(actor: Actor, case_id: Any) -> Case | None:
    return visible_cases(actor).filter(pk=case_id).first()


def find_by_number(number: str) -> Case | None:
    """For the machine itself, which sees all."""
    return Case.objects.filter(number=number.strip().upper()).first()


def list_cases(actor: Actor, state: str, *, mine: bool, cursor: str) -> Slice:
    """`state`: one of states.State; "live" is all but closed; "" is all."""
    cases = visible_cases(actor)
    if state == "live":
        cases = cases.exclude(state=State.CLOSED.value)
    elif state in set(State):
        cases = cases.filter(state=state)
    if mine:
        cases = cases.filter(pk__in=live_members().filter(person=actor.person.pk).values("case"))
    return page_of(cases, _NEWEST, cursor, f"cases:{state}:{mine}")


def title_of(case: Case) -> str:
    return contents.open_text(case.title_sealed, contents.title_context(case.pk))


def titled(cases: Iterable[Case]) -> list[tuple[Case, str]]:
    return [(case, title_of(case)) for case in cases]


def red_gives_hints() -> bool:
    return office_setting(RED_HINTS, "no") == "yes"


# --- who works on it -------------------------------------------------------------------------------------------------


def live_members() -> QuerySet[Member]:
    return Member.objects.filter(left_at__isnull=True, until__gt=timezone.now())


def member_of(person: Person, case: Case) -> Member | None:
    return live_members().filter(case=case.pk, person=person.pk).first()


def may_write(person: Person, case: Case) -> bool:
    member = member_of(person, case)
    return member is not None and member.role == MemberRole.WORKER


def is_lead(person: Person, case: Case) -> bool:
    return case.lead_id == person.pk


def may_join(person: Person) -> bool:
    """Who administers an office does not come near evidence through a case, nor does anybody without a role near it."""
    roles = roles_of(person)
    is_apart = Role.ADMINISTRATOR not in roles or is_one_person_office()
    return bool(person.is_active and roles & EVIDENCE_ROLES and is_apart)


def candidates(case: Case) -> list[Person]:
    """Colleagues who may join and are not in yet."""
    inside = live_members().filter(case=case.pk).values("person")
    return [person for person in Person.objects.filter(is_active=True).exclude(pk__in=inside) if may_join(person)]


def workers_of(case: Case) -> list[Person]:
    """To whom a task may be given."""
    workers = live_members().filter(case=case.pk, role=MemberRole.WORKER.value).select_related("person")
    return [member.person for member in workers]


def colleagues() -> list[Person]:
    return [person for person in Person.objects.filter(is_active=True).order_by("name") if may_join(person)]


def find_person(person_id: Any) -> Person | None:
    return Person.objects.filter(pk=person_id, is_active=True).first() if person_id else None


def names_of(actors: Iterable[str]) -> dict[str, str]:
    """Names of people by their ids, as the journal writes them; the machine and keys have none."""
    ids = [one for one in set(actors) if len(one) == 36]
    return {str(pk): name for pk, name in Person.objects.filter(pk__in=ids).values_list("pk", "name")}


# --- what is in it ---------------------------------------------------------------------------------------------------


def visible_clusters(actor: Actor) -> QuerySet[Cluster]:
    """Only where every file of it may be seen."""
    hidden = ClusterMember.objects.filter(~visible_through(actor, "asset"), cluster=OuterRef("pk"))
    return Cluster.objects.filter(~Exists(hidden)).select_related("centre")


def live_things(case: Case) -> QuerySet[Thing]:
    return case.things.filter(removed_at__isnull=True)


def visible_objects(actor: Actor, kind: str) -> QuerySet[Any]:
    """Everything of a kind of thing that this actor may see, in a case or not."""
    of = {"report": visible_reports, "item": visible_items, "asset": visible_assets, "cluster": visible_clusters}
    return of[kind](actor)


def find_object(actor: Actor, kind: str, name: str) -> Any:
    """By its number; a report also by R-..., an asset by its SHA-256. None where it is not there or not to be seen."""
    found, name = visible_objects(actor, kind), name.strip()
    if kind == "report" and "-" in name[:2]:
        return found.filter(number=name.upper()[:16]).first()
    if kind == "asset" and len(name) == 64:
        return found.filter(sha256=name.lower()).first()
    return found.filter(pk=name).first() if is_number(name) else None


def is_number(text: str) -> bool:
    digits = text.replace("-", "")
    return len(digits) == 32 and all(digit in "0123456789abcdefABCDEF" for digit in digits)


@dataclass(frozen=True, slots=True)
class LabelView:
    """A label of a file, and whose word it is: assessed | propagated | derived | imported. Only the first is a person's
    statement on that file."""

    scheme: str
    version: str
    code: str
    origin: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class ThingView:
    """`shown` and `target` are empty where the viewer may not see the thing itself: then it is one more, no more."""

    thing: Thing
    shown: str
    target: Any
    by: str
    labels: tuple[LabelView, ...] = ()


def things_page(actor: Actor, case: Case, cursor: str) -> Slice:
    page = page_of(live_things(case), ("added_at", "id"), cursor, f"case-things:{case.pk}")
    return Slice(show_things(actor, case, page.rows), page.next)


def show_things(actor: Actor, case: Case, things: Sequence[Thing]) -> list[ThingView]:
    seen: dict[tuple[str, Any], Any] = {}
    for kind in Thing.KINDS:
        ids = [getattr(thing, f"{kind}_id") for thing in things if thing.kind == kind]
        seen |= {(kind, one.pk): one for one in visible_objects(actor, kind).filter(pk__in=ids)} if ids else {}
    labels = labels_of(actor, case, [one.pk for (kind, _), one in seen.items() if kind == "asset"])
    names = names_of(thing.added_by for thing in things)
    return [_show(thing, seen, labels, names) for thing in things]


def _show(
    thing: Thing, seen: dict[tuple[str, Any], Any], labels: dict[Any, list[LabelView]], names: dict[str, str]
) -> ThingView:
    target = seen.get((thing.kind, getattr(thing, f"{thing.kind}_id")))
    by, own = names.get(thing.added_by, ""), tuple(labels.get(target.pk, ())) if target is not None else ()
    return ThingView(thing, "" if target is None else _shown(thing.kind, target), target, by, own)


def _shown(kind: str, target: Any) -> str:
    if kind == "report":
        return str(target.number)
    if kind == "item":
        return show_item(target).shown
    return str((target.centre if kind == "cluster" else target).sha256)


def labels_of(actor: Actor | None, case: Case, assets: Sequence[Any]) -> dict[Any, list[LabelView]]:
    """Of each file: labels of assessments in force, and those that came in with it, each marked as what it is.

    Without those that the reader is not told yet, since a second answer is still to be given unseen. None: the machine.
    """
    found: dict[Any, list[LabelView]] = {}
    covered = Coverage.objects.filter(asset__in=assets, assessment__standing=Standing.IN_FORCE.value)
    if actor is not None:
        covered = covered.exclude(assessment__in=Assessment.objects.filter(untold_to(actor.person)))
    for one in covered.select_related("assessment").prefetch_related("assessment__labels"):
        origin = "assessed" if one.origin == Origin.ASSESSED else "propagated"
        for label in one.assessment.labels.all():
            if label.ended_at is None:
                own = "derived" if label.is_derived and origin == "assessed" else origin
                said = LabelView(label.scheme, label.version, label.code, own, label.mapping)
                found.setdefault(one.asset_id, []).append(said)
    for row in Imported.objects.filter(case=case, asset__in=assets):
        found.setdefault(row.asset_id, []).extend(imported_labels(row))
    return found


def imported_labels(row: Imported) -> list[LabelView]:
    return [LabelView(scheme, version, code, "imported", row.source) for scheme, version, code in row.labels]


def assets_in(case: Case) -> Q:
    """Filter for assets that lie in a case: themselves, or in a cluster that does."""
    things = live_things(case)
    clusters = things.filter(cluster__isnull=False).values("cluster")
    in_clusters = ClusterMember.objects.filter(cluster__in=clusters).values("asset")
    return Q(pk__in=things.filter(asset__isnull=False).values("asset")) | Q(pk__in=in_clusters)


@dataclass(frozen=True, slots=True)
class RecordView:
    """`is_seen`: there is a file of it, and this viewer may see that. Of one they may not see no label is shown."""

    record: Imported
    labels: tuple[LabelView, ...]
    is_seen: bool


def records_page(actor: Actor, case: Case, cursor: str) -> Slice:
    page = page_of(case.imported.all(), ("id",), cursor, f"case-records:{case.pk}")
    named = [row.asset_id for row in page.rows if row.asset_id]
    seen = set(visible_assets(actor).filter(pk__in=named).values_list("pk", flat=True))
    rows = [
        RecordView(row, () if row.asset_id and row.asset_id not in seen else tuple(imported_labels(row)), is_seen)
        for row, is_seen in ((row, row.asset_id in seen) for row in page.rows)
    ]
    return Slice(rows, page.next)


def source_of(case: Case) -> dict[str, Any]:
    """What the file that the case was read from says of it; empty for all others."""
    text = contents.open_text(case.source_sealed, contents.source_context(case.pk))
    return dict(json.loads(text or "{}"))


# --- people and selectors --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SelectorView:
    """`is_both`: here or in a case that the viewer may see it is a victim's, and a suspect's. Nothing is merged."""

    selector: Selector
    shown: str
    doubt: Doubt

    @property
    def is_both(self) -> bool:
        return self.doubt is Doubt.BOTH


@dataclass(frozen=True, slots=True)
class Section:
    """Everybody and everything of one role, and of no other."""

    role: str
    parties: tuple[tuple[Party, str], ...]
    selectors: tuple[SelectorView, ...]


@dataclass(frozen=True, slots=True)
class People:
    """Of what is recorded as a suspect's, and also as a victim's, until somebody decides: listed with neither.

    in_doubt  the viewer may see both records
    unclear   they may not, and are told nothing of the other one, nor that it is a victim's
    """

    sections: tuple[Section, ...]
    in_doubt: tuple[SelectorView, ...]
    unclear: tuple[SelectorView, ...]


def people_of(actor: Actor | None, case: Case) -> People:
    """Each role apart. A victim's selector is in the section of victims and nowhere else. Actor None: the machine."""
    rows = list(case.selectors.filter(removed_at__isnull=True).select_related("party"))
    seen = Q() if actor is None else Q(case=case) | Q(case__in=visible_cases(actor).values("pk"))
    shown = [
        SelectorView(row, value_of(row, defanged=actor is not None), doubt)
        for row, doubt in zip(rows, doubts_about(rows, seen), strict=True)
    ]
    parties = parties_of(case)
    doubtful = [one for one in shown if one.doubt and one.selector.role == PartyRole.SUSPECT]
    sections = [
        Section(
            role.value,
            tuple(pair for pair in parties if pair[0].role == role),
            tuple(one for one in shown if one.selector.role == role and one not in doubtful),
        )
        for role in PartyRole
    ]
    in_doubt = tuple(one for one in doubtful if one.is_both)
    return People(tuple(sections), in_doubt, tuple(one for one in doubtful if not one.is_both))


def parties_of(case: Case) -> list[tuple[Party, str]]:
    """Each with their name, for whoever sees the case."""
    return [(one, contents.open_text(one.name_sealed, contents.party_context(one.pk))) for one in case.parties.all()]


def value_of(selector: Selector, *, defanged: bool = True) -> str:
    value = contents.open_text(selector.value_sealed, contents.selector_context(selector.pk))
    return show_value(value, ItemKind.URL) if defanged and selector.kind in _LINKS else value


# --- tasks and notes -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TaskView:
    task: CaseTask
    text: str
    is_late: bool


def today() -> Any:
    return timezone.now().date()


def show_tasks(tasks: Iterable[CaseTask]) -> list[TaskView]:
    now = today()
    return [TaskView(one, text_of(one), _is_late(one, now)) for one in tasks]


def text_of(task: CaseTask) -> str:
    return contents.open_text(task.text_sealed, contents.task_context(task.pk))


def _is_late(task: CaseTask, now: Any) -> bool:
    return bool(task.due_on and task.due_on < now and task.state in OPEN_TASKS)


def own_tasks(actor: Actor) -> list[TaskView]:
    """What this person has to do, in cases that are not closed, the earliest day first."""
    mine = CaseTask.objects.filter(assignee=actor.person, state__in=OPEN_TASKS, case__in=visible_cases(actor))
    live = mine.exclude(case__state=State.CLOSED.value).select_related("case")
    return show_tasks(sorted(live[:TASKS_SHOWN], key=lambda one: (one.due_on is None, one.due_on, one.made_at)))


@dataclass(frozen=True, slots=True)
class NoteView:
    note: Note
    text: str
    is_corrected: bool


def note_ids(case: Case) -> list[Any]:
    return list(case.notes.values_list("pk", flat=True))


def show_notes(notes: Iterable[Note]) -> list[NoteView]:
    notes = list(notes)
    corrected = set(Note.objects.filter(corrects__in=notes).values_list("corrects", flat=True))
    return [
        NoteView(one, contents.open_text(one.text_sealed, contents.note_context(one.pk)), one.pk in corrected)
        for one in notes
    ]


# --- one case --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CaseView:
    """One case, opened: what was sealed is in here as text and nowhere else."""

    case: Case
    title: str
    people: People
    things: list[ThingView]
    thing_count: int
    tasks: list[TaskView]
    notes: list[NoteView]
    members: list[Member]
    changes: list[CaseStateChange]
    moves: tuple[tuple[str, tuple[str, ...]], ...]
    handling: CaseHandling | None
    record_count: int
    questions: list[Question]


def open_case(actor: Actor, case: Case) -> CaseView:
    """All of a case that `find_case` gave to the same actor."""
    things = live_things(case)
    return CaseView(
        case=case,
        title=title_of(case),
        people=people_of(actor, case),
        things=show_things(actor, case, list(things[:THINGS_SHOWN])),
        thing_count=things.count(),
        tasks=show_tasks(case.tasks.select_related("assignee")[:TASKS_SHOWN]),
        notes=show_notes(case.notes.select_related("by").order_by("-at", "-id")[:NOTES_SHOWN]),
        members=list(live_members().filter(case=case.pk).select_related("person")),
        changes=list(case.changes.all()),
        moves=moves_of(case),
        handling=case.handlings.filter(decided_at__isnull=True).select_related("asked_by").first(),
        record_count=case.imported.count(),
        questions=list(case.asked_of.filter(answered_at__isnull=True).select_related("asked_by")),
    )


def moves_of(case: Case) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(
        (to.value, tuple(sorted(reason.value for reason in reasons)))
        for to, reasons in TRANSITIONS[State(case.state)].items()
    )


def asked_of(person: Person) -> QuerySet[Question]:
    """What colleagues asked of this person as the lead of a case, and nobody has answered."""
    waiting = Question.objects.filter(to_case__lead=person.pk, answered_at__isnull=True)
    return waiting.select_related("asked_by", "to_case")


def find_question(person: Person, question_id: Any) -> Question | None:
    return asked_of(person).filter(pk=question_id).first()
