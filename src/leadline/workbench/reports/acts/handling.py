"""Who may see a report, and whether a legal hold is on it. To let more people see it takes two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.domain import Tlp
from leadline.errors import NotAllowed, WrongState
from leadline.law.matrix import country_code
from leadline.law.terms import Involved
from leadline.workbench.accounts.access import is_one_person_office
from leadline.workbench.accounts.actions import grant_object
from leadline.workbench.accounts.models import Person
from leadline.workbench.permissions import Sensitivity
from leadline.workbench.reports.acts.telling import tell
from leadline.workbench.reports.models import HandlingProposal, Report

_STRICTNESS = {tlp: place for place, tlp in enumerate((Tlp.CLEAR, Tlp.GREEN, Tlp.AMBER, Tlp.AMBER_STRICT, Tlp.RED))}


@transaction.atomic
def set_handling(by: Person, report_id: Any, sensitivity: Sensitivity, tlp: Tlp, reason: str) -> bool:
    """Whether it is so now: stricter at once; looser only when somebody else has confirmed it (`decide_handling`)."""
    report = Report.objects.select_for_update().get(pk=report_id)
    if report.handling_proposals.filter(decided_at__isnull=True).exists():
        raise WrongState("a change waits for a second person already", where=report.number, mend="decide that first")
    is_looser = sensitivity < report.sensitivity or _STRICTNESS[tlp] < _STRICTNESS[Tlp(report.tlp)]
    if is_looser and not is_one_person_office():
        asked = report.handling_proposals.create(
            sensitivity=int(sensitivity), tlp=tlp.value, reason=reason, asked_by=by, asked_at=timezone.now()
        )
        tell("report.handling-asked", by, report, reason=reason, details={"row": asked.pk, **_said(sensitivity, tlp)})
        return False
    _set(by, report, sensitivity, tlp, reason)
    return True


@transaction.atomic
def set_countries(by: Person, report_id: Any, countries: Mapping[Involved, Sequence[str]]) -> Report:
    """Which countries are involved, as a person knows it: the law beside the report follows them. InputError for a code
    that is none. Nothing is moved, kept or erased by it.
    """
    report = Report.objects.select_for_update().get(pk=report_id)
    noted = {str(kind): sorted({country_code(code) for code in codes}) for kind, codes in countries.items() if codes}
    if noted != report.countries:
        report.countries = noted
        report.save(update_fields=["countries"])
        tell("report.countries", by, report, details=noted)
    return report


@transaction.atomic
def decide_handling(by: Person, report_id: Any, *, confirm: bool) -> Report:
    """Never by who asked."""
    report = Report.objects.select_for_update().get(pk=report_id)
    asked = report.handling_proposals.select_for_update().filter(decided_at__isnull=True).first()
    if asked is None:
        raise WrongState("there is nothing to decide", where=report.number)
    if asked.asked_by_id == by.pk and confirm:
        raise NotAllowed("a second person decides", where=report.number, mend="ask a colleague")
    asked.decided_by, asked.decided_at, asked.is_confirmed = by, timezone.now(), confirm
    asked.save(update_fields=["decided_by", "decided_at", "is_confirmed"])
    if confirm:
        _set(by, report, Sensitivity(asked.sensitivity), Tlp(asked.tlp), asked.reason, asked)
    else:
        tell("report.handling-refused", by, report, reason=asked.reason, details={"row": asked.pk})
    return report


def _set(
    by: Person, report: Report, sensitivity: Sensitivity, tlp: Tlp, reason: str, asked: HandlingProposal | None = None
) -> None:
    before = {"from": report.sensitivity, "from_tlp": _code(Tlp(report.tlp))}
    report.sensitivity, report.tlp = int(sensitivity), tlp.value
    report.save(update_fields=["sensitivity", "tlp"])
    by_two = {"row": asked.pk, "asked_by": str(asked.asked_by_id)} if asked else {}
    tell("report.sensitivity", by, report, reason=reason, details={**before, **_said(sensitivity, tlp), **by_two})


def _said(sensitivity: Sensitivity, tlp: Tlp) -> dict[str, Any]:
    return {"to": int(sensitivity), "tlp": _code(tlp)}


def _code(tlp: Tlp) -> str:
    return tlp.value.replace("+", "-")


@transaction.atomic
def set_hold(by: Person, report_id: Any, on_hold: bool, *, reason: str) -> Report:
    """A legal hold beats retention."""
    report = Report.objects.select_for_update().get(pk=report_id)
    if report.on_hold == on_hold:
        raise WrongState("it is so already", where=report.number)
    report.on_hold = on_hold
    report.save(update_fields=["on_hold"])
    tell("report.hold" if on_hold else "report.hold-ended", by, report, reason=reason)
    return report


def let_see(by: Person, person: Person, report: Report, lasts: timedelta) -> None:
    """One colleague, this report, until a day."""
    grant_object(by, person, "report", str(report.pk), lasts)
