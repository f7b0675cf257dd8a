"""Writes of the journal: a line for an act, in the transaction of the act itself."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from leadline.custody.canonical import encode_canonical
from leadline.custody.chain import CustodyEvent, Head, format_time, next_event
from leadline.workbench.journal.models import Clock, Duty, Line

SYSTEM = "system"
_CHAIN_LOCK = 0x4C45_4144  # one number for one chain, in PostgreSQL's space of advisory locks
_RETRY_S = 300.0  # a duty that failed, at the latest
_CLOCK_SLACK = timedelta(minutes=10)  # between the clock and the machine's own count of seconds
_CLOCK_KEPT = timedelta(hours=1)  # seldom enough that small steps do not add up unseen
_CLOCK_GAP = timedelta(days=1)  # that a machine may be off without anybody being asked whether its clock is right


@dataclass(frozen=True, slots=True)
class Said:
    """What a line is to say; ids and reason codes only."""

    act: str
    actor: str
    object_kind: str
    object_id: str
    reason: str = "none"
    details: Mapping[str, Any] = field(default_factory=dict)


def record(
    act: str,
    *,
    actor: str,
    object_kind: str,
    object_id: str,
    reason: str = "none",
    details: Mapping[str, Any] | None = None,
) -> CustodyEvent:
    """Append a line to the chain. Call it inside the act's transaction, as its last write: it takes the chain's lock.

    Ids and reason codes only; custody/chain.py refuses anything else, and then the act does not happen either.
    """
    (event,) = record_all([Said(act, actor, object_kind, object_id, reason, details or {})])
    return event


def record_all(said: Iterable[Said]) -> list[CustodyEvent]:
    """The same for many lines, one after another; what a thousand lines of their own would ask is asked once."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("a journal line belongs into the transaction of its act")
    _hold_chain()
    before, events, lines = head(), list[CustodyEvent](), list[Line]()
    for one in said:
        event = next_event(
            before,
            at=format_time(timezone.now()),
            actor=one.actor,
            act=one.act,
            object_kind=one.object_kind,
            object_id=one.object_id,
            reason=one.reason,
            details=dict(one.details),
        )
        before = event.head
        events.append(event)
        lines.append(_line_of(event))
    Line.objects.bulk_create(lines)
    return events


def _line_of(event: CustodyEvent) -> Line:
    return Line(
        line=event.line,
        at=event.at,
        actor=event.actor,
        act=event.act,
        object_kind=event.object_kind,
        object_id=event.object_id,
        reason=event.reason,
        details=encode_canonical(event.details).decode(),
        salt=event.salt,
        previous_hash=event.previous_hash,
        hash=event.hash,
    )


@transaction.atomic
def note_export(actor: str) -> int:
    """Somebody took the whole chain with them; the line that says so, which is the last one they get."""
    return record("journal.exported", actor=actor, object_kind="journal", object_id="chain").line


def head() -> Head | None:
    """Where the chain stands; None while it is empty."""
    last = Line.objects.order_by("-line").values_list("line", "hash").first()
    return None if last is None else Head(*last)


def event_of(line: Line) -> CustodyEvent:
    return CustodyEvent(
        line=line.line,
        at=line.at,
        actor=line.actor,
        act=line.act,
        object_kind=line.object_kind,
        object_id=line.object_id,
        reason=line.reason,
        details=json.loads(line.details),
        previous_hash=line.previous_hash,
        salt=line.salt,
    )


def _hold_chain() -> None:
    """Until the transaction ends no one else appends. SQLite's transactions are IMMEDIATE: they hold it already."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CHAIN_LOCK])


# --- duties ----------------------------------------------------------------------------------------------------------


def due_duties(every_s: Mapping[str, float]) -> set[str]:
    """Which of these (name -> seconds between) may be claimed: one question, which writes nothing."""
    now = timezone.now()
    due_at = dict(Duty.objects.filter(name__in=every_s).values_list("name", "due_at"))
    return {name for name, seconds in every_s.items() if _is_due(due_at.get(name, now), now, seconds)}


def _is_due(due_at: datetime, now: datetime, every_s: float) -> bool:
    """Also where it would be only later than it ever is put off: then the clock was ahead when it was last done."""
    return due_at <= now or due_at > now + timedelta(seconds=every_s + 1)


def claim_duty(name: str, every_s: float, holder: str = "") -> bool:
    """Whether this worker is the one to do it now: it is due, and nobody else is at it."""
    now = timezone.now()
    duty, _ = Duty.objects.get_or_create(name=name, defaults={"due_at": now})
    if not _is_due(duty.due_at, now, every_s):
        return False
    # what it holds itself it did not get to end: the database was away
    free = Duty.objects.filter(name=name, due_at=duty.due_at, held_by__in=("", holder))
    return bool(free.update(due_at=now + timedelta(seconds=every_s), begun_at=now, held_by=holder))


def end_duty(name: str, failure: str = "", every_s: float = _RETRY_S) -> None:
    """One that failed comes round again soon, however seldom it is due."""
    now = timezone.now()
    ended = {"ended_at": now, "failure": failure[:80], "held_by": ""}
    if failure:
        ended["due_at"] = now + timedelta(seconds=min(every_s, _RETRY_S))
    Duty.objects.filter(name=name).update(**ended)


def note_waiting(name: str, since: datetime | None) -> None:
    """Since when the oldest waits of what this duty works off; None: nothing does. Written only where it is news."""
    Duty.objects.filter(name=name).exclude(waits_since=since).update(waits_since=since)


def free_duties(holders: Collection[str]) -> int:
    """What dead workers were doing is due now."""
    held = Duty.objects.filter(held_by__in=list(holders))
    return held.update(held_by="", due_at=timezone.now()) if holders else 0


def beat(name: str) -> None:
    """A heartbeat: this worker, or this part of it, is alive."""
    now = timezone.now()
    Duty.objects.update_or_create(name=name, defaults={"due_at": now, "begun_at": now, "ended_at": now, "failure": ""})


def forget_beats(prefix: str) -> None:
    """Of workers that have not been heard of for a day."""
    now = timezone.now()
    silent = Q(ended_at__lt=now - timedelta(days=1)) | Q(ended_at__gt=now + timedelta(days=1))
    Duty.objects.filter(silent, name__startswith=prefix).delete()


# --- the clock -------------------------------------------------------------------------------------------------------


def look_at_clock(machine: str, boot: str, up_s: float) -> str:
    """What is wrong with this machine's clock: nothing, `ahead` or `behind`. Kept until it is right, or confirmed.

    A clock that was set wrong must not end terms of retention: what is destroyed then does not come back. While the
    machine is up its own count of seconds says what the time must be. Across a start there is none; then the time
    must lie within a day of when it was last believed.
    """
    now = timezone.now()
    with transaction.atomic():
        seen = {"trusted_at": now, "boot": boot, "up_s": up_s, "doubt": ""}
        newest = Clock.objects.order_by("-trusted_at").first()
        # a machine that is new here, say a container after an update, is held against what was known elsewhere
        first = seen if newest is None else seen | {"trusted_at": newest.trusted_at, "boot": ""}
        clock, _ = Clock.objects.select_for_update().get_or_create(machine=machine, defaults=first)
        least, most = clock.trusted_at - _CLOCK_SLACK, clock.trusted_at + _CLOCK_GAP
        if clock.boot == boot:
            passed = timedelta(seconds=up_s - clock.up_s)
            least, most = least + passed, clock.trusted_at + passed + _CLOCK_SLACK
        doubt = "ahead" if now > most else "behind" if now < least else ""
        if doubt != clock.doubt:
            record(
                "clock.doubted" if doubt else "clock.right-again",
                actor=SYSTEM,
                object_kind="clock",
                object_id=machine_code(machine),
                reason=doubt or clock.doubt,
            )
        is_old = clock.boot != boot or now - clock.trusted_at > _CLOCK_KEPT
        if doubt:
            Clock.objects.filter(pk=machine).update(doubt=doubt)
        elif clock.doubt or is_old:
            Clock.objects.filter(pk=machine).update(**seen)
    return doubt


@transaction.atomic
def confirm_clocks(by: str) -> int:
    """A person says that the time is right; how many machines it was doubted of."""
    doubted = list(Clock.objects.select_for_update().exclude(doubt=""))
    for clock in doubted:
        record(
            "clock.confirmed", actor=by, object_kind="clock", object_id=machine_code(clock.machine), reason=clock.doubt
        )
        Clock.objects.filter(pk=clock.pk).update(trusted_at=timezone.now(), boot="", doubt="")
    return len(doubted)


def machine_code(machine: str) -> str:
    """A machine's name in the journal, where only plain ids may stand."""
    return re.sub(r"[^A-Za-z0-9._:-]", "-", machine)[:80] or "machine"
