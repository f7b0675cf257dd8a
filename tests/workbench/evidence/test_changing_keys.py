"""A change of the instance key while the office works: nothing is lost, and no old key goes that is needed still."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import models
from tests.machine import Machine

from leadline.custody.keys import InstanceKey
from leadline.errors import KeyUnavailable, SealBroken, WrongState
from leadline.workbench import sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions
from leadline.workbench.evidence.models import Asset, WrappedSecret

_AT_WORK = """
import django, sys, json
django.setup()
from leadline.workbench import sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions
from leadline.workbench.evidence.models import Asset, MediaMode
from leadline.workbench.running import at_work
person = Person.objects.create(email="one@example.org", name="one")
actions.set_media_mode(person, MediaMode.KEEP, "made-up law, section 1", retention_days=30)
def look(asset):
    asset.refresh_from_db()
    return [b"".join(sealing.read_asset(asset.sha256)).decode()[:6],
            sealing.unseal(bytes(asset.name_sealed), f"asset-name:{asset.pk}")]
with at_work():
    first = actions.take_in(b"before" * 100, actor="somebody", source="test", name="n1")
    print("ready", flush=True)
    sys.stdin.readline()
    second = actions.take_in(b"after " * 100, actor="somebody", source="test", name="n2")
    print(json.dumps([look(first), look(second)]), flush=True)
    sys.stdin.readline()
"""
_LOOK = """
import django, json
django.setup()
from leadline.workbench import sealing
from leadline.workbench.evidence.models import Asset
print(json.dumps([[b"".join(sealing.read_asset(a.sha256)).decode()[:6],
    sealing.unseal(bytes(a.name_sealed), f"asset-name:{a.pk}")] for a in Asset.objects.order_by("received_at")]))
"""
_BOTH = [["before", "n1"], ["after ", "n2"]]


@pytest.fixture
def machine(prepared: Machine, tmp_path: Path) -> Machine:
    home = tmp_path / "machine"
    home.mkdir(mode=0o700)
    made = Machine(home, like=prepared)
    return made


@pytest.fixture
def at_work(machine: Machine) -> Iterator[subprocess.Popen[str]]:
    """Another process of the office, which has sealed something already and runs on."""
    running = subprocess.Popen(
        [sys.executable, "-c", _AT_WORK],
        env=machine.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        yield running
        running.kill()


def go_on(running: subprocess.Popen[str]) -> str:
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write("\n")
    running.stdin.flush()
    return running.stdout.readline()


own_office = pytest.mark.skipif(bool(os.environ.get("DATABASE_URL")), reason="makes an office of its own, on SQLite")


@own_office
def test_a_process_that_runs_on_takes_up_the_new_key_at_once(
    machine: Machine, at_work: subprocess.Popen[str]
) -> None:
    done = machine.run("-m", "leadline", "vault", "rotate", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["older"] == 0
    assert json.loads(go_on(at_work)) == _BOTH
    refused = machine.run("-m", "leadline", "vault", "forget-key")
    assert (refused.returncode, "the office is at work" in refused.stderr) == (1, True)
    go_on(at_work)
    at_work.wait(30)
    done = machine.run("-m", "leadline", "vault", "forget-key", "--json")
    assert (done.returncode, len(json.loads(done.stdout)["forgotten"])) == (0, 1), done.stderr
    assert not list((machine.home / "keys").glob("*.old-*"))
    assert json.loads(machine.python(_LOOK)) == _BOTH
    assert machine.run("-m", "leadline", "vault", "verify").returncode == 0


@own_office
def test_a_change_of_the_key_that_is_killed_is_finished_by_the_next_and_loses_nothing(machine: Machine) -> None:
    code = _AT_WORK.replace("sys.stdin.readline()", "None")
    assert machine.run("-c", code).returncode == 0
    for moment in ("leadline.custody.upkeep.rewrap_vault", "leadline.workbench.sealing.rewrap_fields"):
        module, _, name = moment.rpartition(".")
        killed = machine.run("-c", f"""
import django, os, signal
django.setup()
import {module}, leadline.workbench.evidence.acts.vault as acts
def stop(*_):
    os.kill(os.getpid(), signal.SIGKILL)
for place in ({module}, acts):
    if hasattr(place, "{name}"):
        setattr(place, "{name}", stop)
acts.rotate_key()
""")
        assert killed.returncode == -9
        assert json.loads(machine.python(_LOOK)) == _BOTH
    assert machine.run("-m", "leadline", "vault", "rotate").returncode == 0
    assert machine.run("-m", "leadline", "vault", "forget-key").returncode == 0
    assert json.loads(machine.python(_LOOK)) == _BOTH


def take(data: bytes) -> Asset:
    return actions.take_in(data, actor="somebody", source="test", name="made-up.txt")


def test_no_old_key_goes_while_anything_is_wrapped_under_it(keeping: Person, office: Any) -> None:
    asset = take(b"made up")
    under_old = bytes(asset.name_sealed or b"")
    actions.rotate_key()
    older = list((office.home / "keys").glob("*.old-*"))
    WrappedSecret.objects.create(purpose="made up", wrapped=InstanceKey.load(older[0]).wrap(bytes(32), b"elsewhere"))
    with pytest.raises(SealBroken, match="damaged"):
        actions.forget_older_keys()  # a secret that cannot be wrapped anew keeps its key
    assert list((office.home / "keys").glob("*.old-*")) == older
    WrappedSecret.objects.filter(purpose="made up").delete()
    Asset.objects.update(name_sealed=under_old)  # by a process that was late
    assert sealing.count_under_older_keys() == 1
    assert len(actions.forget_older_keys()) == 1
    asset.refresh_from_db()
    assert sealing.unseal(bytes(asset.name_sealed or b""), f"asset-name:{asset.pk}") == "made-up.txt"


def test_a_key_that_something_still_needs_is_not_forgotten(keeping: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = take(b"made up")
    under_old = bytes(asset.name_sealed or b"")
    actions.rotate_key()
    Asset.objects.update(name_sealed=under_old)
    monkeypatch.setattr(sealing, "rewrap_fields", lambda damaged: 0)
    with pytest.raises(WrongState, match="1 data keys are still under a key of before"):
        actions.forget_older_keys()


def test_a_damaged_file_or_field_is_named_and_stops_no_change_of_the_key(keeping: Person, office: Any) -> None:
    first, second = take(b"first"), take(b"second")
    record = next(office.vault.rglob(f"{first.sha256}.key"))
    record.write_bytes(b"damaged")
    Asset.objects.filter(pk=second.pk).update(name_sealed=b"damaged")
    done, damaged = actions.rotate_key()
    assert damaged == [first.sha256, f"evidence.asset.name_sealed:{second.pk}"]
    assert (done["files"] > 0, done["older"]) == (True, 0)
    assert len(actions.forget_older_keys()) == 1
    assert b"".join(sealing.read_asset(second.sha256)) == b"second"


def test_a_field_that_is_emptied_while_keys_are_changed_stays_empty(
    keeping: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = take(b"made up")
    original = sealing.rewrap_field

    def meanwhile(held: bytes) -> bytes:
        Asset.objects.update(name_sealed=None)  # its term ended in another process
        return original(held)

    monkeypatch.setattr(sealing, "rewrap_field", meanwhile)
    actions.rotate_key()
    asset.refresh_from_db()
    assert asset.name_sealed is None


def test_every_column_of_sealed_bytes_says_so_by_its_class() -> None:
    others = {"evidence.AssetView.pdq", "evidence.WrappedSecret.wrapped"}  # hashes; wrapped anew by itself
    found = set()
    for model in apps.get_models():
        if model.__module__.startswith("leadline."):
            for field in model._meta.concrete_fields:
                is_sealed = isinstance(field, sealing.SealedField)
                assert is_sealed == field.name.endswith("_sealed"), f"{model.__name__}.{field.name}"
                if isinstance(field, models.BinaryField) and not is_sealed:
                    found.add(f"{model._meta.app_label}.{model.__name__}.{field.name}")
    assert found == others


def test_a_key_that_is_put_back_is_found_without_a_new_start(keeping: Person, office: Any) -> None:
    asset, key = take(b"made up"), office.home / "keys" / "instance.key"
    aside = key.rename(office.home / "keys" / "aside")
    with pytest.raises(KeyUnavailable):
        sealing.seal("text", "made-up:1")
    aside.rename(key)
    assert b"".join(sealing.read_asset(asset.sha256)) == b"made up"
