"""What a scan and its lanes say to each other: typed, versioned bytes, and nothing else. No objects, no code."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO, TypeVar

import msgspec

from leadline.errors import LeadlineError, ScanError, WorkerLost
from leadline.media.limits import Limits

VERSION = b"LLW1"
_FRAME = struct.Struct("<Q")
MAX_FRAME_BYTES = 1 << 30


class LaneConfig(msgspec.Struct, frozen=True, array_like=True):
    """All a lane needs to start. Banks are folders every lane can read; radius_bits None = each bank's own."""

    banks: list[bytes]
    limits: Limits
    radius_bits: int | None = None
    unsafe_decode: bool = False
    grey: bool = False


class WorkItem(msgspec.Struct, frozen=True, array_like=True):
    """One thing of the walk: a file to read, or (skip, or fault code and message) one only to be listed."""

    path: bytes
    mtime_ns: int | None = None
    ctime_ns: int | None = None
    size_bytes: int = 0
    skip: str = ""
    fault_code: str = ""
    fault: str = ""


class Work(msgspec.Struct, frozen=True, array_like=True, tag="work"):
    """Files of one source. shared: they may share a decoding child; else each has its own."""

    items: list[WorkItem]
    shared: bool = True


class More(msgspec.Struct, frozen=True, array_like=True, tag="more"):
    """The next reply to the same work, please."""


class Reply(msgspec.Struct, frozen=True, array_like=True, tag="reply"):
    """Some findings, as JSON lines, in walk order.

    items_done  how many items of the work are wholly answered, this reply included
    done        the last reply to this work
    """

    lines: list[bytes]
    items_done: int
    done: bool
    bytes_read: int = 0
    verdicts: dict[str, int] = {}


class Failure(msgspec.Struct, frozen=True, array_like=True, tag="failure"):
    """The lane cannot go on (a bank is damaged, no sandbox): the scan stops."""

    code: str
    what: str
    where: str
    mend: str
    exit_code: int


T = TypeVar("T")
_encode = msgspec.msgpack.Encoder().encode
_requests: Callable[[memoryview], Work | More] = msgspec.msgpack.Decoder(Work | More).decode
_replies: Callable[[memoryview], Reply | Failure] = msgspec.msgpack.Decoder(Reply | Failure).decode
_configs: Callable[[memoryview], LaneConfig] = msgspec.msgpack.Decoder(LaneConfig).decode


def encode(message: LaneConfig | Work | More | Reply | Failure) -> bytes:
    return VERSION + bytes(_encode(message))


def _decode(read: Callable[[memoryview], T], untrusted: bytes) -> T:
    if untrusted[: len(VERSION)] != VERSION:
        raise ScanError(
            "a lane speaks another version", mend="install one version of Leadline on every machine"
        )
    try:
        return read(memoryview(untrusted)[len(VERSION) :])
    except msgspec.DecodeError as error:
        raise ScanError(f"a lane's message cannot be read: {error}") from None


def decode_config(untrusted: bytes) -> LaneConfig:
    return _decode(_configs, untrusted)


def decode_request(untrusted: bytes) -> Work | More:
    return _decode(_requests, untrusted)


def decode_reply(untrusted: bytes) -> Reply:
    """Raises what the lane failed with, or ScanError."""
    reply = _decode(_replies, untrusted)
    if isinstance(reply, Reply):
        return reply
    error = _class_of(reply.code)(reply.what, where=reply.where, mend=reply.mend, code=reply.code)
    error.exit_code = reply.exit_code
    raise error


def _class_of(code: str) -> type[LeadlineError]:
    """The class in the tree that bears this code; ScanError where none does."""
    waiting: list[type[LeadlineError]] = [LeadlineError]
    while waiting:
        found = waiting.pop()
        if found.code == code:
            return found
        waiting += found.__subclasses__()
    return ScanError


def failure_of(error: LeadlineError) -> Failure:
    return Failure(error.code, error.what, error.where, error.mend, error.exit_code)


def write_frame(stream: BinaryIO, payload: bytes) -> None:
    stream.write(_FRAME.pack(len(payload)))
    stream.write(payload)
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next payload, None at the end of the stream. Raises WorkerLost for one cut short."""
    head = stream.read(_FRAME.size)
    if not head:
        return None
    size = _FRAME.unpack(head)[0] if len(head) == _FRAME.size else MAX_FRAME_BYTES + 1
    payload = stream.read(size) if size <= MAX_FRAME_BYTES else b""
    if size > MAX_FRAME_BYTES or len(payload) != size:
        raise WorkerLost("a lane's message was cut short")
    return payload
