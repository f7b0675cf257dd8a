"""A file on its way to the service: bytes, a path, or an open stream; begun anew where a request is repeated."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol

CHUNK_BYTES = 1 << 18


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


Source = bytes | str | Path | Readable  # str: a path


class Upload:
    """The body of one request. A stream is read from where it stands, and stays open."""

    def __init__(self, source: Source) -> None:
        self._source: bytes | Path | Readable = Path(source) if isinstance(source, str) else source
        self._was_begun = False
        self._start = _tell(self._source)

    @property
    def can_begin(self) -> bool:
        """Whether its bytes can be sent (again): not those of a stream that was read and cannot be turned back."""
        return not self._was_begun or isinstance(self._source, (bytes, Path)) or self._start is not None

    @property
    def size_bytes(self) -> int | None:
        """Where it can be told beforehand: then the service keeps no more room for it than it takes. OSError."""
        if isinstance(self._source, bytes):
            return len(self._source)
        if isinstance(self._source, Path):
            return self._source.stat().st_size
        if self._start is None:
            return None
        size = int(self._source.seek(0, os.SEEK_END)) - self._start  # type: ignore[attr-defined]
        self._source.seek(self._start)  # type: ignore[attr-defined]
        return max(0, size)

    @property
    def headers(self) -> dict[str, str]:
        size = self.size_bytes
        return {} if size is None else {"content-length": str(size)}

    def pieces(self) -> Iterator[bytes]:
        if isinstance(self._source, Path):
            with self._source.open("rb") as stream:
                yield from _read(stream)
            return
        if isinstance(self._source, bytes):
            yield from _read(io.BytesIO(self._source))
            return
        if self._was_begun and self._start is not None:
            self._source.seek(self._start)  # type: ignore[attr-defined]
        self._was_begun = True
        yield from _read(self._source)

    async def pieces_async(self) -> AsyncIterator[bytes]:
        """The same, read by another thread, so that a slow disk holds up nobody."""
        pieces = self.pieces()
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece


def _tell(source: bytes | Path | Readable) -> int | None:
    """Where a stream stands that can be turned back to."""
    if isinstance(source, (bytes, Path)):
        return None
    is_seekable = getattr(source, "seekable", None)
    return int(source.tell()) if is_seekable is not None and is_seekable() else None  # type: ignore[attr-defined]


def _read(stream: Readable) -> Iterator[bytes]:
    while piece := stream.read(CHUNK_BYTES):
        yield piece
