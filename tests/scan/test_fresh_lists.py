"""A change of a bank by any writer matches in a running scan within two seconds, however long a file takes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from leadline.match.bank import Bank
from leadline.media import scenes
from leadline.media.limits import Limits
from leadline.scan import wire
from leadline.scan.hashing import FileHasher
from leadline.scan.worker import REFRESH_S, Lane

NewBank = Callable[..., Bank]
ADD = """
import sys
from pathlib import Path
from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
Bank.open(Path(sys.argv[1])).add([Entry(Kind.ILLEGAL, {"md5": bytes.fromhex(sys.argv[2])})])
"""


@pytest.fixture
def bank(new_bank: NewBank) -> Bank:
    return new_bank("L", [])


@pytest.fixture
def lane(bank: Bank) -> Iterator[Lane]:
    with Lane(wire.LaneConfig([os.fsencode(bank.path)], Limits())) as started:
        yield started


def add_from_elsewhere(bank: Bank, data: bytes) -> None:
    """Acknowledged when this returns."""
    digest = hashlib.md5(data).hexdigest()
    subprocess.run([sys.executable, "-c", ADD, bank.path, digest], check=True, timeout=60)


def work(*paths: Path) -> bytes:
    items = []
    for path in paths:
        status = path.stat()
        items.append(wire.WorkItem(os.fsencode(path), status.st_mtime_ns, status.st_ctime_ns, status.st_size))
    return wire.encode(wire.Work(items))


def replies(lane: Lane, message: bytes, between: Callable[[], None] = lambda: None) -> Iterator[wire.Reply]:
    while True:
        reply = wire.decode_reply(lane.handle(message))
        yield reply
        if reply.done:
            return
        between()
        message = wire.encode(wire.More())


def test_two_seconds_are_kept_with_room_to_spare() -> None:
    assert REFRESH_S <= 1.0


def test_an_entry_added_while_a_file_is_read_matches_that_file(
    lane: Lane, bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "film.bin"
    path.write_bytes(b"frames" * 1000)
    real = FileHasher.hash_path

    def read_slowly(self: FileHasher, path: bytes) -> Any:
        add_from_elsewhere(bank, b"frames" * 1000)
        time.sleep(REFRESH_S)
        return real(self, path)

    monkeypatch.setattr(FileHasher, "hash_path", read_slowly)
    (reply,) = replies(lane, work(path))
    assert reply.verdicts == {"known": 1}


def test_an_entry_added_while_a_container_is_read_matches_the_rest_of_it(
    lane: Lane, bank: Bank, tmp_path: Path
) -> None:
    """The last member of the container, and the file that comes after it."""
    (tmp_path / "a.zip").write_bytes(scenes.pack_zip({f"{n:03d}.txt": b"note %d" % n for n in range(200)}))
    (tmp_path / "b.txt").write_bytes(b"note 199")
    added: list[float] = []

    def add_once() -> None:
        if not added:
            add_from_elsewhere(bank, b"note 199")
            added.append(time.monotonic())
            time.sleep(REFRESH_S)

    told = [
        json.loads(line) for reply in replies(lane, work(tmp_path / "a.zip", tmp_path / "b.txt"), add_once)
        for line in reply.lines
    ]  # fmt: skip
    found = {Path(line["path"]).name: line["verdict"] for line in told}
    assert Counter(found.values()) == {"known": 2, "unknown": 200}
    assert found["a.zip!199.txt"] == found["b.txt"] == "known"


def test_looking_for_changes_costs_two_looks_at_most_every_half_second(
    lane: Lane, bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.zip").write_bytes(scenes.pack_zip({f"{n:03d}.txt": b"note %d" % n for n in range(1500)}))
    looks: list[float] = []
    real = Bank.refresh

    def count(self: Bank) -> bool:
        looks.append(time.monotonic())
        return real(self)

    monkeypatch.setattr(Bank, "refresh", count)
    begun = time.monotonic()
    list(replies(lane, work(tmp_path / "a.zip")))
    assert len(looks) <= 1 + (time.monotonic() - begun) / REFRESH_S
