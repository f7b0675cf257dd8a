"""The first minute, and files as sources, by commands."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

MD5S = [f"{number:032x}" for number in range(0xA0000, 0xA0000 + 300)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADLINE_HOME", str(tmp_path / "home"))


def pulled(run: Any, name: str) -> dict[str, Any]:
    ended = run("exchange", "pull", name, "--json")
    assert ended.code == 0, ended.err
    told: dict[str, Any] = ended.objects[-1]
    return told


def test_the_first_minute(run: Any, tmp_path: Path) -> None:
    bank = tmp_path / "first"
    assert run("exchange", "add", "first", "--connector", "sample", "--bank", bank, "--kind", "other").code == 0
    assert run("exchange", "check", "first").code == 0
    assert pulled(run, "first")["added"] == 7
    assert pulled(run, "first")["withdrawn"] == 1
    assert len(run("bank", "list", bank, "--json").objects) == 6
    assert pulled(run, "first")["told"] == 0


def test_a_file_is_added_checked_pulled_and_pulled_again(run: Any, tmp_path: Path) -> None:
    path, bank = tmp_path / "list.txt", tmp_path / "bank"
    path.write_text("\n".join(MD5S) + "\n")
    added = ("exchange", "add", "ours", "--connector", "list-file", "--bank", bank, "--kind", "other")
    assert run(*added).code == 2
    assert run(*added, "--option", f"path={path}").code == 0
    checked = run("exchange", "check", "ours")
    assert (checked.code, "list.txt: text" in checked.out) == (0, True)
    assert pulled(run, "ours")["added"] == 300
    assert pulled(run, "ours")["told"] == 0
    path.write_text("\n".join(MD5S[1:]) + "\n")
    assert pulled(run, "ours")["withdrawn"] == 1
    path.write_text("\n".join(MD5S[1:20]) + "\n")
    shrunk = run("exchange", "pull", "ours")
    assert (shrunk.code, "--allow-shrink" in shrunk.err) == (1, True)
    path.write_text("")
    assert run("exchange", "pull", "ours").code == 1
    assert len(run("bank", "list", bank, "--json").objects) == 299


def test_a_database_of_nsrl_is_read_by_a_source_and_by_a_bank(run: Any, tmp_path: Path) -> None:
    path, bank = tmp_path / "rds.db", tmp_path / "bank"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE FILE (sha256, sha1, md5, file_name, file_size, package_id)")
        database.executemany("INSERT INTO FILE VALUES ('','',?,'a',1,1)", [(md5,) for md5 in MD5S])
        database.commit()
    added = ("exchange", "add", "nsrl", "--connector", "list-file", "--bank", bank, "--kind", "benign")
    assert run(*added, "--option", f"path={path}").code == 0
    assert pulled(run, "nsrl")["added"] == 300
    built = run("bank", "build", "--out", tmp_path / "b", "--name", "b", "--kind", "benign", "--json", path)
    assert (built.code, built.objects[0]["added"]) == (0, 300)
    assert {json.dumps(e["kind"]) for e in run("bank", "list", tmp_path / "b", "--json").objects} == {'"benign"'}
