"""Writes of the journal: one line for one act, in the transaction of the act itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from leadline.custody.canonical import encode_canonical
from leadline.custody.chain import CustodyEvent, Head, format_time, hash_event, next_event
from leadline.workbench.journal.models import Duty, Line

SYSTEM = "system"
_CHAIN_LOCK = 0x4C45_4144  # one number for one chain, in PostgreSQL's space of advisory locks


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
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("a journal line belongs into the transaction of its act")
    _hold_chain()
    event = next_event(
        head(),
        at=format_time(timezone.now()),
        actor=actor,
        act=act,
        object_kind=object_kind,
        object_id=object_id,
        reason=reason,
        details=dict(details or {}),
    )
    Line.objects.create(
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
        hash=hash_event(event),
    )
    return event


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


def claim_duty(name: str, every_s: float) -> bool:
    """Whether this worker is the one to do it now: it was due, and nobody else took it."""
    now = timezone.now()
    Duty.objects.get_or_create(name=name, defaults={"due_at": now})
    due = Duty.objects.filter(name=name, due_at__lte=now)
    return bool(due.update(due_at=now + timedelta(seconds=every_s), begun_at=now))


def end_duty(name: str, failure: str = "") -> None:
    Duty.objects.filter(name=name).update(ended_at=timezone.now(), failure=failure[:80])


def beat(name: str) -> None:
    """A heartbeat: this worker, or this part of it, is alive."""
    now = timezone.now()
    Duty.objects.update_or_create(name=name, defaults={"due_at": now, "begun_at": now, "ended_at": now, "failure": ""})
