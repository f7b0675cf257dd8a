"""The XML of NCMEC's answers, written by hand after its public documentation, and what hostile XML comes to."""

from __future__ import annotations

import hashlib
import io
import resource
from collections.abc import Iterator

import pytest

from leadline.errors import SourceBroken
from leadline.exchange.ncmec_plain import PageReader
from leadline.exchange.ncmec_xml import ToldEntry, XmlReader, parse_document

NAMESPACE = "https://hashsharing.ncmec.org/hashsharing/v2"
PAGE = f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<queryResult xmlns="{NAMESPACE}">
  <images count="2" maxTimestamp="2017-10-20T00:00:00Z">
    <image>
      <member id="42">Example &amp; Sons</member>
      <timestamp>2017-10-20T00:00:00Z</timestamp>
      <id>image1</id>
      <classification>A1</classification>
      <fingerprints>
        <md5>00112233445566778899aabbccddeeff</md5>
        <sha1> 00112233445566778899aabbccddeeff00112233 </sha1>
        <pdna></pdna>
        <netclean>made up</netclean>
      </fingerprints>
      <feedback lastUpdateTimestamp="2017-10-21T00:00:00Z">
        <affirmativeFeedback type="Md5" lastUpdateTimestamp="2017-10-21T00:00:00Z">
          <members timestamp="2017-10-21T00:00:00Z"><member id="43">One</member><member id="44">Two</member></members>
        </affirmativeFeedback>
        <negativeFeedback type="Sha1" lastUpdateTimestamp="2017-10-21T00:00:00Z">
          <reasons>
            <reason guid="11111111-0000-4000-8000-000000000001" name="Example" type="Sha1"/>
            <members timestamp="2017-10-21T00:00:00Z"><member id="45">Three</member></members>
          </reasons>
        </negativeFeedback>
      </feedback>
    </image>
    <deletedImage>
      <member id="43">One</member>
      <timestamp>2017-10-20T00:00:00Z</timestamp>
      <id>image2</id>
    </deletedImage>
  </images>
  <videos count="2" maxTimestamp="2017-10-20T00:00:00Z">
    <video>
      <member id="42">Example &amp; Sons</member>
      <timestamp>2017-10-20T00:00:00Z</timestamp>
      <id>video1</id>
      <fingerprints>
        <md5>ffeeddccbbaa99887766554433221100</md5>
        <tmk-pdqf rel="self" href="/v2/entries/42/video1/TMK_PDQF/fingerprint"/>
      </fingerprints>
    </video>
    <deletedVideo><member id="42"/><timestamp>2017-10-20T00:00:00Z</timestamp><id>video2</id></deletedVideo>
  </videos>
  <paging>
    <next>/v2/entries?from=2017-10-01T00:00:00Z&amp;to=2017-10-30T00:00:00Z&amp;start=2001&amp;size=1000&amp;max=3000</next>
  </paging>
</queryResult>"""


def read(xml: str | bytes) -> tuple[list[ToldEntry], XmlReader]:
    reader = XmlReader(io.BytesIO(xml.encode() if isinstance(xml, str) else xml), "rehearsal")
    return list(reader), reader


def page(inside: str) -> str:
    return f'<queryResult xmlns="{NAMESPACE}">{inside}</queryResult>'


def test_a_page_is_read_as_it_is_documented() -> None:
    told, reader = read(PAGE)
    image, gone_image, video, gone_video = told
    assert (image.type, image.is_deleted, image.member, image.member_name) == ("image", False, "42", "Example & Sons")
    assert (image.id, image.timestamp, image.classification) == ("image1", "2017-10-20T00:00:00Z", "A1")
    assert image.prints == {
        "md5": "00112233445566778899aabbccddeeff",
        "sha1": "00112233445566778899aabbccddeeff00112233",
        "netclean": "made up",
    }
    assert image.feedback == {"affirmed": {"Md5": 2}, "disputed": {"Sha1": 1}}
    assert (gone_image.type, gone_image.is_deleted, gone_image.member, gone_image.id) == ("image", True, "43", "image2")
    assert (video.type, video.classification, video.prints["md5"][:4]) == ("video", "", "ffee")
    assert video.linked == {"tmk-pdqf": "/v2/entries/42/video1/TMK_PDQF/fingerprint"}
    assert (gone_video.type, gone_video.is_deleted, gone_video.member_name) == ("video", True, "")
    assert (
        reader.next_link
        == "/v2/entries?from=2017-10-01T00:00:00Z&to=2017-10-30T00:00:00Z&start=2001&size=1000&max=3000"
    )
    assert not reader.unknown


def test_the_digest_is_of_the_entry_alone() -> None:
    entry = f'<image xmlns="{NAMESPACE}"><member id="42"/><id>x</id></image>'
    one, _ = read(page(f"<images>{entry}</images>"))
    other, _ = read(page(f"<images><deletedImage/>\n  {entry}\n</images><videos/>"))
    changed, _ = read(page(f"<images>{entry.replace('>x<', '>y<')}</images>"))
    assert one[0].digest == other[1].digest == hashlib.sha256(entry.encode()).digest()
    assert changed[0].digest != one[0].digest


@pytest.mark.parametrize(
    "empty", ['<images count="0"/><videos count="0"/>', "", "<paging/>", "<paging><next/></paging>"]
)
def test_an_empty_page_is_the_last(empty: str) -> None:
    told, reader = read(page(empty))
    assert (told, reader.next_link, reader.unknown.total()) == ([], "", 0)


@pytest.mark.parametrize("root", ["queryResult", 'queryResult xmlns="urn:another"', 'x:queryResult xmlns:x="urn:x"'])
def test_any_namespace_and_prefix_that_names_no_version_will_do(root: str) -> None:
    prefix = "x:" if root.startswith("x:") else ""
    inside = f"<{prefix}images><{prefix}image><{prefix}id>a</{prefix}id></{prefix}image></{prefix}images>"
    told, _ = read(f"<{root}>{inside}</{root.split()[0]}>")
    assert [entry.id for entry in told] == ["a"]


def test_a_namespace_of_another_version_is_refused() -> None:
    for version in ("v3", "v2.1", "v1"):
        xml = page("<images/>").replace("hashsharing/v2", f"hashsharing/{version}").encode()
        for reader in (XmlReader, PageReader):
            with pytest.raises(SourceBroken, match=rf"version {version[1:]} .*version 2 is read"):
                list(reader(io.BytesIO(xml), "rehearsal"))


def test_elements_that_nobody_knows_are_counted_wherever_they_stand() -> None:
    image = "<image><id>a</id><novelty/><fingerprints/><feedback><perhaps/></feedback></image>"
    told, reader = read(page(f"<images><drawing/>{image * 200}<drawing/></images><sounds><image/></sounds><paging/>"))
    assert [entry.id for entry in told] == ["a"] * 200
    assert reader.unknown == {"element novelty": 200, "element perhaps": 200, "element drawing": 2, "element sounds": 1}


def test_names_without_end_are_counted_together() -> None:
    _, reader = read(page("".join(f"<n{number}/>" for number in range(5000))))
    assert len(reader.unknown) == 101
    assert reader.unknown["element"] == 4900


def test_comments_and_instructions_say_nothing() -> None:
    told, reader = read(page("<!-- a --><images><?b c?><image><!-- d --><id>a<!-- e --></id></image></images>"))
    assert (told[0].id, reader.unknown.total()) == ("a", 0)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
HOSTILE = {
    "entities that double": f'<!DOCTYPE q [<!ENTITY l0 "lol">{LAUGHS}]><queryResult><images><image><id>&l9;</id>'
    "</image></images></queryResult>",
    "entities that double in an attribute": f'<!DOCTYPE q [<!ENTITY l0 "lol">{LAUGHS}]><queryResult a="&l9;"/>',
    "a file as an entity": '<!DOCTYPE q [<!ENTITY f SYSTEM "file:///etc/hostname">]><queryResult><images><image><id>&f;'
    "</id></image></images></queryResult>",
    "a DTD elsewhere": '<!DOCTYPE q SYSTEM "http://127.0.0.1:1/q.dtd"><queryResult/>',
    "a parameter entity": '<!DOCTYPE q [<!ENTITY % p SYSTEM "http://127.0.0.1:1/p"> %p;]><queryResult/>',
    "an empty DTD": "<!DOCTYPE queryResult><queryResult><images><image/></images></queryResult>",
    "an entity that was never declared": "<queryResult>&who;</queryResult>",
    "an attribute by default": '<!DOCTYPE q [<!ATTLIST image id CDATA "x">]><queryResult><images><image/></images>'
    "</queryResult>",
    "elements without end": "<queryResult>" + "<a>" * 5000,
    "half a page": PAGE[: len(PAGE) // 2],
    "a page of a web site": "<html><body><p>Sign in</p></body></html>",
    "no XML": '{"entries": []}',
    "nothing": "",
    "bytes that are no UTF-8": b"<queryResult><images>\xff\xfe</images></queryResult>",
    "another encoding than it says": b'<?xml version="1.0" encoding="none-such"?><queryResult/>',
    "text in front": "hello <queryResult/>",
    "two documents": "<queryResult/><queryResult/>",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_xml_is_refused_without_a_word_of_it(what: str) -> None:
    with pytest.raises(SourceBroken) as caught:
        read(HOSTILE[what])
    assert caught.value.where == "rehearsal"
    assert "lol" not in str(caught.value)
    assert "Sign in" not in str(caught.value)


def test_entries_before_a_break_were_told_and_it_says_the_line() -> None:
    broken = PAGE.split("</images>")[0] + "</image>"
    reader = iter(XmlReader(io.BytesIO(broken.encode()), "rehearsal"))
    assert [next(reader).id, next(reader).id] == ["image1", "image2"]
    with pytest.raises(SourceBroken, match=f"line {1 + broken.count(chr(10))} "):
        next(reader)


class Endless:
    """A document that repeats a piece for ever."""

    def __init__(self, begin: bytes, piece: bytes) -> None:
        self.begin, self.piece, self.given = begin, piece * (32_768 // len(piece)), 0

    def read(self, size: int = -1) -> bytes:
        begin, self.begin = self.begin, b""
        self.given += size
        assert self.given < 200 << 20, "it was never refused"
        return begin or self.piece


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"<queryResult><images><image><id>", b"a"),
        (b"<queryResult><images><image>", b"<a/>"),
        (b"<queryResult>", b"<sounds/>"),
        (b'<queryResult a="', b"a"),
        (b"<queryResult>", b"<!-- a -->"),
        (b"<queryResult><images>", b" \n"),
    ],
)
def test_an_entry_without_end_is_refused(begin: bytes, piece: bytes) -> None:
    with pytest.raises(SourceBroken):
        list(XmlReader(Endless(begin, piece), "rehearsal"))


def test_a_page_without_end_is_read_in_bounded_memory() -> None:
    prints = b"<fingerprints><md5>00112233445566778899aabbccddeeff</md5></fingerprints>"
    entry = b"<image><member id='1'/><id>a</id>" + prints + b"</image>"

    def entries(count: int) -> Iterator[bytes]:
        yield b"<queryResult><images>"
        for _ in range(count // 200):
            yield entry * 200
        yield b"</images></queryResult>"

    class Pieces:
        pieces = entries(100_000)

        def read(self, size: int = -1) -> bytes:
            return next(self.pieces, b"")

    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in XmlReader(Pieces(), "rehearsal")) == 100_000
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 25 << 10
    )  # as a tree it were six times as much


@pytest.mark.parametrize("xml", ["<status", "<!DOCTYPE s><status/>", "<html/>", ""])
def test_a_small_document_is_held_to_the_same(xml: str) -> None:
    with pytest.raises(SourceBroken):
        parse_document(xml.encode(), "status", "rehearsal")
    assert parse_document(b"<status xmlns='urn:x'/>", "status", "rehearsal") is not None
