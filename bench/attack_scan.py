"""A scan killed -9 two hundred times, and the memory of scans of 1,000 and of 20,000 files. Prints three table rows.

Run by hand: `python -m bench.attack_scan [KILLS]`. Exits 1 where something does not hold.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from leadline.media import scenes

SCAN = """
import sys
from leadline.scan import run
run.BATCH_BYTES = int(sys.argv[4])
run.scan_paths([sys.argv[1]], sys.argv[2:3], sys.argv[3], workers=2, resume=True)
"""
COUNTS = (
    "findings", "files", "members", "verdicts", "kinds", "types", "sizes", "distances", "errors", "bytes",
    "pictures_hashed", "partial", "clusters",
)  # fmt: skip
# For twenty times the files; `attack_memory` says what may rise a little.
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
    """Kill at random moments; whenever a scan ends before its kill, compare it and begin anew.

    Four of five kills strike when so much more of the findings is written, the fifth whenever, also while it begins.
    """
    source, random_ = folder / "killed-source", random.Random(20261123)
    fill(source, 700, pictures)
    assert start(source, bank, folder / "whole").wait() == 0
    whole = read_results(folder / "whole")
    size = len(whole["findings.jsonl"])
    done = growing = ended = 0
    out = folder / "killed"
    while done < kills:
        process = start(source, bank, out)
        if done % 5 == 0:
            is_there = sleep_beside(process, random_.uniform(0.0, 1.0))
        else:
            is_there = wait_for_growth(process, out / "findings.jsonl", random_.randint(1, size // 4))
            growing += is_there
        if is_there:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            done += 1
        else:
            ended += _compare(process, out, whole)
    ended += _compare(start(source, bank, out), out, whole)
    lines = whole["findings.jsonl"].count(b"\n")
    return (
        f"| scan killed -9 at random and resumed | {done} kills, {growing} of them when it had just found more; "
        f"{ended} scans of {lines} findings | every one equal, byte for byte, to one never killed |"
    )


def sleep_beside(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether it still runs then."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def wait_for_growth(process: subprocess.Popen[bytes], findings: Path, more_bytes: int) -> bool:
    """Whether it still runs when so much more is in the file."""
    begin = findings.stat().st_size if findings.exists() else 0
    while process.poll() is None:
        if findings.exists() and findings.stat().st_size >= begin + more_bytes:
            return True
        time.sleep(0.001)
    return False


def read_results(out: Path) -> dict[str, bytes]:
    """Byte for byte: findings, clusters, and of the summary what does not tell of times and runs."""
    summary = json.loads((out / "summary.json").read_text())
    found = {name: (out / name).read_bytes() for name in ("findings.jsonl", "clusters.jsonl")}
    return found | {"summary": json.dumps({name: summary[name] for name in COUNTS}).encode()}


def _compare(process: subprocess.Popen[bytes], out: Path, whole: dict[str, bytes]) -> int:
    assert process.wait() == 0
    if read_results(out) != whole:
        raise SystemExit(f"a killed scan did not end equal: {out}")
    shutil.rmtree(out)
    return 1


GROUPS = ("the scan's own process", "its lanes", "their zygotes")  # by steps down; below are the decoders' children


@dataclass
class Peaks:
    """Bytes. groups: of each of GROUPS its processes at their own peaks, by the kernel; together: all, when sampled."""

    groups: list[int] = field(default_factory=lambda: [0] * len(GROUPS))
    together: int = 0

    def sample(self, scan: int) -> None:
        groups, together, waiting = [0] * len(GROUPS), 0, [(scan, 0)]
        while waiting:
            process, depth = waiting.pop()
            try:
                together += memory_of(process, "smaps_rollup", "Pss")
                if depth < len(GROUPS):
                    groups[depth] += memory_of(process, "status", "VmHWM")
                children = Path(f"/proc/{process}/task/{process}/children").read_text()
            except (OSError, ValueError):
                continue  # it has just ended
            waiting += [(int(child), depth + 1) for child in children.split()]
        self.groups = [max(pair) for pair in zip(self.groups, groups, strict=True)]
        self.together = max(self.together, together)


def memory_of(process: int, file: str, name: str) -> int:
    lines = Path(f"/proc/{process}/{file}").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


def measure_peaks(folder: Path, bank: Path, pictures: list[bytes], files: int) -> Peaks:
    source, peaks = folder / f"memory-{files}", Peaks()
    fill(source, files, pictures)
    process = start(source, bank, folder / f"memory-out-{files}", 32 << 20)
    while process.poll() is None:
        peaks.sample(process.pid)
        time.sleep(0.1)
    assert process.returncode == 0
    return peaks


def attack_memory(folder: Path, bank: Path, pictures: list[bytes]) -> list[str]:
    """Two rows: the processes that live as long as the scan, and all together.

    Growth with the number of files is in the first: the kernel keeps those peaks, so that no moment is missed. (The
    scan's own process fills the report's table, to its bound, and the clusters.) Decoders' children live for moments:
    the more samples of a longer scan, the surer one meets all that may live at once, and the second rises by that.
    """
    sizes = (1_000, 5_000, 20_000)
    found = [measure_peaks(folder, bank, pictures, files) for files in sizes]
    parts = "; ".join(" + ".join(str(part >> 20) for part in peaks.groups) for peaks in found)
    return [
        _row(f"peaks of {', '.join(GROUPS)} ({parts} MiB)", sizes, [sum(peaks.groups) for peaks in found]),
        _row("peak of all processes of a scan at one moment, sampled", sizes, [peaks.together for peaks in found]),
    ]


def _row(what: str, sizes: Sequence[int], peaks: Sequence[int]) -> str:
    told = ", ".join(f"{files:,} files {peak >> 20} MiB" for files, peak in zip(sizes, peaks, strict=True))
    if peaks[-1] > peaks[0] * GROWTH_LIMIT:
        raise SystemExit(f"{what} grew: {told}")
    return f"| {what} | {told} | {peaks[-1] / peaks[0] - 1:+.0%} |"


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    pictures = [scenes.encode_picture(scenes.draw_scene(n, 160, 120), quality=90) for n in range(8)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bank = make_list(folder, pictures)
        print(attack_with_kills(folder, bank, pictures, kills), flush=True)
        print("\n".join(attack_memory(folder, bank, pictures)), flush=True)


if __name__ == "__main__":
    main()
