"""Fingerprints of bytes that arrive: the engine's sandbox and hasher, set up for this process.

Bytes stay in memory and in the sandbox; nothing here writes a file or knows the database.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from leadline.domain import PdqFamily
from leadline.errors import SandboxUnavailable
from leadline.match.matcher import Matcher
from leadline.media.client import Sandbox
from leadline.media.limits import Limits
from leadline.media.sniff import PICTURE_TYPES, sniff
from leadline.scan.hashing import Digests, FileFacts, FileHasher, renew_sandbox

CHUNK_BYTES = 1 << 20
HEAD_BYTES = 4096
Sink = Callable[[bytes], object]


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


@dataclass
class _Engine:
    """The one sandbox of this process; for one thread at a time."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    sandbox: Sandbox | None = None


_engine = _Engine()


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_pieces(source: Readable | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield from (source[at : at + CHUNK_BYTES] for at in range(0, len(source), CHUNK_BYTES))
        return
    while piece := source.read(CHUNK_BYTES):
        yield piece


def start_reading() -> Reading:
    return Reading(Limits())


def fingerprint(reading: Reading, matcher: Matcher) -> FileFacts:
    """Decode in the sandbox what was read, and compute what `matcher` compares.

    Raises SandboxUnavailable: where decoders cannot be locked away, nothing is taken in.
    """
    with _engine.lock:
        facts = reading.facts(_hasher(matcher))
        if isinstance(facts.error, SandboxUnavailable):  # it may have died of something else: renewed once
            assert _engine.sandbox is not None
            renew_sandbox(_engine.sandbox)
            facts = reading.facts(_hasher(matcher))
        if isinstance(facts.error, SandboxUnavailable):
            raise facts.error
        return facts


def _hasher(matcher: Matcher) -> FileHasher:
    if _engine.sandbox is None:
        sandbox = Sandbox(Limits())
        sandbox.start()
        _engine.sandbox = sandbox
    families = {PdqFamily.B, PdqFamily.A} if matcher.needs_family_a else {PdqFamily.B}
    return FileHasher(_engine.sandbox, families=frozenset(families), kinds=matcher.kinds.values())


def close_engine() -> None:
    """End the decoding processes of this process."""
    with _engine.lock:
        if _engine.sandbox is not None:
            _engine.sandbox.close()
        _engine.sandbox = None
