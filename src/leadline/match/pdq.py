"""PDQ of one view of a picture: its families, transforms and text form. Decodes nothing and compares no lists."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from leadline.domain import PdqFamily, ViewHashes
from leadline.errors import HashFormatError
from leadline.match.kernel import pdq_hash

_HEX = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
_FAMILY_A_SIDE = 512  # ThreatExchange pdq/cpp/io/pdqio.cpp: larger pictures are resized to 512 x 512 first


def hash_view(
    pixels: NDArray[np.uint8],
    *,
    view: str = "picture",
    orientation: int = 1,
    families: frozenset[PdqFamily] = frozenset({PdqFamily.B}),
    dihedral: bool = True,
) -> tuple[list[ViewHashes], bool]:
    """The PDQ hashes of one view, one entry a family, and whether any of them had to be recomputed.

    pixels       uint8 (H, W) grey or (H, W, 3) RGB as stored; any strides, never written
    orientation  EXIF 1..8: hashes, width and height are those of the oriented picture
    families     which pre-resize: b = full resolution, a = 512 x 512 first where a side is longer
    dihedral     all 8 transforms in the order of domain.Transform, else the first alone
    Raises ValueError on any other dtype, shape or orientation. Below 5 x 5: zero hashes, quality 0.
    """
    found: list[ViewHashes] = []
    recomputed = False
    for family in sorted(families):
        if family == PdqFamily.A:
            result = pdq_hash(resize_for_family_a(pixels, orientation), dihedral=dihedral)
        else:
            result = pdq_hash(pixels, orientation=orientation, dihedral=dihedral)
        height, width = pixels.shape[:2] if orientation < 5 else pixels.shape[1::-1]
        found.append(ViewHashes(view, family, result.hashes, result.quality, width, height))
        recomputed |= result.recomputed
    return found, recomputed


def resize_for_family_a(pixels: NDArray[np.uint8], orientation: int = 1) -> NDArray[np.uint8]:
    """The oriented picture as family a sees it: 512 x 512 by nearest neighbour where a side is longer.

    The aspect ratio is given up and source = floor(target * length / 512), as CImg's nearest-neighbour resize does
    in the C++ and WASM tools. Returns uint8, same channels.
    """
    oriented = turn_upright(pixels, orientation)
    height, width = oriented.shape[:2]
    if height <= _FAMILY_A_SIDE and width <= _FAMILY_A_SIDE:
        return oriented
    target = np.arange(_FAMILY_A_SIDE)
    rows, columns = target * height // _FAMILY_A_SIDE, target * width // _FAMILY_A_SIDE
    resized: NDArray[np.uint8] = oriented[rows[:, None], columns]
    return resized


def parse_pdq(untrusted_text: str) -> bytes:
    """32 bytes from 64 hexadecimal digits of either case. Raises HashFormatError."""
    if not _HEX.fullmatch(untrusted_text):
        raise HashFormatError("not a PDQ hash", mend="give 64 hexadecimal digits")
    return bytes.fromhex(untrusted_text)


def format_pdq(pdq: bytes) -> str:
    """64 lower-case hexadecimal digits, as every public list writes it."""
    return pdq.hex()


def distance_bits(a: bytes, b: bytes) -> int:
    """Hamming distance of two hashes of equal length, in bits."""
    if len(a) != len(b):
        raise HashFormatError("hashes of different lengths cannot be compared", where=f"{len(a)} and {len(b)} bytes")
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


def turn_upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """A view of the picture as EXIF orientation 1..8 says it is to be seen (CIPA DC-008, tag 0x0112)."""
    if not 1 <= orientation <= 8 or pixels.ndim not in (2, 3):
        raise ValueError("pixels are uint8 of shape (H, W) or (H, W, 3), orientation is 1..8")
    rows = slice(None, None, -1 if orientation in (3, 4, 6, 7) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 7, 8) else 1)
    turned = pixels[rows, columns]
    return turned.swapaxes(0, 1) if orientation >= 5 else turned
