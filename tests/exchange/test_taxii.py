"""A TAXII 2.1 server against its stand-in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from tests.contracts.connector import DEFAULTS, Given, Killed, ListConnectorContract, Oddity, Planted, Subscriber

from leadline.domain import Tlp
from leadline.errors import ConfigError, CredentialsRefused, SourceBroken, SourceUnavailable
from leadline.exchange.mock.base import PASSWORD, TOKEN, USER, Asked, Fault, FaultKind, Mock, Reply, json_reply
from leadline.exchange.mock.taxii import COLLECTION, MEDIA_TYPE, TaxiiMock, indicator
from leadline.exchange.taxii import Taxii

SHA256 = "a1" * 32
NAME = "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
HOUR_S = 3600
ADDED_S = 1_790_000_000


class TestTaxii(ListConnectorContract):
    connector = Taxii
    secrets: ClassVar = {"user": USER, "password": PASSWORD}

    def make_mock(self) -> TaxiiMock:
        return TaxiiMock(entries=40)

    def options(self, address: str) -> dict[str, Any]:
        return {"address": f"{address}/api", "collection": COLLECTION, "page_size": 10}

    def plant(self, mock: Mock, oddity: Oddity) -> Planted:
        assert isinstance(mock, TaxiiMock)
        value = {Oddity.UNKNOWN: SHA256, Oddity.SHORT_HASH: SHA256[:-1], Oddity.UPPER_CASE: SHA256.upper()}[oddity]
        more = " OR file:hashes.SSDEEP = '3:abc:def'" if oddity is Oddity.UNKNOWN else ""
        told = indicator(NAME, f"[file:hashes.'SHA-256' = '{value}'{more}]", ADDED_S)
        return Planted(mock.put(told), bytes.fromhex(SHA256))

    def test_a_token_is_as_good_as_a_password(self, given: Given) -> None:
        with contextlib.closing(given.connector({"token": TOKEN})) as connector:
            assert connector.check().identity == "Example collection"
        with contextlib.closing(given.connector({})) as connector, pytest.raises(CredentialsRefused):
            connector.check()
        both = {**self.secrets, "token": TOKEN}
        with contextlib.closing(given.connector(both)) as connector, pytest.raises(ConfigError):
            connector.check()

    def test_without_a_collection_a_check_lists_them_and_nothing_is_pulled(self, given: Given) -> None:
        with contextlib.closing(given.connector(collection="")) as connector:
            assert f"collection {COLLECTION}: Example collection" in connector.check().notes
            with pytest.raises(ConfigError):
                next(connector.pull(None))

    def test_pages_without_next_go_on_by_the_date_of_the_last_one(
        self, new: Callable[[], Subscriber], given: Given
    ) -> None:
        assert isinstance(given.mock, TaxiiMock)
        given.mock.has_next = False
        subscriber = new()
        assert subscriber.pull().added == 40
        assert not any("next" in one.query for one in given.mock.asked)

    def test_a_server_whose_next_names_a_session_loses_nothing_by_a_kill(
        self, new: Callable[[], Subscriber], given: Given
    ) -> None:
        assert isinstance(given.mock, TaxiiMock)
        given.mock.has_sessions = True
        subscriber = new()
        for pages in (1, 2, 3):
            with pytest.raises(Killed):
                subscriber.pull(batch_records=1, pages=pages)
        assert subscriber.pull().is_complete
        assert len(subscriber.entries()) == 40

    def test_a_session_is_not_asked_again_after_a_fault_that_may_have_moved_it_on(
        self, new: Callable[[], Subscriber], given: Given, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert isinstance(given.mock, TaxiiMock)
        given.mock.has_sessions = True
        answer, lost = given.mock.answer, [2]

        def answer_and_lose(asked: Asked) -> Reply:
            """Worked on, and not told."""
            reply = answer(asked)
            lost[0] -= 1
            return Reply(500) if lost[0] == 0 else reply

        monkeypatch.setattr(given.mock, "answer", answer_and_lose)
        subscriber = new()
        with pytest.raises(SourceUnavailable):
            subscriber.pull()
        assert subscriber.pull().is_complete
        assert len(subscriber.entries()) == 40

    def test_a_session_that_is_too_busy_is_asked_again(self, new: Callable[[], Subscriber], given: Given) -> None:
        assert isinstance(given.mock, TaxiiMock)
        given.mock.has_sessions = True
        given.mock.faults.append(Fault(FaultKind.TOO_MANY, after=1))
        assert new().pull().added == 40

    def test_the_same_page_for_ever_is_a_fault_and_no_loop(self, given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
        body = json_reply({"more": True, "next": "1", "objects": []}).body
        monkeypatch.setattr(given.mock, "answer", lambda asked: Reply(200, body, MEDIA_TYPE))
        with contextlib.closing(given.connector()) as connector, pytest.raises(SourceBroken):
            list(connector.pull(None))

    def test_a_pull_asks_for_what_was_added_since_the_last(self, new: Callable[[], Subscriber], given: Given) -> None:
        subscriber = new()
        subscriber.pull()
        given.mock.asked.clear()
        given.clock.now += 60
        subscriber.pull()
        assert [one.query["added_after"] for one in given.mock.asked] == [
            "2026-01-01T00:00:38.000Z"  # a second before the last of 40, a second each from 2026-01-01 on
        ]

    def test_an_object_that_was_deleted_goes_when_all_is_told_anew(
        self, new: Callable[[], Subscriber], given: Given
    ) -> None:
        subscriber = new()
        subscriber.pull()
        assert isinstance(given.mock, TaxiiMock)
        key = next(iter(subscriber.entries()))
        given.mock.delete(key)
        given.clock.now += 23 * HOUR_S
        assert subscriber.pull().withdrawn == 0
        given.clock.now += 2 * HOUR_S
        assert subscriber.pull().withdrawn == 1
        assert key not in subscriber.entries()

    def test_an_entry_has_its_own_marking_and_classification(self, whole: dict[str, Any]) -> None:
        entry = next(iter(whole.values()))
        assert entry.tlp is Tlp.GREEN
        assert entry.tlp is not DEFAULTS.tlp
        assert (entry.scheme, entry.label[:6]) == ("example", "class-")
        assert sorted(entry.fingerprints) == ["pdq", "sha256"]

    @pytest.mark.parametrize(
        "envelope",
        [
            {"more": True},
            {"more": True, "next": ""},
            {"more": True, "next": "x" * 5000},
            {"more": True, "next": 7},
            {"objects": {"id": 1}},
        ],
    )
    def test_an_envelope_that_leads_nowhere_is_said_to_be_broken(
        self, given: Given, monkeypatch: pytest.MonkeyPatch, envelope: dict[str, Any]
    ) -> None:
        def answer(asked: Asked) -> Reply:
            return Reply(200, json_reply(envelope).body, MEDIA_TYPE)

        monkeypatch.setattr(given.mock, "answer", answer)
        with contextlib.closing(given.connector()) as connector, pytest.raises(SourceBroken):
            list(connector.pull(None))

    def test_an_answer_of_another_version_is_refused(self, given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
        told = Reply(
            200, json_reply({"objects": [], "title": "x"}).body, "application/vnd.oasis.taxii+json; version=2.0"
        )
        monkeypatch.setattr(given.mock, "answer", lambda asked: told)
        for act in (self.ask, Taxii.check):
            error = self.refusal(given.connector(), act)  # type: ignore[arg-type]
            assert isinstance(error, SourceBroken)
            assert "version 2.0" in error.what
            assert "2.1" in error.mend

    def test_an_empty_envelope_is_an_empty_list(self, given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(given.mock, "answer", lambda asked: Reply(200, b"{}", MEDIA_TYPE))
        with contextlib.closing(given.connector()) as connector:
            assert [(page.records, page.is_last) for page in connector.pull(None)] == [([], True)]
