"""`leadline exchange pull` killed with SIGKILL at random moments, against a stand-in in a process of its own."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from leadline.match.bank import Bank

KILLS, ENTRIES = 3, 3000
PATHS = os.pathsep.join(path for path in sys.path if path)


def start(home: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": PATHS, "LEADLINE_HOME": str(home)}
    command = [sys.executable, "-m", "leadline", "exchange", *arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, **options)


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[dict[str, Any]]:
    process = start(tmp_path, "mock", "ncmec", "--entries", str(ENTRIES), "--json", stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0


def entries(home: Path) -> dict[str, Any]:
    bank = Bank.open(home / "banks" / "src", kinds={})
    assert bank.verify() == []
    found = [(entry.source_id, dict(entry.fingerprints), entry.label) for entry in bank.entries()]
    assert len({key for key, *_ in found}) == len(found)
    return {key: rest for key, *rest in found}


def test_killed_at_random_moments_it_ends_with_the_identical_bank(
    tmp_path: Path, stand_in: dict[str, Any], run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = [tmp_path / "disturbed", tmp_path / "undisturbed"]
    for name, value in stand_in["credentials"].items():
        monkeypatch.setenv(name, value)

    def told(home: Path, *arguments: str) -> Any:
        monkeypatch.setenv("LEADLINE_HOME", str(home))
        ended = run("exchange", *arguments, "--json")
        assert ended.code == 0, ended.err
        return ended.objects[0]

    for home in homes:
        secrets = ("--secret", "user=env:REHEARSAL_USER", "--secret", "password=env:REHEARSAL_PASSWORD")
        options = ("--option", f"address={stand_in['address']}")
        told(home, "add", "src", "--connector", "ncmec", "--kind", "other", *options, *secrets)
    told(homes[1], "pull", "src")
    key = next(iter(entries(homes[1])))
    request = Request(f"{stand_in['address']}/-/withdraw", json.dumps({"key": key}).encode())
    urlopen(request, timeout=30).close()
    withdrawn = time.monotonic()
    dice, cut = random.Random(7), 0
    for _ in range(KILLS):
        process = start(homes[0], "pull", "src", stdout=subprocess.DEVNULL)
        time.sleep(dice.uniform(0.3, 1.2))
        process.kill()
        cut += process.wait() == -signal.SIGKILL
    assert cut
    time.sleep(max(0.0, withdrawn + 6.5 - time.monotonic()))  # the list tells what is older than five seconds
    for home in homes:
        told(home, "pull", "src")
    assert entries(homes[0]) == entries(homes[1])
    assert len(entries(homes[0])) == ENTRIES - 1
    assert told(homes[0], "status", "src")["standing"] == "good"
