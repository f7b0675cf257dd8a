"""The quick reader of NCMEC's pages tells what the parser tells, of pages in the usual form and of all others."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.errors import SourceBroken
from leadline.exchange import ncmec_plain
from leadline.exchange.mock.ncmec import NAMESPACE, entry_xml
from leadline.exchange.ncmec_plain import PageReader
from leadline.exchange.ncmec_xml import ToldEntry, XmlReader

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
ENTRY = entry_xml("image", 41, "e1", 1_767_225_600, "<md5>00112233445566778899aabbccddeeff</md5>", "A1").decode()
TOMBSTONE = entry_xml("deletedVideo", 42, "e2", 1_767_225_600).decode()
MORE = {
    "feedback": '<feedback><affirmativeFeedback type="Md5"><members><member id="1">a</member></members>'
    "</affirmativeFeedback></feedback>",
    "a link": '<fingerprints><tmk-pdqf rel="self" href="/v2/x"/></fingerprints>',
    "a novelty": "<novelty>a<image/></novelty>",
    "a nested entry": "<novelty><image><id>x</id></image></novelty>",
}


def page(inside: str, head: str = HEAD, xmlns: str = f' xmlns="{NAMESPACE}"') -> bytes:
    return f"{head}<queryResult{xmlns}>{inside}</queryResult>\n".encode()


def both(body: bytes) -> tuple[list[ToldEntry], PageReader]:
    """What the quick reader tells, once it was seen to be what the parser tells."""
    quick, slow = PageReader(io.BytesIO(body), "rehearsal"), XmlReader(io.BytesIO(body), "rehearsal")
    told = list(quick)
    assert told == list(slow)
    assert (quick.next_link, quick.unknown) == (slow.next_link, slow.unknown)
    return told, quick


def is_quick(body: bytes) -> bool:
    return PageReader(io.BytesIO(body), "rehearsal")._read_plain(body) is not None


def test_a_page_in_the_usual_form_is_read_at_one_go() -> None:
    body = page(
        f'<images count="1" maxTimestamp="2026-01-01T00:00:00Z">{ENTRY}</images>\n<videos>{TOMBSTONE}</videos>'
        "<paging><next>/v2/entries?from=a&amp;to=b</next></paging>"
    )
    assert is_quick(body)
    told, reader = both(body)
    assert [(one.type, one.is_deleted, one.id) for one in told] == [("image", False, "e1"), ("video", True, "e2")]
    assert told[0].prints == {"md5": "00112233445566778899aabbccddeeff"}
    assert reader.next_link == "/v2/entries?from=a&to=b"


@pytest.mark.parametrize("more", [*MORE.values()], ids=[*MORE])
def test_an_entry_of_another_form_is_parsed_among_the_others(more: str) -> None:
    other = ENTRY.replace("</image>", f"{more}</image>")
    told, _ = both(page(f"<images>{ENTRY}{other}{ENTRY}</images>"))
    assert len(told) == 3


OTHER_FORMS = {
    "a comment": page(f"<images><!-- {ENTRY} -->{ENTRY}</images>"),
    "CDATA": page(f"<images>{ENTRY.replace('>e1<', '><![CDATA[e1</id></image>]]><')}</images>"),
    "an instruction": page(f"<images><?x {ENTRY} ?>{ENTRY}</images>"),
    "another prefix": page(f"<x:images>{ENTRY}</x:images>", xmlns=' xmlns:x="urn:x"'),
    "returns": page(f"<images>{ENTRY}</images>").replace(b"\n", b"\r\n"),
    "UTF-16": page(f"<images>{ENTRY}</images>", head='<?xml version="1.0" encoding="UTF-16"?>')
    .decode()
    .encode("utf-16"),
    "Latin-1": page(
        f"<images>{ENTRY.replace('Example Hotline', 'é')}</images>", head='<?xml version="1.0" encoding="ISO-8859-1"?>'
    )
    .decode()
    .encode("latin-1"),
    "references": page(f"<images>{ENTRY.replace('e1', '&#101;1').replace('Hotline', '&amp;&quot;')}</images>"),
    "an unknown group": page(f"<sounds>{ENTRY}</sounds><images>{ENTRY}</images>"),
    "an unknown attribute": page(
        f'<images more="1">{ENTRY.replace("<id>", "<id a=&quot;b&quot;>".replace("&quot;", chr(34)))}</images>'
    ),
    "empty elements": page(f"<images>{ENTRY.replace('<fingerprints>', '<fingerprints><pdna></pdna><pdq/>')}</images>"),
    "no namespace": page(f"<images>{ENTRY}</images>", xmlns=""),
    "a mark in front": b"\xef\xbb\xbf" + page(f"<images>{ENTRY}</images>", head=""),
    "a sign that is none": page(f"<images>{ENTRY.replace('Hotline', 'a > b')}</images>"),
    "letters of the world": page(f"<images>{ENTRY.replace('Hotline', 'Ωλ 児')}</images>"),
    "nothing": page(""),
}


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_every_other_form_is_told_alike(form: str) -> None:
    both(OTHER_FORMS[form])


def test_a_page_longer_than_is_read_at_one_go_is_told_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ncmec_plain, "_READ_AT_ONCE_BYTES", 1000)
    told, _ = both(page(f"<images>{ENTRY * 200}</images>"))
    assert len(told) == 200


@pytest.mark.parametrize("body", [b"", b"<html/>", page(f"<images>{ENTRY}")[:-20], b"<!DOCTYPE q>" + page("", head="")])
def test_what_is_no_page_tells_nothing(body: bytes) -> None:
    with pytest.raises(SourceBroken):
        next(iter(PageReader(io.BytesIO(body), "rehearsal")))


PIECES = st.sampled_from(
    [
        *(
            ENTRY,
            TOMBSTONE,
            "<images>",
            "</images>",
            "<videos>",
            "</videos>",
            "<image>",
            "</image>",
            "<image/>",
            " ",
            "\n",
        ),
        *(
            "<!-- ",
            " -->",
            "<![CDATA[",
            "]]>",
            "&amp;",
            "&lt;",
            "<member id='1'/>",
            '<member id="2">x</member>',
            "é",
            ">",
        ),
        *("<fingerprints>", "</fingerprints>", "<md5>aa</md5>", "<md5/>", "<id>i</id>", "<next>/n</next>", "<paging>"),
        *("</paging>", "<classification>A1</classification>", "<timestamp>t</timestamp>", *MORE.values()),
    ]
)


@given(st.lists(PIECES, max_size=12))
def test_pages_of_chance_are_told_alike_or_refused_alike(pieces: list[str]) -> None:
    body = page("<images>" + "".join(pieces) + "</images>")
    try:
        slow = list(XmlReader(io.BytesIO(body), "rehearsal"))
    except SourceBroken:
        with pytest.raises(SourceBroken):
            list(PageReader(io.BytesIO(body), "rehearsal"))
        return
    told, _ = both(body)
    assert told == slow
