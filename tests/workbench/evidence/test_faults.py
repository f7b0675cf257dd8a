"""The plug pulled half-way: what was acknowledged is there, what was not left nothing, and the chain holds."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.machine import Machine

ON_SQLITE = pytest.mark.skipif("DATABASE_URL" in os.environ, reason="the server's files are not this process's")
ON_ONE = pytest.mark.skipif(
    "DATABASE_URL" in os.environ, reason="what is killed here is no database; bench/attack_office.py kills on both"
)

_TAKE = """
import django
django.setup()
from leadline.workbench.evidence import actions
print(actions.take_in(b"made up", actor="somebody", source="test").pk)
"""


def act(machine: Machine, *acts: str) -> tuple[int, dict[str, Any], list[str]]:
    """A process that finds and does; its exit code, what the one before it left, and what it said afterwards."""
    done = machine.run("-m", "tests.workbench.evidence.faults", *acts)
    first, *said = done.stdout.splitlines()
    return done.returncode, json.loads(first), said


@pytest.fixture
def machine(prepared: Machine, tmp_path: Path) -> Machine:
    home = tmp_path / "machine"
    home.mkdir(mode=0o700)
    return Machine(home, like=prepared)


KILLED = -signal.SIGKILL


def test_a_kill_while_a_file_is_taken_in_leaves_all_or_nothing(machine: Machine) -> None:
    """At each point in turn: each process finds nothing of the one before it, and is killed further on."""
    for point in ("row", "matches", "line", "last-line", "hash"):
        code, found, said = act(machine, f"take={point}")
        assert (code, found["fault"], found["assets"], found["told"], said) == (KILLED, "None", [], [], []), point
    code, found, (taken, after) = act(machine, "take=nowhere", "find")
    assert (code, found["fault"], found["assets"], found["told"]) == (0, "None", [], [])
    assert (json.loads(after)["assets"], json.loads(after)["told"]) == ([taken], [taken])


@ON_ONE
def test_a_kill_while_a_file_is_sealed_leaves_nothing_acknowledged_and_a_sound_vault(machine: Machine) -> None:
    code, _, _ = act(machine, "keep", "take=piece")
    for point in ("sealed", "last-line", "hash"):
        assert code == KILLED
        assert machine.run("-m", "leadline", "vault", "verify").returncode == 0
        code, found, said = act(machine, f"take={point}")
        assert (found["fault"], found["assets"], said) == ("None", [], []), point
    _, found, (taken, after) = act(machine, "take=nowhere", "find")
    assert (code, found["assets"], json.loads(after)["assets"]) == (KILLED, [], [taken])
    checked = json.loads(machine.run("-m", "leadline", "vault", "verify", "--json").stdout)
    assert (checked["files"], checked["unrecorded"], checked["faults"]) == (1, 0, [])
    machine.check()


@ON_ONE
def test_a_kill_while_an_exhibit_is_built_is_made_good_by_the_next_build(machine: Machine) -> None:
    code, _, _ = act(machine, "ask-exhibit", "build=bag")
    for point in ("pack", "note"):
        assert code == KILLED
        code, found, _ = act(machine, f"build={point}")
        assert (found["fault"], found["exhibits"]) == ("None", ["released"]), point
    assert code == KILLED
    code, found, (after,) = act(machine, "build=nowhere", "find")
    state = json.loads(after)
    assert found["exhibits"] == ["ready"]  # the row was written; what the builder does after it is done again
    assert (code, state["fault"], state["exhibits"]) == (0, "None", ["ready"])
    assert [act for act in state["acts"] if act.startswith("exhibit.")].count("exhibit.built") == 1
    assert sorted(path.suffix for path in (machine.home / "exhibits").iterdir()) == [".lock", ".zip"]
    machine.check()


@ON_ONE
def test_a_clock_set_back_between_files_and_reports_leaves_a_chain_and_a_vault_that_the_commands_find_whole(
    machine: Machine,
) -> None:
    code, _, (*acknowledged, after) = act(machine, "keep", "set-back=365", "find")
    state = json.loads(after)
    assert (code, state["fault"]) == (0, "None")
    assert sorted(acknowledged) == sorted(state["assets"] + state["reports"])
    assert (len(state["assets"]), len(state["reports"])) == (3, 3)
    assert state["told_reports"] == state["reports"]
    machine.check()


def test_eight_writers_at_once_cannot_fork_the_chain(machine: Machine) -> None:
    with ThreadPoolExecutor(8) as writers:
        ended = list(writers.map(lambda number: act(machine, f"many=writer{number}")[0], range(8)))
    assert ended == [0] * 8
    _, state, _ = act(machine)
    assert state["fault"] == "None"
    assert len(state["assets"]) == 48
    assert state["told"] == state["assets"]


@ON_SQLITE
def test_a_full_disk_refuses_and_loses_nothing_acknowledged(machine: Machine) -> None:
    code, _, acknowledged = act(machine, "starve=200000")
    assert code not in (0, KILLED)
    code, state, _ = act(machine, "take=nowhere")
    assert (code, state["fault"]) == (0, "None")
    assert set(acknowledged) <= {*state["assets"], *state["reports"]}
    assert len(acknowledged) >= 2  # a file and a report at the least
    assert (state["told"], state["told_reports"]) == (state["assets"], state["reports"])
    machine.check()


@ON_SQLITE
def test_without_its_database_nothing_is_acknowledged(machine: Machine) -> None:
    away = machine.home / "away"
    (machine.home / "leadline.sqlite3").rename(away)
    refused = machine.run("-c", _TAKE)
    assert refused.returncode != 0
    assert refused.stdout == ""
    away.replace(machine.home / "leadline.sqlite3")
    assert act(machine, "take=nowhere")[0] == 0
    machine.check()
