"""A report comes in, whole or not at all; it meets what is known, and what it meets learns of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.utils import timezone

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Kind, Tlp
from leadline.errors import InputError, ReportFormatError, sentence
from leadline.exchange.incoming import clean_text
from leadline.workbench.accounts.actions import grant_imported
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.permissions import Sensitivity
from leadline.workbench.reports import keys
from leadline.workbench.reports.acts.embedded import leave_out_media
from leadline.workbench.reports.acts.moves import move
from leadline.workbench.reports.contents import (
    contact_context,
    facts_context,
    item_context,
    new_contact_key,
    seal_contact_key,
    seal_private,
    seal_value,
    text_context,
)
from leadline.workbench.reports.known import kinds_claimed, kinds_met
from leadline.workbench.reports.models import (
    Acknowledged,
    Alert,
    ContactKey,
    Item,
    Report,
    Series,
)
from leadline.workbench.reports.states import Reason, State
from leadline.workbench.reports.urgency import ALERTS_FROM, UrgencyOf, explain_urgency

MAX_ITEMS = 10_000
MAX_TEXT_CHARS = 1 << 18
_AT_ONCE = 500
_IMPORTER_SEES_FOR = timedelta(days=90)
_MOST_STEPS = 10  # from a duplicate to the report that goes on
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
    importer: Person | None = None,
    original_sha256: str = "",
    is_appeal: bool = False,
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
    importer         who brought it in by hand: where their roles do not let them see it, a grant does for a while
    original_sha256  of the file it was read from: stands with the report and in the chain, whether it is kept or not
    is_appeal        it contests a decision: nothing of it is looked up, so neither answer nor delay tells what is known

    Raises ReportFormatError (nothing in it, too much, a chat or capture without its legal order) and what `sealing`
    raises where the key is missing: nothing is ever stored in plain.
    """
    # What an appeal carries is left out, and taken in by nobody: it changes nothing by itself.
    incoming, embedded = leave_out_media(incoming, actor, (Channel.PUBLIC_FORM if is_appeal else channel).value)
    files = [*files, *(TakenFile("embedded", asset, (asset.state,)) for asset in embedded)]
    _check(incoming, channel, files)
    if is_appeal and idempotency_key:
        idempotency_key = f"appeal {idempotency_key}"  # a report under the same key is another request
    body = _body_hash(incoming, channel, files, idempotency_key) if idempotency_key else ""
    if idempotency_key and (known := _answered(actor, idempotency_key, body)):
        return known
    draft = _draft(incoming, channel, files, is_appeal=is_appeal)
    if passphrase and draft.contact_key is None:
        draft.contact_key = new_contact_key()  # of the conversation
    draft.report.passphrase_hash = make_password(keys.plain_passphrase(passphrase)) if passphrase else ""
    draft.report.receipt_lookup = keys.receipt_lookup(passphrase) if passphrase else ""
    draft.report.language, draft.report.source = language[:8], clean_text(source)[:120]
    draft.report.checks = (checks or {}) | ({"original_sha256": original_sha256} if original_sha256 else {})
    default = Sensitivity.RESTRICTED if channel in _LAWFUL else Sensitivity.SENSITIVE
    draft.report.sensitivity = int(default if sensitivity is None else sensitivity)
    draft.report.tlp = tlp.value
    try:
        return _store(draft, actor, idempotency_key, body, importer)
    except IntegrityError:
        if idempotency_key and (known := _answered(actor, idempotency_key, body)):
            return known  # the same request, at the same moment
        raise


def _check(incoming: IncomingReport, channel: Channel, files: Sequence[TakenFile]) -> None:
    if not incoming.items and not incoming.text.strip() and not files:
        raise ReportFormatError("the report is empty", mend="give a URL, an account, a hash, a file or a text")
    if len(incoming.items) + len(files) > MAX_ITEMS:
        raise ReportFormatError("too many items", field="items", mend="send them in several reports")
    if len(incoming.text) > MAX_TEXT_CHARS:
        raise ReportFormatError(
            "the text is too long", field="text", mend=sentence("at most %(most)s characters", most=MAX_TEXT_CHARS)
        )
    if channel is Channel.CHAT and not str(incoming.facts.get(LEGAL_ORDER, "")).strip():
        mend = "name the order under which it was recorded"
        raise ReportFormatError("a conversation needs its legal order", field=LEGAL_ORDER, mend=mend)


@dataclass(slots=True)
class _Draft:
    """A report and its items, sealed and keyed, before the transaction: it holds locks for as short as can be."""

    report: Report
    items: list[Item] = field(default_factory=list)
    is_bare: bool = True  # nothing in it but things that have a key
    contact_key: bytes | None = field(default=None, repr=False)


def _draft(
    incoming: IncomingReport, channel: Channel, files: Sequence[TakenFile], *, is_appeal: bool = False
) -> _Draft:
    now, report_id = timezone.now(), uuid.uuid4()
    met = [""] * len(incoming.items) if is_appeal else kinds_met(incoming.items)
    kinds = _kinds_of(files) | {Kind(kind) for kind in met if kind}
    urgency = explain_urgency(incoming.urgency, channel, kinds, kinds_claimed(incoming.items, channel))
    if is_appeal:
        urgency = UrgencyOf(0, ())
    report = Report(
        id=report_id,
        channel=channel.value,
        source_reference=clean_text(incoming.source_reference)[:200],
        received_at=now,
        sender_received_at=_moment(incoming.received_at),
        made_at=_moment(incoming.made_at),
        urgency_ticks=sorted(incoming.urgency),
        is_appeal=is_appeal,
        text_sealed=seal_value(incoming.text, text_context(report_id)) if incoming.text.strip() else None,
    )
    set_urgency(report, urgency)
    facts = {**incoming.facts, **({"attachments": list(incoming.attachments)} if incoming.attachments else {})}
    if facts:
        report.facts_sealed = seal_value(_json(facts), facts_context(report.id))
    draft = _Draft(report)
    if incoming.reporter is not None and any(asdict(incoming.reporter).values()):
        draft.contact_key = new_contact_key()
        contact = _json(asdict(incoming.reporter))
        report.contact_sealed = seal_private(contact, draft.contact_key, contact_context(report.id))
    draft.is_bare = not incoming.text.strip() and report.contact_sealed is None
    _draft_items(draft, incoming, files, met)
    return draft


def _kinds_of(files: Sequence[TakenFile]) -> set[Kind]:
    return {Kind(taken.asset.inferred_kind) for taken in files if taken.asset and taken.asset.inferred_kind}


def set_urgency(report: Report, urgency: UrgencyOf) -> None:
    report.urgency, report.rank = urgency.level, 3 - urgency.level
    report.urgency_why = [list(pair) for pair in urgency.why]


def _draft_items(draft: _Draft, incoming: IncomingReport, files: Sequence[TakenFile], met: Sequence[str]) -> None:
    """One item for one thing: what the sender says of it twice is kept with the first."""
    said: dict[str, tuple[Item, list[dict[str, Any]]]] = {}
    entries: list[tuple[IncomingItem, TakenFile | None, str]]
    entries = [(item, None, kind) for item, kind in zip(incoming.items, met, strict=True)]
    entries += [(IncomingItem(ItemKind.FILE, taken.name, note=taken.note), taken, "") for taken in files]
    for incoming_item, taken, kind_met in entries:
        asset = None if taken is None else taken.asset
        is_keyed = not draft.report.is_appeal
        key = keys.item_key(incoming_item, sha256=asset.sha256 if asset else "") if is_keyed else keys.ItemKey()
        payload = {name: value for name, value in asdict(incoming_item).items() if value and name != "kind"}
        if key.key and key.key in said:
            said[key.key][1].append(payload)
            continue
        item = Item(id=uuid.uuid4(), report=draft.report, position=len(draft.items), kind=incoming_item.kind.value)
        item.key, item.asset, item.kind_met = key.key, asset, kind_met
        item.flags = sorted({*key.flags, *(taken.flags if taken else ())})
        item.first_seen_at = item.last_seen_at = draft.report.received_at
        draft.items.append(item)
        said[key.key or str(item.id)] = (item, [payload])
        draft.is_bare &= bool(key.key) and not incoming_item.note
    for item, payloads in said.values():
        item.value_sealed = seal_value(_json(payloads), item_context(item.id))
    draft.report.item_count = len(draft.items)


@transaction.atomic
def _store(draft: _Draft, actor: str, idempotency_key: str, body: str, importer: Person | None = None) -> Receipt:
    """Locks in this order, as everywhere: series, reports, their items, and last the chain."""
    report = draft.report
    report.number = _next_number(report)  # from here on reports stand in line
    firsts = _firsts(draft)
    earlier = _lock_earlier({first.report_id for first in firsts})
    _attach(draft, firsts)
    is_repeat = draft.is_bare and report.known_count == len(draft.items) > 0 and len(earlier) == 1
    if is_repeat and report.urgency <= earlier[0].urgency:
        report.attached_to = earlier[0]
    report.save(force_insert=True)
    if draft.contact_key is not None:
        ContactKey.objects.create(report=report, key_sealed=seal_contact_key(draft.contact_key, report.id))
    Item.objects.bulk_create(draft.items, batch_size=500)
    if idempotency_key:
        Acknowledged.objects.create(
            scope=actor, key_hash=_hash_key(idempotency_key), body_hash=body, report=report, at=report.received_at
        )
    if report.urgency >= ALERTS_FROM:
        Alert.objects.create(report=report, raised_at=report.received_at)
    for known in earlier:
        _attach_to(known, report)
    original = {name: value for name, value in report.checks.items() if name == "original_sha256"}
    record(
        "appeal.received" if report.is_appeal else "report.received",
        actor=actor,
        object_kind="report",
        object_id=str(report.id),
        reason=report.channel,
        details={"number": report.number, "items": len(draft.items), "known": report.known_count, **original},
    )
    if importer is not None and not _sees(importer, report):
        grant_imported(importer, "report", str(report.id), _IMPORTER_SEES_FOR)
    if report.attached_to is not None:
        move(report, State.DUPLICATE, Reason.ALL_ITEMS_KNOWN, SYSTEM)
    return Receipt(report, tuple(draft.items), tuple(earlier))


def _sees(person: Person, report: Report) -> bool:
    actor = Actor.of_person(person)
    return actor.clearance >= report.sensitivity and actor.may_see(Tlp(report.tlp))


def _next_number(report: Report) -> str:
    """R-2026-000123; A-2026-000124 of an appeal.

    The row's lock puts reports in line, so that of two with the same item one is the first.
    """
    year = report.received_at.year
    Series.objects.get_or_create(year=year)
    series = Series.objects.select_for_update().get(year=year)
    series.last += 1
    series.save(update_fields=["last"])
    return f"{'A' if report.is_appeal else 'R'}-{year}-{series.last:06d}"


def _firsts(draft: _Draft) -> list[Item]:
    """Items that first had one of the draft's keys. Only a report that comes in makes one, and those stand in line."""
    names = sorted({item.key for item in draft.items if item.key})
    found: list[Item] = []
    for begin in range(0, len(names), _AT_ONCE):
        firsts = Item.objects.filter(key__in=names[begin : begin + _AT_ONCE], first__isnull=True)
        found += firsts.order_by("key")
    return found


def _lock_earlier(report_ids: set[Any]) -> list[Report]:
    """The reports that go on with these, locked, oldest first; without those whose content is erased.

    Every report is locked here, before any row of its items and before the chain: whoever changes a report locks it
    first, so that two who meet wait for each other and never for each other's next step.
    """
    locked: dict[Any, Report] = {}
    wanted = set(report_ids)
    while missing := sorted(wanted - locked.keys()):
        for begin in range(0, len(missing), _AT_ONCE):
            rows = Report.objects.select_for_update().filter(pk__in=missing[begin : begin + _AT_ONCE])
            locked |= {row.pk: row for row in rows.order_by("pk")}
        wanted = {row.attached_to_id for row in locked.values() if row.attached_to_id}
    going_on = {_going_on(locked[pk], locked).pk for pk in report_ids}
    alive = [locked[pk] for pk in going_on if locked[pk].erased_at is None]
    return sorted(alive, key=lambda report: report.number)


def _going_on(report: Report, locked: dict[Any, Report]) -> Report:
    """The report that a duplicate was attached to, and so on."""
    for _ in range(_MOST_STEPS):
        if report.attached_to_id is None:
            break
        report = locked[report.attached_to_id]
    return report


def _attach(draft: _Draft, firsts: list[Item]) -> None:
    """Point items at the first of their key, and count there."""
    wanted = {item.key: item for item in draft.items if item.key}
    for first in firsts:
        item = wanted[first.key]
        item.first, item.first_seen_at = first, first.first_seen_at
        first.times, first.last_seen_at = first.times + 1, max(first.last_seen_at, item.last_seen_at)
        item.times = first.times
        first.save(update_fields=["times", "last_seen_at"])
        draft.report.known_count += 1


def _attach_to(known: Report, report: Report) -> None:
    """The earlier report, which is locked, learns that its item was reported again; closed, it is opened again."""
    record(
        "item.attached",
        actor=SYSTEM,
        object_kind="report",
        object_id=str(known.id),
        reason="reported-again",
        details={"by": str(report.id), "number": report.number},
    )
    if known.state == State.CLOSED:
        move(known, State.REOPENED, Reason.REPORTED_AGAIN, SYSTEM)


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


def forget_answers(before: datetime) -> int:
    """Keys of requests older than that: their senders no longer repeat them."""
    return Acknowledged.objects.filter(at__lt=before).delete()[0]
