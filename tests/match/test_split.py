"""A bank in parts: every entry in one of them under its own id, false positives in all, nothing half made."""

from __future__ import annotations

from pathlib import Path

import pytest

from leadline.domain import Entry, Kind, Tlp
from leadline.errors import BankError, ConfigError
from leadline.match import split as module
from leadline.match.bank import Bank
from leadline.match.split import split_bank


@pytest.fixture
def whole(tmp_path: Path) -> Bank:
    bank = Bank.create(tmp_path / "known", name="KNOWN", kind=Kind.ILLEGAL, radius_bits=20, tlp=Tlp.RED)
    bank.add([Entry(Kind.ILLEGAL, {"md5": bytes([number]) * 16}, number, label=f"{number}") for number in range(1, 11)])
    bank.add([Entry(Kind.FALSE_POSITIVE, {"pdq": b"\1" * 32}, 50)])
    bank.remove([4])
    return bank


def test_every_entry_is_in_one_part_and_false_positives_in_all(whole: Bank, tmp_path: Path) -> None:
    folders = [tmp_path / f"{number}" / "known" for number in range(3)]
    assert split_bank(whole, folders) == [4, 4, 4]
    ids = [{entry.id for entry in Bank.open(folder).entries()} for folder in folders]
    assert ids == [{3, 6, 9, 50}, {1, 7, 10, 50}, {2, 5, 8, 50}]
    part = Bank.open(folders[1])
    assert (part.name, part.kind, part.radius_bits, part.snapshot.manifest.tlp) == ("KNOWN", Kind.ILLEGAL, 20, Tlp.RED)
    assert part.get(7) == whole.get(7)


def test_a_part_that_is_there_already_stops_it_before_anything_is_made(whole: Bank, tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    with pytest.raises(ConfigError):
        split_bank(whole, [tmp_path / "0", tmp_path / "1"])
    assert not (tmp_path / "0").exists()


def test_where_it_fails_no_part_stays(whole: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module._share

    def share(bank: Bank, number: int, parts: int) -> object:
        if number == 1:
            raise BankError("disk full")
        return real(bank, number, parts)

    monkeypatch.setattr(module, "_share", share)
    with pytest.raises(BankError):
        split_bank(whole, [tmp_path / "0", tmp_path / "1"])
    assert not (tmp_path / "0").exists()
    assert not (tmp_path / "1").exists()
