"""A MISP against its stand-in, its events as MISP writes them; what is sent against PyMISP's own template loader."""

from __future__ import annotations

import contextlib
import json
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import pymisp
import pytest
from tests.contracts.connector import FOR_EVER, Given, ListConnectorContract, Oddity, Planted, SendContract, Subscriber

from leadline.domain import Entry, Kind, PdqFamily, Tlp
from leadline.errors import (
    CredentialsRefused,
    ExchangeError,
    HashRefused,
    InputError,
    ListFormatError,
    SourceBroken,
    SourceUnavailable,
)
from leadline.exchange import misp_objects
from leadline.exchange.base import EntryDefaults
from leadline.exchange.connector import Act, Outgoing
from leadline.exchange.misp import Misp
from leadline.exchange.misp_events import EventTold, read_event
from leadline.exchange.misp_tags import read_tags
from leadline.exchange.mock.base import TOKEN, Fault, FaultKind, Mock, Reply
from leadline.exchange.mock.misp import MispMock

DEFAULTS = EntryDefaults(Kind.OTHER, source="rehearsal")
SHA256 = "a1" * 32
MD5 = "0f0e0d0c0b0a09080706050403020100"
PDQ = "2afc4a5c09628a7961c14d436493bba66b89b831453baa1d556ba385554daa82"
HOUR_S = 3600
OBJECT = "f0a5b9d8-6d25-4a5b-8b2f-31f0f4b8e1c2"


class TestMisp(ListConnectorContract, SendContract):
    connector = Misp
    secrets: ClassVar = {"key": TOKEN}
    greetings = 3  # PyMISP's: version, user, types

    def make_mock(self) -> MispMock:
        return MispMock(entries=40)

    def options(self, address: str) -> dict[str, Any]:
        return {"address": address}

    def plant(self, mock: Mock, oddity: Oddity) -> Planted:
        assert isinstance(mock, MispMock)
        value = {Oddity.UNKNOWN: SHA256, Oddity.SHORT_HASH: SHA256[:-1], Oddity.UPPER_CASE: SHA256.upper()}[oddity]
        more = {"shoe-size": "43", "other-fingerprint": "netclean:00ff"} if oddity is Oddity.UNKNOWN else {}
        return Planted(mock.put({"sha256": value, **more}), bytes.fromhex(SHA256))

    def acts(self, mock: Mock) -> list[Outgoing]:
        assert isinstance(mock, MispMock)
        submitted = Outgoing(Act.SUBMIT, entry=Entry(Kind.OTHER, {"md5": bytes.fromhex(MD5)}))
        return [Outgoing(Act.WITHDRAW, key=mock.put({"md5": MD5})), submitted]

    @pytest.mark.parametrize("after", [0, 1])  # at the index, at the first event
    def test_what_goes_wrong_after_the_greeting_is_told_as_what_it_is(self, given: Given, after: int) -> None:
        told: list[tuple[FaultKind, type[ExchangeError], str]] = [
            (FaultKind.CUT, SourceBroken, "cut-short"),
            (FaultKind.MALFORMED, SourceBroken, "source-broken"),
            (FaultKind.REDIRECT, SourceBroken, "redirected"),
            (FaultKind.FORBIDDEN, CredentialsRefused, "credentials-refused"),
            (FaultKind.BROKEN, SourceUnavailable, "remote-status"),
        ]
        for kind, expected, code in told:
            given.mock.faults[:] = [Fault(kind, times=FOR_EVER, after=self.greetings + after)]
            error = self.refusal(given.connector(), self.ask)
            assert (type(error), error.code, error.where) == (expected, code, "far-list")

    @pytest.mark.parametrize(
        "untrusted_body",
        ["[]", '"marker-4711"', '{"version": "marker-4711"}', '{"version": 7}', '{"errors": ["marker-4711"]}', "{}"],
    )
    def test_a_greeting_of_no_misp_is_said_to_be_broken_and_is_not_quoted(
        self, given: Given, untrusted_body: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(given.mock, "answer", lambda asked: Reply(200, untrusted_body.encode()))
        error = self.refusal(given.connector(), self.ask)
        assert isinstance(error, SourceBroken)
        assert "marker-4711" not in str(error) + repr(vars(error))

    def test_pymisp_learns_no_key_and_no_address_and_follows_no_proxy(
        self, given: Given, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        for name in ("https_proxy", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        with contextlib.closing(given.connector()) as connector:
            self.ask(connector)
            assert not caplog.text
            caplog.set_level(logging.DEBUG, "pymisp")
            self.ask(connector)
            (failed,) = connector.send([Outgoing(Act.WITHDRAW, key=OBJECT)])
        assert "/events/index" in caplog.text
        assert failed.error is not None
        for secret in (TOKEN, connector.options.address):
            assert secret not in caplog.text

    def test_only_events_that_changed_are_asked_for_where_the_key_is_told_what_was_deleted(
        self, new: Callable[[], Subscriber], given: Given
    ) -> None:
        assert isinstance(given.mock, MispMock)
        given.mock.is_sync = True
        subscriber = new()
        subscriber.pull()
        given.clock.now += 60
        given.mock.asked.clear()
        given.mock.withdraw(next(iter(subscriber.entries())))
        assert subscriber.pull().withdrawn == 1
        assert len([one for one in given.mock.asked if one.path.startswith("/events/view/")]) in (1, 2)
        given.mock.asked.clear()
        given.clock.now += 60
        given.mock.put({"md5": MD5})
        assert subscriber.pull().added == 1
        assert len([one for one in given.mock.asked if one.path.startswith("/events/view/")]) == 2  # the last one again

    def test_an_event_that_was_deleted_goes_with_the_next_pull(
        self, new: Callable[[], Subscriber], given: Given
    ) -> None:
        subscriber = new()
        subscriber.pull()
        assert isinstance(given.mock, MispMock)
        given.clock.now += 60
        given.mock.delete_event_of(next(iter(subscriber.entries())))
        assert subscriber.pull().withdrawn == 10
        assert len(subscriber.entries()) == 30

    def test_an_event_that_went_while_another_came_goes_within_a_day(
        self, new: Callable[[], Subscriber], given: Given
    ) -> None:
        assert isinstance(given.mock, MispMock)
        given.mock.is_sync = True
        subscriber = new()
        subscriber.pull()
        given.mock.delete_event_of(next(iter(subscriber.entries())))
        given.clock.now += 60
        given.mock.put({"md5": MD5})
        assert subscriber.pull().withdrawn == 0
        given.clock.now += 25 * HOUR_S
        assert subscriber.pull().withdrawn == 10

    def test_the_last_object_of_an_event_takes_its_event_out_of_the_index_and_goes(
        self, new: Callable[[], Subscriber], given: Given
    ) -> None:
        assert isinstance(given.mock, MispMock)
        key = given.mock.put({"md5": MD5})
        subscriber = new()
        subscriber.pull()
        given.clock.now += 60
        given.mock.withdraw(key)
        assert subscriber.pull().withdrawn == 1
        assert key not in subscriber.entries()

    def test_an_event_deleted_between_index_and_view_stops_nothing(
        self, new: Callable[[], Subscriber], given: Given
    ) -> None:
        mock, subscriber = given.mock, new()
        assert isinstance(mock, MispMock)
        with contextlib.closing(given.connector()) as connector:
            pages = connector.pull(None)
            told = [record.key for record in next(pages).records]
            others = [mock._event_of(mock._object_name(number)) or "" for number in range(0, 40, 10)]
            waiting = sorted(set(others) - {mock._event_of(told[0])})
            mock._gone_events.add(waiting[0])
            assert [len(page.records) for page in pages] == [0, 10, 10]
        subscriber.pull()
        assert len(subscriber.entries()) == 30

    def test_tags_that_change_change_the_entries(self, new: Callable[[], Subscriber], given: Given) -> None:
        subscriber = new()
        subscriber.pull()
        key = next(iter(subscriber.entries()))
        assert subscriber.entries()[key].tlp is Tlp.AMBER
        assert isinstance(given.mock, MispMock)
        given.clock.now += 60
        given.mock.tag_event_of(key, ["tlp:green"])
        assert subscriber.pull().changed == 10
        assert subscriber.entries()[key].tlp is Tlp.GREEN

    def test_a_pull_since_a_time_asks_for_what_changed_since_then(self, given: Given) -> None:
        assert isinstance(given.mock, MispMock)
        given.clock.now += 60
        key = given.mock.put({"md5": MD5})
        with contextlib.closing(given.connector()) as connector:
            told = connector.pull(connector.start_at(int(given.clock.now)))
            assert [record.key for page in told for record in page.records] == [key]

    def test_only_events_with_the_tag_are_pulled(self, given: Given) -> None:
        assert isinstance(given.mock, MispMock)
        key = given.mock.put({"md5": MD5}, tags=("tlp:red",))
        with contextlib.closing(given.connector(tag="tlp:red")) as connector:
            assert [record.key for page in connector.pull(None) for record in page.records] == [key]

    def test_file_objects_are_taken_only_when_asked_for(self, given: Given) -> None:
        assert isinstance(given.mock, MispMock)
        key = given.mock.put({"md5": MD5, "filename": "example.bin"}, name="file")
        for with_files in (False, True):
            with contextlib.closing(given.connector(with_files=with_files)) as connector:
                keys = [record.key for page in connector.pull(None) for record in page.records]
                assert (key in keys) is with_files

    def test_a_check_says_whose_key_it_is(self, given: Given) -> None:
        with contextlib.closing(given.connector()) as connector:
            checked = connector.check()
        assert checked.identity == "Example Hotline"
        assert "not told what is deleted" in checked.notes[0]

    def test_what_is_submitted_is_pulled_back_the_same(self, given: Given) -> None:
        entry = Entry(
            Kind.OTHER, {"sha256": bytes.fromhex(SHA256), "pdq": bytes.fromhex(PDQ)}, pdq_family=PdqFamily.A,
            quality=71, scheme="ncmec", label="A1", licence="example terms", tlp=Tlp.GREEN, metadata='{"pap": "green"}',
            first_seen=1_767_225_600, last_seen=1_767_312_000,
        )  # fmt: skip
        strict = Entry(Kind.OTHER, {"md5": bytes.fromhex(MD5)}, tlp=Tlp.RED)
        with contextlib.closing(given.connector()) as connector:
            sent = connector.send([Outgoing(Act.SUBMIT, entry=one) for one in (entry, strict)])
            assert [one.error for one in sent] == [None, None]
            told = {record.key: record.entry for page in connector.pull(None) for record in page.records}
        back = told[sent[0].remote_id]
        assert (back.fingerprints, back.pdq_family, back.quality) == (entry.fingerprints, PdqFamily.A, 71)
        assert (back.scheme, back.label, back.licence) == ("ncmec", "A1", "example terms")
        assert (back.tlp, json.loads(back.metadata)["pap"]) == (Tlp.GREEN, "green")
        assert (back.first_seen, back.last_seen) == (entry.first_seen, entry.last_seen)
        assert told[sent[1].remote_id].tlp is Tlp.RED
        events = [json.loads(one.body) for one in given.mock.asked if one.path == "/events/add"]
        assert [[tag["name"] for tag in event["Tag"]] for event in events] == [
            ["tlp:green", "PAP:GREEN"], ["tlp:red", "PAP:AMBER"],
        ]  # fmt: skip
        assert all((event["published"], event["distribution"]) == (False, "0") for event in events)

    def test_withdrawals_and_sightings_reach_the_object(self, given: Given) -> None:
        assert isinstance(given.mock, MispMock)
        key, other = given.mock.put({"md5": MD5, "sha256": SHA256}), given.mock.put({"md5": MD5})
        with contextlib.closing(given.connector()) as connector:
            acts = [
                Outgoing(Act.AFFIRM, key=key, algorithm="sha256"), Outgoing(Act.DISPUTE, key=key),
                Outgoing(Act.WITHDRAW, key=other), Outgoing(Act.WITHDRAW, key="../admin/users"),
                Outgoing(Act.AFFIRM, key=key, algorithm="pdq"), Outgoing(Act.SUBMIT),
            ]  # fmt: skip
            sent = connector.send(acts)
        assert [one.outgoing for one in sent] == acts
        assert [type(one.error) for one in sent] == [type(None)] * 3 + [InputError] * 3
        assert [kind for _, kind in given.mock.sightings] == ["0", "1"]
        assert given.mock.sightings[0][0] != given.mock.sightings[1][0]
        assert not given.mock.withdraw(other), "it was deleted there"

    @pytest.mark.parametrize("told", [b'{"errors": "no"}', b"[]", b"<p>"])
    def test_an_act_counts_as_done_only_where_a_misp_says_so(
        self, given: Given, told: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer = given.mock.answer
        monkeypatch.setattr(given.mock, "answer", lambda one: answer(one) if one.method == "GET" else Reply(200, told))
        entry = Entry(Kind.OTHER, {"md5": bytes.fromhex(MD5)})
        with contextlib.closing(given.connector()) as connector:
            sent = connector.send([Outgoing(Act.WITHDRAW, key=OBJECT), Outgoing(Act.SUBMIT, entry=entry)])
        assert [(type(one.error), one.remote_id) for one in sent] == [(SourceBroken, "")] * 2

    def test_where_no_misp_is_reached_no_act_is_tried(self, given: Given) -> None:
        given.mock.faults.append(Fault(FaultKind.FORBIDDEN, times=FOR_EVER))
        error = self.refusal(given.connector(), lambda made: made.send([Outgoing(Act.WITHDRAW, key=OBJECT)]))
        assert isinstance(error, CredentialsRefused)

    def test_what_a_misp_refuses_is_the_outcome_of_that_act_alone(self, given: Given) -> None:
        with contextlib.closing(given.connector()) as connector:
            sent = connector.send([Outgoing(Act.WITHDRAW, key=OBJECT)])
        assert isinstance(sent[0].error, SourceBroken)


def read(*attributes: tuple[str, str], tags: tuple[str, ...] = (), **fields: Any) -> EventTold:
    told = [{"object_relation": name, "value": value, "deleted": False} for name, value in attributes]
    one = {"uuid": OBJECT, "name": "media-fingerprint", "deleted": False, "Attribute": told, **fields}
    return read_event({"Object": [one], "Tag": [{"name": tag} for tag in tags]}, DEFAULTS, "rehearsal")


def entry_of(told: EventTold) -> Entry:
    (record,) = told.records
    assert record.entry is not None
    return record.entry


def test_an_object_without_tags_gets_the_defaults() -> None:
    told = read(("md5", MD5), timestamp="1767225600")
    entry = entry_of(told)
    assert (entry.tlp, entry.scheme, entry.label, entry.last_seen) == (Tlp.AMBER_STRICT, "", "", 1_767_225_600)
    assert not told.unknown
    assert not told.faults


def test_a_deleted_object_is_withdrawn_and_so_is_one_whose_hashes_are_deleted() -> None:
    for told in (read(("md5", MD5), deleted=True), read(("md5", MD5), deleted="1"), read()):
        assert [(record.key, record.entry) for record in told.records] == [(OBJECT, None)]
    attributes = [{"object_relation": "md5", "value": MD5, "deleted": True}]
    assert read(Attribute=attributes).records[0].entry is None


def test_a_deleted_attribute_is_no_longer_a_fingerprint() -> None:
    attributes = [
        {"object_relation": "md5", "value": MD5, "deleted": True},
        {"object_relation": "sha256", "value": SHA256, "deleted": False},
    ]
    assert list(entry_of(read(Attribute=attributes)).fingerprints) == ["sha256"]


def test_one_bad_hash_costs_its_object_nothing() -> None:
    told = read(("md5", "xyz"), ("sha256", SHA256))
    assert list(entry_of(told).fingerprints) == ["sha256"]
    assert [type(fault) for fault in told.faults] == [HashRefused]
    assert OBJECT in told.faults[0].where


@pytest.mark.parametrize("fields", [{"uuid": None}, {"uuid": "1"}, {"uuid": 7}])
def test_an_object_without_its_uuid_is_refused_with_its_place(fields: dict[str, Any]) -> None:
    told = read(("md5", MD5), **fields)
    assert not told.records
    assert [(type(fault), fault.where) for fault in told.faults] == [(ListFormatError, "rehearsal: object 1")]


def test_fingerprints_of_other_kinds_are_kept_and_counted() -> None:
    told = read(("md5", MD5), ("other-fingerprint", "photodna:" + "01" * 144), ("other-fingerprint", "example:0102"))
    entry = entry_of(told)
    assert entry.fingerprints["photodna"] == b"\1" * 144
    assert json.loads(entry.metadata)["fingerprints"] == {"example": "0102"}
    assert told.unknown == {"fingerprint example": 1}


def test_an_object_with_unknown_fingerprints_alone_is_kept_and_no_entry() -> None:
    told = read(("other-fingerprint", "example:0102"))
    assert (told.records[0].entry, told.records[0].kept) == (None, {"example": "0102"})
    assert told.unknown["object without a fingerprint known here"] == 1


def test_a_label_without_a_scheme_says_that_it_came_from_misp() -> None:
    entry = entry_of(read(("md5", MD5), ("classification-label", "A1")))
    assert (entry.scheme, entry.label) == ("misp", "A1")


@pytest.mark.parametrize(
    "untrusted_event",
    [{}, {"Object": 7}, {"Object": [7, None, []]}, {"Object": [{"name": ["media-fingerprint"]}]}, {"Tag": "x"}],
)
def test_an_event_of_another_shape_tells_nothing(untrusted_event: dict[str, Any]) -> None:
    told = read_event(untrusted_event, DEFAULTS, "rehearsal")
    assert (told.records, told.faults) == ([], [])


def test_an_object_nested_without_end_is_refused() -> None:
    nested: list[Any] = []
    for _ in range(5_000):
        nested = [nested]
    assert [type(fault) for fault in read(("md5", MD5), comment=nested).faults] == [ListFormatError]


def test_what_a_misp_adds_by_itself_changes_no_record() -> None:
    added = {"Sighting": [{"type": "0"}], "Galaxy": [], "Feed": [7]}
    attributes = [{"object_relation": "md5", "value": MD5, **more} for more in ({}, added)]
    one, other = (read(Attribute=[attribute], **more) for attribute, more in zip(attributes, ({}, added), strict=True))
    assert one.records[0].digest == other.records[0].digest
    changed = read(("md5", "a2" * 16))
    assert changed.records[0].digest != one.records[0].digest


def test_a_deleted_object_that_was_cleared_is_withdrawn() -> None:
    told = read(("comment", "deleted"), name="N/A", deleted=True)
    assert [(record.key, record.entry) for record in told.records] == [(OBJECT, None)]


# --- tags


@pytest.mark.parametrize(
    ("names", "tlp", "pap"),
    [
        ((), None, ""),
        (("tlp:amber+strict", "PAP:AMBER"), Tlp.AMBER_STRICT, "amber"),
        (("TLP:GREEN", "pap:red"), Tlp.GREEN, "red"),
        (("tlp:white", "PAP:WHITE"), Tlp.CLEAR, "clear"),
        (("tlp:green", "tlp:red", "PAP:CLEAR", "PAP:GREEN"), Tlp.RED, "green"),
        (('workflow:state="draft"', "tlp:clear"), Tlp.CLEAR, ""),
    ],
)
def test_of_several_levels_the_strictest_counts(names: tuple[str, ...], tlp: Tlp | None, pap: str) -> None:
    unknown: Counter[str] = Counter()
    said = read_tags(names, unknown)
    assert (said.tlp, said.pap) == (tlp, pap)
    assert not unknown


@pytest.mark.parametrize(
    "name", ["tlp:unclear", "tlp:ex:chr", "tlp:ambre", "for friends only", "house:rule", "", "x" * 500]
)
def test_a_tag_that_nobody_knows_is_unsafe_and_counted(name: str) -> None:
    unknown: Counter[str] = Counter()
    assert read_tags(["tlp:clear", name], unknown).tlp is Tlp.RED
    assert unknown.total() == 1
    assert all(len(word) <= 110 for word in unknown)


def test_a_level_of_pap_that_nobody_knows_is_red() -> None:
    unknown: Counter[str] = Counter()
    assert read_tags(["PAP:BLUE"], unknown).pap == "red"
    assert unknown == {"tag PAP:BLUE": 1}


@pytest.mark.parametrize("topic", ["pornography-child-exploitation", "child-sexual-abuse-material"])
def test_the_old_and_the_new_name_of_a_dark_web_topic_are_one(topic: str) -> None:
    said = read_tags([f'dark-web:topic="{topic}"'], Counter())
    assert (said.scheme, said.label) == ("misp:dark-web", 'topic="child-sexual-abuse-material"')


def test_an_objects_own_classification_goes_before_its_events_tags() -> None:
    attributes = ("md5", MD5), ("classification-scheme", "ncmec"), ("classification-label", "B2")
    entry = entry_of(read(*attributes, tags=("copine-scale:level-3",)))
    assert (entry.scheme, entry.label) == ("ncmec", "B2")
    tagged = entry_of(read(("md5", MD5), tags=("copine-scale:level-3",)))
    assert (tagged.scheme, tagged.label) == ("misp:copine-scale", "level-3")


def test_a_tag_of_an_attribute_counts_for_its_object() -> None:
    attributes = [{"object_relation": "md5", "value": MD5, "Tag": [{"name": "tlp:red"}]}]
    assert entry_of(read(Attribute=attributes, tags=("tlp:green",))).tlp is Tlp.RED


# --- the template


def test_the_template_is_one_by_misps_own_schema() -> None:
    schema = Path(pymisp.__file__).parent / "data" / "misp-objects" / "schema_objects.json"
    template = misp_objects.TEMPLATES / "media-fingerprint" / "definition.json"
    jsonschema.Draft7Validator(json.loads(schema.read_text())).validate(json.loads(template.read_text()))


def test_what_is_made_is_what_pymisp_loads_by_the_template() -> None:
    entry = Entry(
        Kind.OTHER, {"md5": bytes.fromhex(MD5), "pdq": bytes.fromhex(PDQ), "photodna": b"\1" * 144}, quality=80,
        scheme="ncmec", label="A1", source="Example", source_id="7", licence="example terms",
    )  # fmt: skip
    told = json.loads(misp_objects.make_object(entry).to_json())
    loaded = pymisp.MISPObject(
        "media-fingerprint", strict=True, standalone=False, misp_objects_path_custom=misp_objects.TEMPLATES
    )
    loaded.from_dict(**told)
    loaded.to_dict(strict=True)
    values = {one.object_relation: (one.type, one.value, one.to_ids) for one in loaded.attributes}
    assert values == {
        "md5": ("md5", MD5, False), "pdq": ("text", PDQ, False), "pdq-family": ("text", "b", False),
        "pdq-quality": ("text", "80", False), "other-fingerprint": ("text", "photodna:" + "01" * 144, False),
        "source": ("text", "Example", False), "source-id": ("text", "7", False),
        "licence": ("text", "example terms", False), "classification-scheme": ("text", "ncmec", False),
        "classification-label": ("text", "A1", False),
    }  # fmt: skip


def test_pymisp_refuses_an_object_without_a_fingerprint_by_the_template() -> None:
    made = pymisp.MISPObject("media-fingerprint", strict=True, misp_objects_path_custom=misp_objects.TEMPLATES)
    made.add_attribute("source", "Example")
    with pytest.raises(pymisp.InvalidMISPObject):
        made.to_dict(strict=True)


@pytest.mark.parametrize(
    "entry",
    [
        Entry(Kind.OTHER, {}),
        Entry(Kind.OTHER, {"md5": b"\1" * 16}, label="A1"),
        Entry(Kind.BENIGN, {"md5": b"\1" * 16}),
        Entry(Kind.FALSE_POSITIVE, {"md5": b"\1" * 16}),
    ],
)
def test_what_says_too_little_or_would_say_the_opposite_is_not_sent(entry: Entry) -> None:
    with pytest.raises(InputError):
        misp_objects.make_object(entry)


@pytest.mark.parametrize(
    ("metadata", "pap"),
    [("", "amber"), ("{}", "amber"), ('{"pap":"clear"}', "clear"), ('{"pap":"x"}', "red"), ("{", "red")],
)
def test_pap_is_amber_where_nothing_says_and_red_where_it_is_unknown(metadata: str, pap: str) -> None:
    assert misp_objects.pap_of(Entry(Kind.OTHER, {"md5": b"\1" * 16}, metadata=metadata)) == pap
