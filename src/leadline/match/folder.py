"""The files of a bank folder: names, locks, synced replacement, leftovers; knows nothing of their contents."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from leadline.errors import BankError, BankLocked

WRITE_LOCK, MERGE_LOCK = "lock", "merge-lock"
# Beside the entries, of a bank that is published: what subscribers were told and when, what they said, and the locks.
PUBLISHED, SUBSCRIBERS = "published", "subscribers.jsonl"
PUBLISHED_LOCK, PUBLISHING_LOCK = "published-lock", "publishing-lock"
_OWN = frozenset({WRITE_LOCK, MERGE_LOCK, PUBLISHED, SUBSCRIBERS, PUBLISHED_LOCK, PUBLISHING_LOCK})
# Beside the entries, of a bank that is published as a feed: what was told whom, and its lock.
FEED, FEED_LOCK = "feed.sqlite", "feed-lock"
_FEED_FILES = frozenset({FEED, f"{FEED}-wal", f"{FEED}-shm", FEED_LOCK})
# What left the bank as a list, when and why; it outlives the bank.
EXPORTS = "exports.jsonl"
_BY_NAME = _OWN | _FEED_FILES | {EXPORTS}
_NUMBERED = re.compile(r"(?:seg-([0-9]{8,16})\.(?:records|index)|log-([0-9]{8,16}))")
_TEMPORARY = re.compile(r"tmp-[0-9a-f]{16}")
_RETRY_S = 0.005


def records_name(number: int) -> str:
    return f"seg-{number:08d}.records"


def index_name(number: int) -> str:
    return f"seg-{number:08d}.index"


def log_name(number: int) -> str:
    return f"log-{number:08d}"


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing; each is synced into its parent, to outlive a power cut."""
    missing = [place for place in (path, *path.parents) if not place.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for place in missing:
        sync_folder(place.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` in the place of a file so that readers and crashes see the old or the new whole."""
    temporary = TemporaryFile(path.parent)
    try:
        temporary.stream.write(data)
        temporary.keep_as(path)
        sync_folder(path.parent)
    finally:
        temporary.discard()


class TemporaryFile:
    """A file under construction, locked by its maker: one whose lock can be had belongs to nobody alive."""

    def __init__(self, folder: Path) -> None:
        while True:
            self.path = folder / f"tmp-{secrets.token_hex(8)}"
            self.stream: BinaryIO = self.path.open("x+b")
            fcntl.flock(self.stream, fcntl.LOCK_EX)
            if self.path.exists():  # else a cleaner took it for an orphan before it was locked
                break
            self.stream.close()
        self._there = True

    def sync(self) -> None:
        self.stream.flush()
        os.fsync(self.stream.fileno())

    def keep_as(self, path: Path) -> None:
        """Sync and give the file its name; the caller syncs the folder."""
        self.sync()
        os.replace(self.path, path)
        self._there = False

    def discard(self) -> None:
        """Remove what was not kept, and let go of the file. Safe to call twice."""
        if self._there:
            self.path.unlink(missing_ok=True)
            self._there = False
        with contextlib.suppress(OSError):  # what could not be flushed is not wanted any more
            self.stream.close()


class HeldFile:
    """A file kept open for reading, so that its inode cannot be given to a later file of the same name."""

    def __init__(self, path: Path) -> None:
        self._fd = -1
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> bytes:
        return os.pread(self._fd, os.fstat(self._fd).st_size, 0)

    def is_still(self, path: Path) -> bool:
        """Whether `path` names this very file."""
        return os.path.samestat(os.stat(path), os.fstat(self._fd))

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


@contextmanager
def hold_lock(folder: Path, name: str, timeout_s: float, *, shared: bool = False) -> Iterator[None]:
    """The lock `name` of the folder, across processes and threads. BankLocked when not free within the time.

    shared  together with others who hold it so, and with nobody who holds it alone
    """
    try:
        fd = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise BankError(
            f"the bank cannot be written: {error.strerror}", where=str(folder), mend="check its permissions"
        ) from error
    try:
        _acquire(fd, folder, timeout_s, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)  # said, not implied by close: a forked child may hold a copy of fd
    finally:
        os.close(fd)


def _acquire(fd: int, folder: Path, timeout_s: float, how: int) -> None:
    give_up = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(fd, how | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= give_up:
                raise BankLocked(
                    "another writer is at work", where=str(folder), mend="retry when it has finished"
                ) from None
            time.sleep(_RETRY_S)


def remove_leftovers(folder: Path, wanted: set[str]) -> list[str]:
    """Remove the bank's files that nothing refers to any more; the caller holds the write lock."""
    removed = []
    for name in os.listdir(folder):
        if _NUMBERED.fullmatch(name) and name not in wanted:
            (folder / name).unlink(missing_ok=True)
            removed.append(name)
        elif _TEMPORARY.fullmatch(name) and _remove_orphan(folder / name):
            removed.append(name)
    return removed


def is_bank_file(name: str) -> bool:
    return name in _BY_NAME or bool(_NUMBERED.fullmatch(name) or _TEMPORARY.fullmatch(name))


def _remove_orphan(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
            return True
    except (BlockingIOError, FileNotFoundError):
        return False
