"""The banks of a worker: what lies on the shelf, what is damaged, and what goes on all the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.service.conftest import MD5

from leadline.domain import Entry, Kind
from leadline.errors import BankNotFound, ConfigError, LeadlineError, RequestRefused
from leadline.match.bank import Bank
from leadline.match.manifest import FILE_NAME
from leadline.service.batcher import Query, search
from leadline.service.lists import Lists

KNOWN = Query("md5", bytes.fromhex(MD5))


def entries(lists: Lists, query: Query = KNOWN, names: tuple[str, ...] | None = None) -> list[int]:
    (answer,) = search(lists.matcher(names), [query])
    return [match.entry for match in answer.matches]


def damage(folder: Path) -> None:
    """As a writer does who replaces the manifest, and fails at it."""
    (folder / "new").write_bytes(b"{")
    (folder / "new").replace(folder / FILE_NAME)


def test_a_bank_that_is_made_later_is_found_and_one_that_is_taken_away_is_gone(shelf: Path) -> None:
    lists = Lists((), shelf=shelf)
    assert dict(lists.opened.versions) == {"harmless": 1, "known": 2}
    more = Bank.create(shelf / "more", name="more", kind=Kind.ILLEGAL)
    more.add([Entry(Kind.ILLEGAL, {"md5": bytes.fromhex(MD5)}, 70)])
    assert lists.refresh() == {"more": 1}
    assert sorted(entries(lists)) == [7, 70]
    shutil.rmtree(shelf / "more")
    lists.refresh()
    assert entries(lists) == [7]
    with pytest.raises(BankNotFound):
        lists.bank("more")


def test_a_search_makes_nothing_ready_that_a_refresh_can(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = Lists((), shelf=shelf)
    writer = Bank.open(shelf / "known")
    writer.merge()
    writer.remove([7])
    writer.add([Entry(Kind.ILLEGAL, {"md5": bytes.fromhex(MD5), "pdq": b"p" * 32}, 70)])
    lists.refresh()

    def refuse(*_: object) -> None:
        raise AssertionError("made by a search")

    monkeypatch.setattr("leadline.match.segment.Mask", refuse)
    monkeypatch.setattr("leadline.match.segment.build_index_sections", refuse)
    assert entries(lists) == [70]


def test_a_bank_that_is_damaged_goes_on_as_it_was_and_is_named(shelf: Path) -> None:
    lists = Lists((), shelf=shelf)
    damage(shelf / "known")
    lists.refresh()
    assert list(lists.faults) == ["known"]
    assert entries(lists) == [7]


def test_a_bank_that_was_never_whole_keeps_the_service_from_starting_where_it_was_named(shelf: Path) -> None:
    damage(shelf / "known")
    with pytest.raises(LeadlineError):
        Lists([shelf / "known"])
    on_the_shelf = Lists((), shelf=shelf)  # one of several: the others serve, and it is told
    assert (list(on_the_shelf.faults), list(on_the_shelf.opened.versions)) == (["known"], ["harmless"])


def test_two_banks_of_one_name_are_a_fault_and_neither_is_searched_twice(shelf: Path, tmp_path: Path) -> None:
    lists = Lists((), shelf=shelf)
    Bank.create(shelf / "twin", name="known", kind=Kind.OTHER)
    lists.refresh()
    assert list(lists.faults) == ["known in twin"]
    assert entries(lists) == [7]


def test_matchers_follow_what_is_open(shelf: Path) -> None:
    lists = Lists((), shelf=shelf)
    assert lists.matcher(("known",)) is lists.matcher(("known",))
    assert entries(lists, names=("harmless",)) == []
    with pytest.raises(BankNotFound):
        lists.matcher(("absent",))
    with pytest.raises(ConfigError):
        lists.matcher(None, 65)


def test_without_a_shelf_there_is_no_place_for_new_banks(shelf: Path) -> None:
    with pytest.raises(RequestRefused, match="no place for new banks"):
        _ = Lists([shelf / "known"]).shelf
