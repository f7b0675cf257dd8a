"""Large fingerprints of NCMEC's lists: what a record says of them, how it is told again, where a link may lead."""

# ruff: noqa: F811 # fixtures that are taken from another module
from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.contracts.connector import NOW_S
from tests.exchange.test_ncmec import MD5, clock, connect, mock  # noqa: F401

from leadline.errors import SourceBroken
from leadline.exchange.mock.base import Reply
from leadline.exchange.mock.ncmec import FIRST_S, LARGE_BYTES, NcmecMock
from leadline.exchange.ncmec import NcmecConnector

Connect = Callable[..., NcmecConnector]
PRINTS = f"<md5>{MD5.hex()}</md5>"


def _link(name: str, href: str = "/v2/large") -> str:
    return f'<{name} rel="self" href="{href}"/>'


def test_a_record_leads_to_its_large_fingerprints_and_its_entry_names_no_address(
    mock: NcmecMock,
    connect: Connect,
) -> None:
    key = mock.put("a", PRINTS + _link("tmk-pdqf") + _link("SSVH-PDNA", "/v2/other"), time_s=FIRST_S + 7)
    (page,) = connect().pull(None)
    (record,) = page.records
    assert record.linked == {"tmk_pdqf": "/v2/large", "ssvh_pdna": "/v2/other"}
    assert (record.key, record.moment) == (key, FIRST_S + 7)
    assert record.entry is not None
    assert "/v2/" not in repr(record.entry)
    assert not page.unknown


def test_one_that_holds_nothing_else_leads_on_too(mock: NcmecMock, connect: Connect) -> None:
    mock.put("a", _link("videntifier"), time_s=FIRST_S)
    ((record,),) = (page.records for page in connect().pull(None))
    assert (record.entry, record.kept, record.linked) == (None, {"videntifier": ""}, {"videntifier": "/v2/large"})


def test_a_record_leads_to_eight_at_most(mock: NcmecMock, connect: Connect) -> None:
    mock.put("a", PRINTS + "".join(_link(f"kind-{number}") for number in range(20)), time_s=FIRST_S)
    ((record,),) = (page.records for page in connect().pull(None))
    assert list(record.linked or ()) == [f"kind_{number}" for number in range(8)]


def test_records_are_told_again_by_the_time_of_their_last_change(
    mock: NcmecMock,
    connect: Connect,
) -> None:
    for number in range(25):
        mock.put(f"e{number}", PRINTS + _link("tmk-pdqf"), time_s=FIRST_S + 100 * number)
    told = [record for page in connect().tell_again(FIRST_S + 100, FIRST_S + 1500) for record in page.records]
    assert [record.key for record in told] == [f"41-e{number}" for number in range(2, 16)]
    assert [one.path for one in mock.asked] == ["/v2/entries"] * 2, "two pages, and nothing else"


def test_told_again_no_link_is_followed_for_a_plug_in(
    mock: NcmecMock,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "leadline.exchange.ncmec.load_kinds", lambda: {"tmk_pdqf": type("Kind", (), {"length_bytes": 8})}
    )
    mock.put("a", PRINTS + _link("tmk-pdqf"), time_s=FIRST_S)
    assert len(list(connect().tell_again(FIRST_S - 1, FIRST_S))) == 1
    assert [one.path for one in mock.asked] == ["/v2/entries"]


def test_what_a_link_leads_to_comes_in_pieces(mock: NcmecMock, connect: Connect) -> None:
    mock.large["/v2/large"] = bytes(range(256)) * 4096
    with connect().open_linked("/v2/large", 1 << 20) as body:
        pieces = list(iter(lambda: body.read(1 << 17), b""))
    assert b"".join(pieces) == mock.large["/v2/large"]
    assert max(map(len, pieces)) <= 1 << 17


@pytest.mark.parametrize(
    "link",
    ["https://example.org/x", "http://10.1.2.3/x", "//example.org/x", "http://localhost:1/x", "file:///etc/passwd"],
)
def test_a_link_to_another_host_is_refused_before_anything_is_asked(
    mock: NcmecMock,
    connect: Connect,
    link: str,
) -> None:
    with pytest.raises(SourceBroken) as caught, connect().open_linked(link, 1 << 20):
        pytest.fail("it was opened")
    assert caught.value.code == "redirected"
    assert link not in str(caught.value)
    assert not mock.asked


def test_a_page_for_people_is_no_fingerprint(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NcmecMock, "answer", lambda self, asked: Reply(200, b"<html>", "text/html; charset=utf-8"))
    with pytest.raises(SourceBroken), connect().open_linked("/v2/large", 1 << 20):
        pytest.fail("it was opened")


def test_the_stand_in_gives_each_video_one_of_the_size_of_a_tmk(connect: Connect, mock: NcmecMock) -> None:
    made = NcmecMock(20, with_large=True)
    mock.__dict__.update({name: value for name, value in vars(made).items() if name not in ("clock", "asked")})
    mock.clock = lambda: NOW_S
    source = connect()
    links = [record.linked for page in source.pull(None) for record in page.records if record.linked]
    assert len(links) == 2
    sizes = []
    for linked in links:
        with source.open_linked(linked["tmk_pdqf"], 1 << 20) as body:
            sizes.append(len(body.read()))
    assert sizes == [LARGE_BYTES, LARGE_BYTES]
