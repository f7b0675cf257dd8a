"""JPEG bytes -> pixels by simplejpeg, straight into the shared memory. Runs inside the sandbox only.

Same pixels as Pillow, bit for bit (both are libjpeg-turbo with the exact DCT), in less time and memory.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import simplejpeg

from leadline.media.canvas import ORIENTATION_TAG, Canvas, check_size, facts_answer, view_answer
from leadline.media.limits import Limits
from leadline.media.wire import Alpha, Answer, Kind, ViewName

# libjpeg's warnings that leave every pixel as it was meant (jerror.h); all others mean damaged or missing pixels.
_HARMLESS = ("unknown jfif revision", "unknown adobe color transform")


def decode_jpeg(data: memoryview, grey: bool, limits: Limits, canvas: Canvas, *, at_least_px: int = 0) -> list[Answer]:
    """By simplejpeg, straight into the canvas; [] where it cannot (CMYK, lossless, 12 bits): then Pillow tries.

    at_least_px  a half, a quarter or an eighth of the size will do that leaves the long edge so many pixels; 0: none
    """
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except ValueError:
        return []
    if space not in ("RGB", "YCbCr", "Gray"):
        return []
    check_size((width, height), limits)
    channels, scale = 1 if grey else 3, _scale(max(width, height), at_least_px)
    size = -(-width // scale), -(-height // scale)
    target = canvas.shaped(*size, channels)
    decode = partial(simplejpeg.decode_jpeg, data, "GRAY" if grey else "RGB", buffer=target.reshape(-1))
    decode = partial(decode, min_width=size[0], min_height=size[1]) if scale > 1 else decode
    is_partial = False
    try:
        decode(strict=True)
    except ValueError as warning:
        is_partial = not any(mark in str(warning).lower() for mark in _HARMLESS)
        try:
            decode(strict=False)
        except ValueError:
            return []
    mode, orientation = "L" if space == "Gray" else "RGB", _jpeg_orientation(data)
    facts = facts_answer("image/jpeg", "simplejpeg", mode, (width, height), orientation, 1, Alpha.NONE, is_partial)
    return [facts, view_answer(target, ViewName.PICTURE, 0, orientation, is_partial), Answer(Kind.END)]


def _scale(edge_px: int, at_least_px: int) -> int:
    """Powers of two only: for those between, libjpeg-turbo has no SIMD, and they take longer than the whole."""
    return max(scale for scale in (1, 2, 4, 8) if scale == 1 or 0 < at_least_px * scale <= edge_px)


_START_OF_SCAN, _APP1 = 0xDA, 0xE1


def _jpeg_orientation(data: memoryview) -> int:
    """EXIF orientation, 1 where there is none. By hand: Pillow's parser costs a fresh child 2 ms of page faults."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _START_OF_SCAN:
            break
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker == _APP1 and bytes(data[at + 4 : at + 10]) == b"Exif\0\0":
            return _tiff_orientation(bytes(data[at + 10 : at + 2 + size]))
        else:
            at += 2 + size
    return 1


def _tiff_orientation(exif: bytes) -> int:
    """Tag 0x0112 of the first directory (TIFF 6.0, section 2)."""
    order: Literal["little", "big"] = "little" if exif[:2] == b"II" else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(exif[at : at + size], order)

    first = number(4, 4)
    for entry in range(first + 2, first + 2 + 12 * number(first, 2), 12):
        if entry + 12 > len(exif):
            break
        if number(entry, 2) == ORIENTATION_TAG:
            value = number(entry + 8, 2) if number(entry + 2, 2) == 3 else 1
            return value if 1 <= value <= 8 else 1
    return 1
