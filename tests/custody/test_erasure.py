"""Tests of the list of erasures: it is never rewritten, damage in it is told from a torn end, locks are fair."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import stat
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests import forking

from leadline.custody.erasure import LINE_BYTES, Act, Erasure, ErasureList
from leadline.errors import ErasureListBroken, InputError, VaultUnavailable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE, TWO, THREE = ("1" * 64, "2" * 64, "3" * 64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "apart" / "list"


@pytest.fixture
def erasures(path: Path) -> ErasureList:
    return ErasureList.create(path)


def erase(erasures: ErasureList, *addresses: str) -> None:
    for sha256 in addresses:
        with erasures.hold(alone=True):
            erasures.append(Act.ERASE, sha256, "expired", NOON)


def test_what_is_appended_is_there_for_everybody(erasures: ErasureList, path: Path) -> None:
    other = ErasureList(path)
    erase(erasures, ONE, TWO)
    assert [other.is_erased(s) for s in (ONE, TWO, THREE)] == [True, True, False]
    assert other.head == erasures.head
    assert [*ErasureList(path).lines()] == [
        Erasure(1, Act.ERASE, ONE, "expired", "2026-03-01T12:00:00.000Z"),
        Erasure(2, Act.ERASE, TWO, "expired", "2026-03-01T12:00:00.000Z"),
    ]
    assert [e.sha256 for e in other.lines(after=1)] == [TWO]


def test_what_is_admitted_again_is_erased_no_more(erasures: ErasureList, path: Path) -> None:
    erase(erasures, ONE, TWO)
    erasures.append(Act.ADMIT, ONE, "sealed-again", NOON)
    assert ErasureList(path).erased() == erasures.erased() == {TWO}
    erase(erasures, ONE)
    assert ErasureList(path).erased() == {ONE, TWO}


def test_another_reader_can_check_it_by_the_written_format(erasures: ErasureList, path: Path) -> None:
    erase(erasures, ONE, TWO, THREE)
    previous = b"0" * 64
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        digest, _, body = line.rstrip(b" \n").partition(b" ")
        assert len(line) == 512
        assert digest == hashlib.sha256(b"leadline erasure line 1\n" + previous + body).hexdigest().encode()
        assert json.loads(body) == {
            "line": number, "act": "erase", "sha256": str(number) * 64, "reason": "expired",
            "at": "2026-03-01T12:00:00.000Z",
        }  # fmt: skip
        previous = digest
    assert erasures.head == (3, previous.decode()) == (3, erasures.hash_at(3))


def test_the_list_is_its_owners_alone(erasures: ErasureList, path: Path) -> None:
    erase(erasures, ONE)
    assert {stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()} == {0o600}
    path.chmod(0o640)
    with pytest.raises(ErasureListBroken, match="others can read"):
        ErasureList(path)


def test_a_list_is_never_made_over_another(erasures: ErasureList, path: Path) -> None:
    erase(erasures, ONE)
    with pytest.raises(FileExistsError):
        ErasureList.create(path)
    assert ErasureList(path).is_erased(ONE)


def test_a_missing_list_is_no_empty_one(erasures: ErasureList, path: Path) -> None:
    path.unlink()
    for act in (lambda: ErasureList(path), lambda: erasures.is_erased(ONE)):
        with pytest.raises(ErasureListBroken, match="missing"):
            act()


@pytest.mark.parametrize("rest", [b"x", b"x" * 511, bytes(1), bytes(511), bytes(512)])
def test_a_torn_end_is_cut_off_at_the_next_writing(erasures: ErasureList, path: Path, rest: bytes) -> None:
    erase(erasures, ONE)
    with path.open("ab") as file:
        file.write(rest)
    torn = ErasureList(path)
    assert torn.erased() == {ONE}
    erase(torn, TWO)
    assert path.stat().st_size == 2 * LINE_BYTES
    assert ErasureList(path).erased() == erasures.erased() == {ONE, TWO}


@pytest.mark.parametrize("line", [1, 2, 3])
@pytest.mark.parametrize("column", [0, 70, 200, 400, 511])
def test_a_changed_line_is_found(erasures: ErasureList, path: Path, line: int, column: int) -> None:
    erase(erasures, ONE, TWO, THREE)
    content = bytearray(path.read_bytes())
    content[(line - 1) * LINE_BYTES + column] ^= 1
    path.write_bytes(content)
    with pytest.raises(ErasureListBroken, match=f"line {line} is damaged"):
        ErasureList(path)


@pytest.mark.parametrize("order", [(2, 3), (1, 3), (2, 1, 3), (1, 1, 2, 3), (1, 3, 2)])
def test_lines_that_were_taken_out_or_moved_are_found(
    erasures: ErasureList, path: Path, order: tuple[int, ...]
) -> None:
    erase(erasures, ONE, TWO, THREE)
    content = path.read_bytes()
    path.write_bytes(b"".join(content[(n - 1) * LINE_BYTES : n * LINE_BYTES] for n in order))
    with pytest.raises(ErasureListBroken, match="damaged"):
        ErasureList(path)


def test_a_list_that_was_put_into_its_place_is_read_anew(erasures: ErasureList, path: Path) -> None:
    erase(erasures, ONE)
    other = ErasureList.create(path.with_name("other"))
    erase(other, TWO, THREE)
    other.path.replace(path)
    assert erasures.erased() == {TWO, THREE}


def test_a_line_that_is_not_there_has_no_hash(erasures: ErasureList) -> None:
    erase(erasures, ONE)
    with pytest.raises(ErasureListBroken, match="no line 2"):
        erasures.hash_at(2)


@pytest.mark.parametrize(("sha256", "reason"), [(ONE, "a text"), (ONE, ""), (ONE, "x" * 65), (ONE[1:], "expired")])
def test_it_takes_hashes_and_codes_only(erasures: ErasureList, sha256: str, reason: str) -> None:
    with pytest.raises(InputError):
        erasures.append(Act.ERASE, sha256, reason, NOON)
    assert erasures.head.line == 0


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
def test_a_full_disk_leaves_the_list_as_it_was(
    erasures: ErasureList, path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    erase(erasures, ONE)
    before = path.read_bytes()
    with monkeypatch.context() as full:
        full.setattr(os, call, refuse)
        with pytest.raises(VaultUnavailable, match="No space left"):
            erase(erasures, TWO)
    assert path.read_bytes() == before
    erase(erasures, TWO)
    assert ErasureList(path).erased() == {ONE, TWO}


def test_a_disk_that_fills_up_in_the_middle_of_a_line_leaves_the_list_as_it_was(
    erasures: ErasureList, path: Path
) -> None:
    erase(erasures, ONE)
    before, old = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LINE_BYTES + 100, old[1]))
        with pytest.raises(VaultUnavailable):
            erase(erasures, TWO)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert path.read_bytes() == before


# --- locks -----------------------------------------------------------------------------------------------------------


def test_who_holds_it_alone_keeps_others_out(erasures: ErasureList, path: Path) -> None:
    for mine, theirs in ((True, False), (True, True), (False, True)):
        with erasures.hold(alone=mine), pytest.raises(VaultUnavailable) as caught:
            with ErasureList(path).hold(alone=theirs, timeout_s=0.02):
                pass
        assert not caught.value.permanent
    with erasures.hold(alone=False), ErasureList(path).hold(alone=False, timeout_s=0.02):
        pass


def test_who_waits_to_hold_it_alone_is_not_passed_by_later_ones(erasures: ErasureList, path: Path) -> None:
    got_it: list[bool] = []

    def wait_alone() -> None:
        with ErasureList(path).hold(alone=True):
            got_it.append(True)

    with erasures.hold(alone=False):
        eraser = threading.Thread(target=wait_alone)
        eraser.start()
        passed, give_up = True, time.monotonic() + 30
        while passed and time.monotonic() < give_up:  # until it waits
            try:
                with erasures.hold(alone=False, timeout_s=0.02):
                    pass
            except VaultUnavailable:
                passed = False
    eraser.join()
    assert (passed, got_it) == (False, [True])


def test_the_lock_of_a_killed_process_is_free(erasures: ErasureList, path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from leadline.custody.erasure import ErasureList\n"
        "with ErasureList(Path(sys.argv[1])).hold(alone=True): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert forking.run(["-c", code, str(path)], env=os.environ).returncode == -9
    with erasures.hold(alone=True, timeout_s=1):
        pass


def test_many_processes_append_one_chain(erasures: ErasureList, path: Path) -> None:
    code = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from leadline.custody.erasure import Act, ErasureList
erasures = ErasureList(Path(sys.argv[1]))
for number in range(25):
    with erasures.hold(alone=True):
        erasures.append(Act.ERASE, f"{sys.argv[2]}{number:063d}", "expired", datetime.now(UTC))
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)]) for n in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert erasures.head.line == 100
    assert ErasureList(path).erased() == {f"{n}{number:063d}" for n in range(4) for number in range(25)}
