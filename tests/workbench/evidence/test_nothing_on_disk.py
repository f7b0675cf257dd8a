"""In the modes that keep nothing, no byte of a file reaches the disk: neither while it comes in nor afterwards."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from tests.workbench.evidence.conftest import draw_png

from leadline.errors import NotAllowed
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions
from leadline.workbench.evidence.models import Asset, MediaMode

MARK = b"LEADLINE-TEST-MARKER-0123456789-THAT-STANDS-IN-NO-OTHER-FILE"
_DATABASE = ("test.sqlite3", "test.sqlite3-wal", "test.sqlite3-shm", "test.sqlite3-journal")


def picture_with_mark() -> bytes:
    """A whole PNG, then the mark: decoders pass over what stands behind the end."""
    return draw_png(1) + MARK * 50


def find_mark(*folders: Path) -> list[str]:
    found = []
    for folder in folders:
        for inner, _, names in os.walk(folder):
            for name in names:
                path = Path(inner, name)
                try:
                    if path.is_file() and MARK in path.read_bytes():
                        found.append(str(path))
                except OSError:
                    continue
    return found


_watch: list[list[str]] = []


def _note_open(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watch or event != "open":
        return
    path, _, flags = arguments
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    if isinstance(path, str | bytes) and isinstance(flags, int) and flags & writes:
        _watch[-1].append(os.fsdecode(path))


sys.addaudithook(_note_open)  # stays for the process: it does nothing while nobody watches


@contextmanager
def opened_for_writing() -> Iterator[list[str]]:
    """Files that Python opens for writing meanwhile, except those that hold no media: /dev/null and the database."""
    _watch.append([])
    try:
        yield _watch[-1]
    finally:
        seen = _watch.pop()
        seen[:] = [path for path in seen if path != "/dev/null" and Path(path).name not in _DATABASE]


class Watched:
    """A file that comes in piece by piece; between the pieces the disk is searched."""

    def __init__(self, data: bytes, *folders: Path) -> None:
        self._data, self._folders, self.found = data, folders, []

    def read(self, _: int = -1) -> bytes:
        self.found += find_mark(*self._folders)
        piece, self._data = self._data[:1000], self._data[1000:]
        return piece


@pytest.fixture
def folders(office: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, ...]:
    """The office's home, this test's temporary folder, and where the database of the tests lies."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return office.home, temporary, Path(os.environ["LEADLINE_HOME"])


def test_the_search_would_find_it(folders: tuple[Path, ...]) -> None:
    with opened_for_writing() as opened:
        (folders[1] / "a").write_bytes(b"x" + MARK)
    assert find_mark(*folders) == [str(folders[1] / "a")]
    assert opened == [str(folders[1] / "a")]


def test_hashing_and_discarding_writes_no_byte(folders: tuple[Path, ...]) -> None:
    actions.take_in(draw_png(2), actor="somebody", source="test")  # the sandbox is started
    source = Watched(picture_with_mark(), *folders)
    with opened_for_writing() as opened:
        asset = actions.take_in(source, actor="somebody", source="test")  # type: ignore[arg-type]
    assert asset.views.count() == 1
    assert (source.found, find_mark(*folders), opened) == ([], [], [])


def test_refusing_writes_and_reads_no_byte(folders: tuple[Path, ...], senior: Person) -> None:
    actions.set_media_mode(senior, MediaMode.REFUSE, "made-up law, section 2")

    class Unreadable:
        def read(self, _: int = -1) -> bytes:
            raise AssertionError("a byte was read")

    with opened_for_writing() as opened, pytest.raises(NotAllowed):
        actions.take_in(Unreadable(), actor="somebody", source="test")  # type: ignore[arg-type]
    assert (find_mark(*folders), opened) == ([], [])


@pytest.mark.parametrize("mode", [MediaMode.REFUSE, MediaMode.HASH_AND_DISCARD])
def test_an_upload_by_a_browser_writes_no_byte(
    mode: MediaMode, folders: tuple[Path, ...], senior: Person, client_of: Any
) -> None:
    """Three megabytes: more than what Django itself would keep in memory."""
    actions.set_media_mode(senior, mode, "made-up law, section 2")
    actions_client = client_of(senior)
    data = picture_with_mark() + b"\0" * (3 << 20)
    with opened_for_writing() as opened:
        actions_client.post("/evidence/assets/upload/", {"file": SimpleUploadedFile("a.png", data, "image/png")})
    assert Asset.objects.count() == (0 if mode is MediaMode.REFUSE else 1)
    assert (find_mark(*folders), opened) == ([], [])
