"""Terms that end: contacts first, whole reports later. A legal hold beats both."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.custody.erasure import Act
from leadline.errors import WrongState
from leadline.workbench import sealing
from leadline.workbench.reports.acts.telling import tell
from leadline.workbench.reports.contents import erasure_name
from leadline.workbench.reports.models import ContactKey, Item, Message, Report


@transaction.atomic
def erase_contact(report_id: Any, reason: str = "retention") -> None:
    """Contact, passphrase and conversation. What is left cannot be opened by anybody, nor found by the passphrase."""
    report = Report.objects.select_for_update().get(pk=report_id)
    if report.on_hold:
        raise WrongState("a legal hold is on it", where=report.number)
    _destroy_key(report, reason)
    _forget_contact(report)
    tell("contact.erased", None, report, reason=reason)


@transaction.atomic
def erase_report(report_id: Any, reason: str = "retention") -> None:
    """Text, facts and values. Number, states, times and keyed hashes stay: a re-report is still recognised."""
    report = Report.objects.select_for_update().get(pk=report_id)
    if report.on_hold or report.is_open:
        raise WrongState("it is open, or a legal hold is on it", where=report.number)
    _destroy_key(report, reason)
    report.contact_sealed, report.passphrase_hash, report.receipt_lookup = None, "", ""
    report.text_sealed = report.facts_sealed = None
    report.source_reference = ""
    report.erased_at = timezone.now()
    report.contact_erased_at = report.contact_erased_at or report.erased_at
    report.save()
    Message.objects.filter(report=report).update(text_sealed=None)
    Item.objects.filter(report=report).update(value_sealed=None)
    tell("report.erased", None, report, reason=reason)


def _destroy_key(report: Report, reason: str) -> None:
    """The list knows it first, as of files in the vault: after a stop half-way nobody can open it, and it is erased
    again."""
    kept = ContactKey.objects.filter(pk=report.pk)
    if not kept.exists():
        return
    vault, name = sealing.open_vault(), erasure_name(report.pk)
    with vault.erasures.hold(alone=True):
        if not vault.erasures.is_erased(name):
            vault.erasures.append(Act.ERASE, name, reason, timezone.now())
    vault.replay_erasures()  # so that the vault, which follows this list, knows how far it has come
    kept.delete()


def replay_contact_erasures() -> int:
    """Contacts that a restored backup brought back: erased again, also under a hold, for their key was destroyed."""
    erased, done = sealing.open_vault().erasures.erased(), 0
    for report_id in ContactKey.objects.values_list("pk", flat=True).iterator():
        if erasure_name(report_id) in erased:
            with transaction.atomic():
                report = Report.objects.select_for_update().get(pk=report_id)
                _forget_contact(report)
                tell("contact.erased", None, report, reason="erased-before-restore")
                done += 1
    return done


def _forget_contact(report: Report) -> None:
    ContactKey.objects.filter(pk=report.pk).delete()
    report.contact_sealed, report.passphrase_hash, report.receipt_lookup = None, "", ""
    report.contact_erased_at = report.contact_erased_at or timezone.now()
    report.save(update_fields=["contact_sealed", "passphrase_hash", "receipt_lookup", "contact_erased_at"])
    Message.objects.filter(report=report).update(text_sealed=None)
