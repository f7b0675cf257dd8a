"""VICS-shaped cases: what the file says of a case, its records in both roots, and the way out."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest

from leadline.errors import ConfigError, HashesUnknown, ListFormatError
from leadline.exchange.vics import VicsMedia
from leadline.exchange.vics_case import (
    MAX_CASES,
    CaseHead,
    CaseLabel,
    CaseMedia,
    encode_case,
    identity_of,
    read_heads,
    read_media,
)

MD5 = "a1" * 16
CONTEXT = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Cases"


def stream(document: Any) -> io.BytesIO:
    return io.BytesIO(("\ufeff" + json.dumps(document)).encode())


def heads(document: Any) -> list[CaseHead]:
    return read_heads(stream(document), where="file")


def media(document: Any, **more: Any) -> list[CaseMedia]:
    return list(read_media(stream(document), where="file", **more))


def test_a_case_is_read_whether_its_fields_come_before_its_media_or_after() -> None:
    records = [{"MediaID": 1, "MD5": MD5, "Category": 3}]
    properties = [{"CaseID": "x", "PropertyName": "p", "PropertyValue": "v"}, {"PropertyName": ""}, 7]
    before = {"CaseID": "x", "CaseNumber": 7, "CaseMetadata": properties, "Media": records}
    after = {"Media": records, "CaseNumber": 7, "CaseMetadata": properties, "CaseID": "x"}
    for case in (before, after):
        document = {"@odata.context": CONTEXT, "value": [case, {"CaseID": "y"}, {"CaseID": "z", "Media": records}]}
        first, second, third = heads(document)
        assert (first.place, first.fields, first.properties) == (0, {"CaseID": "x", "CaseNumber": "7"}, (("p", "v"),))
        assert (second.place, second.fields, third.fields) == (1, {"CaseID": "y"}, {"CaseID": "z"})
        assert [(one.place, one.number, one.record) for one in media(document)] == [(0, 1, "id:1"), (2, 1, "id:1")]


def test_a_bare_list_of_media_is_one_case_without_fields() -> None:
    document = {"value": [{"MD5": MD5}, {"MediaID": 5, "MD5": MD5}]}
    assert heads(document) == [CaseHead(0)]
    for empty in ({"value": []}, {"other": [{"MD5": MD5}]}):
        assert heads(empty) == media(empty) == []
    assert [(one.place, one.record) for one in media(document)] == [(0, "at:1"), (0, "id:5")]


def test_a_label_has_its_scheme_and_each_is_there_once_with_its_version() -> None:
    beside = [
        {"PropertyName": "LeadlineLabels", "PropertyValue": json.dumps([
            ["assessed", "vics:US", "current", "3"], ["imported", "uk", "2014-04-01", "A"], ["wrong"], 7,
        ])},
        {"PropertyName": "LeadlineScheme", "PropertyValue": "sap"},
        {"PropertyName": "LeadlineLabel", "PropertyValue": "level-1"},
    ]  # fmt: skip
    record = {"MD5": MD5, "Category": 3, "MediaMetadata": beside}
    (one,) = media({"@odata.context": CONTEXT, "value": [{"Media": [record]}]})
    assert one.labels == (
        CaseLabel("sap", "", "level-1"), CaseLabel("vics:US", "current", "3"), CaseLabel("uk", "2014-04-01", "A"),
    )  # fmt: skip
    plain = {"MD5": MD5, "Category": 0}
    assert media({"value": [plain]})[0].labels == (CaseLabel("vics:unspecified", "", "0"),)
    assert media({"value": [plain]}, scheme="vics:US-DHS")[0].labels == (CaseLabel("vics:US-DHS", "", "0"),)
    said = [
        {"PropertyName": f"Leadline{of}", "PropertyValue": value}
        for of, value in (("Scheme", "vics:US"), ("Label", "0"))
    ]
    assert media({"value": [plain | {"MediaMetadata": said}]})[0].labels == (CaseLabel("vics:US", "", "0"),)


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"RelativeFilePath": "a\\b.png", "MediaFiles": [{"FileName": "c"}]}, ("a\\b.png",)),
        ({"MediaFiles": [{"FilePath": "../x", "FileName": "c"}, {"FileName": "d"}, 7]}, ("../x/c", "d")),
        ({"RelativeFilePath": "null", "MediaFiles": "wrong"}, ()),
    ],
)
def test_paths_are_given_as_they_came(fields: dict[str, Any], paths: tuple[str, ...]) -> None:
    assert media({"value": [{"MD5": MD5, **fields}]})[0].paths == paths


def test_a_record_that_cannot_be_read_has_its_fault_and_the_rest_goes_on() -> None:
    found = media({"value": [{"MD5": "12"}, "text", {"MD5": MD5}, {"Category": 1}]})
    assert [one.fault is None for one in found] == [False, False, True, False]
    assert [one.number for one in found] == [1, 2, 3, 4]
    fault = found[0].fault
    assert fault is not None
    assert fault.where == "file: case 1, record 1"


def test_hashes_that_nobody_here_knows_are_kept_and_named_and_photodna_is_a_hash() -> None:
    photodna = base64.b64encode(b"\x07" * 144).decode()
    others = [{"HashName": f"h{number}", "HashValue": "7" * 400} for number in range(9)]
    document = {"value": [
        {"MD5": MD5, "PhotoDNA": photodna, "AlternativeHashes": others}, {"PhotoDNA": photodna},
        {"MediaID": 3, "AlternativeHashes": others[:1]},
    ]}  # fmt: skip
    beside, licensed, unread = media(document)
    assert beside.hashes == {"md5": bytes.fromhex(MD5), "photodna": b"\x07" * 144}
    assert beside.facts["fingerprints"] == {name: "7" * 300 for name in (*(f"h{n}" for n in range(8)), "others")}
    assert beside.unknown == (*(f"fingerprint h{number}" for number in range(8)), "fingerprint others")
    assert (licensed.hashes, licensed.fault, licensed.unknown) == ({"photodna": b"\x07" * 144}, None, ())
    assert (unread.record, unread.hashes, unread.unknown) == ("id:3", {}, ("fingerprint h0",))
    assert unread.facts["fingerprints"] == {"h0": "7" * 300}
    assert isinstance(unread.fault, HashesUnknown)
    assert unread.fault.where == "file: case 1, record 3"


def test_a_file_that_breaks_off_gives_what_came_before() -> None:
    whole = json.dumps({"value": [{"Media": [{"MD5": MD5}, {"MD5": MD5}]}]})
    records = read_media(io.BytesIO(whole[:-25].encode()), where="file")
    assert next(records).hashes
    with pytest.raises(ListFormatError, match="breaks off"):
        next(records)


def test_a_hostile_file_is_bounded() -> None:
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    for document in (
        {"value": [{"Media": [{"MD5": MD5, "x": deep}]}]},
        {"value": [{"Media": [{"MD5": MD5, "x": "y" * (17 << 20)}]}]},
        {"value": [{"CaseID": "x"}] * (MAX_CASES + 1)},
    ):
        with pytest.raises(ListFormatError):
            media(document)


def test_a_long_list_costs_no_memory_while_only_heads_are_read() -> None:
    record = {"MD5": MD5, "Comments": "made up " * 100}
    document = {"value": [{"Media": [record] * 25_000, "CaseID": "x"}]}  # more than one record may have
    assert heads(document)[0].fields == {"CaseID": "x"}


def test_what_is_written_is_read_as_it_was() -> None:
    head = CaseHead(0, {"CaseID": "x", "CaseNumber": "N"}, (("p", "v"), ("p", "w")))
    written = [
        VicsMedia(media_id=4, md5=b"\xa1" * 16, scheme="vics:UK", label="2", flags={"VictimIdentified": True}),
        VicsMedia(media_id=5, md5=b"\xa1" * 16, scheme="sap", label="level-1"),
    ]
    data = b"".join(encode_case(head, written, category_set="UK", total=2, application=("Leadline", "1")))
    (again,) = read_heads(io.BytesIO(data), where="file")
    assert again.properties == head.properties
    assert again.fields["CaseID"] == "x"
    first, second = read_media(io.BytesIO(data), where="file")
    assert (first.labels, second.labels) == ((CaseLabel("vics:UK", "", "2"),), (CaseLabel("sap", "", "level-1"),))
    assert (first.record, first.facts["VictimIdentified"]) == ("id:4", True)
    assert json.loads(data)["value"][0]["TotalMediaFiles"] == 2
    with pytest.raises(ConfigError):
        list(encode_case(head, [], category_set="a/b", total=0, application=("x", "1")))


def test_what_makes_it_the_same_case() -> None:
    by_id = [identity_of(CaseHead(0, {"CaseID": text, "CaseNumber": "N"}), "s") for text in ("{ABC}", "abc")]
    assert by_id[0] == by_id[1]
    by_number = [identity_of(CaseHead(n, {"CaseNumber": "N", "ContactOrganization": "O"}), f"{n}") for n in (0, 1)]
    assert by_number[0] == by_number[1]
    assert len({identity_of(CaseHead(n), digest) for n in (0, 1) for digest in ("s", "t")}) == 4
