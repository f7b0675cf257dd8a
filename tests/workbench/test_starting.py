"""What every process of the office asks before it begins, whoever starts it; and who may work beside whom."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.machine import Machine

from leadline.errors import ConfigError, WrongState
from leadline.workbench import office as offices
from leadline.workbench import running

own_office = pytest.mark.skipif(bool(os.environ.get("DATABASE_URL")), reason="makes an office of its own, on SQLite")
PROCESSES = [("leadline.workbench.worker",), ("leadline.workbench.server", "staff")]
PROCESSES.append(("leadline.workbench.server", "public"))
_HOLD = """
import django, sys
django.setup()
from leadline.workbench.running import at_work
with at_work(alone={alone}):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def machine(prepared: Machine, tmp_path: Path) -> Machine:
    home = tmp_path / "machine"
    home.mkdir(mode=0o700)
    made = Machine(home, like=prepared)
    return made


def hold(machine: Machine, *, alone: bool) -> subprocess.Popen[str]:
    held = subprocess.Popen(
        [sys.executable, "-c", _HOLD.format(alone=alone)],
        env=machine.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert held.stdout is not None
    assert held.stdout.readline() == "held\n"
    return held


@own_office
@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: " ".join(process))
def test_nothing_starts_beside_a_restore_or_in_a_half_restored_office(machine: Machine, process: Any) -> None:
    with hold(machine, alone=True) as held:
        refused = machine.run("-m", *process)
        assert (refused.returncode, "is under way" in refused.stderr) == (1, True), refused.stderr
        up = machine.run("-m", "leadline", "up", "--check")
        assert (up.returncode, "is under way" in up.stderr) == (1, True)
        held.kill()
    (machine.home / "restoring").write_text("{}")
    for command in (("-m", *process), ("-m", "leadline", "up", "--check")):
        refused = machine.run(*command)
        assert (refused.returncode, "stopped half-way" in refused.stderr) == (2, True), refused.stderr


@own_office
def test_a_restore_does_not_begin_beside_a_process_at_work(machine: Machine, tmp_path: Path) -> None:
    made = machine.run("-m", "leadline", "backup", "--to", str(tmp_path / "safe"))
    assert made.returncode == 0
    folder = next((tmp_path / "safe").iterdir())
    with hold(machine, alone=False) as held:
        refused = machine.run("-m", "leadline", "restore", "--replace", str(folder))
        assert (refused.returncode, "the office is at work" in refused.stderr) == (1, True)
        held.kill()
    assert machine.run("-m", "leadline", "restore", "--replace", str(folder)).returncode == 0


@own_office
@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: " ".join(process))
@pytest.mark.parametrize("fault", ["no key", "key open", "home open", "no office"])
def test_a_process_that_is_started_alone_refuses_what_up_refuses(machine: Machine, process: Any, fault: str) -> None:
    if fault == "no key":
        (machine.home / "keys" / "instance.key").unlink()
    elif fault == "key open":
        (machine.home / "keys" / "signing.key").chmod(0o640)
    elif fault == "home open":
        machine.home.chmod(0o755)
    else:
        (machine.home / "leadline.sqlite3").unlink()
    refused = machine.run("-m", *process)
    assert refused.returncode == 2, refused.stderr
    assert refused.stderr.startswith("leadline: ")
    assert "Traceback" not in refused.stderr


@own_office
@pytest.mark.parametrize("fault", ["open", "lost"])
def test_the_key_of_sessions_is_read_only_where_it_is_private_and_never_made_anew_in_an_office(
    machine: Machine, fault: str
) -> None:
    path = machine.home / "keys" / "django.key"
    path.chmod(0o644) if fault == "open" else path.unlink()
    for command in (("leadline", "up", "--check"), ("leadline", "vault", "verify"), ("leadline.workbench.worker",)):
        refused = machine.run("-m", *command)
        assert refused.returncode == 2, refused.stderr
        assert ("others can read" if fault == "open" else "put it back; if it is lost") in refused.stderr
    assert path.exists() == (fault == "open")


def test_in_a_database_elsewhere_too_a_new_key_of_sessions_is_a_fault(office: Any, settings: Any) -> None:
    settings.LEADLINE_SECRET_IS_NEW = True
    made = office.home / "keys" / "django.key"
    made.write_text("made a moment ago")
    with pytest.raises(ConfigError, match="signs sessions is missing"):
        offices.check_secret()
    assert not made.exists()


def test_many_may_work_at_once_and_one_alone_only_by_itself(office: Any) -> None:
    with running.at_work(), running.at_work():
        with pytest.raises(WrongState, match="at work"):
            running.at_work(alone=True).__enter__()
    with running.at_work(alone=True):
        with pytest.raises(WrongState, match="under way"):
            running.at_work().__enter__()
    with running.at_work():
        pass


@own_office
def test_no_process_that_holds_keys_or_media_can_be_dumped(machine: Machine) -> None:
    ask = "import ctypes, resource\n{}\nprint(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3))"
    begin = "import django; django.setup()\nfrom leadline.workbench.office import begin_work; begin_work()"
    command = "from leadline.cli.run import run\nrun(['--version'])"
    for code in (begin, command):
        assert machine.python(ask.format(code)).splitlines()[-1] == "(0, 0) 0"
