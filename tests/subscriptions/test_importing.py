"""Pages of a source into a bank: new, changed, withdrawn, left out, refused; and what people did here stays."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.subscriptions.conftest import Place, is_sound
from tests.subscriptions.sources import BAD, GONE, OTHER_LABEL, MadeUpSource, md5_of, record_of

from leadline.domain import Entry, Kind
from leadline.errors import BankLocked, HashRefused, ListFormatError, SourceShrank, SourceUnavailable
from leadline.exchange.connector import Page, Record
from leadline.match.bank import Bank
from leadline.match.snapshot import Snapshot
from leadline.subscriptions import importing
from leadline.subscriptions.importing import Outcome


@pytest.fixture
def source() -> MadeUpSource:
    made = MadeUpSource()
    for number in range(7):
        made.tell(f"k{number}", 1)
    return made


def test_a_list_is_pulled_and_changes_follow(place: Place, source: MadeUpSource) -> None:
    first = place.pull(source)
    assert (first.told, first.added, first.pages, first.is_complete) == (7, 7, 3, True)
    before = place.id_of("k2")
    source.tell("k2", 2)
    source.tell("k3", GONE)
    source.tell("k9", 1)
    source.tell("never", GONE)
    then = place.pull(source)
    assert (then.changed, then.withdrawn, then.added, then.absent) == (1, 1, 1, 1)
    assert is_sound(then)
    assert place.md5s() == {key: md5_of(key, version) for key, version in source.live.items()}
    assert place.id_of("k2") == before


def test_of_several_states_on_one_page_the_last_counts(place: Place) -> None:
    source = MadeUpSource(page_records=10)
    for version in (1, GONE, 2):
        source.tell("k", version)
    outcome = place.pull(source)
    assert (outcome.told, outcome.added, outcome.same) == (3, 1, 2)
    assert place.md5s() == {"k": md5_of("k", 2)}


def test_what_a_whole_list_no_longer_tells_is_removed(place: Place, source: MadeUpSource) -> None:
    source.is_whole = True
    place.pull(source)
    source.tell("k0", GONE)
    outcome = place.pull(source)
    assert (outcome.told, outcome.same, outcome.withdrawn) == (7, 6, 1)
    assert "k0" not in place.md5s()


def test_a_page_that_is_a_whole_list_goes_in_in_pieces(place: Place) -> None:
    source = MadeUpSource(page_records=100)
    for number in range(25):
        source.tell(f"k{number}", 1)
    outcome = place.pull(source, batch_records=4)
    assert outcome.added == 25
    assert place.bank().list_version == 6  # the last with a rest that is less than a piece
    assert len(place.md5s()) == 25


def test_of_a_long_list_only_little_lies_in_the_log_whatever_its_pages(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log lies in memory."""
    for name, value in (("BATCH_RECORDS", 10), ("LONG_BATCH_RECORDS", 40), ("_MOST_IN_LOG", 20)):
        monkeypatch.setattr(importing, name, value)
    source = MadeUpSource(page_records=7)
    for number in range(300):
        source.tell(f"k{number}", 1)
    assert place.pull(source, batch_records=10).added == 300
    snapshot = place.bank().snapshot
    assert (len(snapshot.stored), sum(table.alive_count for table in snapshot.recent)) == (7, 14)


def test_of_many_changes_only_some_lie_in_the_log(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each lies in memory until the bank is merged."""
    monkeypatch.setattr(importing, "_MERGED_FROM", 30)
    source, bank, recent = MadeUpSource(page_records=10), place.bank(), list[int]()
    for version in (1, 2):
        for number in range(100):
            source.tell(f"k{number}", version)

    def note(_: Outcome) -> None:
        recent.append(sum(table.records.count for table in bank.snapshot.recent))

    outcome = place.pull(source, bank, batch_records=10, say=note)
    assert (outcome.added, outcome.changed, is_sound(outcome)) == (100, 100, True)
    assert max(recent) <= 40
    assert place.md5s() == {key: md5_of(key, 2) for key in source.live}


def test_what_changes_is_read_in_the_order_of_the_disk_and_let_go(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever order the source has: else the files of the bank, mapped, lie in memory as a whole."""
    source, did = MadeUpSource(page_records=100), list[int]()
    for number in range(100):
        source.tell(f"k{number}", 1)
    place.pull(source)
    for number in range(100):
        source.tell(f"k{(number * 37) % 100}", 2)
    monkeypatch.setattr(importing, "_READ_AT_ONCE", 10)
    get, cool = Bank.get, Snapshot.cool
    monkeypatch.setattr(Bank, "get", lambda bank, entry_id: (did.append(entry_id), get(bank, entry_id))[1])
    monkeypatch.setattr(Snapshot, "cool", lambda snapshot: (did.append(0), cool(snapshot))[1])
    assert place.pull(source).changed == 100
    assert place.md5s() == {key: md5_of(key, 2) for key in source.live}
    tens = [[0, *range(first, first + 10)] for first in range(1, 101, 10)]
    assert did[did.index(0) :] == [*itertools.chain(*tens), 0]


def test_labels_have_kinds_of_their_own_or_are_left_out(place: Place, source: MadeUpSource) -> None:
    source.tell("o", OTHER_LABEL)
    outcome = place.pull(source, label_kinds={"other": None, "some": Kind.EXPLOITATIVE})
    assert (outcome.left_out, is_sound(outcome)) == (1, True)
    assert {entry.kind for entry in place.entries().values()} == {Kind.EXPLOITATIVE}
    assert "o" not in place.md5s()


def test_other_terms_make_the_source_tell_everything_again(place: Place, source: MadeUpSource) -> None:
    place.pull(source, terms="one")
    assert place.pull(source, terms="one").told == 0
    again = place.pull(source, terms="two", label_kinds={"some": Kind.BENIGN})
    assert (again.changed, again.added) == (7, 0)
    assert {entry.kind for entry in place.entries().values()} == {Kind.BENIGN}


# --- bad input --------------------------------------------------------------------------------------------------------


def test_a_record_that_no_bank_takes_is_refused_with_its_name_and_the_rest_goes_on(place: Place) -> None:
    source = MadeUpSource()
    for key, version in (("good", 1), ("bad", BAD), ("other", 1)):
        source.tell(key, version)
    outcome = place.pull(source)
    assert (outcome.added, outcome.refused, is_sound(outcome)) == (2, 1, True)
    assert [error.where for error in outcome.faults] == ["bad, md5"]
    assert set(place.md5s()) == {"good", "other"}


def test_an_entry_whose_new_state_no_bank_takes_is_removed(place: Place, source: MadeUpSource) -> None:
    place.pull(source)
    source.tell("k1", BAD)
    outcome = place.pull(source)
    assert (outcome.refused, outcome.changed, is_sound(outcome)) == (1, 0, True)
    assert "k1" not in place.md5s()
    source.tell("k1", 3)
    assert place.pull(source).added == 1


def test_single_hashes_of_a_record_are_refused_apart(place: Place) -> None:
    record = record_of("k", 1)
    assert record.entry is not None
    entry = msgspec.structs.replace(record.entry, fingerprints={"md5": md5_of("k", 1), "sha1": b"short"})
    page = Page([msgspec.structs.replace(record, entry=entry)], {"at": 1}, [HashRefused("of the reader")], is_last=True)
    outcome = place.pull(_Pages([page]))
    assert (outcome.added, outcome.refused, outcome.refused_hashes) == (1, 0, 2)


@pytest.mark.parametrize("key", ["", "x" * 1001, "a\nb", "\ud800"])
def test_a_record_without_a_usable_name_is_refused(place: Place, key: str) -> None:
    page = Page([Record(key, bytes(32), record_of("k", 1).entry), record_of("k", 1)], {"at": 1}, is_last=True)
    outcome = place.pull(_Pages([page]))
    assert (outcome.added, outcome.refused, is_sound(outcome)) == (1, 1, True)


def test_an_entry_has_the_name_of_its_record(place: Place) -> None:
    entry = msgspec.structs.replace(record_of("k", 1).entry or Entry(Kind.OTHER, {}), source_id="")
    place.pull(_Pages([Page([Record("k", bytes(32), entry)], {"at": 1}, is_last=True)]))
    assert list(place.md5s()) == ["k"]


def test_first_seen_is_what_the_source_says_else_the_earliest_time_that_it_told(place: Place) -> None:
    def pull(at: int, *, first: int = 0, last: int = 0) -> int:
        record = record_of("k", at)
        entry = msgspec.structs.replace(record.entry or Entry(Kind.OTHER, {}), first_seen=first, last_seen=last)
        record = msgspec.structs.replace(record, entry=entry)
        place.pull(_Pages([Page([record], {"at": at}, is_last=True)]))
        assert place.entries()["k"].last_seen == last
        return place.entries()["k"].first_seen

    assert pull(1) == 0
    assert pull(2, last=200) == 200
    assert pull(3, last=300) == 200
    assert pull(4, last=100) == 100
    assert pull(5) == 100
    assert pull(6, first=250, last=400) == 250, "the source's own word counts, a later one too"
    assert pull(7, last=500) == 250


def test_unknown_things_and_reasons_without_end_fill_no_memory(place: Place) -> None:
    names = {f"tag {number}": 2 for number in range(5000)}
    faults = [ListFormatError(f"odd {number}") for number in range(5000)]
    outcome = place.pull(_Pages([Page([], {"at": 1}, faults, names, is_last=True)]))
    assert (len(outcome.unknown), outcome.unknown.total()) == (201, 10_000)
    assert (len(outcome.reasons), outcome.reasons.total(), len(outcome.faults)) == (201, 5000, 1000)
    assert outcome.refused == 5000


def test_hashes_refused_without_end_do_not_mix_up_the_others(place: Place) -> None:
    many = {f"kind{number}": b"" for number in range(12)}
    records = []
    for number in range(1000):
        record = record_of(f"k{number}", BAD if number % 3 == 0 else 1)
        assert record.entry is not None
        entry = msgspec.structs.replace(record.entry, fingerprints={**record.entry.fingerprints, **many})
        records.append(msgspec.structs.replace(record, entry=entry))
    outcome = place.pull(_Pages([Page(records, {"at": 1}, is_last=True)]))
    assert (outcome.added, outcome.refused, is_sound(outcome)) == (666, 334, True)
    source = MadeUpSource()
    source.tell("k1", GONE)
    with_one_less = {key: md5_of(key, 1) for key in (f"k{n}" for n in range(1000) if n % 3) if key != "k1"}
    place.pull(_Pages([Page([record_of("k1", GONE)], {"at": 2}, is_last=True)]))
    assert place.md5s() == with_one_less


# --- the source breaks off, the bank refuses --------------------------------------------------------------------------


def test_what_came_before_the_source_broke_off_is_kept(place: Place, source: MadeUpSource) -> None:
    source.breaks_after = 2
    with pytest.raises(SourceUnavailable):
        place.pull(source)
    assert len(place.md5s()) == 6
    source.breaks_after = None
    assert place.pull(source).told == 1
    assert len(place.md5s()) == 7


def test_a_batch_that_the_bank_refused_is_told_again(place: Place, source: MadeUpSource) -> None:
    """The checkpoint must not pass what was never applied."""
    held = place.bank()
    with held._writer.writing(), pytest.raises(BankLocked):
        place.pull(source)
    assert place.md5s() == {}
    assert place.pull(source).added == 7


def test_a_page_without_an_end_is_not_called_complete(place: Place) -> None:
    outcome = place.pull(_Pages([Page([record_of("k", 1)], {"at": 1})]))
    assert (outcome.added, outcome.is_complete) == (1, False)


# --- a list that shrinks ----------------------------------------------------------------------------------------------


@pytest.fixture
def long_source(place: Place) -> MadeUpSource:
    source = MadeUpSource(is_whole=True, page_records=50)
    for number in range(300):
        source.tell(f"k{number}", 1)
    place.pull(source)
    return source


def test_a_whole_list_that_lost_most_removes_nothing_until_a_person_says_so(
    place: Place, long_source: MadeUpSource
) -> None:
    for number in range(200):
        long_source.tell(f"k{number}", GONE)
    for _ in range(2):
        with pytest.raises(SourceShrank):
            place.pull(long_source)
        assert len(place.md5s()) == 300
    assert place.pull(long_source, allow_shrink=True).withdrawn == 200
    assert len(place.md5s()) == 100


def test_after_a_refused_shrinking_a_full_list_goes_on_as_before(place: Place, long_source: MadeUpSource) -> None:
    for number in range(200):
        long_source.tell(f"k{number}", GONE)
    with pytest.raises(SourceShrank):
        place.pull(long_source)
    for number in range(200):
        long_source.tell(f"k{number}", 1)
    outcome = place.pull(long_source)
    assert (outcome.same, outcome.withdrawn) == (300, 0)


def test_a_whole_list_that_lost_less_than_half_is_followed(place: Place, long_source: MadeUpSource) -> None:
    for number in range(140):
        long_source.tell(f"k{number}", GONE)
    assert place.pull(long_source).withdrawn == 140


# --- dry runs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_whole", [False, True])
def test_a_dry_run_counts_what_a_pull_would_do_and_does_nothing(place: Place, is_whole: bool) -> None:
    source = MadeUpSource(is_whole=is_whole)
    for number in range(8):
        source.tell(f"k{number}", 1)
    assert place.pull(source, is_dry=True).added == 8
    assert place.bank().count == 0
    place.pull(source)
    version = place.bank().list_version
    for key, version_of in (("k0", 2), ("k1", GONE), ("new", 1)):
        source.tell(key, version_of)
    dry = place.pull(source, is_dry=True)
    assert place.bank().list_version == version
    assert dataclasses.replace(place.pull(source)) == dry
    assert is_sound(dry)


def test_a_dry_run_tells_that_a_list_shrank(place: Place, long_source: MadeUpSource) -> None:
    for number in range(200):
        long_source.tell(f"k{number}", GONE)
    with pytest.raises(SourceShrank):
        place.pull(long_source, is_dry=True)
    assert place.pull(long_source, is_dry=True, allow_shrink=True).withdrawn == 200


# --- what people did here ---------------------------------------------------------------------------------------------


def test_an_entry_that_a_person_took_out_stays_out(place: Place, source: MadeUpSource) -> None:
    place.pull(source)
    place.bank().remove([place.id_of("k1")])
    source.tell("k1", 2)
    outcome = place.pull(source)
    assert (outcome.left_out, is_sound(outcome)) == (1, True)
    assert "k1" not in place.md5s()
    source.tell("k1", GONE)
    assert place.pull(source).absent == 1


def test_an_entry_that_a_person_suspended_stays_so(place: Place, source: MadeUpSource) -> None:
    place.pull(source)
    entry = place.entries()["k1"]
    place.bank().update([msgspec.structs.replace(entry, disabled_until=2**40)])
    source.tell("k1", 2)
    place.pull(source)
    now = place.entries()["k1"]
    assert (now.disabled_until, now.fingerprints["md5"]) == (2**40, md5_of("k1", 2))


def test_a_suspension_in_the_middle_of_a_pull_is_not_lost(
    place: Place, source: MadeUpSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.pull(source)
    source.tell("k1", 2)
    real = Bank.update

    def suspend_then_update(bank: Bank, entries: Any) -> Any:
        monkeypatch.setattr(Bank, "update", real)
        place.bank().update([msgspec.structs.replace(place.entries()["k1"], disabled_until=2**40)])
        return real(bank, entries)

    monkeypatch.setattr(Bank, "update", suspend_then_update)
    place.pull(source)
    assert place.entries()["k1"].disabled_until == 2**40


def test_what_a_person_added_by_hand_is_left_alone(place: Place, source: MadeUpSource) -> None:
    source.is_whole = True
    place.bank().add([Entry(Kind.ILLEGAL, {"md5": bytes(range(16))}, source_id="by hand")])
    place.pull(source)
    source.tell("k1", GONE)
    place.pull(source)
    assert place.entries()["by hand"].kind is Kind.ILLEGAL


def test_entries_added_by_others_in_the_middle_of_a_pull_keep_their_ids(place: Place, source: MadeUpSource) -> None:
    bank = place.bank()
    pages = source.pull(None)

    def interfered() -> Iterator[Page]:
        for page in pages:
            place.bank().add([Entry(Kind.OTHER, {"md5": bytes(15) + b"x"}, note="by hand")])
            yield page

    class Interfered(MadeUpSource):
        def pull(self, checkpoint: Any) -> Iterator[Page]:
            return interfered()

    place.pull(Interfered(), bank, batch_records=1)
    source.tell("k1", GONE)
    place.pull(source)
    by_hand = [entry for entry in place.bank().entries() if entry.note == "by hand"]
    assert len(by_hand) == 3
    assert {e.source_id for e in place.bank().entries() if e.source_id} == set(source.live)


class _Pages(MadeUpSource):
    def __init__(self, pages: list[Page]) -> None:
        super().__init__()
        self._pages = pages

    def pull(self, checkpoint: Any) -> Iterator[Page]:
        yield from self._pages


def test_progress_is_told(place: Place, source: MadeUpSource) -> None:
    told: list[int] = []

    def say(outcome: Outcome) -> None:
        told.append(outcome.told)

    place.pull(source, say=say)
    assert (told[0], told[-1]) == (3, 7)
