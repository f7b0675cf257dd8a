"""What a bank is in numbers is what its entries say, one by one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.match.info import count_prints


@pytest.mark.parametrize("rows_at_once", [1 << 20, 7])
def test_entries_are_counted_by_kind_and_by_fingerprint_as_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    monkeypatch.setattr("leadline.match.segment._COUNTED_ROWS", rows_at_once)
    draw = np.random.default_rng(5)
    bank = Bank.create(tmp_path / "bank", name="bank", kind=Kind.ILLEGAL)
    kinds = [Kind.ILLEGAL, Kind.FALSE_POSITIVE, Kind.OTHER]

    def entry() -> Entry:
        prints = {"pdq": draw.bytes(32), "md5": draw.bytes(16), "sha1": draw.bytes(20)}
        chosen = {name: value for name, value in prints.items() if name == "pdq" or draw.random() < 0.5}
        return Entry(kinds[int(draw.integers(3))], chosen)

    def check() -> None:
        entries = list(bank.entries())
        assert bank.info().by_kind == Counter(entry.kind for entry in entries)
        for kind in (None, *kinds):
            counted = Counter(name for e in entries if kind in (None, e.kind) for name in e.fingerprints)
            assert +Counter(count_prints(bank.snapshot, kind)) == counted, kind
        assert bank.info().by_fingerprint == count_prints(bank.snapshot)

    bank.add([entry() for _ in range(40)])
    bank.add_pdq_array(np.frombuffer(draw.bytes(32 * 20), np.uint8).reshape(20, 32))
    check()
    bank.merge()
    check()
    bank.remove(range(5, 30, 2))
    bank.add([entry() for _ in range(10)])
    check()


def test_a_table_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = Bank.create(tmp_path / "bank", name="bank", kind=Kind.ILLEGAL)
    bank.add([Entry(kind, {"md5": bytes([number]) * 16}) for number, kind in enumerate((Kind.ILLEGAL, Kind.OTHER), 1)])
    assert bank.info().by_kind == {Kind.ILLEGAL: 1, Kind.OTHER: 1}
    monkeypatch.setattr("leadline.match.segment.LiveTable._count_by", lambda table, stored: pytest.fail("again"))
    assert bank.info().by_kind == {Kind.ILLEGAL: 1, Kind.OTHER: 1}
