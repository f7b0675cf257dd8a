"""What runs beside what: a long kernel call leaves other threads running, and readers of a bank share its pages."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from leadline.domain import Kind
from leadline.match import kernel
from leadline.match.bank import Bank


def drawn(count: int) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (count, 32), dtype=np.uint8)


CALLS: dict[str, Callable[[], Callable[[], object]]] = {
    "build": lambda: (lambda hashes: lambda: kernel.build_index(hashes))(drawn(400_000)),
    "search": lambda: (
        lambda index, queries: lambda: index.search(queries, 31)
    )(kernel.HammingIndex(kernel.build_index(drawn(20_000))), drawn(20_000)),
    "plain search": lambda: (lambda hashes: lambda: kernel.scan_reference(hashes, hashes[:100], 31))(drawn(100_000)),
    "pdq": lambda: (lambda picture: lambda: kernel.pdq_hash(picture))(np.full((8000, 8000), 7, np.uint8)),
    "plain pdq": lambda: (lambda picture: lambda: kernel.pdq_hash_reference(picture))(np.zeros((3000, 3000), np.uint8)),
}  # fmt: skip


def runs_meanwhile(call: Callable[[], object]) -> bool:
    """Whether this thread got to run in the middle of a call that another thread is in."""
    ends: list[float] = []
    began = threading.Event()

    def work() -> None:
        begin = time.perf_counter()
        began.set()
        call()
        ends.extend((begin, time.perf_counter()))

    thread = threading.Thread(target=work)
    thread.start()
    began.wait()
    ticks = [time.perf_counter()]
    while not ends:
        ticks.append(time.perf_counter())
        time.sleep(0.0005)
    thread.join()
    begin, end = ends
    fifth = (end - begin) / 5
    return any(begin + fifth < tick < end - fifth for tick in ticks)


@pytest.mark.parametrize("name", CALLS)
def test_another_thread_runs_during_a_long_call(name: str) -> None:
    """Where the interpreter's lock were held, no thread could; where the machine is busy, it may take a few tries."""
    call = CALLS[name]()
    assert any(runs_meanwhile(call) for _ in range(5))


READER = """
import sys
from pathlib import Path
from leadline.match.bank import Bank
bank = Bank.open(Path(sys.argv[1]), kinds={})
assert bank.verify() == []  # touches every page
print("ready", flush=True)
sys.stdin.readline()
print(Path("/proc/self/smaps").read_text() + "end", flush=True)
sys.stdin.readline()  # whoever ends leaves its pages to the other alone
"""


def mapped_kib(smaps: str, bank: Path) -> dict[str, int]:
    """Of all mappings of that bank's segment files together: field of smaps -> KiB."""
    found = dict.fromkeys(("Rss", "Shared_Clean", "Private_Clean", "Private_Dirty", "Shared_Dirty", "Anonymous"), 0)
    is_segment = False
    for line in smaps.splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            is_segment = f"{bank}/seg-" in line
        elif is_segment and (name := line.partition(":")[0]) in found:
            found[name] += int(line.split()[1])
    return found


HAS_SMAPS = pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="no /proc/self/smaps on this system")


@HAS_SMAPS
def test_a_bank_that_was_only_opened_holds_next_to_nothing_of_its_files_in_memory(tmp_path: Path) -> None:
    Bank.create(tmp_path / "bank", name="B", kind=Kind.OTHER).add_pdq_array(drawn(120_000))
    opened = Bank.open(tmp_path / "bank", kinds={})
    stored_kib = sum(p.stat().st_size for p in opened.path.glob("seg-*")) / 1024
    assert mapped_kib(Path("/proc/self/smaps").read_text(), opened.path)["Rss"] < 0.1 * stored_kib


@HAS_SMAPS
def test_processes_that_read_a_bank_share_its_pages(tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "bank", name="B", kind=Kind.OTHER)
    bank.add_pdq_array(drawn(200_000))
    stored_kib = sum(p.stat().st_size for p in bank.path.glob("seg-*")) / 1024
    command = [sys.executable, "-c", READER, str(bank.path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    readers = [subprocess.Popen(command, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    assert [reader.stdout.readline() for reader in readers] == ["ready\n", "ready\n"]
    for reader in readers:
        reader.stdin.write("\n")
        reader.stdin.flush()
    told = ["".join(iter(reader.stdout.readline, "end\n")) for reader in readers]
    for reader in readers:
        reader.communicate(timeout=30)
    for smaps in told:
        kib = mapped_kib(smaps, bank.path)
        assert kib["Rss"] > 0.95 * stored_kib
        assert kib["Shared_Clean"] + kib["Shared_Dirty"] > 0.95 * kib["Rss"]  # where files lie in memory, all are dirty
        assert kib["Private_Dirty"] == kib["Anonymous"] == 0
