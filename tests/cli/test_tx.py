"""`tx`, the command line of Meta's `threatexchange`, set up as its user would, matches an exported bank."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank

PRINTS = [bytes([number]) * 32 for number in (0x0F, 0x5A, 0xC3)]  # one alone is lost where `tx` stores its index


def tx(home: Path, *arguments: object) -> str:
    program = Path(sys.executable).with_name("tx")
    environment = {**os.environ, "HOME": str(home)}
    ended = subprocess.run(
        [program, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_tx_reads_an_exported_list_as_a_local_file(run: Any, tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "known", name="known", kind=Kind.OTHER)
    bank.add(Entry(Kind.OTHER, {"pdq": value, "md5": value[:16]}) for value in PRINTS)
    signals, asked = tmp_path / "pdq.txt", tmp_path / "asked.txt"
    assert run("bank", "export", tmp_path / "known", "--format", "text", "--only", "pdq", "--out", signals).code == 0
    tx(tmp_path, "config", "collab", "edit", "local_file", "known", "--create", "--filename", signals,
       "--signal-type", "pdq")  # fmt: skip
    tx(tmp_path, "fetch", "--only-collab", "known")
    asked.write_text(PRINTS[1].hex() + "\n")
    assert tx(tmp_path, "match", "-S", "pdq", "-H", "photo", asked).startswith("pdq 0 (known)")
    asked.write_text("33" * 32 + "\n")
    assert tx(tmp_path, "match", "-S", "pdq", "-H", "photo", asked) == ""
