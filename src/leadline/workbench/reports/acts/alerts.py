"""Who is on call, and the alerts of urgent reports."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from leadline.errors import WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.reports.acts.telling import tell
from leadline.workbench.reports.models import Alert, OnCall, Report


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
    tell("alert.acknowledged", by, report)
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
