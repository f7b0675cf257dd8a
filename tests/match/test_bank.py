"""What a bank takes, keeps, finds again and says of itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leadline.domain import EMPTY_FILE_DIGESTS, Entry, Kind, PdqFamily, Tlp
from leadline.errors import BankError, BankNotFound, ConfigError, InputError, ListFormatError
from leadline.match import log as log_module
from leadline.match import snapshot as snapshot_module
from leadline.match import writing as writing_module
from leadline.match.bank import Bank
from leadline.match.build import SegmentDraft
from leadline.match.table import TableWriter

SETTINGS = {"name": "A", "kind": Kind.ILLEGAL}


def test_a_new_bank_is_empty_and_says_what_it_is(tmp_path):
    bank = Bank.create(
        tmp_path / "deep" / "bank",
        name="Known",
        kind=Kind.BENIGN,
        radius_bits=20,
        quality_floor=60,
        source="us",
        tlp=Tlp.RED,
        licence="CC0",
    )
    info = Bank.open(bank.path).info()
    told = (info.name, info.kind, info.radius_bits, info.quality_floor, info.source, info.tlp, info.licence)
    assert told == ("Known", Kind.BENIGN, 20, 60, "us", Tlp.RED, "CC0")
    assert (bank.count, bank.list_version, list(bank.entries()), bank.verify()) == (0, 0, [], [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a/b"},
        {"name": "a\nb"},
        {"name": "é" * 128},
        {"radius_bits": 65},
        {"quality_floor": -1},
    ],
)
def test_settings_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(ConfigError):
        Bank.create(tmp_path / "b", **{**SETTINGS, **wrong})
    assert not (tmp_path / "b").exists()


def test_a_bank_is_never_made_over_anything(tmp_path):
    Bank.create(tmp_path / "b", **SETTINGS)
    with pytest.raises(BankError, match="already there"):
        Bank.create(tmp_path / "b", **SETTINGS)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    with pytest.raises(BankError, match="other things"):
        Bank.create(tmp_path / "photos", **SETTINGS)


def test_no_bank_there_is_said_so(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(BankNotFound):
            Bank.open(path)


def test_entries_get_ids_in_order_and_come_back(new_bank, draw, clock):
    bank = new_bank()
    result = bank.add([draw.entry(note="a"), draw.entry(note="b", added=5)])
    assert (list(result.ids), result.added, result.refused_count) == ([1, 2], 2, 0)
    assert [(e.id, e.note, e.added) for e in bank.entries()] == [(1, "a", clock.now), (2, "b", 5)]
    assert bank.get(2).note == "b"
    with pytest.raises(BankError, match="no such entry"):
        bank.get(3)


def test_an_entry_keeps_a_free_id_and_none_is_ever_lost(new_bank, draw):
    bank = new_bank()
    wishes = [7, None, 7, 2**53, -4, 3]
    result = bank.add([draw.entry(id=wish) for wish in wishes])
    assert list(result.ids) == [7, 8, 9, 10, 11, 3]
    assert result.renumbered == [(7, 9), (-1, 10), (-1, 11)]
    again = bank.add([draw.entry(id=3), draw.entry(id=5)])
    assert list(again.ids) == [12, 5]
    assert bank.count == 8
    assert bank.verify() == []


def test_an_id_is_never_given_twice(new_bank, draw):
    bank = new_bank()
    bank.add([draw.entry(), draw.entry()])
    bank.remove([2])
    assert list(bank.add([draw.entry(id=2)]).ids) == [3]
    bank.remove([3])
    bank.merge()
    assert list(Bank.open(bank.path).add([draw.entry(id=2), draw.entry(id=3), draw.entry()]).ids) == [4, 5, 6]


def test_one_huge_id_does_not_use_up_the_numbers(new_bank, draw):
    bank = new_bank()
    assert list(bank.add([draw.entry(id=2**53 - 1), draw.entry(id=2)]).ids) == [2**53 - 1, 2]
    assert list(bank.add([draw.entry() for _ in range(3)]).ids) == [1, 3, 4]


@pytest.mark.parametrize("digest", sorted(EMPTY_FILE_DIGESTS))
def test_the_hash_of_the_empty_file_is_refused(new_bank, draw, digest):
    algorithm = {16: "md5", 20: "sha1", 32: "sha256"}[len(digest)]
    bank = new_bank()
    both = {algorithm: digest, "pdq": draw.bytes()}
    result = bank.add([draw.entry(fingerprints={algorithm: digest}), draw.entry(fingerprints=both)])
    assert [(r.position, r.entry_kept) for r in result.refused] == [(0, False), (1, True)]
    assert "empty file" in str(result.refused[0].error)
    assert [set(e.fingerprints) for e in bank.entries()] == [{"pdq"}]


REFUSED = {
    "no fingerprint": {"fingerprints": {}},
    "short": {"fingerprints": {"md5": b"1" * 15}},
    "long": {"fingerprints": {"pdq": b"1" * 33}},
    "void": {"fingerprints": {"made-up": b""}},
    "name": {"fingerprints": {"Made Up": b"1"}},
    "text": {"fingerprints": {"md5": "1" * 16}},
    "quality": {"quality": 101},
    "radius": {"radius_bits": 32, "kind": Kind.FALSE_POSITIVE},
    "time": {"disabled_until": -1},
    "fraction": {"added": 1.5},
    "list": {"metadata": "[]"},
    "broken": {"metadata": "{"},
    "deep": {"metadata": '{"a":' * 800 + "1" + "}" * 800},
    "much": {"metadata": '{"a":"' + "x" * 4096 + '"}'},
    "surrogate": {"note": "\udc80"},
    "many": {"note": "x" * 70_000},
    "untyped": {"label": 5},
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_entry_that_is_not_one_is_refused_and_the_rest_goes_on(new_bank, draw, name):
    bank = new_bank()
    result = bank.add([draw.entry(), draw.entry(**REFUSED[name]), draw.entry()])
    assert [(r.position, isinstance(r.error, InputError)) for r in result.refused] == [(1, True)]
    assert (result.added, list(result.ids), bank.count) == (2, [1, 2], 2)
    assert bank.verify() == []


def test_a_readers_bad_record_counts_as_refused(new_bank, draw):
    bad = ListFormatError("bad", where="line 2")
    result = new_bank().add([draw.entry(), bad, draw.entry()])
    assert [(r.position, r.error) for r in result.refused] == [(1, bad)]
    assert result.added == 2


def test_refusals_by_the_million_do_not_fill_memory(new_bank):
    bad = Entry(kind=Kind.ILLEGAL, fingerprints={})
    result = new_bank().add(bad for _ in range(20_000))
    assert (len(result.refused), result.refused_count, result.added) == (10_000, 20_000, 0)


def test_metadata_of_exactly_4096_bytes_is_taken(new_bank, draw):
    text = '{"a":"' + "x" * 4088 + '"}'
    assert len(text) == 4096
    bank = new_bank(entries=[draw.entry(metadata=text)])
    assert bank.get(1).metadata == text


def test_a_reader_that_fails_half_way_adds_nothing(new_bank, draw):
    bank = new_bank()

    def broken():
        yield draw.entry()
        raise OSError(5, "the list's disk broke")

    with pytest.raises(BankError, match="not changed"):
        bank.add(broken())
    assert (bank.count, bank.list_version) == (0, 0)


def test_each_acknowledged_change_raises_the_list_version_by_one(new_bank, draw):
    bank = new_bank()
    versions = [bank.list_version]
    for change in (
        lambda: bank.add([draw.entry(), draw.entry()]),
        lambda: bank.remove([1]),
        lambda: bank.remove([1, 99]),  # nothing changes
        lambda: bank.add([]),
        lambda: bank.merge(),
        lambda: bank.add_pdq_array(np.zeros((3, 32), np.uint8)),
        lambda: bank.update([bank.get(2)]),
    ):
        change()
        versions.append(bank.list_version)
    assert versions == [0, 1, 2, 2, 2, 2, 3, 4]
    assert Bank.open(bank.path).list_version == 4


def test_removal_is_immediate_and_lasts(new_bank, draw):
    entries = [draw.entry() for _ in range(6)]
    bank = new_bank(entries=entries)
    bank.merge()
    assert bank.remove([2, 4, 4, 77, -1]) == 2
    hashes = [e.fingerprints["pdq"] for e in entries]
    expected = [[1], [], [3], [], [5], [6]]
    for state in (bank, Bank.open(bank.path), merged(bank)):
        assert [[h.entry for h in hits] for hits in state.find_pdq(hashes, 0)] == expected


def merged(bank: Bank) -> Bank:
    bank.merge()
    return bank


def test_an_update_replaces_an_entry_under_its_id(new_bank, draw):
    old, new = draw.entry(note="old"), draw.bytes()
    bank = new_bank(entries=[old, draw.entry()])
    bank.merge()
    result = bank.update(
        [
            Entry(kind=Kind.OTHER, fingerprints={"pdq": new}, id=1, note="new"),
            Entry(kind=Kind.OTHER, fingerprints={"pdq": new}, id=1, note="again"),
            Entry(kind=Kind.OTHER, fingerprints={"pdq": new}, id=9),
        ]
    )
    assert (list(result.ids), [r.position for r in result.refused]) == ([1], [1, 2])
    for state in (bank, Bank.open(bank.path), merged(bank)):
        assert (state.get(1).note, state.count) == ("new", 2)
        assert state.find_pdq([old.fingerprints["pdq"], new], 0) == [[], [(1, 0)]]
        assert state.verify() == []


def test_other_processes_changes_are_seen_after_refresh(new_bank, draw):
    writer = new_bank()
    reader = Bank.open(writer.path)
    assert reader.refresh() is False
    writer.add([draw.entry()])
    assert (reader.count, reader.refresh(), reader.count) == (0, True, 1)
    writer.merge()
    assert (reader.refresh(), reader.count, reader.refresh()) == (True, 1, False)
    writer.remove([1])
    assert (reader.refresh(), reader.count) == (True, 0)


def test_a_merge_never_disturbs_a_reader(new_bank, draw):
    entry = draw.entry(note="here")
    writer = new_bank(entries=[entry])
    writer.merge()
    reader = Bank.open(writer.path)
    writer.add([draw.entry()])
    writer.merge()
    assert reader.find_pdq([entry.fingerprints["pdq"]], 0) == [[(1, 0)]]
    assert reader.get(1).note == "here"


def test_merging_leaves_one_segment_and_an_empty_log(new_bank, draw):
    bank = new_bank(entries=[draw.entry() for _ in range(10)])
    first = bank.merge()
    assert (first.merged, first.entries, bank.info().segments, bank.info().log_bytes) == (True, 10, 1, 0)
    assert bank.merge().merged is False
    files = sorted(path.name for path in bank.path.iterdir())
    assert len([f for f in files if f.startswith("seg-")]) == 2
    assert len([f for f in files if f.startswith("log-")]) == 1


def test_merging_away_the_last_entry_leaves_a_sound_bank(new_bank, draw):
    bank = new_bank(entries=[draw.entry()])
    bank.remove([1])
    assert bank.merge().merged
    assert (bank.count, bank.verify(), Bank.open(bank.path).count) == (0, [], 0)
    assert bank.find_pdq([draw.bytes()], 31) == [[]]


def test_a_large_addition_becomes_a_segment_at_once(new_bank, draw, monkeypatch):
    monkeypatch.setattr(writing_module, "LOG_ENTRIES", 50)
    monkeypatch.setattr("leadline.match.bank.SPILL_ENTRIES", 1000)
    bank = new_bank(entries=[draw.entry(note="first")])
    entries = [draw.entry(note=f"n{i}", id=5000 - i if i < 100 else None) for i in range(3500)]
    result = bank.add(iter(entries))
    assert (result.added, bank.count, bank.list_version, bank.info().segments) == (3500, 3501, 2, 1)
    assert list(result.ids)[:100] == [5000 - i for i in range(100)]
    assert [bank.get(i).note for i in (result.ids[0], result.ids[99], result.ids[3499])] == ["n0", "n99", "n3499"]
    assert sorted(path.name[:4] for path in bank.path.iterdir() if path.name.startswith("tmp")) == []
    assert bank.verify() == []


def test_an_array_of_hashes_is_taken_whole(new_bank, draw):
    hashes = draw.rng.integers(0, 256, (300, 32), dtype=np.uint8)
    quality = np.full(300, 80, np.uint8)
    quality[7] = 49
    bank = new_bank(kind=Kind.BENIGN)
    result = bank.add_pdq_array(hashes, quality=quality, first_id=1001, family=PdqFamily.A)
    assert (result.ids, result.added) == (range(1001, 1301), 300)
    entry = bank.get(1008)
    assert (entry.kind, entry.pdq_family, entry.quality) == (Kind.BENIGN, PdqFamily.A, 49)
    assert entry.fingerprints == {"pdq": hashes[7].tobytes()}
    found = bank.find_pdq(hashes, 0)
    assert [len(hits) for hits in found] == [0 if i == 7 else 1 for i in range(300)]
    with pytest.raises(InputError):
        bank.add_pdq_array(hashes[:, :31])
    with pytest.raises(InputError):
        bank.add_pdq_array(hashes, quality=quality[:3])


def test_info_counts_what_is_there(new_bank, draw, clock):
    bank = new_bank(
        entries=[
            draw.entry(quality=49),
            draw.entry(Kind.BENIGN, fingerprints={"md5": draw.bytes(16), "pdq": draw.bytes()}, pdq_family=PdqFamily.A),
            draw.entry(fingerprints={"made-up": draw.bytes(144)}),
            draw.entry(disabled_until=clock.now + 1),
            draw.entry(),
        ]
    )
    bank.merge()
    bank.remove([5])
    info = bank.info()
    assert info.by_kind == {Kind.ILLEGAL: 3, Kind.BENIGN: 1}
    assert info.by_fingerprint == {"made-up": 1, "md5": 1, "pdq": 3}
    assert info.by_family == {PdqFamily.A: 1, PdqFamily.B: 2}
    assert (info.entries, info.removed, info.below_floor, info.disabled) == (4, 1, 1, 1)
    assert info.not_compared == {"made-up": 1}
    assert info.index_bytes == sum(p.stat().st_size for p in bank.path.glob("seg-*.index"))
    assert info.records_bytes_per_entry == round(sum(p.stat().st_size for p in bank.path.glob("seg-*.records")) / 5, 1)


def test_a_merge_lets_go_of_what_it_read_before_it_reads_on(new_bank, draw, monkeypatch):
    bank = new_bank(entries=[draw.entry(note="x") for _ in range(10)])
    bank.merge()
    bank.remove([3])
    order, cool, add = [], snapshot_module.Snapshot.cool, TableWriter.add_chunks
    monkeypatch.setattr(snapshot_module.Snapshot, "cool", lambda self: (order.append("let go"), cool(self)))
    monkeypatch.setattr(
        TableWriter, "add_chunks", lambda self, name, *rest: (order.append(name), add(self, name, *rest))
    )
    bank.merge()
    assert "blobs print.pdq.32" in " ".join(order).replace("let go ", "")
    for name in ("blobs", "print.pdq.32"):
        assert order[order.index(name) + 1] == "let go"


def test_a_merge_is_due_when_recent_changes_outweigh_the_rest(new_bank, draw):
    bank = new_bank()
    bank.add_pdq_array(draw.rng.integers(0, 256, (40_000, 32), dtype=np.uint8))
    assert bank.merge_in_background() is None
    bank.add_pdq_array(draw.rng.integers(0, 256, (20_000, 32), dtype=np.uint8))
    merging = bank.merge_in_background()
    assert merging is not None
    assert bank.merge_in_background() is None  # one is enough
    merging.join()
    bank.refresh()
    assert (bank.info().recent, bank.info().segments, bank.count) == (0, 1, 60_000)


def test_who_knows_that_a_merge_is_due_has_it_at_once(new_bank, draw):
    bank = new_bank(entries=[draw.entry()])
    merging = bank.merge_in_background(is_waited_for=True)
    assert merging is not None
    merging.join()
    bank.refresh()
    assert (bank.info().recent, bank.info().segments, bank.count) == (0, 1, 1)


def test_a_merge_that_is_not_due_any_more_is_not_done(new_bank, draw):
    bank = new_bank(entries=[draw.entry()])
    assert not bank.merge(only_due=True).merged
    assert bank.info().recent == 1


def test_a_reader_goes_on_from_where_it_was_when_a_merge_begins_and_when_it_ends(new_bank, draw, monkeypatch):
    bank = new_bank(entries=[draw.entry(), draw.entry()])
    bank.remove([1])
    reader = Bank.open(bank.path)
    begun_at = []

    def read_log(path, start):
        begun_at.append((path.name, start.offset))
        return log_module.read_log(path, start)

    class Draft(SegmentDraft):
        def __init__(self, *given):
            monkeypatch.setattr(snapshot_module, "read_log", read_log)
            bank.add([draw.entry()])
            ended_at = reader.snapshot.position.offset
            reader.refresh()
            assert begun_at == [("log-00000001", ended_at), ("log-00000002", log_module.HEADER_BYTES)]
            super().__init__(*given)

    def state(bank):
        return list(bank.entries()), bank.list_version, bank.snapshot.next_id, bank.snapshot.changes

    monkeypatch.setattr(writing_module, "SegmentDraft", Draft)
    bank.merge()
    assert begun_at
    assert len(state(reader)[0]) == 2
    bank.remove([2])
    ended_at = reader.snapshot.position.offset
    begun_at.clear()
    reader.refresh()
    assert begun_at == [("log-00000002", ended_at)] != [("log-00000002", log_module.HEADER_BYTES)]
    assert state(reader) == state(Bank.open(bank.path))


def test_a_path_may_be_a_string(new_bank, draw):
    bank = new_bank(entries=[draw.entry()])
    assert Bank.open(str(bank.path)).path == Path(bank.path)
