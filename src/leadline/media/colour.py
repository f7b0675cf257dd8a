"""Colour modes and alpha of a decoded picture -> RGB or grey. Runs inside the sandbox only.

RGB is Pillow's `convert("RGB")`, because lists were made so; only deep greys (I;16, I, F), which it would clip to
white, are scaled instead. Everything works on strips, so that a picture is never held twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from leadline.media.wire import Alpha

_STRIP_BYTES = 4 << 20
Convert = Callable[[Image.Image], Image.Image]


def strips(image: Image.Image) -> Iterator[tuple[int, int, Image.Image]]:
    """(top, bottom, rows top..bottom) from the top down."""
    rows = max(1, _STRIP_BYTES // (image.width * 4))
    for top in range(0, image.height, rows):
        bottom = min(image.height, top + rows)
        yield top, bottom, image.crop((0, top, image.width, bottom))


def plain(image: Image.Image, grey: bool) -> Convert:
    """How a strip of this picture becomes RGB (or L): alpha dropped, as lists were made."""
    if image.mode.startswith("I;16"):
        deep = any(np.asarray(strip).max() > 255 for _, _, strip in strips(image))
        to_l: Convert = _high_byte if deep else _low_byte
    elif image.mode in ("I", "F"):
        to_l = _grey_scale(image)
    elif grey:
        return lambda strip: (strip.convert("RGB") if strip.mode in ("LAB", "HSV") else strip).convert("L")
    else:
        return lambda strip: strip if strip.mode == "RGB" else strip.convert("RGB")
    return to_l if grey else lambda strip: to_l(strip).convert("RGB")


def _high_byte(strip: Image.Image) -> Image.Image:
    """16-bit grey -> its high byte, as 16-bit RGB is read; Pillow's convert would turn all above 255 white."""
    return Image.fromarray((np.asarray(strip) >> 8).astype(np.uint8))


def _low_byte(strip: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(strip).astype(np.uint8))


def _grey_scale(image: Image.Image) -> Convert:
    """Deeper grey: as Pillow where values are 0..255; the high byte where they fit 16 bits; else stretched."""
    low, high = (float(bound) for bound in image.getextrema())  # type: ignore[arg-type]
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = -1.0, 1.0
    if image.mode == "F" and 0 <= low and high <= 1:
        low, factor = 0.0, 255.0
    elif 0 <= low and high <= 255:
        return lambda strip: strip.convert("L")
    elif 0 <= low and high <= 65535:
        low, factor = 0.0, 1 / 256
    else:
        factor = 255 / (high - low) if high > low else 0.0

    def scale(strip: Image.Image) -> Image.Image:
        values = np.nan_to_num((np.asarray(strip, dtype=np.float64) - low) * factor)
        return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))

    return scale


def _alpha_band(strip: Image.Image) -> Image.Image:
    band = next((name for name in strip.getbands() if name in "Aa" and strip.mode != "LAB"), None)
    return strip.getchannel(band) if band else strip.convert("RGBA").getchannel("A")


def alpha_of(image: Image.Image) -> Alpha:
    if not image.has_transparency_data or image.mode[0] in "IF":
        return Alpha.NONE
    values: set[object] = set()
    for _, _, strip in strips(image):
        values.update(_alpha_band(strip).getextrema())
        if len(values) > 1:
            return Alpha.VARIED
    return Alpha.CONSTANT


def composite(strip: Image.Image, *, backdrop: int, grey: bool) -> Image.Image:
    below = Image.new("RGBA", strip.size, (backdrop, backdrop, backdrop, 255))
    return Image.alpha_composite(below, strip.convert("RGBA")).convert("L" if grey else "RGB")
