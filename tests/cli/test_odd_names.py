"""Folders, files and arguments that are not UTF-8: every command takes them and tells them so that they fit a line."""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

ODD = "an\udcffodd"  # as Python gives a command its argument b"an\xffodd"
MD5 = "a1" * 16


@pytest.fixture
def odd(tmp_path: Path, bank: Path, pictures: Path) -> Path:
    """A folder with an odd name that holds a bank, pictures and a list, all with odd names."""
    folder = tmp_path / ODD
    folder.mkdir()
    shutil.copytree(bank, folder / f"{ODD}-bank")
    pictures.rename(folder / f"{ODD}-pictures")
    (folder / f"{ODD}.txt").write_text(f"{'e5' * 16}\nzz\n")
    return folder


@pytest.mark.parametrize("json_wanted", [False, True])
@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (3, ("hash", "{}-pictures")),
        (0, ("bank", "info", "{}-bank")),
        (0, ("bank", "list", "{}-bank")),
        (0, ("bank", "set", "{}-bank", "--radius", "20")),
        (3, ("bank", "add", "{}-bank", "{}.txt")),
        (3, ("bank", "build", "--out", "{}-new", "--name", "n", "--kind", "other", "{}.txt", "{}-pictures")),
        (3, ("bank", "remove", "{}-bank", "7", "99")),
        (1, ("bank", "remove", "{}-bank", "--from", "{}.txt")),
        (0, ("bank", "merge", "{}-bank")),
        (0, ("bank", "verify", "{}-bank")),
        (0, ("match", MD5, "--bank", "{}-bank")),
        (1, ("match", ODD, "--bank", "{}-bank")),
        (0, ("compare", "{}-pictures/one.png", "{}-pictures/other.jpg")),
        (1, ("compare", "{}-pictures/one.png", ODD)),
        (3, ("scan", "{}-pictures", "--bank", "{}-bank", "--out", "{}-out", "--csv", "--vics", "--workers", "1")),
        (1, ("scan", "{}-absent", "--bank", "{}-bank", "--out", "{}-out")),
        (1, ("rematch", "{}-absent", "--bank", "{}-bank")),
        (2, ("bank", "build", "--out", "{}-new", "--name", ODD, "--kind", "other", "{}.txt")),
        (1, ("verify", "{}-absent")),
        (1, ("bank", "verify", "{}-absent")),
        (2, (ODD,)),
    ],
)
def test_every_command_takes_odd_names_and_tells_them(
    run: Any, odd: Path, code: int, arguments: tuple[str, ...], json_wanted: bool
) -> None:
    given = [argument.replace("{}", str(odd / ODD)) for argument in arguments]
    ended = run(*given, *(["--json"] if json_wanted and len(given) > 1 else []))
    assert ended.code == code, ended.err
    assert "internal fault" not in ended.err
    assert bool(ended.faults) == (code != 0)
    if json_wanted:
        assert all(isinstance(line, dict) for line in ended.objects)


def test_a_path_that_the_text_cannot_give_back_is_beside_it(run: Any, odd: Path) -> None:
    bank = odd / f"{ODD}-bank"
    for command in ("info", "verify"):
        (record,) = run("bank", command, bank, "--json").objects
        assert base64.b64decode(record["path_b64"]) == os.fsencode(bank)
        assert record["path"].endswith("an\\xffodd-bank")


def test_an_old_scan_with_odd_names_is_rematched_and_a_bank_exported(run: Any, odd: Path) -> None:
    bank, out = odd / f"{ODD}-bank", odd / f"{ODD}-out"
    run("scan", odd / f"{ODD}-pictures", "--bank", bank, "--out", out, "--workers", 1)
    ended = run("rematch", out, "--bank", bank, "--json")
    assert ended.code == 3, ended.err
    assert (odd / f"{ODD}-out-rematch" / "report.html").exists()
    assert run("bank", "export", bank, "--reason", "odd", "--format", "vics", "--out", odd / f"{ODD}.json").code == 0
    assert len(json.loads((odd / f"{ODD}.json").read_text())["value"]) == 3
