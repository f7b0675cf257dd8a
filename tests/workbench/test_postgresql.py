"""What depends on the database holds on PostgreSQL as it does on SQLite: the tests marked `database`, run against it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from tests.servers import postgresql, skip_without
from tests.workbench.conftest import ON_BOTH_DATABASES

HERE = Path(__file__).parent


@pytest.mark.skipif("DATABASE_URL" in os.environ, reason="this is the run against PostgreSQL")
def test_what_depends_on_the_database_holds_on_postgresql() -> None:
    skip_without("postgresql")
    with postgresql() as url:
        files = [str(HERE / name) for name in ON_BOTH_DATABASES]  # to read all others takes ten seconds
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "database", *files],
            env={**os.environ, "DATABASE_URL": url},
            cwd=HERE.parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, f"{run.stdout[-6000:]}"


def test_every_app_that_keeps_rows_has_tests_of_its_own_on_both_databases() -> None:
    assert not [name for name in ON_BOTH_DATABASES if not (HERE / name).exists()]
    keeping = {
        app.name.rpartition(".")[2]
        for app in apps.get_app_configs()
        if app.name.startswith("leadline.") and any(app.get_models())
    }
    assert keeping <= {name.partition("/")[0] for name in ON_BOTH_DATABASES}


def test_passwords_are_hashed_at_full_cost_outside_the_tests() -> None:
    from leadline.workbench import settings

    assert settings.PASSWORD_HASHERS == ["django.contrib.auth.hashers.Argon2PasswordHasher"]
