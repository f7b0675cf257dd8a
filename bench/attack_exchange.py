"""Attack on pulls: killed at random hundreds of times while the source goes on changing; counts what differs at the end.

`python -m bench.attack_exchange [KILLS]` prints one row of a Markdown table; exit 1 where anything differs. A stand-in
for NCMEC's list serves made-up entries from this process. A child pulls it into a bank in small batches and is killed
with SIGKILL at a random moment; then the source takes entries back, and the next child goes on. At the end one pull is
left alone, and the bank is compared with that of a subscriber who was never disturbed, and with what the source has.
"""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from leadline.domain import Entry, Kind
from leadline.exchange.mock.base import PASSWORD, USER, serving
from leadline.exchange.mock.servers import make_mock
from leadline.match.bank import Bank
from leadline.subscriptions.folder import SecretSource, Subscription, Subscriptions
from leadline.subscriptions.importing import Importer
from leadline.subscriptions.pulling import Wish, pull_source

HEADER = "| attack | kills | entries | taken back by the source | entries that differ | there twice | faults found by verify | seconds |"
ENTRIES, BATCH_RECORDS, NAME = 4000, 40, "src"
SECRETS = {"USER_OF_SOURCE": USER, "PASSWORD_OF_SOURCE": PASSWORD}


def no_key() -> Any:
    raise AssertionError("nothing is sealed here")


def subscriptions_of(home: Path) -> Subscriptions:
    return Subscriptions(home / "exchanges", SECRETS, no_key)


def subscribe(home: Path, address: str) -> None:
    home.mkdir()
    Bank.create(home / "bank", name="SRC", kind=Kind.OTHER)
    secrets = {"user": SecretSource(variable="USER_OF_SOURCE"), "password": SecretSource(variable="PASSWORD_OF_SOURCE")}
    made = Subscription(NAME, "ncmec", {"address": address}, str(home / "bank"), Kind.OTHER)
    subscriptions_of(home).add(made, secrets)


def child(home: Path, batch_records: int) -> None:
    """One pull, in batches of this size; it says when it begins, since starting takes longer than pulling."""
    Importer.__init__.__kwdefaults__["batch_records"] = batch_records
    print("begins", flush=True)
    pull_source(subscriptions_of(home), NAME, Wish())


def pull(home: Path, batch_records: int = 10_000) -> float:
    began = time.monotonic()
    run = [sys.executable, "-m", "bench.attack_exchange", "child", str(home), str(batch_records)]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def pull_and_kill(home: Path, after_s: float) -> bool:
    """Whether it was killed before it ended."""
    run = [sys.executable, "-m", "bench.attack_exchange", "child", str(home), str(BATCH_RECORDS)]
    process = subprocess.Popen(run, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after_s)
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


@dataclass
class Found:
    entries: dict[str, Entry]
    twice: int
    faults: int


def read(home: Path) -> Found:
    bank = Bank.open(home / "bank", kinds={})
    entries = [replace(entry, id=None, added=0) for entry in bank.entries()]
    named = {entry.source_id: entry for entry in entries}
    return Found(named, len(entries) - len(named), len([f for f in bank.verify() if "no whole change" not in f]))


def main(kills: int) -> int:
    began, dice, gone = time.monotonic(), random.Random(20261127), set[str]()
    mock = make_mock("ncmec", ENTRIES)
    with tempfile.TemporaryDirectory() as folder, serving(mock) as address:
        disturbed, alone = Path(folder, "disturbed"), Path(folder, "alone")
        for home in (disturbed, alone):
            subscribe(home, address)
        pull(alone)
        keys = sorted(read(alone).entries)
        for _ in range(kills):
            while not pull_and_kill(disturbed, dice.uniform(0.0, 1.5)):
                if dice.random() < 0.2:  # told anew from the beginning, so that there is something to do
                    disturbed.joinpath("exchanges", NAME, "holdings.sqlite").unlink()
            with mock.lock:
                key = dice.choice(keys)
                gone |= {key} if key not in gone and mock.withdraw(key) else set()
        time.sleep(7)  # a source tells what is older than some seconds
        for home in (disturbed, alone):
            pull(home)
        left, right = read(disturbed), read(alone)
        differ = sum(left.entries.get(key) != right.entries.get(key) for key in {*left.entries, *right.entries})
        differ += len(right.entries.keys() ^ (set(keys) - gone))
    faults = left.faults + right.faults
    print(HEADER)
    print("|---" * 8 + "|")
    told = (kills, ENTRIES, len(gone), differ, left.twice, faults, round(time.monotonic() - began))
    print(f"| pulls killed | {' | '.join(map(str, told))} |")
    return int(bool(differ or left.twice or faults))


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
