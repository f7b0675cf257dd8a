"""A bank is removed whole, renamed without losing anything, and whoever reads it meanwhile goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from leadline.domain import Entry, Kind
from leadline.errors import BankError, BankLocked, ConfigError
from leadline.match.bank import Bank
from leadline.match.folder import WRITE_LOCK, hold_lock
from leadline.match.matcher import Matcher
from leadline.match.removal import remove_bank

MD5 = bytes.fromhex("a1" * 16)


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    made = Bank.create(tmp_path / "bank", name="bank", kind=Kind.OTHER)
    made.add([Entry(Kind.OTHER, {"md5": MD5})])
    made.merge()
    return made


def test_nothing_of_a_bank_is_left_and_its_readers_go_on(bank: Bank) -> None:
    remove_bank(bank.path)
    assert not bank.path.exists()
    assert len(Matcher([bank]).match_hashes([("md5", MD5)])[0].matches) == 1
    with pytest.raises(BankError):
        bank.add([Entry(Kind.OTHER, {"md5": bytes(16)})])
    with pytest.raises(BankError):
        Bank.open(bank.path)


def test_what_is_not_the_banks_own_is_left_alone(bank: Bank) -> None:
    (bank.path / "notes.txt").write_text("kept")
    remove_bank(bank.path)
    assert [path.name for path in bank.path.iterdir()] == ["notes.txt"]
    with pytest.raises(BankError):
        Bank.open(bank.path)


def test_a_writer_at_work_is_waited_for_and_then_the_bank_stays(bank: Bank) -> None:
    with hold_lock(bank.path, WRITE_LOCK, 1), pytest.raises(BankLocked):
        remove_bank(bank.path, lock_timeout_s=0.05)
    assert bank.verify() == []


def test_a_new_name_is_another_name_of_the_same_entries(bank: Bank) -> None:
    identity, version = bank.snapshot.manifest.identity, bank.list_version
    assert bank.set_settings(name="other")
    again = Bank.open(bank.path)
    assert (again.name, again.count, again.snapshot.manifest.identity) == ("other", 1, identity)
    assert again.list_version == version + 1
    (match,) = Matcher([again]).match_hashes([("md5", MD5)])[0].matches
    assert match.bank == "other"
    with pytest.raises(ConfigError):
        bank.set_settings(name="a/b")
