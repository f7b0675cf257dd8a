"""Which folders are banks: everyone is matched or said to be at fault, and none at fault stops the others."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.workbench.accounts.models import Person
from leadline.workbench.banks import access
from leadline.workbench.evidence import actions as evidence
from leadline.workbench.stats.access import health

DATA = b"a made-up file"


def knows(office: Any, name: str) -> Bank:
    bank = Bank.create(office.banks / name, name=name, kind=Kind.ILLEGAL)
    bank.add([Entry(kind=Kind.ILLEGAL, fingerprints={"sha256": hashlib.sha256(DATA).digest()})])
    return bank


def verdict() -> str:
    return evidence.take_in(DATA, actor="somebody", source="test").verdict


@pytest.mark.parametrize("name", ["Known", "known.2026", "KNOWN_LIST-2.v3"])
def test_capitals_and_dots_are_banks_like_others(
    office: Any, name: str, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    knows(office, name)
    assert verdict() == "known"
    client = client_of(senior)
    assert f"/banks/of/{name}/" in client.get("/banks/").content.decode()
    assert client.get(f"/banks/of/{name}/1/").status_code == 200
    assert client.get(f"/banks/of/{name}/changes/").status_code == 200


@pytest.mark.parametrize("name", ["two words", "naïve", b"not-utf-8-\xff", "x" * 65])
def test_a_folder_whose_name_cannot_be_used_is_a_fault_and_never_silently_unmatched(
    office: Any, name: Any, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    knows(office, "known").path.rename(office.banks / name if isinstance(name, str) else office.banks / "x")
    if isinstance(name, bytes):
        import os

        os.rename(os.fsencode(office.banks / "x"), os.fsencode(office.banks) + b"/" + name)
    assert access.bank_faults() == ["folder-name"]
    page = client_of(senior).get("/banks/")
    assert page.status_code == 200
    assert "folder-name" in page.content.decode()
    [check] = health(["banks"])
    assert (check.state, check.note) == ("failed", "folder-name")


def test_folders_that_are_no_banks_or_begin_with_a_dot_are_none(office: Any) -> None:
    knows(office, "known").path.rename(office.banks / ".put-away")
    (office.banks / "not a bank").mkdir()
    (office.banks / "a file").write_text("x")
    assert (access.all_banks(), access.bank_faults()) == ([], [])


def test_a_bank_that_cannot_be_read_stops_neither_intake_nor_the_others(
    office: Any, analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    """As with a manifest whose disk or rights fail: another error than the bank's own."""
    bank, other = knows(office, "known"), Bank.create(office.banks / "other", name="other", kind=Kind.OTHER)
    (bank.path / "manifest.json").rename(bank.path / "away")
    (bank.path / "manifest.json").mkdir()
    assert verdict() == "unknown"
    assert [access.bank_id_of(one) for one in access.all_banks()] == ["other"]
    assert access.bank_faults() == ["unreadable"]
    page = client_of(analyst).get("/banks/").content.decode()
    assert "unreadable" in page
    assert "known" not in page.replace("unknown", "")  # it may be one that they may not see
    assert health(["banks"])[0].note == "unreadable"
    (bank.path / "manifest.json").rmdir()
    (bank.path / "away").rename(bank.path / "manifest.json")
    assert (access.bank_faults(), verdict()) == ([], "known")
    assert other.count == 0


def test_a_state_has_one_name_until_the_list_or_its_folder_is_another(office: Any) -> None:
    def state() -> str:
        [bank] = access.all_banks()
        return access.state_of(bank)

    bank = knows(office, "known")
    bank.add([Entry(kind=Kind.OTHER, fingerprints={"md5": bytes(16)})])
    first = state()
    bank.merge()
    assert state() == first
    bank.add([Entry(kind=Kind.OTHER, fingerprints={"md5": bytes(range(16))})])
    second = state()
    assert second != first
    assert access.is_same_list(first, second)
    shutil.copytree(bank.path, office.home / "copy")
    bank.path.rename(office.home / "away")
    (office.home / "copy").rename(bank.path)
    assert state() != second
    assert not access.is_same_list(second, state())
