"""Renditions for this process: the vault's bytes into the engine's sandbox, a reduced picture out. Writes no file.

Nothing here decides who may see what: `acts.reveals` does, and records it before it asks.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from leadline.media.client import Rendition, Sandbox
from leadline.media.limits import Limits
from leadline.media.reduction import Reduction
from leadline.workbench import sealing


@dataclass
class _Engine:
    """The one sandbox of this process that makes renditions; for one thread at a time."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    sandbox: Sandbox | None = None
    filled: str = ""  # whose bytes lie in the input buffer: a lens moves without decrypting anew


_engine = _Engine()


def render(sha256: str, size_bytes: int, reduction: Reduction) -> Rendition:
    """Raises the sandbox's errors for a picture that cannot be decoded, and the vault's for one that is not there."""
    with _engine.lock:
        sandbox = _sandbox()
        if _engine.filled != sha256:
            _engine.filled = ""
            buffer, at = sandbox.input_buffer(size_bytes), 0
            for piece in sealing.read_asset(sha256):
                buffer[at : at + len(piece)] = piece
                at += len(piece)
            _engine.filled = sha256
        try:
            return sandbox.make_rendition(size_bytes, reduction)
        except BaseException:
            _engine.filled = ""
            raise


def _sandbox() -> Sandbox:
    if _engine.sandbox is None:
        sandbox = Sandbox(Limits())
        sandbox.start()
        _engine.sandbox = sandbox
    return _engine.sandbox


def forget() -> None:
    """End the decoding process; its memory goes with it."""
    with _engine.lock:
        if _engine.sandbox is not None:
            _engine.sandbox.close()
        _engine.sandbox, _engine.filled = None, ""
