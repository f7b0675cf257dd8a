"""What changed between two states of a bank, across logs, segments and merges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from leadline.domain import Kind
from leadline.match.bank import Bank
from leadline.match.difference import Difference, compare, only_changed

NewBank = Callable[..., Bank]


def difference(bank: Bank, before: Any) -> Difference:
    return compare(before, bank.snapshot, disabled_since=bank.now(), now=bank.now())


def ids(bank: Bank, found: Difference) -> list[int]:
    if found.changed is None:
        return []
    return sorted(e.id or 0 for e in only_changed(bank, found.changed).entries())


@pytest.mark.parametrize("merge", [False, True])
def test_added_removed_and_replaced_entries_are_told_and_no_others(new_bank: NewBank, draw: Any, merge: bool) -> None:
    bank = new_bank(entries=[draw.entry() for _ in range(8)])
    before = bank.snapshot
    bank.add([draw.entry()])
    bank.remove([2])
    bank.update([replace(bank.get(5), label="another")])
    bank.update([bank.get(6)])  # as it was
    if merge:
        bank.merge()
    found = difference(bank, before)
    assert ids(bank, found) == [5, 9]
    assert found.gone.tolist() == [2, 5]


def test_a_merge_alone_changes_nothing(new_bank: NewBank, draw: Any) -> None:
    bank = new_bank(entries=[draw.entry(label="x", note="y"), draw.entry(Kind.FALSE_POSITIVE, radius_bits=9)])
    bank.add([draw.entry()])
    before = bank.snapshot
    bank.merge()
    assert difference(bank, before).is_empty


def test_every_field_that_an_answer_depends_on_counts(new_bank: NewBank, draw: Any) -> None:
    bank = new_bank(entries=[draw.entry() for _ in range(6)])
    before = bank.snapshot
    changes: list[dict[str, Any]] = [
        {"kind": Kind.BENIGN}, {"label": "z"}, {"scheme": "z"}, {"disabled_until": bank.now() + 99}, {"quality": 61},
        {"fingerprints": {"md5": bytes(range(16))}},
    ]  # fmt: skip
    bank.update([replace(bank.get(n), **change) for n, change in enumerate(changes, 1)])
    assert ids(bank, difference(bank, before)) == [1, 2, 3, 4, 5, 6]


def test_a_ban_that_ran_out_counts(new_bank: NewBank, draw: Any) -> None:
    bank = new_bank(entries=[draw.entry()])
    bank.add([draw.entry(disabled_until=bank.now() + 10)])
    found = compare(bank.snapshot, bank.snapshot, disabled_since=bank.now(), now=bank.now() + 11)
    assert ids(bank, found) == [2]
    assert difference(bank, bank.snapshot).is_empty


def test_an_empty_bank_and_a_first_entry(new_bank: NewBank, draw: Any) -> None:
    bank = new_bank()
    before = bank.snapshot
    assert difference(bank, before).is_empty
    bank.add([draw.entry()])
    assert ids(bank, difference(bank, before)) == [1]
