"""Renditions for this process: the vault's bytes into the engine's sandbox, a reduced picture out. Writes no file.

Nothing here decides who may see what: `acts.reveals` does, and records it before it asks.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from leadline.errors import SealBroken
from leadline.media.client import Rendition, Sandbox
from leadline.media.limits import Limits
from leadline.media.reduction import Reduction
from leadline.workbench import sealing


@dataclass
class _Engine:
    """The one sandbox of this process that makes renditions; for one thread at a time."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    sandbox: Sandbox | None = None
    size_bytes: int = 0
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
            if at != size_bytes:
                raise SealBroken("a sealed file has another size than its row says", mend="run `leadline vault verify`")
            _engine.filled, _engine.size_bytes = sha256, size_bytes
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


def forget_bytes() -> None:
    """A look has ended: the file's bytes go from this process's memory."""
    with _engine.lock:
        if _engine.filled and _engine.sandbox is not None:
            _engine.sandbox.input_buffer(_engine.size_bytes)[:] = bytes(_engine.size_bytes)
        _engine.filled = ""


def forget() -> None:
    """End the decoding process; its memory goes with it."""
    with _engine.lock:
        if _engine.sandbox is not None:
            _engine.sandbox.close()
        _engine.sandbox, _engine.filled = None, ""
