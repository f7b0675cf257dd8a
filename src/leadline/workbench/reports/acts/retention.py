"""Terms that end: contacts first, whole reports later. A legal hold beats both."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.errors import WrongState
from leadline.workbench.reports.acts.telling import tell
from leadline.workbench.reports.models import Item, Message, Report


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
    tell("contact.erased", None, report, reason=reason)


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
    tell("report.erased", None, report, reason=reason)
