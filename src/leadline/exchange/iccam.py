"""ICCAM-shaped JSON <-> reports. Talks to no server; takes no code of another hotline for a judgement of ours.

The shape is that of the report body which public hotline software sends to ICCAM's API (AbuseIO/SCART-application
at 1f8cfd5d; facts only). INHOPE's own description is shared with members and could not be checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Reporter
from leadline.errors import LeadlineError, ReportFormatError, sentence
from leadline.exchange.incoming import (
    MAX_ITEMS,
    MAX_TEXT_CHARS,
    clean_value,
    load_json,
    placed,
    read_text,
    read_time,
)

MAX_FILE_BYTES = 16 << 20
_SOURCE = "AbuseIO/SCART-application 1f8cfd5d, ICCAM API v2"


@dataclass(frozen=True, slots=True)
class CodeMap:
    """What the codes of one ICCAM field mean. API v3 serves its own lists: hand them in where they are at hand.

    verified  whether the owner of the codes confirmed them; names are shown with a mark where not
    """

    name: str
    codes: Mapping[int, str]
    source: str = _SOURCE
    verified: bool = False


CODE_MAPS: Mapping[str, CodeMap] = {
    code_map.name: code_map
    for code_map in (
        CodeMap("action", {1: "reported to law enforcement", 2: "reported to provider", 3: "content removed",
                           4: "content unavailable", 5: "moved", 7: "not illegal"}),
        CodeMap("classification", {1: "baseline", 2: "national", 3: "doubtful", 4: "ignore"}),
        CodeMap("commerciality", {1: "not determined", 2: "commercial", 3: "non-commercial"}),
        CodeMap("contentType", {0: "image", 1: "video", 2: "link", 3: "container", 4: "other", 5: "text"}),
        CodeMap("siteType", {1: "not determined", 2: "website", 3: "file host", 4: "image store", 5: "image board",
                             6: "forum", 7: "banner site", 8: "link site", 9: "social site", 10: "redirector",
                             11: "web archive", 18: "search", 20: "image host", 22: "blog", 23: "web page",
                             24: "not applicable"}),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Body:
    """An object whose names are taken in any case; `rest` is what nobody took, under the sender's names."""

    untrusted: Mapping[str, object]
    taken: set[str] = field(default_factory=set)

    def take(self, name: str) -> object:
        for written, value in self.untrusted.items():
            if written.lower() == name.lower():
                self.taken.add(written)
                return value
        return None

    def rest(self) -> dict[str, object]:
        return {n: clean_value(v) for n, v in self.untrusted.items() if n not in self.taken and v is not None}


def read(untrusted: BinaryIO, *, where: str) -> Iterator[IncomingReport | ReportFormatError]:
    """Reports of a JSON file: one body, a list of them, or {"reports": [...]}. A bad one is an error in its place."""
    data = untrusted.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        yield ReportFormatError(
            sentence("the file is larger than %(most)s bytes", most=MAX_FILE_BYTES), where=where, mend="split it"
        )
        return
    try:
        bodies = _bodies(load_json(data))
    except ReportFormatError as error:
        yield placed(error, where)
        return
    for number, untrusted_body in enumerate(bodies, 1):
        try:
            yield from_iccam(untrusted_body)
        except LeadlineError as error:
            yield placed(error, f"{where}: record {number}")


def _bodies(untrusted_value: object) -> list[object]:
    if isinstance(untrusted_value, dict):
        nested = untrusted_value.get("reports")
        return nested if isinstance(nested, list) else [untrusted_value]
    return untrusted_value if isinstance(untrusted_value, list) else [untrusted_value]


def from_iccam(untrusted_body: object) -> IncomingReport:
    """One report body -> report. What has no field of ours stays among the facts, as the sender wrote it.

    An entry of `urls` without its `urlString` becomes a text item, so that nothing of a report is lost.
    Raises ReportFormatError.
    """
    if not isinstance(untrusted_body, dict):
        raise ReportFormatError("a report is no object", mend='expect {"urls": [{"urlString": "..."}], ...}')
    body = _Body(untrusted_body)
    analyst = read_text(body.take("reportingAnalystName"), "reportingAnalystName")
    received = body.take("hotlineReceivedDate")
    source = body.untrusted.get("sourceUrl", body.untrusted.get("SourceUrl"))
    referrer = read_text(_Body(source).take("Referrer"), "sourceUrl.Referrer") if isinstance(source, dict) else ""
    items = tuple(_item(entry, place, referrer) for place, entry in enumerate(_urls(body)))
    if not items:
        raise ReportFormatError("the report has no urls", mend="fill urls", field="urls")
    reference, memo = body.take("hotlineReference"), body.take("memo")
    made_at = _time_or_zero(received)
    facts = body.rest()
    if received and _iso(made_at) != received:  # in another form, or unreadable: kept as it was written
        facts["hotlineReceivedDate"] = clean_value(received)
    return IncomingReport(
        channel=Channel.ICCAM,
        items=items,
        source_reference=read_text(reference, "hotlineReference"),
        made_at=made_at,
        reporter=Reporter(name=analyst) if analyst else None,
        text=read_text(memo, "memo", MAX_TEXT_CHARS),
        facts=facts,
    )


def _time_or_zero(untrusted_value: object) -> int:
    try:
        return read_time(untrusted_value, "hotlineReceivedDate")
    except ReportFormatError:
        return 0


def _urls(body: _Body) -> list[object]:
    """`urls` of a report that is sent, or `reportContents` of one that was asked for."""
    urls = body.take("urls")
    urls = body.take("reportContents") if urls is None else urls
    if urls is None:
        return []
    if not isinstance(urls, list):
        raise ReportFormatError("urls is no list", mend='write [{"urlString": "..."}]', field="urls")
    if len(urls) > MAX_ITEMS:
        raise ReportFormatError(
            sentence("more than %(most)s urls", most=MAX_ITEMS), mend="split the report", field="urls"
        )
    return urls


def _item(untrusted_entry: object, place: int, referrer: str) -> IncomingItem:
    entry = _Body(untrusted_entry if isinstance(untrusted_entry, dict) else {})
    untrusted_url = entry.take("urlString")
    if not isinstance(untrusted_url, str) or not untrusted_url.strip():
        kept = json.dumps(clean_value(untrusted_entry), ensure_ascii=False)
        return IncomingItem(ItemKind.TEXT, kept, facts={"problem": f"urls[{place}] has no urlString"})
    is_source = entry.untrusted.get("isSourceUrl", entry.untrusted.get("IsSourceUrl")) is True
    return IncomingItem(
        ItemKind.URL,
        read_text(untrusted_url, f"urls[{place}].urlString"),
        note=read_text(entry.take("memo"), f"urls[{place}].memo", MAX_TEXT_CHARS),
        referrer=referrer if is_source else "",
        facts=entry.rest(),
    )


def to_iccam(report: IncomingReport) -> dict[str, object]:
    """The report body of a report; `from_iccam` gives the same report back. Only its URLs can be said in it."""
    body: dict[str, object] = {
        "reportingAnalystName": report.reporter.name if report.reporter else "",
        "hotlineReceivedDate": _iso(report.made_at),
        "hotlineReference": report.source_reference,
        "memo": report.text,
    }
    urls = [_entry(item) for item in report.items if item.kind is ItemKind.URL]
    return {name: value for name, value in body.items() if value} | {"urls": urls} | dict(report.facts)


def _entry(item: IncomingItem) -> dict[str, object]:
    return {"urlString": item.value} | ({"memo": item.note} if item.note else {}) | dict(item.facts)


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else ""
