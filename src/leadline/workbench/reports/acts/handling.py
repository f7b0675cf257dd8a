"""Who may see a report, and whether a legal hold is on it."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from leadline.domain import Tlp
from leadline.errors import WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.permissions import Sensitivity
from leadline.workbench.reports.acts.telling import tell
from leadline.workbench.reports.models import Report


@transaction.atomic
def set_sensitivity(by: Person, report_id: Any, sensitivity: Sensitivity, tlp: Tlp) -> Report:
    report = Report.objects.select_for_update().get(pk=report_id)
    details = {"from": report.sensitivity, "to": int(sensitivity), "tlp": tlp.value}
    report.sensitivity, report.tlp = int(sensitivity), tlp.value
    report.save(update_fields=["sensitivity", "tlp"])
    tell("report.sensitivity", by, report, details=details)
    return report


@transaction.atomic
def set_hold(by: Person, report_id: Any, on_hold: bool) -> Report:
    """A legal hold beats retention."""
    report = Report.objects.select_for_update().get(pk=report_id)
    if report.on_hold == on_hold:
        raise WrongState("it is so already", where=report.number)
    report.on_hold = on_hold
    report.save(update_fields=["on_hold"])
    tell("report.hold" if on_hold else "report.hold-ended", by, report)
    return report
