"""Files and mails of reports -> `actions.receive`, each by its own reader; what they hold goes to `evidence` first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

from django.conf import settings

from leadline.domain import Channel, IncomingReport, Tlp
from leadline.errors import LeadlineError, NotAllowed, ReportFormatError
from leadline.exchange import iccam, ncmec_report
from leadline.exchange.incoming import clean_text
from leadline.workbench.evidence.access import media_mode
from leadline.workbench.evidence.actions import take_in
from leadline.workbench.evidence.models import MediaMode
from leadline.workbench.permissions import Sensitivity
from leadline.workbench.reports import actions, captures
from leadline.workbench.reports.actions import LEGAL_ORDER, Receipt, TakenFile
from leadline.workbench.reports.containers import Part
from leadline.workbench.reports.mail import Resolver, read_mail

_REFUSED = "media-refused"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who delivers a file, and what they said beside it.

    actor        as the journal names them
    legal_order  of a chat or a capture: the order under which it was made; chats are refused without
    """

    actor: str
    source: str = ""
    legal_order: str = ""
    sensitivity: Sensitivity | None = None
    tlp: Tlp = Tlp.AMBER_STRICT
    idempotency_key: str = ""


def receive_mail(untrusted: bytes, sender: Sender, resolver: Resolver | None, name: str = "mail.eml") -> Receipt:
    """One mail as one report. Its files go through the media mode; the mail itself is kept only where media are."""
    mail = read_mail(untrusted, resolver, settings.LEADLINE_MAIL_AUTHSERV_ID)
    files = take_parts(mail.files, sender, "mail")
    if media_mode() is MediaMode.KEEP:
        files.append(take_file(name, untrusted, sender, "mail"))
    return _receive(mail.incoming, Channel.MAIL, sender, files, dict(mail.checks))


def receive_file(
    channel: Channel, untrusted: bytes, name: str, sender: Sender, resolver: Resolver | None
) -> list[Receipt]:
    """A file of the named channel; several receipts where it holds several reports.

    Raises ReportFormatError, naming the record at fault: what came before it has been received.
    """
    if channel is Channel.MAIL:
        return [receive_mail(untrusted, sender, resolver, name)]
    if channel is Channel.ICCAM:
        return _receive_all(iccam.read(BytesIO(untrusted), where=name), channel, sender)
    if channel is Channel.NCMEC:
        return _receive_all(ncmec_report.read(BytesIO(untrusted), where=name), channel, sender)
    opened = _OPENERS[channel](untrusted)
    if channel is Channel.CHAT and not sender.legal_order.strip():
        mend = "name the order under which it was recorded"
        raise ReportFormatError("a conversation needs its legal order", field=LEGAL_ORDER, mend=mend)
    files = take_parts(opened.files, sender, channel.value)
    if channel is not Channel.SCAN:
        files.append(take_file(name, untrusted, sender, channel.value))
    return [_receive(opened.incoming, channel, sender, files, {})]


_OPENERS: dict[Channel, Callable[[bytes], captures.Opened]] = {
    Channel.CHAT: captures.read_chat,
    Channel.CAPTURE: captures.read_capture,
    Channel.SCAN: captures.read_findings,
}
FILE_CHANNELS = (Channel.MAIL, Channel.ICCAM, Channel.NCMEC, *_OPENERS)


def _receive_all(results: Any, channel: Channel, sender: Sender) -> list[Receipt]:
    receipts = []
    for number, result in enumerate(results):
        if isinstance(result, LeadlineError):
            raise result
        key = f"{sender.idempotency_key}:{number}" if sender.idempotency_key else ""
        receipts.append(_receive(result, channel, replace(sender, idempotency_key=key), [], {}))
    return receipts


def _receive(
    incoming: IncomingReport, channel: Channel, sender: Sender, files: Sequence[TakenFile], checks: dict[str, Any]
) -> Receipt:
    if sender.legal_order.strip():
        incoming = replace(incoming, facts={**incoming.facts, LEGAL_ORDER: clean_text(sender.legal_order.strip())})
    return actions.receive(
        incoming,
        channel=channel,
        actor=sender.actor,
        source=sender.source,
        idempotency_key=sender.idempotency_key,
        files=files,
        checks=checks,
        sensitivity=sender.sensitivity,
        tlp=sender.tlp,
    )


def take_parts(parts: Sequence[Part], sender: Sender, source: str) -> list[TakenFile]:
    """Files of a container. One that could not be read whole is named, and not taken in."""
    taken = []
    for part in parts:
        if part.skipped or not part.data:
            taken.append(TakenFile(part.name, None, (part.skipped or "empty",)))
        else:
            taken.append(take_file(part.name, part.data, sender, source, note=part.facts.get("url", "")))
    return taken


def take_file(name: str, untrusted: bytes, sender: Sender, source: str, note: str = "") -> TakenFile:
    """Where the office refuses media, only the name is kept, and that it was refused."""
    name = clean_text(name)
    try:
        asset = take_in(untrusted, actor=sender.actor, source=source, name=name)
    except NotAllowed:
        return TakenFile(name, None, (_REFUSED,), note)
    return TakenFile(name, asset, (asset.state,), note)
