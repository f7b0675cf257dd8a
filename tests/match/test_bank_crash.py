"""A crash at any point leaves what was acknowledged; several writers lose nothing; a full disk is said so."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from leadline.domain import Entry, Kind
from leadline.errors import BankError, BankLocked, LeadlineError
from leadline.match import build as build_module
from leadline.match import writing as writing_module
from leadline.match.bank import Bank


def state_of(path: Path) -> dict[int, str]:
    bank = Bank.open(path, kinds={})
    assert bank.verify() == []
    return {e.id: e.note for e in bank.entries()}


def crash_points(monkeypatch, folder: Path, into: Path, action: Callable[[], object]) -> list[Path]:
    """Copies of the folder as it was before each step that puts something on the disk, and at the end."""
    copies: list[Path] = []

    def copy_first(real):
        def step(*args, **kwargs):
            copies.append(into / f"crash-{len(copies)}")
            shutil.copytree(folder, copies[-1])
            return real(*args, **kwargs)

        return step

    for name in ("fsync", "replace", "pwrite", "unlink"):
        monkeypatch.setattr(os, name, copy_first(getattr(os, name)))
    action()
    monkeypatch.undo()
    copies.append(into / "crash-end")
    shutil.copytree(folder, copies[-1])
    return copies


def small_log(monkeypatch) -> None:
    monkeypatch.setattr(writing_module, "LOG_ENTRIES", 3)


CHANGES = {
    "add": lambda bank, draw: bank.add([draw.entry(note="new")]),
    "remove": lambda bank, draw: bank.remove([1, 3]),
    "update": lambda bank, draw: bank.update([draw.entry(id=2, note="changed")]),
    "add many": lambda bank, draw: bank.add([draw.entry(note=f"new{i}") for i in range(20)]),
    "merge": lambda bank, draw: bank.merge(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_crash_between_any_two_steps_leaves_the_old_or_the_new(new_bank, draw, tmp_path, monkeypatch, change):
    bank = new_bank(entries=[draw.entry(note=f"n{i}") for i in range(3)])
    bank.merge()
    bank.add([draw.entry(note="recent")])
    bank.remove([2] if change != "update" else [1])
    before = state_of(bank.path)
    small_log(monkeypatch)
    copies = crash_points(monkeypatch, bank.path, tmp_path, lambda: CHANGES[change](bank, draw))
    after = state_of(bank.path)
    assert len(copies) > 2
    assert (before == after) == (change == "merge")
    states = [sound_state(copy) for copy in copies]
    assert all(state in (before, after) for state in states)
    assert (states[0], states[-1]) == (before, after)


def sound_state(path: Path) -> dict[int, str]:
    """The state after a crash, once the next writer has been at work: no leftovers, nothing mixed."""
    bank = Bank.open(path, kinds={})
    state = {e.id: e.note for e in bank.entries()}
    assert list(bank.add([Entry(kind=Kind.OTHER, fingerprints={"md5": b"z" * 16})]).ids) != []
    assert bank.verify() == []
    manifest = json.loads((path / "manifest.json").read_text())["bank"]
    wanted = {f"log-{log['number']:08d}" for log in manifest["logs"]}
    for segment in manifest["segments"]:
        wanted |= {f"seg-{segment['number']:08d}.{part}" for part in ("records", "index")}
    assert {p.name for p in path.iterdir()} - {"lock", "merge-lock", "manifest.json"} == wanted
    return state


CHILD = """
import sys
from pathlib import Path
from leadline.domain import Entry, Kind
from leadline.match import writing as writing_module
from leadline.match.bank import Bank
writing_module.LOG_ENTRIES = 30
path, name, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
bank = Bank.open(path, kinds={})
for number in range(rounds):
    size = 40 if number % 5 == 4 else 3
    notes = [f"{name}-{number}-{i}" for i in range(size)]
    ids = bank.add([Entry(kind=Kind.OTHER, fingerprints={"pdq": n.encode().ljust(32)}, note=n) for n in notes]).ids
    print("added", " ".join(notes), flush=True)
    if number % 3 == 2:
        bank.remove([ids[0]])
        print("removed", notes[0], flush=True)
    if number % 4 == 3:
        bank.merge()
print("done", flush=True)
"""


def start_child(path: Path, name: str, rounds: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), name, str(rounds)], stdout=subprocess.PIPE, text=True
    )


def check_against(lines: list[str], path: Path) -> None:
    """All that was acknowledged is there; an addition that was not is there whole or not at all."""
    notes = set(state_of(path).values())
    added, removed = set(), set()
    for line in lines:
        word, *names = line.split()
        (added if word == "added" else removed).update(names if word != "done" else [])
    assert added - removed - notes <= unconfirmed_removal(lines)
    assert not removed & notes
    extra: dict[str, set[str]] = {}
    for note in notes - added:
        extra.setdefault(note.rsplit("-", 1)[0], set()).add(note)
    assert all(len(group) in (3, 40) for group in extra.values()), "half of an addition"


def unconfirmed_removal(lines: list[str]) -> set[str]:
    """A child killed after a removal took effect and before it said so."""
    last: dict[str, str] = {}
    for line in lines:
        word, *names = line.split()
        if word == "added":
            last[names[0].split("-")[0]] = names[0]
    return set(last.values())


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path):
    dice = random.Random(5)
    path = tmp_path / "bank"
    Bank.create(path, name="B", kind=Kind.OTHER)
    lines: list[str] = []
    for number in range(4):
        child = start_child(path, f"c{number}", 400)
        lines.append(child.stdout.readline())  # it is at work
        time.sleep(dice.uniform(0.02, 0.25))
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
        child.stdout.close()
        assert child.wait() == -signal.SIGKILL
        whole = [line for line in lines if line.endswith("\n")]
        check_against(whole, path)
    assert len(lines) > 8


def test_two_processes_that_write_at_once_lose_nothing(tmp_path):
    path = tmp_path / "bank"
    Bank.create(path, name="B", kind=Kind.OTHER)
    children = [start_child(path, name, 12) for name in ("a", "b")]
    lines = [line for child in children for line in child.communicate()[0].splitlines()]
    assert [child.returncode for child in children] == [0, 0]
    check_against(lines, path)
    ids = [e.id for e in Bank.open(path).entries()]
    assert len(ids) == len(set(ids)) == 2 * (10 * 3 + 2 * 40 - 4)


def test_a_change_of_another_process_is_seen_after_refresh(tmp_path):
    bank = Bank.create(tmp_path / "bank", name="B", kind=Kind.OTHER)
    child = start_child(bank.path, "x", 1)
    child.communicate()
    assert (bank.count, bank.refresh(), bank.count) == (0, True, 3)


def test_readers_in_threads_never_see_half_a_change(new_bank):
    """Each addition is ten entries of one hash: an answer of any other number would be half a change."""
    bank, hashes = new_bank(), np.arange(40, dtype=np.uint8)[:, None].repeat(32, axis=1)
    bank.add_pdq_array(hashes[:1].repeat(10, axis=0))
    wrong: list[object] = []
    done = threading.Event()

    def read() -> None:
        reader = Bank.open(bank.path, kinds={})
        while not done.is_set():
            reader.refresh()
            counts = {len(hits) for hits in reader.find_pdq(hashes, 0)} | {reader.count % 10}
            if not counts <= {0, 10}:
                wrong.append(counts)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in readers:
        thread.start()
    for number in range(1, 40):
        bank.add_pdq_array(hashes[number : number + 1].repeat(10, axis=0))
        if number % 8 == 0:
            bank.merge()
    done.set()
    for thread in readers:
        thread.join()
    assert wrong == []


def test_a_writer_waits_for_the_lock_and_then_says_so(new_bank, draw):
    bank = new_bank(lock_timeout_s=0.05)
    other = Bank.open(bank.path, lock_timeout_s=0.05, kinds={})
    with bank._writer.writing(), pytest.raises(BankLocked, match="another writer"):
        other.add([draw.entry()])
    assert other.add([draw.entry()]).added == 1


def test_a_writer_goes_on_while_a_merge_builds(new_bank, draw, monkeypatch):
    bank = new_bank(entries=[draw.entry(note="old"), draw.entry(note="gone")])
    other = Bank.open(bank.path, kinds={})
    real = build_module.each_index_section

    def meanwhile(*args, **kwargs):
        monkeypatch.setattr(build_module, "each_index_section", real)
        monkeypatch.setattr(writing_module, "LOG_ENTRIES", 3)
        other.add([draw.entry(note="during")])
        other.add([draw.entry(note="large")] * 4)
        other.remove([2])
        other.update([draw.entry(id=1, note="changed")])
        return real(*args, **kwargs)

    monkeypatch.setattr(build_module, "each_index_section", meanwhile)
    bank.merge()
    other.refresh()
    expected = ["changed", "during", "large", "large", "large", "large"]
    for state in (bank, other, Bank.open(bank.path, kinds={})):
        assert sorted(e.note for e in state.entries()) == expected
        assert state.list_version == 5
    assert bank.verify() == []


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """No file may grow beyond this, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("way", ["log", "segment", "spill", "merge"])
def test_a_full_disk_leaves_the_bank_sound_and_the_error_clear(new_bank, draw, monkeypatch, way):
    bank = new_bank(entries=[draw.entry(note="n" * 3000)])
    before = state_of(bank.path)
    if way != "log":
        monkeypatch.setattr(writing_module, "LOG_ENTRIES", 3)
    if way == "spill":
        monkeypatch.setattr("leadline.match.bank.SPILL_ENTRIES", 1000)
    entries = [draw.entry(note="x" * 2000) for _ in range(1100 if way == "spill" else 20)]
    with largest_file(3000), pytest.raises(LeadlineError, match=r"not (changed|recorded): File too large") as raised:
        bank.merge() if way == "merge" else bank.add(entries)
    assert isinstance(raised.value, BankError)
    assert raised.value.mend == "free disk space, retry"
    assert state_of(bank.path) == before
    assert not list(bank.path.glob("tmp-*"))
    assert bank.add(entries).added == len(entries)
    assert bank.merge().entries == len(entries) + 1
    assert bank.verify() == []


def test_a_folder_that_cannot_be_written_can_be_read(new_bank, draw, monkeypatch):
    bank = new_bank(entries=[draw.entry()])

    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    reader = Bank.open(bank.path, kinds={})
    monkeypatch.setattr(os, "open", refuse)
    assert reader.count == 1
    with pytest.raises(BankError, match="cannot be written: Permission denied"):
        reader.remove([1])


@pytest.mark.parametrize("note", ["kept", "kept, in a frame that is longer" * 9])
def test_who_saw_a_change_whose_sync_failed_lets_go_of_it(new_bank, draw, monkeypatch, note):
    """It saw the frame between its writing and the failing sync; the next frame is as long, or longer."""
    bank = new_bank(entries=[draw.entry(note="first")])
    other = Bank.open(bank.path, kinds={})

    def refuse(*args):
        other.refresh()
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(BankError, match="not recorded"):
        bank.add([draw.entry(note="lost")])
    monkeypatch.undo()
    assert [e.note for e in other.entries()] == ["first", "lost"]
    bank.add([draw.entry(note=note)])
    other.refresh()
    assert [e.note for e in other.entries()] == [e.note for e in bank.entries()] == ["first", note]
    other.add([draw.entry(note="last")])  # it cuts nothing off
    assert [e.note for e in Bank.open(bank.path, kinds={}).entries()] == ["first", note, "last"]


def synced_folders(monkeypatch) -> list[Path]:
    """Every folder from now on as it is synced."""
    found: list[Path] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        found.append(Path(os.readlink(f"/proc/self/fd/{fd}")))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_a_new_bank_outlives_a_power_cut_with_every_folder_that_was_made_for_it(tmp_path, monkeypatch):
    synced = synced_folders(monkeypatch)
    path = tmp_path / "new" / "deep" / "bank"
    Bank.create(path, name="B", kind=Kind.OTHER)
    assert {path, path.parent, path.parent.parent, tmp_path} <= set(synced)


def test_merges_that_find_no_room_leave_few_tables_and_hold_no_frames(new_bank, draw, monkeypatch):
    """The disk has room for changes, not for another segment: each try begins a log."""
    bank = new_bank()
    reader = Bank.open(bank.path, kinds={})

    def refuse(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing_module, "SegmentDraft", refuse)
    for _ in range(12):
        (entry_id,) = bank.add([draw.entry()]).ids
        bank.update([draw.entry(id=entry_id, note="n" * 5000)])
        with pytest.raises(BankError, match="No space left"):
            bank.merge()
        reader.refresh()
    for one in (bank, reader, Bank.open(bank.path, kinds={})):
        assert one.count == len(one.snapshot.manifest.logs) - 1 == 12
        assert len(one.snapshot.tables) <= 3
    bank.update([draw.entry(id=entry_id, note="n" * 5000)])
    reader.refresh()
    assert [ids.base for one in (bank, reader) for ids in one.snapshot.last_log.gone] == [None, None]
