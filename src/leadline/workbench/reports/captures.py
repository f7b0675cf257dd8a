"""Captures, chats and scan results made elsewhere -> reports. Opens containers in the sandbox only; judges nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Verdict
from leadline.errors import ReportFormatError
from leadline.exchange.incoming import clean_text
from leadline.media.sniff import AV_TYPES, PICTURE_TYPES, sniff
from leadline.media.transcript import Message, read_messages
from leadline.scan.finding import Finding, decode_line
from leadline.workbench.reports.containers import Part, Reading, read_container
from leadline.workbench.reports.mail import found_items

MAX_SCAN_ITEMS = 10_000
_MAX_PAGES = 2000
_MEDIA = PICTURE_TYPES | AV_TYPES
# Known files first: of a scan larger than one report may be, the unknown ones are only counted.
_ORDER = (Verdict.KNOWN, Verdict.NEAR, Verdict.UNREADABLE, Verdict.UNKNOWN, Verdict.SKIPPED)


@dataclass(frozen=True, slots=True)
class Opened:
    """A report, and the files of it that are to be taken in."""

    incoming: IncomingReport
    files: tuple[Part, ...] = ()


def read_capture(untrusted: bytes, give_up_at: float) -> Opened:
    """WARC, WACZ, MHTML, HAR: the pages as items, pictures and videos as files. ReportFormatError for anything else."""
    reading = read_container(untrusted, give_up_at=give_up_at)
    pages = [part for part in reading.parts if _is_page(part)]
    files = tuple(part for part in reading.parts if part.role == "file" and is_media(part.data))
    if not any(part.facts.get("url") for part in reading.parts):
        raise ReportFormatError("no web capture", mend="give a WARC, WACZ, MHTML or HAR file", code="no-capture")
    urls = list(dict.fromkeys(part.facts["url"] for part in pages if part.facts.get("url")))[:_MAX_PAGES]
    items = tuple(IncomingItem(ItemKind.URL, url) for url in urls)
    facts = _facts(reading) | {"pages": len(urls), "media_files": len(files)}
    return Opened(IncomingReport(channel=Channel.CAPTURE, items=items, facts=facts), files)


def is_media(untrusted: bytes) -> bool:
    return sniff(untrusted[:4096]) in _MEDIA


def _is_page(part: Part) -> bool:
    """A page that was asked for, not what it loaded."""
    if part.facts.get("format") == "mhtml":
        return part.role == "headers"
    is_answer = part.facts.get("direction", "response") == "response"
    return is_answer and part.facts.get("mime", "").partition(";")[0].strip().lower() == "text/html"


def read_chat(untrusted: bytes, give_up_at: float) -> Opened:
    """WhatsApp, Telegram or Discord, alone or in an archive with its files. Who wrote what is the export's claim."""
    reading = read_container(untrusted, give_up_at=give_up_at)
    talks = [part for part in reading.parts if part.role == "messages"]
    if not talks:
        raise ReportFormatError("no exported conversation", mend="export it again, as JSON or text", code="no-chat")
    messages = [message for part in talks for message in read_messages([part.data])]
    text = "\n".join(map(_line, messages))
    files = tuple(part for part in reading.parts if part.role == "file" and is_media(part.data))
    times = sorted(message.at for message in messages if message.at)
    facts = _facts(reading) | {
        "messages": len(messages),
        "participants": len({message.author for message in messages if message.author}),
        "first": times[0] if times else "",
        "last": times[-1] if times else "",
        "absent_files": sum(message.absent for message in messages),
    }
    links = "\n".join([*(message.text for message in messages), *(link for m in messages for link in m.links)])
    return Opened(IncomingReport(channel=Channel.CHAT, items=found_items(links), text=text, facts=facts), files)


def _line(message: Message) -> str:
    attached = "".join(f" [file: {name}]" for name in message.attachments)
    return clean_text(f"[{message.at or message.at_raw or '-'}] {message.author or '-'}: {message.text}{attached}")


def _facts(reading: Reading) -> dict[str, Any]:
    formats = sorted({part.facts["format"] for part in reading.parts if part.facts.get("format")})
    found: dict[str, Any] = {"formats": formats, "parts": len(reading.parts)}
    return found | ({"damaged": reading.fault} if reading.fault else {})


def read_findings(untrusted: bytes, give_up_at: float) -> Opened:
    """findings.jsonl of `leadline scan`: a summary, and each file's SHA-256 as an item."""
    findings = list(_findings(untrusted))
    counts = Counter(finding.verdict for finding in findings)
    order = {verdict.value: place for place, verdict in enumerate(_ORDER)}
    named = [finding for finding in findings if finding.sha256]
    chosen = sorted(named, key=lambda finding: order.get(finding.verdict, len(order)))[:MAX_SCAN_ITEMS]
    facts = {"scan": dict(counts), "files": len(findings), "not_listed": len(named) - len(chosen)}
    items = tuple(map(_file_item, chosen))
    shown = ", ".join(f"{verdict}: {count}" for verdict, count in sorted(counts.items()))
    text = f"{len(findings)} files ({shown})"
    return Opened(IncomingReport(channel=Channel.SCAN, items=items, text=text, facts=facts))


def _findings(untrusted: bytes) -> Iterable[Finding]:
    for number, line in enumerate(untrusted.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield decode_line(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ReportFormatError(
                "not a finding of a scan",
                where=f"line {number}",
                mend="give findings.jsonl of a scan that has ended",
                code="no-finding",
            ) from None


def _file_item(finding: Finding) -> IncomingItem:
    facts: dict[str, object] = {
        "name": clean_text(finding.path),
        "size": finding.size,
        "verdict": finding.verdict,
        **{name: value for name in ("md5", "sha1", "mime", "pdq", "kind") if (value := getattr(finding, name))},
    }
    if finding.matches:
        facts["matches"] = [f"{match.bank}:{match.entry}" for match in finding.matches[:20]]
    return IncomingItem(ItemKind.HASH, str(finding.sha256), facts=facts)
