"""The list of what was erased, and of what is on hold, kept apart from vault and backups: no restored backup brings
back what was erased, or lets be erased what a court has said to keep.

Append-only: lines of 512 bytes, each a hash, a space, canonical JSON and spaces up to the line feed; the hash is over
the hash before and the JSON. 512 because a disk writes that much whole: what a crash leaves of a line is cut off at
the next writing. Holds hashes of files, and of names of other keys that were destroyed (contacts of reports), a reason
code and a time. Removes nothing in the vault by itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from leadline.custody.anchor import sync_folder
from leadline.custody.canonical import encode_canonical
from leadline.custody.chain import format_time
from leadline.errors import ErasureListBroken, InputError, VaultUnavailable

LINE_BYTES = 512
LOCK_TIMEOUT_S = 120.0
_BLOCK_BYTES = 1 << 20
_HASH_DIGITS = 64
_MARK = b"leadline erasure line 1\n"
_RETRY_S = 0.005
_REASON = re.compile(r"[a-z][a-z0-9.-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Act(StrEnum):
    ERASE = "erase"
    ADMIT = "admit"  # the same content was sealed again, by somebody who knew that it had been erased
    HOLD = "hold"  # a legal hold: it may not be erased
    RELEASE = "release"  # the hold has ended


@dataclass(frozen=True, slots=True)
class Erasure:
    """One line. `at` is UTC as 2026-01-31T23:59:59.123Z; `reason` is a code."""

    line: int
    act: Act
    sha256: str
    reason: str
    at: str


class ListHead(NamedTuple):
    """Where the list stands: number and hash of its last line."""

    line: int
    hash: str


START = ListHead(0, "0" * 64)


class ErasureList:
    """The list in its file. Also the lock between those who seal (shared) and those who erase (alone)."""

    def __init__(self, path: Path) -> None:
        """ErasureListBroken where it is missing, readable by others, or damaged."""
        self.path = path
        self._erased: set[str] = set()
        self._held: set[str] = set()
        self._head, self._inode = START, -1
        self._guard = threading.Lock()
        self._refresh()

    @classmethod
    def create(cls, path: Path) -> ErasureList:
        """An empty list. FileExistsError where there is one."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        sync_folder(path.parent)
        return cls(path)

    @property
    def head(self) -> ListHead:
        self._refresh()
        return self._head

    def is_erased(self, sha256: str) -> bool:
        self._refresh()
        return sha256 in self._erased

    def is_held(self, sha256: str) -> bool:
        self._refresh()
        return sha256 in self._held

    def held(self) -> frozenset[str]:
        """All that are on hold now."""
        self._refresh()
        return frozenset(self._held)

    def erased(self) -> frozenset[str]:
        """All that are erased now."""
        self._refresh()
        return frozenset(self._erased)

    def lines(self, after: int = 0) -> Iterator[Erasure]:
        """The lines behind line `after`, each checked against the one before."""
        fd = self._open()
        try:
            yield from (erasure for erasure, _ in self._read(fd, self._head_at(fd, after)))
        finally:
            os.close(fd)

    def copy_to(self, path: Path) -> ListHead:
        """A copy of the list as it stands, whole or not there; what lay there is replaced. Where it stands."""
        head = self.head
        fd, partial = self._open(), path.with_name(f".{path.name}.partial")
        try:
            data = os.pread(fd, head.line * LINE_BYTES, 0)
        finally:
            os.close(fd)
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if ErasureList(partial).head != head:
            raise VaultUnavailable("the copy is not the list", where=str(path), mend="retry")
        partial.replace(path)
        sync_folder(path.parent)
        return head

    def hash_at(self, line: int) -> str:
        """The hash of this line; ErasureListBroken where the list has not so many."""
        fd = self._open()
        try:
            return self._head_at(fd, line).hash
        finally:
            os.close(fd)

    @contextmanager
    def hold(self, *, alone: bool, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
        """Nobody erases meanwhile; `alone`: nobody finishes a seal either. VaultUnavailable where it takes too long."""
        give_up = time.monotonic() + timeout_s
        # Who wants it alone keeps the gate while it waits, so that later ones cannot keep it waiting for ever.
        with (
            self._lock(".gate", fcntl.LOCK_EX, give_up) as gate,
            self._lock(".lock", fcntl.LOCK_EX if alone else fcntl.LOCK_SH, give_up),
        ):
            fcntl.flock(gate, fcntl.LOCK_UN)
            yield

    @contextmanager
    def _lock(self, suffix: str, kind: int, give_up: float) -> Iterator[int]:
        path = self.path.with_name(self.path.name + suffix)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise VaultUnavailable(
                f"the list of erasures cannot be locked: {error.strerror}", where=str(path), mend="check its folder"
            ) from error
        try:
            _acquire(fd, kind, give_up)
            try:
                yield fd
            finally:
                fcntl.flock(fd, fcntl.LOCK_UN)  # said, not implied by close: a forked child may hold a copy of fd
        finally:
            os.close(fd)

    def append(self, act: Act, sha256: str, reason: str, at: datetime) -> ListHead:
        """One more line, synced when this returns; the caller holds the list alone.

        InputError where hash or reason is none, VaultUnavailable where the disk refuses: then nothing was appended.
        """
        if not _REASON.fullmatch(reason) or not _SHA256.fullmatch(sha256):
            raise InputError("an erasure needs a SHA-256 and a reason code", where="reason", mend="such as expired")
        head = self.head
        data = _encode(Erasure(head.line + 1, act, sha256, reason, format_time(at)), head)
        fd, end = self._open(os.O_RDWR), head.line * LINE_BYTES
        try:
            os.ftruncate(fd, end)  # what a crash left of a line that nobody was told of
            try:
                _write_at(fd, data, end)
                os.fsync(fd)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(fd, end)
                raise
        except OSError as error:
            raise VaultUnavailable(
                f"the erasure was not recorded: {error.strerror}", where=str(self.path), mend="free disk space, retry"
            ) from error
        finally:
            os.close(fd)
        return self.head

    def _refresh(self) -> None:
        with self._guard:
            fd = self._open()
            try:
                facts = os.fstat(fd)
                _check_file(facts, self.path)
                if facts.st_ino != self._inode or facts.st_size < self._head.line * LINE_BYTES:
                    self._erased, self._held, self._head, self._inode = set(), set(), START, facts.st_ino
                if facts.st_size >= (self._head.line + 1) * LINE_BYTES:
                    self._take_in(fd)
            finally:
                os.close(fd)

    def _take_in(self, fd: int) -> None:
        for erasure, digest in self._read(fd, self._head):
            match erasure.act:
                case Act.ERASE:
                    self._erased.add(erasure.sha256)
                case Act.ADMIT:
                    self._erased.discard(erasure.sha256)
                case Act.HOLD:
                    self._held.add(erasure.sha256)
                case Act.RELEASE:
                    self._held.discard(erasure.sha256)
            self._head = ListHead(erasure.line, digest)

    def _read(self, fd: int, head: ListHead) -> Iterator[tuple[Erasure, str]]:
        while untrusted := os.pread(fd, _BLOCK_BYTES, head.line * LINE_BYTES):
            for start in range(0, len(untrusted) - LINE_BYTES + 1, LINE_BYTES):
                erasure = _decode(untrusted[start : start + LINE_BYTES], head)
                if erasure is None:
                    if self._is_torn(fd, head.line):
                        return
                    raise self._broken(f"line {head.line + 1} is damaged", "restore the list from its copy")
                head = ListHead(erasure.line, untrusted[start : start + _HASH_DIGITS].decode())
                yield erasure, head.hash
            if len(untrusted) < _BLOCK_BYTES:
                return

    def _is_torn(self, fd: int, whole_lines: int) -> bool:
        """Whether nothing but zeros stands behind the whole lines: space that a crash left, and no line."""
        rest = os.fstat(fd).st_size - whole_lines * LINE_BYTES
        return rest <= LINE_BYTES and not any(os.pread(fd, rest, whole_lines * LINE_BYTES))

    def _head_at(self, fd: int, line: int) -> ListHead:
        if line == 0:
            return START
        untrusted = os.pread(fd, LINE_BYTES, (line - 1) * LINE_BYTES)
        if len(untrusted) != LINE_BYTES:
            raise self._broken(f"it has no line {line}", "it is older than the vault: put the newest in its place")
        return ListHead(line, untrusted[:_HASH_DIGITS].decode("ascii", "replace"))

    def _open(self, flags: int = os.O_RDONLY) -> int:
        try:
            return os.open(self.path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            mend = "put it back: without it, a restored backup would bring back what was erased"
            raise self._broken("it is missing", mend) from None
        except OSError as error:
            raise self._broken(f"it cannot be opened: {error.strerror}", "check file and permissions") from error

    def _broken(self, what: str, mend: str) -> ErasureListBroken:
        return ErasureListBroken(f"the list of erasures: {what}", where=str(self.path), mend=mend)


def _acquire(fd: int, kind: int, give_up: float) -> None:
    while True:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= give_up:
                raise VaultUnavailable("another writer is at work in the vault", mend="retry later") from None
            time.sleep(_RETRY_S)


def _check_file(facts: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(facts.st_mode) or stat.S_IMODE(facts.st_mode) & 0o077:
        raise ErasureListBroken("others can read the list of erasures", where=str(path), mend="chmod 600 it")


def _encode(erasure: Erasure, head: ListHead) -> bytes:
    body = encode_canonical({name: getattr(erasure, name) for name in Erasure.__slots__} | {"act": erasure.act.value})
    return (_hash(head, body) + b" " + body).ljust(LINE_BYTES - 1) + b"\n"


def _decode(untrusted: bytes, head: ListHead) -> Erasure | None:
    """What the line that follows `head` says, or None where it is damaged."""
    digest, body = untrusted[:_HASH_DIGITS], untrusted[_HASH_DIGITS + 1 : -1].rstrip(b" ")
    if digest != _hash(head, body) or untrusted != (digest + b" " + body).ljust(LINE_BYTES - 1) + b"\n":
        return None
    try:
        erasure = msgspec.json.decode(body, type=Erasure)
    except msgspec.MsgspecError:
        return None
    return erasure if erasure.line == head.line + 1 else None


def _hash(head: ListHead, body: bytes) -> bytes:
    return hashlib.sha256(_MARK + head.hash.encode() + body).hexdigest().encode()


def _write_at(fd: int, data: bytes, offset: int) -> None:
    view, done = memoryview(data), 0
    while done < len(view):
        done += os.pwrite(fd, view[done:], offset + done)
