"""Records whose fingerprints are all of kinds that nobody here knows: kept beside the bank until they are withdrawn."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from tests.subscriptions.conftest import Place, is_sound
from tests.subscriptions.sources import GONE, OTHER_UNKNOWN, UNKNOWN, MadeUpSource, record_of

from leadline.subscriptions import importing
from leadline.subscriptions.holdings import Holdings, Kept


@pytest.fixture
def source() -> MadeUpSource:
    """Three records that can be compared, two that cannot."""
    made = MadeUpSource()
    for key, version in (("a", 1), ("u1", UNKNOWN), ("b", 1), ("u2", UNKNOWN), ("c", 1)):
        made.tell(key, version)
    return made


def _kept(key: str, version: int = UNKNOWN) -> Kept:
    return Kept(key, "made-up", f"print {version}", record_of(key, version).digest)


def test_they_are_kept_with_key_kind_value_and_digest_and_are_no_entries(place: Place, source: MadeUpSource) -> None:
    outcome = place.pull(source)
    assert (outcome.told, outcome.added, outcome.kept, outcome.absent) == (5, 3, 2, 0)
    assert is_sound(outcome)
    assert place.kept() == [_kept("u1"), _kept("u2")]
    assert set(place.md5s()) == {"a", "b", "c"}


def test_told_again_they_are_the_same_and_changed_they_are_others(place: Place, source: MadeUpSource) -> None:
    place.pull(source)
    source.tell("u1", UNKNOWN)
    source.tell("u2", OTHER_UNKNOWN)
    outcome = place.pull(source)
    assert (outcome.told, outcome.same, outcome.kept, is_sound(outcome)) == (2, 1, 1, True)
    assert place.kept() == [_kept("u1"), _kept("u2", OTHER_UNKNOWN)]


def test_what_the_source_withdraws_is_kept_no_longer(place: Place, source: MadeUpSource) -> None:
    place.pull(source)
    source.tell("u1", GONE)
    outcome = place.pull(source)
    assert (outcome.withdrawn, outcome.absent, is_sound(outcome)) == (1, 0, True)
    assert place.kept() == [_kept("u2")]


@pytest.mark.parametrize("is_dry", [False, True])
def test_what_a_whole_list_no_longer_tells_is_kept_no_longer(place: Place, source: MadeUpSource, is_dry: bool) -> None:
    source.is_whole = True
    place.pull(source)
    source.tell("u1", GONE)
    outcome = place.pull(source, is_dry=is_dry)
    assert (outcome.told, outcome.same, outcome.withdrawn, is_sound(outcome)) == (5, 4, 1, True)
    assert place.kept() == ([_kept("u1"), _kept("u2")] if is_dry else [_kept("u2")])


def test_one_that_can_be_compared_later_becomes_an_entry_and_back(place: Place, source: MadeUpSource) -> None:
    place.pull(source)
    source.tell("u1", 2)
    outcome = place.pull(source)
    assert (outcome.added, outcome.withdrawn, is_sound(outcome)) == (1, 0, True)
    assert (place.kept(), "u1" in place.md5s()) == ([_kept("u2")], True)
    source.tell("u1", UNKNOWN)
    outcome = place.pull(source)
    assert (outcome.withdrawn, outcome.kept, is_sound(outcome)) == (1, 0, True)
    assert (place.kept(), "u1" in place.md5s()) == ([_kept("u1"), _kept("u2")], False)


def test_a_source_of_them_alone_is_told_whole_where_its_terms_are_others(place: Place) -> None:
    source = MadeUpSource()
    source.tell("u1", UNKNOWN)
    source.tell("u2", UNKNOWN)
    place.pull(source, terms="one")
    source.log.pop()
    assert place.pull(source, terms="two").withdrawn == 1
    assert place.kept() == [_kept("u1")]


def test_long_ones_do_not_wait_in_memory(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_MOST_KEPT_CHARS", 20)
    source, waited = MadeUpSource(page_records=1), []
    for number in range(9):
        source.tell(f"u{number}", UNKNOWN)
    with closing(Holdings(place.holdings_path)) as holdings:
        importer = importing.Importer(place.bank(), holdings, say=lambda _: waited.append(len(importer._waiting)))
        importer.run(source.pull(None))
    assert max(waited) <= 3
    assert len(place.kept()) == 9


def test_holdings_of_before_have_the_source_tell_its_list_again(place: Place, source: MadeUpSource) -> None:
    place.pull(source)
    with closing(sqlite3.connect(place.holdings_path)) as file:
        file.executescript("DROP TABLE kept; DROP TABLE large; DROP TABLE loose; PRAGMA user_version = 1;")
    outcome = place.pull(source)
    assert (outcome.told, outcome.same, outcome.kept) == (5, 3, 2)
    assert place.kept() == [_kept("u1"), _kept("u2")]
