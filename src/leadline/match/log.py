"""The append-only log of changes: frames that are whole or not there; never rewritten, only cut at a torn end.

A log file: 64 header bytes, then frames at multiples of 64. A frame: 64 header bytes (magic, type, sequence = the
bank's list version after it, payload length, CRC of the frame before it, CRC of itself) and a payload that is a
table (table.py). A frame is acknowledged once it is synced; what stands after the last whole frame is a torn end.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from leadline.errors import BankCorrupt, BankError

_LOG_HEADER = b"LEADLINE-LOG\x00\x01".ljust(64, b"\x00")
_FRAME = struct.Struct("<8sIQQI28xI")  # magic, type, sequence, payload bytes, previous crc, own crc
_MAGIC = b"LLFRAME\x00"
HEADER_BYTES = len(_LOG_HEADER)


class Change(IntEnum):
    ADD = 1
    REMOVE = 2
    REPLACE = 3  # these ids get new contents


_CHANGES = frozenset(Change)


class Frame(NamedTuple):
    change: Change
    sequence: int
    payload: bytes


class Position(NamedTuple):
    """The end of the last whole frame, that frame's checksum (the next frame must name it), and where it begins (0: no
    frame yet)."""

    offset: int
    crc: int
    begins: int = 0


START = Position(HEADER_BYTES, zlib.crc32(_LOG_HEADER))


class LogRead(NamedTuple):
    frames: list[Frame]
    end: Position
    torn_bytes: int


def create_log(path: Path) -> None:
    """An empty log, synced; a leftover of the same name is overwritten."""
    with path.open("wb") as file:
        file.write(_LOG_HEADER)
        file.flush()
        os.fsync(file.fileno())


def read_log(path: Path, start: Position = START) -> LogRead:
    """The whole frames from `start` on. BankCorrupt where a frame is damaged and later ones are whole."""
    with path.open("rb") as file:
        if file.read(HEADER_BYTES) != _LOG_HEADER:
            raise BankCorrupt("log header damaged", where=path.name, mend="restore the bank from a copy")
        file.seek(start.offset)
        untrusted = file.read()
    frames: list[Frame] = []
    at, crc, begins = 0, start.crc, start.begins
    while (found := _frame_at(untrusted, at)) is not None:
        frame, previous, own, length = found
        if previous != crc:
            raise _damaged(path, start.offset + at)
        frames.append(frame)
        begins, at, crc = start.offset + at, at + length, own
    if _whole_frame_after(untrusted, at):
        raise _damaged(path, start.offset + at)
    return LogRead(frames, Position(start.offset + at, crc, begins), len(untrusted) - at)


def ends_still(path: Path, end: Position) -> bool:
    """Whether the frame that ends at `end` is still the one that was read.

    One whose sync failed is cut off again, and the next one may be of the same length.
    """
    if not end.begins:
        return True
    with path.open("rb", buffering=0) as file:
        file.seek(end.begins)
        head = file.read(_FRAME.size)
    return head.startswith(_MAGIC) and head[-4:] == end.crc.to_bytes(4, "little")


def append_frame(path: Path, end: Position, change: Change, sequence: int, payload: bytes) -> Position:
    """Write and sync one frame at `end`, cutting a torn end off first; the caller holds the bank's lock.

    BankError where the disk refuses: then the log is as it was.
    """
    frame, position = _pack_frame(end, change, sequence, payload)
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        if os.fstat(fd).st_size != end.offset:
            os.ftruncate(fd, end.offset)
        try:
            write_fully(fd, frame, end.offset)
            os.fsync(fd)
        except OSError as error:
            # What was refused must not be read. The frame may be whole in memory, so that without its mark it is a torn
            # end, also where it cannot be cut off.
            with contextlib.suppress(OSError):
                write_fully(fd, bytes(len(_MAGIC)), end.offset)
            with contextlib.suppress(OSError):
                os.ftruncate(fd, end.offset)
            raise BankError(
                f"the change was not recorded: {error.strerror}", where=str(path), mend="free disk space, retry"
            ) from error
    finally:
        os.close(fd)
    return position


def write_fully(fd: int, data: bytes, offset: int) -> None:
    view, done = memoryview(data), 0
    while done < len(view):
        done += os.pwrite(fd, view[done:], offset + done)


def _pack_frame(end: Position, change: Change, sequence: int, payload: bytes) -> tuple[bytes, Position]:
    padded = payload + b"\x00" * (-len(payload) % 64)
    header = _FRAME.pack(_MAGIC, change, sequence, len(payload), end.crc, 0)
    crc = zlib.crc32(padded, zlib.crc32(header[:-4]))
    frame = header[:-4] + crc.to_bytes(4, "little") + padded
    return frame, Position(end.offset + len(frame), crc, end.offset)


def _frame_at(untrusted: bytes, at: int) -> tuple[Frame, int, int, int] | None:
    """(frame, previous crc, own crc, bytes) of the whole frame at `at`, or None where there is none."""
    if len(untrusted) - at < _FRAME.size:
        return None
    magic, change, sequence, size, previous, own = _FRAME.unpack_from(untrusted, at)
    end = at + _FRAME.size + size + (-size % 64)
    if magic != _MAGIC or end > len(untrusted):
        return None
    view = memoryview(untrusted)
    body = view[at + _FRAME.size : end]
    if zlib.crc32(body, zlib.crc32(view[at : at + _FRAME.size - 4])) != own or change not in _CHANGES:
        return None
    return Frame(Change(change), sequence, bytes(body[:size])), previous, own, end - at


def _whole_frame_after(untrusted: bytes, at: int) -> bool:
    """Whether a whole frame stands somewhere after a damaged one: then it was damaged later, not torn."""
    while (at := untrusted.find(_MAGIC, at + 1)) >= 0:
        if at % 64 == 0 and _frame_at(untrusted, at) is not None:
            return True
    return False


def _damaged(path: Path, offset: int) -> BankCorrupt:
    return BankCorrupt(
        "a change in the middle of the log is damaged",
        where=f"{path.name} at {offset}",
        mend="restore the bank from a copy",
    )
