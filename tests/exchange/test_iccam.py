"""ICCAM-shaped JSON."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Reporter
from leadline.errors import ReportFormatError
from leadline.exchange import iccam
from leadline.exchange.iccam import CODE_MAPS, from_iccam, to_iccam

# The report body with every field that the facts name; all values are made up.
BODY: dict[str, Any] = {
    "reportingAnalystName": "Analyst One",
    "hotlineReceivedDate": "2026-11-23T20:15:01Z",
    "hotlineReference": "I0000000017",
    "memo": "made-up memo",
    "urls": [
        {
            "urlString": "https://example.org/page",
            "hotlineReference": "I0000000017",
            "hostingCountryCode": "NL",
            "hostingIpAddress": "192.0.2.7",
            "hostingIsp": "Example Hosting",
            "hostingOrganization": {"organizationName": "Example"},
            "isSourceUrl": True,
            "memo": "the page",
            "contentType": 2,
            "assessment": {"assessingAnalystName": "Analyst One", "classification": 3},
            "actions": [{"action": 2}],
        },
        {"urlString": "https://example.net/item", "isSourceUrl": False, "contentType": 0, "unknownField": [1, None]},
    ],
    "sourceUrl": {"Username": "u", "Password": "p", "Referrer": "https://example.com/list", "SiteType": 6,
                  "Commerciality": 1, "PaymentMethods": []},
    "anotherField": {"deep": [True]},
}  # fmt: skip


def read(value: object) -> list[IncomingReport | ReportFormatError]:
    return list(iccam.read(io.BytesIO(json.dumps(value).encode()), where="file"))


def test_a_body_becomes_a_report() -> None:
    report = from_iccam(BODY)
    assert report.channel is Channel.ICCAM
    assert (report.source_reference, report.made_at, report.text) == ("I0000000017", 1795464901, "made-up memo")
    assert report.reporter == Reporter(name="Analyst One")
    assert [(i.kind, i.value, i.note, i.referrer) for i in report.items] == [
        (ItemKind.URL, "https://example.org/page", "the page", "https://example.com/list"),
        (ItemKind.URL, "https://example.net/item", "", ""),
    ]
    assert report.items[0].facts["assessment"] == {"assessingAnalystName": "Analyst One", "classification": 3}
    assert report.items[1].facts == {"isSourceUrl": False, "contentType": 0, "unknownField": [1, None]}
    assert report.facts == {"sourceUrl": BODY["sourceUrl"], "anotherField": {"deep": [True]}}
    assert "p" not in repr(report.facts.keys())


def test_what_is_read_is_written_back_with_every_field() -> None:
    assert to_iccam(from_iccam(BODY)) == BODY


def test_names_are_taken_in_any_case() -> None:
    body = {"HotlineReference": "7", "URLs": [{"UrlString": "https://example.org/", "Memo": "m"}], "Memo": "n"}
    report = from_iccam(body)
    assert (report.source_reference, report.text, report.items[0].note) == ("7", "n", "m")
    assert report.facts == {}


def test_contents_of_a_report_that_was_asked_for_are_items_too() -> None:
    report = from_iccam({"reportId": 5, "reportContents": [{"contentId": 9, "urlString": "https://example.org/"}]})
    assert [(i.value, i.facts) for i in report.items] == [("https://example.org/", {"contentId": 9})]
    assert report.facts == {"reportId": 5}


@pytest.mark.parametrize("date", ["23/11/2026", "2026-11-23T20:15:01.1234567+01:00", 7.5, "soon"])
def test_a_date_in_another_form_is_kept_as_written(date: object) -> None:
    report = from_iccam(BODY | {"hotlineReceivedDate": date})
    assert report.facts["hotlineReceivedDate"] == date
    assert to_iccam(report)["hotlineReceivedDate"] == date


@pytest.mark.parametrize("entry", [{"memo": "m"}, {"urlString": ""}, {"urlString": 5}, "https://example.org/", None, 7])
def test_an_entry_without_its_url_is_kept_as_text(entry: object) -> None:
    report = from_iccam({"urls": [{"urlString": "https://example.org/"}, entry]})
    assert report.items[1].kind is ItemKind.TEXT
    assert json.loads(report.items[1].value) == entry
    assert report.items[1].facts == {"problem": "urls[1] has no urlString"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], ""),
        ("x", ""),
        ({}, "urls"),
        ({"urls": []}, "urls"),
        ({"urls": {}}, "urls"),
        ({"urls": [{"urlString": "h" * 20_000}]}, "urls[0].urlString"),
        ({"urls": [{"urlString": "https://example.org/", "memo": []}]}, "urls[0].memo"),
        ({"urls": [{"urlString": "x"}], "memo": {}}, "memo"),
        ({"urls": [{"urlString": "x"}], "hotlineReference": 1.5}, "hotlineReference"),
        ({"urls": [None] * 10_001}, "urls"),
    ],
)
def test_a_body_that_is_none_is_refused_with_its_field(body: object, field: str) -> None:
    with pytest.raises(ReportFormatError) as caught:
        from_iccam(body)
    assert caught.value.field == field
    assert caught.value.mend


@pytest.mark.parametrize("wrap", [lambda b: b, lambda b: [b], lambda b: {"reports": [b]}])
def test_a_file_is_one_body_or_several(wrap: Any) -> None:
    assert read(wrap(BODY)) == [from_iccam(BODY)]


def test_a_bad_record_is_named_and_the_rest_goes_on() -> None:
    first, second, third = read([BODY, {"urls": 5}, BODY])
    assert isinstance(first, IncomingReport)
    assert isinstance(third, IncomingReport)
    assert isinstance(second, ReportFormatError)
    assert (second.where, second.field) == ("file: record 2", "urls")


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b'{"urls": [NaN]}', b"\xff\xfe", b"1" * 5000])
def test_broken_json_is_one_error(data: bytes) -> None:
    (found,) = iccam.read(io.BytesIO(data), where="file")
    assert isinstance(found, ReportFormatError)
    assert found.mend


def test_depth_without_end_is_an_error() -> None:
    deep = b'[{"urls": [{"urlString": "https://example.org/", "x": ' + b"[" * 200 + b"]" * 200 + b"}]}]"
    (found,) = iccam.read(io.BytesIO(deep), where="file")
    assert isinstance(found, ReportFormatError)
    assert "deeply" in found.what


def test_a_file_without_end_is_refused_by_its_size() -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            assert 0 < size < 1 << 25
            return b"[" * size

    (found,) = iccam.read(Endless(), where="file")
    assert isinstance(found, ReportFormatError)
    assert "larger" in found.what


def test_code_maps_say_where_they_come_from_and_that_nobody_confirmed_them() -> None:
    assert set(CODE_MAPS) == {"action", "classification", "commerciality", "contentType", "siteType"}
    for code_map in CODE_MAPS.values():
        assert "SCART" in code_map.source
        assert not code_map.verified
    assert CODE_MAPS["contentType"].codes[1] == "video"


_names = st.text(min_size=1, max_size=8).filter(lambda n: n.lower() not in {
    "reportinganalystname", "hotlinereceiveddate", "hotlinereference", "memo", "urls", "sourceurl", "urlstring",
    "reportcontents", "issourceurl"} and "\0" not in n)  # fmt: skip
_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20).map(str.strip)
_json = st.booleans() | st.integers() | _texts | st.lists(st.none() | _texts, max_size=3)
_facts = st.dictionaries(_names.filter(lambda n: n.isprintable()), _json, max_size=3)
_items = st.builds(
    IncomingItem, kind=st.just(ItemKind.URL), value=_texts.filter(bool), note=_texts, referrer=st.just(""), facts=_facts
)
_reports = st.builds(
    IncomingReport,
    channel=st.just(Channel.ICCAM), items=st.lists(_items, min_size=1, max_size=4).map(tuple), source_reference=_texts,
    received_at=st.just(0), made_at=st.integers(0, 1 << 33), text=_texts, facts=_facts,
    reporter=st.none() | _texts.filter(bool).map(lambda name: Reporter(name=name)),
    urgency=st.just(frozenset()), attachments=st.just(()),
)  # fmt: skip


@settings(derandomize=True, deadline=None)
@given(_reports)
def test_what_is_written_is_read_back(report: IncomingReport) -> None:
    (found,) = read(to_iccam(report))
    assert found == report
