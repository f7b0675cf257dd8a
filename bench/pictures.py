"""JPEG bytes for the benchmarks: drawn scenes with sensor-like noise, sized as phones size them. No photo is shipped."""

from __future__ import annotations

from functools import cache

import numpy as np
import simplejpeg
from numpy.typing import NDArray

SIZES = {  # name -> height, width, noise sigma, JPEG quality
    "12 MP, about 1.6 MB": (3000, 4000, 3.8, 85),
    "12 MP heavy": (3000, 4000, 7.6, 85),
    "1 MP": (800, 1280, 3.8, 85),
}


def make_pixels(height: int, width: int, noise: float, seed: int) -> NDArray[np.uint8]:
    """RGB uint8 (H, W, 3): smooth shapes at many scales, as photographs have, plus noise."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for scale in (4, 9, 20, 45, 100):
        coarse = rng.normal(0, 160 / scale**0.6, (scale, scale, 3)).astype(np.float32)
        rows = np.linspace(0, scale - 1.001, height)
        columns = np.linspace(0, scale - 1.001, width)
        r, c = rows.astype(int), columns.astype(int)
        fr, fc = (rows - r)[:, None, None].astype(np.float32), (columns - c)[None, :, None].astype(np.float32)
        left = coarse[r] * (1 - fr) + coarse[np.minimum(r + 1, scale - 1)] * fr
        picture += left[:, c] * (1 - fc) + left[:, np.minimum(c + 1, scale - 1)] * fc
    picture += 128 + rng.normal(0, noise, (height, width, 1)).astype(np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)


@cache
def make_jpegs(name: str, count: int) -> tuple[bytes, ...]:
    height, width, noise, quality = SIZES[name]
    return tuple(
        simplejpeg.encode_jpeg(make_pixels(height, width, noise, seed), quality=quality, colorsubsampling="420")
        for seed in range(count)
    )
