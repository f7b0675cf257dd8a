"""The plug pulled half-way: what was acknowledged is there, what was not left nothing, and the chain holds."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.machine import Machine

ON_SQLITE = pytest.mark.skipif("DATABASE_URL" in os.environ, reason="the server's files are not this process's")

_ASK = """
import django, json, sys
django.setup()
from leadline.custody.chain import encode_line, find_fault
from leadline.workbench.evidence.models import Asset, Exhibit
from leadline.workbench.journal.actions import event_of
from leadline.workbench.journal.models import Line
lines = list(Line.objects.order_by("line"))
print(json.dumps({
    "fault": str(find_fault([encode_line(event_of(line)) for line in lines])),
    "assets": sorted(str(pk) for pk in Asset.objects.values_list("pk", flat=True)),
    "told": sorted(line.object_id for line in lines if line.act == "asset.received"),
    "acts": [line.act for line in lines],
    "exhibits": list(Exhibit.objects.values_list("state", flat=True)),
}))
"""
_ASK_EXHIBIT = """
import django
django.setup()
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions
asset = actions.take_in(b"made up", actor="somebody", source="test")
people = [Person.objects.create(email=f"{n}@example.org", name=n) for n in ("one", "two")]
exhibit = actions.request_exhibit(people[0], [asset], recipient="Made-up court", reason="court-order")
actions.decide_exhibit(people[1], exhibit, release=True, reason="checked")
"""


_KEEP = """
import django
django.setup()
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions
from leadline.workbench.evidence.models import MediaMode
person = Person.objects.create(email="head@example.org", name="head")
actions.set_media_mode(person, MediaMode.KEEP, "made-up law, section 1", retention_days=30)
"""


def state_of(machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(machine.python(_ASK))
    return found


FAULTS = ("-m", "tests.workbench.evidence.faults")


@pytest.fixture
def machine(prepared: Machine, tmp_path: Path) -> Machine:
    home = tmp_path / "machine"
    home.mkdir(mode=0o700)
    return Machine(home, like=prepared)


@pytest.mark.parametrize("point", ["row", "matches", "line", "last-line", "hash"])
def test_a_kill_while_a_file_is_taken_in_leaves_all_or_nothing(machine: Machine, point: str) -> None:
    killed = machine.run(*FAULTS, "take", point)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    state = state_of(machine)
    assert (state["fault"], state["assets"], state["told"]) == ("None", [], [])
    again = machine.run(*FAULTS, "take", "nowhere")
    assert state_of(machine)["assets"] == [again.stdout.strip()]


@pytest.mark.parametrize("point", ["piece", "sealed", "last-line"])
def test_a_kill_while_a_file_is_sealed_leaves_nothing_acknowledged_and_a_sound_vault(
    machine: Machine, point: str
) -> None:
    machine.python(_KEEP)
    assert machine.run(*FAULTS, "take", point).returncode == -signal.SIGKILL
    state = state_of(machine)
    assert (state["fault"], state["assets"]) == ("None", [])
    assert machine.run("-m", "leadline", "vault", "verify").returncode == 0
    again = machine.run(*FAULTS, "take", "nowhere")
    assert state_of(machine)["assets"] == [again.stdout.strip()]
    checked = json.loads(machine.run("-m", "leadline", "vault", "verify", "--json").stdout)
    assert (checked["files"], checked["unrecorded"], checked["faults"]) == (1, 0, [])


def test_after_kills_in_every_kind_of_write_the_commands_find_chain_and_vault_whole(machine: Machine) -> None:
    machine.python(_KEEP)
    machine.python(_ASK_EXHIBIT)
    for what, point in (("take", "piece"), ("take", "sealed"), ("take", "hash"), ("build", "pack")):
        assert machine.run(*FAULTS, what, point).returncode == -signal.SIGKILL
    machine.check()


def test_a_clock_set_back_between_files_leaves_a_chain_and_a_vault_that_the_commands_find_whole(
    machine: Machine,
) -> None:
    machine.python(_KEEP)
    taken = machine.run(*FAULTS, "set-back", "365")
    assert taken.returncode == 0, taken.stderr
    state = state_of(machine)
    assert state["assets"] == sorted(taken.stdout.split())
    assert len(state["assets"]) == 3
    machine.check()


def test_eight_writers_at_once_cannot_fork_the_chain(machine: Machine) -> None:
    writers = [machine.start(*FAULTS, "many", f"writer{number}") for number in range(8)]
    assert [writer.wait(timeout=120) for writer in writers] == [0] * 8
    state = state_of(machine)
    assert state["fault"] == "None"
    assert len(state["assets"]) == 48
    assert state["told"] == state["assets"]


@ON_SQLITE
def test_a_full_disk_refuses_and_loses_nothing_acknowledged(machine: Machine) -> None:
    starved = machine.run(*FAULTS, "starve", "200000")
    assert starved.returncode not in (0, -signal.SIGKILL)
    acknowledged = starved.stdout.split()
    state = state_of(machine)
    assert state["fault"] == "None"
    assert acknowledged
    assert set(acknowledged) <= set(state["assets"])
    assert state["told"] == state["assets"]
    assert machine.run(*FAULTS, "take", "nowhere").returncode == 0
    machine.check()


@ON_SQLITE
def test_without_its_database_nothing_is_acknowledged(machine: Machine) -> None:
    away = machine.home / "away"
    (machine.home / "leadline.sqlite3").rename(away)
    refused = machine.run(*FAULTS, "take", "nowhere")
    assert refused.returncode != 0
    assert refused.stdout == ""
    away.replace(machine.home / "leadline.sqlite3")
    assert machine.run(*FAULTS, "take", "nowhere").returncode == 0
    machine.check()


@pytest.mark.parametrize("point", ["bag", "pack", "note"])
def test_a_kill_while_an_exhibit_is_built_is_made_good_by_the_next_build(machine: Machine, point: str) -> None:
    machine.python(_ASK_EXHIBIT)
    assert machine.run(*FAULTS, "build", point).returncode == -signal.SIGKILL
    machine.python(
        "import django; django.setup()\n"
        "from leadline.workbench.evidence import tasks\n"
        "from leadline.workbench.evidence.models import Exhibit\n"
        "tasks.build.call(str(Exhibit.objects.get().pk))"
    )
    state = state_of(machine)
    assert (state["fault"], state["exhibits"]) == ("None", ["ready"])
    assert [act for act in state["acts"] if act.startswith("exhibit.")].count("exhibit.built") == 1
    assert sorted(path.suffix for path in (machine.home / "exhibits").iterdir()) == [".lock", ".zip"]
