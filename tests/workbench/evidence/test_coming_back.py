"""The office comes back from a backup on each database, also after a kill half-way. Its tables are really moved aside."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections, transaction

from leadline.errors import AssetErased, ConfigError, WrongState
from leadline.workbench import backup as backups
from leadline.workbench import chain, running, sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.models import Line

pytestmark = pytest.mark.django_db(transaction=True)


def quiet(text: str) -> None:
    """Nothing is said."""


def take(data: bytes) -> Asset:
    return actions.take_in(data, actor="somebody", source="test")


@pytest.fixture
def _aside_goes(office: Any) -> Iterator[None]:
    """What was moved aside lies beside the database that all tests of this run use."""
    yield
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replaced-%'")
            for (name,) in cursor.fetchall():
                cursor.execute(f'DROP SCHEMA "{name}" CASCADE')
    else:
        database = Path(str(connection.settings_dict["NAME"]))
        for path in database.parent.glob(f"{database.name}.replaced-*"):
            path.unlink()


def restore_and_be_killed(folder: Path) -> int:
    """In a process of its own, which dies when the database is loaded and nothing of it is brought up to date yet."""
    connections.close_all()
    process = os.fork()
    if process == 0:
        backups.bring_up_to_date = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
        try:
            backups.restore_backup(folder, replace=True, say=quiet)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@pytest.mark.usefixtures("_aside_goes")
def test_a_restore_that_was_killed_goes_on_and_what_was_erased_since_the_backup_stays_erased(
    office: Any, keeping: Person
) -> None:
    first, second = take(b"first" * 1000), take(b"second" * 1000)
    made, line = backups.make_backup(office.home / "backups", quiet), Line.objects.count()
    with transaction.atomic():
        actions.erase(first, actor="somebody", reason="term-ended")
    third, last = take(b"third" * 1000), Line.objects.count()

    assert restore_and_be_killed(made.folder) == -signal.SIGKILL
    assert not Asset.objects.filter(pk=third.pk).exists()
    with pytest.raises(ConfigError, match="stopped half-way"):
        running.refuse_half_restored()
    restored = backups.restore_backup(made.folder, replace=True, say=quiet)

    assert (restored.line, restored.erased, restored.damaged) == (line, 1, ())
    assert running.restore_under_way() is None
    states = dict(Asset.objects.values_list("sha256", "state"))
    assert states == {first.sha256: "erased", second.sha256: "kept"}
    assert b"".join(sealing.read_asset(second.sha256)) == b"second" * 1000
    with pytest.raises(AssetErased):
        b"".join(sealing.read_asset(first.sha256))
    told = Line.objects.get(act="office.restored")
    assert f'"replaced_line":{last}' in told.details
    assert (chain.check().ok, actions.check_vault().faults) == (True, ())


@pytest.mark.skipif(connection.vendor == "sqlite", reason="its users are known by their lock: test_starting.py")
def test_nothing_is_moved_aside_while_another_session_is_in_the_database(office: Any, keeping: Person) -> None:
    made = backups.make_backup(office.home / "backups", quiet)
    other = connection.copy()
    other.connect()
    try:
        with pytest.raises(WrongState, match="1 others are connected"):
            backups.restore_backup(made.folder, replace=True, say=quiet)
    finally:
        other.close()
    assert running.restore_under_way() is None
