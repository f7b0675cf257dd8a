"""Small files of the state folder that all workers and replicas share: read again when they change, replaced whole."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from leadline.errors import ConfigError

T = TypeVar("T")
_RETRY_S = 0.01


class Kept(Generic[T]):
    """One JSON file of a type, readable by its owner only. Its folder is made when first written."""

    def __init__(self, path: Path, kind: type[T], empty: T) -> None:
        self._path, self._empty = path, empty
        self._decoder = msgspec.json.Decoder(kind)
        self._value = empty
        self._seen: tuple[int, int, int] | None = None

    @property
    def value(self) -> T:
        """As it was last read or written here."""
        return self._value

    def read(self) -> T:
        """As it is now; one stat where nothing changed. ConfigError where it is damaged, or gone after it was there (a
        folder that is not mounted any more): the value stays as it was."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            if self._seen is None:
                return self._empty
            raise ConfigError("a file of the state folder is gone", where=str(self._path), mend="restart") from None
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            try:
                self._value = self._decoder.decode(self._path.read_bytes())
            except msgspec.DecodeError as error:
                what, mend = "a file of the state folder is damaged", str(error)
                raise ConfigError(what, where=str(self._path), mend=mend) from None
            self._seen = seen
        return self._value

    def change(self, edit: Callable[[T], T]) -> T:
        """Put what `edit` makes of the newest value in its place, synced; no other process comes in between."""
        with hold(self._path.with_suffix(".lock")):
            before = self.read()
            after = edit(before)
            if after != before:
                write_whole(self._path, msgspec.json.format(msgspec.json.encode(after, order="sorted")))
                self.read()
            return after


@contextmanager
def hold(lock: Path, *, wait_s: float | None = None) -> Iterator[None]:
    """A lock among all processes, which ends with its holder. BlockingIOError where it stays taken for so long."""
    lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        _acquire(fd, wait_s)
        try:
            yield
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)  # said, not implied by close: a forked child may hold a copy of fd
    finally:
        os.close(fd)


def _acquire(fd: int, wait_s: float | None) -> None:
    if wait_s is None:
        fcntl.flock(fd, fcntl.LOCK_EX)
        return
    give_up_s = time.monotonic() + wait_s
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up_s:
                raise
            time.sleep(_RETRY_S)


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file in one step, synced; the caller holds its lock. OSError: the old one is still there."""
    made = path.with_suffix(".new")
    fd = os.open(made, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    made.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
