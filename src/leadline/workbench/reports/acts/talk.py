"""The conversation with a reporter who has a passphrase and no account."""

from __future__ import annotations

import uuid

from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction
from django.utils import timezone

from leadline.domain import Channel
from leadline.errors import NotAllowed, ReportFormatError
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.reports import keys
from leadline.workbench.reports.access import contact_key
from leadline.workbench.reports.acts.embedded import words_without_media
from leadline.workbench.reports.acts.moves import move
from leadline.workbench.reports.contents import message_context, seal_private
from leadline.workbench.reports.models import Message, Report
from leadline.workbench.reports.states import Reason, State

MAX_MESSAGE_CHARS = 10_000


def find_by_passphrase(passphrase: str) -> Report | None:
    """The reporter's own report. Takes as long for a wrong passphrase as for a right one."""
    plain = keys.plain_passphrase(passphrase)
    found = Report.objects.filter(receipt_lookup=keys.receipt_lookup(plain)).order_by("-received_at")
    candidates = [report for report in found[:8] if report.passphrase_hash and contact_key(report) is not None]
    for report in candidates:
        if check_password(plain, report.passphrase_hash):
            return report
    if not candidates:
        check_password(plain, _STAND_IN.hash)
    return None


class _StandIn:
    """A hash of nothing anybody knows, made when first needed."""

    _kept = ""

    @property
    def hash(self) -> str:
        if not self._kept:
            self._kept = make_password(uuid.uuid4().hex)
        return self._kept


_STAND_IN = _StandIn()


@transaction.atomic
def post_message(report: Report, *, text: str, actor: str, from_reporter: bool) -> Message:
    """A question of the office, or the reporter's answer, which brings a waiting report back on the desk.

    ReportFormatError for an empty or too long text; NotAllowed where there is nobody to talk with.
    """
    if not text.strip() or len(text) > MAX_MESSAGE_CHARS:
        raise ReportFormatError("a message has 1 to 10000 characters", field="text", mend="shorten it")
    text = words_without_media(text)
    locked = Report.objects.select_for_update().get(pk=report.pk)
    key = contact_key(locked)
    if key is None or not locked.passphrase_hash or locked.erased_at is not None or locked.channel == Channel.CHAT:
        raise NotAllowed("nobody reads messages of this report", where=locked.number)
    message = Message(id=uuid.uuid4(), report=locked, at=timezone.now(), from_reporter=from_reporter, actor=actor)
    message.text_sealed = seal_private(text, key, message_context(message.id))
    message.save(force_insert=True)
    acts = ("appeal.asked", "appeal.message") if locked.is_appeal else ("report.asked", "report.answered")
    act = acts[from_reporter]
    record(act, actor=actor, object_kind="report", object_id=str(locked.id), details={"message": str(message.id)})
    if from_reporter and locked.state == State.WAITING:
        move(locked, State.TRIAGE, Reason.ANSWERED, SYSTEM)
    return message
