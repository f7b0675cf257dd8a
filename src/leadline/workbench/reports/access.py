"""The only reads of reports on behalf of somebody. What they may not see is as if it were not there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, Min, OuterRef, Q, QuerySet
from django.utils import timezone

from leadline.domain import Channel, ItemKind, Tlp
from leadline.errors import InputError, UrlFormatError
from leadline.law.terms import Involved
from leadline.selectors.defang import defang
from leadline.selectors.url import canonical_url
from leadline.workbench import sealing
from leadline.workbench.accounts.access import office_setting, permissions_of
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cursors import Slice, slice_rows
from leadline.workbench.journal.access import visible_lines
from leadline.workbench.journal.actions import SYSTEM
from leadline.workbench.journal.models import Line
from leadline.workbench.laws.access import LawBeside, law_beside
from leadline.workbench.permissions import Permission
from leadline.workbench.reports import contents, keys
from leadline.workbench.reports.models import (
    Alert,
    ContactKey,
    Delivery,
    Followed,
    HandlingProposal,
    Item,
    Message,
    OnCall,
    Report,
    StateChange,
)
from leadline.workbench.reports.states import OF_APPEALS, TRANSITIONS, Outcome, Reason, State

REPORT_DAYS, CONTACT_DAYS, SEARCH_FIELDS = "report-retention-days", "contact-retention-days", "search-fields"
_DEFAULT_DAYS = {REPORT_DAYS: 365, CONTACT_DAYS: 90}
# What may be searched: exact matches, and nothing that was sealed. The setting names those that are on.
SEARCHABLE = ("number", "reference", "state", "channel", "item")
INVOLVED = (Involved.HOST, Involved.REPORTER, Involved.SUSPECT)
REPORTS_A_PAGE = 50
LINES_A_PAGE = 200
FOUND_AT_MOST = 5000
_QUEUE, _NEWEST = ("rank", "received_at", "id"), ("-received_at", "-id")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a list of reports is narrowed to. `state` "open" is every state that is no end; "all" is no filter.

    text  a report's number, a sender's reference, or one URL, account or hash: matched exactly
    """

    state: str = "open"
    urgency: int | None = None
    channel: str = ""
    mine: bool = False
    text: str = ""
    newest: bool = False
    overdue: bool = False


def visible_reports(actor: Actor) -> QuerySet[Report]:
    """By the report's own sensitivity and TLP, or by a grant on that very report; never by the queue it is in."""
    return _visible(actor).filter(is_appeal=False)


def visible_appeals(actor: Actor) -> QuerySet[Report]:
    """What came in to contest a decision: seen as reports are, and among no list of reports."""
    return _visible(actor).filter(is_appeal=True)


def _visible(actor: Actor) -> QuerySet[Report]:
    by_role = Q(sensitivity__lte=actor.clearance)
    if not actor.may_see(Tlp.RED):
        by_role &= ~Q(tlp=Tlp.RED.value)
    granted = actor.granted_ids("report")
    return Report.objects.filter(by_role | Q(id__in=granted) if granted else by_role)


def find_report(actor: Actor, report_id: Any) -> Report | None:
    return visible_reports(actor).select_related("assigned_to").filter(pk=report_id).first()


def find_by_number(actor: Actor, number: str) -> Report | None:
    return visible_reports(actor).filter(number=number.strip().upper()).first()


def list_reports(actor: Actor, asked: Asked, cursor: str = "", limit: int = REPORTS_A_PAGE) -> Slice:
    """Most urgent first, among those the oldest first, so that nothing starves; or newest first where asked."""
    reports = _narrowed(visible_reports(actor).select_related("assigned_to"), actor, asked)
    return slice_rows(reports, _NEWEST if asked.newest else _QUEUE, cursor, limit, f"reports:{asked}")


def _narrowed(reports: QuerySet[Report], actor: Actor, asked: Asked) -> QuerySet[Report]:
    fields = search_fields()
    if asked.state == "open":
        reports = reports.filter(is_open=True)
    elif asked.state in set(State):
        reports = _switched_on("state", fields, reports).filter(state=asked.state)
    if asked.urgency is not None:
        reports = reports.filter(urgency=asked.urgency)
    if asked.channel in set(Channel):
        reports = _switched_on("channel", fields, reports).filter(channel=asked.channel)
    if asked.mine:
        reports = reports.filter(assigned_to=actor.person.pk)
    if asked.overdue:
        reports = reports.filter(due_at__lte=timezone.now())
    return reports.filter(found_exactly(asked.text)) if asked.text.strip() else reports


def _switched_on(name: str, fields: Sequence[str], reports: QuerySet[Report]) -> QuerySet[Report]:
    """The whole list in place of a part of it would be an answer to another question."""
    if name not in fields:
        raise InputError("this office does not search by that", where=name, mend="ask without it", code="search-off")
    return reports


def found_exactly(untrusted_text: str) -> Q:
    """Each field by its own index: the ids first, for no planner takes three indexes for one OR."""
    text, ids, fields = untrusted_text.strip().replace("\0", ""), set(), search_fields()
    if "number" in fields:
        ids |= set(Report.objects.filter(number=text.upper()[:16]).values_list("id", flat=True))
    if "reference" in fields:
        ids |= set(Report.objects.filter(source_reference=text[:200]).values_list("id", flat=True)[:FOUND_AT_MOST])
    if "item" in fields and (key := keys.search_key(text)):
        ids |= set(Item.objects.filter(key=key).values_list("report_id", flat=True)[:FOUND_AT_MOST])
    return Q(id__in=ids)


def search_fields() -> tuple[str, ...]:
    """The fields that the office's setting names, e.g. "number,state"; without one, all that are ever searched."""
    named = office_setting(SEARCH_FIELDS, ",".join(SEARCHABLE)).split(",")
    return tuple(field for field in SEARCHABLE if field in named)


# --- one report ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ItemView:
    """An item as a person may read it: links defanged, nothing to click, no picture."""

    id: str
    kind: str
    shown: str
    note: str
    referrer: str
    flags: tuple[str, ...]
    first_seen_at: datetime
    last_seen_at: datetime
    times: int
    asset_id: str
    asset_verdict: str


@dataclass(frozen=True, slots=True)
class ReportView:
    """One report, opened: what was sealed is in here as text and nowhere else."""

    report: Report
    text: str
    contact: dict[str, str]
    facts: dict[str, Any]
    items: tuple[ItemView, ...]
    changes: tuple[StateChange, ...]
    messages: tuple[tuple[Message, str], ...]
    lines: tuple[Line, ...]
    alert: Alert | None
    attached_number: str
    others: tuple[Report, ...]
    moves: tuple[tuple[str, tuple[str, ...]], ...]
    proposal: HandlingProposal | None

    # Names come from senders. A template that is told `facts.items` looks up a key of that name before the method, so
    # that a fact called "items" would hide all others, or break the page for good: it gets pairs.

    @property
    def fact_rows(self) -> tuple[tuple[str, Any], ...]:
        return tuple(self.facts.items())

    @property
    def contact_rows(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.contact.items())

    @property
    def check_rows(self) -> tuple[tuple[str, Any], ...]:
        return tuple(self.report.checks.items())


ITEMS_SHOWN = 500


def open_report(actor: Actor, report: Report) -> ReportView:
    """All of a report that `find_report` gave to the same actor. Reports it met again only where they may see those."""
    items = list(report.items.select_related("first", "asset").order_by("position")[:ITEMS_SHOWN])
    key = contact_key(report)
    said = list(report.messages.all())
    talk = [(m, contents.open_private(m.text_sealed, key, contents.message_context(m.id))) for m in said]
    return ReportView(
        report=report,
        text=text_of(report),
        contact=_contact(report, key),
        facts=_json(report.facts_sealed, contents.facts_context(report.id)) or {},
        items=tuple(show_item(item) for item in items),
        changes=tuple(report.changes.all()),
        messages=tuple(talk),
        lines=tuple(visible_lines(object_id=str(report.id))[:100]),
        alert=Alert.objects.filter(report=report).select_related("acknowledged_by").first(),
        attached_number=_number_of(actor, report.attached_to_id),
        others=_others(actor, report, items),
        moves=moves_of(report),
        proposal=report.handling_proposals.filter(decided_at__isnull=True).select_related("asked_by").first(),
    )


_json = contents.open_json


def text_of(report: Report) -> str:
    """What was written with a report; "" where there was nothing, or it is erased."""
    return contents.open_text(report.text_sealed, contents.text_context(report.id))


def contact_key(report: Report) -> bytes | None:
    """None where it is destroyed, or the list of erasures says that it was: a restored backup may hold it still."""
    kept = ContactKey.objects.filter(pk=report.pk).first()
    if kept is None or sealing.is_erased(contents.erasure_name(report.pk)):
        return None
    return contents.open_contact_key(kept.key_sealed, report.pk)


def _contact(report: Report, key: bytes | None) -> dict[str, str]:
    text = contents.open_private(report.contact_sealed, key, contents.contact_context(report.id))
    return {name: value for name, value in json.loads(text or "{}").items() if value}


def _number_of(actor: Actor, report_id: Any) -> str:
    found = find_report(actor, report_id) if report_id else None
    return found.number if found else ""


def _others(actor: Actor, report: Report, items: Sequence[Item]) -> tuple[Report, ...]:
    """Other visible reports of the same things, newest first."""
    named = [item.key for item in items if item.key][:200]
    same = Item.objects.filter(key__in=named).exclude(report=report.pk).values("report_id")
    return tuple(visible_reports(actor).filter(pk__in=same).order_by("-received_at")[:20]) if named else ()


def moves_of(report: Report) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Where a person may move it, with the reasons they may give; those of the machine are not among them."""
    machine = {Reason.OVERDUE, Reason.REPORTED_AGAIN, Reason.ALL_ITEMS_KNOWN}
    return tuple(
        (to.value, tuple(sorted(reason.value for reason in reasons - machine)))
        for to, reasons in TRANSITIONS[State(report.state)].items()
        if reasons - machine
    )


def show_item(item: Item) -> ItemView:
    first = item.first or item
    payloads = _json(item.value_sealed, contents.item_context(item.id)) or [{}]
    notes = [str(payload.get("note", "")) for payload in payloads]
    referrer = str(payloads[0].get("referrer", ""))
    return ItemView(
        id=str(item.id),
        kind=item.kind,
        shown=show_value(str(payloads[0].get("value", "")), item.kind),
        note="\n".join(note for note in notes if note),
        referrer=show_value(referrer, ItemKind.URL) if referrer else "",
        flags=tuple(item.flags),
        first_seen_at=first.first_seen_at,
        last_seen_at=first.last_seen_at,
        times=first.times,
        asset_id=str(item.asset_id or ""),
        asset_verdict=item.asset.verdict if item.asset else "",
    )


def show_value(untrusted_value: str, kind: str) -> str:
    """A link so that no program follows it; everything else as it is."""
    if kind not in (ItemKind.URL, ItemKind.ACCOUNT):
        return untrusted_value
    try:
        return defang(canonical_url(untrusted_value).href)
    except UrlFormatError:
        return defang(untrusted_value) if "://" in untrusted_value else untrusted_value


def recurrence_of(item: Item) -> tuple[datetime, datetime, int]:
    """First seen, last seen, how often: the same for every report of the thing."""
    first = item.first or item
    return first.first_seen_at, first.last_seen_at, first.times


def visible_items(actor: Actor) -> QuerySet[Item]:
    """Each asks for its own report: SQLite would make a list of all that are seen, also for one item."""
    seen = visible_reports(actor).order_by().filter(pk=OuterRef("report"))
    return Item.objects.filter(Exists(seen)).select_related("first", "asset", "report")


def list_items(actor: Actor, report: Report, cursor: str, limit: int) -> Slice:
    items = visible_items(actor).filter(report=report)
    return slice_rows(items, ("position",), cursor, limit, f"items:{report.pk}")


# --- the law beside it -----------------------------------------------------------------------------------------------


def countries_of(reports: Iterable[Report]) -> dict[Involved, list[str]]:
    """Countries that people noted of these reports, each once: of the host, the reporter, the suspect."""
    noted = [report.countries for report in reports]
    found = {kind: sorted({code for one in noted for code in one.get(kind.value, ())}) for kind in INVOLVED}
    return {kind: codes for kind, codes in found.items() if codes}


def law_of(report: Report) -> LawBeside:
    """Periods run from when we received it, and from when it first went on to the police or another hotline."""
    return law_beside(report.received_at, sent_at=sent_at_of([report]), others=countries_of([report]))


def sent_at_of(reports: Iterable[Report]) -> datetime | None:
    """When it first went on, of several the last: what each asks to keep is kept as long as that one asks."""
    ids = [report.pk for report in reports]
    onward = StateChange.objects.filter(report__in=ids, to_state=State.FORWARDED.value)
    onward = onward.filter(reason__in=(Reason.TO_POLICE.value, Reason.TO_HOTLINE.value))
    firsts = onward.order_by().values("report").annotate(first=Min("at"))
    return max((row["first"] for row in firsts), default=None)


# --- the reporter's side ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReporterView:
    """What a reporter may read of their report: codes, and the conversation. Nothing of who works on it.

    status    received | in-progress | question | closed
    outcome   a states.Outcome code where it is closed and may be told, else ""
    messages  (moment, from_reporter, text), oldest first
    """

    status: str
    outcome: str
    received_at: datetime
    messages: tuple[tuple[datetime, bool, str], ...]


# Whoever is told that the police has it may be the one it is about: anybody can report anything. Who ought to know is
# told by a message.
_NEVER_TOLD = frozenset({Outcome.PASSED_ON.value})


def reporter_view(report: Report) -> ReporterView:
    """Of the report that `actions.find_by_passphrase` found.

    The form must not tell whether somebody else reported the same, nor what became of that. So only steps of people
    count, and only those after this report came: one that attaches to a known report, be it in work or closed and
    opened again by this very repeat, looks as a new one does until a person takes it up.
    """
    key = contact_key(report)
    opened = [(m.at, m.from_reporter, contents.open_private(m.text_sealed, key, contents.message_context(m.id)))
              for m in report.messages.all()]  # fmt: skip
    goes_on, was_touched = report, _last_step(report, report.received_at) is not None
    for _ in range(10):
        if goes_on.attached_to is None:
            break
        goes_on = goes_on.attached_to
    last = _last_step(goes_on, report.received_at)
    if last is not None and last.to_state == State.CLOSED:
        outcome = "" if last.outcome in _NEVER_TOLD else last.outcome
        return ReporterView("closed", outcome, report.received_at, tuple(opened))
    if opened and not opened[-1][1]:
        status = "question"
    elif opened or (last is not None and last.to_state != State.NEW) or (last is None and was_touched):
        status = "in-progress"
    else:
        status = "received"
    return ReporterView(status, "", report.received_at, tuple(opened))


def _last_step(report: Report, since: datetime) -> StateChange | None:
    return report.changes.filter(at__gte=since).exclude(actor=SYSTEM).order_by("-id").first()


# --- what others did -------------------------------------------------------------------------------------------------


def followed(name: str) -> int:
    """Up to which line of the journal a duty has come."""
    row = Followed.objects.filter(name=name).first()
    return row.line if row else 0


def said_since(line: int, acts: Sequence[str], limit: int) -> tuple[list[str], int]:
    """Ids of objects that these acts were about since that line, and the line up to which that is all."""
    head = Line.objects.order_by("-line").values_list("line", flat=True).first() or 0
    rows = Line.objects.filter(line__gt=line, line__lte=head, act__in=acts).order_by("line")
    found = list(rows.values_list("object_id", "line")[:limit])
    return [object_id for object_id, _ in found], found[-1][1] if len(found) == limit else head


def reports_of_assets(asset_ids: Iterable[str]) -> list[Any]:
    """All reports that point at one of these files, by the file or by its hash."""
    named = [str(one) for one in asset_ids]
    of_files = Item.objects.filter(asset_id__in=named)
    keys = list(of_files.exclude(key="").values_list("key", flat=True).distinct())
    found = set(of_files.values_list("report_id", flat=True))
    for begin in range(0, len(keys), 500):
        same = Item.objects.filter(key__in=keys[begin : begin + 500])
        found |= set(same.values_list("report_id", flat=True))
    return sorted(found)


# --- the office's side -----------------------------------------------------------------------------------------------


def retention(name: str) -> timedelta:
    text = office_setting(name, str(_DEFAULT_DAYS[name]))
    return timedelta(days=int(text) if text.isdigit() and int(text) else _DEFAULT_DAYS[name])


def on_call(now: datetime | None = None) -> OnCall | None:
    """Who is on call; of two, who was set last."""
    now = now or timezone.now()
    live = OnCall.objects.filter(begins_at__lte=now, ends_at__gt=now, person__is_active=True)
    return live.select_related("person").order_by("-id").first()


def coming_on_call() -> QuerySet[OnCall]:
    return OnCall.objects.filter(ends_at__gt=timezone.now()).select_related("person").order_by("begins_at")[:50]


def colleagues() -> QuerySet[Person]:
    return Person.objects.filter(is_active=True).order_by("name")


def report_readers() -> list[Person]:
    """Colleagues whose roles let them read reports at all."""
    return [person for person in colleagues() if Permission.REPORTS_READ in permissions_of(person)]


def find_colleague(person_id: Any) -> Person | None:
    return colleagues().filter(pk=person_id).first()


def unacknowledged(actor: Actor) -> QuerySet[Alert]:
    waiting = Alert.objects.filter(acknowledged_at__isnull=True).order_by("raised_at")
    named = list(waiting.values_list("report_id", flat=True)[:500])
    return waiting.filter(report__in=visible_reports(actor).filter(pk__in=named)).select_related("report")


def find_delivery(actor: Actor, delivery_id: Any) -> Delivery | None:
    """One's own only: it holds what the reports will hold, before anybody said how sensitive they are."""
    return Delivery.objects.filter(pk=delivery_id, made_by=actor.person.pk).first()


def delivery_lines(delivery: Delivery, cursor: str = "") -> Slice:
    """What became of each line, in order."""
    lines, scope = delivery.lines.select_related("report"), f"delivery:{delivery.pk}"
    try:
        return slice_rows(lines, ("number",), cursor, LINES_A_PAGE, scope)
    except InputError:
        return slice_rows(lines, ("number",), "", LINES_A_PAGE, scope)


OUTCOMES = tuple(outcome.value for outcome in Outcome if outcome not in OF_APPEALS)
