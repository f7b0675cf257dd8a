"""Bundles of STIX 2.1: hand-written ones read, and written ones against the stix2 library's own parser."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any

import jsonschema
import pytest
import stix2

from leadline.domain import Entry, Kind, PdqFamily, Tlp
from leadline.errors import HashRefused, LeadlineError, ListBroken, ListFormatError
from leadline.exchange import stix
from leadline.exchange.base import EntryDefaults
from leadline.exchange.stix_markings import make_marking
from leadline.exchange.stix_objects import EXTENSION, ObjectsTold, read_objects, read_pattern

DEFAULTS = EntryDefaults(Kind.OTHER, source="rehearsal")
SHA256, PDQ = "a1" * 32, "2afc4a5c09628a7961c14d436493bba66b89b831453baa1d556ba385554daa82"
MD5 = "0f0e0d0c0b0a09080706050403020100"
NAME = "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
FILE = "file--5956efbb-a7b0-566d-a7f9-a202eb05c70f"
MADE_S = 1_795_000_000
STATEMENT = "marking-definition--b4f7d8a5-0c2e-4c74-8e54-3b7c1f0a9d11"
RED_1, RED_2 = "5e57c739-391a-4eb3-b6be-7d15ca92d5ed", "e828b379-4e03-4974-9ac4-e53a884c97c1"


def indicator(**fields: Any) -> dict[str, Any]:
    return {
        "type": "indicator", "spec_version": "2.1", "id": NAME, "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-02T00:00:00.000Z", "pattern": f"[file:hashes.'SHA-256' = '{SHA256}']",
        "pattern_type": "stix", "valid_from": "2026-01-01T00:00:00Z", **fields,
    }  # fmt: skip


def extended(**fields: Any) -> dict[str, Any]:
    return {EXTENSION: {"extension_type": "property-extension", **fields}}


def read(*objects: Any) -> ObjectsTold:
    return read_objects(objects, DEFAULTS, "rehearsal")


def entry_of(*objects: Any) -> Entry:
    told = read(*objects)
    assert not told.faults
    entry = told.records[-1].entry
    assert entry is not None
    return entry


def bundle(*objects: Any) -> bytes:
    return json.dumps({"type": "bundle", "id": "bundle--1", "objects": objects}).encode()


def read_file(untrusted: bytes) -> list[Entry | LeadlineError]:
    return list(stix.read(io.BytesIO(untrusted), where="list", defaults=DEFAULTS))


# --- reading objects


def test_an_indicator_of_a_hash_is_an_entry() -> None:
    entry = entry_of(indicator(indicator_types=["malicious-activity", "benign"], labels=["example"]))
    assert entry.fingerprints == {"sha256": bytes.fromhex(SHA256)}
    assert (entry.source, entry.source_id, entry.tlp) == ("rehearsal", NAME, Tlp.AMBER_STRICT)
    assert (entry.first_seen, entry.last_seen) == (1_767_225_600, 1_767_312_000)
    assert (entry.scheme, entry.label) == ("stix:indicator_types", "malicious-activity,benign")
    assert json.loads(entry.metadata)["labels"] == ["example"]


def test_the_extension_gives_perceptual_hashes_and_a_classification() -> None:
    entry = entry_of(
        indicator(
            indicator_types=["benign"],
            extensions=extended(
                fingerprints=[
                    {"algorithm": "pdq", "value": PDQ, "family": "a", "quality": 77},
                    {"algorithm": "photodna", "value": "01" * 144},
                ],
                classification={"scheme": "ncmec", "label": "A1"},
                source="Example", source_id="7", licence="example terms",
            ),
        )
    )  # fmt: skip
    assert entry.fingerprints == {
        "sha256": bytes.fromhex(SHA256), "pdq": bytes.fromhex(PDQ), "photodna": b"\1" * 144,
    }  # fmt: skip
    assert (entry.pdq_family, entry.quality, entry.licence) == (PdqFamily.A, 77, "example terms")
    assert (entry.scheme, entry.label) == ("ncmec", "A1")
    assert {"source": "Example", "source_id": "7"}.items() <= json.loads(entry.metadata).items()


def test_a_file_is_an_entry() -> None:
    entry = entry_of({"type": "file", "id": FILE, "hashes": {"MD5": MD5.upper(), "SHA-256": SHA256, "PDQ": PDQ}})
    assert entry.fingerprints == {
        "md5": bytes.fromhex(MD5), "sha256": bytes.fromhex(SHA256), "pdq": bytes.fromhex(PDQ),
    }  # fmt: skip
    assert (entry.source_id, entry.scheme, entry.label) == (FILE, "", "")


def test_a_revoked_indicator_is_withdrawn_whatever_else_it_says() -> None:
    told = read(indicator(revoked=True, pattern="["))
    assert [(record.key, record.entry) for record in told.records] == [(NAME, None)]
    assert not told.unknown


def test_the_latest_version_is_the_last() -> None:
    later = indicator(modified="2026-02-01T00:00:00.000Z", revoked=True)
    assert [record.entry is None for record in read(later, indicator()).records] == [False, True]


def test_one_bad_hash_costs_its_object_nothing() -> None:
    told = read({"type": "file", "id": FILE, "hashes": {"MD5": "xyz", "SHA-256": SHA256}})
    assert [type(fault) for fault in told.faults] == [HashRefused]
    assert FILE in told.faults[0].where
    assert told.records[0].entry is not None


def test_an_object_of_several_files_is_refused_with_its_place() -> None:
    told = read(indicator(pattern=f"[file:hashes.MD5 = '{MD5}' OR file:hashes.MD5 = '{'b2' * 16}']"))
    assert not told.records
    assert [(type(fault), NAME in fault.where) for fault in told.faults] == [(ListFormatError, True)]


def test_what_nobody_here_knows_is_counted() -> None:
    told = read(
        {"type": "file", "id": FILE, "hashes": {"MD5": MD5, "SSDEEP": "3:abc:def"}},
        {"type": "x-example"}, {"type": "identity"}, 7, {"type": ["indicator"]},
        indicator(pattern="[ipv4-addr:value = '198.51.100.7']"),
    )  # fmt: skip
    assert told.unknown == {
        "fingerprint SSDEEP": 1, "object of type x-example": 1, "object of type none": 2,
        "pattern of other things than file hashes": 1, "object without a fingerprint known here": 1,
    }  # fmt: skip
    assert [record.entry is None for record in sorted(told.records, key=lambda one: one.key)] == [False, True]


@pytest.mark.parametrize("name", [None, 7, "indicator--1", "file--../../x", f"malware--{NAME[11:]}"])
def test_an_object_without_a_name_of_stix_is_refused(name: object) -> None:
    told = read(indicator(id=name))
    assert [type(fault) for fault in told.faults] == [ListFormatError]


@pytest.mark.parametrize(
    "fields",
    [
        {"extensions": 7}, {"extensions": {EXTENSION: []}}, {"extensions": extended(fingerprints=7)},
        {"extensions": extended(classification="A1")}, {"labels": 7}, {"valid_from": 7}, {"modified": ["x"]},
        {"extensions": extended(classification={"scheme": "", "label": "A1"})},
    ],
)  # fmt: skip
def test_fields_of_another_shape_cost_an_indicator_nothing(fields: dict[str, Any]) -> None:
    entry = entry_of(indicator(**fields))
    assert (list(entry.fingerprints), entry.label) == (["sha256"], "")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (f"[file:hashes.MD5='{MD5}']", [("MD5", MD5)]),
        (f"[ file:hashes.'SHA-1' = 'x' AND file:hashes.md5 = '{MD5}' ]", [("SHA-1", "x"), ("md5", MD5)]),
        (f"[file:hashes.MD5 = '{MD5}'] OR ([file:hashes.PDQ = '{PDQ}'])", [("MD5", MD5), ("PDQ", PDQ)]),
        ("", None), ("[]", None), ("[file:hashes.MD5 != 'x']", None), ("[NOT file:hashes.MD5 = 'x']", None),
        ("[file:hashes.MD5 = 'x'] FOLLOWEDBY [file:hashes.MD5 = 'y']", None), ("[file:name = 'x']", None),
        ("[file:hashes.MD5 = 'x' AND file:size > 3]", None), ("[file:hashes.MD5 MATCHES 'x']", None),
        ("[file:hashes.MD5 = 'x'] WITHIN 5 SECONDS", None), ("[" * 20_001, None),
    ],
)  # fmt: skip
def test_only_patterns_that_say_hashes_and_nothing_else_are_read(
    pattern: str, found: list[tuple[str, str]] | None
) -> None:
    assert read_pattern(pattern) == found


def test_what_a_source_calls_benign_is_never_illegal_by_default() -> None:
    illegal = EntryDefaults(Kind.ILLEGAL)
    told = [read_objects([indicator(**fields)], illegal, "x") for fields in ({}, {"indicator_types": ["benign"]})]
    assert [one.records[0].entry and one.records[0].entry.kind for one in told] == [Kind.ILLEGAL, Kind.OTHER]


def test_an_object_with_unknown_hashes_alone_is_kept_until_it_is_revoked() -> None:
    first = {"type": "file", "id": FILE, "spec_version": "2.1", "hashes": {"SSDEEP": "3:abc:def"}}
    (record,) = read(first).records
    assert (record.entry, record.kept) == (None, {"SSDEEP": "3:abc:def"})
    for versions, kept in (([first], [{"SSDEEP": "3:abc:def"}]), ([first, {**first, "revoked": True}], [])):
        untrusted = io.BytesIO(json.dumps({"type": "bundle", "objects": versions}).encode())
        refused = list(stix.read(untrusted, where="list", defaults=DEFAULTS))
        assert [getattr(one, "kept", None) for one in refused] == kept
        assert [getattr(one, "source_id", None) for one in refused] == [FILE] * len(kept)


def test_a_bundle_of_the_stix2_library_is_read_and_what_nobody_here_knows_is_counted() -> None:
    pattern = f"[file:hashes.'SHA-256' = '{SHA256}' OR file:hashes.SSDEEP = '3:abc:def']"
    made = stix2.Indicator(
        id=NAME, pattern=pattern, pattern_type="stix", valid_from="2026-01-01T00:00:00Z",
        created="2026-01-01T00:00:00Z", modified="2026-01-02T00:00:00Z", indicator_types=["benign"],
        object_marking_refs=[stix2.TLP_GREEN],
    )  # fmt: skip
    beside = stix2.Malware(name="made up", is_family=False)
    untrusted = io.BytesIO(stix2.Bundle(made, beside).serialize().encode())
    (entry,) = stix.read(untrusted, where="list", defaults=DEFAULTS, unknown=(unknown := Counter()))
    assert isinstance(entry, Entry)
    assert (entry.source_id, entry.fingerprints) == (NAME, {"sha256": bytes.fromhex(SHA256)})
    assert (entry.first_seen, entry.last_seen, entry.tlp) == (1_767_225_600, 1_767_312_000, Tlp.GREEN)
    assert (entry.scheme, entry.label) == ("stix:indicator_types", "benign")
    assert json.loads(entry.metadata)["fingerprints"] == {"SSDEEP": "3:abc:def"}
    assert unknown == {"fingerprint SSDEEP": 1, "object of type malware": 1}


# --- markings


@pytest.mark.parametrize(
    ("names", "tlp"),
    [
        (["613f2e26-407d-48c7-9eca-b8e91df99dc9"], Tlp.CLEAR),
        (["34098fce-860f-48ae-8e50-ebd3cc5e41da"], Tlp.GREEN),
        (["f88d31f6-486f-44da-b317-01333bde0b82"], Tlp.AMBER),
        ([RED_1], Tlp.RED),
        (["94868c89-83c2-464b-929b-a1a8aa3c8487"], Tlp.CLEAR),
        (["bab4a63c-aed9-4cf5-a766-dfca5abac2bb"], Tlp.GREEN),
        (["55d920b0-5e8b-4f79-9ee9-91f868d9b421"], Tlp.AMBER),
        (["939a9414-2ddd-4d32-a0cd-375ea402b003"], Tlp.AMBER_STRICT),
        ([RED_2], Tlp.RED),
        (["34098fce-860f-48ae-8e50-ebd3cc5e41da", "f88d31f6-486f-44da-b317-01333bde0b82"], Tlp.AMBER),
    ],
)
def test_markings_of_both_versions_are_known_and_the_strictest_counts(names: list[str], tlp: Tlp) -> None:
    told = read(indicator(object_marking_refs=[f"marking-definition--{name}" for name in names]))
    assert told.records[0].entry is not None
    assert told.records[0].entry.tlp is tlp
    assert not told.unknown


@pytest.mark.parametrize(
    "fields",
    [
        {"object_marking_refs": [STATEMENT]}, {"object_marking_refs": "x"}, {"object_marking_refs": [7]},
        {"granular_markings": [{"marking_ref": STATEMENT, "selectors": ["name"]}]}, {"granular_markings": 7},
    ],
)  # fmt: skip
def test_a_marking_that_nobody_knows_is_unsafe_and_counted(fields: dict[str, Any]) -> None:
    told = read(indicator(**fields))
    assert told.records[0].entry is not None
    assert told.records[0].entry.tlp is Tlp.RED
    assert told.unknown.total() == 1


def test_a_part_marked_more_strictly_marks_the_whole() -> None:
    parts = [{"marking_ref": f"marking-definition--{RED_1}", "selectors": ["pattern"]}, {"lang": "fr", "selectors": []}]
    told = read(indicator(granular_markings=parts))
    assert told.records[0].entry is not None
    assert told.records[0].entry.tlp is Tlp.RED
    assert not told.unknown


# --- files


def test_a_bundle_is_read_in_order_with_the_latest_version_of_each() -> None:
    other = f"indicator--{'0' * 8}-0000-4000-8000-{'0' * 12}"
    old = indicator(id=other, confidence=80.5)
    new = indicator(id=other, modified="2026-03-01T00:00:00.000Z", labels=["new"])
    gone = indicator(modified="2026-01-03T00:00:00.000Z", revoked=True)
    (entry,) = read_file(bundle(new, old, gone, indicator()))
    assert isinstance(entry, Entry)
    assert (entry.source_id, json.loads(entry.metadata)["labels"]) == (other, ["new"])


def test_faults_of_a_bundle_have_their_place_and_the_rest_goes_on() -> None:
    file = {"type": "file", "id": FILE, "hashes": {"MD5": "xyz", "SHA-256": SHA256}}
    told = read_file(bundle(indicator(pattern="[file:hashes.MD5 = 'xyz']"), indicator(pattern="[x]"), file))
    assert [type(one) for one in told] == [ListFormatError, ListFormatError, Entry, HashRefused]
    places = [one.where for one in told if isinstance(one, LeadlineError)]
    assert [place.split(": object")[0] for place in places] == ["list: record 1", "list: record 2", "list: record 3"]


@pytest.mark.parametrize(
    ("untrusted", "entries"),
    [
        (bundle(indicator(), indicator())[:-20], 1),
        (b"{}", 0),
        (b"", 0),
        (b"\xff\xfe\x00", 0),
        (b'{"objects": [' + b"[" * 100_000, 0),
        (b'{"objects": [{"type": "' + b"a" * (17 << 20), 0),
    ],
)
def test_a_bundle_that_is_none_or_breaks_off_ends_with_a_fault(untrusted: bytes, entries: int) -> None:
    told = read_file(untrusted)
    assert [type(one) for one in told if isinstance(one, LeadlineError)] == [ListBroken]
    assert sum(isinstance(one, Entry) for one in told) == entries


# --- writing

WRITTEN = Entry(
    Kind.ILLEGAL, {"md5": bytes.fromhex(MD5), "sha256": bytes.fromhex(SHA256), "pdq": bytes.fromhex(PDQ)}, id=7,
    pdq_family=PdqFamily.A, quality=64, scheme="ncmec", label="B1", source="Example", source_id="9",
    licence="example terms", tlp=Tlp.GREEN, first_seen=1_767_225_600,
)  # fmt: skip


def written(*entries: Entry, made_s: int = MADE_S, revoked: tuple[Entry, ...] = ()) -> tuple[bytes, int]:
    stream = io.BytesIO()
    left_out = stix.write(entries, stream, made_s=made_s, revoked=revoked)
    return stream.getvalue(), left_out


def indicators(text: bytes) -> list[Any]:
    return [one for one in stix2.parse(text.decode()).objects if one.type == "indicator"]


def test_the_stix2_library_parses_what_is_written() -> None:
    other = Entry(Kind.OTHER, {"photodna": b"\1" * 144, "sha1": b"\2" * 20}, id=8)
    text, _ = written(WRITTEN, other)
    parsed = stix2.parse(text.decode())
    assert parsed.type == "bundle"
    assert sorted(one.type for one in parsed.objects) == [
        "extension-definition", "identity", "indicator", "indicator", "marking-definition", "marking-definition",
    ]  # fmt: skip
    first, second = indicators(text)
    assert first.pattern == (
        f"[file:hashes.MD5 = '{MD5}' OR file:hashes.'SHA-256' = '{SHA256}' OR file:hashes.PDQ = '{PDQ}']"
    )
    assert second.pattern.startswith("[file:hashes.'photodna' = '0101")
    assert {ref for one in (first, second) for ref in one.object_marking_refs} == {
        one.id for one in parsed.objects if one.type == "marking-definition"
    }


def test_extensions_are_as_the_published_schema_says() -> None:
    text, _ = written(WRITTEN, Entry(Kind.OTHER, {"md5": b"\1" * 16}))
    told = json.loads(text)["objects"]
    (definition,) = [one for one in told if one["type"] == "extension-definition"]
    assert definition["id"] == EXTENSION
    schema = json.loads(definition["schema"])
    assert schema == json.loads(stix.SCHEMA.read_text())
    checker = jsonschema.Draft202012Validator(schema)
    found = [one["extensions"][EXTENSION] for one in told if one["type"] == "indicator"]
    assert len(found) == 2
    for extension in found:
        checker.validate(extension)
    assert not checker.is_valid({"extension_type": "property-extension", "classification": {"label": "A1"}})


def test_what_is_written_is_read_back() -> None:
    (entry,) = read_file(written(WRITTEN)[0])
    assert isinstance(entry, Entry)
    assert entry.fingerprints == WRITTEN.fingerprints
    for name in ("pdq_family", "quality", "scheme", "label", "licence", "tlp", "first_seen"):
        assert getattr(entry, name) == getattr(WRITTEN, name), name
    assert {"source": "Example", "source_id": "9"}.items() <= json.loads(entry.metadata).items()


def test_an_entry_keeps_its_name_and_a_withdrawn_one_is_revoked() -> None:
    (first,) = indicators(written(WRITTEN)[0])
    text = written(made_s=MADE_S + 60, revoked=(WRITTEN,))[0]
    (second,) = indicators(text)
    assert (second.id, second.created, second.revoked) == (first.id, first.created, True)
    assert second.modified > first.modified
    assert read_file(text) == []


def test_entries_of_two_banks_never_share_a_name() -> None:
    one, other = (Entry(Kind.OTHER, {"md5": bytes([number]) * 16}, id=1) for number in (1, 2))
    assert len({told.id for told in indicators(written(one, other)[0])}) == 2


def test_suspended_entries_are_left_out() -> None:
    suspended = Entry(Kind.OTHER, {"md5": b"\1" * 16}, disabled_until=MADE_S + 1)
    text, left_out = written(suspended, WRITTEN)
    assert (left_out, len(indicators(text))) == (1, 1)


@pytest.mark.parametrize("kind", list(Kind))
def test_what_is_benign_here_is_called_so(kind: Kind) -> None:
    (told,) = indicators(written(Entry(kind, {"md5": b"\1" * 16}))[0])
    assert ("benign" in told.get("indicator_types", [])) is (kind in (Kind.BENIGN, Kind.FALSE_POSITIVE))


def test_a_label_without_a_scheme_does_not_leave() -> None:
    text, _ = written(Entry(Kind.OTHER, {"md5": b"\1" * 16}, label="A1"))
    assert b"A1" not in text


@pytest.mark.parametrize("tlp", list(Tlp))
def test_markings_of_tlp_2_are_parsed_by_the_stix2_library(tlp: Tlp) -> None:
    parsed = stix2.parse(make_marking(tlp))
    assert parsed.name == f"TLP:{tlp.upper()}"
