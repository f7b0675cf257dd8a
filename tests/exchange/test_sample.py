"""The list of the first minute."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.connector import DEFAULTS, Clock, Given, Killed, Subscriber

from leadline.exchange.connector import Options
from leadline.exchange.sample import Sample
from leadline.match.matcher import Matcher

NO_MOCK: Any = None


@pytest.fixture
def subscriber(tmp_path: Path) -> Subscriber:
    clock = Clock()

    def connect() -> Sample:
        return Sample(Options(), {}, DEFAULTS, clock=clock, sleep=clock.sleep)

    return Subscriber(tmp_path / "here", Given(connect, clock, NO_MOCK))


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


def test_its_entries_carry_what_entries_carry(subscriber: Subscriber) -> None:
    subscriber.pull()
    for key, entry in subscriber.entries().items():
        assert (entry.source_id, entry.source, entry.tlp) == (key, DEFAULTS.source, DEFAULTS.tlp)
        assert (entry.scheme, entry.label in "AB") == ("sample", True)
        assert len(bytes.fromhex(json.loads(entry.metadata)["record"])) == 32


def test_killed_between_its_pages_it_ends_whole(subscriber: Subscriber) -> None:
    with pytest.raises(Killed):
        subscriber.pull(pages=1, batch_records=1)
    assert 0 < len(subscriber.entries()) < 7
    assert subscriber.pull().is_complete
    assert len(subscriber.entries()) == 7


def test_a_check_asks_nobody(tmp_path: Path) -> None:
    clock = Clock()
    assert Sample(Options(), {}, DEFAULTS, clock=clock, sleep=clock.sleep).check().notes
