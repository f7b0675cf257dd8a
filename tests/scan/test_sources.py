from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leadline.errors import ConfigError
from leadline.scan import sources
from leadline.scan.sources import PathSource, open_sources, refuse_out_inside


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def listed_names(root: Path) -> list[bytes]:
    return [os.path.relpath(listed.path, os.fsencode(root)) for listed in PathSource(os.fsencode(root)).walk()]


def test_it_walks_depth_first_in_the_order_of_the_bytes(tmp_path: Path) -> None:
    for name in ("b/2", "b/10", "a.txt", "a/z", "B", "a/b/c"):
        touch(tmp_path / name)
    assert listed_names(tmp_path) == [b"B", b"a/b/c", b"a/z", b"a.txt", b"b/10", b"b/2"]


def test_it_gives_each_thing_a_place_that_sorts_as_the_walk_goes(tmp_path: Path) -> None:
    for name in ("b/2", "b/10", "a.txt", "a/z", "B", "a/b/c", "a!x", "a b"):
        touch(tmp_path / name)
    source = PathSource(os.fsencode(tmp_path), 3)
    places = [listed.order for listed in source.walk()]
    assert places == sorted(places)
    assert places == [source.order(listed.path) for listed in source.walk()]


def test_it_survives_names_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"odd-\xff\xfe")).write_bytes(b"x")
    assert listed_names(tmp_path) == [b"odd-\xff\xfe"]


def test_it_lists_what_is_no_file_as_skipped_with_the_reason(tmp_path: Path) -> None:
    touch(tmp_path / "a/file")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "sock"))
        found = {listed.order[1]: listed.skip for listed in PathSource(os.fsencode(tmp_path)).walk()}
    assert found == {
        (b"a", b"file"): "",
        (b"link",): "symbolic link, not followed",
        (b"loop",): "symbolic link, not followed",
        (b"pipe",): "FIFO, not opened",
        (b"sock",): "socket, not opened",
    }


def test_it_does_not_enter_another_file_system() -> None:
    found = {listed.path: listed.skip for listed in PathSource(b"/dev").walk()}
    assert found[b"/dev/shm"] == "another file system, not entered"
    assert found[b"/dev/null"] == "device, not opened"
    assert not any(path.startswith(b"/dev/shm/") for path in found)


def with_device(status: os.stat_result, device: int) -> os.stat_result:
    fields = list(status)
    fields[2] = device
    named = {name: getattr(status, name) for name in dir(status) if name.startswith("st_") and name[-3:] == "_ns"}
    return os.stat_result(fields, named)


def test_a_file_that_bears_another_device_than_its_folder_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on an overlay of layers from several file systems (kernel.org, overlayfs.rst: "Uniform st_dev")."""
    for name in ("a/file", "b/mounted/file", "top"):
        touch(tmp_path / name)
    (tmp_path / "link").symlink_to("top")
    real = os.lstat

    def lstat(path: bytes) -> os.stat_result:
        status = real(path)
        is_lower = not os.path.isdir(path) or path.endswith(b"mounted")
        return with_device(status, 4242) if is_lower else status

    monkeypatch.setattr(os, "lstat", lstat)
    source = PathSource(os.fsencode(tmp_path))
    found = {os.path.relpath(listed.path, source.root): listed.skip for listed in source.walk()}
    assert found == {
        b"a/file": "",
        b"b/mounted": "another file system, not entered",
        b"link": "symbolic link, not followed",
        b"top": "",
    }
    assert sum(source.count(lambda: False)) == 4


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
def test_every_file_of_a_real_overlay_is_read(tmp_path: Path) -> None:
    """In a mount namespace of its own; skipped where this machine does not let one mount."""
    touch(tmp_path / "lower/known.jpg")
    for name in ("top", "merged"):
        (tmp_path / name).mkdir()
    mount = f"mount -t tmpfs none {tmp_path}/top && mkdir {tmp_path}/top/u {tmp_path}/top/w && "
    mount += f"mount -t overlay overlay -o lowerdir={tmp_path}/lower,upperdir={tmp_path}/top/u,"
    mount += f"workdir={tmp_path}/top/w,xino=off {tmp_path}/merged"
    walk = "import os, sys; from leadline.scan.sources import PathSource; "
    walk += "print([(one.path, one.skip) for one in PathSource(os.fsencode(sys.argv[1])).walk()])"
    script = f'({mount}) || exit 77; exec "$0" -c "$1" {tmp_path}/merged'
    try:
        ended = subprocess.run(
            ["unshare", "-m", "sh", "-c", script, sys.executable, walk], capture_output=True, text=True, timeout=60
        )
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if ended.returncode in (1, 77) and "Error" not in ended.stderr:
        pytest.skip("no overlay can be mounted here")
    assert ended.stdout.strip() == str([(os.fsencode(tmp_path / "merged/known.jpg"), "")])


def test_it_reports_a_folder_it_may_not_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "closed/file")
    touch(tmp_path / "open/file")
    real = sources.list_folder

    def listing(path: bytes) -> list[bytes]:
        if path.endswith(b"closed"):
            raise PermissionError(13, "no")
        return real(path)

    monkeypatch.setattr(sources, "list_folder", listing)
    closed, _ = PathSource(os.fsencode(tmp_path)).walk()
    assert closed.fault == ("permission-denied", "could not be read: Permission denied")


def test_it_does_not_follow_a_link_put_in_the_place_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "source/folder/inside")
    touch(tmp_path / "elsewhere/secret")
    real = sources.list_folder

    def swap_and_list(path: bytes) -> list[bytes]:
        if path.endswith(b"folder"):
            (tmp_path / "source/folder").rename(tmp_path / "away")
            (tmp_path / "source/folder").symlink_to(tmp_path / "elsewhere")
        return real(path)

    monkeypatch.setattr(sources, "list_folder", swap_and_list)
    (only,) = PathSource(os.fsencode(tmp_path / "source")).walk()
    assert only.path.endswith(b"folder")
    assert only.fault is not None


def test_it_leaves_the_access_times_of_folders_alone(tmp_path: Path) -> None:
    touch(tmp_path / "a/b/file")
    folders = [tmp_path, tmp_path / "a", tmp_path / "a/b"]
    for folder in folders:
        os.utime(folder, ns=(1_000_000_000, folder.stat().st_mtime_ns))
    source = PathSource(os.fsencode(tmp_path))
    assert len(list(source.walk())) == sum(source.count(lambda: False)) == 1
    assert [folder.stat().st_atime_ns for folder in folders] == [1_000_000_000] * 3


def test_it_takes_a_single_file_as_a_source(tmp_path: Path) -> None:
    touch(tmp_path / "one")
    (only,) = PathSource(os.fsencode(tmp_path / "one")).walk()
    assert (only.path, only.order, only.size_bytes) == (os.fsencode(tmp_path / "one"), (0, ()), 1)


@pytest.fixture
def deep_folder(tmp_path: Path) -> Iterator[Path]:
    """1,100 folders in one another; taken away again from below, as nothing that recurses could."""
    here = os.getcwd()
    os.chdir(tmp_path)
    for _ in range(1100):
        os.mkdir("d")
        os.chdir("d")
    Path("leaf").write_bytes(b"x")
    yield tmp_path
    os.unlink("leaf")
    for _ in range(1100):
        os.chdir("..")
        os.rmdir("d")
    os.chdir(here)


def test_it_goes_deeper_than_python_recurses(deep_folder: Path) -> None:
    assert [listed.order[1][-1] for listed in PathSource(os.fsencode(deep_folder)).walk()] == [b"leaf"]


def test_it_counts_what_it_will_list(tmp_path: Path) -> None:
    for name in ("b/2", "b/10", "a.txt", "a/z", "B", "a/b/c"):
        touch(tmp_path / name)
    (tmp_path / "link").symlink_to("a")
    source = PathSource(os.fsencode(tmp_path))
    assert sum(source.count(lambda: False)) == len(list(source.walk())) == 7


@pytest.mark.parametrize("paths", [[], ["missing"], ["a", "a/b"], ["a/b", "a"], ["a", "a"]])
def test_it_refuses_sources_that_are_none_or_absent_or_inside_one_another(tmp_path: Path, paths: list[str]) -> None:
    touch(tmp_path / "a/b/c")
    with pytest.raises(ConfigError):
        open_sources([tmp_path / path for path in paths])


@pytest.mark.parametrize("out", ["source", "source/out", "source/deep/out", "link/out", "other/../source/out"])
def test_it_refuses_an_output_folder_inside_a_source(tmp_path: Path, out: str) -> None:
    touch(tmp_path / "source/file")
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to("source")
    with pytest.raises(ConfigError, match="inside a scanned path"):
        refuse_out_inside(open_sources([tmp_path / "source"]), tmp_path / out)


def test_it_accepts_an_output_folder_beside_a_source(tmp_path: Path) -> None:
    touch(tmp_path / "source/file")
    refuse_out_inside(open_sources([tmp_path / "source"]), tmp_path / "source-out")
