"""Tables, records and the index over them: what is written is read, and damage is never believed."""

from __future__ import annotations

import io
import os
import tracemalloc

import msgspec
import numpy as np
import pytest

from leadline.domain import Entry, Kind, PdqFamily, Tlp
from leadline.errors import BankCorrupt
from leadline.match.admission import Admission, Refusals
from leadline.match.combine import Part, combine_in_memory, write_columns
from leadline.match.exact import ExactIndex, build_exact
from leadline.match.records import PrintColumn, Records
from leadline.match.segment import LiveTable, Segment
from leadline.match.table import Table, TableWriter, encode_table


def records_of(entries: list[Entry]) -> Records:
    admission = Admission({}, Refusals(), 5)
    for entry in entries:
        admission.offer(entry)
    return admission.take()


FULL = Entry(
    kind=Kind.EXPLOITATIVE,
    fingerprints={"md5": b"m" * 16, "sha1": b"1" * 20, "sha256": b"2" * 32, "pdq": b"p" * 32, "made-up": b"x" * 144},
    id=9,
    pdq_family=PdqFamily.A,
    quality=77,
    scheme="s",
    label="l",
    source="from",
    source_id="id",
    licence="lic",
    tlp=Tlp.GREEN,
    note="Notiz äöü",
    disabled_until=3,
    first_seen=1,
    last_seen=2,
    added=4,
    metadata='{"a":1}',
)


def test_a_table_gives_back_what_was_put_in():
    sections = {
        "bytes": np.arange(10, dtype=np.uint8),
        "rows": np.arange(12, dtype=np.uint8).reshape(3, 4),
        "none": np.empty(0, np.int64),
        "numbers": np.array([-1, 2**62], np.int64),
        "small": np.array([2**32 - 1], np.uint32),
    }
    table = Table(encode_table(sections), "here")
    assert table.damage() == []
    assert list(table.sections) == list(sections)
    for name, array in sections.items():
        assert table.sections[name].dtype == array.dtype
        np.testing.assert_array_equal(table.sections[name], array)


def test_sections_of_a_file_are_aligned_for_the_search_kernel():
    stream = io.BytesIO()
    writer = TableWriter(stream)
    writer.add("odd", np.zeros(3, np.uint8))
    writer.add("index", np.full(64, 7, np.uint8))
    writer.finish()
    assert stream.getvalue().index(b"\x07" * 64) % 64 == 0


def test_no_flipped_byte_of_a_table_goes_unseen():
    good = encode_table({"a": np.arange(9, dtype=np.uint8), "b": np.arange(6, dtype=np.int64)})
    padding = {at for at in range(64, len(good)) if good[at] == 0}
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 0x41
        try:
            found = Table(bytes(bad), "here").damage()
        except BankCorrupt:
            continue
        assert found or at in padding, at


def test_a_table_cut_anywhere_is_refused():
    good = encode_table({"a": np.arange(9, dtype=np.uint8)})
    for length in range(len(good)):
        with pytest.raises(BankCorrupt):
            Table(good[:length], "here")


@pytest.mark.parametrize(
    "section",
    [
        ["a", "i8", 2, 0, 64, 0],  # wider than what is there
        ["a", "u1", 2**62, 2, 64, 0],
        ["a", "u1", -1, 0, 64, 0],
        ["a", "u1", 1, -1, 64, 0],
        ["a", "u1", 4, 0, 0, 0],  # inside the header
        ["a", "u1", 4, 0, 68, 0],  # across its end
        ["a", "u1", 1, 0, 65, 0],
        ["a", "f8", 0, 0, 64, 0],
        ["a", "u1", 1, 0, -8, 0],
        [7, "u1", 1, 0, 64, 0],
    ],
)
def test_a_section_outside_its_table_is_refused(section):
    """The contents' checksum is right here: a stranger made this table on purpose."""
    with pytest.raises(BankCorrupt):
        Table(forge([section]), "here")


def forge(contents: list[object]) -> bytes:
    import struct
    import zlib

    packed = msgspec.msgpack.encode(contents)
    body = encode_table({})[:64] + b"\x01" * 8
    trailer = struct.pack(
        "<8sQQQI24x", b"LLTABEND", len(body), len(packed), len(body) + len(packed) + 64, zlib.crc32(packed)
    )
    return body + packed + trailer + zlib.crc32(trailer).to_bytes(4, "little")


def test_the_forged_table_of_these_tests_is_otherwise_a_good_one():
    assert Table(forge([["a", "u1", 8, 0, 64, 0]]), "here").sections["a"].tolist() == [1] * 8


def test_an_entry_comes_back_whole():
    plain = Entry(kind=Kind.BENIGN, fingerprints={"md5": b"q" * 16}, id=2, added=8)
    records = records_of([FULL, plain])
    assert records.entry(0) == FULL
    assert records.entry(1) == plain


def test_combining_keeps_entries_and_drops_dead_rows(draw):
    first = [draw.entry(id=i, note="n" * i, quality=i % 3 * 40) for i in range(1, 30)]
    second = [draw.entry(id=i, fingerprints={"md5": draw.bytes(16)}, added=9) for i in range(30, 50)]
    third = [FULL]
    keep = np.arange(29) % 4 != 0
    whole = combine_in_memory(
        [Part(records_of(first), keep), Part(records_of(second)), Part(records_of(third))]
    )
    expected = [e for e, kept in zip(first, keep, strict=True) if kept] + second + third
    assert [(e.id, e.fingerprints, e.note, e.quality) for e in whole.entries(np.arange(whole.count))] == [
        (e.id, e.fingerprints, e.note, e.quality) for e in expected
    ]


def test_texts_of_rows_with_gaps_between_them_are_combined_in_little_memory(draw):
    entries = [draw.entry(note=f"{number} " + "x" * 700) for number in range(10_000)]
    keep = np.arange(len(entries)) % 2 == 0
    parts = [Part(records_of(entries), keep)]
    with open(os.devnull, "wb") as nowhere:
        tracemalloc.start()
        try:
            write_columns(TableWriter(nowhere), parts)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 30 << 20, "3.6 MB of texts"
    whole = combine_in_memory(parts)
    assert [entry.note for entry in whole.entries(np.arange(whole.count))] == [
        entry.note for entry, kept in zip(entries, keep, strict=True) if kept
    ]


def test_ids_given_once_stay_known_after_their_rows_are_gone(draw):
    entries = [draw.entry(id=i) for i in (5, 3, 8)]
    whole = combine_in_memory([Part(records_of(entries), np.array([True, False, True]))])
    assert whole.has_used(np.array([3, 4, 5])).tolist() == [True, False, True]
    assert whole.find_rows(np.array([3, 5, 8])).tolist() == [-1, 0, 1]


def test_records_out_of_id_order_are_found_by_id(draw):
    entries = [draw.entry(id=i) for i in (50, 3, 8)]
    whole = combine_in_memory([Part(records_of([entry])) for entry in entries])
    assert whole.find_rows(np.array([8, 50, 3, 4])).tolist() == [2, 0, 1, -1]


@pytest.mark.parametrize("damage", ["ids", "kind", "offsets", "print.pdq.32", "rows.md5.16", "id_order"])
def test_records_that_contradict_themselves_are_refused(draw, damage):
    entries = [draw.entry(note="x"), draw.entry(fingerprints={"md5": draw.bytes(16), "pdq": draw.bytes()})] * 2
    sections = dict(records_of(entries).sections)
    sections[damage] = np.zeros(3, np.uint8) if damage == "ids" else np.zeros(3, np.int64)
    with pytest.raises(BankCorrupt):
        Records(sections, "here")


def test_a_blob_outside_its_table_or_not_of_our_making_is_refused(draw):
    sections = dict(records_of([draw.entry(note="abc"), draw.entry(note="def")]).sections)
    sections["offsets"] = np.array([0, 2**63, 5], np.uint64)
    hostile = Records(sections, "here")
    for row in (0, 1):
        with pytest.raises(BankCorrupt):
            hostile.entry(row)
    with pytest.raises(BankCorrupt):
        combine_in_memory([Part(hostile)])


def test_digests_that_share_their_first_bytes_are_told_apart(draw):
    head = draw.bytes(8)
    rare = [head + bytes([i]) + b"\x00" * 11 for i in range(100)]
    digests = [*rare, *[head + b"\xff" * 12] * 1000, *(draw.bytes(20) for _ in range(500))]
    order = draw.rng.permutation(len(digests))
    values = np.frombuffer(b"".join(digests[i] for i in order), np.uint8).reshape(-1, 20)
    column = PrintColumn("sha1", values, None)
    built = build_exact(column)
    index = ExactIndex(column, built["exact.sha1.prefix"], built["exact.sha1.order"], len(values))
    queries = [rare[17], head + b"\xff" * 12, head + b"\xfe" * 12, digests[-1], draw.bytes(20)]
    found = {
        query: sorted(index.rows(slots).tolist())
        for query, slots in index.find(np.frombuffer(b"".join(queries), np.uint8).reshape(-1, 20))
    }
    where = {i: [at for at, n in enumerate(order) if digests[n] == queries[i]] for i in range(5)}
    assert found == {i: rows for i, rows in where.items() if rows}
    assert len(where[1]) == 1000


def test_a_disabled_row_matches_again_when_its_time_comes(draw):
    table = LiveTable(Segment(records_of([draw.entry(), draw.entry(disabled_until=100)]), 50))
    assert table.mask(99).rows.tolist() == [False, True]
    assert table.mask(100).rows is None
    assert table.mask(99).rows.tolist() == [False, True]


def test_removing_leaves_earlier_readers_their_rows(draw):
    before = LiveTable(Segment(records_of([draw.entry() for _ in range(20)]), 50))
    after = before.without(np.array([3]))
    assert before.alive_count == 20
    assert before.mask(0).groups == (None,)
    assert after.alive_count == 19
    assert after.mask(0).groups[0].tolist() == [0b1000, 0, 0]
