"""Fingerprints of bytes that arrive: the engine's sandbox and hasher, set up for this process.

Bytes stay in memory and in the sandbox; nothing here writes a file or knows the database.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from leadline.domain import PdqFamily
from leadline.errors import SandboxUnavailable
from leadline.match.matcher import Matcher
from leadline.media.client import Sandbox
from leadline.media.limits import Limits
from leadline.scan.arriving import Reading
from leadline.scan.hashing import FileFacts, FileHasher, survive_decoders


@dataclass
class _Engine:
    """The one sandbox of this process; for one thread at a time."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    sandbox: Sandbox | None = None


_engine = _Engine()


def start_reading() -> Reading:
    return Reading(Limits())


def fingerprint(reading: Reading, matcher: Matcher) -> FileFacts:
    """Decode in the sandbox what was read, and compute what `matcher` compares.

    Raises SandboxUnavailable: where decoders cannot be locked away, nothing is taken in.
    """
    with _engine.lock:
        hasher = _hasher(matcher)
        assert _engine.sandbox is not None
        facts = survive_decoders(_engine.sandbox, lambda: reading.facts(hasher))
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
