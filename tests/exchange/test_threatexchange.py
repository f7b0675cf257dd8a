"""ThreatExchange against its stand-in: deletions, opinions, and where the token must not be."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError
from tests.contracts.connector import Given, ListConnectorContract, Oddity, Planted, SendContract, Subscriber

from leadline.domain import Entry, Kind, Tlp
from leadline.errors import (
    ActNotOffered,
    CredentialsRefused,
    ExchangeError,
    InputError,
    SourceBroken,
    SourceUnavailable,
)
from leadline.exchange.connector import Act, Outgoing, Page
from leadline.exchange.mock.base import Asked, Mock, Reply, json_reply
from leadline.exchange.mock.threatexchange import APP, GROUP, OTHER_APP, TOKEN, ThreatExchangeMock
from leadline.exchange.threatexchange import ThreatExchange, ThreatExchangeOptions

PDQ = "064bc5ede01712654843fe46b16de93956fae0153baba5d47ac31ef8a5905ec0"  # of Meta's own page on IndicatorType
MD5 = "286755fad04869ca523320acce0dc6a4"  # likewise
DAY_S = 86_400


class TestThreatExchange(ListConnectorContract, SendContract):
    connector = ThreatExchange
    beside = False
    secrets: ClassVar = {"token": TOKEN}

    def make_mock(self) -> ThreatExchangeMock:
        return ThreatExchangeMock(entries=40)

    def options(self, address: str) -> dict[str, Any]:
        return {"address": f"{address}/v21.0", "privacy_group": GROUP, "page_size": 10}

    def plant(self, mock: Mock, oddity: Oddity) -> Planted:
        assert isinstance(mock, ThreatExchangeMock)
        value = {Oddity.UNKNOWN: PDQ, Oddity.SHORT_HASH: PDQ[:-1], Oddity.UPPER_CASE: PDQ.upper()}[oddity]
        more = {"status": "RECONSIDERED"} if oddity is Oddity.UNKNOWN else {}
        return Planted(mock.put("HASH_PDQ", value, **more), bytes.fromhex(PDQ))

    def acts(self, mock: Mock) -> list[Outgoing]:
        entries = [Entry(Kind.OTHER, {name: bytes.fromhex(value)}) for name, value in (("pdq", PDQ), ("md5", MD5))]
        return [Outgoing(Act.SUBMIT, entry=entry) for entry in entries]

    @pytest.fixture
    def exchange(self, mock: Mock) -> ThreatExchangeMock:
        assert isinstance(mock, ThreatExchangeMock)
        return mock

    def test_an_update_without_any_descriptor_is_a_deletion(
        self, new: Callable[[], Subscriber], given: Given, exchange: ThreatExchangeMock
    ) -> None:
        subscriber = new()
        subscriber.pull()
        none, empty, *_ = subscriber.entries()
        given.clock.now += 60
        exchange.edit(none, descriptors=None)
        exchange.edit(empty, descriptors={"data": []})
        assert subscriber.pull().withdrawn == 2
        assert not {none, empty} & subscriber.entries().keys()

    def test_after_85_days_the_whole_group_is_told_anew_and_what_is_gone_goes(
        self, new: Callable[[], Subscriber], given: Given, exchange: ThreatExchangeMock
    ) -> None:
        subscriber = new()
        subscriber.pull()
        key = next(iter(subscriber.entries()))
        exchange.edit(key, time_s=0, should_delete=True)  # as if told, and no longer told, long ago
        given.clock.now += 84 * DAY_S
        assert subscriber.pull().withdrawn == 0
        given.clock.now += 86 * DAY_S
        assert subscriber.pull().withdrawn == 1
        assert key not in subscriber.entries()

    def test_a_pull_goes_on_from_the_latest_time_that_it_was_told(
        self, new: Callable[[], Subscriber], exchange: ThreatExchangeMock
    ) -> None:
        subscriber = new()
        subscriber.pull()
        exchange.asked.clear()
        subscriber.pull()
        (asked,) = exchange.asked
        assert asked.query["start_time"] == "1767225639"  # of the last of 40 updates, a second each from 2026-01-01 on
        assert "after" not in asked.query

    def test_a_source_whose_clock_is_ahead_makes_us_miss_nothing(
        self, new: Callable[[], Subscriber], given: Given, exchange: ThreatExchangeMock
    ) -> None:
        subscriber = new()
        key = exchange.put("HASH_MD5", MD5)
        exchange.edit(key, time_s=int(given.clock.now) + 5 * DAY_S)
        subscriber.pull()
        given.clock.now += 60
        exchange.timeline.put(exchange.timeline.get(key)._replace(time_s=0))  # type: ignore[union-attr] # no longer last
        other = exchange.put("HASH_PDQ", PDQ)
        subscriber.pull()
        assert other in subscriber.entries()

    def test_only_the_types_that_the_operator_names_are_asked_for(self, given: Given) -> None:
        with contextlib.closing(given.connector(types="HASH_PDQ,HASH_SHA1")) as connector:
            found = [record.entry for page in connector.pull(None) for record in page.records]
        assert {name for entry in found if entry for name in entry.fingerprints} == {"pdq", "sha1"}
        assert given.mock.asked[0].query["types"] == "HASH_PDQ,HASH_SHA1"

    # --- the token ---------------------------------------------------------------------------------------------------

    def test_no_log_holds_the_token(self, given: Given, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        with contextlib.closing(given.connector()) as connector:
            pages = list(connector.pull(None))
            connector.check()
        assert len(pages) == 4
        assert "|" in TOKEN
        for text in (TOKEN, TOKEN.partition("|")[2]):
            assert text not in caplog.text

    @pytest.mark.parametrize(
        "link",
        [
            "http://127.0.0.1/v21.0/1/threat_updates?access_token=x",
            f"http://127.0.0.1/?after={TOKEN}",
            "http://[",
            17,
        ],
    )
    def test_a_next_page_without_a_cursor_of_its_own_is_no_page(
        self, given: Given, exchange: ThreatExchangeMock, monkeypatch: pytest.MonkeyPatch, link: object
    ) -> None:
        monkeypatch.setattr(exchange, "answer", lambda asked: json_reply({"data": [], "paging": {"next": link}}))
        pages: list[Page] = []
        error = self.refusal(given.connector(), lambda connector: pages.extend(connector.pull(None)))  # type: ignore[attr-defined]
        assert isinstance(error, SourceBroken)
        assert not pages
        assert len(exchange.asked) == 1

    def test_the_next_page_is_asked_for_at_our_address_wherever_its_link_leads(
        self, given: Given, exchange: ThreatExchangeMock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer = exchange.answer

        def elsewhere(asked: Asked) -> Reply:
            reply = answer(asked)
            return Reply(reply.status, reply.body.replace(b"http://127.0.0.1", b"https://198.51.100.7"))

        monkeypatch.setattr(exchange, "answer", elsewhere)
        with contextlib.closing(given.connector()) as connector:
            assert sum(len(page.records) for page in connector.pull(None)) == 40

    def test_a_source_without_data_never_empties_the_list(
        self, new: Callable[[], Subscriber], given: Given, exchange: ThreatExchangeMock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        subscriber = new()
        subscriber.pull()
        before = subscriber.entries()
        given.clock.now += 86 * DAY_S
        monkeypatch.setattr(exchange, "answer", lambda asked: json_reply({}))
        with pytest.raises(SourceBroken):
            subscriber.pull()
        assert subscriber.entries() == before

    # --- what its errors mean ----------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("status", "code", "means"),
        [
            (400, 190, CredentialsRefused),
            (400, 10, CredentialsRefused),
            (403, 200, CredentialsRefused),
            (400, 4, SourceUnavailable),
            (403, 4, SourceUnavailable),
            (400, 2, SourceUnavailable),
            (400, 100, SourceBroken),
            (400, ["of no kind"], SourceBroken),
        ],
    )
    def test_the_codes_of_its_errors_are_understood(
        self,
        given: Given,
        exchange: ThreatExchangeMock,
        monkeypatch: pytest.MonkeyPatch,
        status: int,
        code: object,
        means: type[ExchangeError],
    ) -> None:
        fault = {"error": {"message": f"with {TOKEN}", "code": code}}
        monkeypatch.setattr(exchange, "answer", lambda asked: json_reply(fault, status))
        error = self.refusal(given.connector(), self.ask)
        assert type(error) is means
        assert bool(given.clock.slept) is (means is SourceUnavailable)

    def test_a_check_names_the_group_and_what_it_lacks(
        self, given: Given, exchange: ThreatExchangeMock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with contextlib.closing(given.connector()) as connector:
            assert connector.check().identity == f"privacy group {GROUP} Example Group"
            lacking = {"id": GROUP, "members_can_use": False, "threat_updates_enabled": False}
            monkeypatch.setattr(exchange, "answer", lambda asked: json_reply(lacking))
            notes = connector.check().notes
        assert "not enabled" in notes[0]
        assert "may not share" in notes[1]

    @pytest.mark.parametrize("group", ["", "1/2", "abc"])
    def test_a_privacy_group_is_a_number(self, group: str) -> None:
        with pytest.raises(ValidationError):
            ThreatExchangeOptions(privacy_group=group)

    # --- sending -----------------------------------------------------------------------------------------------------

    def test_opinions_are_reactions_on_what_others_said(self, given: Given, exchange: ThreatExchangeMock) -> None:
        key = exchange.put("HASH_PDQ", PDQ)
        two = [{"id": "901", "owner": {"id": OTHER_APP}}, {"id": "902", "owner": {"id": APP}}]
        exchange.edit(key, descriptors={"data": [*two, {"id": "903", "owner": {"id": OTHER_APP}}]})
        acts = [
            Outgoing(Act.AFFIRM, key=key),
            Outgoing(Act.DISPUTE, key=key),
            Outgoing(Act.AFFIRM, key=key, reasons=("IN_REVIEW",)),
        ]
        with contextlib.closing(given.connector()) as connector:
            sent = connector.send(acts)
        assert [(one.remote_id, one.error) for one in sent] == [("901,903", None)] * 3
        assert exchange.reactions == [
            ("901", "HELPFUL,SAW_THIS_TOO"), ("903", "HELPFUL,SAW_THIS_TOO"),
            ("901", "DISAGREE_WITH_TAGS"), ("903", "DISAGREE_WITH_TAGS"),
            ("901", "IN_REVIEW"), ("903", "IN_REVIEW"),
        ]  # fmt: skip

    def test_opinions_that_cannot_be_sent_say_why(self, given: Given, exchange: ThreatExchangeMock) -> None:
        ours = exchange.put("HASH_PDQ", PDQ, owner={"id": APP})
        acts = [
            Outgoing(Act.AFFIRM, key=ours),
            Outgoing(Act.AFFIRM, key=ours, reasons=("ADMIRED",)),
            Outgoing(Act.DISPUTE, key="1/../2"),
            Outgoing(Act.DISPUTE, key="12345"),
        ]
        with contextlib.closing(given.connector()) as connector:
            sent = connector.send(acts)
        assert [type(one.error) for one in sent] == [ActNotOffered, InputError, InputError, SourceBroken]
        assert not exchange.reactions

    def test_a_submission_is_for_the_privacy_group_and_can_be_withdrawn(
        self, given: Given, exchange: ThreatExchangeMock
    ) -> None:
        prints = {"pdq": bytes.fromhex(PDQ), "md5": bytes.fromhex(MD5)}
        with contextlib.closing(given.connector(tags="example")) as connector:
            (sent,) = connector.send([Outgoing(Act.SUBMIT, entry=Entry(Kind.ILLEGAL, prints, tlp=Tlp.GREEN))])
            assert sent.error is None
            assert list(exchange.submitted) == sent.remote_id.split(",")
            assert list(exchange.submitted.values()) == [
                {
                    "indicator": value, "type": of_type, "status": "MALICIOUS", "description": "hash of a file",
                    "privacy_type": "HAS_PRIVACY_GROUP", "privacy_members": GROUP, "share_level": "AMBER",
                    "tags": "example",
                }
                for of_type, value in (("HASH_PDQ", PDQ), ("HASH_MD5", MD5))
            ]  # fmt: skip
            (gone,) = connector.send([Outgoing(Act.WITHDRAW, key=sent.remote_id)])
        assert (gone.error, exchange.submitted) == (None, {})

    @pytest.mark.parametrize(
        ("kind", "tlp", "status", "level"),
        [
            (Kind.EXPLOITATIVE, Tlp.RED, "MALICIOUS", "RED"),
            (Kind.OTHER, Tlp.AMBER_STRICT, "SUSPICIOUS", "AMBER"),
            (Kind.BENIGN, Tlp.CLEAR, "NON_MALICIOUS", "AMBER"),
        ],
    )
    def test_a_submission_says_what_its_entry_says(
        self, given: Given, exchange: ThreatExchangeMock, kind: Kind, tlp: Tlp, status: str, level: str
    ) -> None:
        entry = Entry(kind, {"md5": bytes.fromhex(MD5)}, tlp=tlp)
        with contextlib.closing(given.connector()) as connector:
            connector.send([Outgoing(Act.SUBMIT, entry=entry)])
        (form,) = exchange.submitted.values()
        assert (form["status"], form["share_level"]) == (status, level)

    def test_an_entry_without_a_hash_that_it_takes_is_not_submitted(self, given: Given) -> None:
        entry = Entry(Kind.OTHER, {"photodna": bytes(144)})
        with contextlib.closing(given.connector()) as connector:
            (sent,) = connector.send([Outgoing(Act.SUBMIT, entry=entry)])
        assert isinstance(sent.error, InputError)
        assert not given.mock.asked

    def test_what_was_done_before_a_failure_is_told(
        self, given: Given, exchange: ThreatExchangeMock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prints = {"pdq": bytes.fromhex(PDQ), "md5": bytes.fromhex(MD5)}
        answer = exchange.answer

        def no_md5(asked: Asked) -> Reply:
            return json_reply({"id": "1", "success": False}) if b"HASH_MD5" in asked.body else answer(asked)

        monkeypatch.setattr(exchange, "answer", no_md5)
        with contextlib.closing(given.connector()) as connector:
            (sent,) = connector.send([Outgoing(Act.SUBMIT, entry=Entry(Kind.OTHER, prints))])
        assert isinstance(sent.error, SourceBroken)
        assert [sent.remote_id] == list(exchange.submitted)
        assert len(exchange.asked) == 2
