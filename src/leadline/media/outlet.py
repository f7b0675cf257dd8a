"""Where unpacked members go, and the limits of one container on the way. Inside the sandbox only; reads nothing."""

from __future__ import annotations

import lzma
from collections.abc import Mapping
from typing import Any, Protocol

from py7zr.exceptions import PasswordRequired, UnsupportedCompressionMethodError

from leadline.media.facts import pack_facts
from leadline.media.limits import RATIO_FREE_BYTES, Limits
from leadline.media.sniff import UNKNOWN, sniff
from leadline.media.wire import MAX_NAME_BYTES, Refused, Skipped, Status

PIECE_BYTES = 1 << 18
LINK_BYTES = 4096  # PATH_MAX: no link can be longer
_NAMED_BYTES = 2048
_CUT_OFF = ("unexpected end", "truncated", "exceeds the archive")  # in messages of tarfile, zipfile, py7zr


class Outlet(Protocol):
    """Where members go: the wire. `begin` says whether the bytes are wanted; `write` may raise Skipped."""

    def begin(self, name: bytes, size_bytes: int, status: Status, facts: bytes) -> bool: ...
    def write(self, data: bytes | bytearray | memoryview) -> None: ...
    def end(self, status: Status) -> None: ...


class Counted:
    """An outlet with the limits of one container; raises Refused when one is passed."""

    def __init__(self, outlet: Outlet, packed_bytes: int, limits: Limits) -> None:
        self._outlet, self.limits = outlet, limits
        self._members = self._total_bytes = self._member_bytes = 0
        self._most_bytes = min(limits.max_total_bytes, max(RATIO_FREE_BYTES, limits.max_ratio * packed_bytes))
        self._past_most = Status.TOO_LARGE if self._most_bytes == limits.max_total_bytes else Status.RATIO_EXCEEDED

    def begin(
        self, name: bytes, size_bytes: int, status: Status = Status.OK, facts: Mapping[str, str] | None = None
    ) -> bool:
        self._members += 1
        if self._members > self.limits.max_members:
            raise Refused(Status.TOO_MANY_MEMBERS)
        self._member_bytes = 0
        if len(name) > MAX_NAME_BYTES:
            name, status = name[:MAX_NAME_BYTES], Status.NAME_TOO_LONG
        if status is Status.OK and size_bytes > self.limits.max_member_bytes:
            status = Status.TOO_LARGE
        declared = max(0, min(size_bytes, (1 << 63) - 1))
        return self._outlet.begin(name, declared, status, pack_facts(facts or {})) and status is Status.OK

    def spend(self, size_bytes: int) -> None:
        """Count unpacked bytes, wanted or not: a solid container unpacks what it skips too."""
        self._total_bytes += size_bytes
        if self._total_bytes > self._most_bytes:
            raise Refused(self._past_most)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.spend(len(data))
        self._member_bytes += len(data)
        if self._member_bytes > self.limits.max_member_bytes:
            self._outlet.end(Status.TOO_LARGE)
            raise Skipped
        self._outlet.write(data)

    def end(self, status: Status = Status.OK) -> None:
        self._outlet.end(status)

    def copy(self, stream: Any) -> Status:
        """A whole member from an opened stream, and how it came out; its faults end the member, not the container."""
        read = getattr(stream, "read1", stream.read)  # read1 gives what there is before a fault
        status = Status.OK
        try:
            while piece := read(PIECE_BYTES):
                self.write(piece)
        except Skipped:
            return Status.OK
        except (Refused, MemoryError):
            raise
        except Exception as error:
            status = status_of(error)
        self.end(status)
        return status

    def copy_link(self, stream: Any, name: bytes, size_bytes: int) -> Status:
        """A member that is said to be a link: told as one where its content could be a link's, else it is a file.

        One bit makes a link of a picture, for readers that go by it, and programs that do not would still show it.
        """
        content = b""
        try:
            while len(content) <= LINK_BYTES and (piece := stream.read(LINK_BYTES)):
                content += piece
        except (Refused, MemoryError):
            raise
        except Exception:  # noqa: S110 - it comes again when the content is read as a file's
            pass
        if is_link_text(content):
            self.begin(name, size_bytes, Status.LINK)
            return Status.OK
        return self.copy(_Replayed(content, stream)) if self.begin(name, size_bytes) else Status.OK


class _Replayed:
    """A stream of which something was read already."""

    def __init__(self, first: bytes, rest: Any) -> None:
        self._first, self._rest = first, rest

    def read(self, size: int) -> bytes:
        first, self._first = self._first, b""
        return first or self._rest.read(size)


def is_link_text(content: bytes | bytearray) -> bool:
    """Whether these bytes can be where a link leads: a path of a system's length, without a nought, like no file."""
    return len(content) <= LINK_BYTES and b"\0" not in content and sniff(bytes(content)) == UNKNOWN


def name_member(text: str) -> bytes:
    """The name of a member that is named by what stands in the container: an address may be a whole picture."""
    return text.encode("utf-8", "replace")[:_NAMED_BYTES]


def status_of(error: BaseException) -> Status:
    if isinstance(error, PasswordRequired):
        return Status.ENCRYPTED
    if isinstance(error, (NotImplementedError, UnsupportedCompressionMethodError)):
        return Status.UNSUPPORTED
    if isinstance(error, lzma.LZMAError) and "memory" in str(error).lower():
        return Status.OUT_OF_MEMORY
    short = isinstance(error, EOFError) or any(mark in str(error).lower() for mark in _CUT_OFF)
    return Status.TRUNCATED if short else Status.UNDECODABLE
