"""`tx`, the command line of Meta's `threatexchange`, set up as docs/connectors.md says, matches an exported bank."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.manual import after, commands

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank

PRINTS = [bytes([number]) * 32 for number in (0x0F, 0x5A, 0xC3)]  # one alone is lost where `tx` stores its index


def tx(home: Path, *arguments: str) -> str:
    program = Path(sys.executable).with_name("tx")
    environment = {**os.environ, "HOME": str(home)}
    ended = subprocess.run(
        [program, *arguments], env=environment, cwd=home, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_tx_reads_an_exported_list_as_the_manual_says(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bank = Bank.create(tmp_path / "banks/known", name="known", kind=Kind.OTHER)
    bank.add(Entry(Kind.OTHER, {"pdq": value, "md5": value[:16]}) for value in PRINTS)
    told = commands("Publishing to software that exists")
    assert ["pip", "install", "threatexchange"] in told
    (export,) = (words for words in after("leadline", told) if "text" in words)
    assert run(*export).code == 0
    setup, fetch, match = after("tx", told)
    tx(tmp_path, *(word.replace("$PWD", str(tmp_path)) for word in setup))
    tx(tmp_path, *fetch)
    (tmp_path / "hashes.txt").write_text(f"{PRINTS[1].hex()}\n{'33' * 32}\n")
    (line,) = tx(tmp_path, *match).splitlines()
    assert line.startswith("pdq 0 (known)")
