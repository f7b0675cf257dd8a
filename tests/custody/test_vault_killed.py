"""Tests of the vault when the plug is pulled: killed before every single act upon the disk, and disks that are full."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import forking

from leadline.custody.keys import InstanceKey
from leadline.custody.storage import FolderStorage
from leadline.custody.upkeep import verify_vault
from leadline.custody.vault import Vault, open_vault
from leadline.errors import VaultUnavailable

KEY = InstanceKey(bytes(range(32)))
PLAIN = b"a phrase that must never be found on a disk " * 30_000
MARKER = PLAIN[:44]


def run_killed(folder: Path, act: str) -> list[dict[str, Any]]:
    """One outcome for each act upon the disk before which it was killed; the last one was not killed."""
    done = forking.run(["-m", "tests.custody.killed_vault", str(folder), act, "1", "500"], env=os.environ)
    assert done.returncode == 0, done.stderr[-1000:]
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert not outcomes[-1]["killed"]
    assert len(outcomes) > 10
    for outcome in outcomes:
        expected = ["damaged-blob"] if act == "mend" and not outcome["there"] else []
        assert outcome["faults"] == expected
        assert (outcome["left"], outcome["other"], outcome["shown"]) == ([], True, 0)
        assert outcome["blobs"] == outcome["files"]
    return outcomes


def changes(outcomes: list[dict[str, Any]], fact: str) -> list[Any]:
    """The values of a fact, repetitions left out."""
    values = [outcome[fact] for outcome in outcomes]
    return [value for value, before in zip(values, [None, *values], strict=False) if value != before]


def test_a_put_that_is_killed_anywhere_is_whole_or_absent(tmp_path: Path) -> None:
    assert changes(run_killed(tmp_path, "put"), "there") == [False, True]


def test_a_put_of_what_is_there_that_is_killed_anywhere_loses_nothing(tmp_path: Path) -> None:
    assert changes(run_killed(tmp_path, "put again"), "there") == [True]


def test_an_erasure_that_is_killed_anywhere_is_finished_or_never_began(tmp_path: Path) -> None:
    outcomes = run_killed(tmp_path, "erase")
    assert changes(outcomes, "there") == [True, False]
    assert all(outcome["there"] == (outcome["erased"] == 0) for outcome in outcomes)


def test_sealing_again_what_was_erased_is_whole_or_absent(tmp_path: Path) -> None:
    outcomes = run_killed(tmp_path, "admit")
    assert changes(outcomes, "there") == [False, True]
    assert all(outcome["there"] == (outcome["erased"] == 0) for outcome in outcomes)


def test_a_put_that_mends_a_damaged_file_and_is_killed_anywhere_does_so_or_leaves_it(tmp_path: Path) -> None:
    assert changes(run_killed(tmp_path, "mend"), "there") == [False, True]


# --- full disks ------------------------------------------------------------------------------------------------------


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return open_vault(tmp_path / "vault", KEY, tmp_path / "apart" / "list")


def files_of(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_file_that_outgrows_the_disk_is_refused_and_leaves_nothing(vault: Vault, tmp_path: Path) -> None:
    before, old = files_of(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, old[1]))
        with pytest.raises(VaultUnavailable) as caught:
            vault.put([PLAIN], limit_bytes=1 << 30)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert not caught.value.permanent
    assert files_of(tmp_path) == before
    assert vault.put([PLAIN], limit_bytes=1 << 30).was_there is False


class FullStorage(FolderStorage):
    """Refuses its Nth act, as a disk does that has filled up."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.left = 10**9

    def count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise VaultUnavailable("No space left on device", mend="free disk space")

    def begin(self) -> Any:
        self.count()
        sink = super().begin()
        for name in ("write", "keep_as"):
            setattr(sink, name, self.counting(getattr(sink, name)))
        return sink

    def counting(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self.count()
            return act(*arguments)

        return counted

    def put(self, name: str, data: bytes, *, replace: bool = False) -> bool:
        self.count()
        return super().put(name, data, replace=replace)

    def remove(self, name: str) -> None:
        self.count()
        super().remove(name)


@pytest.mark.parametrize("act", ["put", "erase"])
def test_a_storage_that_refuses_at_any_point_loses_nothing(vault: Vault, tmp_path: Path, act: str) -> None:
    """After each refusal the vault is whole, and the same act succeeds when it is tried again."""
    kept = vault.put([b"kept"], limit_bytes=100).sha256
    storage = FullStorage(tmp_path / "vault")
    full = Vault(storage, KEY, vault.erasures)
    for point in range(1, 200):
        plain = PLAIN + str(point).encode()
        sha256 = vault.put([plain], limit_bytes=1 << 30).sha256 if act == "erase" else ""
        storage.left = point
        try:
            full.erase(sha256) if act == "erase" else full.put([plain], limit_bytes=1 << 30)
        except VaultUnavailable:
            storage.left = 10**9
            blobs, keys = (sum(n.endswith(e) for n in files_of(tmp_path / "vault")) for e in (".blob", ".key"))
            assert act == "erase" or blobs == keys  # nothing is left lying until the next opening
            full.erase(sha256) if act == "erase" else full.put([plain], limit_bytes=1 << 30)
            assert [*verify_vault(vault)] == []
        else:
            break
    assert point > 5
    assert b"".join(vault.open(kept)) == b"kept"
    assert sum(1 for _ in vault.addresses()) == (1 if act == "erase" else 1 + point)
    reopened = open_vault(tmp_path / "vault", KEY, tmp_path / "apart" / "list")
    assert [*verify_vault(reopened)] == []
    assert len([n for n in files_of(tmp_path / "vault") if n.endswith(".blob")]) == (1 if act == "erase" else 1 + point)


def mount(command: list[str], at: Path) -> None:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    at.mkdir()
    done = subprocess.run([*command, str(at)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"this machine cannot mount a small disk: {done.stderr.strip()}")
    at.chmod(0o700)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    at = tmp_path / "disk"
    mount(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs"], at)
    yield at
    subprocess.run(["umount", str(at)], check=True)


def test_a_disk_that_is_really_full_is_said_and_reads_on(small_disk: Path, tmp_path: Path) -> None:
    vault = open_vault(small_disk / "vault", KEY, tmp_path / "list")
    kept: list[str] = []
    for number in range(4):
        kept.append(vault.put([PLAIN, str(number).encode()], limit_bytes=1 << 30).sha256)
    with pytest.raises(VaultUnavailable, match=os.strerror(errno.ENOSPC)):
        vault.put([PLAIN, b"one too many"], limit_bytes=1 << 30)
    assert [*verify_vault(vault)] == []
    assert sorted(vault.addresses()) == sorted(kept)
    vault.erase(kept[0])
    vault.put([PLAIN, b"more"], limit_bytes=1 << 30)
    assert [*verify_vault(vault)] == []


@pytest.fixture
def disk_image(tmp_path: Path) -> Iterator[Callable[[bool], Path]]:
    """An ext4 file system in a file, so that what lies on its blocks can be searched, deleted or not."""
    image, at = tmp_path / "image", tmp_path / "disk"
    if shutil.which("mkfs.ext4", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        pytest.skip("mkfs.ext4 is not installed")
    with image.open("wb") as file:
        file.truncate(48 << 20)
    subprocess.run(["/sbin/mkfs.ext4", "-q", str(image)], check=True, capture_output=True)
    mount(["mount", "-o", "loop", str(image)], at)
    is_mounted = [True]

    def place(there: bool) -> Path:
        if not there and is_mounted[0]:
            subprocess.run(["umount", str(at)], check=True)
            is_mounted[0] = False
        return at if there else image

    yield place
    place(False)


def test_no_block_of_a_disk_ever_holds_plaintext_nor_a_key_after_its_erasure(
    disk_image: Callable[[bool], Path], tmp_path: Path
) -> None:
    disk = disk_image(True)
    vault = open_vault(disk / "vault", KEY, disk / "apart" / "list")
    sealed = [vault.put([PLAIN, str(n).encode()], limit_bytes=1 << 30).sha256 for n in range(5)]
    wrapped = [bytes.fromhex(vault.standing(sha256).wrapped) for sha256 in sealed]
    os.sync()
    for sha256 in sealed[1:]:
        vault.erase(sha256)
    blocks = disk_image(False).read_bytes()
    assert MARKER not in blocks
    found = [key.hex().encode() in blocks for key in wrapped]
    assert found == [True, False, False, False, False]
