"""The list of the first minute."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.connector import DEFAULTS, Clock, Given, ListContract, Subscriber

from leadline.exchange.connector import Options
from leadline.exchange.sample import Sample
from leadline.match.matcher import Matcher

NO_MOCK: Any = None


@pytest.fixture
def given() -> Given:
    clock = Clock()

    def connect() -> Sample:
        return Sample(Options(), {}, DEFAULTS, clock=clock, sleep=clock.sleep)

    return Given(connect, clock, NO_MOCK)


@pytest.fixture
def subscriber(tmp_path: Path, given: Given) -> Subscriber:
    return Subscriber(tmp_path / "here", given)


class TestSample(ListContract):
    """Its list is fixed and is told in two pages: nothing can be planted in it, and its second pull withdraws one entry
    whatever the test asks for, as the tests below say."""

    paged = False
    test_a_second_pull_changes_nothing = None
    test_what_the_source_withdrew_is_gone_and_matches_no_more = None
    test_what_nobody_here_knows_is_counted_and_costs_nothing = None
    test_a_hash_of_a_wrong_length_is_refused_with_its_place = None
    test_hashes_in_capital_letters_are_the_same = None

    @pytest.fixture
    def mock(self) -> None:
        """There is none."""


def test_the_second_pull_withdraws_an_entry_and_later_ones_find_nothing(subscriber: Subscriber) -> None:
    first = subscriber.pull()
    assert (first.is_complete, first.added) == (True, first.total)
    whole = subscriber.entries()
    second = subscriber.pull()
    assert (second.told, second.withdrawn) == (1, 1)
    assert whole.keys() - subscriber.entries().keys() == {"rfc1321-digits"}
    assert subscriber.pull().told == 0


def test_it_knows_the_file_of_its_example(subscriber: Subscriber) -> None:
    subscriber.pull()
    asked = [(name, hashlib.new(name, b"abc").digest()) for name in ("md5", "sha1", "sha256")]
    assert all(told.matches for told in Matcher([subscriber.bank]).match_hashes(asked))


def test_a_check_asks_nobody(given: Given) -> None:
    assert given.connector().check().notes
