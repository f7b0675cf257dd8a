"""Files and mails of reports -> `actions.receive`, each by its own reader; what they hold goes to `evidence` first."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

from django.conf import settings

from leadline.domain import Channel, IncomingReport, Tlp
from leadline.errors import LeadlineError, NotAllowed, ReportFormatError, WrongState
from leadline.exchange import iccam, ncmec_report
from leadline.exchange.incoming import clean_text
from leadline.media.sniff import ARCHIVE_TYPES, AV_TYPES, PICTURE_TYPES
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence.access import media_mode
from leadline.workbench.evidence.actions import take_in
from leadline.workbench.evidence.models import MediaMode
from leadline.workbench.permissions import Sensitivity
from leadline.workbench.reports import actions, captures
from leadline.workbench.reports.actions import LEGAL_ORDER, Receipt, TakenFile
from leadline.workbench.reports.containers import Part, read_container, type_of
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
    importer: Person | None = None
    give_up_at: float = float("inf")  # by time.monotonic: files that are not taken in by then are named only


MOST_AT_ONCE = 2  # files that one web process reads at the same time
IMPORT_TIMEOUT_S = 80.0
_turns = threading.BoundedSemaphore(MOST_AT_ONCE)


def import_file(channel: Channel, untrusted: bytes, name: str, sender: Sender, resolver: Resolver | None) -> Any:
    """`receive_file` within a request, where it has to run: an office that does not keep media may put nothing aside
    for a worker. So it is bounded in time, and in number: others find their pages answered.

    WrongState (code busy) where as many are at work already.
    """
    if not _turns.acquire(blocking=False):
        raise WrongState("other files are being read", mend="send it again in a minute", code="busy")
    try:
        in_time = replace(sender, give_up_at=time.monotonic() + IMPORT_TIMEOUT_S)
        return receive_file(channel, untrusted, name, in_time, resolver)
    finally:
        _turns.release()


def receive_mail(untrusted: bytes, sender: Sender, resolver: Resolver | None, name: str = "mail.eml") -> Receipt:
    """One mail as one report. Its files go through the media mode; the mail itself is kept only where media are."""
    mail = read_mail(untrusted, resolver, settings.LEADLINE_MAIL_AUTHSERV_ID)
    files = take_parts(mail.files, sender, "mail") + _take_original(name, untrusted, sender, "mail")
    return _receive(mail.incoming, Channel.MAIL, sender, files, _sha256(untrusted), dict(mail.checks))


def receive_file(
    channel: Channel, untrusted: bytes, name: str, sender: Sender, resolver: Resolver | None
) -> list[Receipt]:
    """A file of the named channel; several receipts where it holds several reports.

    Raises ReportFormatError, naming the record at fault: what came before it has been received.
    """
    if channel is Channel.MAIL:
        return [receive_mail(untrusted, sender, resolver, name)]
    original = _sha256(untrusted)
    if channel is Channel.NCMEC and _is_export(untrusted):
        return [_receive_export(untrusted, name, sender, original)]
    if channel in (Channel.ICCAM, Channel.NCMEC):
        read = iccam.read if channel is Channel.ICCAM else ncmec_report.read
        results = list(read(BytesIO(untrusted), where=name))
        files = _take_original(name, untrusted, sender, channel.value)
        return _receive_all(results, channel, sender, files, original)
    opened = _OPENERS[channel](untrusted, sender.give_up_at)
    if channel is Channel.CHAT and not sender.legal_order.strip():
        mend = "name the order under which it was recorded"
        raise ReportFormatError("a conversation needs its legal order", field=LEGAL_ORDER, mend=mend)
    files = take_parts(opened.files, sender, channel.value)
    if channel is not Channel.SCAN:
        files.append(take_file(name, untrusted, sender, channel.value))
    return [_receive(opened.incoming, channel, sender, files, original)]


def _is_export(untrusted: bytes) -> bool:
    """A document or an archive; text and what nobody knows goes to the reader of XML, which says what is wrong."""
    return untrusted.startswith(b"%PDF-") or type_of(untrusted) in ARCHIVE_TYPES | PICTURE_TYPES | AV_TYPES


def _receive_export(untrusted: bytes, name: str, sender: Sender, original: str) -> Receipt:
    """NCMEC's other exports, say a PDF or an archive: the report is the file, and what media its archive holds."""
    mime = "application/pdf" if untrusted.startswith(b"%PDF-") else type_of(untrusted)
    files = [take_file(name, untrusted, sender, Channel.NCMEC.value)]
    if mime in ARCHIVE_TYPES:
        inside = [
            part
            for part in read_container(untrusted, mime=mime, give_up_at=sender.give_up_at).parts
            if part.role == "file"
        ]
        files += take_parts([part for part in inside if captures.is_media(part.data)], sender, Channel.NCMEC.value)
    incoming = IncomingReport(channel=Channel.NCMEC, facts={"export": mime, "size_bytes": len(untrusted)})
    return _receive(incoming, Channel.NCMEC, sender, files, original)


def _take_original(name: str, untrusted: bytes, sender: Sender, source: str) -> list[TakenFile]:
    """Sealed where the office keeps files. Elsewhere its hash, which stands with the report, is all that stays."""
    return [take_file(name, untrusted, sender, source)] if media_mode() is MediaMode.KEEP else []


def _sha256(untrusted: bytes) -> str:
    return hashlib.sha256(untrusted).hexdigest()


_OPENERS: dict[Channel, Callable[[bytes, float], captures.Opened]] = {
    Channel.CHAT: captures.read_chat,
    Channel.CAPTURE: captures.read_capture,
    Channel.SCAN: captures.read_findings,
}
FILE_CHANNELS = (Channel.MAIL, Channel.ICCAM, Channel.NCMEC, *_OPENERS)


def _receive_all(
    results: Any, channel: Channel, sender: Sender, files: Sequence[TakenFile], original: str
) -> list[Receipt]:
    receipts = []
    for number, result in enumerate(results):
        if isinstance(result, LeadlineError):
            raise result
        key = f"{sender.idempotency_key}:{number}" if sender.idempotency_key else ""
        receipts.append(_receive(result, channel, replace(sender, idempotency_key=key), files, original))
    return receipts


def _receive(
    incoming: IncomingReport,
    channel: Channel,
    sender: Sender,
    files: Sequence[TakenFile],
    original: str,
    checks: dict[str, Any] | None = None,
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
        importer=sender.importer,
        original_sha256=original,
    )


def take_parts(parts: Sequence[Part], sender: Sender, source: str) -> list[TakenFile]:
    """Files of a container. One that could not be read whole is named, and not taken in."""
    taken = []
    for part in parts:
        if part.skipped or not part.data:
            taken.append(TakenFile(part.name, None, (part.skipped or "empty",)))
        elif time.monotonic() > sender.give_up_at:
            taken.append(TakenFile(part.name, None, ("too-slow",)))  # named, so that somebody sends it alone
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
