"""Opening and reading files that must not be changed, followed or trusted. Writes nothing anywhere."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from leadline.errors import InputError
from leadline.scan.names import show_name

HEAD_BYTES = 4096
CHUNK_BYTES = 1 << 20
_BASE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_BASE |= getattr(os, "O_BINARY", 0)
_NOATIME = getattr(os, "O_NOATIME", 0)
_CODES = {
    errno.EACCES: "permission-denied",
    errno.EPERM: "permission-denied",
    errno.ENOENT: "not-found",
    errno.ELOOP: "symbolic-link",
    errno.ENAMETOOLONG: "name-too-long",
    errno.ENXIO: "not-a-regular-file",
}


class NotRegular(InputError):
    """What stood under the name was not a regular file when it was opened."""

    code = "not-a-regular-file"


def os_fault(error: OSError, path: bytes) -> InputError:
    """An OSError as Leadline's own, without its traceback or its arguments."""
    code = _CODES.get(error.errno or 0, "io-error")
    reason = os.strerror(error.errno) if error.errno else "input/output error"
    return InputError(f"could not be read: {reason}", where=show_name(path), code=code)


def describe_mode(mode: int) -> str:
    """Why a thing that is not a regular file or a folder is skipped; "" for those two."""
    if stat.S_ISLNK(mode):
        return "symbolic link, not followed"
    if stat.S_ISFIFO(mode):
        return "FIFO, not opened"
    if stat.S_ISSOCK(mode):
        return "socket, not opened"
    if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
        return "device, not opened"
    return "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "neither file nor folder, not opened"


def _open(path: bytes, flags: int = 0) -> int:
    try:
        return os.open(path, _BASE | _NOATIME | flags)
    except PermissionError:
        if not _NOATIME:
            raise
    return os.open(path, _BASE | flags)  # O_NOATIME is for the owner and root only


@contextmanager
def open_folder(path: bytes) -> Iterator[int | bytes]:
    """What to list a folder by, so that a link put in its place is not followed and its access time stays.

    A descriptor, or the path itself on systems that cannot list by descriptor. Raises OSError.
    """
    if os.listdir not in os.supports_fd:
        yield path
        return
    fd = _open(path, os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def list_folder(path: bytes) -> list[bytes]:
    """The names in a folder, sorted by their bytes. Raises OSError."""
    with open_folder(path) as folder:
        return sorted(os.fsencode(name) for name in os.listdir(folder))


@contextmanager
def open_regular(path: bytes) -> Iterator[tuple[int, os.stat_result]]:
    """A file descriptor for reading, and its stat. Never follows a link, never waits for a FIFO or a device.

    Raises InputError (not found, no permission, not a regular file).
    """
    try:
        fd = _open(path)
    except OSError as error:
        raise os_fault(error, path) from None
    try:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise NotRegular("is no regular file any more", where=show_name(path))
        yield fd, before
    finally:
        os.close(fd)


def read_fd(fd: int, buffer: memoryview) -> int:
    """Fill `buffer` from a descriptor as far as its file goes; returns bytes read."""
    done = 0
    while done < len(buffer):
        got = os.readv(fd, [buffer[done:]]) if hasattr(os, "readv") else _read_plain(fd, buffer[done:])
        if got == 0:
            break
        done += got
    return done


def _read_plain(fd: int, buffer: memoryview) -> int:
    data = os.read(fd, min(len(buffer), CHUNK_BYTES))
    buffer[: len(data)] = data
    return len(data)


def stream_fd(fd: int, size_bytes: int, feed: Callable[[memoryview], None]) -> int:
    """Read up to `size_bytes` in pieces and hand each to `feed`; returns bytes read."""
    piece = memoryview(bytearray(min(CHUNK_BYTES, max(size_bytes, 1))))
    done = 0
    while done < size_bytes:
        got = read_fd(fd, piece[: min(len(piece), size_bytes - done)])
        if got == 0:
            break
        feed(piece[:got])
        done += got
    return done


def read_tail(fd: int, size_bytes: int, most_bytes: int) -> bytes:
    """The last bytes, at most so many, of the first `size_bytes` of a file that was just read to there."""
    wanted = min(size_bytes, most_bytes)
    at = os.lseek(fd, 0, os.SEEK_CUR)
    try:
        os.lseek(fd, size_bytes - wanted, os.SEEK_SET)
        data = bytearray(wanted)
        return bytes(data[: read_fd(fd, memoryview(data))])
    finally:
        os.lseek(fd, at, os.SEEK_SET)


def changed_since(fd: int, before: os.stat_result) -> bool:
    """True where the file is not what it was when it was opened, or has grown beyond the size it said."""
    after = os.fstat(fd)
    same = (before.st_size, before.st_mtime_ns, before.st_ctime_ns)
    return same != (after.st_size, after.st_mtime_ns, after.st_ctime_ns)
