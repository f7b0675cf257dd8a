"""The only writes of reports. Each is one transaction with its line in the journal; `receive` is the one way in."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from django.db import IntegrityError, transaction
from django.utils import timezone

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Kind, Tlp
from leadline.errors import InputError, NotAllowed, ReportFormatError, WrongState
from leadline.exchange.incoming import clean_text
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.permissions import Sensitivity
from leadline.workbench.reports import keys
from leadline.workbench.reports.contents import (
    contact_context,
    facts_context,
    item_context,
    message_context,
    seal_value,
    text_context,
)
from leadline.workbench.reports.models import (
    Acknowledged,
    Alert,
    Item,
    Message,
    OnCall,
    Report,
    Series,
    StateChange,
)
from leadline.workbench.reports.states import OPEN, WAITS_AT_MOST, Outcome, Reason, State, reasons_for
from leadline.workbench.reports.urgency import ALERTS_FROM, UrgencyOf, explain_urgency

MAX_ITEMS = 10_000
MAX_TEXT_CHARS = 1 << 18
MAX_MESSAGE_CHARS = 10_000
_LAWFUL = frozenset({Channel.CHAT, Channel.CAPTURE})  # come from somebody's operation, not from the public
LEGAL_ORDER = "legal_order"  # the fact that names it


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A file of the report after it went its own way (evidence.actions.take_in).

    asset    the row, or None where the media mode refused it; flags then says so
    """

    name: str
    asset: Asset | None = None
    flags: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a delivery.

    items        those of the report, in order
    attached_to  earlier reports that pointed at one of the same things
    is_new       False where the same request had come before: the answer is the same
    """

    report: Report
    items: tuple[Item, ...]
    attached_to: tuple[Report, ...]
    is_new: bool = True


# --- a report comes in -----------------------------------------------------------------------------------------------


def receive(
    incoming: IncomingReport,
    *,
    channel: Channel,
    actor: str,
    idempotency_key: str = "",
    passphrase: str = "",
    language: str = "",
    source: str = "",
    files: Sequence[TakenFile] = (),
    checks: dict[str, Any] | None = None,
    sensitivity: Sensitivity | None = None,
    tlp: Tlp = Tlp.AMBER_STRICT,
) -> Receipt:
    """Store one report whole, or not at all. When this returns it is on disk.

    actor            as the journal names them: a person's id, key:ID, "public-form", "system"
    idempotency_key  the same key of the same actor with the same body gives the same answer; with another body
                     it raises InputError (code idempotency-reuse)
    passphrase       the reporter's receipt: only its Argon2 hash and 20 bits to find it by are kept
    source           who delivers, as the office calls them; codes or names of organisations, never of persons
    files            bytes that went through evidence.actions.take_in
    checks           codes of what was checked of the delivery, e.g. DKIM
    sensitivity      default: restricted where it comes from a lawful operation, else sensitive

    Raises ReportFormatError (nothing in it, too much, a chat or capture without its legal order) and what `sealing`
    raises where the key is missing: nothing is ever stored in plain.
    """
    _check(incoming, channel, files)
    body = _body_hash(incoming, channel, files, idempotency_key) if idempotency_key else ""
    if idempotency_key and (known := _answered(actor, idempotency_key, body)):
        return known
    draft = _draft(incoming, channel, files)
    draft.report.passphrase_hash = make_password(keys.plain_passphrase(passphrase)) if passphrase else ""
    draft.report.receipt_lookup = keys.receipt_lookup(passphrase) if passphrase else ""
    draft.report.language, draft.report.source = language[:8], clean_text(source)[:120]
    draft.report.checks = checks or {}
    default = Sensitivity.RESTRICTED if channel in _LAWFUL else Sensitivity.SENSITIVE
    draft.report.sensitivity = int(default if sensitivity is None else sensitivity)
    draft.report.tlp = tlp.value
    try:
        return _store(draft, actor, idempotency_key, body)
    except IntegrityError:
        if idempotency_key and (known := _answered(actor, idempotency_key, body)):
            return known  # the same request, at the same moment
        raise


def _check(incoming: IncomingReport, channel: Channel, files: Sequence[TakenFile]) -> None:
    if not incoming.items and not incoming.text.strip() and not files:
        raise ReportFormatError("the report is empty", mend="give a URL, an account, a hash, a file or a text")
    if len(incoming.items) + len(files) > MAX_ITEMS:
        raise ReportFormatError(f"more than {MAX_ITEMS} items", field="items", mend="send them in several reports")
    if len(incoming.text) > MAX_TEXT_CHARS:
        raise ReportFormatError("the text is too long", field="text", mend=f"at most {MAX_TEXT_CHARS} characters")
    if channel is Channel.CHAT and not str(incoming.facts.get(LEGAL_ORDER, "")).strip():
        mend = "name the order under which it was recorded"
        raise ReportFormatError("a conversation needs its legal order", field=LEGAL_ORDER, mend=mend)


@dataclass(slots=True)
class _Draft:
    """A report and its items, sealed and keyed, before the transaction: it holds locks for as short as can be."""

    report: Report
    items: list[Item] = field(default_factory=list)
    is_bare: bool = True  # nothing in it but things that have a key


def _draft(incoming: IncomingReport, channel: Channel, files: Sequence[TakenFile]) -> _Draft:
    now, report_id = timezone.now(), uuid.uuid4()
    urgency = explain_urgency(incoming.urgency, channel, _kinds_of(files))
    report = Report(
        id=report_id,
        channel=channel.value,
        source_reference=clean_text(incoming.source_reference)[:200],
        received_at=now,
        sender_received_at=_moment(incoming.received_at),
        made_at=_moment(incoming.made_at),
        urgency_ticks=sorted(incoming.urgency),
        text_sealed=seal_value(incoming.text, text_context(report_id)) if incoming.text.strip() else None,
    )
    _set_urgency(report, urgency)
    facts = {**incoming.facts, **({"attachments": list(incoming.attachments)} if incoming.attachments else {})}
    if facts:
        report.facts_sealed = seal_value(_json(facts), facts_context(report.id))
    if incoming.reporter is not None and any(asdict(incoming.reporter).values()):
        report.contact_sealed = seal_value(_json(asdict(incoming.reporter)), contact_context(report.id))
    draft = _Draft(report, is_bare=not incoming.text.strip() and report.contact_sealed is None)
    _draft_items(draft, incoming, files)
    return draft


def _kinds_of(files: Sequence[TakenFile]) -> set[Kind]:
    return {Kind(taken.asset.inferred_kind) for taken in files if taken.asset and taken.asset.inferred_kind}


def _set_urgency(report: Report, urgency: UrgencyOf) -> None:
    report.urgency, report.rank = urgency.level, 3 - urgency.level
    report.urgency_why = [list(pair) for pair in urgency.why]


def _draft_items(draft: _Draft, incoming: IncomingReport, files: Sequence[TakenFile]) -> None:
    """One item for one thing: what the sender says of it twice is kept with the first."""
    said: dict[str, tuple[Item, list[dict[str, Any]]]] = {}
    entries = [(item, None) for item in incoming.items]
    entries += [(IncomingItem(ItemKind.FILE, taken.name, note=taken.note), taken) for taken in files]  # type: ignore[misc]
    for incoming_item, taken in entries:
        asset = None if taken is None else taken.asset
        key = keys.item_key(incoming_item, sha256=asset.sha256 if asset else "")
        payload = {name: value for name, value in asdict(incoming_item).items() if value and name != "kind"}
        if key.key and key.key in said:
            said[key.key][1].append(payload)
            continue
        item = Item(id=uuid.uuid4(), report=draft.report, position=len(draft.items), kind=incoming_item.kind.value)
        item.key, item.asset = key.key, asset
        item.flags = sorted({*key.flags, *(taken.flags if taken else ())})
        item.first_seen_at = item.last_seen_at = draft.report.received_at
        draft.items.append(item)
        said[key.key or str(item.id)] = (item, [payload])
        draft.is_bare &= bool(key.key) and not incoming_item.note
    for item, payloads in said.values():
        item.value_sealed = seal_value(_json(payloads), item_context(item.id))
    draft.report.item_count = len(draft.items)


@transaction.atomic
def _store(draft: _Draft, actor: str, idempotency_key: str, body: str) -> Receipt:
    report = draft.report
    report.number = _next_number(report.received_at)  # from here on reports stand in line
    earlier = _attach(draft)
    is_repeat = draft.is_bare and report.known_count == len(draft.items) > 0 and len(earlier) == 1
    if is_repeat and report.urgency <= earlier[0].urgency:
        report.attached_to = earlier[0]
    report.save(force_insert=True)
    Item.objects.bulk_create(draft.items, batch_size=500)
    if idempotency_key:
        Acknowledged.objects.create(
            scope=actor, key_hash=_hash_key(idempotency_key), body_hash=body, report=report, at=report.received_at
        )
    if report.urgency >= ALERTS_FROM:
        Alert.objects.create(report=report, raised_at=report.received_at)
    for known in earlier:
        _attach_to(known, report)
    record(
        "report.received",
        actor=actor,
        object_kind="report",
        object_id=str(report.id),
        reason=report.channel,
        details={"number": report.number, "items": len(draft.items), "known": report.known_count},
    )
    if report.attached_to is not None:
        _move(report, State.DUPLICATE, Reason.ALL_ITEMS_KNOWN, SYSTEM)
    return Receipt(report, tuple(draft.items), tuple(earlier))


def _next_number(at: datetime) -> str:
    """R-2026-000123. The row's lock puts reports in line, so that of two with the same item one is the first."""
    Series.objects.get_or_create(year=at.year)
    series = Series.objects.select_for_update().get(year=at.year)
    series.last += 1
    series.save(update_fields=["last"])
    return f"R-{at.year}-{series.last:06d}"


def _attach(draft: _Draft) -> list[Report]:
    """Point items at the first of their key, and count there. Returns the reports of those, oldest first."""
    wanted = {item.key: item for item in draft.items if item.key}
    reports: dict[Any, Report] = {}
    names = sorted(wanted)
    for begin in range(0, len(names), 500):
        firsts = Item.objects.filter(key__in=names[begin : begin + 500], first__isnull=True)
        for first in firsts.select_related("report").order_by("key"):
            item = wanted[first.key]
            item.first, item.first_seen_at = first, first.first_seen_at
            first.times, first.last_seen_at = first.times + 1, max(first.last_seen_at, item.last_seen_at)
            item.times = first.times
            first.save(update_fields=["times", "last_seen_at"])
            going_on = _going_on(first.report)
            if going_on.erased_at is None:
                reports[going_on.pk] = going_on
            draft.report.known_count += 1
    return sorted(reports.values(), key=lambda report: report.number)


def _going_on(report: Report) -> Report:
    """The report that a duplicate was attached to, and so on."""
    for _ in range(10):
        if report.attached_to is None:
            break
        report = report.attached_to
    return report


def _attach_to(known: Report, report: Report) -> None:
    """The earlier report learns that its item was reported again, and is opened again where it was closed."""
    record(
        "item.attached",
        actor=SYSTEM,
        object_kind="report",
        object_id=str(known.id),
        reason="reported-again",
        details={"by": str(report.id), "number": report.number},
    )
    if known.state == State.CLOSED:
        locked = Report.objects.select_for_update().get(pk=known.pk)
        if locked.state == State.CLOSED:
            _move(locked, State.REOPENED, Reason.REPORTED_AGAIN, SYSTEM)
        known.state = locked.state


def _answered(actor: str, idempotency_key: str, body: str) -> Receipt | None:
    rows = Acknowledged.objects.filter(scope=actor, key_hash=_hash_key(idempotency_key))
    known = rows.select_related("report").first()
    if known is None:
        return None
    if known.body_hash != body:
        mend = "use a new key for another report"
        raise InputError("this Idempotency-Key came with another report", mend=mend, code="idempotency-reuse")
    items = tuple(known.report.items.order_by("position"))
    firsts = Report.objects.filter(items__repeats__in=items).distinct().order_by("number")
    return Receipt(known.report, items, tuple(firsts), is_new=False)


def _hash_key(idempotency_key: str) -> str:
    return keys.body_hash(idempotency_key.encode())


def _body_hash(incoming: IncomingReport, channel: Channel, files: Sequence[TakenFile], key: str) -> str:
    said = asdict(incoming) | {"urgency": sorted(incoming.urgency), "channel": channel.value}
    said["files"] = [[taken.name, taken.asset.sha256 if taken.asset else ""] for taken in files]
    return keys.body_hash(_json(said).encode())


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=str)


def _moment(seconds: int) -> datetime | None:
    """Times that the calendar does not hold are no times."""
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
    except (OverflowError, OSError, ValueError):
        return None


# --- states ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def change_state(
    by: Person | None,
    report_id: Any,
    to: State,
    reason: Reason,
    *,
    seen: State,
    outcome: Outcome | None = None,
    same_as: Report | None = None,
) -> Report:
    """Move a report; `by` None is the worker. WrongState where it is not in the state that was seen, or may not go.

    outcome  needed to close, refused elsewhere
    same_as  of a duplicate: the report that goes on
    """
    report = Report.objects.select_for_update().get(pk=report_id)
    if report.state != seen:
        raise WrongState("the report has moved on", where=report.number, mend="look at it again")
    if to is State.DUPLICATE:
        if same_as is None or same_as.pk == report.pk or same_as.attached_to_id is not None:
            raise WrongState("name the report that goes on", where=report.number)
        report.attached_to = same_as
    if to is State.TRIAGE and by is not None:
        report.assigned_to = by
    _move(report, to, reason, SYSTEM if by is None else str(by.pk), outcome)
    return report


def _move(report: Report, to: State, reason: Reason, actor: str, outcome: Outcome | None = None) -> None:
    """The one place where a state changes: guarded, reason-coded, with its line. Call it under the row's lock."""
    if reason not in reasons_for(State(report.state), to):
        raise WrongState(f"a report that is {report.state} cannot become {to} as {reason}", where=report.number)
    if (to is State.CLOSED) != (outcome is not None):
        raise WrongState("closing needs an outcome, and nothing else has one", where=report.number)
    before, now = report.state, timezone.now()
    report.state, report.is_open, report.outcome = to.value, to in OPEN, outcome or ""
    report.closed_at = None if report.is_open else now
    report.due_at = now + WAITS_AT_MOST[to] if to in WAITS_AT_MOST else None
    if to is State.REOPENED:
        report.attached_to = None
    if not report._state.adding:
        report.save()
    event = record(
        "report.state",
        actor=actor,
        object_kind="report",
        object_id=str(report.id),
        reason=reason.value,
        details={"from": before, "to": to.value, **({"outcome": outcome.value} if outcome else {})},
    )
    StateChange.objects.create(
        report=report,
        at=now,
        actor=actor,
        from_state=before,
        to_state=to.value,
        reason=reason.value,
        outcome=outcome or "",
        journal_line=event.line,
    )


@transaction.atomic
def set_sensitivity(by: Person, report_id: Any, sensitivity: Sensitivity, tlp: Tlp) -> Report:
    report = Report.objects.select_for_update().get(pk=report_id)
    details = {"from": report.sensitivity, "to": int(sensitivity), "tlp": tlp.value}
    report.sensitivity, report.tlp = int(sensitivity), tlp.value
    report.save(update_fields=["sensitivity", "tlp"])
    _record("report.sensitivity", by, report, details=details)
    return report


@transaction.atomic
def set_hold(by: Person, report_id: Any, on_hold: bool) -> Report:
    """A legal hold beats retention."""
    report = Report.objects.select_for_update().get(pk=report_id)
    if report.on_hold == on_hold:
        raise WrongState("it is so already", where=report.number)
    report.on_hold = on_hold
    report.save(update_fields=["on_hold"])
    _record("report.hold" if on_hold else "report.hold-ended", by, report)
    return report


def _record(act: str, by: Person | None, report: Report, **more: Any) -> None:
    actor = SYSTEM if by is None else str(by.pk)
    record(act, actor=actor, object_kind="report", object_id=str(report.id), **more)


# --- the conversation with the reporter ------------------------------------------------------------------------------


def find_by_passphrase(passphrase: str) -> Report | None:
    """The reporter's own report. Takes as long for a wrong passphrase as for a right one."""
    plain = keys.plain_passphrase(passphrase)
    found = Report.objects.filter(receipt_lookup=keys.receipt_lookup(plain)).order_by("-received_at")
    candidates = [report for report in found[:8] if report.passphrase_hash]
    for report in candidates:
        if check_password(plain, report.passphrase_hash):
            return report
    if not candidates:
        check_password(plain, _STAND_IN.hash)
    return None


class _StandIn:
    """A hash of nothing anybody knows, made when first needed."""

    _kept = ""

    @property
    def hash(self) -> str:
        if not self._kept:
            self._kept = make_password(uuid.uuid4().hex)
        return self._kept


_STAND_IN = _StandIn()


@transaction.atomic
def post_message(report: Report, *, text: str, actor: str, from_reporter: bool) -> Message:
    """A question of the office, or the reporter's answer, which brings a waiting report back on the desk.

    ReportFormatError for an empty or too long text; NotAllowed where there is nobody to talk with.
    """
    if not text.strip() or len(text) > MAX_MESSAGE_CHARS:
        raise ReportFormatError("a message has 1 to 10000 characters", field="text", mend="shorten it")
    locked = Report.objects.select_for_update().get(pk=report.pk)
    if not locked.passphrase_hash or locked.erased_at is not None or locked.channel == Channel.CHAT:
        raise NotAllowed("nobody reads messages of this report", where=locked.number)
    message = Message(id=uuid.uuid4(), report=locked, at=timezone.now(), from_reporter=from_reporter, actor=actor)
    message.text_sealed = seal_value(text, message_context(message.id))
    message.save(force_insert=True)
    act = "report.answered" if from_reporter else "report.asked"
    record(act, actor=actor, object_kind="report", object_id=str(locked.id), details={"message": str(message.id)})
    if from_reporter and locked.state == State.WAITING:
        _move(locked, State.TRIAGE, Reason.ANSWERED, SYSTEM)
    return message


# --- alerts ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def set_on_call(by: Person, person: Person, begins_at: datetime, ends_at: datetime) -> OnCall:
    if ends_at <= begins_at:
        raise WrongState("it ends before it begins")
    duty = OnCall.objects.create(person=person, begins_at=begins_at, ends_at=ends_at, set_by=by)
    record("oncall.set", actor=str(by.pk), object_kind="person", object_id=str(person.pk), details={"row": duty.pk})
    return duty


@transaction.atomic
def acknowledge(by: Person, report: Report) -> Alert:
    """Ends the alerts of this report."""
    alert = Alert.objects.select_for_update().filter(report=report).first()
    if alert is None or alert.acknowledged_at is not None:
        raise WrongState("there is nothing to acknowledge", where=report.number)
    alert.acknowledged_at, alert.acknowledged_by = timezone.now(), by
    alert.save(update_fields=["acknowledged_at", "acknowledged_by"])
    _record("alert.acknowledged", by, report)
    return alert


@transaction.atomic
def claim_alert(alert_id: int, repeat_after: timedelta) -> Alert | None:
    """The alert, marked as sent now, where it is due: so of two workers one sends it. A clock set back delays none."""
    now = timezone.now()
    alert = Alert.objects.select_for_update().filter(pk=alert_id, acknowledged_at__isnull=True).first()
    if alert is None or (alert.last_sent_at and alert.last_sent_at <= now < alert.last_sent_at + repeat_after):
        return None
    alert.last_sent_at, alert.sent_count = now, alert.sent_count + 1
    alert.save(update_fields=["last_sent_at", "sent_count"])
    record(
        "alert.sent",
        actor=SYSTEM,
        object_kind="report",
        object_id=str(alert.report_id),
        details={"count": alert.sent_count},
    )
    return alert


def note_alert_failure(alert: Alert, code: str) -> None:
    Alert.objects.filter(pk=alert.pk).update(failure=code[:80])


# --- retention -------------------------------------------------------------------------------------------------------


@transaction.atomic
def erase_contact(report_id: Any, reason: str = "retention") -> None:
    """Contact, passphrase and conversation. What is left cannot be opened by anybody, nor found by the passphrase."""
    report = Report.objects.select_for_update().get(pk=report_id)
    if report.on_hold:
        raise WrongState("a legal hold is on it", where=report.number)
    report.contact_sealed, report.passphrase_hash, report.receipt_lookup = None, "", ""
    report.contact_erased_at = timezone.now()
    report.save(update_fields=["contact_sealed", "passphrase_hash", "receipt_lookup", "contact_erased_at"])
    Message.objects.filter(report=report).update(text_sealed=None)
    _record("contact.erased", None, report, reason=reason)


@transaction.atomic
def erase_report(report_id: Any, reason: str = "retention") -> None:
    """Text, facts and values. Number, states, times and keyed hashes stay: a re-report is still recognised."""
    report = Report.objects.select_for_update().get(pk=report_id)
    if report.on_hold or report.is_open:
        raise WrongState("it is open, or a legal hold is on it", where=report.number)
    report.contact_sealed, report.passphrase_hash, report.receipt_lookup = None, "", ""
    report.text_sealed = report.facts_sealed = None
    report.source_reference = ""
    report.erased_at = timezone.now()
    report.contact_erased_at = report.contact_erased_at or report.erased_at
    report.save()
    Message.objects.filter(report=report).update(text_sealed=None)
    Item.objects.filter(report=report).update(value_sealed=None)
    _record("report.erased", None, report, reason=reason)


def forget_answers(before: datetime) -> int:
    """Keys of requests older than that: their senders no longer repeat them."""
    return Acknowledged.objects.filter(at__lt=before).delete()[0]
