"""What subscribers were told is written down once, in order, whole or not at all, and is the same for every worker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leadline.errors import BankCorrupt, BankError
from leadline.match.folder import PUBLISHED, is_bank_file, remove_leftovers
from leadline.match.readers import GONE, VIDEO
from leadline.service.told import AHEAD_S, Journal, Telling


class Moment:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def telling(*entries: tuple[int, int, int]) -> Telling:
    """(id, state, print) of each."""
    ids, states, prints = zip(*entries, strict=True) if entries else ((), (), ())
    return Telling(np.array(ids, np.int64), np.array(states, np.uint8), np.array(prints, np.uint64))


def tell(journal: Journal, version: int, *entries: tuple[int, int, int], gone: tuple[int, ...] = ()) -> int:
    told = telling(*entries)
    touched = np.union1d(told.ids, np.array(gone, np.int64))
    return journal.tell(told, touched, version=version, rule="r", at_all_events=False)


def rows(journal: Journal) -> list[tuple[int, int, int, bool]]:
    found, _ = journal.read()
    columns = found.ids, found.at, found.states, found.is_latest
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.fixture
def moment() -> Moment:
    return Moment()


@pytest.fixture
def journal(tmp_path: Path, moment: Moment) -> Journal:
    return Journal(tmp_path, clock=moment)


def test_a_change_is_dated_after_all_that_could_have_been_asked_for_before(journal: Journal, moment: Moment) -> None:
    _, safe_until = journal.read()
    assert tell(journal, 1, (7, 0, 1)) == 1
    first = int(moment.now) + AHEAD_S + 1
    assert rows(journal) == [(7, first, 0, True)]
    assert first > safe_until


def test_what_was_told_is_not_told_again(journal: Journal) -> None:
    assert tell(journal, 1, (7, 0, 1), (8, 0, 2)) == 2
    assert tell(journal, 2, (7, 0, 1), (8, 0, 2)) == 0
    assert tell(journal, 3, (7, 0, 3)) == 1
    assert [(row[0], row[3]) for row in rows(journal)] == [(7, False), (8, True), (7, True)]


def test_an_entry_that_is_gone_leaves_a_tombstone_of_its_own_sort_once(journal: Journal) -> None:
    tell(journal, 1, (7, 0, 1), (8, VIDEO, 2))
    assert tell(journal, 2, gone=(7, 8, 9)) == 2
    assert tell(journal, 3, gone=(7, 8, 9)) == 0
    assert [row[2] for row in rows(journal)] == [0, VIDEO, GONE, GONE | VIDEO]
    assert journal.told_ids().tolist() == []
    tell(journal, 4, (7, 0, 1))
    assert journal.told_ids().tolist() == [7]


def test_times_never_fall_where_the_clock_is_set_back_a_little(journal: Journal, moment: Moment) -> None:
    tell(journal, 1, (7, 0, 1))
    moment.now += 50
    _, safe_until = journal.read()
    moment.now -= 100
    tell(journal, 2, (8, 0, 1))
    first, second = rows(journal)
    assert second[1] > safe_until > first[1]


def test_rows_far_ahead_of_the_clock_are_an_error_and_not_more_of_them(journal: Journal, moment: Moment) -> None:
    tell(journal, 1, (7, 0, 1))
    moment.now -= 86_400
    with pytest.raises(BankError, match="dated after now"):
        tell(journal, 2, (8, 0, 1))
    assert [row[0] for row in rows(journal)] == [7]
    moment.now += 86_400
    assert tell(journal, 2, (8, 0, 1)) == 1


def test_a_range_is_exclusive_at_its_begin_and_inclusive_at_its_end(journal: Journal, moment: Moment) -> None:
    for version in (1, 2, 3):
        tell(journal, version, (version, 0, 1))
        moment.now += 10
    found, _ = journal.read()
    at = found.at.tolist()
    assert found.range_of(at[0], at[1]) == (1, 2)
    assert found.range_of(at[0] - 1, at[2]) == (0, 3)
    assert found.range_of(at[2], at[0]) == (3, 3)


def test_another_worker_reads_on_and_goes_on(journal: Journal, tmp_path: Path, moment: Moment) -> None:
    other = Journal(tmp_path, clock=moment)
    tell(journal, 1, (7, 0, 1))
    assert rows(other) == rows(journal)
    tell(other, 2, (5, 0, 1), gone=(7,))
    assert rows(journal) == rows(other)
    assert (journal.version, journal.rule) == (2, "r")
    assert tell(journal, 2, (5, 0, 1), gone=(7,)) == 0


def test_a_started_worker_knows_what_many_changes_left(journal: Journal, tmp_path: Path) -> None:
    for version in range(1, 40):
        tell(journal, version, (version % 5, 0, version))
    again = Journal(tmp_path)
    assert rows(again) == rows(journal)
    assert sum(row[3] for row in rows(again)) == 5


def test_a_row_that_was_cut_off_is_not_there_and_is_told_again(
    journal: Journal, tmp_path: Path, moment: Moment
) -> None:
    tell(journal, 1, (7, 0, 1))
    whole = (tmp_path / PUBLISHED).stat().st_size
    tell(journal, 2, (8, 0, 2))
    with (tmp_path / PUBLISHED).open("r+b") as file:
        file.truncate(whole + 100)
    after = Journal(tmp_path, clock=moment)
    assert [row[0] for row in rows(after)] == [7]
    assert tell(after, 2, (8, 0, 2)) == 1
    assert [row[0] for row in rows(Journal(tmp_path))] == [7, 8]


def test_damage_is_told_and_not_read(journal: Journal, tmp_path: Path) -> None:
    tell(journal, 1, (7, 0, 1))
    tell(journal, 2, (8, 0, 2))
    with (tmp_path / PUBLISHED).open("r+b") as file:
        file.seek(200)
        file.write(b"\xff" * 8)
    with pytest.raises(BankCorrupt):
        Journal(tmp_path).read()


def test_a_file_put_back_from_a_copy_is_read_anew(journal: Journal, tmp_path: Path) -> None:
    tell(journal, 1, (7, 0, 1))
    copy = (tmp_path / PUBLISHED).read_bytes()
    tell(journal, 2, (8, 0, 2))
    (tmp_path / PUBLISHED).write_bytes(copy)
    assert [row[0] for row in rows(journal)] == [7]


def test_it_lies_in_the_bank_folder_and_stays_there(journal: Journal, tmp_path: Path) -> None:
    tell(journal, 1, (7, 0, 1))
    there = sorted(path.name for path in tmp_path.iterdir())
    assert all(is_bank_file(name) for name in there)
    assert remove_leftovers(tmp_path, set()) == []
    assert PUBLISHED in there
