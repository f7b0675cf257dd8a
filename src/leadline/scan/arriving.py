"""A file that arrives in pieces: digested as it comes, a picture kept in memory for the sandbox. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from leadline.media.limits import Limits
from leadline.media.sniff import PICTURE_TYPES, sniff
from leadline.scan.hashing import Digests, FileFacts, FileHasher

CHUNK_BYTES = 1 << 20
HEAD_BYTES = 4096


class Reading:
    """Bytes as they come: digests and type of all, and of a picture the bytes too, up to the sandbox's limit."""

    def __init__(self, limits: Limits) -> None:
        self._digests, self._limits = Digests(), limits
        self._head, self._kept = b"", bytearray()
        self._is_keeping = True
        self.size_bytes = 0

    def feed(self, untrusted: bytes) -> None:
        self._digests.feed(untrusted)
        self.size_bytes += len(untrusted)
        if len(self._head) < HEAD_BYTES:
            self._head += untrusted[: HEAD_BYTES - len(self._head)]
        if not self._is_keeping:
            return
        self._kept += untrusted
        known = self.size_bytes >= HEAD_BYTES
        if self.size_bytes > self._limits.max_file_bytes or (known and sniff(self._head) not in PICTURE_TYPES):
            self._is_keeping, self._kept = False, bytearray()

    def facts(self, hasher: FileHasher) -> FileFacts:
        exact = self._digests.result()
        if not self._is_keeping:
            return hasher.describe_member(b"", b"", self._head, self.size_bytes, exact)
        with memoryview(self._kept) as whole:
            return hasher.hash_buffer(b"", b"", whole, exact)


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_pieces(source: Readable | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield from (source[at : at + CHUNK_BYTES] for at in range(0, len(source), CHUNK_BYTES))
        return
    while piece := source.read(CHUNK_BYTES):
        yield piece
