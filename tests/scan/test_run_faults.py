"""A scan outlives what goes wrong on the way: decoders that die, a sandbox that is gone, faults of its own."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leadline.errors import SandboxUnavailable
from leadline.media import scenes
from leadline.media.client import Member, Sandbox, SandboxViolation
from leadline.media.limits import Limits
from leadline.scan import wire
from leadline.scan.containers import ContainerReader
from leadline.scan.hashing import FileHasher
from leadline.scan.run import scan_paths


def findings(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "findings.jsonl").read_text().splitlines()]


def test_it_redoes_a_batch_file_by_file_when_the_decoder_died(
    evidence: Path, bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Sandbox.open_picture

    def die_on_one(self: Sandbox, size_bytes: int, *, grey: bool = False) -> object:
        if size_bytes == (evidence / "known-2.jpg").stat().st_size:
            raise SandboxViolation("the decoder died", code="child-died")
        return real(self, size_bytes, grey=grey)

    monkeypatch.setattr(Sandbox, "open_picture", die_on_one)
    scan_paths([evidence], [bank], tmp_path / "out")
    told = {Path(str(f["path"])).name: f for f in findings(tmp_path / "out") if "container" not in f}
    assert {f["isolation"] for f in told.values()} == {"file"}
    assert told["known-2.jpg"]["error"] == {"code": "child-died", "message": "the decoder died"}
    assert told["known-2.jpg"]["verdict"] == "known"  # by its exact hash
    assert told["known-1.jpg"]["pdq"] is not None


def test_it_starts_the_decoders_anew_when_their_process_is_gone(
    evidence: Path, bank: Path, scanned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three times: in the batch, alone, and alone once more; its exact digests stand."""
    real, size, deaths = Sandbox.open_picture, (evidence / "known-2.jpg").stat().st_size, []

    def vanish(self: Sandbox, size_bytes: int, *, grey: bool = False) -> object:
        if size_bytes == size and len(deaths) < 3:
            deaths.append(size_bytes)
            self.close()
        return real(self, size_bytes, grey=grey)

    monkeypatch.setattr(Sandbox, "open_picture", vanish)
    scan_paths([evidence], [bank], tmp_path / "out")
    told = {str(f["path"]): f for f in findings(tmp_path / "out")}
    lost = [f for f in told.values() if f.get("error", {}).get("code") == "sandbox-unavailable"]  # type: ignore[attr-defined]
    assert [f["path"] for f in lost] == [f"{evidence}/known-2.jpg"]
    assert lost[0]["verdict"] == "known"
    before = {str(f["path"]): (f["verdict"], f["pdq"]) for f in findings(scanned)}
    assert {path: (f["verdict"], f["pdq"]) for path, f in told.items() if f is not lost[0]}.items() <= before.items()


def test_it_reads_a_container_once_more_when_its_sandbox_is_gone(
    evidence: Path, bank: Path, scanned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, deaths = Sandbox.members, []

    def vanish(self: Sandbox, fd_or_size: int, *, from_fd: bool) -> Iterator[Member]:
        for number, member in enumerate(real(self, fd_or_size, from_fd=from_fd)):
            if number == 1 and not deaths:
                deaths.append(number)
                raise SandboxUnavailable("the decoders' process is gone")
            yield member

    monkeypatch.setattr(Sandbox, "members", vanish)
    scan_paths([evidence], [bank], tmp_path / "out")
    assert deaths == [1]
    assert (tmp_path / "out/findings.jsonl").read_bytes() == (scanned / "findings.jsonl").read_bytes()


def test_a_member_is_decoded_once_more_when_its_decoders_are_gone(
    bank: Path, picture: Callable[[int], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice gone: in the batch, and when the member comes alone."""
    pictures = {f"{number}.jpg": picture(number) for number in (1, 2)}
    real, size, deaths = Sandbox.open_picture, len(pictures["2.jpg"]), []
    assert size != len(pictures["1.jpg"])
    (tmp_path / "only").mkdir()
    (tmp_path / "only/pack.zip").write_bytes(scenes.pack_zip(pictures))

    def vanish(self: Sandbox, size_bytes: int, *, grey: bool = False) -> object:
        if size_bytes == size and len(deaths) < 2:
            deaths.append(size_bytes)
            self.close()
        return real(self, size_bytes, grey=grey)

    monkeypatch.setattr(Sandbox, "open_picture", vanish)
    scan_paths([tmp_path / "only"], [bank], tmp_path / "out")
    told = [f for f in findings(tmp_path / "out") if "container" in f]
    assert (len(told), len(deaths)) == (2, 2)
    assert all("error" not in f and f["pdq"] for f in told)


def test_it_stops_where_decoders_cannot_be_contained_any_more(
    evidence: Path, bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Sandbox, fd_or_size: int, *, from_fd: bool) -> Iterator[Member]:
        raise SandboxUnavailable("the sandbox does not hold")

    monkeypatch.setattr(Sandbox, "members", refuse)
    with pytest.raises(SandboxUnavailable):
        scan_paths([evidence], [bank], tmp_path / "out")
    assert b"does not hold" not in (tmp_path / "out/findings.jsonl").read_bytes()


def test_it_outlives_a_fault_of_its_own_on_one_file(
    evidence: Path, bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    real = FileHasher.hash_path

    def stumble(self: FileHasher, path: bytes) -> object:
        if path.endswith(b"known-2.jpg"):
            raise ZeroDivisionError("words of a file")
        return real(self, path)

    monkeypatch.setattr(FileHasher, "hash_path", stumble)
    summary = scan_paths([evidence], [bank], tmp_path / "out")
    assert summary.errors["internal"] == 1
    assert summary.findings == 21
    told = capfd.readouterr().err
    assert re.fullmatch(r"leadline: fault inside Leadline \(ZeroDivisionError in \w+\.py line \d+\) \(.+\): .+\n", told)
    assert "words of a file" not in told + (tmp_path / "out/findings.jsonl").read_text()


def test_it_outlives_a_fault_of_its_own_on_one_container(
    evidence: Path, bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def stumble(self: ContainerReader, facts: object) -> Iterator[object]:
        raise ZeroDivisionError("words of a file")
        yield

    monkeypatch.setattr(ContainerReader, "read", stumble)
    summary = scan_paths([evidence], [bank], tmp_path / "out")
    assert summary.errors["internal"] == 1
    assert summary.findings == 19
    assert "words of a file" not in capfd.readouterr().err + (tmp_path / "out/findings.jsonl").read_text()


def test_a_lane_that_falls_tells_the_kind_and_place_of_its_fault_only(
    bank: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = wire.encode(wire.LaneConfig([os.fsencode(bank)], Limits()))
    frames = io.BytesIO()
    wire.write_frame(frames, config)
    code = (
        "from leadline.scan import worker\n"
        "def fall(self, message): raise ZeroDivisionError('words of a file')\n"
        "worker.Lane.handle = fall\n"
        "worker.main()\n"
    )
    wire.write_frame(frames, b"work")
    ended = subprocess.run(
        [sys.executable, "-c", code], input=frames.getvalue(), capture_output=True, timeout=60
    )
    assert ended.returncode == 1
    assert b"ZeroDivisionError" in ended.stderr
    assert b"words of a file" not in ended.stderr
    assert b"Traceback" not in ended.stderr
