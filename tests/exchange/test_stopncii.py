"""StopNCII.org against its stand-in, and its records as its published client describes them."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from tests.contracts.connector import Given, ListConnectorContract, Oddity, Planted, SendContract, Subscriber

from leadline.domain import Entry, Kind
from leadline.errors import ActNotOffered, HashRefused, InputError, ListFormatError, SourceBroken
from leadline.exchange.base import EntryDefaults
from leadline.exchange.connector import Act, Outgoing
from leadline.exchange.mock.base import TOKEN, Mock, Reply, json_reply
from leadline.exchange.mock.stopncii import FEEDBACK_KEY, FETCH_KEY, SUBMIT_KEY, StopNciiMock
from leadline.exchange.stopncii import StopNcii, read_records

DEFAULTS = EntryDefaults(Kind.OTHER, source="rehearsal")
PDQ = "2afc4a5c09628a7961c14d436493bba66b89b831453baa1d556ba385554daa82"  # of the published client's own tests
MD5 = "0f0e0d0c0b0a09080706050403020100"
DAY_S = 86_400


def record(**fields: Any) -> dict[str, Any]:
    return {
        "lastModtimestamp": 1_625_167_804, "signalType": "ImagePDQ", "hashValue": PDQ, "hashStatus": "Received",
        "caseNumbers": {"27664732-76e1-4a17-8099-455798e67022": "Received"}, **fields,
    }  # fmt: skip


class TestStopNcii(ListConnectorContract, SendContract):
    connector = StopNcii
    beside = False
    secrets: ClassVar = {
        "subscription_key": TOKEN, "fetch_key": FETCH_KEY, "submit_key": SUBMIT_KEY, "feedback_key": FEEDBACK_KEY,
    }  # fmt: skip

    def make_mock(self) -> StopNciiMock:
        return StopNciiMock(entries=40)

    def options(self, address: str) -> dict[str, Any]:
        return {"address": f"{address}/v1", "page_size": 10}

    def plant(self, mock: Mock, oddity: Oddity) -> Planted:
        assert isinstance(mock, StopNciiMock)
        value = {Oddity.UNKNOWN: PDQ, Oddity.SHORT_HASH: PDQ[:-1], Oddity.UPPER_CASE: PDQ.upper()}[oddity]
        key = mock.put("ImagePDQ", value, "Escalated" if oddity is Oddity.UNKNOWN else "Active")
        return Planted(key.replace(PDQ.upper(), PDQ), bytes.fromhex(PDQ))

    def acts(self, mock: Mock) -> list[Outgoing]:
        submitted = Outgoing(Act.SUBMIT, entry=Entry(Kind.OTHER, {"pdq": bytes.fromhex(PDQ)}))
        return [Outgoing(Act.AFFIRM, key=f"ImagePDQ:{PDQ}"), submitted, Outgoing(Act.DISPUTE, key=f"VideoMD5:{MD5}")]

    @pytest.mark.parametrize("status", ["Withdrawn", "Deleted"])
    def test_both_ways_of_withdrawing_take_the_hash_away(
        self, new: Callable[[], Subscriber], given: Given, status: str
    ) -> None:
        subscriber = new()
        subscriber.pull()
        key = next(iter(subscriber.entries()))
        assert isinstance(given.mock, StopNciiMock)
        given.mock.set_status(key, status)
        assert subscriber.pull().withdrawn == 1
        assert key not in subscriber.entries()

    def test_a_signal_that_nobody_here_knows_is_kept_until_it_is_withdrawn(
        self, new: Callable[[], Subscriber], given: Given
    ) -> None:
        assert isinstance(given.mock, StopNciiMock)
        key = given.mock.put("VideoTMK", "aB/1+")
        subscriber = new()
        assert subscriber.pull().kept == 1
        assert [(one.key, one.kind, one.value) for one in subscriber.holdings.kept()] == [(key, "VideoTMK", "aB/1+")]
        given.mock.set_status(key, "Withdrawn")
        assert subscriber.pull().withdrawn == 1
        assert not list(subscriber.holdings.kept())

    def test_a_record_replaces_the_earlier_one_of_its_signal_and_hash(
        self, new: Callable[[], Subscriber], given: Given
    ) -> None:
        subscriber = new()
        subscriber.pull()
        key = next(iter(subscriber.entries()))
        assert isinstance(given.mock, StopNciiMock)
        given.mock.set_status(key, "Active")
        outcome = subscriber.pull()
        assert (outcome.changed, outcome.added) == (1, 0)
        assert subscriber.entries()[key].label == "Active"

    def test_after_30_days_the_whole_list_is_told_anew_and_what_is_gone_goes(
        self, new: Callable[[], Subscriber], given: Given
    ) -> None:
        subscriber = new()
        subscriber.pull()
        key = next(iter(subscriber.entries()))
        assert isinstance(given.mock, StopNciiMock)
        given.mock.forget(key)
        given.clock.now += 29 * DAY_S
        assert subscriber.pull().withdrawn == 0
        given.clock.now += 31 * DAY_S
        assert subscriber.pull().withdrawn == 1
        assert key not in subscriber.entries()

    def test_a_pull_goes_on_from_the_time_that_the_source_set(
        self, new: Callable[[], Subscriber], given: Given
    ) -> None:
        subscriber = new()
        subscriber.pull()
        given.mock.asked.clear()
        subscriber.pull()
        assert [(one.query["startTimestamp"], one.query.get("nextPageToken")) for one in given.mock.asked] == [
            ("1767225639", None)  # of the last of 40 records, a second each from 2026-01-01 on
        ]

    def test_a_page_token_is_used_for_an_hour(self, new: Callable[[], Subscriber], given: Given) -> None:
        for later_s, has_token in ((3500, True), (3700, False)):
            subscriber = new()
            with contextlib.suppress(BaseException):
                subscriber.pull(batch_records=1, pages=2)
            given.clock.now += later_s
            given.mock.asked.clear()
            subscriber.pull()
            assert ("nextPageToken" in given.mock.asked[0].query) is has_token

    def test_each_endpoint_gets_its_own_key(self, given: Given) -> None:
        entry = Entry(Kind.OTHER, {"pdq": bytes.fromhex(PDQ)})
        acts = [
            Outgoing(Act.AFFIRM, key=f"ImagePDQ:{PDQ}", reasons=("example",)),
            Outgoing(Act.SUBMIT, entry=entry),
            Outgoing(Act.DISPUTE, key=f"VideoMD5:{MD5}"),
        ]
        with contextlib.closing(given.connector()) as connector:
            sent = connector.send(acts)
        assert [(one.outgoing, one.remote_id, one.error) for one in sent] == [
            (acts[0], f"ImagePDQ:{PDQ}", None),
            (acts[1], f"ImagePDQ:{PDQ}", None),
            (acts[2], f"VideoMD5:{MD5}", None),
        ]
        assert isinstance(given.mock, StopNciiMock)
        assert given.mock.feedback == [
            {"hashValue": PDQ, "feedbackValue": "Blocked", "tags": ["example"]},
            {"hashValue": MD5, "feedbackValue": "NotBlocked", "tags": []},
        ]
        (submitted,) = given.mock.submitted
        assert (submitted["signalType"], submitted["hashValue"]) == ("ImagePDQ", PDQ)
        assert submitted["CSPFeedbacks"] == [{"tags": [], "feedbackValue": "Blocked"}]
        assert len(given.mock.asked) == 2

    def test_acts_that_cannot_be_sent_do_not_stop_the_others(self, given: Given) -> None:
        image = Entry(Kind.OTHER, {"md5": bytes.fromhex(MD5)})
        harmless = Entry(Kind.BENIGN, {"pdq": bytes.fromhex(PDQ)})
        acts = [
            Outgoing(Act.SUBMIT, entry=image),
            Outgoing(Act.SUBMIT, entry=harmless),
            Outgoing(Act.WITHDRAW, key=f"ImagePDQ:{PDQ}"),
            Outgoing(Act.AFFIRM, key="nonsense"),
            Outgoing(Act.SUBMIT, entry=image, algorithm="md5"),
        ]
        with contextlib.closing(given.connector()) as connector:
            sent = connector.send(acts)
        assert [type(one.error) for one in sent] == [InputError, InputError, ActNotOffered, InputError, type(None)]
        assert sent[4].remote_id == f"VideoMD5:{MD5}"

    def test_without_the_key_of_an_endpoint_nothing_goes_there(self, given: Given) -> None:
        few = {"subscription_key": TOKEN, "fetch_key": FETCH_KEY}
        with contextlib.closing(given.connector(few)) as connector:
            assert "no feedback_key" in " ".join(connector.check().notes)
            given.mock.asked.clear()
            (sent,) = connector.send([Outgoing(Act.AFFIRM, key=f"ImagePDQ:{PDQ}")])
        assert isinstance(sent.error, ActNotOffered)
        assert not given.mock.asked

    @pytest.mark.parametrize(
        "answer",
        [
            {},
            {"hashRecords": None, "hasMoreRecords": False, "nextSetTimestamp": 5},
            {"hashRecords": [], "nextSetTimestamp": 5},
            {"hashRecords": [], "hasMoreRecords": True, "nextSetTimestamp": 5, "nextPageToken": None},
        ],
    )
    def test_an_answer_that_is_no_page_never_empties_the_list(
        self, new: Callable[[], Subscriber], given: Given, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
    ) -> None:
        subscriber = new()
        subscriber.pull()
        before = subscriber.entries()
        given.clock.now += 31 * DAY_S
        monkeypatch.setattr(given.mock, "answer", lambda asked: json_reply(answer))
        with pytest.raises(SourceBroken):
            subscriber.pull()
        assert subscriber.entries() == before

    def test_a_token_that_leads_to_its_own_page_ends_the_pull(
        self, given: Given, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        page = {"hashRecords": [], "hasMoreRecords": True, "nextSetTimestamp": 5, "nextPageToken": "same"}
        monkeypatch.setattr(given.mock, "answer", lambda asked: json_reply(page))
        with contextlib.closing(given.connector()) as connector, pytest.raises(SourceBroken):
            list(connector.pull(None))

    def test_a_token_refused_in_the_midst_is_not_taken_for_an_old_one(
        self, given: Given, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        page = {"hashRecords": [], "hasMoreRecords": True, "nextSetTimestamp": 5, "nextPageToken": "next"}
        monkeypatch.setattr(
            given.mock, "answer", lambda asked: Reply(400) if "nextPageToken" in asked.query else json_reply(page)
        )
        with contextlib.closing(given.connector()) as connector, pytest.raises(SourceBroken):
            list(connector.pull(None))
        assert len(given.mock.asked) == 2


def test_a_record_becomes_an_entry_with_what_the_source_said() -> None:
    opinions = [
        {"source": "One", "feedbackValue": "Blocked", "tags": ["Example", "Other"]},
        {"source": "Two", "feedbackValue": "Blocked", "tags": ["Example"]},
        {"source": "Three", "feedbackValue": "NotBlocked", "tags": []},
    ]
    told = read_records([record(hashStatus="Active", CSPFeedbacks=opinions, hashRegions=["EU"])], DEFAULTS, "list")
    (made,) = told.records
    assert made.key == f"ImagePDQ:{PDQ}"
    entry = made.entry
    assert entry is not None
    assert entry.fingerprints == {"pdq": bytes.fromhex(PDQ)}
    assert (entry.scheme, entry.label, entry.source_id) == ("stopncii", "Active", made.key)
    assert entry.last_seen == 1_625_167_804
    metadata = json.loads(entry.metadata)
    assert metadata["record"] == made.digest.hex()
    assert metadata["cases"] == {"Received": 1}
    assert metadata["feedback"] == {"Blocked": 2, "NotBlocked": 1}
    assert metadata["tags"] == ["Example", "Other"]
    assert metadata["regions"] == ["EU"]
    assert "27664732" not in entry.metadata  # the number of a person's case


def test_the_md5_of_a_video_is_an_md5() -> None:
    told = read_records([record(signalType="VideoMD5", hashValue=MD5)], DEFAULTS, "list")
    assert told.records[0].entry is not None
    assert told.records[0].entry.fingerprints == {"md5": bytes.fromhex(MD5)}


def test_signals_without_a_fingerprint_here_are_kept_and_counted() -> None:
    signals = ["VideoTMK", "Text", "URL", "URL", "HologramX"]
    told = read_records([record(signalType=signal, hashValue="aB/1") for signal in signals], DEFAULTS, "list")
    assert [(one.key, one.entry, one.kept) for one in told.records] == [
        (f"{signal}:aB/1", None, {signal: "aB/1"}) for signal in signals
    ]
    assert not told.faults
    assert told.unknown == {
        "signalType VideoTMK": 1, "signalType Text": 1, "signalType URL": 2, "signalType HologramX": 1,
    }  # fmt: skip


@pytest.mark.parametrize("status", ["Withdrawn", "Deleted"])
def test_a_withdrawn_signal_without_a_fingerprint_here_is_withdrawn(status: str) -> None:
    (before, now) = read_records(
        [record(signalType="Text", hashValue="aB"), record(signalType="Text", hashValue="aB", hashStatus=status)],
        DEFAULTS, "list",
    ).records  # fmt: skip
    assert (now.key, now.entry, now.kept) == (before.key, None, None)


def test_of_a_long_signal_the_beginning_is_kept_under_the_name_of_the_whole() -> None:
    texts = ["a" * 5000, "a" * 4999 + "b"]
    told = read_records([record(signalType="VideoTMK", hashValue=text) for text in texts], DEFAULTS, "list")
    assert [one.key for one in told.records] == [
        f"VideoTMK:sha256={hashlib.sha256(text.encode()).hexdigest()}" for text in texts
    ]
    assert [one.kept for one in told.records] == [{"VideoTMK": "a" * 4096}] * 2


def test_words_nobody_here_knows_are_kept_and_counted() -> None:
    odd = record(hashStatus="Escalated", CSPFeedbacks=[{"feedbackValue": "Mislaid", "tags": [], "source": "One"}])
    told = read_records([odd, record(CSPFeedbacks=[{"feedbackValue": "Undefined"}])], DEFAULTS, "list")
    assert [one.entry and one.entry.label for one in told.records] == ["Escalated", "Received"]
    assert told.unknown == {"hashStatus Escalated": 1, "feedbackValue Mislaid": 1}


@pytest.mark.parametrize(
    ("odd", "fault"),
    [
        ("no object", ListFormatError),
        (record(hashValue=""), ListFormatError),
        (record(hashValue=PDQ[:-1]), ListFormatError),
        (record(hashValue="g" + PDQ[1:]), ListFormatError),
        (record(hashValue=17), ListFormatError),
        (record(hashValue="a" * 2000), ListFormatError),
    ],
)
def test_a_record_that_cannot_be_read_is_a_fault_and_the_rest_goes_on(odd: object, fault: type) -> None:
    told = read_records([odd, record()], DEFAULTS, "list")
    (error,) = told.faults
    assert type(error) is fault
    assert not isinstance(error, HashRefused)
    assert error.where.startswith("list: record 1 of a page")
    assert error.mend
    assert PDQ[1:30] not in str(error)
    assert len(told.records) == 1


def test_a_hash_that_is_withdrawn_in_capital_letters_is_the_same_hash() -> None:
    told, gone = read_records([record(), record(hashStatus="Withdrawn", hashValue=PDQ.upper())], DEFAULTS, "l").records
    assert (gone.key, gone.entry) == (told.key, None)


@pytest.mark.parametrize("status", ["Withdrawn", "Deleted", "withdrawn"])
def test_a_withdrawn_hash_is_told_as_gone_whatever_else_is_wrong_with_it(status: str) -> None:
    (made,) = read_records([record(hashStatus=status, hashValue=PDQ[:-1])], DEFAULTS, "list").records
    assert (made.key, made.entry) == (f"ImagePDQ:{PDQ[:-1]}", None)


def test_a_long_record_still_names_its_digest() -> None:
    tags = [f"{number:02}" + "\U0001f600" * 60 for number in range(40)]
    long = record(CSPFeedbacks=[{"feedbackValue": tag, "tags": tags} for tag in tags])
    (made,) = read_records([long], DEFAULTS, "list").records
    assert made.entry is not None
    assert json.loads(made.entry.metadata)["record"] == made.digest.hex()
    assert len(made.entry.metadata.encode()) <= 4096
