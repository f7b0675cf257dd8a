"""NCMEC CyberTipline report XML -> a report. Opens no network, no DTD, no entity; grades and describes nothing.

The structure is that of the public CyberTipline Reporting API documentation. NCMEC's schema itself needs credentials:
the reader is therefore tolerant of order, of a namespace and of elements it does not know, which stay among the facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from lxml import etree

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Reporter, Urgency
from leadline.errors import LeadlineError, ReportFormatError, sentence
from leadline.exchange.incoming import MAX_ITEMS, MAX_VALUE_CHARS, clean_text, placed, read_time

MAX_FILE_BYTES = 16 << 20
MAX_ELEMENTS = 20_000  # and attributes, together
MAX_DEPTH = 32
MAX_NAME_CHARS = 100
_READ_BYTES = 1 << 16
# Path of an element -> the kind of item it gives, and what the item's facts say it is. Only who is reported: people
# who were harmed or written to are never items, so that no search goes looking for them.
_ITEMS: Mapping[str, tuple[ItemKind, str]] = {
    "internetDetails/webPageIncident/url": (ItemKind.URL, "web page"),
    "internetDetails/emailIncident/emailAddress": (ItemKind.ACCOUNT, "email"),
    "internetDetails/newsgroupIncident/emailAddress": (ItemKind.ACCOUNT, "email"),
    "internetDetails/cellPhoneIncident/phoneNumber": (ItemKind.ACCOUNT, "phone"),
    "personOrUserReported/espIdentifier": (ItemKind.ACCOUNT, "account id"),
    "personOrUserReported/screenName": (ItemKind.ACCOUNT, "screen name"),
    "personOrUserReported/profileUrl": (ItemKind.ACCOUNT, "profile"),
    "personOrUserReported/groupIdentifier": (ItemKind.ACCOUNT, "group"),
    "personOrUserReported/personOrUserReportedPerson/email": (ItemKind.ACCOUNT, "email"),
    "personOrUserReported/personOrUserReportedPerson/phone": (ItemKind.ACCOUNT, "phone"),
}
_INCIDENTS = (
    "webPageIncident", "emailIncident", "newsgroupIncident", "chatImIncident", "onlineGamingIncident",
    "cellPhoneIncident", "nonInternetIncident", "peer2peerIncident",
)  # fmt: skip
_TEXTS = frozenset(
    {"additionalInfo"}
    | {f"internetDetails/{name}/{part}" for name in _INCIDENTS for part in ("additionalInfo", "content")}
)
_CONTACT = {f"reporter/reportingPerson/{name}": name for name in ("firstName", "lastName", "email", "phone")}
_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"


@dataclass(slots=True)
class _Element:
    name: str
    attributes: Mapping[str, str]
    text: str = ""
    children: list[_Element] = field(default_factory=list)


class _Target:
    """What the parser builds while it reads: names and texts, within bounds that hold before anything is kept."""

    def __init__(self) -> None:
        self._open = [_Element("", {})]
        self._texts: list[list[str]] = [[]]
        self._count = 0

    def doctype(self, *_: object) -> None:
        """Called at the first word of a declaration, before any entity in it is read."""
        raise ReportFormatError("the file has a document type declaration", mend="ask the sender for plain XML")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._count += 1 + len(attributes)
        named = {_local(name): clean_text(value) for name, value in attributes.items() if not name.startswith(_XSI)}
        element = _Element(_local(tag), named)
        too_long = any(len(name) > MAX_NAME_CHARS for name in (element.name, *named))
        if self._count > MAX_ELEMENTS or len(self._open) > MAX_DEPTH or too_long:
            raise ReportFormatError(
                sentence(
                    "more than %(most)s elements, %(depth)s levels or %(chars)s characters in a name",
                    most=MAX_ELEMENTS,
                    depth=MAX_DEPTH,
                    chars=MAX_NAME_CHARS,
                ),
                mend="ask the sender for smaller reports",
            )
        self._open[-1].children.append(element)
        self._open.append(element)
        self._texts.append([])

    def data(self, text: str) -> None:
        self._texts[-1].append(text)

    def end(self, _tag: str) -> None:
        self._open.pop().text = clean_text("".join(self._texts.pop()).strip())

    def close(self) -> _Element | None:
        """Called after a fault too, which must not be hidden by another."""
        return next(iter(self._open[0].children), None)


def read(untrusted: BinaryIO, *, where: str) -> Iterator[IncomingReport | ReportFormatError]:
    """The report of an XML file, or the error that tells why there is none; never reads beyond MAX_FILE_BYTES."""
    data = untrusted.read(MAX_FILE_BYTES + 1)
    try:
        yield from_xml(data)
    except LeadlineError as error:
        yield placed(error, where)


def from_xml(untrusted_xml: bytes) -> IncomingReport:
    """One `<report>` -> report. Raises ReportFormatError with a line number, never with a word of the content."""
    if len(untrusted_xml) > MAX_FILE_BYTES:
        raise ReportFormatError(
            sentence("the file is larger than %(most)s bytes", most=MAX_FILE_BYTES), mend="ask for it without media"
        )
    root = _parse(untrusted_xml)
    if root.name != "report":
        raise ReportFormatError(
            "the root element is not report", mend="hand over the report itself; keep anything else as an attachment"
        )
    return _report(root)


def _parse(untrusted_xml: bytes) -> _Element:
    parser = etree.XMLParser(
        target=_Target(), resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False,
        attribute_defaults=False, huge_tree=False, recover=False, remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        for start in range(0, len(untrusted_xml), _READ_BYTES):
            parser.feed(untrusted_xml[start : start + _READ_BYTES])
        root = parser.close()
    except etree.XMLSyntaxError as error:
        raise ReportFormatError(
            sentence("this is no well-formed XML from line %(line)s on", line=error.lineno or 1),
            mend="ask the sender for a whole file",
        ) from None
    assert isinstance(root, _Element)
    return root


def _local(name: str) -> str:
    return clean_text(name.rpartition("}")[2])


@dataclass(slots=True)
class _Found:
    """What one walk over the elements gathers."""

    items: list[IncomingItem] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    contact: dict[str, str] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)
    made_at: int = 0
    urgency: set[Urgency] = field(default_factory=set)


def _report(root: _Element) -> IncomingReport:
    found = _Found()
    for path, shown, element in _walk(root, "", ""):
        _take(found, path, shown, element)
    if len(found.items) > MAX_ITEMS:
        raise ReportFormatError(
            sentence("more than %(most)s items", most=MAX_ITEMS), mend="ask the sender for smaller reports"
        )
    name = " ".join(found.contact[part] for part in ("firstName", "lastName") if part in found.contact)
    reporter = Reporter(name, email=found.contact.get("email", ""), phone=found.contact.get("phone", ""))
    return IncomingReport(
        channel=Channel.NCMEC,
        items=tuple(found.items),
        made_at=found.made_at,
        reporter=reporter if found.contact else None,
        urgency=frozenset(found.urgency),
        text="\n\n".join(found.texts),
        facts=found.facts,
    )


def _walk(element: _Element, path: str, shown: str) -> Iterator[tuple[str, str, _Element]]:
    """(path, path with numbers where names repeat, element), parents first, below the root."""
    counts = Counter(child.name for child in element.children)
    seen: Counter[str] = Counter()
    for child in element.children:
        seen[child.name] += 1
        number = f"[{seen[child.name]}]" if counts[child.name] > 1 else ""
        child_path, child_shown = f"{path}{child.name}", f"{shown}{child.name}{number}"
        yield child_path, child_shown, child
        yield from _walk(child, child_path + "/", child_shown + "/")


def _take(found: _Found, path: str, shown: str, element: _Element) -> None:
    """One element to its place; whatever has none stays among the facts under its path."""
    text = element.text
    short = bool(text) and len(text) <= MAX_VALUE_CHARS
    if path in _ITEMS and short:
        kind, what = _ITEMS[path]
        attributes = {f"@{name}": value for name, value in element.attributes.items()}
        found.items.append(IncomingItem(kind, text, facts={"type": what, "path": shown, **attributes}))
        return
    found.facts |= {f"{shown}@{name}": value for name, value in element.attributes.items()}
    if path in _TEXTS and text:
        found.texts.append(text)
    elif path in _CONTACT and short and _CONTACT[path] not in found.contact:
        found.contact[_CONTACT[path]] = text
    elif text or not element.children:
        _note_summary(found, path, text)
        found.facts[shown] = text


def _note_summary(found: _Found, path: str, text: str) -> None:
    if path == "incidentSummary/escalateToHighPriority" and text.lower() not in ("false", "0"):
        found.urgency.add(Urgency.SENDER_ESCALATED)
    if path == "incidentSummary/incidentDateTime":
        try:
            found.made_at = read_time(text, path)
        except ReportFormatError:
            found.made_at = 0  # the words stay among the facts
