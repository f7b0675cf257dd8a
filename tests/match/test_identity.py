"""Every bank has an identity by chance, so that two of one name and list version are told apart."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from leadline.domain import Entry, Kind
from leadline.errors import BankCorrupt
from leadline.match.bank import Bank
from leadline.match.manifest import FILE_NAME, Manifest, load_manifest, save_manifest


def make(path: Path) -> Bank:
    return Bank.create(path, name="known", kind=Kind.ILLEGAL, clock=lambda: 1_700_000_000)


def identity(bank: Bank) -> str:
    return bank.snapshot.manifest.identity


def as_of_before(path: Path) -> None:
    """The manifest as it was written before banks had an identity."""
    manifest = json.loads((path / FILE_NAME).read_text())
    del manifest["bank"]["identity"]
    manifest["sha256"] = hashlib.sha256(json.dumps(manifest["bank"], separators=(",", ":")).encode()).hexdigest()
    (path / FILE_NAME).write_text(json.dumps(manifest))


def test_two_banks_of_one_name_have_two_identities(tmp_path: Path) -> None:
    one, other = identity(make(tmp_path / "one")), identity(make(tmp_path / "other"))
    assert len(one) == len(other) == 32
    assert one != other


def test_it_stays_through_changes_merges_and_a_copy(tmp_path: Path) -> None:
    bank = make(tmp_path / "known")
    first = identity(bank)
    bank.add([Entry(kind=Kind.ILLEGAL, fingerprints={"md5": bytes(range(n, n + 16))}) for n in range(3)])
    bank.merge()
    bank.set_settings(radius_bits=7)
    bank.path.rename(tmp_path / "moved")
    assert identity(Bank.open(tmp_path / "moved")) == first


def test_an_old_manifest_is_read_and_keeps_the_identity_it_is_given(tmp_path: Path) -> None:
    bank = make(tmp_path / "known")
    as_of_before(bank.path)
    old = Bank.open(bank.path)
    derived = identity(old)
    assert len(derived) == 32
    old.set_settings(radius_bits=7)
    assert json.loads((bank.path / FILE_NAME).read_text())["bank"]["identity"] == derived


def test_a_bank_put_in_place_of_another_is_read_anew(tmp_path: Path) -> None:
    """Both have a segment of the same number and size: what was mapped of the first says nothing of the second."""
    known, other = make(tmp_path / "known"), make(tmp_path / "other")
    for bank, first in ((known, 1), (other, 2)):
        bank.add([Entry(kind=Kind.ILLEGAL, fingerprints={"md5": bytes(range(first, first + 16))})])
        bank.merge()
    assert [e.fingerprints["md5"][0] for e in known.entries()] == [1]
    known.path.rename(tmp_path / "away")
    other.path.rename(known.path)
    assert known.refresh()
    assert [e.fingerprints["md5"][0] for e in known.entries()] == [2]


@pytest.mark.parametrize("wrong", ["A" * 32, "0" * 31, "../" * 11])
def test_an_identity_of_another_form_is_damage(tmp_path: Path, wrong: str) -> None:
    manifest: Any = make(tmp_path / "known").snapshot.manifest
    forged: Manifest = msgspec.structs.replace(manifest, identity=wrong)
    save_manifest(tmp_path, forged)
    with pytest.raises(BankCorrupt):
        load_manifest((tmp_path / FILE_NAME).read_bytes(), FILE_NAME)
