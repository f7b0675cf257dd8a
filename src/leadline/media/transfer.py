"""Undoing how bytes were carried: base64, quoted-printable, HTTP chunks and content codings. Inside the sandbox only.

Streams, piece by piece; holds no more than a piece. What is cut off raises EOFError after the last good piece.
"""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Callable
from typing import Any, Protocol

import brotli

try:
    from backports import zstd
except ImportError:  # Python 3.14 brings it; both come with py7zr
    from compression import zstd  # type: ignore[import-not-found,no-redef]

from leadline.media.outlet import PIECE_BYTES

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))


class Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class LineStream(Stream, Protocol):
    def readline(self, size: int, /) -> bytes: ...


class Plain:
    """7bit, 8bit and binary: as it is."""

    is_odd = False

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


class Base64:
    """As mail readers do: other characters are passed over, and the padding is the end.

    is_odd  there was more behind the padding (not decoded, since no reader shows it), or six bits too many
    """

    def __init__(self) -> None:
        self._rest, self._ended, self.is_odd = b"", False, False

    def feed(self, data: bytes) -> bytes:
        clean = data.translate(None, _NOT_BASE64)
        if self._ended:
            self.is_odd = self.is_odd or bool(clean.strip(b"="))
            return b""
        clean = self._rest + clean
        if (pad := clean.find(b"=")) >= 0:
            self._ended = True
            self.is_odd = bool(clean[pad:].strip(b"="))
            self._rest = b""
            return self._last(clean[:pad])
        whole = len(clean) // 4 * 4
        self._rest = clean[whole:]
        return binascii.a2b_base64(clean[:whole])

    def finish(self) -> bytes:
        rest, self._rest = self._rest, b""
        return self._last(rest)

    def _last(self, clean: bytes) -> bytes:
        if len(clean) % 4 == 1:
            self.is_odd, clean = True, clean[:-1]
        return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


class QuotedPrintable:
    """RFC 2045 section 6.7, forgiving."""

    is_odd = False

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        data = self._rest + data
        # A soft line break or an escape may be cut by the end of this piece.
        at = data.rfind(b"=", max(0, len(data) - 3))
        cut = at if at >= 0 and not data.endswith(b"\n") else len(data)
        self._rest = data[cut:]
        return binascii.a2b_qp(data[:cut])

    def finish(self) -> bytes:
        rest, self._rest = self._rest, b""
        return binascii.a2b_qp(rest)


Decoder = Plain | Base64 | QuotedPrintable
DECODERS: dict[str, Callable[[], Decoder]] = {
    **dict.fromkeys(("", "7bit", "8bit", "binary"), Plain),
    "base64": Base64,
    "quoted-printable": QuotedPrintable,
}

_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;[^\r\n]*)?\r?\n")


class Dechunked:
    """An HTTP body in chunks (RFC 9112 section 7.1); as it is where it turns out not to be in chunks.

    Captures are found with the header kept and the chunks already undone.
    """

    def __init__(self, stream: LineStream) -> None:
        self._stream, self._left = stream, 0
        self._ended = False
        first = stream.readline(1024)
        self._plain = not self._begin_chunk(first)
        self._held = first if self._plain else b""

    def _begin_chunk(self, line: bytes) -> bool:
        size = _CHUNK_SIZE.fullmatch(line)
        if not size:
            return False
        self._left = int(size[1], 16)
        self._ended = self._left == 0
        return True

    def read(self, size: int, /) -> bytes:
        if self._plain:
            held, self._held = self._held[:size], self._held[size:]
            return held or self._stream.read(size)
        if not self._left and not self._ended:
            self._next_chunk()
        if self._ended:
            return b""
        data = self._stream.read(min(size, self._left))
        if not data:
            raise EOFError("truncated")
        self._left -= len(data)
        return data

    def _next_chunk(self) -> None:
        self._stream.readline(2)  # the line end behind the last one
        line = self._stream.readline(1024)
        if not line:
            raise EOFError("truncated")
        if not self._begin_chunk(line):
            raise ValueError("no chunk")


class Uncoded:
    """A body without its content coding (RFC 9110 section 8.4.1); as it is where it turns out not to be coded."""

    def __init__(self, stream: Stream, coding: str) -> None:
        self._stream, self._codec = stream, _CODECS[coding]()
        self._held, self._given = b"", False
        self._plain = False

    def read(self, size: int, /) -> bytes:
        if self._plain:
            held, self._held = self._held[:size], self._held[size:]
            return held or self._stream.read(size)
        while not self._codec.ended:
            packed = b"" if self._codec.has_more else self._stream.read(PIECE_BYTES)
            if not packed and not self._codec.has_more:
                if not self._given and not self._held:
                    return b""  # an empty body has no coding
                raise EOFError("truncated")
            try:
                data = self._codec.feed(packed, size)
            except Exception:
                if self._given:
                    raise
                self._plain, self._held = True, self._held + packed
                return self.read(size)
            if data:
                self._given, self._held = True, b""
                return bytes(data)
            self._held += packed if not self._given else b""
        return b""


class _Inflate:
    def __init__(self, bits: int = 47) -> None:
        self._z, self._bits = zlib.decompressobj(bits), bits

    @property
    def ended(self) -> bool:
        return self._z.eof

    @property
    def has_more(self) -> bool:
        return bool(self._z.unconsumed_tail)

    def feed(self, data: bytes, most: int) -> bytes:
        data = self._z.unconsumed_tail + data
        try:
            return self._z.decompress(data, most)
        except zlib.error:
            if self._bits != 47 or data[:2] == b"\x1f\x8b":
                raise
            self._z, self._bits = zlib.decompressobj(-15), -15  # some servers' "deflate" has no zlib header
            return self._z.decompress(data, most)


class _Brotli:
    def __init__(self) -> None:
        self._codec = brotli.Decompressor()

    @property
    def ended(self) -> bool:
        return bool(self._codec.is_finished())

    @property
    def has_more(self) -> bool:
        return not self._codec.can_accept_more_data()

    def feed(self, data: bytes, most: int) -> bytes:
        return bytes(self._codec.process(data, output_buffer_limit=most))


class _Zstd:
    def __init__(self) -> None:
        self._codec: Any = zstd.ZstdDecompressor()

    @property
    def ended(self) -> bool:
        return bool(self._codec.eof)

    @property
    def has_more(self) -> bool:
        return not (self._codec.eof or self._codec.needs_input)

    def feed(self, data: bytes, most: int) -> bytes:
        return bytes(self._codec.decompress(data, most))


_CODECS: dict[str, Callable[[], Any]] = {
    **dict.fromkeys(("gzip", "x-gzip", "deflate"), _Inflate),
    "br": _Brotli,
    "zstd": _Zstd,
}
CODINGS = frozenset(_CODECS)
