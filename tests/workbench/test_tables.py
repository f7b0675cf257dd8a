"""How tables come up to date: those that the steps of before made are taken as they are, older ones are refused."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from leadline.errors import ConfigError
from leadline.workbench import tables
from leadline.workbench.tables import bring_up_to_date

pytestmark = pytest.mark.django_db


@pytest.fixture
def recorder() -> MigrationRecorder:
    """As if the steps of before had made what is here."""
    made = MigrationRecorder(connection)
    for step, migration in ours().items():
        made.record_unapplied(*step)
        for old in migration.replaces:
            made.record_applied(*old)
    return made


def ours() -> dict[tuple[str, str], object]:
    return {step: found for step, found in MigrationLoader(None).replacements.items() if step[1] == "0001_tables"}


def test_tables_that_the_steps_of_before_made_are_taken_as_they_are(recorder: MigrationRecorder) -> None:
    bring_up_to_date()
    assert len(ours()) == 8
    assert ours().keys() <= recorder.applied_migrations().keys()


def test_tables_that_are_older_are_refused_and_left(recorder: MigrationRecorder) -> None:
    missing = ("review", "0009_reviews_are_found_by_what_is_few")
    recorder.record_unapplied(*missing)
    before = recorder.applied_migrations().keys()
    with pytest.raises(ConfigError, match="too old") as refused:
        bring_up_to_date()
    assert (refused.value.where, "docs/install.md" in refused.value.mend) == (f"database, before {'.'.join(missing)}", True)
    assert recorder.applied_migrations().keys() == before


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a server has locks of its own")
def test_two_processes_that_begin_at_once_do_it_in_turn(monkeypatch: pytest.MonkeyPatch, settings: object) -> None:
    lock = Path(settings.LEADLINE_HOME) / "tables.lock"  # type: ignore[attr-defined]

    def meet_another(*_: object, **__: object) -> None:
        with lock.open("rb") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    monkeypatch.setattr(tables, "call_command", meet_another)
    bring_up_to_date()
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_every_change_of_a_model_has_its_migration() -> None:
    call_command("makemigrations", check_changes=True, dry_run=True, verbosity=0)
