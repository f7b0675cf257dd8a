"""Keys of lists that give none, or one twice."""

from __future__ import annotations

import random

import pytest

from leadline.domain import Entry, Kind
from leadline.exchange.list_keys import Keys, key_of


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        (Entry(Kind.OTHER, {"md5": b"\xa1" * 16}, source_id="7"), "7"),
        (Entry(Kind.OTHER, {"md5": b"\xa1" * 16, "sha256": b"\xd4" * 32}), "sha256:" + "d4" * 32),
        (Entry(Kind.OTHER, {"pdq": b"\xc3" * 32, "md5": b"\xa1" * 16}), "md5:" + "a1" * 16),
        (Entry(Kind.OTHER, {"photodna": b"\x00" * 144}), "photodna:"),
        (Entry(Kind.OTHER, {"md5": b"\xa1" * 16}, source_id="a\nb"), "id:"),
        (Entry(Kind.OTHER, {"md5": b"\xa1" * 16}, source_id="x" * 1000), "id:"),
    ],
)
def test_a_key_is_the_lists_own_or_the_strongest_hash(entry: Entry, key: str) -> None:
    made = key_of(entry)
    assert made.startswith(key)
    assert len(made) <= 200
    assert made.isprintable()


def test_the_same_record_has_the_same_key_and_another_of_its_key_another() -> None:
    one, two = b"\x01" * 32, b"\x02" * 32
    keys = Keys()
    assert keys.make_distinct([]) == []
    first, again, other = keys.make_distinct([("k", one), ("k", one), ("k", two)])
    assert (first, again) == ("k", "k")
    assert other == "k#" + "02" * 8
    assert keys.make_distinct([("k", two), ("k", one), ("m", two)]) == [other, "k", "m"]


def test_many_pages_of_records_keep_every_record_once() -> None:
    chance = random.Random(7)
    records = [(f"k{chance.randrange(500)}", bytes([chance.randrange(4)]) * 32) for _ in range(5000)]
    keys, made = Keys(), []
    for start in range(0, 5000, 70):
        made += keys.make_distinct(records[start : start + 70])
    by_record = {}
    for record, key in zip(records, made, strict=True):
        assert by_record.setdefault(record, key) == key
    assert len(set(by_record.values())) == len(by_record) == len(set(records))
    assert {key for key, _ in records} <= set(made)
