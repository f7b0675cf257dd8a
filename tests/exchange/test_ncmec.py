"""NCMEC hash sharing v2: the contract of every connector, ranges of time, what only NCMEC says, feedback."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError
from tests.contracts.connector import DEFAULTS, NOW_S, Clock, ListConnectorContract, Oddity, Planted, SendContract

from leadline.domain import Entry
from leadline.errors import ActNotOffered, CredentialsRefused, HashRefused, SourceBroken
from leadline.exchange.connector import Act, Outgoing, Page
from leadline.exchange.mock.base import PASSWORD, USER, Asked, Fault, FaultKind, Mock, Reply, serving
from leadline.exchange.mock.ncmec import FIRST_S, REASONS, NcmecMock
from leadline.exchange.ncmec import NcmecConnector
from leadline.exchange.ncmec_bases import PRODUCTION, TEST
from leadline.exchange.ncmec_lists import NcmecOptions

SECRETS = {"user": USER, "password": PASSWORD}
MD5 = bytes(range(16))
PDQ = bytes(range(32))


class TestNcmec(ListConnectorContract, SendContract):
    connector = NcmecConnector
    secrets: ClassVar = SECRETS

    def make_mock(self) -> NcmecMock:
        return NcmecMock(entries=35, page_size=10)

    def options(self, address: str) -> dict[str, Any]:
        return {"address": address}

    def plant(self, mock: Mock, oddity: Oddity) -> Planted:
        assert isinstance(mock, NcmecMock)
        digits = MD5.hex()
        prints, more = {
            Oddity.UNKNOWN: (f"<md5>{digits}</md5><netclean>{digits}</netclean>", "<novelty><image/></novelty>"),
            Oddity.SHORT_HASH: (f"<md5>{digits[:-1]}</md5>", ""),
            Oddity.UPPER_CASE: (f"<md5>{digits.upper()}</md5>", ""),
        }[oddity]
        return Planted(mock.put("odd", prints, time_s=FIRST_S + 10, more=more), MD5)

    def acts(self, mock: Mock) -> list[Outgoing]:
        return [Outgoing(Act.AFFIRM, "41-e0", "md5"), Outgoing(Act.AFFIRM, "42-e1", "sha1")]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mock(clock: Clock) -> NcmecMock:
    made = NcmecMock(entries=0, page_size=10)
    made.clock = clock
    return made


@pytest.fixture
def connect(mock: NcmecMock, clock: Clock) -> Iterator[Callable[..., NcmecConnector]]:
    with serving(mock) as address, contextlib.ExitStack() as stack:

        def make(**options: Any) -> NcmecConnector:
            made = NcmecOptions(**{"address": address, **options})
            connector = NcmecConnector(made, SECRETS, DEFAULTS, clock=clock, sleep=clock.sleep)
            stack.callback(connector.close)
            return connector

        yield make


Connect = Callable[..., NcmecConnector]


def the_only(pages: Iterator[Page]) -> tuple[Entry, Page]:
    (page,) = pages
    (record,) = page.records
    assert record.entry is not None
    return record.entry, page


def ranges(mock: NcmecMock) -> list[tuple[str, str]]:
    """What was asked for by time, from and to."""
    asked = [one.query for one in mock.asked if one.path == "/v2/entries" and "start" not in one.query]
    return [(query["from"], query["to"]) for query in asked]


# --- an entry --------------------------------------------------------------------------------------------------------


def test_an_entry_becomes_all_that_ncmec_says_of_it(mock: NcmecMock, connect: Connect) -> None:
    prints = f"<md5>{MD5.hex()}</md5><sha1>{MD5.hex()}00112233</sha1><pdq>{PDQ.hex()}</pdq><pdna>{'ab' * 144}</pdna>"
    key = mock.put("image1", prints, time_s=FIRST_S, member=42)
    entry, page = the_only(connect().pull(None))
    assert dict(entry.fingerprints) == {
        "md5": MD5, "sha1": MD5 + bytes.fromhex("00112233"), "pdq": PDQ, "photodna": b"\xab" * 144,
    }  # fmt: skip
    assert (entry.source_id, entry.scheme, entry.label, entry.last_seen) == (key, "ncmec", "A1", 1_767_225_600)
    facts = json.loads(entry.metadata)
    assert (facts["type"], facts["member"], facts["record"]) == (
        "image",
        "42 Example Platform",
        page.records[0].digest.hex(),
    )
    assert page.is_last


def test_feedback_of_others_is_counted_per_fingerprint(mock: NcmecMock, connect: Connect) -> None:
    said = '<reasons><reason name="One"/><members><member id="42"/><member id="43"/></members></reasons>'
    more = f'<feedback><negativeFeedback type="Md5">{said}</negativeFeedback></feedback>'
    mock.put("a", f"<md5>{MD5.hex()}</md5>", time_s=FIRST_S, more=more)
    entry, _ = the_only(connect().pull(None))
    assert json.loads(entry.metadata)["disputed"] == {"Md5": 2}


@pytest.mark.parametrize(
    ("options", "label", "scheme"),
    [
        ({}, "B2", "ncmec"),
        ({}, "C9", "ncmec:unspecified"),
        ({}, "", ""),
    ],
)
def test_a_label_never_stands_without_its_scheme(
    mock: NcmecMock, connect: Connect, options: dict[str, str], label: str, scheme: str
) -> None:
    xml = f"<md5>{MD5.hex()}</md5></fingerprints><classification>{label}</classification><fingerprints>"
    mock.put("a", xml, time_s=FIRST_S)
    entry, _ = the_only(connect(**options).pull(None))
    assert (entry.label, entry.scheme) == (label, scheme)


def test_an_unknown_fingerprint_is_kept_as_text_and_a_link_is_not_kept_at_all(
    mock: NcmecMock, connect: Connect
) -> None:
    link = '<tmk-pdqf rel="self" href="/v2/entries/41/a/TMK_PDQF/fingerprint"/>'
    mock.put("a", f"<md5>{MD5.hex()}</md5><netclean>made up</netclean>{link}", time_s=FIRST_S)
    entry, page = the_only(connect().pull(None))
    assert page.unknown == {"fingerprint netclean": 1}
    facts = json.loads(entry.metadata)
    assert (facts["fingerprints"], facts["linked"]) == ({"netclean": "made up"}, ["tmk-pdqf"])
    assert "/v2/" not in repr(entry)
    assert all("TMK" not in one.path for one in mock.asked)


def test_an_entry_with_nothing_that_is_known_here_is_kept_and_no_entry(mock: NcmecMock, connect: Connect) -> None:
    link = '<tmk-pdqf rel="self" href="/v2/entries/41/a/TMK_PDQF/fingerprint"/>'
    key = mock.put("a", f"<netclean>made up</netclean><md5></md5>{link}", time_s=FIRST_S)
    (page,) = connect().pull(None)
    assert [(record.key, record.entry, record.kept) for record in page.records] == [
        (key, None, {"tmk-pdqf": "", "netclean": "made up"})
    ]
    assert page.unknown == {"fingerprint netclean": 1, "entry without a fingerprint that is known here": 1}
    assert not page.faults


def test_a_bad_hash_beside_a_good_one_costs_only_itself(mock: NcmecMock, connect: Connect) -> None:
    mock.put("a", f"<md5>{MD5.hex()}</md5><pdq>{PDQ.hex()[:-2]}</pdq><pdna>???</pdna>", time_s=FIRST_S)
    entry, page = the_only(connect().pull(None))
    assert list(entry.fingerprints) == ["md5"]
    assert [type(fault) for fault in page.faults] == [HashRefused, HashRefused]
    assert all(fault.where == "far-list: entry 41-a" for fault in page.faults)


@pytest.mark.parametrize("entry_id", ["", "x" * 300])
def test_an_entry_without_a_usable_id_is_a_fault(mock: NcmecMock, connect: Connect, entry_id: str) -> None:
    mock.put(entry_id, f"<md5>{MD5.hex()}</md5>", time_s=FIRST_S)
    (page,) = connect().pull(None)
    assert (len(page.records), len(page.faults)) == (0, 1)


def test_a_time_that_is_none_is_kept_as_text(mock: NcmecMock, connect: Connect) -> None:
    broken = "</fingerprints><timestamp>yesterday</timestamp><fingerprints>"
    mock.put("a", f"<md5>{MD5.hex()}</md5>{broken}", time_s=FIRST_S)
    entry, _ = the_only(connect().pull(None))
    assert (entry.last_seen, json.loads(entry.metadata)["timestamp"]) == (0, "yesterday")


# --- large fingerprints, where a plug-in takes them ------------------------------------------------------------------


class _Large:
    """A stand-in that tells large fingerprints by link."""

    length_bytes = 8


@pytest.fixture
def linking(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> NcmecMock:
    monkeypatch.setattr("leadline.exchange.ncmec.load_kinds", lambda: {"tmk_pdqf": _Large()})
    made = NcmecMock(entries=0)
    made.large["/v2/large"] = b"8 bytes."
    made.clock = clock
    made.put("a", f'<md5>{MD5.hex()}</md5><tmk-pdqf rel="self" href="/v2/large"/>', time_s=FIRST_S)
    return made


def pull_from(mock: NcmecMock, clock: Clock) -> list[Page]:
    with serving(mock) as address:
        made = NcmecOptions(address=address)
        with contextlib.closing(NcmecConnector(made, SECRETS, DEFAULTS, clock=clock, sleep=clock.sleep)) as connector:
            return list(connector.pull(None))


def test_a_link_is_followed_where_a_plug_in_takes_what_it_leads_to(linking: NcmecMock, clock: Clock) -> None:
    entry, page = the_only(iter(pull_from(linking, clock)))
    assert entry.fingerprints["tmk_pdqf"] == b"8 bytes."
    assert not page.unknown
    assert page.records[0].digest.hex() != json.loads(entry.metadata)["record"], "it changes once there is a plug-in"


@pytest.mark.parametrize("large", [None, b"short", b"longer than it may be"])
def test_a_link_that_leads_to_nothing_of_use_costs_only_itself(
    linking: NcmecMock, clock: Clock, large: bytes | None
) -> None:
    linking.large = {} if large is None else {"/v2/large": large}
    entry, page = the_only(iter(pull_from(linking, clock)))
    assert list(entry.fingerprints) == ["md5"]
    assert [type(fault) for fault in page.faults] == [HashRefused]


# --- ranges of time --------------------------------------------------------------------------------------------------


def test_times_are_asked_for_in_utc_wherever_it_runs(
    mock: NcmecMock, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        list(connect().pull({"done_s": 1_700_000_000}))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert ranges(mock) == [("2023-11-14T22:13:20Z", "2026-11-18T11:06:35Z")]  # 1795000000 less 5 seconds


def test_a_clock_that_runs_ahead_of_the_source_loses_nothing(mock: NcmecMock, connect: Connect, clock: Clock) -> None:
    mock.clock = lambda: NOW_S - 3600
    (page,) = connect().pull(None)
    assert page.checkpoint == {"done_s": int(NOW_S) - 3605}


def test_a_clock_that_runs_behind_asks_for_less(mock: NcmecMock, connect: Connect) -> None:
    mock.clock = lambda: NOW_S + 3600
    (page,) = connect().pull(None)
    assert page.checkpoint == {"done_s": int(NOW_S) - 5}


def test_a_clock_that_was_put_back_asks_for_nothing(mock: NcmecMock, connect: Connect) -> None:
    (page,) = connect().pull({"done_s": int(NOW_S) + 60})
    assert (page.is_last, page.checkpoint) == (True, {"done_s": int(NOW_S) + 60})
    assert ranges(mock) == []


def test_a_checkpoint_moves_on_only_when_its_range_is_exhausted(
    connect: Connect, clock: Clock, mock: NcmecMock
) -> None:
    for number in range(25):
        mock.put(f"n{number}", f"<md5>{number:032x}</md5>", time_s=FIRST_S + number)
    pages = list(connect().pull(None))
    assert [page.checkpoint["done_s"] for page in pages] == [0, 0, int(NOW_S) - 5]
    assert [page.is_last for page in pages] == [False, False, True]
    assert pages[0].total == 25


@pytest.mark.parametrize(("later_s", "is_trusted"), [(12 * 3600, True), (12 * 3600 + 1, False), (-1, False)])
def test_the_address_of_a_page_is_trusted_for_twelve_hours(
    mock: NcmecMock, connect: Connect, clock: Clock, later_s: int, is_trusted: bool
) -> None:
    for number in range(25):
        mock.put(f"n{number}", f"<md5>{number:032x}</md5>", time_s=FIRST_S + number)
    checkpoint = next(connect().pull(None)).checkpoint
    mock.asked.clear()
    clock.now += later_s
    told = [record for page in connect().pull(checkpoint) for record in page.records]
    assert len(told) == (15 if is_trusted else 25)


def test_a_range_goes_on_to_its_own_end_and_then_to_now(mock: NcmecMock, connect: Connect, clock: Clock) -> None:
    for number in range(25):
        mock.put(f"n{number}", f"<md5>{number:032x}</md5>", time_s=FIRST_S + number)
    checkpoint = next(connect().pull(None)).checkpoint
    clock.now += 600
    mock.asked.clear()
    pages = list(connect().pull(checkpoint))
    assert ranges(mock) == [("2026-11-18T11:06:35Z", "2026-11-18T11:16:35Z")]
    assert pages[-1].checkpoint == {"done_s": int(clock.now) - 5}


def test_a_list_that_is_too_long_for_one_range_is_asked_for_in_shorter_ones(connect: Connect, mock: NcmecMock) -> None:
    for number in range(60):
        mock.put(f"n{number}", f"<md5>{number:032x}</md5>", time_s=FIRST_S + 3600 * number)
    connector = connect()
    connector.range_entries = 20  # type: ignore[misc]
    keys: list[str] = []
    ends: list[int] = []
    for page in connector.pull({"done_s": FIRST_S - 1}):
        keys += [record.key for record in page.records]
        ends.append(page.checkpoint["done_s"])
    assert sorted(keys) == sorted(f"41-n{number}" for number in range(60))
    assert ends == sorted(ends)
    assert len(set(ends)) > 3


class ForgetfulMock(NcmecMock):
    """Its pages lead where a test says."""

    link = ""

    def answer(self, asked: Asked) -> Reply:
        if asked.path != "/v2/entries":
            return super().answer(asked)
        xml = f"<queryResult><paging><next>{self.link}</next></paging></queryResult>"
        return Reply(200, xml.encode(), "application/xml")


@pytest.mark.parametrize(
    ("link", "code"),
    [
        ("/v2/entries?start=1", "source-broken"),
        ("/v2/entries?" + "x" * 2001, "source-broken"),
        ("http://198.51.100.7/v2/entries", "redirected"),
        ("//198.51.100.7/v2/entries", "redirected"),
        ("https://user@198.51.100.7/", "redirected"),
    ],
)
def test_pages_lead_neither_in_a_circle_nor_elsewhere(clock: Clock, link: str, code: str) -> None:
    mock = ForgetfulMock(entries=0)
    mock.clock, mock.link = clock, link
    with pytest.raises(SourceBroken) as caught:
        pull_from(mock, clock)
    assert caught.value.code == code


def test_pages_that_are_forgotten_again_at_once_end_the_pull(connect: Connect, mock: NcmecMock) -> None:
    for number in range(25):
        mock.put(f"n{number}", f"<md5>{number:032x}</md5>", time_s=FIRST_S + number)
    mock.faults.append(Fault(FaultKind.EXPIRED, times=1_000_000))
    with pytest.raises(SourceBroken) as caught:
        list(connect().pull(None))
    assert caught.value.code == "page-expired"


def test_a_long_answer_is_told_in_pieces_that_move_no_checkpoint(
    clock: Clock, mock: NcmecMock, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadline.exchange.ncmec._PAGE_RECORDS", 4)
    for number in range(10):
        mock.put(f"n{number}", f"<md5>{number:032x}</md5><netclean>a</netclean>", time_s=FIRST_S + number)
    pages = list(connect().pull({"done_s": 7}))
    assert [len(page.records) for page in pages] == [4, 4, 2]
    assert [page.checkpoint["done_s"] for page in pages] == [7, 7, int(NOW_S) - 5]
    assert [page.unknown for page in pages] == [{"fingerprint netclean": count} for count in (4, 4, 2)]


# --- who we are, and what we say -------------------------------------------------------------------------------------


def test_a_check_says_who_we_are_and_how_many_share_the_list(connect: Connect) -> None:
    checked = connect().check()
    assert checked.identity == "41 Example Hotline"
    assert checked.notes == ("3 members share this list",)


def test_a_check_goes_well_without_members(connect: Connect, mock: NcmecMock) -> None:
    mock.faults.append(Fault(FaultKind.FORBIDDEN, after=1))
    assert connect().check().notes == ("its members are not shown to us",)


def test_the_members_are_known_by_number(connect: Connect) -> None:
    assert connect().members() == {"41": "Example Hotline", "42": "Example Platform", "43": "Example & Sons Hosting"}


def test_each_list_has_a_base_in_both_environments() -> None:
    assert set(PRODUCTION) == set(TEST)
    assert NcmecOptions(list="ngo").base == "https://hashsharing.ncmec.org/npo"
    assert NcmecOptions(list="ngo", environment="test").base == "https://hashsharing-test.ncmec.org/npo"
    assert NcmecOptions(address="https://list.example/base").base == "https://list.example/base"
    assert all(base.startswith("https://") for base in (*PRODUCTION.values(), *TEST.values()))


@pytest.mark.parametrize("options", [{}, {"list": "ngo", "address": "https://list.example"}, {"list": "none-such"}])
def test_a_source_is_one_list_or_one_address(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        NcmecOptions(**options)  # type: ignore[arg-type]


def test_the_test_environment_is_named_as_one(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, mock: NcmecMock
) -> None:
    with serving(mock) as address:
        monkeypatch.setitem(TEST, "ngo", address)
        notes = connect(address="", list="ngo", environment="test").check().notes
    assert "this is the test environment: its entries and credentials are not those of production" in notes


def test_feedback_is_sent_as_it_is_documented(connect: Connect, mock: NcmecMock) -> None:
    key = mock.put("image 1/é", f"<md5>{MD5.hex()}</md5>", time_s=FIRST_S)
    sent = connect().send([Outgoing(Act.AFFIRM, key, "md5")])
    assert sent[0].error is None
    asked = mock.asked[-1]
    assert (asked.method, asked.headers["content-type"]) == ("PUT", "application/xml")
    assert asked.path == "/v2/entries/41/image%201%2F%C3%A9/MD5/feedback"
    assert asked.body == (
        b'<feedbackSubmission xmlns="https://hashsharing.ncmec.org/hashsharing/v2"><affirmative/></feedbackSubmission>'
    )


def test_a_dispute_gives_the_sources_own_reasons(connect: Connect, mock: NcmecMock) -> None:
    key, reasons = mock.put("a", f"<pdq>{PDQ.hex()}</pdq>", time_s=FIRST_S), tuple(REASONS)
    connector = connect()
    assert connector.reasons("pdq") == REASONS
    assert connector.send([Outgoing(Act.DISPUTE, key, "pdq", reasons)])[0].error is None
    assert mock.opinions == [(key, "PDQ", guid) for guid in reasons]


@pytest.mark.parametrize(
    "outgoing",
    [
        Outgoing(Act.DISPUTE, "41-a", "md5"),
        Outgoing(Act.DISPUTE, "41-a", "md5", ("no such reason",)),
        Outgoing(Act.AFFIRM, "41-a", ""),
        Outgoing(Act.AFFIRM, "41-a", "sha256"),
        Outgoing(Act.AFFIRM, "no key", "md5"),
        Outgoing(Act.SUBMIT, "41-a", "md5"),
    ],
)
def test_what_is_no_feedback_is_not_sent(connect: Connect, mock: NcmecMock, outgoing: Outgoing) -> None:
    good = Outgoing(Act.AFFIRM, mock.put("a", f"<md5>{MD5.hex()}</md5>", time_s=FIRST_S), "md5")
    refused, taken = connect().send([outgoing, good])
    assert isinstance(refused.error, ActNotOffered)
    assert taken.error is None
    assert [asked.method for asked in mock.asked].count("PUT") == 1


def test_after_refused_credentials_nothing_more_is_tried(connect: Connect, mock: NcmecMock) -> None:
    mock.faults.append(Fault(FaultKind.UNAUTHORISED, times=10))
    sent = connect().send([Outgoing(Act.AFFIRM, "41-a", "md5")] * 3)
    assert [type(one.error) for one in sent] == [CredentialsRefused] * 3
    assert len(mock.asked) == 1
