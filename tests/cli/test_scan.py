"""`leadline scan`, `rematch` and `doctor`: their place in the contract (what a scan finds is tested in its room)."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from leadline.cli import doctor as doctor_module
from leadline.cli.doctor import Check
from leadline.errors import SandboxUnavailable

FAULT = re.compile(r"leadline: .+ \(.+\): .+")


def _scan(run: Any, pictures: Path, bank: Path, out: Path, *more: object) -> Any:
    return run("scan", pictures, "--bank", bank, "--out", out, "--workers", 1, *more)


@pytest.fixture
def seen(run: Any, pictures: Path, tmp_path: Path) -> Path:
    """A bank that knows one.png."""
    folder = tmp_path / "seen"
    ended = run("bank", "build", "--out", folder, "--name", "seen", "--kind", "benign", pictures / "one.png")
    assert ended.code == 0
    return folder


def test_a_scan_tells_its_verdicts_and_that_a_file_was_unreadable(
    run: Any, pictures: Path, seen: Path, tmp_path: Path
) -> None:
    ended = _scan(run, pictures, seen, tmp_path / "out", "--json", "--csv", "--vics")
    assert ended.code == 3
    (summary,) = ended.objects
    assert summary["verdicts"]["known"] == 1
    assert summary["verdicts"]["near"] == 1
    assert sum(summary["verdicts"].values()) == 5
    assert "1 of 5 unreadable" in ended.faults[0]
    assert {p.name for p in (tmp_path / "out").iterdir()} >= {"findings.jsonl", "summary.json", "report.html"}
    json.loads((tmp_path / "out" / "findings.vics.json").read_text())


def test_people_see_how_far_it_is_a_table_and_where_the_report_is(
    run: Any, pictures: Path, seen: Path, tmp_path: Path, watch: Any
) -> None:
    (pictures / "broken.png").unlink()
    terminal = watch()
    ended = _scan(run, pictures, seen, tmp_path / "out")
    assert re.search(r"4/4 .*[0-9]+ files/s .*known 1", terminal.text)
    assert ended.code == 0
    assert "known" in ended.out
    assert "benign 1" in ended.out
    assert str(tmp_path / "out" / "report.html") in ended.out


def test_a_scan_in_which_everything_was_skipped_did_nothing_and_says_why(
    run: Any, pictures: Path, seen: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(pictures)
    ended = _scan(run, tmp_path / "link", seen, tmp_path / "out")
    assert ended.code == 1
    assert ended.faults[0].startswith(f"leadline: not read: symbolic link, not followed ({tmp_path / 'link'})")
    assert "nothing was read: all 1 skipped" in ended.faults[1]
    again = run("rematch", tmp_path / "out", "--bank", seen)
    assert again.code == 1
    (tmp_path / "links").mkdir()
    (tmp_path / "links/inside").symlink_to(pictures)
    inside = _scan(run, tmp_path / "links", seen, tmp_path / "out-2")
    assert inside.code == 1
    assert "nothing was read: all 1 skipped" in inside.faults[0]


def test_a_link_that_is_named_itself_is_told_where_other_paths_are_read(
    run: Any, pictures: Path, seen: Path, tmp_path: Path
) -> None:
    (pictures / "broken.png").unlink()
    (pictures / "inside").symlink_to("one.png")  # met on the way: listed as skipped, no fault
    (tmp_path / "link").symlink_to(pictures)
    assert _scan(run, pictures, seen, tmp_path / "out").code == 0
    ended = run("scan", tmp_path / "link", pictures, "--bank", seen, "--out", tmp_path / "out-2", "--json")
    assert ended.code == 3
    assert ended.objects[0]["not_read"] == {str(tmp_path / "link"): "symbolic link, not followed"}
    assert ended.faults == [
        f"leadline: not read: symbolic link, not followed ({tmp_path / 'link'}): name what is meant itself"
    ]


def test_an_output_folder_inside_the_source_is_wrong_use(run: Any, pictures: Path, seen: Path) -> None:
    ended = _scan(run, pictures, seen, pictures / "out")
    assert ended.code == 2
    assert not (pictures / "out").exists()


def test_a_rematch_needs_no_disk(run: Any, pictures: Path, seen: Path, bank: Path, tmp_path: Path) -> None:
    _scan(run, pictures, bank, tmp_path / "out")
    for file in pictures.iterdir():
        file.unlink()
    ended = run("rematch", tmp_path / "out", "--bank", seen, "--json")
    assert ended.code == 3  # broken.png could not be read when it was scanned
    assert "1 of 5 unreadable" in ended.faults[0]
    assert ended.objects[0]["verdicts"]["known"] == 1
    assert ended.objects[0]["verdicts"]["near"] == 1
    assert (tmp_path / "out-rematch" / "findings.jsonl").exists()


def test_a_rematch_of_what_was_all_read_is_exit_0_and_into_a_used_folder_wrong_use(
    run: Any, pictures: Path, seen: Path, tmp_path: Path
) -> None:
    (pictures / "broken.png").unlink()
    _scan(run, pictures, seen, tmp_path / "out")
    assert run("rematch", tmp_path / "out", "--bank", seen).code == 0
    ended = run("rematch", tmp_path / "out", "--bank", seen)
    assert ended.code == 2
    assert "--resume" not in ended.faults[0]
    assert run("rematch", "/", "--bank", seen).code in (1, 2)


def test_every_page_that_doctor_sends_to_exists() -> None:
    source = Path(doctor_module.__file__).read_text()
    named = set(re.findall(r"docs/[\w.-]+\.md", source))
    assert named
    assert [page for page in named if not (Path(__file__).parents[2] / page).exists()] == []


def test_doctor_is_well_here(run: Any) -> None:
    ended = run("doctor", "--json")
    assert (ended.code, ended.err) == (0, "")
    names = " ".join(check["check"] for check in ended.objects)
    for part in ("leadline", "python", "processor", "sandbox", "worker: Pillow", "plug-ins", "ray"):
        assert part in names


def test_doctor_says_what_is_wrong_and_goes_on(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def _look_at_sandbox() -> list[Check]:
        raise SandboxUnavailable("no Landlock", mend="use a newer kernel")

    def _look_at_moon() -> list[Check]:
        return [Check("moon", True, "full")]

    monkeypatch.setattr(doctor_module, "_LOOKS", (_look_at_sandbox, _look_at_moon))
    ended = run("doctor", "--json")
    assert ended.code == 4
    assert [check["ok"] for check in ended.objects] == [False, True]
    assert ended.faults == ["leadline: sandbox: no Landlock (leadline doctor): use a newer kernel"]


def test_a_scan_that_is_stopped_says_how_to_go_on_and_does(run: Any, seen: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "many", tmp_path / "out"
    source.mkdir()
    for number in range(3000):
        (source / f"{number:04d}.txt").write_text(f"note {number}")
    arguments = ["scan", str(source), "--bank", str(seen), "--out", str(out), "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-m", "leadline", *arguments]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        findings = out / "findings.jsonl"
        deadline = time.monotonic() + 30
        while not (findings.exists() and findings.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the scan
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert FAULT.fullmatch(told.decode().strip())
    assert "--resume" in told.decode()
    ended = run(*arguments, "--resume", "--json")
    assert (ended.code, ended.objects[0]["findings"]) == (0, 3000)
    paths = [json.loads(line)["path"] for line in findings.read_text().splitlines()]
    assert paths == [str(source / f"{number:04d}.txt") for number in range(3000)]
