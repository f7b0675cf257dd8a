"""Replicas on other machines: a copy of a bank takes the place of the one before, as docs/scale.md says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.service.conftest import MD5

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.service.lists import Lists


@pytest.fixture
def original(tmp_path: Path) -> Bank:
    bank = Bank.create(tmp_path / "original", name="known", kind=Kind.ILLEGAL)
    bank.add([Entry(Kind.ILLEGAL, {"md5": bytes.fromhex(MD5)})])
    return bank


def put_in_place(copy: Path, link: Path) -> None:
    made = link.with_name("new-link")
    made.symlink_to(copy)
    os.replace(made, link)


PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()
STUBS = """
set -eu
leadline() { :; }
rsync() { mkdir "$3"; cp -a "$2". "$3"; }
mv() { ls "$BANKS" >> "$SEEN"; command mv "$@"; }
"""


def copy_as_told(original: Path, folder: Path) -> list[str]:
    """The commands of the page in this folder; what lay among the banks while the new copy was put in place."""
    (told,) = re.findall(r"```\n(leadline bank verify /srv/banks/known .*?)```", PAGE, re.DOTALL)
    ours = told.replace("originals:/srv/banks/known", str(original)).replace("/srv/", f"{folder}/")
    banks, seen = folder / "banks", folder / "seen"
    seen.unlink(missing_ok=True)
    environment = {**os.environ, "BANKS": str(banks), "SEEN": str(seen)}
    subprocess.run(["bash", "-c", STUBS + ours.replace("+%s", "+%s%N")], env=environment, check=True, timeout=60)
    return seen.read_text().split()


def test_the_commands_of_the_page_put_a_copy_in_place_that_no_look_finds_twice(original: Bank, tmp_path: Path) -> None:
    assert copy_as_told(original.path, tmp_path / "srv") == []
    lists = Lists([], shelf=tmp_path / "srv" / "banks")
    original.add([Entry(Kind.ILLEGAL, {"md5": bytes.fromhex("e5" * 16)})])
    assert copy_as_told(original.path, tmp_path / "srv") == ["known"], "or two banks of one name"
    assert lists.refresh() == {"known": original.list_version}
    assert matches(lists, MD5, "e5" * 16) == [True, True]


def matches(lists: Lists, *hashes: str) -> list[bool]:
    answers = lists.matcher().match_hashes([("md5", bytes.fromhex(text)) for text in hashes])
    return [bool(answer.matches) for answer in answers]


def test_a_new_copy_is_taken_up_and_the_one_before_can_go(original: Bank, tmp_path: Path) -> None:
    shelf, other = tmp_path / "banks", "e5" * 16
    shelf.mkdir()
    shutil.copytree(original.path, tmp_path / "copy-1")
    put_in_place(tmp_path / "copy-1", shelf / "known")
    lists = Lists([], shelf=shelf)
    assert matches(lists, MD5, other) == [True, False]
    original.add([Entry(Kind.ILLEGAL, {"md5": bytes.fromhex(other)})])
    original.merge()
    shutil.copytree(original.path, tmp_path / "copy-2")
    put_in_place(tmp_path / "copy-2", shelf / "known")
    assert lists.refresh() == {"known": original.list_version}
    shutil.rmtree(tmp_path / "copy-1")
    assert matches(lists, MD5, other) == [True, True]
    assert lists.faults == {}


def test_a_copy_that_is_damaged_leaves_the_one_before_in_place(original: Bank, tmp_path: Path) -> None:
    shelf = tmp_path / "banks"
    shelf.mkdir()
    shutil.copytree(original.path, tmp_path / "copy-1")
    put_in_place(tmp_path / "copy-1", shelf / "known")
    lists = Lists([], shelf=shelf)
    original.add([Entry(Kind.ILLEGAL, {"md5": bytes.fromhex("e5" * 16)})])
    shutil.copytree(original.path, tmp_path / "copy-2")
    manifest = tmp_path / "copy-2" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-20])
    put_in_place(tmp_path / "copy-2", shelf / "known")
    assert lists.refresh() == {}
    assert list(lists.faults) == ["known"]
    assert matches(lists, MD5) == [True]
