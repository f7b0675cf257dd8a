"""What holds for every command: the shape of faults, exit codes, help that teaches."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer

import leadline
from leadline.cli import app as app_module
from leadline.cli import match as match_module


def _all_commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app_module.app)
    found = {}
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= {f"{word} {inner}": c for inner, c in command.commands.items()}
        else:
            found[word] = command
    return found


COMMANDS = _all_commands()
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def test_all_commands_of_the_contract_are_there() -> None:
    bank = {f"bank {w}" for w in ("build", "info", "list", "add", "remove", "merge", "verify", "export")}
    assert set(COMMANDS) >= bank | {"hash", "match", "compare", "scan", "rematch", "doctor"}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches(name: str, run: Any) -> None:
    ended = run(*name.split(), "--help")
    assert ended.code == 0
    assert "Examples:" in ended.out
    assert "Exit codes:" in ended.out
    assert f"leadline {name}" in ended.out.split("Examples:")[1]
    assert ended.err == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_option_is_one_line_and_exit_2(name: str, run: Any) -> None:
    ended = run(*name.split(), "--no-such-thing")
    assert ended.code == 2
    assert ended.out == ""
    (fault,) = ended.faults
    assert f"(leadline {name})" in fault
    assert f"leadline {name} --help" in fault


@pytest.mark.parametrize("name", [n for n, c in COMMANDS.items() if any(p.required for p in c.params)])
def test_a_missing_argument_is_one_line_and_exit_2(name: str, run: Any) -> None:
    ended = run(*name.split())
    assert ended.code == 2
    assert ended.out == ""
    assert len(ended.faults) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nothing",),
        ("bank",),
        ("bank", "nothing"),
        ("match", "aa", "--bank", "x", "--radius", "65"),
        ("match", "aa", "--bank", "x", "--radius", "near"),
        ("hash", "x", "--family", "c"),
        ("bank", "build", "x", "--out", "y", "--name", "n", "--kind", "bad"),
        ("scan", "x", "--bank", "y", "--out", "z", "--workers", "0"),
        ("bank", "export", "x", "--format", "vics", "--out", "-", "--category-set", "a/b"),
        ("bank", "build", "x", "--out", "y", "--name", "n", "--kind", "other", "--source", "a\udcffb"),
        ("bank", "build", "x", "--out", "y", "--name", "n", "--kind", "other", "--licence", "a\udcffb"),
        ("bank", "build", "x", "--out", "y", "--name", "n", "--kind", "other", "--scheme", "a\udcffb"),
        ("bank", "build", "x", "--out", "y", "--name", "n", "--kind", "other", "--label-kind", "\udcff=skip"),
        ("bank", "set", "x", "--source", "a\udcffb"),
        ("bank", "set", "x", "--licence", "a\udcffb"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(arguments: tuple[str, ...], run: Any) -> None:
    ended = run(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert len(ended.faults) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("bank", "info", "{absent}"),
        ("bank", "list", "{absent}", "--json"),
        ("bank", "remove", "{absent}", "1"),
        ("bank", "merge", "{absent}"),
        ("bank", "verify", "{absent}"),
        ("bank", "export", "{absent}", "--format", "csv", "--out", "-"),
        ("bank", "add", "{absent}", "{absent}"),
        ("bank", "build", "--out", "{absent}", "--name", "n", "--kind", "other", "{absent}.csv"),
        ("match", "a1" * 16, "--bank", "{absent}"),
        ("hash", "{absent}"),
        ("compare", "{absent}", "a1" * 16),
        ("scan", "{absent}", "--bank", "{bank}", "--out", "{out}"),
        ("scan", "{there}", "{absent}", "--bank", "{bank}", "--out", "{out}"),
        ("scan", "{there}", "--bank", "{absent}", "--out", "{out}"),
        ("rematch", "{absent}", "--bank", "{bank}"),
        ("rematch", "{absent}", "--bank", "{bank}", "--out", "{out}"),
        ("bank", "add", "{bank}", "{there}/list.txt", "{absent}"),
        ("bank", "remove", "{bank}", "--from", "{absent}"),
        ("verify", "{absent}"),
    ],
)
def test_what_is_not_there_is_one_line_and_exit_1(
    arguments: tuple[str, ...], run: Any, bank: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "list.txt").write_text("e5" * 16)
    names = {"absent": tmp_path / "absent", "there": there, "bank": bank, "out": tmp_path / "out"}
    ended = run(*(a.format(**names) for a in arguments))
    assert ended.code == 1
    assert len(ended.faults) == 1
    assert "absent" in ended.faults[0]
    assert not (tmp_path / "out").exists()
    assert len(run("bank", "list", bank).out.splitlines()) == 3


def test_where_others_were_done_what_is_not_there_is_exit_3(run: Any, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("here")
    assert run("hash", tmp_path / "there", tmp_path / "absent").code == 3


def test_the_version_is_told(run: Any) -> None:
    assert run("--version").out == f"leadline {leadline.__version__}\n"


def test_windows_is_told_to_use_linux(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    ended = run("doctor")
    assert (ended.code, ended.out) == (1, "")
    (fault,) = ended.faults
    assert "(win32): use Linux" in fault


def test_an_unknown_setting_is_refused(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADLINE_WROKERS", "4")
    ended = run("doctor")
    assert ended.code == 2
    assert "LEADLINE_WROKERS" in ended.faults[0]


def test_an_internal_fault_quotes_nothing_it_read(run: Any, bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("evidence")

    monkeypatch.setattr(match_module.LookUp, "answer", fail)
    ended = run("match", "a1" * 16, "--bank", bank)
    assert ended.code == 1
    assert "internal fault: KeyError" in ended.faults[0]
    assert "evidence" not in ended.err


def test_a_stop_by_the_person_is_130(run: Any, bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(match_module.LookUp, "answer", stop)
    ended = run("match", "a1" * 16, "--bank", bank)
    assert ended.code == 130
    assert len(ended.faults) == 1


@pytest.mark.parametrize(
    "command",
    [
        "hash {picture}",
        f"compare {{picture}} {'c3' * 32}",
        "bank build --out {made} --name made --kind other {picture}",
        "bank add {bank} {picture}",
    ],
)
def test_what_was_decoded_without_a_sandbox_says_so(command: str, run: Any, bank: Path, pictures: Path) -> None:
    for form in (["--json"], []):
        names = {"picture": pictures / "one.png", "bank": bank, "made": pictures / f"made{len(form)}"}
        told = run(*command.format(**names).split(), *form, "--unsafe-decode")
        assert told.code == 0, told.err
        if not form:
            assert "decoded without a sandbox" in told.out
        elif command.startswith("compare"):
            assert told.objects[0]["isolation"] == {"a": "none", "b": None}
        else:
            assert told.objects[0]["isolation"] == "none"


def test_names_in_faults_cannot_drive_a_terminal(run: Any, tmp_path: Path) -> None:
    ended = run("hash", f"{tmp_path}/no\x1b[31m\nsuch")
    assert "\x1b" not in ended.err
    assert len(ended.faults) == 1


def test_every_exit_code_of_the_contract_is_told(run: Any) -> None:
    told = run("--help").out
    assert [code for code in ("0 ", "1 ", "2 ", "3 ", "4 ", "130 ", "141 ") if code not in told] == []


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_makes_no_noise(bank: Path, tmp_path: Path, unbuffered: str) -> None:
    many = tmp_path / "many.txt"
    many.write_text(f"{'a1' * 16}\n" * 20_000)
    command = f'"{sys.executable}" -m leadline match - --bank "{bank}" --json < "{many}" | head -n 1'
    environment = {**ENVIRONMENT, "PYTHONUNBUFFERED": unbuffered}
    told = f"set -o pipefail; {command}; exit $?"
    ended = subprocess.run(["bash", "-c", told], env=environment, capture_output=True, timeout=60)
    assert len(ended.stdout.splitlines()) == 1
    assert (ended.stderr, ended.returncode) == (b"", 141)


def test_answers_come_while_the_input_is_still_open_and_know_what_others_add(bank: Path, run: Any) -> None:
    command = [sys.executable, "-m", "leadline", "match", "-", "--bank", str(bank), "--json"]
    with subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"a1" * 16 + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["matches"][0]["entry"] == 7
        assert run("bank", "add", bank, "-", "--format", "text", stdin=b"ee" * 16).code == 0
        until_s, found = time.monotonic() + 20, []  # two seconds are promised; a busy machine is given more
        while not found and time.monotonic() < until_s:
            time.sleep(0.1)
            process.stdin.write(b"ee" * 16 + b"\n")
            process.stdin.flush()
            found = json.loads(process.stdout.readline())["matches"]
        assert found[0]["bank"] == "known"
        process.stdin.close()
        assert process.wait(timeout=20) == 0


def test_control_c_is_130_and_one_line(bank: Path) -> None:
    command = [sys.executable, "-m", "leadline", "match", "-", "--bank", str(bank)]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"a1" * 16 + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert process.stderr.read().decode().count("\n") == 1
