"""VICS-shaped JSON and its traps."""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from leadline.domain import Entry, Kind
from leadline.errors import HashRefused, ListBroken, ListFormatError
from leadline.exchange import vics
from leadline.exchange.base import EntryDefaults

MD5 = "A1" * 16
US = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media"
OLD = "http://github.com/ICMEC/ProjectVic/DataModels/1.3.xml#"


def _document(media: list[dict[str, Any]], *, context: str = US, case: bool = False) -> str:
    key = "@odata.context" if "2.0" in context else "odata.metadata"
    cases = [{"CaseID": "x", "CaseMetadata": [{"CaseID": "x", "PropertyName": "p"}], "Media": media}]
    return json.dumps({key: context, "value": cases if case else media})


@pytest.mark.parametrize(
    ("context", "case"),
    [(US, False), (US.replace("#Media", "#Cases"), True), (OLD + "Media", False), (OLD + "Cases", True), (US, True)],
)
def test_it_reads_both_roots_of_all_versions(read_list: Any, context: str, case: bool) -> None:
    media = [{"MediaID": 1, "MD5": MD5}, {"MediaID": 2, "MD5": MD5, "SHA1": "B2" * 20}]
    entries, errors = read_list(vics, _document(media, context=context, case=case))
    assert errors == []
    assert [e.source_id for e in entries] == ["1", "2"]
    assert entries[1].fingerprints == {"md5": b"\xa1" * 16, "sha1": b"\xb2" * 20}


def test_a_category_is_never_a_bare_integer(read_list: Any) -> None:
    record = [{"MediaID": 1, "MD5": MD5, "Category": 0}]
    (named,), _ = read_list(vics, _document(record))
    (old,), _ = read_list(vics, _document(record, context=OLD + "Media"))
    (given,), _ = read_list(vics, _document(record, context=OLD + "Media"), scheme="vics:US-older")
    (none,), _ = read_list(vics, _document([{"MediaID": 1, "MD5": MD5, "Category": None}]))
    assert (named.scheme, named.label) == ("vics:US", "0")
    assert (old.scheme, old.label) == ("vics:unspecified", "0")
    assert (given.scheme, given.label) == ("vics:US-older", "0")
    assert (none.scheme, none.label) == ("", "")


def test_it_reads_flags_times_and_photodna_as_they_come(read_list: Any) -> None:
    photodna = bytes(range(144))
    record = {
        "MediaID": 5, "MD5": MD5.lower(), "VictimIdentified": "true", "IsDistributed": False, "IsSuspected": "maybe",
        "DateUpdated": "/Date(1700000000123)/", "PhotoDNA": base64.b64encode(photodna).decode(), "Series": "s1",
        "MediaSize": 99, "Comments": "seen before", "Miniature": "AAAA", "odata.id": "x",
        "AlternativeHashes": [{"HashName": "SHA-256", "HashValue": "D4" * 32}, {"HashName": "other", "HashValue": "1"}],
    }  # fmt: skip
    (entry,), errors = read_list(vics, "\ufeff" + _document([record]), unknown := Counter())
    assert errors == []
    assert entry.fingerprints["photodna"] == photodna
    assert entry.fingerprints["sha256"] == b"\xd4" * 32
    assert entry.last_seen == 1_700_000_000
    assert entry.note == "seen before"
    assert json.loads(entry.metadata) == {
        "VictimIdentified": True, "IsDistributed": False, "Series": "s1", "MediaSize": 99,
        "fingerprints": {"other": "1"},
    }  # fmt: skip
    assert unknown == {"fingerprint other": 1}


def test_of_hashes_that_nobody_here_knows_a_bounded_part_is_kept(read_list: Any) -> None:
    many = [{"HashName": f"h{number}", "HashValue": "7" * 400} for number in range(20)]
    media = [{"MD5": MD5, "AlternativeHashes": many}, {"AlternativeHashes": many[:1]}]
    (entry,), (refused,) = read_list(vics, _document(media), unknown := Counter())
    kept = json.loads(entry.metadata)["fingerprints"]
    assert list(kept) == [*(f"h{number}" for number in range(8)), "others"]
    assert {len(text) for text in kept.values()} == {300}
    assert (unknown["fingerprint h0"], unknown["fingerprint others"], unknown.total()) == (2, 1, 10)
    assert refused.where == "list: record 2"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2023-11-14T22:13:20", 1_700_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000),
        ("2023-11-15T00:13:20+02:00", 1_700_000_000),
        ("/Date(1700000000000+0200)/", 1_700_000_000),
        ("yesterday", 0),
    ],
)
def test_it_reads_times_with_and_without_offset(read_list: Any, text: str, seconds: int) -> None:
    (entry,), _ = read_list(vics, _document([{"MD5": MD5, "DateUpdated": text}]))
    assert entry.last_seen == seconds


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("a\\b\\c.jpg", "a/b/c.jpg"),
        ("..\\..\\etc\\passwd", "etc/passwd"),
        ("/etc/shadow", "etc/shadow"),
        ("C:\\Users\\x.jpg", "Users/x.jpg"),
        ("C:x.jpg", "x.jpg"),
        ("a/./..../b\x00\x1b[2J", "a/b[2J"),
        ("\\\\server\\share\\x", "server/share/x"),
        ("../..", None),
    ],
)
def test_a_path_that_leads_out_of_its_folder_is_neutralised(read_list: Any, path: str, kept: str | None) -> None:
    (entry,), _ = read_list(vics, _document([{"MD5": MD5, "RelativeFilePath": path}]), unknown := Counter())
    assert (json.loads(entry.metadata) if entry.metadata else {}).get("RelativeFilePath") == kept
    assert unknown == ({"path outside its folder": 1} if path != "a\\b\\c.jpg" else {})


def test_a_bad_record_is_named_and_the_rest_goes_on(read_list: Any) -> None:
    media: list[Any] = [{"MD5": MD5}, {"MD5": "short"}, "text", {"MediaID": 4}, {"MD5": "", "SHA1": "B2" * 20}]
    entries, errors = read_list(vics, _document(media))
    assert len(entries) == 2
    assert [e.where for e in errors] == ["list: record 2", "list: record 3", "list: record 4"]


def test_photodna_of_another_length_does_not_cost_the_record(read_list: Any) -> None:
    (entry,), (error,) = read_list(vics, _document([{"MD5": MD5, "PhotoDNA": "AAAA"}]))
    assert isinstance(error, HashRefused)
    assert set(entry.fingerprints) == {"md5"}
    assert json.loads(entry.metadata) == {"photodna_unreadable": True}


@pytest.mark.parametrize(
    "bad",
    [
        {"SHA1": "zz"},
        {"SHA256": "B2" * 20},
        {"PhotoDNA": "AAAA"},
        {"AlternativeHashes": [{"HashName": "PDQ", "HashValue": "short"}]},
    ],
)
def test_a_malformed_hash_never_costs_a_record_its_good_ones(read_list: Any, bad: dict[str, Any]) -> None:
    entries, errors = read_list(vics, _document([{"MD5": MD5, **bad}, {"MD5": MD5}]))
    assert [dict(e.fingerprints) for e in entries] == [{"md5": b"\xa1" * 16}] * 2
    (error,) = errors
    assert isinstance(error, HashRefused)
    assert error.where == "list: record 1"
    assert error.mend


@pytest.mark.parametrize("word", ["N/A", "-", "null", "None", " "])
def test_words_for_nothing_are_nothing(read_list: Any, word: str) -> None:
    record = {"MD5": MD5, "SHA1": word, "PhotoDNA": word, "AlternativeHashes": [{"HashName": "PDQ", "HashValue": word}]}
    (entry,), errors = read_list(vics, _document([record]))
    assert (set(entry.fingerprints), errors) == ({"md5"}, [])


def test_the_fields_of_a_record_win_over_its_alternative_hashes(read_list: Any) -> None:
    record = {"MD5": MD5, "AlternativeHashes": [{"HashName": "MD5", "HashValue": "EE" * 16}]}
    (entry,), _ = read_list(vics, _document([record]))
    assert entry.fingerprints == {"md5": b"\xa1" * 16}


@pytest.mark.parametrize("cut", [1, 40, 400, 1000])
def test_a_file_that_breaks_off_gives_what_came_before(read_list: Any, cut: int) -> None:
    text = _document([{"MediaID": i, "MD5": MD5} for i in range(1, 100)])
    entries, errors = read_list(vics, text[:-cut])
    assert 0 < len(entries) <= 99
    assert f"after record {len(entries)}" in errors[-1].where
    assert len(errors) == 1


@pytest.mark.parametrize("data", ["{}", '{"value":[]}', "[]", '{"value": {"x": 1}}', "{", "", "nonsense", '{"value":['])
def test_what_holds_no_media_says_so(read_list: Any, data: str) -> None:
    entries, errors = read_list(vics, data)
    assert entries == []
    assert errors


def test_letters_that_are_no_utf8_do_not_end_the_list(read_list: Any) -> None:
    data = _document([{"MD5": MD5, "Comments": "caf@"}, {"MD5": MD5}]).encode().replace(b"@", b"\xe9")
    entries, errors = read_list(vics, data)
    assert errors == []
    assert entries[0].note == "caf\ufffd"
    assert len(entries) == 2


class _Endless(io.RawIOBase):
    """A record that never ends."""

    given = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        start = b'{"value":[{"MD5":"' + MD5.encode() + b'"},{"Tags":[' if self.given == 0 else b""
        self.given += 1
        return start + b'"x",' * 4096


def test_a_record_without_end_is_stopped_within_bounded_memory() -> None:
    endless = _Endless()
    found = list(vics.read(endless, where="w", defaults=EntryDefaults(Kind.OTHER)))  # type: ignore[arg-type]
    assert isinstance(found[0], Entry)
    assert isinstance(found[1], ListFormatError)
    assert endless.given * 4096 * 4 < 20 << 20


def test_it_streams_and_does_not_wait_for_the_end() -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"value":['
        for i in range(200_000):
            yield json.dumps({"MediaID": i, "MD5": MD5}).encode() + b","

    class Pipe(io.RawIOBase):
        source, taken = chunks(), 0

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            self.taken += 1
            return next(self.source, b"")

    pipe = Pipe()
    first = next(vics.read(pipe, where="w", defaults=EntryDefaults(Kind.OTHER)))  # type: ignore[arg-type]
    assert isinstance(first, Entry)
    assert pipe.taken < 20_000


def test_what_it_writes_has_the_published_shape_and_reads_back(read_list: Any) -> None:
    stream = io.BytesIO()
    records = [
        vics.VicsMedia(
            media_id=1, md5=b"\xa1" * 16, sha1=b"\xb2" * 20, sha256=b"\xd4" * 32, pdq=b"\xc3" * 32,
            photodna=bytes(range(144)), size_bytes=12, relative_path="../a/ü.jpg", scheme="vics:US", label="2",
            updated=1_700_000_000, tags=("near", "x"),
        ),
        vics.VicsMedia(media_id=2, scheme="uk", label="A", md5=b"\xa1" * 16),
    ]  # fmt: skip
    assert vics.write_vics(records, stream, category_set="US") == 2
    document = json.loads(stream.getvalue())
    assert document["@odata.context"] == US
    one, two = document["value"]
    assert one["Category"] == 2
    assert one["MD5"] == MD5
    assert len(one["PhotoDNA"]) == 192
    assert one["RelativeFilePath"] == "a\\ü.jpg"
    assert one["AlternativeHashes"][1] == {"MD5": MD5, "HashName": "PDQ", "HashValue": "C3" * 32}
    assert two["Category"] is None
    entries, errors = read_list(vics, stream.getvalue())
    assert errors == []
    assert (entries[0].scheme, entries[0].label, entries[0].last_seen) == ("vics:US", "2", 1_700_000_000)
    assert set(entries[0].fingerprints) == {"md5", "sha1", "sha256", "pdq", "photodna"}


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3"])
def test_an_older_version_has_its_own_head_and_keeps_whose_codes_its_categories_are(
    read_list: Any, version: str
) -> None:
    stream = io.BytesIO()
    record = vics.VicsMedia(media_id=1, md5=b"\xa1" * 16, scheme="vics:US", label="2")
    assert vics.write_vics([record], stream, category_set="US", version=vics.Version(version)) == 1
    document = json.loads(stream.getvalue())
    assert document.keys() == {"odata.metadata", "value"}
    assert document["odata.metadata"] == OLD.replace("1.3", version) + "Media"
    (media,) = document["value"]
    assert (media["MediaID"], media["MD5"], media["Category"]) == (1, MD5, 2)
    (entry,), errors = read_list(vics, stream.getvalue())
    assert errors == []
    assert (entry.scheme, entry.label, entry.fingerprints) == ("vics:US", "2", {"md5": b"\xa1" * 16})


def test_an_empty_set_is_written_as_valid_json() -> None:
    stream = io.BytesIO()
    assert vics.write_vics([], stream) == 0
    assert json.loads(stream.getvalue())["value"] == []


@pytest.mark.parametrize("inside", [b"[", b'{"a":'])
def test_a_record_that_is_nested_without_end_is_refused_before_it_costs_anything(inside: bytes) -> None:
    hostile = b'{"value":[{"MD5":"%s"},' % (b"a1" * 16) + inside * 1_000_000
    first, fault = vics.read(io.BytesIO(hostile), where="list", defaults=EntryDefaults(Kind.ILLEGAL))
    assert isinstance(first, Entry)
    assert isinstance(fault, ListFormatError)
    assert "nested too deeply" in str(fault)


def test_what_a_bank_writes_reads_back_as_the_same_entries(read_list: Any) -> None:
    entries = [
        Entry(
            Kind.EXPLOITATIVE, {"md5": b"\xa1" * 16, "pdq": b"\xc3" * 32}, 1, scheme="made-up", label="A", note="n",
            source_id="far/7", last_seen=1_700_000_000,
            metadata='{"VictimIdentified":true,"Series":"s","MediaSize":9,"RelativeFilePath":"a/b.jpg"}',
        ),
        Entry(Kind.ILLEGAL, {"sha256": b"\xd4" * 32}, 2, scheme="vics:US", label="2"),
    ]  # fmt: skip
    stream = io.BytesIO()
    assert vics.write(entries, stream, category_set="US") == 2
    again, errors = read_list(vics, stream.getvalue())
    assert errors == []
    names = ("kind", "fingerprints", "scheme", "label", "note", "last_seen")
    assert [[getattr(e, n) for n in names] for e in again] == [[getattr(e, n) for n in names] for e in entries]
    assert [e.source_id for e in again] == ["far/7", "2"]
    assert json.loads(entries[0].metadata).items() <= json.loads(again[0].metadata).items()


def test_a_list_that_ends_as_it_should_not_says_that_it_does(read_list: Any) -> None:
    text = _document([{"MediaID": 1, "MD5": MD5}, {"MediaID": 2, "MD5": "short"}])
    assert [type(e) for e in read_list(vics, text)[1]] == [ListFormatError]
    for broken in (text[:-1], "", '{"value":[]}', text[:-2] + ',{"a":' + "[" * 100_000):
        assert isinstance(read_list(vics, broken)[1][-1], ListBroken)
