"""NCMEC report XML. The structure is the documented one; every value is made up."""

from __future__ import annotations

import io
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.domain import Channel, IncomingReport, ItemKind, Reporter, Urgency
from leadline.errors import ReportFormatError
from leadline.exchange import ncmec_report
from leadline.exchange.ncmec_report import MAX_DEPTH, MAX_ELEMENTS, MAX_FILE_BYTES, from_xml

SUMMARY = """<incidentSummary>
  <incidentType>Misleading Domain Name</incidentType>
  <platform>Example Service</platform>
  <reportAnnotations><spam/><informational/></reportAnnotations>
  <incidentDateTime>2026-11-23T20:15:01Z</incidentDateTime>
</incidentSummary>"""
PAGE = """<internetDetails><webPageIncident thirdPartyHostedContent="true">
  <url>https://example.org/1</url><url>https://example.org/2?a=1&amp;b=2</url>
  <additionalInfo>a made-up remark</additionalInfo></webPageIncident></internetDetails>"""
REPORTER = """<reporter><reportingPerson><firstName>Ada</firstName><lastName>Example</lastName>
  <phone>+1 555 0100</phone><email verified="true">ada@example.org</email><email>second@example.org</email>
  </reportingPerson></reporter>"""
PERSON = """<personOrUserReported>
  <personOrUserReportedPerson><email type="Home">someone@example.net</email></personOrUserReportedPerson>
  <espIdentifier>4711</espIdentifier><screenName>made_up</screenName><displayName>Made Up</displayName>
  <profileUrl>https://example.net/made_up</profileUrl>
  <ipCaptureEvent><ipAddress>192.0.2.7</ipAddress><eventName>Login</eventName></ipCaptureEvent>
</personOrUserReported>"""
VICTIMS = """<victim><victimPerson><email>v@example.org</email></victimPerson><screenName>v1</screenName></victim>
  <victim><screenName>v2</screenName></victim>"""
INFO = "<additionalInfo>a made-up end</additionalInfo>"
PARTS = (SUMMARY, PAGE, REPORTER, PERSON, VICTIMS, INFO)
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
OPEN = (
    '<report xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:noNamespaceSchemaLocation="https://report.cybertip.org/ispws/xsd">'
)


def whole(*parts: str, opening: str = OPEN) -> bytes:
    return f"{HEAD}{opening}{''.join(parts)}</report>".encode()


def test_a_report_becomes_items_text_and_facts() -> None:
    report = from_xml(whole(*PARTS))
    assert report.channel is Channel.NCMEC
    assert report.made_at == 1795464901
    assert [(i.kind, i.value, i.facts["type"]) for i in report.items] == [
        (ItemKind.URL, "https://example.org/1", "web page"),
        (ItemKind.URL, "https://example.org/2?a=1&b=2", "web page"),
        (ItemKind.ACCOUNT, "someone@example.net", "email"),
        (ItemKind.ACCOUNT, "4711", "account id"),
        (ItemKind.ACCOUNT, "made_up", "screen name"),
        (ItemKind.ACCOUNT, "https://example.net/made_up", "profile"),
    ]
    assert report.items[2].facts["@type"] == "Home"
    assert report.text == "a made-up remark\n\na made-up end"
    assert report.reporter == Reporter(name="Ada Example", email="ada@example.org", phone="+1 555 0100")
    assert report.urgency == frozenset()
    assert report.facts["incidentSummary/incidentType"] == "Misleading Domain Name"
    assert report.facts["incidentSummary/reportAnnotations/spam"] == ""
    assert report.facts["internetDetails/webPageIncident@thirdPartyHostedContent"] == "true"
    assert report.facts["reporter/reportingPerson/email[2]"] == "second@example.org"
    assert report.facts["personOrUserReported/ipCaptureEvent/ipAddress"] == "192.0.2.7"


def test_people_who_were_harmed_never_become_items() -> None:
    report = from_xml(whole(*PARTS))
    assert not {"v@example.org", "v1", "v2"} & {item.value for item in report.items}
    assert report.facts["victim[1]/victimPerson/email"] == "v@example.org"
    assert report.facts["victim[2]/screenName"] == "v2"
    assert "v@example.org" not in repr(report)
    assert "ada@example.org" not in repr(report)


def test_the_order_of_elements_is_free() -> None:
    forward, backward = from_xml(whole(*PARTS)), from_xml(whole(*reversed(PARTS)))
    assert sorted(i.value for i in forward.items) == sorted(i.value for i in backward.items)
    assert dict(forward.facts) == dict(backward.facts)
    assert forward.reporter == backward.reporter


@pytest.mark.parametrize(
    ("element", "ticked"),
    [("<escalateToHighPriority>a reason</escalateToHighPriority>", True), ("<escalateToHighPriority/>", True),
     ("<escalateToHighPriority>false</escalateToHighPriority>", False), ("<platform>urgent</platform>", False)],
)  # fmt: skip
def test_urgency_is_the_senders_own_mark_and_nothing_else(element: str, ticked: bool) -> None:
    report = from_xml(whole(f"<incidentSummary>{element}</incidentSummary>"))
    assert report.urgency == ({Urgency.SENDER_ESCALATED} if ticked else frozenset())


@pytest.mark.parametrize(
    "opening", ["<report>", '<report xmlns="urn:example">', '<n:report xmlns:n="urn:example" xmlns="urn:other">']
)
def test_it_is_read_with_a_namespace_and_without(opening: str) -> None:
    data = whole(PAGE, opening=opening)
    if opening.startswith("<n:"):
        data = data.replace(b"</report>", b"</n:report>")
    assert len(from_xml(data).items) == 2


def test_unknown_elements_stay_among_the_facts_with_their_place() -> None:
    report = from_xml(whole("<new a='1'>x<deep>y</deep><deep/></new><![CDATA[<z>]]><!-- c --><?pi d?>"))
    assert report.facts == {"new@a": "1", "new": "x", "new/deep[1]": "y", "new/deep[2]": ""}


def test_a_date_that_cannot_be_read_stays_among_the_facts() -> None:
    report = from_xml(whole("<incidentSummary><incidentDateTime>soon</incidentDateTime></incidentSummary>"))
    assert (report.made_at, report.facts["incidentSummary/incidentDateTime"]) == (0, "soon")


def test_a_value_too_long_for_an_item_stays_among_the_facts() -> None:
    url = "https://example.org/" + "a" * 20_000
    report = from_xml(whole(f"<internetDetails><webPageIncident><url>{url}</url></webPageIncident></internetDetails>"))
    assert report.items == ()
    assert report.facts["internetDetails/webPageIncident/url"] == url


def refused(data: bytes) -> ReportFormatError:
    (found,) = ncmec_report.read(io.BytesIO(data), where="file")
    assert isinstance(found, ReportFormatError)
    assert found.where == "file"
    assert found.mend
    return found


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))


@pytest.mark.parametrize(
    "declaration",
    [
        f'<!DOCTYPE report [<!ENTITY l0 "ha">{LAUGHS}]>',
        '<!DOCTYPE report [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE report [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;]>',
        '<!DOCTYPE report SYSTEM "http://127.0.0.1:9/x.dtd">',
        '<!DOCTYPE report PUBLIC "-//X//Y" "x.dtd">',
        '<!DOCTYPE report [<!ATTLIST report a CDATA "b">]>',
    ],
)
def test_a_document_type_declaration_is_refused_before_it_is_read(declaration: str) -> None:
    data = f"{HEAD}{declaration}<report><additionalInfo>&l9;&x;</additionalInfo></report>".encode()
    assert "document type" in refused(data).what


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "well-formed"),
        (b"<report>", "well-formed"),
        (whole(*PARTS)[:-40], "well-formed"),
        (b"<report>&unknown;</report>", "well-formed"),
        (b"<report>&#0;</report>", "well-formed"),
        (b"<report/><report/>", "well-formed"),
        (b"{}", "well-formed"),
        (b"\xff\xfe\x00", "well-formed"),
        (b"<reportResponse/>", "root element"),
        (b"<fileDetails/>", "root element"),
        (b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1), "levels"),
        (b"<report>" + b"<a/>" * MAX_ELEMENTS + b"</report>", "elements"),
        (b"<report " + b" ".join(b"a%d=''" % i for i in range(MAX_ELEMENTS)) + b"/>", "elements"),
        (b"<report><" + b"a" * 101 + b"/></report>", "in a name"),
    ],
)
def test_what_is_no_report_is_refused(data: bytes, says: str) -> None:
    assert says in refused(data).what


def test_a_message_holds_no_word_of_the_file() -> None:
    assert "secret" not in str(refused(b"<report><secret>secret</sekret></report>"))


def test_inclusions_and_schema_locations_are_only_text() -> None:
    data = whole('<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>')
    assert from_xml(data).facts == {"include": "", "include@href": "file:///etc/passwd"}


def test_a_file_without_end_is_refused_by_its_size() -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            assert size == MAX_FILE_BYTES + 1
            return b"<report>" + b"a" * (size - 8)

    (found,) = ncmec_report.read(Endless(), where="file")
    assert isinstance(found, ReportFormatError)
    assert "larger" in found.what


def test_other_encodings_that_say_so_are_read() -> None:
    text = '<?xml version="1.0" encoding="UTF-16"?><report><additionalInfo>é</additionalInfo></report>'
    assert from_xml(text.encode("utf-16")).text == "é"


_names = st.sampled_from(["internetDetails", "webPageIncident", "url", "victim", "reporter", "x", "additionalInfo"])
_xml_text = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), max_size=10)
_trees = st.recursive(
    st.builds(lambda n, t: f"<{n}>{escape(t)}</{n}>", _names, _xml_text),
    lambda inner: st.builds(lambda n, c: f"<{n}>{''.join(c)}</{n}>", _names, st.lists(inner, max_size=4)),
    max_leaves=12,
)


@settings(derandomize=True, deadline=None)
@given(st.lists(_trees, max_size=4))
def test_no_text_of_a_report_is_lost(trees: list[str]) -> None:
    from lxml import etree

    data = whole(*trees)
    report = from_xml(data)
    kept = [item.value for item in report.items] + [report.text] + [str(fact) for fact in report.facts.values()]
    for text in etree.fromstring(data).itertext():
        assert not text.strip() or any(text.strip() in one for one in kept)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.binary(max_size=200) | st.text(st.sampled_from("<>/report &;!?[]xml='\"-\n"), max_size=60).map(str.encode))
def test_any_bytes_are_a_report_or_a_named_error(data: bytes) -> None:
    (found,) = ncmec_report.read(io.BytesIO(data), where="file")
    assert isinstance(found, IncomingReport | ReportFormatError)
