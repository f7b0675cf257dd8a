"""What CI runs is what a person can run, and what a person runs by hand is as strict."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_a_golden_test_that_is_skipped_fails_there_whoever_runs_it(tmp_path: Path) -> None:
    told = tmp_path / "told"
    make = tmp_path / "make"
    make.write_text(f'#!/bin/sh\necho "CI=$CI" "$@" > "{told}"\n')
    make.chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if k != "CI"} | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run([ROOT / ".ci" / "run"], env=environment, check=True, timeout=30)
    assert told.read_text() == "CI=true check test\n"
