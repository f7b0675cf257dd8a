"""Gaussian blur of a tile. Outside the wall, so that a tile is blurred whatever its child does. Decodes nothing."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
_REACH_SIGMAS = 4  # what lies beyond weighs less than 0.01 %


def blur(pixels: NDArray[np.uint8], sigma_px: float) -> NDArray[np.uint8]:
    """Grey uint8 (H, W) -> the same shape; beyond its edge the picture is thought to go on mirrored.

    Not as its edge, which would leave half of all weight there to the outermost line of pixels.
    By convolution of lines, not as a product of matrices: BLAS starts threads for one, and a busy machine makes them
    wait for each other.
    """
    reach = math.ceil(_REACH_SIGMAS * sigma_px)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    bell /= bell.sum()
    across = _blur_rows(pixels.astype(np.float64), bell)
    return np.asarray(np.rint(_blur_rows(across.T, bell).T), dtype=np.uint8)


def _blur_rows(rows: F64, bell: F64) -> F64:
    reach = len(bell) // 2
    padded = np.pad(rows, ((0, 0), (reach, reach)), mode="symmetric")
    line = np.convolve(padded.reshape(-1), bell, mode="valid")  # one long line: the padding keeps rows apart
    starts = np.arange(len(rows)) * padded.shape[1]
    return np.asarray(line[starts[:, None] + np.arange(rows.shape[1])])
