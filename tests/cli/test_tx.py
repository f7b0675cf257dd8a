"""`tx`, the command line of Meta's `threatexchange`, set up as docs/connectors.md says, matches what a source told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.manual import PAGE, after, commands
from threatexchange.exchanges.clients.ncmec import hash_api


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
    assert "write `banks/first`" in PAGE
    monkeypatch.setenv("LEADLINE_HOME", str(tmp_path / "home"))
    for words in after("leadline", commands("The first minute"))[:2]:  # add, pull
        assert run(*words).code == 0
    told = commands("Publishing to software that exists")
    assert ["pip", "install", "threatexchange"] in told
    (export,) = (words for words in after("leadline", told) if "text" in words)
    assert run(*(word.replace("banks/known", "banks/first") for word in export)).code == 3  # some have no PDQ hash
    *_, setup, fetch, match = after("tx", told)
    tx(tmp_path, *(word.replace("$PWD", str(tmp_path)) for word in setup))
    tx(tmp_path, *fetch)
    ((_, count, source, _, asked),) = after("head", told)
    assert count == "1"
    (known, *_) = (tmp_path / source).read_text().splitlines()
    (tmp_path / asked).write_text(f"{known}\n{'33' * 32}\n")
    (line,) = tx(tmp_path, *match).splitlines()
    assert line.startswith("pdq 0 (known)")


def test_the_line_that_the_manual_adds_is_one_environment_more(tmp_path: Path) -> None:
    copy = shutil.copy(hash_api.__file__, tmp_path / "hash_api.py")
    ((_, expression, file),) = after("sed", commands("Publishing to software that exists"))
    assert file == "$FILE"
    subprocess.run(["sed", "-i", expression, copy], check=True)
    module: dict[str, Any] = {"__name__": "copy"}
    exec(compile(Path(copy).read_text(), copy, "exec", dont_inherit=True), module)
    there = {one.name: one.value for one in module["NCMECEnvironment"]}
    assert there.pop("Leadline") == "https://HOST/ncmec/known"
    assert there == {one.name: one.value for one in hash_api.NCMECEnvironment}
