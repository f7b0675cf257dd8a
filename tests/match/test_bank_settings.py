"""A bank's settings can change; what its entries say of themselves does not. And a long bank is read page by page."""

from __future__ import annotations

import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.domain import Entry, Kind, Tlp
from leadline.errors import BankError, BankLocked, ConfigError
from leadline.match import manifest
from leadline.match import writing as writing_module
from leadline.match.bank import Bank
from leadline.match.matcher import Matcher


def near_ids(bank: Bank, digest: bytes) -> list[int]:
    return [match.entry for match in Matcher([bank]).match_hashes([("pdq", digest)])[0].matches]


def test_a_smaller_radius_holds_at_once_in_every_process(new_bank, draw):
    entry = draw.entry()
    bank = new_bank(entries=[entry])
    other = Bank.open(bank.path)
    query = draw.near(entry.fingerprints["pdq"], 20)
    assert near_ids(bank, query) == [1]
    assert bank.set_settings(radius_bits=10)
    other.refresh()
    assert (near_ids(bank, query), near_ids(other, query), other.radius_bits) == ([], [], 10)


def test_a_name_from_before_names_were_bounded_stands_in_the_way_of_no_other_setting(tmp_path, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(manifest, "MAX_NAME_BYTES", 800)
        bank = Bank.create(tmp_path / "b", name="é" * 150, kind=Kind.OTHER)
    assert bank.set_settings(radius_bits=10)
    assert Bank.open(bank.path).name == "é" * 150


def test_all_settings_are_kept_and_the_list_version_grows_by_one(new_bank, draw):
    bank = new_bank(entries=[draw.entry()])
    before = bank.list_version
    assert bank.set_settings(kind=Kind.OTHER, tlp=Tlp.RED, radius_bits=5, quality_floor=70, source="s", licence="l")
    info = Bank.open(bank.path).info()
    told = (info.kind, info.tlp, info.radius_bits, info.quality_floor, info.source, info.licence, info.list_version)
    assert told == (Kind.OTHER, Tlp.RED, 5, 70, "s", "l", before + 1)
    assert bank.verify() == []


def test_nothing_new_changes_nothing(new_bank, draw):
    bank = new_bank(entries=[draw.entry()])
    before = bank.list_version
    assert not bank.set_settings(kind=bank.kind, radius_bits=bank.radius_bits)
    assert bank.list_version == before


@pytest.mark.parametrize("wrong", [{"radius_bits": 65}, {"radius_bits": -1}, {"quality_floor": 101}])
def test_a_setting_out_of_range_is_refused_and_nothing_changes(new_bank, draw, wrong):
    bank = new_bank(entries=[draw.entry()])
    before = bank.info()
    with pytest.raises(ConfigError):
        bank.set_settings(**wrong)
    assert Bank.open(bank.path).info() == before


@pytest.mark.parametrize("is_merged", [False, True])
def test_another_quality_floor_takes_entries_in_and_out_of_the_search(new_bank, draw, is_merged):
    """Also of entries that are in a segment, whose index leaves out what lay below the floor when it was made."""
    weak, strong = draw.entry(quality=30), draw.entry(quality=90)
    bank = new_bank(entries=[weak, strong])
    if is_merged:
        bank.merge()
    weak_hash, strong_hash = weak.fingerprints["pdq"], strong.fingerprints["pdq"]
    assert (near_ids(bank, weak_hash), near_ids(bank, strong_hash)) == ([], [2])
    bank.set_settings(quality_floor=20)
    assert (near_ids(bank, weak_hash), near_ids(bank, strong_hash)) == ([1], [2])
    bank.set_settings(quality_floor=95)
    assert (near_ids(bank, weak_hash), near_ids(bank, strong_hash)) == ([], [])
    assert (bank.verify(), Bank.open(bank.path).verify(), bank.count) == ([], [], 2)


def test_entries_keep_their_kind_and_false_positives_their_radius(new_bank, draw):
    harmless = draw.entry(Kind.FALSE_POSITIVE, radius_bits=8)
    bank = new_bank(entries=[draw.entry(), harmless])
    bank.merge()
    bank.set_settings(kind=Kind.BENIGN, radius_bits=2, quality_floor=60)
    assert [(e.kind, e.radius_bits) for e in bank.entries()] == [(Kind.ILLEGAL, 0), (Kind.FALSE_POSITIVE, 8)]
    digest = harmless.fingerprints["pdq"]
    assert (near_ids(bank, draw.near(digest, 8)), near_ids(bank, draw.near(digest, 9))) == ([2], [])


def test_ids_are_not_given_twice_after_a_change_of_floor(new_bank, draw):
    bank = new_bank(entries=[draw.entry() for _ in range(3)])
    bank.merge()
    bank.remove([2, 3])
    bank.set_settings(quality_floor=10)
    assert list(bank.add([draw.entry(), draw.entry(id=3)]).ids) == [4, 5]
    assert (bank.verify(), sorted(e.id for e in bank.entries())) == ([], [1, 4, 5])


def test_a_large_addition_made_under_the_old_floor_is_refused_and_works_when_sent_again(new_bank, draw, monkeypatch):
    """Its index was made before the floor changed: the one moment in which the two can meet."""
    monkeypatch.setattr(writing_module, "LOG_ENTRIES", 2)
    bank = new_bank()
    other = Bank.open(bank.path)
    entries = [draw.entry(quality=30) for _ in range(3)]
    bank.set_settings(quality_floor=20)
    with pytest.raises(BankLocked):
        other.add(entries)
    assert other.add(entries).added == 3
    assert (near_ids(other, entries[0].fingerprints["pdq"]), other.verify()) == ([1], [])


def test_readers_go_on_while_settings_change(new_bank, draw):
    entry = draw.entry(quality=80)
    bank = new_bank(entries=[entry])
    bank.merge()
    reader, wrong, stop = Bank.open(bank.path), [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            reader.refresh()
            if near_ids(reader, entry.fingerprints["pdq"]) != [1]:
                wrong.append(reader.list_version)

    thread = threading.Thread(target=read)
    thread.start()
    for floor in (10, 20, 30, 40):
        bank.set_settings(quality_floor=floor)
    stop.set()
    thread.join()
    assert wrong == []


@pytest.mark.parametrize("at", ["publish", "save"])
def test_a_kill_half_way_leaves_the_old_bank_whole(new_bank, draw, monkeypatch, at):
    bank = new_bank(entries=[draw.entry(quality=30)])
    bank.merge()

    def die(*_: object, **__: object) -> None:
        os._exit(9)

    child = os.fork()
    if child == 0:
        if at == "publish":
            monkeypatch.setattr(writing_module, "create_log", die)
        else:
            monkeypatch.setattr(writing_module, "save_manifest", die)
        bank.set_settings(quality_floor=10)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 9
    again = Bank.open(bank.path)
    assert (again.quality_floor, again.count, again.verify()) == (50, 1, [])
    assert again.set_settings(quality_floor=10)
    assert (again.quality_floor, again.count, again.verify()) == (10, 1, [])


def test_pages_hold_every_live_entry_once_and_in_order(new_bank, draw):
    bank = new_bank(entries=[draw.entry() for _ in range(10)])
    bank.merge()
    bank.add([draw.entry() for _ in range(5)])
    bank.remove([1, 7, 12])
    bank.update([Entry(kind=Kind.OTHER, id=4, fingerprints={"md5": draw.bytes(16)})])
    found, after = [], 0
    while page := bank.entries_after(after, 4):
        assert len(page) <= 4
        found += page
        after = int(page[-1].id or 0)
    assert [e.id for e in found] == [2, 3, 4, 5, 6, 8, 9, 10, 11, 13, 14, 15]
    assert next(e.kind for e in found if e.id == 4) is Kind.OTHER
    assert bank.entries_after(15, 4) == []


@settings(deadline=None, max_examples=25)
@given(wished=st.lists(st.integers(1, 60), max_size=30), gone=st.sets(st.integers(1, 60)), limit=st.integers(1, 9))
def test_pages_agree_with_the_whole_list(tmp_path_factory, wished, gone, limit):
    bank = Bank.create(tmp_path_factory.mktemp("b") / "bank", name="B", kind=Kind.OTHER)
    half = len(wished) // 2
    for part in (wished[:half], wished[half:]):
        bank.add([Entry(kind=Kind.OTHER, id=i, fingerprints={"md5": os.urandom(16)}) for i in part])
        bank.merge()
    bank.remove(gone)
    whole = sorted(e.id or 0 for e in bank.entries())
    for after in (0, 1, 30, 60):
        expected = [i for i in whole if i > after][:limit]
        assert [e.id for e in bank.entries_after(after, limit)] == expected


def test_settings_of_a_bank_that_is_gone_say_so(new_bank, draw, tmp_path):
    bank = new_bank(entries=[draw.entry()])
    for file in bank.path.iterdir():
        file.unlink()
    bank.path.rmdir()
    with pytest.raises(BankError):
        bank.set_settings(radius_bits=3)
