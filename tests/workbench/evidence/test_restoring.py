"""Restoring: what is on hold stays so, a kill at any step is gone on from, and a copy says what it could not hold."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.machine import Machine
from tests.workbench.evidence.test_backup import _ERASE_FIRST, command, keeping_two, look, machine  # noqa: F401

from leadline.errors import AssetHeld, BackupFailed
from leadline.match.bank import Bank
from leadline.workbench import backup as backups
from leadline.workbench import sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions
from leadline.workbench.evidence.models import Asset

_HOLD_FIRST = """
import django
django.setup()
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions
from leadline.workbench.evidence.models import Asset
asset = Asset.objects.order_by("received_at").first()
actions.set_hold(Person.objects.first(), asset, is_on=True, reason="court-order")
"""
_ERASE_ALL_DUE = """
import django, json
django.setup()
from datetime import timedelta
from django.utils import timezone
from leadline.workbench.evidence import actions
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.models import Line
erased = actions.erase_expired(timezone.now() + timedelta(days=31))
rows = Asset.objects.order_by("received_at")
print(json.dumps([erased, [[row.on_hold, row.state] for row in rows],
    list(Line.objects.filter(act="asset.held").values_list("reason", flat=True))]))
"""
_KILLED = """
import django, os, signal, sys
django.setup()
from pathlib import Path
from leadline.workbench import backup, running, sealing
import leadline.workbench.evidence.actions as actions
def stop(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
module, name = {where!r}.split(":")
place = {{"backup": backup, "running": running, "actions": actions}}[module]
real, calls = getattr(place, name), []
def counted(*given, **named):
    calls.append(1)
    return stop() if len(calls) == {at} else real(*given, **named)
setattr(place, name, counted)
with running.at_work(alone=True):
    backup.restore_backup(Path({folder!r}), replace=True, say=lambda text: None)
"""
STEPS = ["backup:_move_aside", "backup:_copy_folder", "backup:copy_vault", "backup:_load_database"]
STEPS += ["backup:bring_up_to_date", "actions:note_restored", "running:end_restore"]


def test_a_hold_that_was_set_after_a_backup_outlives_its_restore(machine: Machine) -> None:  # noqa: F811
    _, made = command(machine, "backup")
    machine.python(_HOLD_FIRST)
    assert command(machine, "restore", made["backup"], "--replace")[0] == 0
    assert json.loads(machine.python(_ERASE_ALL_DUE)) == [1, [[True, "kept"], [False, "erased"]], ["held-before"]]
    assert look(machine)["read"] == ["first", "erased"]


def test_a_restore_that_is_killed_at_any_step_serves_nothing_and_goes_on(machine: Machine) -> None:  # noqa: F811
    """Killed at each step in turn, each time one that goes on from the one before; the last comes to its end."""
    _, made = command(machine, "backup")
    machine.python(_ERASE_FIRST)
    lines = look(machine)["lines"]
    for where in STEPS:
        killed = machine.run("-c", _KILLED.format(where=where, at=1, folder=made["backup"]))
        assert killed.returncode == -9, killed.stderr
        assert (machine.home / "restoring").exists(), where
    for refused in (("vault", "verify"), ("up", "--check"), ("restore", made["backup"])):
        done = machine.run("-m", "leadline", *refused)
        assert (done.returncode, "stopped half-way" in done.stderr) == (2, True), done.stderr
    code, restored = command(machine, "restore", made["backup"], "--replace")
    assert code == 0, restored
    found = look(machine)
    assert (found["read"], found["states"], found["fault"]) == (["erased", "secon"], ["erased", "kept"], "None")
    act, details = found["last"]
    assert (act, details["line"], details["erased"]) == ("office.restored", restored["line"], 1)
    assert details["replaced_line"] == lines
    assert not (machine.home / "restoring").exists()
    if "DATABASE_URL" not in os.environ:
        aside = [path for path in machine.home.glob("leadline.sqlite3.replaced-*") if path.suffix[-1] == "Z"]
        assert len(aside) == 1  # the office that was here, and no copy of a copy


@pytest.mark.parametrize("name", ["my copy", "."])
def test_a_backup_is_restored_whatever_its_folder_is_called(machine: Machine, name: str) -> None:  # noqa: F811
    _, made = command(machine, "backup")
    folder = Path(made["backup"]).rename(machine.home / "my copy")
    done = machine.run_in(folder if name == "." else machine.home, "-m", "leadline", "restore", "--replace", name)
    assert done.returncode == 0, done.stderr
    assert look(machine)["last"][0] == "office.restored"


def test_a_damaged_file_stops_no_backup_and_is_named(machine: Machine, tmp_path: Path) -> None:  # noqa: F811
    blobs = sorted((machine.home / "vault").rglob("*.blob"))
    keys = sorted((machine.home / "vault").rglob("*.key"))
    lost = next(key for key in keys if key.name[:64] != blobs[0].name[:64])
    blobs[0].unlink()
    lost.write_bytes(b"damaged")
    code, made = command(machine, "backup")
    damaged = sorted([blobs[0].name[:64], lost.name[:64]])
    assert (code, made["damaged"]) == (3, damaged)
    said = json.loads((Path(made["backup"]) / "backup.json").read_text())
    assert said["damaged"] == damaged
    code, restored = command(machine, "restore", made["backup"], "--replace")
    assert (code, restored["damaged"]) == (3, damaged)
    assert machine.run("-m", "leadline", "vault", "verify").returncode == 4


def test_a_list_of_erasures_that_is_older_than_the_backup_is_refused(machine: Machine) -> None:  # noqa: F811
    listed, aside = machine.home / "erasures" / "list", machine.home / "copied"
    assert command(machine, "vault", "erasures", "--out", str(aside))[0] == 0
    assert aside.read_bytes() == listed.read_bytes()
    machine.python(_ERASE_FIRST)
    _, made = command(machine, "backup")
    newest = listed.rename(machine.home / "newest")
    aside.rename(listed)
    code, why = command(machine, "restore", made["backup"], "--replace")
    assert (code, "older" in why) == (1, True)
    assert not (machine.home / "restoring").exists()
    newest.replace(listed)
    assert command(machine, "restore", made["backup"], "--replace")[0] == 0


# --- in one process --------------------------------------------------------------------------------------------------


def quiet(text: str) -> None:
    """Nothing is said."""


def take(data: bytes) -> Asset:
    return actions.take_in(data, actor="somebody", source="test")


def test_what_is_on_hold_cannot_be_erased_by_the_vault(keeping: Person, office: Any) -> None:
    asset = take(b"made up")
    actions.set_hold(keeping, asset, is_on=True, reason="court-order")
    Asset.objects.update(on_hold=False)  # as a restored row says
    with pytest.raises(AssetHeld):
        sealing.open_vault().erase(asset.sha256)
    assert sealing.sweep(lambda sha256: False, older_than_s=-5) == 0
    asset.refresh_from_db()
    Asset.objects.update(on_hold=True)
    actions.set_hold(keeping, asset, is_on=False, reason="court-order")
    sealing.open_vault().erase(asset.sha256)


def test_a_bank_is_copied_whole_while_it_is_merged(keeping: Person, make_bank: Any, tmp_path: Path) -> None:
    from tests.workbench.evidence.conftest import exact_entry

    bank, stop = make_bank("known", exact_entry(b"0")), threading.Event()

    def work() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            bank.add([exact_entry(str(number).encode())])
            bank.merge()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for number in range(5):
            made = backups.make_backup(tmp_path / str(number), quiet)
            assert made.banks == ()
            assert Bank.open(made.folder / "banks" / "known").verify() == []
    finally:
        stop.set()
        worker.join()


def test_a_bank_that_does_not_open_is_named_and_the_others_are_copied(
    keeping: Person, make_bank: Any, office: Any, tmp_path: Path
) -> None:
    from tests.workbench.evidence.conftest import exact_entry

    make_bank("good", exact_entry(b"1"))
    (make_bank("bad", exact_entry(b"2")).path / "manifest.json").write_text("{")
    made = backups.make_backup(tmp_path / "safe", quiet)
    assert made.banks == ("bad",)
    assert json.loads((made.folder / "backup.json").read_text())["damaged_banks"] == ["bad"]


def test_two_backups_of_one_second_are_two(keeping: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "now_name", lambda: "20261127T030000Z")
    inner: list[Path] = []
    real = backups._dump_database

    def meanwhile(folder: Path) -> None:
        real(folder)
        if not inner:
            inner.append(folder)
            inner.append(backups.make_backup(tmp_path / "safe", quiet).folder)

    monkeypatch.setattr(backups, "_dump_database", meanwhile)
    outer = backups.make_backup(tmp_path / "safe", quiet).folder
    assert outer != inner[1]
    for folder in (outer, inner[1]):
        backups.check_backup(folder)
        assert any(folder.glob("database.*"))


def test_no_backup_is_made_without_its_database(
    keeping: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "_dump_database", lambda folder: None)
    with pytest.raises(BackupFailed, match="nothing was backed up"):
        backups.make_backup(tmp_path / "safe", quiet)
    assert list((tmp_path / "safe").iterdir()) == []
