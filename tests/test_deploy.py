"""The unit and the container file: they can be read, ask for commands that there are, and give away no right."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

from leadline.cli.app import app

FOLDER = Path(__file__).parents[1] / "deploy"
UNIT = (FOLDER / "leadline-serve.service").read_text()
CONTAINER = (FOLDER / "Containerfile").read_text()


def directives(text: str) -> dict[str, list[str]]:
    """Of a unit: name -> its values, those that are commented out left out."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if match := re.fullmatch(r"([A-Z]\w+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


def instructions(text: str) -> list[tuple[str, str]]:
    """Of a container file, with continued lines joined."""
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word and word != "#"]


def check_command(words: list[str]) -> None:
    """`leadline COMMAND OPTIONS`: the command exists and has these options."""
    group: Any = typer.main.get_command(app)
    known = {name for parameter in group.commands[words[1]].params for name in parameter.opts}
    assert [word for word in words[2:] if word.startswith("--") and word not in known] == []


def test_systemd_can_read_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (Debian package systemd)")
    unit = tmp_path / "leadline-serve.service"
    unit.write_text(UNIT.replace("/opt/leadline/bin/leadline", sys.executable))
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DynamicUser", "yes"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateDevices", "yes"),
        ("RestrictNamespaces", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("MemorySwapMax", "0"),
        ("LimitCORE", "0"),
        ("KillMode", "mixed"),
    ],
)
def test_the_unit_gives_no_more_than_it_must(name: str, value: str) -> None:
    assert directives(UNIT)[name] == [value]


def test_the_unit_lets_uploads_be_locked_away() -> None:
    """The sandbox asks for these calls, and for /proc as it is (docs/sandbox.md)."""
    told = directives(UNIT)
    allowed = set(" ".join(told["SystemCallFilter"]).split())
    assert allowed >= {"seccomp", "landlock_create_ruleset", "landlock_restrict_self", "memfd_create", "pidfd_open"}
    assert "ProcSubset" not in told


def test_the_unit_waits_longer_than_a_drain_takes() -> None:
    from leadline.service.serving import _DRAIN_S

    assert int(directives(UNIT)["TimeoutStopSec"][0]) > _DRAIN_S


def test_commands_of_the_unit_are_there() -> None:
    commands = [line for line in UNIT.splitlines() if "bin/leadline serve" in line]
    assert len(commands) == 2
    for line in commands:
        check_command(shlex.split(line.partition("ExecStart=")[2]))


def test_the_container_is_built_apart_from_what_runs_and_runs_as_nobody_in_particular() -> None:
    told = instructions(CONTAINER)
    images = [rest.split()[0] for word, rest in told if word == "FROM"]
    assert images == ["debian:13-slim", "debian:13-slim"]
    last = told[max(at for at, (word, _) in enumerate(told) if word == "FROM") :]
    (user,) = (rest for word, rest in last if word == "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert not re.search(r"g\+\+|-dev\b", " ".join(rest for _, rest in last))
    assert "https://" not in CONTAINER
    assert not any(word == "ADD" for word, _ in told)


def test_the_container_is_asked_whether_it_is_alive_and_starts_a_command_that_there_is() -> None:
    told = dict(instructions(CONTAINER))
    assert "/healthz" in told["HEALTHCHECK"]
    words = re.findall(r'"([^"]*)"', told["ENTRYPOINT"] + told["CMD"])
    check_command(words)
    assert "--no-token" not in words


def test_the_container_is_run_with_a_read_only_file_system_and_no_right_by_the_command_that_is_told() -> None:
    comment = " ".join(line[1:].strip().rstrip("\\") for line in CONTAINER.splitlines() if line.startswith("#"))
    words = shlex.split(comment[comment.index("podman run") :].partition(" With --from")[0])
    image = words.index("leadline-serve")
    given = words[2:image]
    assert "--read-only" in given
    assert ("--cap-drop", "all") in pairwise(given)
    assert ("--security-opt", "no-new-privileges") in pairwise(given)
    check_command(["leadline", *words[image + 1 :]])


def test_what_the_container_installs_has_all_that_its_service_can_be_asked_for() -> None:
    """`--from s3://...` needs boto3; the project has these extras."""
    (extras,) = re.findall(r"'/src\[(.*?)\]'", CONTAINER)
    known = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {"service", "s3"} <= set(extras.split(",")) <= known.keys()


def test_the_check_of_the_container_is_a_program_that_can_be_read() -> None:
    (source,) = re.findall(r'"-c", "(.*)"\]', dict(instructions(CONTAINER))["HEALTHCHECK"])
    compile(source, "healthcheck", "exec")


def test_uploads_can_be_locked_away_where_no_memory_may_become_code() -> None:
    """The unit's MemoryDenyWriteExecute and NoNewPrivileges, as the kernel itself has them (Linux 6.3)."""
    source = (
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None)\n"
        "if libc.prctl(65, 1, 0, 0, 0) or libc.prctl(38, 1, 0, 0, 0): sys.exit(77)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'leadline', 'doctor'])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    ended = subprocess.run([sys.executable, "-c", source], env=environment, capture_output=True, text=True, timeout=60)
    if ended.returncode == 77:
        pytest.skip("this kernel cannot deny executable memory to a process")
    assert ended.returncode == 0, ended.stdout + ended.stderr
