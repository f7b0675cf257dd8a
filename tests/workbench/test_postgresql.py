"""Everything that touches the database holds on PostgreSQL as it does on SQLite: the same tests, run against it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.servers import postgresql, skip_without

HERE = Path(__file__).parent


@pytest.mark.skipif("DATABASE_URL" in os.environ, reason="this is the run against PostgreSQL")
def test_the_workbench_passes_its_tests_on_postgresql(tmp_path: Path) -> None:
    skip_without("postgresql")
    with postgresql(tmp_path) as url:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(HERE)],
            env={**os.environ, "DATABASE_URL": url},
            cwd=HERE.parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stdout[-4000:]
