"""Reads of the office's health: what works, what is late. Codes, ages, counts, who owes us a receipt; no content."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from leadline.errors import LeadlineError
from leadline.workbench import chain, sealing, worker
from leadline.workbench.banks.access import all_banks, bank_faults
from leadline.workbench.hooks.models import Delivery
from leadline.workbench.journal.access import clock_doubts, last_time_of, latest_anchor
from leadline.workbench.journal.models import Duty
from leadline.workbench.search.access import lag
from leadline.workbench.sharing import sources
from leadline.workbench.sharing.access import count_stuck

_HOUR_S, _DAY_S = 3600, 24 * 3600
_BEAT_LATE_S, _QUEUE_LATE_S, _MAIL_LATE_S, _DUTY_LATE_S = 60, 600, 900, 300
_DAILY_LATE_S = _DAY_S + 2 * _HOUR_S
_DISK_FULL, _DISK_LOW = 0.03, 0.10  # share of it that is free
ESSENTIAL = ("database", "worker", "disk", "key")  # without these no report is safe: /healthz says 503
TOLD_TO_ALL = (*ESSENTIAL, "queue", "mail", "backup", "timestamps")  # ok or not, and no more


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. state  ok | late | failed | off; value in `unit` (s, share, count), None where unknown."""

    name: str
    state: str
    value: float | None = None
    unit: str = ""
    note: str = ""  # a code


def health(names: Collection[str] = ()) -> list[Check]:
    """Everything, or what is named, in the order in which it matters. Never raises for what it looks at."""
    checks = []
    for name in names or _LOOKS:
        try:
            checks.append(_LOOKS[name]())
        except DatabaseError:
            checks.append(Check(name, "failed", note="database"))
        except OSError as error:
            checks.append(Check(name, "failed", note=type(error).__name__.lower()))
    return checks


def is_well(checks: list[Check]) -> bool:
    return not any(check.name in ESSENTIAL and check.state in {"failed", "off"} for check in checks)


def duties() -> list[Duty]:
    return list(Duty.objects.exclude(name__startswith=worker.HEARTBEAT).order_by("name"))


def receipts_owed() -> list[sources.Owing]:
    """For people; where it cannot be read, the check of receipts says so."""
    try:
        return sources.receipts_owed() or []
    except (LeadlineError, ImportError):
        return []


def _age_s(moment: datetime | None) -> float | None:
    return None if moment is None else max(0.0, (timezone.now() - moment).total_seconds())


def _aged(name: str, age_s: float | None, late_s: float, *, is_needed: bool = True, beyond: str = "late") -> Check:
    """An age and its verdict; None: it never happened."""
    if age_s is None:
        return Check(name, beyond if is_needed else "off", note="never")
    return Check(name, beyond if age_s > late_s else "ok", age_s, "s")


def _database() -> Check:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    return Check("database", "ok", note=connection.vendor)


def _worker() -> Check:
    soon = timezone.now() + timedelta(minutes=1)  # a beat from the future tells nothing: a clock was ahead
    beats = Duty.objects.filter(name__startswith=worker.HEARTBEAT, ended_at__lt=soon).order_by("-ended_at")
    return _aged("worker", _age_s(beats.values_list("ended_at", flat=True).first()), _BEAT_LATE_S, beyond="failed")


def _key() -> Check:
    return Check("key", "ok" if sealing.is_key_there() else "failed")


def _disk() -> Check:
    usage = shutil.disk_usage(settings.LEADLINE_HOME)
    free = usage.free / usage.total
    return Check("disk", "failed" if free < _DISK_FULL else "late" if free < _DISK_LOW else "ok", free, "share")


def _clock() -> Check:
    doubts = clock_doubts()
    return Check("clock", "failed" if doubts else "ok", note=" ".join(doubts))


def _queue() -> Check:
    ready = DBTaskResult.objects.filter(status="READY", run_after__lte=timezone.now()).order_by("enqueued_at")
    oldest = _age_s(ready.values_list("enqueued_at", flat=True).first())
    return Check("queue", "ok", 0.0, "s") if oldest is None else _aged("queue", oldest, _QUEUE_LATE_S)


def _mail() -> Check:
    if settings.LEADLINE_IMAP is None:
        return Check("mail", "off")
    duty = Duty.objects.filter(name="reports.mail").first()
    if duty is None or duty.ended_at is None:
        return Check("mail", "late", note="never")
    waits_s = _age_s(duty.waits_since)
    if duty.failure:
        return Check("mail", "failed", waits_s, "s", note=duty.failure)
    looked_s = _age_s(duty.ended_at) or 0.0  # what came since is not known
    if looked_s > _MAIL_LATE_S:
        return Check("mail", "late", max(waits_s or 0.0, looked_s), "s", note="not-looked")
    return Check("mail", "ok", 0.0, "s") if waits_s is None else _aged("mail", waits_s, _MAIL_LATE_S)


def _backup() -> Check:
    """By its line in the journal, wherever it was written to; a folder knows of no other disk, and can be touched."""
    return _aged("backup", _age_s(last_time_of("office.backed-up")), _DAILY_LATE_S)


def _anchor() -> Check:
    """Signed is not gone: what counts is when one last left the reach of whoever has this machine."""
    left = chain.last_that_left()
    if left is None and latest_anchor() is not None:
        return Check("anchor", "late", note="not-left-this-machine")
    return _aged("anchor", None if left is None else _age_s(left.made_at), _DAILY_LATE_S)


def _timestamps() -> Check:
    if not settings.LEADLINE_TIMESTAMP_URLS:
        return Check("timestamps", "off")
    newest = latest_anchor()
    if newest is None or not newest.stamps:
        return Check("timestamps", "late", note="never" if newest is None else "unstamped")
    return _aged("timestamps", _age_s(newest.made_at), _DAILY_LATE_S)


def _banks() -> Check:
    faults = bank_faults()
    return Check("banks", "failed" if faults else "ok", float(len(all_banks())), "count", note=" ".join(faults))


def _entries() -> Check:
    return Check("bank-entries", "ok", float(sum(bank.count for bank in all_banks())), "count")


def _webhooks() -> Check:
    waiting = Delivery.objects.filter(state="waiting").order_by("made_at")
    oldest = _age_s(waiting.values_list("made_at", flat=True).first())
    return Check("webhooks", "ok", 0.0, "s") if oldest is None else _aged("webhooks", oldest, _HOUR_S)


def _duties() -> Check:
    rows = duties()
    failed = [duty for duty in rows if duty.failure]
    late = [duty for duty in rows if (_age_s(duty.due_at) or 0) > _DUTY_LATE_S]
    return Check("duties", "failed" if failed else "late" if late else "ok", float(len(failed) + len(late)), "count")


def _search() -> Check:
    """How many lines of the journal the index does not know; late where the first of them is old."""
    behind = lag()
    is_late = behind.note == "never" or (_age_s(behind.since) or 0) > _DUTY_LATE_S
    return Check("search", "late" if is_late else "ok", float(behind.behind), "count", note=behind.note)


def _sources() -> Check:
    found = sources.lateness(_DAILY_LATE_S)
    if not found.lists and not found.unreadable:
        return Check("sources", "off")
    state = "failed" if found.unreadable else "late" if found.late or found.unconfirmed else "ok"
    note = "unreadable" if found.unreadable else "never" if found.lag_s is None else ""
    note = note or ("unconfirmed" if found.unconfirmed else "")
    return Check("sources", state, found.lag_s, "s", note)


def _receipts() -> Check:
    """Who takes our lists has to prove that what we withdrew is gone there too."""
    try:
        owing = sources.receipts_owed()
    except (LeadlineError, ImportError):
        return Check("feed-receipts", "failed", note="unreadable")
    if owing is None:
        return Check("feed-receipts", "off")
    overdue = sum(one.is_overdue for one in owing)
    return Check("feed-receipts", "late" if overdue else "ok", float(overdue), "count")


def _shares() -> Check:
    """What somebody has to look after: unclear whether it arrived, or not to be sent."""
    stuck = count_stuck()
    return Check("shares", "late" if stuck else "ok", float(stuck), "count")


_LOOKS: dict[str, Callable[[], Check]] = {
    "database": _database,
    "worker": _worker,
    "key": _key,
    "disk": _disk,
    "clock": _clock,
    "queue": _queue,
    "duties": _duties,
    "mail": _mail,
    "backup": _backup,
    "anchor": _anchor,
    "timestamps": _timestamps,
    "banks": _banks,
    "bank-entries": _entries,
    "search": _search,
    "webhooks": _webhooks,
    "sources": _sources,
    "feed-receipts": _receipts,
    "shares": _shares,
}
