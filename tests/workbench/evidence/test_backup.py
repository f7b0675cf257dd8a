"""Backup and restore, each one command: the office is back, what was erased stays erased, and the gap is told."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.machine import Machine

_KEEP_TWO = """
import django
django.setup()
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions
from leadline.workbench.evidence.models import MediaMode
person = Person.objects.create(email="one@example.org", name="one")
actions.set_media_mode(person, MediaMode.KEEP, "made-up law, section 1", retention_days=30)
for text in ("first", "second"):
    actions.take_in(text.encode() * 1000, actor="somebody", source="test")
"""
_ERASE_FIRST = """
import django
django.setup()
from django.db import transaction
from leadline.workbench.evidence import actions
from leadline.workbench.evidence.models import Asset
with transaction.atomic():
    actions.erase(Asset.objects.order_by("received_at").first(), actor="somebody", reason="term-ended")
actions.take_in(b"third" * 1000, actor="somebody", source="test")
"""
_LOOK = """
import django, json
django.setup()
from leadline.custody.chain import encode_line, find_fault
from leadline.errors import AssetErased
from leadline.workbench import sealing
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.actions import event_of
from leadline.workbench.journal.models import Line
def read(asset):
    try:
        return b"".join(sealing.read_asset(asset.sha256)).decode()[:5]
    except AssetErased:
        return "erased"
lines = list(Line.objects.order_by("line"))
print(json.dumps({
    "fault": str(find_fault([encode_line(event_of(line)) for line in lines])),
    "read": [read(asset) for asset in Asset.objects.order_by("received_at")],
    "states": [asset.state for asset in Asset.objects.order_by("received_at")],
    "last": [lines[-1].act, json.loads(lines[-1].details)],
    "told": [line.reason for line in lines if line.act == "asset.erased"],
    "lines": len(lines),
}))
"""


@pytest.fixture(scope="module")
def keeping_two(prepared: Machine, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    home = tmp_path_factory.mktemp("kept") / "machine"
    home.mkdir(mode=0o700)
    made = Machine(home, like=prepared)
    made.python(_KEEP_TWO)
    return made


@pytest.fixture
def machine(keeping_two: Machine, tmp_path: Path) -> Machine:
    home = tmp_path / "machine"
    home.mkdir(mode=0o700)
    return Machine(home, like=keeping_two)


def command(machine: Machine, *arguments: str) -> Any:
    done = machine.run("-m", "leadline", *arguments, "--json")
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def look(machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(machine.python(_LOOK))
    return found


def test_what_was_erased_since_a_backup_stays_erased_after_it_is_restored(machine: Machine) -> None:
    code, made = command(machine, "backup")
    assert code == 0, made
    machine.python(_ERASE_FIRST)
    refused, why = command(machine, "restore", made["backup"])
    assert refused == 2
    assert "an office is here already" in why
    assert look(machine)["states"] == ["erased", "kept", "kept"]
    code, restored = command(machine, "restore", made["backup"], "--replace")
    assert code == 0, restored
    assert restored["erased_again"] == 1
    found = look(machine)
    assert found["fault"] == "None"
    assert (found["read"], found["states"]) == (["erased", "secon"], ["erased", "kept"])
    assert found["told"] == ["erased-before-restore"]
    act, details = found["last"]
    assert (act, details["line"], details["erased"]) == ("office.restored", restored["line"], 1)
    assert details["replaced_line"] > details["line"]
    aside = [path.name for path in machine.home.iterdir() if "replaced-" in path.name]
    assert any(name.startswith("vault.") for name in aside)
    assert "DATABASE_URL" in os.environ or any(name.startswith("leadline.sqlite3.") for name in aside)
    assert command(machine, "vault", "verify")[0] == 0


def test_a_backup_comes_back_on_an_empty_machine_that_has_keys_and_erasures(machine: Machine, tmp_path: Path) -> None:
    own = machine.home / "law" / "matrix" / "own.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("format: matrix-1\ncells: []\n")
    _, made = command(machine, "backup", "--to", str(tmp_path / "safe"))
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    new = Machine(other)
    code, why = command(new, "restore", made["backup"])
    assert (code, "key" in why) == (2, True)
    shutil.copytree(machine.home / "keys", other / "keys", dirs_exist_ok=True)
    code, why = command(new, "restore", made["backup"])
    assert (code, "list of erasures" in why) == (1, True)
    assert not (other / "vault").exists()
    shutil.copytree(machine.home / "erasures", other / "erasures")
    assert command(new, "restore", made["backup"])[0] == 0
    assert look(new)["read"] == ["first", "secon"]
    assert (other / "law" / "matrix" / "own.yaml").read_text() == own.read_text()


def test_no_key_and_no_erasure_list_is_in_a_backup(machine: Machine) -> None:
    _, made = command(machine, "backup")
    names = {path.name for path in Path(made["backup"]).rglob("*")}
    assert not names & {path.name for folder in ("keys", "erasures") for path in (machine.home / folder).iterdir()}


def test_a_damaged_backup_is_refused_before_anything_is_touched(machine: Machine) -> None:
    _, made = command(machine, "backup")
    damaged = max((Path(made["backup"]) / "vault").rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    before = look(machine)
    code, why = command(machine, "restore", made["backup"], "--replace")
    assert (code, "damaged" in why) == (1, True)
    assert look(machine) == before


def test_an_erased_file_is_not_in_a_later_backup(machine: Machine) -> None:
    machine.python(_ERASE_FIRST)
    _, made = command(machine, "backup")
    assert len(list((Path(made["backup"]) / "vault").rglob("*.key"))) == 2


def test_a_key_is_changed_by_one_command(machine: Machine) -> None:
    code, done = command(machine, "vault", "rotate")
    assert (code, done["files"] >= 2) == (0, True)
    for old in (machine.home / "keys").glob("instance.key.old-*"):
        old.unlink()
    assert look(machine)["read"] == ["first", "secon"]
    assert command(machine, "vault", "verify")[0] == 0


def test_a_damaged_file_is_found_by_verify(machine: Machine) -> None:
    blob = max((machine.home / "vault").rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0)
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    code, said = command(machine, "vault", "verify")
    assert (code, said["sound"], len(said["faults"])) == (4, False, 1)


def test_without_room_a_backup_leaves_nothing_half_made(machine: Machine, tmp_path: Path) -> None:
    machine.python("""
import django, resource, signal, pathlib, os
django.setup()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from leadline.errors import LeadlineError
from leadline.workbench.backup import make_backup
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
folder = pathlib.Path(os.environ["LEADLINE_HOME"]) / "small"
try:
    make_backup(folder, lambda text: None)
except LeadlineError as error:
    assert error.code == "backup-failed", error
else:
    raise AssertionError("it was made")
assert list(folder.iterdir()) == []
""")


def test_what_a_source_gives_again_is_not_copied(tmp_path: Path) -> None:
    from leadline.workbench import backup

    there = tmp_path / "exchanges" / "hotline"
    for name in ("settings.json", "holdings.sqlite", "holdings.sqlite-wal", "holdings.large/ab/abcd", "lock"):
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_bytes(b"made up")
    backup._copy_folder(tmp_path / "exchanges", tmp_path / "copy")
    copied = sorted(path.name for path in (tmp_path / "copy").rglob("*") if path.is_file())
    assert copied == ["lock", "settings.json"]
