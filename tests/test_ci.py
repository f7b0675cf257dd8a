"""What CI runs is what a person can run, and what a person runs by hand is as strict."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from bench import attack_office
from tests import servers
from tests.conftest import data_dir

ROOT = Path(__file__).parents[1]


def test_a_golden_test_that_is_skipped_fails_there_whoever_runs_it(tmp_path: Path) -> None:
    told = tmp_path / "told"
    make = tmp_path / "make"
    make.write_text(f'#!/bin/sh\necho "CI=$CI" "$@" > "{told}"\n')
    make.chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if k != "CI"} | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run([ROOT / ".ci" / "run"], env=environment, check=True, timeout=30)
    assert told.read_text() == "CI=true check test\n"


def test_without_the_published_data_a_golden_test_fails_there_and_is_skipped_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = data_dir.__wrapped__  # the fixture's own function
    monkeypatch.delenv("LEADLINE_DATA", raising=False)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception):
        find()
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception):
        find()


@pytest.mark.parametrize("target", ["test", "attack", "bench"])
def test_what_needs_servers_installs_them_first(target: str) -> None:
    rules = dict(line.split(":", 1) for line in (ROOT / "Makefile").read_text().splitlines() if "## " in line)
    assert ".venv/.servers" in rules[target].partition("##")[0].split()


def test_an_office_that_could_not_be_attacked_on_postgresql_does_not_count_as_held(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(servers, "postgresql_programs", lambda: None)
    monkeypatch.setattr(attack_office, "child", lambda database, kills: 0)
    assert attack_office.main(1) != 0
    assert "NOT attacked" in capsys.readouterr().out
    assert attack_office.main(1, "sqlite") == 0
