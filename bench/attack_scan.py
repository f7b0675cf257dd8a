"""A scan killed -9 two hundred times, and the memory of scans of 1,000 and of 20,000 files. Prints two table rows.

Run by hand: `python -m bench.attack_scan [KILLS]`. Exits 1 where something does not hold.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from leadline.media import scenes

SCAN = """
import sys
from leadline.scan import run
run.BATCH_BYTES = int(sys.argv[4])
run.scan_paths([sys.argv[1]], sys.argv[2:3], sys.argv[3], workers=2, resume=True)
"""
# How many decoders' children live at a sampled moment varies; twenty times the files may not show beside that.
GROWTH_LIMIT = 1.25


def make_list(folder: Path, pictures: list[bytes]) -> Path:
    from leadline.domain import Entry, Kind
    from leadline.match.bank import Bank
    from leadline.scan.hashing import hash_file

    entries = []
    for number, data in enumerate(pictures[:4]):
        (folder / f"{number}.jpg").write_bytes(data)
        facts = hash_file(folder / f"{number}.jpg")
        entries.append(Entry(Kind.OTHER, {**facts.fingerprints.exact, "pdq": facts.fingerprints.views[0].pdq[0]}))
    bank = Bank.create(folder / "bank", name="LIST", kind=Kind.OTHER)
    bank.add(entries)
    return bank.path


def fill(source: Path, files: int, pictures: list[bytes]) -> None:
    """Pictures, broken ones, links, containers: in 20 folders, each file a name of one of a few files."""
    store = source.with_name(f"{source.name}-store")
    store.mkdir(parents=True)
    packed = scenes.pack_zip({f"{n}.jpg": data for n, data in enumerate(pictures)})
    kinds = [*pictures, pictures[0][:900], b"\x89PNG\r\n\x1a\n" + bytes(40), b"text", packed]
    for number, data in enumerate(kinds):
        (store / str(number)).write_bytes(data)
    for number in range(files):
        path = source / f"{number % 20:02d}" / f"{number:05d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = len(kinds) - 1 if number % 97 == 0 else number % (len(kinds) - 1)
        os.link(store / str(kind), path)


def start(source: Path, bank: Path, out: Path, batch_bytes: int = 40_000) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SCAN, str(source), str(bank), str(out), str(batch_bytes)], start_new_session=True
    )


def attack_with_kills(folder: Path, bank: Path, pictures: list[bytes], kills: int) -> str:
    """Kill at random moments; whenever a scan ends before its kill, compare it and begin anew."""
    source, random_ = folder / "killed-source", random.Random(20261123)
    fill(source, 700, pictures)
    began = time.monotonic()
    assert start(source, bank, folder / "whole").wait() == 0
    whole_s, whole = time.monotonic() - began, (folder / "whole/findings.jsonl").read_bytes()
    done = ended = 0
    out = folder / "killed"
    while done < kills:
        process = start(source, bank, out)
        try:
            process.wait(timeout=random_.uniform(0.2, whole_s * 0.6))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            done += 1
            continue
        ended += _compare(process, out, whole)
    ended += _compare(start(source, bank, out), out, whole)
    lines = whole.count(b"\n")
    return (
        f"| scan killed -9 at random and resumed | {done} kills, {ended} scans of {lines} findings | "
        "every one equal, byte for byte, to one never killed |"
    )


def _compare(process: subprocess.Popen[bytes], out: Path, whole: bytes) -> int:
    assert process.wait() == 0
    if (out / "findings.jsonl").read_bytes() != whole:
        raise SystemExit(f"a killed scan did not end equal: {out}")
    shutil.rmtree(out)
    return 1


def tree_memory_bytes(root: int) -> int:
    """Proportional memory of a process and all below it: shared pages are counted once."""
    total, waiting = 0, [root]
    while waiting:
        process = waiting.pop()
        try:
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
            waiting += map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
        except (OSError, ValueError):
            continue
        total += sum(int(line.split()[1]) << 10 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def peak_memory_bytes(folder: Path, bank: Path, pictures: list[bytes], files: int) -> int:
    source = folder / f"memory-{files}"
    fill(source, files, pictures)
    process = start(source, bank, folder / f"memory-out-{files}", 32 << 20)
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_memory_bytes(process.pid))
        time.sleep(0.1)
    assert process.returncode == 0
    return peak


def attack_memory(folder: Path, bank: Path, pictures: list[bytes]) -> str:
    """The peak is of samples: the longer a scan lasts, the surer the moment is met at which all children live."""
    sizes = (1_000, 5_000, 20_000)
    peaks = [peak_memory_bytes(folder, bank, pictures, files) for files in sizes]
    if peaks[-1] > peaks[0] * GROWTH_LIMIT:
        raise SystemExit(f"memory grew from {peaks[0] >> 20} to {peaks[-1] >> 20} MiB")
    told = ", ".join(f"{files:,} files {peak >> 20} MiB" for files, peak in zip(sizes, peaks, strict=True))
    return f"| peak memory of a scan, all its processes | {told} | {peaks[-1] / peaks[0] - 1:+.0%} |"


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    pictures = [scenes.encode_picture(scenes.draw_scene(n, 160, 120), quality=90) for n in range(8)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bank = make_list(folder, pictures)
        print(attack_with_kills(folder, bank, pictures, kills), flush=True)
        print(attack_memory(folder, bank, pictures), flush=True)


if __name__ == "__main__":
    main()
