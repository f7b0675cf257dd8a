"""Updates of ThreatExchange, hand-written after Meta's own pages, read into records."""

from __future__ import annotations

import json
from typing import Any

import pytest

from leadline.domain import Entry, Kind, Tlp
from leadline.exchange.base import EntryDefaults
from leadline.exchange.telling import Told
from leadline.exchange.threatexchange_record import read_updates

DEFAULTS = EntryDefaults(Kind.ILLEGAL, source="rehearsal", tlp=Tlp.GREEN)
PDQ = "064bc5ede01712654843fe46b16de93956fae0153baba5d47ac31ef8a5905ec0"


def descriptor(**fields: Any) -> dict[str, Any]:
    return {"id": "777900478994849", "owner": {"id": "682796275165036"}, "status": "MALICIOUS", **fields}


def update(*descriptors: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "id": "123456", "indicator": PDQ, "type": "HASH_PDQ", "creation_time": 1_581_977_111,
        "last_updated": 1_582_372_222, "should_delete": False,
        "descriptors": {"data": list(descriptors or [descriptor()])}, **fields,
    }  # fmt: skip


def read(*updates: object) -> Told:
    return read_updates(updates, DEFAULTS, "group", token="", next_s=0)


def entry_of(*descriptors: dict[str, Any]) -> Entry:
    (record,) = read(update(*descriptors)).records
    assert record.entry is not None
    return record.entry


def test_an_update_becomes_an_entry_under_its_indicators_id() -> None:
    told = read(update())
    (record,) = told.records
    assert record.key == "123456"
    assert record.entry is not None
    assert record.entry.fingerprints == {"pdq": bytes.fromhex(PDQ)}
    assert (record.entry.scheme, record.entry.label) == ("threatexchange", "MALICIOUS")
    assert (record.entry.first_seen, record.entry.last_seen) == (1_581_977_111, 1_582_372_222)
    assert json.loads(record.entry.metadata)["record"] == record.digest.hex()
    assert told.next_s == 1_582_372_222


def test_the_latest_time_is_where_the_next_pull_begins_whatever_the_order() -> None:
    told = read(update(last_updated=30), update(last_updated="50"), update(last_updated=40), update(last_updated=None))
    assert told.next_s == 50


@pytest.mark.parametrize(
    ("of_type", "algorithm", "length"),
    [
        ("HASH_MD5", "md5", 32),
        ("HASH_VIDEO_MD5", "md5", 32),
        ("HASH_SHA1", "sha1", 40),
        ("HASH_SHA256", "sha256", 64),
        ("HASH_VIDEO_SHA256", "sha256", 64),
    ],
)
def test_each_type_of_hash_has_its_fingerprint(of_type: str, algorithm: str, length: int) -> None:
    (record,) = read(update(type=of_type, indicator="ab" * (length // 2))).records
    assert record.entry is not None
    assert record.entry.fingerprints == {algorithm: b"\xab" * (length // 2)}


def test_types_without_a_fingerprint_here_are_kept_and_counted() -> None:
    types = ["HASH_TMK", "URI", "URI", "NEW_TYPE"]
    told = read(*(update(type=name, indicator=f"{name} 1") for name in types))
    assert [(one.entry, one.kept) for one in told.records] == [(None, {name: f"{name} 1"}) for name in types]
    assert not told.faults
    assert told.unknown == {"type HASH_TMK": 1, "type URI": 2, "type NEW_TYPE": 1}


@pytest.mark.parametrize(
    "fields",
    [
        {"should_delete": True},
        {"should_delete": True, "type": "URI"},
        {"should_delete": "true"},
        {"should_delete": True, "indicator": PDQ[:-1]},
        {"descriptors": {"data": []}},
        {"descriptors": None},
    ],
)
def test_a_deletion_is_told_as_gone_whatever_else_it_holds(fields: dict[str, Any]) -> None:
    (record,) = read(update(**fields)).records
    assert (record.key, record.entry) == ("123456", None)


@pytest.mark.parametrize(
    ("statuses", "label", "kind"),
    [
        (["NON_MALICIOUS", "MALICIOUS"], "MALICIOUS", Kind.ILLEGAL),
        (["UNKNOWN", "SUSPICIOUS"], "SUSPICIOUS", Kind.OTHER),
        (["NON_MALICIOUS"], "NON_MALICIOUS", Kind.OTHER),
        (["UNKNOWN"], "UNKNOWN", Kind.OTHER),
        (["RECONSIDERED"], "RECONSIDERED", Kind.OTHER),
    ],
)
def test_the_gravest_status_is_the_label_and_only_a_harmful_one_has_the_lists_kind(
    statuses: list[str], label: str, kind: Kind
) -> None:
    entry = entry_of(*(descriptor(status=status) for status in statuses))
    assert (entry.label, entry.kind) == (label, kind)


@pytest.mark.parametrize(
    ("levels", "tlp"),
    [
        ([None], Tlp.GREEN),
        (["WHITE"], Tlp.CLEAR),
        (["WHITE", "AMBER"], Tlp.AMBER_STRICT),
        (["AMBER", "RED", "GREEN"], Tlp.RED),
        (["PUCE"], Tlp.RED),
        (["PUCE", "WHITE"], Tlp.RED),
    ],
)
def test_the_strictest_share_level_holds(levels: list[str | None], tlp: Tlp) -> None:
    assert entry_of(*(descriptor(share_level=level) for level in levels)).tlp is tlp


def test_opinions_reactions_and_tags_are_counted_without_their_members() -> None:
    entry = entry_of(
        descriptor(
            tags={"data": [{"id": "1", "text": "example"}]},
            reactions=[{"key": "HELPFUL", "value": "11,12"}, {"key": "DISAGREE_WITH_TAGS", "value": "13"}],
        ),
        descriptor(id="2", status="NON_MALICIOUS", tags=["other"], reactions=[{"key": "HELPFUL", "value": "14"}]),
    )
    metadata = json.loads(entry.metadata)
    assert metadata["opinions"] == {"MALICIOUS": 1, "NON_MALICIOUS": 1}
    assert metadata["reactions"] == {"HELPFUL": 3, "DISAGREE_WITH_TAGS": 1}
    assert metadata["tags"] == ["example", "other"]
    assert metadata["descriptors"] == ["777900478994849", "2"]


def test_words_nobody_here_knows_are_kept_and_counted() -> None:
    odd = descriptor(status="RECONSIDERED", share_level="PUCE", reactions=[{"key": "ADMIRED", "value": "11,12"}])
    told = read(update(odd))
    assert told.unknown == {"status RECONSIDERED": 1, "share_level PUCE": 1, "reaction ADMIRED": 2}
    assert len(told.records) == 1


@pytest.mark.parametrize(
    ("odd", "place"),
    [
        ("no object", "group: update 1 of a page"),
        (update(id=None), "group: update 1 of a page"),
        (update(indicator=PDQ[:-1]), "group: indicator 123456"),
        (update(indicator=None), "group: indicator 123456"),
        (update(indicator={"indicator": PDQ}), "group: indicator 123456"),
    ],
)
def test_an_update_that_cannot_be_read_is_a_fault_and_the_rest_goes_on(odd: object, place: str) -> None:
    told = read(odd, update())
    (fault,) = told.faults
    assert fault.where == place
    assert fault.mend
    assert PDQ[:20] not in str(fault)
    assert len(told.records) == 1


@pytest.mark.parametrize("odd", [None, 5, [], "x", {"data": 5}, [None], {"data": [5, None, "x"]}])
def test_parts_of_another_shape_say_nothing(odd: object) -> None:
    entry = entry_of(descriptor(tags=odd, reactions=odd, share_level=odd, owner=odd))
    assert entry.label == "MALICIOUS"


def test_a_long_update_still_names_its_digest() -> None:
    many = [
        descriptor(
            id=str(number), status=f"{number}" + "\U0001f600" * 90, tags=[f"{number}" + "\U0001f600" * 90],
            reactions=[{"key": f"{number}" + "\U0001f600" * 90, "value": "1"}],
        )
        for number in range(40)
    ]  # fmt: skip
    entry = entry_of(*many)
    assert len(bytes.fromhex(json.loads(entry.metadata)["record"])) == 32
    assert len(entry.metadata.encode()) <= 4096
