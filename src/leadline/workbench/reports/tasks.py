"""What the worker does for reports: mail, alerts, bulk imports, waiting reports that are due, retention."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override
from django_tasks import task

from leadline.domain import Channel
from leadline.errors import InputError, LeadlineError, ReportFormatError
from leadline.exchange import bulk
from leadline.workbench import outgoing
from leadline.workbench.evidence.access import media_mode
from leadline.workbench.evidence.models import MediaMode
from leadline.workbench.journal.actions import SYSTEM, note_waiting
from leadline.workbench.reports import access, actions, deliveries
from leadline.workbench.reports.intake import IMPORT_TIMEOUT_S, Sender, receive_mail
from leadline.workbench.reports.mail import Budgeted, Resolver, system_resolver
from leadline.workbench.reports.mailbox import Fate, Letter, Mailbox
from leadline.workbench.reports.models import Alert, Delivery, Report
from leadline.workbench.reports.states import Reason, State

ALERT_AGAIN_AFTER = timedelta(minutes=15)
_AT_ONCE = 500
_MAIL = "reports.mail"
_ROUND_S = 300.0  # of one look into the mailbox, whatever lies in it
_DNS_A_ROUND_S = 30.0
log = logging.getLogger("leadline.reports")


# --- mail ------------------------------------------------------------------------------------------------------------


def poll_mail(resolver: Resolver | None = None) -> int:
    """Take in what lies in the mailbox; how many. Nothing where none is configured."""
    if settings.LEADLINE_IMAP is None:
        return 0
    found, give_up, taken = resolver or dns_resolver(), time.monotonic() + _ROUND_S, 0
    one_round = Budgeted(found, _DNS_A_ROUND_S) if found else None
    with Mailbox(settings.LEADLINE_IMAP) as mailbox:
        note_waiting(_MAIL, mailbox.waits_since())  # before: one that cannot be taken in ends the round
        for letter in mailbox.letters():
            mailbox.settle(letter, take_letter(letter, one_round))
            taken += 1
            if time.monotonic() > give_up:
                break  # the rest is unread still
        if taken:
            note_waiting(_MAIL, mailbox.waits_since())
    return taken


def dns_resolver() -> Resolver | None:
    return system_resolver if settings.LEADLINE_MAIL_DNS == "on" else None


def take_letter(letter: Letter, resolver: Resolver | None) -> Fate:
    """A mail that cannot be read stays where it is, marked: it may be the only copy. Its name in the folder is its key,
    so a stop between taking in and expunging makes no second report."""
    if letter.data is None:
        return Fate.LEAVE
    key, give_up_at = f"imap:{letter.name}", time.monotonic() + IMPORT_TIMEOUT_S
    sender = Sender(actor=SYSTEM, source="mail", idempotency_key=key, give_up_at=give_up_at)
    try:
        receive_mail(letter.data, sender, resolver)
    except InputError as error:
        log.warning("mail %s was left in the mailbox: %s", letter.name, error.code)
        return Fate.LEAVE
    return Fate.KEEP if media_mode() is MediaMode.KEEP else Fate.EXPUNGE


# --- alerts ----------------------------------------------------------------------------------------------------------


def send_alerts() -> int:
    """Every alert that nobody has acknowledged: at once, and again after 15 minutes. How many were sent."""
    sent = 0
    for alert_id in Alert.objects.filter(acknowledged_at__isnull=True).values_list("pk", flat=True)[:_AT_ONCE]:
        alert = actions.claim_alert(alert_id, ALERT_AGAIN_AFTER)
        if alert is not None:
            _tell(alert)
            sent += 1
    return sent


def _tell(alert: Alert) -> None:
    """Number and hour, no content. By mail to whom is on call, and to the webhook; one that fails is noted."""
    failures = [failure for failure in (_mail(alert), _post(alert)) if failure]
    actions.note_alert_failure(alert, ",".join(failures))


def _mail(alert: Alert) -> str:
    on_call = access.on_call()
    if on_call is None:
        return "" if settings.LEADLINE_ALERT_WEBHOOK else "nobody-on-call"
    with override(on_call.person.language or settings.LANGUAGE_CODE):
        subject = _("Urgent report %(number)s waits") % {"number": alert.report.number}
        body = _("Sign in to Leadline and acknowledge it. This mail holds nothing of the report.")
    try:
        EmailMessage(subject, body, to=[on_call.person.email]).send()
    except OSError as error:
        log.error("alert by mail: %s", type(error).__name__)
        return "mail"
    return ""


def _post(alert: Alert) -> str:
    if not settings.LEADLINE_ALERT_WEBHOOK:
        return ""
    body = f'{{"event":"report.urgent","report":"{alert.report_id}","number":"{alert.report.number}"}}'.encode()
    headers = {"Content-Type": "application/json", "User-Agent": "Leadline"}
    answer = outgoing.post(settings.LEADLINE_ALERT_WEBHOOK, body, headers, allowed=settings.LEADLINE_WEBHOOK_PRIVATE)
    return f"webhook-{answer.failure}" if answer.failure else ""


# --- bulk ------------------------------------------------------------------------------------------------------------


@task()
def import_delivery(delivery_id: str) -> None:
    """Every line of a bulk file. Begun again after a stop, it goes on: a line received before is the same report."""
    delivery = Delivery.objects.filter(pk=delivery_id, ended_at__isnull=True).first()
    if delivery is None or delivery.data_sealed is None:
        return
    deliveries.begin(delivery)
    for row in bulk.read(BytesIO(deliveries.open_data(delivery)), where="file"):
        _import_row(delivery, row)
    deliveries.end(delivery)


def import_again() -> int:
    """Imports that died, by whatever killed their worker or the database under it; how many were ordered anew."""
    return sum(_quietly(deliveries.order_import, delivery) for delivery in deliveries.stopped())


def _import_row(delivery: Delivery, row: bulk.Row) -> None:
    if isinstance(row.result, ReportFormatError):
        deliveries.note_line(delivery, row.number, code=row.result.code, field=row.result.field)
        return
    try:
        receipt = actions.receive(
            row.result,
            channel=Channel.BULK,
            actor=str(delivery.made_by_id),
            source=delivery.source,
            idempotency_key=f"bulk:{delivery.pk}:{row.number}",
            original_sha256=delivery.sha256,
        )
    except InputError as error:
        deliveries.note_line(delivery, row.number, code=error.code, field=getattr(error, "field", ""))
    except Exception as error:
        if delivery.tries < deliveries.MOST_TRIES:
            raise  # perhaps the database is away: the whole is tried again
        deliveries.note_line(delivery, row.number, code=type(error).__name__)
    else:
        deliveries.note_line(delivery, row.number, report=receipt.report)


# --- time passes -----------------------------------------------------------------------------------------------------


def return_overdue() -> int:
    """Waiting reports whose time has run out are back on the desk; how many."""
    return sum(
        _quietly(actions.change_state, None, report_id, State.TRIAGE, Reason.OVERDUE, seen=State(state))
        for report_id, state in Report.objects.filter(due_at__lte=timezone.now()).values_list("pk", "state")[:_AT_ONCE]
    )


def erase_expired() -> int:
    """Contacts first, whole reports later, each by its own term from the day the report was closed; how many."""
    now, closed = timezone.now(), Report.objects.filter(is_open=False, on_hold=False)
    contact_before = now - min(access.retention(access.CONTACT_DAYS), access.retention(access.REPORT_DAYS))
    contacts = closed.filter(closed_at__lte=contact_before, contact_erased_at__isnull=True)
    done = sum(_quietly(actions.erase_contact, pk) for pk in contacts.values_list("pk", flat=True)[:_AT_ONCE])
    whole = closed.filter(closed_at__lte=now - access.retention(access.REPORT_DAYS), erased_at__isnull=True)
    return done + sum(_quietly(actions.erase_report, pk) for pk in whole.values_list("pk", flat=True)[:_AT_ONCE])


_FOLLOWED = "reports.urgency"
_SAID_OF_ASSETS = ("asset.matched", "asset.match-withdrawn", "asset.match-changed")


def follow_matches() -> int:
    """What the banks say anew of assets, told in the journal: the urgency of the reports that point at them."""
    seen = access.followed(_FOLLOWED)
    said, last = access.said_since(seen, _SAID_OF_ASSETS, _AT_ONCE)
    changed = sum(
        _quietly(actions.explain_again, report_id) for report_id in access.reports_of_assets(dict.fromkeys(said))
    )
    if last > seen:
        actions.note_followed(_FOLLOWED, last)
    return changed


def forget() -> None:
    """Answers to senders' keys after 30 days; bulk files nobody imported after a day, all others after a week."""
    now = timezone.now()
    actions.forget_answers(now - timedelta(days=30))
    actions.replay_contact_erasures()
    deliveries.forget(now - timedelta(days=1), now - timedelta(days=7))


def _quietly(act: Any, *args: Any, **more: Any) -> int:
    """1, or 0 where the report moved on meanwhile: the next round looks again."""
    try:
        act(*args, **more)
    except LeadlineError as error:
        log.warning("%s: %s", act.__name__, error.code)
        return 0
    return 1


DUTIES = [
    (_MAIL, 60.0, poll_mail),
    ("reports.alerts", 10.0, send_alerts),
    ("reports.overdue", 300.0, return_overdue),
    ("reports.retention", 900.0, erase_expired),
    ("reports.urgency", 20.0, follow_matches),
    ("reports.bulk", 600.0, import_again),
    ("reports.forget", 3600.0, forget),
]
