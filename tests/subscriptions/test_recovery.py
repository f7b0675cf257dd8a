"""Whatever happened to bank or holdings, the next pull ends with each entry of the source there once."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.subscriptions.conftest import NOW_S, Place, is_sound
from tests.subscriptions.killing import Killed, killed_at
from tests.subscriptions.sources import BAD, GONE, UNKNOWN, MadeUpSource, md5_of

from leadline.domain import Entry, Kind
from leadline.errors import BankError, ConfigError
from leadline.match.bank import Bank
from leadline.match.snapshot import Snapshot
from leadline.subscriptions import recovery
from leadline.subscriptions.holdings import Holdings

STEPS = [
    *((Bank, name) for name in ("add", "update", "remove")),
    *((Holdings, name) for name in ("note", "settle", "replace")),
]


def filled(*, is_whole: bool = False, count: int = 10) -> MadeUpSource:
    source = MadeUpSource(is_whole=is_whole)
    for number in range(count):
        source.tell(f"k{number}", 1)
    return source


def expected(source: MadeUpSource) -> dict[str, bytes]:
    return {key: md5_of(key, version) for key, version in source.live.items() if version not in (BAD, UNKNOWN)}


# --- kills ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_whole", [False, True])
def test_killed_at_any_step_the_next_pull_ends_with_the_identical_bank(tmp_path: Path, is_whole: bool) -> None:
    number, was_killed = 0, True
    while was_killed:
        folder = tmp_path / str(number)
        folder.mkdir()
        place, source = Place(folder), filled(is_whole=is_whole)
        for key in ("u1", "u2"):
            source.tell(key, UNKNOWN)
        place.pull(source)
        ids = {key: entry.id for key, entry in place.entries().items()}
        for key, version in (("k1", 2), ("k2", GONE), ("new", 1), ("k3", BAD), ("k4", GONE), ("other", 1)):
            source.tell(key, version)
        for key, version in (("u1", 1), ("u2", GONE), ("u3", UNKNOWN), ("k5", UNKNOWN)):
            source.tell(key, version)
        was_killed = False
        try:
            with killed_at(number, STEPS):
                place.pull(source, batch_records=3)
        except Killed:
            was_killed = True
        outcome = place.pull(source)
        assert place.md5s() == expected(source)
        assert [one.key for one in place.kept()] == ["k5", "u3"]
        assert is_sound(outcome)
        assert all(ids[key] == entry.id for key, entry in place.entries().items() if key in ids)
        number += 1
    assert number > 15


@pytest.mark.parametrize("is_whole", [False, True])
def test_an_entry_that_came_back_after_a_kill_is_there(tmp_path: Path, is_whole: bool) -> None:
    """Say the kill came between its removal and the note of it; by the next pull the source tells it again."""
    for number in range(12):
        folder = tmp_path / str(number)
        folder.mkdir()
        place, source = Place(folder), filled(is_whole=is_whole)
        place.pull(source)
        source.tell("k1", GONE)
        with suppress(Killed), killed_at(number, STEPS):
            place.pull(source)
        source.tell("k1", 1)
        place.pull(source)
        assert place.md5s() == expected(source), number


@pytest.mark.parametrize("when", ["after-add", "after-note"])
def test_after_a_kill_what_others_put_under_the_same_number_is_not_taken_for_ours(place: Place, when: str) -> None:
    source, bank = filled(count=3), place.bank()
    by_hand = Entry(Kind.ILLEGAL, {"md5": bytes(range(16))}, note="by hand")
    real = Holdings.note

    def note_then_others(holdings: Holdings, *arguments: Any) -> None:
        real(holdings, *arguments)
        place.bank().add([by_hand])
        if when == "after-note":
            raise Killed

    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        patch.setattr(Holdings, "note", note_then_others)
        if when == "after-add":
            patch.setattr(Holdings, "settle", lambda *a, **k: (_ for _ in ()).throw(Killed()))
        place.pull(source, bank)
    source.tell("k0", 2)
    place.pull(source)
    entries = list(place.bank().entries())
    assert [e.kind for e in entries if e.note] == [Kind.ILLEGAL]
    assert {e.source_id: e.fingerprints["md5"] for e in entries if not e.note} == expected(source)
    assert len(entries) == 4


def test_what_a_person_took_out_just_after_a_kill_stays_out(place: Place) -> None:
    source = filled(count=3)
    with suppress(Killed), killed_at(3, STEPS):  # noted, added, not settled
        place.pull(source)
    place.bank().remove([place.id_of("k1")])
    place.pull(source)
    assert set(place.md5s()) == {"k0", "k2"}


OPERATIONS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([1, 2, 3, BAD, GONE, GONE])), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rounds=st.lists(st.tuples(OPERATIONS, st.none() | st.integers(0, 25), st.integers(1, 5)), min_size=1, max_size=5),
    is_whole=st.booleans(),
    page_records=st.integers(1, 4),
)
def test_whatever_a_source_tells_and_wherever_it_is_cut_the_bank_ends_with_what_is_there(
    tmp_path_factory: pytest.TempPathFactory,
    rounds: list[tuple[list[tuple[str, int]], int | None, int]],
    is_whole: bool,
    page_records: int,
) -> None:
    place, source = (
        Place(tmp_path_factory.mktemp("history")),
        MadeUpSource(is_whole=is_whole, page_records=page_records),
    )
    for operations, cut, batch_records in rounds:
        for key, version in operations:
            source.tell(key, version)
        if cut is not None:
            with suppress(Killed), killed_at(cut, STEPS):
                place.pull(source, batch_records=batch_records)
            continue
        assert is_sound(place.pull(source, batch_records=batch_records))
        assert place.md5s() == expected(source)
    assert is_sound(place.pull(source))
    assert place.md5s() == expected(source)
    assert place.bank().verify() == []


# --- holdings that are lost, damaged, old -----------------------------------------------------------------------------


@pytest.mark.parametrize("is_whole", [False, True])
def test_without_its_holdings_a_bank_is_recognised_by_its_entries(place: Place, is_whole: bool) -> None:
    source = filled(is_whole=is_whole)
    place.pull(source)
    ids = {key: entry.id for key, entry in place.entries().items()}
    place.holdings_path.unlink()
    source.log = [one for one in source.log if one[0] != "k5"]  # gone while nobody looked, and not told as withdrawn
    outcome = place.pull(source)
    assert (outcome.added, outcome.withdrawn) == (0, 1)
    assert place.md5s() == expected(source)
    assert all(ids[key] == entry.id for key, entry in place.entries().items())


def test_a_bank_that_is_read_as_a_whole_is_let_go_piece_by_piece(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are mapped, and count as memory."""
    place.pull(filled(is_whole=False))
    place.holdings_path.unlink()
    monkeypatch.setattr(recovery, "_AT_ONCE", 2)
    did, cool, after = list[str](), Snapshot.cool, Bank.entries_after
    monkeypatch.setattr(Snapshot, "cool", lambda snapshot: (did.append("let go"), cool(snapshot))[1])
    monkeypatch.setattr(Bank, "entries_after", lambda bank, *asked: (did.append("read"), after(bank, *asked))[1])
    place.pull(filled(is_whole=False))
    assert did[:4] == ["read", "let go", "read", "let go"]


@pytest.mark.parametrize("where", ["head", "middle"])
def test_damaged_holdings_are_told_and_can_be_removed(place: Place, where: str) -> None:
    source = filled(count=2000)
    source.page_records = 500
    place.pull(source)
    raw = bytearray(place.holdings_path.read_bytes())
    at = 0 if where == "head" else 4096
    raw[at : at + 100_000] = random.Random(1).randbytes(len(raw[at : at + 100_000]))
    place.holdings_path.write_bytes(bytes(raw))
    source.tell("k1", GONE)
    with pytest.raises(ConfigError) as caught:
        place.pull(source)
    assert "remove the file" in caught.value.mend
    assert len(place.md5s()) == 2000
    place.holdings_path.unlink()
    place.pull(source)
    assert place.md5s() == expected(source)


def test_a_damaged_checkpoint_is_told(place: Place) -> None:
    place.pull(filled())
    with closing(sqlite3.connect(place.holdings_path)) as file, file:
        file.execute("UPDATE fact SET value = '{' WHERE name = 'checkpoint'")
    with pytest.raises(ConfigError, match="checkpoint"):
        place.pull(filled())


def test_holdings_of_a_newer_program_are_not_touched(place: Place) -> None:
    place.pull(filled())
    with closing(sqlite3.connect(place.holdings_path)) as file:
        file.execute("PRAGMA user_version = 9")
    with pytest.raises(ConfigError, match="newer"):
        place.pull(filled())


def test_holdings_from_an_old_copy_lead_to_no_doubles(place: Place, tmp_path: Path) -> None:
    source = filled()
    place.pull(source)
    shutil.copy(place.holdings_path, tmp_path / "old")
    source.tell("later", 1)
    source.tell("k1", GONE)
    source.tell("k1", 4)
    place.pull(source)
    shutil.copy(tmp_path / "old", place.holdings_path)
    place.pull(source)
    assert place.md5s() == expected(source)


# --- another bank, an older bank --------------------------------------------------------------------------------------


def test_a_bank_that_was_replaced_is_filled_from_the_beginning(place: Place) -> None:
    source = filled()
    place.pull(source)
    shutil.rmtree(place.bank_path)
    Bank.create(place.bank_path, name="SRC", kind=Kind.OTHER, clock=lambda: NOW_S, kinds={})
    assert place.pull(source).added == 10
    assert place.md5s() == expected(source)


@pytest.mark.parametrize("changes_after", [0, 30])
def test_a_bank_from_an_older_copy_gets_what_came_since(place: Place, tmp_path: Path, changes_after: int) -> None:
    """Also where people changed it afterwards, so that its version says nothing."""
    source = filled()
    place.pull(source)
    shutil.copytree(place.bank_path, tmp_path / "copy")
    source.tell("later", 1)
    source.tell("k1", GONE)
    source.tell("k2", 2)
    place.pull(source)
    shutil.rmtree(place.bank_path)
    shutil.copytree(tmp_path / "copy", place.bank_path)
    for number in range(changes_after):
        place.bank().add([Entry(Kind.OTHER, {"md5": bytes(14) + b"%2d" % number}, note="by hand")])
    place.pull(source)
    pulled = {e.source_id: e.fingerprints["md5"] for e in place.bank().entries() if not e.note}
    assert pulled == expected(source)


# --- the disk ---------------------------------------------------------------------------------------------------------


def test_with_one_kind_of_fingerprint_more_the_source_tells_its_list_again(place: Place) -> None:
    """Of a record that held nothing else, nothing is here."""

    def told(*plug_ins: str) -> int:
        kinds: Any = dict.fromkeys(plug_ins, object())
        return place.pull(source, Bank.open(place.bank_path, clock=lambda: NOW_S, kinds=kinds)).told

    source = filled()
    assert [told(), told(), told("tmk"), told("tmk"), told(), told("tmk", "vpdq")] == [10, 0, 10, 0, 0, 10]
    assert len(place.entries()) == 10


def test_a_full_disk_stops_the_pull_and_the_next_one_goes_on(place: Place) -> None:
    source = filled(count=400)
    source.page_records = 50
    with closing(Holdings(place.holdings_path)):
        pass
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Holdings, "__init__", _limited(Holdings.__init__))
        with pytest.raises(BankError, match="not noted"):
            place.pull(source, batch_records=50)
    assert set(place.md5s()) <= set(source.live)
    place.pull(source)
    assert place.md5s() == expected(source)


def _limited(real: Callable[..., None]) -> Callable[..., None]:
    def limited(self: Holdings, path: Path) -> None:
        real(self, path)
        self._file.execute("PRAGMA max_page_count = 9")  # what SQLite says then is what it says of a full disk

    return limited


def test_a_folder_that_cannot_be_written_is_told(place: Place, tmp_path: Path) -> None:
    place.holdings_path = tmp_path / "absent" / "holdings.sqlite"
    with pytest.raises(BankError) as caught:
        place.pull(filled())
    assert str(place.holdings_path) in caught.value.where
    assert place.md5s() == {}
