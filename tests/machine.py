"""An office in a folder of its own, for tests that need other processes, kills and restores."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests import forking
from tests.servers import fresh_database

_PREPARE = """
import django
django.setup()
from leadline.workbench.office import prepare_office
prepare_office(lambda text: None)
"""


_COMMANDS = """
import json, sys
from leadline.cli import main
for command in json.loads(sys.argv[1]):
    code = main(command)
    if code:
        sys.exit(f"{command}: {code}")
"""


def check_by_commands(environment: dict[str, str], folder: Path) -> None:
    """What an operator and an expert say after a fault: the chain is carried out and verified, the vault is re-read."""
    carried = folder / "carried-out"
    said = [["journal", "export", str(carried)], ["verify", str(carried / "custody.jsonl")], ["vault", "verify"]]
    done = forking.run(["-c", _COMMANDS, json.dumps(said)], env=environment)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert (carried / "custody.jsonl").stat().st_size > 0


class Machine:
    """An office in a folder of its own; every call is another process (see forking.py).

    Its database is a SQLite file there, or where DATABASE_URL names a server a new one of that.
    """

    def __init__(self, home: Path, like: Machine | None = None) -> None:
        self.home = home
        if like is not None:
            shutil.copytree(like.home, home, dirs_exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEADLINE_", "DATABASE_URL"))}
        self.environment = kept | {
            "LEADLINE_HOME": str(home),
            "DJANGO_SETTINGS_MODULE": "leadline.workbench.settings",
        }
        if "DATABASE_URL" in os.environ:
            template = "" if like is None else like.environment["DATABASE_URL"]
            self.environment["DATABASE_URL"] = fresh_database(os.environ["DATABASE_URL"], like=template)

    def move(self, home: Path) -> None:
        self.home = self.home.rename(home)
        self.environment["LEADLINE_HOME"] = str(home)

    def run_in(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return forking.run([*arguments], env=self.environment, cwd=folder)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return forking.run([*arguments], env=self.environment)

    def python(self, code: str) -> str:
        done = self.run("-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def check(self) -> None:
        check_by_commands(self.environment, self.home.parent)

    def prepare(self) -> None:
        """Keys and tables. It takes seconds: a copy of one that is prepared already takes none."""
        self.python(_PREPARE)


def made_once(
    factory: pytest.TempPathFactory, name: str, make: Callable[[Machine], None], like: Machine | None = None
) -> Machine:
    """A machine to take copies of. Where it is in its folder (SQLite), all processes of a run share it."""
    base = factory.getbasetemp()
    if base.name.startswith("popen-") and "DATABASE_URL" not in os.environ:
        base = base.parent
    home, being_made = base / name / "machine", base / name / "being-made"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if home.exists():
            return Machine(home)
        being_made.mkdir(mode=0o700, parents=True)
        made = Machine(being_made, like=like)
        make(made)
        made.move(home)
    return made
