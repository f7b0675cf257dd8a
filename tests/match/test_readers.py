"""Who read a published bank is told from the files that the service writes beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leadline.errors import BankCorrupt
from leadline.match.folder import PUBLISHED, SUBSCRIBERS
from leadline.match.readers import GONE, Reader, names_of, readers_of
from leadline.service.subscribers import Subscribers
from leadline.service.tokens import Scope, Token
from leadline.service.told import Journal, Telling

NOW_S = 1_800_000_000


def tell(folder: Path, at: int, entry: int, *, gone: bool = False) -> None:
    """One row of the service's journal, dated three seconds later."""
    journal = Journal(folder, clock=lambda: at)
    ids = np.array([] if gone else [entry], np.int64)
    states, prints = np.zeros(len(ids), np.uint8), np.full(len(ids), 7, np.uint64)
    journal.tell(Telling(ids, states, prints), np.array([entry], np.int64), version=at, rule="r", at_all_events=False)


def read(folder: Path, name: str, at: int, until: int) -> None:
    token = Token("aaaaaaaa", name, frozenset({Scope.SUBSCRIBE}), "", 0)
    Subscribers(folder, clock=lambda: at).note_read(token, until, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Entry 4 is told at NOW_S + 103, and told to be gone at NOW_S + 203."""
    tell(tmp_path, NOW_S, 3)
    tell(tmp_path, NOW_S + 100, 4)
    tell(tmp_path, NOW_S + 200, 4, gone=True)
    read(tmp_path, "Early", NOW_S + 50, NOW_S + 102)
    read(tmp_path, "Between", NOW_S + 150, NOW_S + 103)
    read(tmp_path, "Twice", NOW_S + 50, NOW_S + 50)
    read(tmp_path, "Twice", NOW_S + 300, NOW_S + 300)
    return tmp_path


def test_who_read_since_an_entry_was_told_is_listed_with_the_last_time(folder: Path) -> None:
    assert readers_of(folder, {4}) == [Reader("Between", NOW_S + 150), Reader("Twice", NOW_S + 300)]
    assert [reader.name for reader in readers_of(folder, {3, 4})] == ["Between", "Early", "Twice"]


def test_an_entry_that_was_never_told_reached_nobody(folder: Path) -> None:
    assert readers_of(folder, {5}) == []
    assert GONE == 2  # as the files of older versions have it


def test_a_bank_that_is_not_published_has_no_readers(tmp_path: Path) -> None:
    assert readers_of(tmp_path, {4}) == []
    assert names_of(tmp_path) == []


def test_a_half_line_and_what_is_no_reading_are_passed_over(folder: Path) -> None:
    with (folder / SUBSCRIBERS).open("ab") as file:
        file.write(b'{"act":"feedback","member":"Other","at":1}\n{"act":"read","mem')
    assert names_of(folder) == ["Between", "Early", "Twice"]


def test_a_damaged_file_is_not_taken_for_an_empty_one(folder: Path) -> None:
    path = folder / PUBLISHED
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(BankCorrupt):
        readers_of(folder, {4})
