"""Attack on banks: writers killed at random hundreds of times; counts what was acknowledged and then lost.

`python bench/attack_bank.py [KILLS]` prints one row of a Markdown table; exit 1 where anything was lost or half
written. Two children write to one bank at once (additions into the log and as segments, removals, updates, merges)
and say each change once it is acknowledged; one of them is killed with SIGKILL at a random moment, then the bank is
opened, verified and compared with what was said.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from leadline.domain import Entry, Kind
from leadline.match import writing as writing_module
from leadline.match.bank import Bank

HEADER = "| attack | kills | acknowledged changes | lost | half written | faults found by verify | seconds |"
BATCH_SIZES = (1, 7, 60)  # the last is larger than the child's log takes, so it becomes a segment


def child(path: Path, name: str, seed: int) -> None:
    """Change the bank for ever; one line a change, said before it is tried and again when it is acknowledged."""
    writing_module.LOG_ENTRIES = 50
    dice, bank, mine = random.Random(seed), Bank.open(path, kinds={}, lock_timeout_s=60), dict[int, str]()
    for number in range(10**9):
        act = dice.choices(("add", "remove", "update", "merge"), (8, 3, 2, 2))[0]
        if act == "add":
            notes = [f"{name}-{number}-{i}" for i in range(dice.choice(BATCH_SIZES))]
            say("try add", *notes)
            result = bank.add(entry(note) for note in notes)
            mine.update(zip(result.ids, notes, strict=True))
            say("did add", *notes)
        elif act == "merge":
            bank.merge()
        elif mine:
            entry_id, note = dice.choice(list(mine.items()))
            if act == "remove":
                say("try remove", note)
                bank.remove([entry_id])
                del mine[entry_id]
                say("did remove", note)
            else:
                changed = f"{name}-{number}-u"
                say("try update", note, changed)
                bank.update([entry(changed, entry_id)])
                mine[entry_id] = changed
                say("did update", note, changed)


def entry(note: str, entry_id: int | None = None) -> Entry:
    pdq = random.Random(note).randbytes(32)
    return Entry(kind=Kind.OTHER, fingerprints={"pdq": pdq, "md5": pdq[:16]}, note=note, id=entry_id)


def say(*words: str) -> None:
    print(*words, flush=True)


@dataclass
class Ledger:
    """What the children said. `open_change`: tried and not yet acknowledged, so either outcome is right."""

    there: set[str] = field(default_factory=set)
    acknowledged: int = 0
    lost: int = 0
    half: int = 0
    faults: int = 0

    def settle(self, lines: list[str]) -> tuple[str, list[str]] | None:
        """Take in one child's lines; the change it was at when it ended, if any."""
        tried: tuple[str, list[str]] | None = None
        for line in lines:
            if not line.endswith("\n"):
                break
            step, act, *notes = line.split()
            if step == "try":
                tried = (act, notes)
            else:
                self.apply(act, notes)
                self.acknowledged += 1
                tried = None
        return tried

    def apply(self, act: str, notes: list[str]) -> None:
        if act == "add":
            self.there.update(notes)
        else:
            self.there.discard(notes[0])
            self.there.update(notes[1:])

    def compare(self, path: Path, tried: list[tuple[str, list[str]]]) -> None:
        bank = Bank.open(path, kinds={})
        self.faults += sum("no whole change" not in fault for fault in bank.verify())
        found = {e.note for e in bank.entries()}
        for act, notes in tried:
            new = set(notes if act == "add" else notes[1:])
            took_effect = bool(found & new) if new else notes[0] not in found
            if took_effect:
                self.apply(act, notes)
            self.half += bool(new) and not (new <= found or not found & new)
        self.lost += len(self.there ^ found)
        self.there = found
        sample = random.Random(len(found)).sample(sorted(found), min(len(found), 50))
        hits = bank.find_pdq([entry(note).fingerprints["pdq"] for note in sample], 0) if sample else []
        self.lost += sum(not matches for matches in hits)


def run_once(path: Path, number: int, dice: random.Random, ledger: Ledger) -> None:
    command = [sys.executable, __file__, "--child", str(path)]
    children = [
        subprocess.Popen([*command, f"{name}{number}", str(number)], stdout=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    said: list[list[str]] = [[], []]
    readers = [
        threading.Thread(target=lambda c=process, s=lines: s.extend(c.stdout))
        for process, lines in zip(children, said, strict=True)
    ]
    for reader in readers:
        reader.start()
    while not all(said):
        time.sleep(0.01)
    for process in children:
        time.sleep(dice.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
    for reader in readers:
        reader.join()
    tried = [ledger.settle(lines) for lines in said]
    ledger.compare(path, [change for change in tried if change is not None])


def main(kills: int = 200) -> int:
    """Run the attack; print its row. 0 where nothing was lost."""
    start, dice, ledger = time.monotonic(), random.Random(1), Ledger()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bank"
        Bank.create(path, name="attacked", kind=Kind.OTHER, kinds={})
        for number in range((kills + 1) // 2):
            run_once(path, number, dice, ledger)
    seconds = time.monotonic() - start
    print(HEADER)
    print("|---" * HEADER.count(" | ") + "|---|")
    print(
        f"| bank writers killed | {kills} | {ledger.acknowledged} | {ledger.lost} | {ledger.half} "
        f"| {ledger.faults} | {seconds:.0f} |"
    )
    return 1 if ledger.lost or ledger.half or ledger.faults else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    raise SystemExit(main(*map(int, sys.argv[1:2])))
