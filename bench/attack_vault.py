"""Attack on the vault: processes killed at random hundreds of times; counts what was acknowledged and then lost.

`python -m bench.attack_vault [KILLS]` prints one row of a Markdown table; exit 1 where anything was lost, came back,
was half there, or lay on the disk in clear. Three children work in one vault at once (new files, the same files,
erasures, sealing again what was erased, verifying) and say each act before it is tried and once it is acknowledged;
each is killed with SIGKILL at a random moment, then the vault is opened, read again and compared.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from leadline.custody.keys import InstanceKey
from leadline.custody.upkeep import FaultKind, verify_vault
from leadline.custody.vault import Vault, open_vault
from leadline.errors import AssetErased, AssetNotFound

HEADER = "| attack | kills | acknowledged acts | lost | came back | faults found by verify | leftovers | in clear | seconds |"
MARKER = b"a phrase that must never be found on a disk "
KEY = InstanceKey(bytes(range(32)))
NAMES = 40  # so few that children meet at the same file


def plain_of(number: int) -> bytes:
    return (MARKER + str(number).encode()) * random.Random(number).choice((1, 3_000, 60_000))


ADDRESSES = {hashlib.sha256(plain_of(number)).hexdigest(): number for number in range(NAMES)}


def open_at(folder: Path) -> Vault:
    return open_vault(folder / "vault", KEY, folder / "apart" / "list")


def child(folder: Path, name: str, seed: int) -> None:
    """Work for ever on the files of its own (number % 3) and on those of all."""
    dice, vault, mine = random.Random(seed), open_at(folder), "abc".index(name)
    addresses = {number: sha256 for sha256, number in ADDRESSES.items()}
    say("ready")
    while True:
        number = dice.choice([n for n in range(NAMES) if n % 3 == mine or n >= NAMES - 6])
        act = dice.choices(("put", "erase", "verify"), (8, 3, 1))[0]
        say("try", act, str(number))
        if act == "put":
            vault.put([plain_of(number)], limit_bytes=1 << 30, allow_erased=True)
        elif act == "erase":
            try:
                vault.erase(addresses[number])
            except AssetNotFound:
                act = "none"
        elif tell_faults(vault):
            say("did", "fault", str(number))
        say("did", act, str(number))


def tell_faults(vault: Vault) -> int:
    """How many, with their kinds on standard error: what is wrong has to be looked into.

    A child may see a file that is erased and there still: a sibling was killed at it, and the next opening ends it.
    """
    is_child = sys.argv[1:2] == ["--child"]
    faults = [fault for fault in verify_vault(vault) if not (is_child and fault.kind is FaultKind.ERASED_YET_THERE)]
    for fault in faults:
        print(f"fault found by {'a child' if is_child else 'the parent'}: {fault}", file=sys.stderr)
    return len(faults)


def say(*words: str) -> None:
    print(*words, flush=True)


@dataclass
class Ledger:
    """What the children said of files that only one of them works on."""

    there: dict[int, bool] = field(default_factory=dict)
    acknowledged: int = 0
    lost: int = 0
    back: int = 0
    faults: int = 0
    left: int = 0
    clear: int = 0

    def settle(self, lines: list[str]) -> int | None:
        """Take in one child's lines; the file it was at when it ended, if any."""
        tried: int | None = None
        for line in lines:
            words = line.split()
            if not line.endswith("\n") or words == ["ready"]:
                continue
            step, act, number = words[0], words[1], int(words[2])
            if step == "try":
                tried = number
                continue
            tried = None
            self.acknowledged += act in ("put", "erase")
            self.faults += act == "fault"
            if act in ("put", "erase") and number < NAMES - 6:
                self.there[number] = act == "put"
        return tried

    def compare(self, folder: Path, tried: set[int | None]) -> None:
        self.clear += sum(MARKER in path.read_bytes() for path in folder.rglob("*") if path.is_file())
        vault = open_at(folder)
        self.faults += tell_faults(vault)
        self.left += sum(1 for _ in (folder / "vault" / "incoming").iterdir())
        self.left += sum(1 for _ in vault.storage.list("pending/"))
        found = {ADDRESSES[sha256] for sha256 in vault.addresses()}
        for number, was_there in list(self.there.items()):
            if number in tried:  # not acknowledged: either outcome is right
                self.there[number] = number in found
                continue
            self.lost += was_there and not self.reads(vault, number)
            self.back += not was_there and self.reads(vault, number)

    def reads(self, vault: Vault, number: int) -> bool:
        plain = plain_of(number)
        try:
            return b"".join(vault.open(hashlib.sha256(plain).hexdigest())) == plain
        except (AssetNotFound, AssetErased):
            return False


def run_once(folder: Path, number: int, dice: random.Random, ledger: Ledger) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.attack_vault", "--child", str(folder), name, str(number)],
            stdout=subprocess.PIPE, text=True,
        )
        for name in "abc"
    ]  # fmt: skip
    said: list[list[str]] = [[], [], []]
    readers = [
        threading.Thread(target=lambda c=process, s=lines: s.extend(c.stdout))
        for process, lines in zip(children, said, strict=True)
    ]
    for reader in readers:
        reader.start()
    while not all(said) and all(process.poll() is None for process in children):
        time.sleep(0.01)
    for process in children:
        time.sleep(dice.uniform(0.0, 0.25))
        process.send_signal(signal.SIGKILL)
        process.wait()
    for reader in readers:
        reader.join()
    if any(process.returncode != -signal.SIGKILL for process in children):
        raise RuntimeError("a child fell over by itself")
    ledger.compare(folder, {ledger.settle(lines) for lines in said})


def main(kills: int = 60) -> int:
    """Run the attack; print its row. 0 where nothing was lost, came back, was left or was seen."""
    start, dice, ledger = time.monotonic(), random.Random(1), Ledger()
    with tempfile.TemporaryDirectory() as folder:
        rounds = (kills + 2) // 3
        for number in range(rounds):
            run_once(Path(folder), number, dice, ledger)
    seconds = time.monotonic() - start
    print(HEADER)
    print("|---" * (HEADER.count("|") - 1) + "|")
    print(
        f"| vault writers killed | {3 * rounds} | {ledger.acknowledged} | {ledger.lost} | {ledger.back} "
        f"| {ledger.faults} | {ledger.left} | {ledger.clear} | {seconds:.0f} |"
    )
    return 1 if ledger.lost or ledger.back or ledger.faults or ledger.left or ledger.clear else 0


if __name__ == "__main__":
    os.umask(0o077)
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    raise SystemExit(main(*map(int, sys.argv[1:2])))
