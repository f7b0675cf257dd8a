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


def test_the_unit_has_the_folder_of_banks_made_in_its_state_and_names_none_inside_the_other() -> None:
    """Before systemd 252 nested state folders of a DynamicUser ended in 238/STATE_DIRECTORY (systemd's issue 24783)."""
    told = directives(UNIT)
    (state,) = told["StateDirectory"]
    assert len(state.split()) == 1
    (made,) = told["ExecStartPre"]
    (banks,) = re.findall(r"--banks (\S+)", told["ExecStart"][0])
    assert shlex.split(made) == ["/usr/bin/mkdir", "-p", banks]
    assert banks.startswith(f"/var/lib/{state}/")


def test_the_unit_waits_longer_than_a_drain_takes() -> None:
    from leadline.service.serving import _DRAIN_S

    assert int(directives(UNIT)["TimeoutStopSec"][0]) > _DRAIN_S


def test_the_unit_is_never_given_up() -> None:
    """By itself systemd starts nothing any more that failed five times within ten seconds."""
    told = directives(UNIT)
    assert (told["Restart"], told["StartLimitIntervalSec"]) == (["always"], ["0"])


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


def told_commands() -> list[list[str]]:
    """The commands of podman that the head of the container file tells."""
    head = re.sub(r"\\\n#", "", CONTAINER)
    return [shlex.split(line[1:]) for line in head.splitlines() if re.match("#   podman ", line)]


def test_the_container_is_built_in_a_form_that_has_its_health_check() -> None:
    """The form oci has none, and it is what podman makes unless it is told."""
    build, *_ = told_commands()
    assert build[:2] == ["podman", "build"]
    assert ("--format", "docker") in pairwise(build)


def test_the_container_is_run_with_a_read_only_file_system_and_no_right_by_the_command_that_is_told() -> None:
    *_, words = told_commands()
    image = words.index("leadline-serve")
    given = words[2:image]
    assert "--read-only" in given
    assert ("--cap-drop", "all") in pairwise(given)
    assert ("--security-opt", "no-new-privileges") in pairwise(given)
    check_command(["leadline", *words[image + 1 :]])


def test_the_container_is_given_longer_to_stop_than_a_drain_takes() -> None:
    """Unless they are told, engines kill it after ten seconds."""
    from leadline.service.serving import _DRAIN_S

    *_, words = told_commands()
    assert int(words[words.index("--stop-timeout") + 1]) > _DRAIN_S


def test_a_token_is_made_in_the_state_folder_of_the_container_by_the_command_that_is_told() -> None:
    _, token, serve = told_commands()
    image = token.index("leadline-serve")
    volume = token[token.index("--volume") + 1]
    assert ("--volume", volume) in pairwise(serve)
    assert volume.partition(":")[2] == dict(instructions(CONTAINER))["WORKDIR"]
    group: Any = typer.main.get_command(app)
    assert token[image + 1 : image + 3] == ["token", "add"]
    known = {name for parameter in group.commands["token"].commands["add"].params for name in parameter.opts}
    assert {word for word in token[image + 3 :] if word.startswith("--")} <= known


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
