"""The tables of the office: made, and brought up to date. Never those that are too old for this version."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from leadline.errors import ConfigError

# The last commit with the steps, one by one, that each app's `0001_tables` stands for.
_LAST_WITH_STEPS = "00f6dc9"
_TURN = 0x1EAD11E  # of PostgreSQL's advisory locks


def bring_up_to_date() -> None:
    """By one process after another: each sees what those before it made. ConfigError where the tables are older than
    what this version can begin from."""
    with _turn():
        _bring_up_to_date()


@contextmanager
def _turn() -> Iterator[None]:
    """Among all machines that share a server; a file of SQLite is one machine's. It goes with its process."""
    if connection.vendor != "postgresql":
        with (settings.LEADLINE_HOME / "tables.lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_TURN])
    try:
        yield
    finally:
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_TURN])


def _bring_up_to_date() -> None:
    ours = {app.label for app in apps.get_app_configs() if app.name.startswith("leadline.")}
    _refuse_older(ours)
    executor = MigrationExecutor(connection)
    # Those of libraries first: each of their many steps renders all models there are, which are few before ours come.
    executor.migrate([leaf for leaf in executor.loader.graph.leaf_nodes() if leaf[0] not in ours])
    call_command("migrate", verbosity=0, interactive=False)


def _refuse_older(ours: set[str]) -> None:
    """Django takes a migration for done where all that it replaces is; of what is done in part it would say nothing."""
    done = MigrationRecorder(connection).applied_migrations()
    for step, migration in MigrationLoader(None).replacements.items():
        if step[0] not in ours or step in done or not any(old in done for old in migration.replaces):
            continue
        if missing := [old for old in migration.replaces if old not in done]:
            mend = f"begin with commit {_LAST_WITH_STEPS} of Leadline, then update: docs/install.md, Updating"
            what = "the tables of this office are too old for this version"
            raise ConfigError(what, where=f"database, before {'.'.join(missing[0])}", mend=mend)
