"""Tests of the folder a vault lies in: the contract of every storage, and what only a folder can do wrong."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.storage import StorageContract, keep, names

from leadline.custody.storage import FolderStorage, open_storage
from leadline.errors import ConfigError, VaultUnavailable


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "vault")


@pytest.fixture
def again(tmp_path: Path) -> Callable[[], FolderStorage]:
    return lambda: FolderStorage(tmp_path / "vault")


class TestFolder(StorageContract):
    pass


def test_nobody_else_can_read_what_it_makes(storage: FolderStorage) -> None:
    old = os.umask(0)
    try:
        keep(storage, "ab/cd/x.blob", b"1")
        storage.put("ab/cd/x.key", b"2")
        storage.put("ab/cd/x.key", b"3", replace=True)
    finally:
        os.umask(old)
    modes = {stat.S_IMODE(p.stat().st_mode) for p in storage.root.rglob("*") if p.is_file()}
    folders = {stat.S_IMODE(p.stat().st_mode) for p in [storage.root, *storage.root.rglob("*")] if p.is_dir()}
    assert (modes, folders) == ({0o600}, {0o700})


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777, 0o710])
def test_it_refuses_a_folder_that_others_can_enter(tmp_path: Path, mode: int) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(mode)
    with pytest.raises(ConfigError, match="others can read"):
        FolderStorage(tmp_path / "open")


def test_it_refuses_a_link_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="not a folder"):
        FolderStorage(tmp_path / "link")
    with pytest.raises(VaultUnavailable):
        FolderStorage(tmp_path / "file")


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "", "incoming/x", "A", "a//b", "a/.b"])
def test_it_takes_no_name_that_leads_out_of_it(storage: FolderStorage, name: str) -> None:
    for act in (storage.read, storage.remove, lambda n: storage.put(n, b"")):
        with pytest.raises(ValueError, match="not a name"):
            act(name)


def test_it_follows_no_link_that_somebody_put_there(storage: FolderStorage, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"not ours")
    (storage.root / "linked").symlink_to(tmp_path / "other")
    with pytest.raises(VaultUnavailable):
        storage.read("linked")
    with pytest.raises(VaultUnavailable):
        storage.remove("linked")
    assert (tmp_path / "other").read_bytes() == b"not ours"


def test_a_file_is_synced_before_it_has_its_name_and_its_folder_after(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts: list[str] = []
    for name in ("fsync", "replace", "link", "mkdir"):
        _record(monkeypatch, name, acts)
    keep(storage, "ab/cd/x.blob", b"1")
    storage.put("ab/cd/x.key", b"1")
    file, folder = "fsync file", "fsync folder"
    makes = ["mkdir", folder, "mkdir", folder]
    assert acts == [file, *makes, "replace", folder, file, "link", folder]


def _record(monkeypatch: pytest.MonkeyPatch, name: str, acts: list[str]) -> None:
    real = getattr(os, name)

    def recorded(*arguments: Any, **options: Any) -> Any:
        what = ""
        if name == "fsync":
            what = " folder" if stat.S_ISDIR(os.fstat(arguments[0]).st_mode) else " file"
        acts.append(name + what)
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, recorded)


def test_a_folder_made_by_another_process_is_synced_too(
    storage: FolderStorage, again: Callable[[], FolderStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(storage, "ab/cd/x.blob", b"1")
    other, acts = again(), list[str]()
    _record(monkeypatch, "fsync", acts)
    keep(other, "ab/cd/y.blob", b"1")
    assert acts.count("fsync folder") == 3  # the root, ab, and ab/cd for the file itself


def test_a_removed_small_object_is_overwritten_where_it_lay(storage: FolderStorage, tmp_path: Path) -> None:
    storage.put("x.key", b"a wrapped key")
    os.link(storage.root / "x.key", tmp_path / "watch")  # the same bytes on the disk, still named
    storage.remove("x.key")
    assert (tmp_path / "watch").read_bytes() == bytes(13)


def test_what_cannot_be_removed_is_not_said_to_be(storage: FolderStorage) -> None:
    storage.put("x.key", b"a wrapped key")
    (storage.root / "incoming").rmdir()
    with pytest.raises(VaultUnavailable, match="cannot be removed"):
        storage.remove("x.key")


def test_a_replaced_small_object_is_overwritten_where_it_lay(storage: FolderStorage, tmp_path: Path) -> None:
    storage.put("x.key", b"a wrapped key")
    os.link(storage.root / "x.key", tmp_path / "watch")
    storage.put("x.key", b"another", replace=True)
    assert (tmp_path / "watch").read_bytes() == bytes(13)
    assert storage.read("x.key") == b"another"


def test_a_dead_writers_leftovers_are_swept_and_overwritten(storage: FolderStorage, tmp_path: Path) -> None:
    left = storage.root / "incoming" / "tmp-0123456789abcdef"
    left.write_bytes(b"a wrapped key")
    os.link(left, tmp_path / "watch")
    left.with_name("tmp-1123456789abcdef").write_bytes(b"2")
    (storage.root / "incoming" / "not-ours").write_bytes(b"3")
    assert storage.sweep() == 2
    assert [p.name for p in (storage.root / "incoming").iterdir()] == ["not-ours"]


def test_a_dead_writers_second_name_of_a_kept_object_leaves_the_object(storage: FolderStorage) -> None:
    storage.put("x.key", b"kept")
    os.link(storage.root / "x.key", storage.root / "incoming" / "tmp-0123456789abcdef")
    assert storage.sweep() == 1
    assert storage.read("x.key") == b"kept"


@pytest.mark.parametrize("call", ["write", "fsync", "link", "replace"])
def test_a_disk_that_refuses_is_said_and_leaves_nothing(
    storage: FolderStorage, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    storage.put("old", b"1")
    with monkeypatch.context() as broken:
        broken.setattr(os, call, refuse)
        if call != "replace":
            with pytest.raises(VaultUnavailable, match="No space left"):
                storage.put("new", b"2")
        if call != "link":
            with pytest.raises(VaultUnavailable, match="No space left"):
                keep(storage, "blob", b"2")
            with pytest.raises(VaultUnavailable, match="No space left"):
                storage.put("old", b"2", replace=True)
    assert names(storage) == ["old"]
    assert storage.read("old") == b"1"
    assert [*(storage.root / "incoming").iterdir()] == []


def test_a_folder_that_is_gone_is_no_empty_one(storage: FolderStorage) -> None:
    storage.root.rename(storage.root.with_name("elsewhere"))
    with pytest.raises(VaultUnavailable):
        names(storage)
    with pytest.raises(VaultUnavailable):
        storage.begin()


def test_a_place_is_a_folder_unless_it_says_s3(tmp_path: Path) -> None:
    assert isinstance(open_storage(tmp_path / "v"), FolderStorage)
    assert isinstance(open_storage(str(tmp_path / "w")), FolderStorage)
    with pytest.raises(ConfigError, match="not an address"):
        open_storage("s3://")
