"""Pixels -> a PNG for a browser, written byte for byte (PNG specification, third edition). Reads and decodes nothing.

IHDR, one IDAT, IEND: no other chunk, so nothing of the original but pixels can go along. The Average filter with
run-length deflate was the quickest of what was measured and, on photographs, the smallest (docs/decisions.md).
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2}  # channels -> grey, RGB
_AVERAGE = 3


def write_png(pixels: NDArray[np.uint8]) -> bytes:
    """uint8 (H, W) or (H, W, 3) -> PNG of 8 bits a channel; the same bytes for the same pixels and zlib."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else 3
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    deflate = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    body = deflate.compress(_filter(pixels.reshape(height, width * channels), channels).data) + deflate.flush()
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _filter(rows: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Each byte less the mean of those left of it and above it, each row behind the number of the filter."""
    around = np.zeros(rows.shape, np.uint16)
    around[:, channels:] = rows[:, :-channels]
    around[1:] += rows[:-1]
    around >>= 1
    lines = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    lines[:, 0] = _AVERAGE
    np.subtract(rows, around, out=lines[:, 1:], casting="unsafe")
    return lines


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
