"""One mail -> a report, and what can be said of where it came from. Sends, fetches and obeys nothing.

A mail never executes a command: nothing in its subject or text changes any report. A sender's name proves nothing;
DKIM is checked here, SPF and DMARC are what the receiving server claims.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Reporter
from leadline.errors import InputError, ReportFormatError
from leadline.exchange.incoming import clean_text
from leadline.media.keyring import MAX_SIGNATURES, domain_of, is_key_name
from leadline.selectors.split import MAX_PASTE_CHARS, split_paste
from leadline.workbench.reports.containers import Part, check_dkim, read_container, texts_of

MAX_MAIL_BYTES = 32 << 20
MAX_FOUND = 5000  # items of one text
DNS_TIMEOUT_S = 5.0  # of all the keys of one mail together
_RESULT = re.compile(r"(?:^|;)\s{0,20}(spf|dkim|dmarc|arc)\s{0,5}=\s{0,5}([a-z]{2,12})", re.I)
_AUTHENTICATION = re.compile(rb"^authentication-results:((?:[^\r\n]|\r?\n[ \t])*)", re.I | re.M)
_SIGNATURE = re.compile(rb"^dkim-signature:", re.I | re.M)

log = logging.getLogger("leadline.mail")

# Name of a DNS record and seconds -> its text, or None where there is none or nobody answers in that time.
Resolver = Callable[[str, float], bytes | None]


@dataclass(frozen=True, slots=True)
class Mail:
    """incoming: the report; files: parts to be taken in; checks: codes only, see `check_origin`."""

    incoming: IncomingReport
    files: tuple[Part, ...]
    checks: Mapping[str, Any]


def read_mail(untrusted: bytes, resolver: Resolver | None, authserv_id: str = "") -> Mail:
    """Raises ReportFormatError where it is no mail or too large, SandboxUnavailable where nothing can be opened.

    resolver     how DKIM keys are found; None: DKIM is not checked, and the report says so
    authserv_id  of the server that hands the office its mail: what that one says of SPF is a result, not a claim
    """
    if len(untrusted) > MAX_MAIL_BYTES:
        mend = "upload it as a file of evidence"
        raise ReportFormatError("the mail is too large", mend=mend, code="too-large")
    reading = read_container(untrusted, mime="message/rfc822")
    headers = next((part for part in reading.parts if part.role == "headers"), None)
    if headers is None or not headers.facts.get("from"):
        raise ReportFormatError("this is no mail", mend="save it from the mail program as .eml", code="no-mail")
    files = tuple(part for part in reading.parts if part.role == "file" and not _is_body(part))
    checks = check_origin(untrusted, headers, resolver, authserv_id)
    if reading.fault:
        checks["damaged"] = reading.fault
    return Mail(_incoming(reading.parts, headers, files), files, checks)


def _is_body(part: Part) -> bool:
    is_text = part.facts.get("mime", "").startswith("text/")
    return is_text and part.facts.get("disposition", "") != "attachment"


def _incoming(parts: list[Part], headers: Part, files: tuple[Part, ...]) -> IncomingReport:
    said = headers.facts
    text = "\n".join(texts_of(parts))
    links_in = text if text.strip() else "\n".join(_html_of(parts))
    subject = said.get("subject", "")
    name, address = parseaddr(said["from"])
    facts = {key: said[key] for key in ("subject", "date", "message_id", "in_reply_to", "to") if said.get(key)}
    return IncomingReport(
        channel=Channel.MAIL,
        items=found_items("\n".join((subject, links_in))),
        source_reference="",
        reporter=Reporter(name=clean_text(name), email=clean_text(address)),
        text=clean_text("\n\n".join(filter(None, (subject, text)))),
        attachments=tuple(part.name for part in files),
        facts={"mail": facts, "html_only": True} if links_in and not text.strip() else {"mail": facts},
    )


def _html_of(parts: list[Part]) -> list[str]:
    """As it stands: looked through for links, never read as a page."""
    return [part.data.decode("utf-8", "replace") for part in parts if part.facts.get("mime") == "text/html"]


def found_items(untrusted_text: str) -> tuple[IncomingItem, ...]:
    """The links, accounts and hashes of a text, each once; the text itself is kept elsewhere."""
    found: dict[str, IncomingItem] = {}
    for begin in range(0, min(len(untrusted_text), 8 * MAX_PASTE_CHARS), MAX_PASTE_CHARS):
        try:
            for item in split_paste(untrusted_text[begin : begin + MAX_PASTE_CHARS]):
                if item.kind is not ItemKind.TEXT and len(found) < MAX_FOUND:
                    facts = {"service": item.service} if item.service else {}
                    found.setdefault(item.key, IncomingItem(item.kind, item.value, facts=facts))
        except InputError:
            continue
    return tuple(found.values())


# --- where it came from ----------------------------------------------------------------------------------------------


def check_origin(untrusted: bytes, headers: Part, resolver: Resolver | None, authserv_id: str = "") -> dict[str, Any]:
    """Codes: dkim none | pass | partial | fail | error | not-checked (partial: only the begin of the text is signed;
    error: no key, unreadable, or too dear to calculate); aligned: the signer is the domain of From;

    received: what the office's own mail server says in the topmost Authentication-Results (spf, dkim, dmarc), where a
    setting names that server; claimed: the same where it names none or another: a claim of whoever wrote that line;
    repeated: headers that a mail may have once and this one has more often, as forged ones do.
    """
    result, domain = _check_dkim(untrusted, headers, resolver)
    sender = parseaddr(headers.facts["from"])[1].rpartition("@")[2].lower()
    repeated = [name for name in headers.facts.get("repeated", "").split(",") if name]
    checks: dict[str, Any] = {"dkim": result, "aligned": bool(domain) and _is_within(sender, domain)}
    said_by, said = _results(headers.data)
    if said:
        checks["received" if authserv_id and said_by == authserv_id else "claimed"] = said
    if repeated:
        checks["repeated"] = repeated
    return checks


def _check_dkim(untrusted: bytes, headers: Part, resolver: Resolver | None) -> tuple[str, str]:
    """The best of its signatures, and who signed. Names of keys come out of the sandbox, and their records go in."""
    if not _SIGNATURE.search(headers.data):
        return "none", ""
    if resolver is None:
        return "not-checked", ""
    named = [name for name in headers.facts.get("dkim_keys", "").split(",") if is_key_name(name)]
    records = find_keys(named[:MAX_SIGNATURES], resolver)
    if not records:
        return "error", ""  # without any key none of them can hold, and nothing needs calculating
    result, name = check_dkim(untrusted, records)
    return result, domain_of(name)


def find_keys(names: list[str], resolver: Resolver) -> dict[str, bytes]:
    """Whatever their number and however slow their servers: all within one time."""
    give_up, found = time.monotonic() + DNS_TIMEOUT_S, {}
    for name in names:
        if (left_s := give_up - time.monotonic()) > 0 and (record := resolver(name, left_s)):
            found[name] = record
    return found


def _is_within(sender: str, signer: str) -> bool:
    return sender == signer or sender.endswith("." + signer)


def _results(untrusted_headers: bytes) -> tuple[str, dict[str, str]]:
    """The topmost line only: a server writes its own above all that came with the mail (RFC 8601, 5)."""
    line = _AUTHENTICATION.search(untrusted_headers)
    if line is None:
        return "", {}
    text = re.sub(r"\([^()]{0,500}\)", "", line[1].decode("ascii", "replace"))
    said_by = text.partition(";")[0].split()
    found = {name.lower(): value.lower() for name, value in reversed(_RESULT.findall(text))}
    return said_by[0].lower() if said_by else "", found


def system_resolver(name: str, timeout_s: float) -> bytes | None:
    """The DNS of this machine. The library is loaded when a mail is read, not with every process."""
    import dns.exception
    import dns.resolver

    try:
        answer = dns.resolver.resolve(f"{name}.", "TXT", lifetime=timeout_s)
    except (dns.exception.DNSException, OSError, UnicodeError) as error:
        log.info("no DKIM key: %s", type(error).__name__)
        return None
    return next((b"".join(record.strings) for record in answer), None)


class Budgeted:
    """A resolver with a budget for many mails: once it is spent, the keys of the rest are not looked up."""

    def __init__(self, resolver: Resolver, budget_s: float) -> None:
        self._resolver, self.left_s = resolver, budget_s

    def __call__(self, name: str, timeout_s: float) -> bytes | None:
        begun = time.monotonic()
        try:
            return self._resolver(name, min(timeout_s, self.left_s)) if self.left_s > 0 else None
        finally:
            self.left_s -= time.monotonic() - begun
