"""Hostile picture bytes -> the few pixels that a rendition shows. Runs inside the sandbox only.

A lens is cut out of the picture before anything is scaled, so no pixel outside it has a share in one inside. Blur and
PNG come later, outside the wall (`media/blur.py`, `media/png.py`): they hold for a child that a file has taken over.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leadline.media import pictures, wire
from leadline.media.canvas import Canvas, view_answer
from leadline.media.jpeg import decode_jpeg
from leadline.media.limits import Limits
from leadline.media.reduction import Reduction, Shape
from leadline.media.sniff import sniff
from leadline.media.wire import Alpha, Answer, Kind, Refused, Status, ViewName

U8 = NDArray[np.uint8]
_STRIP_BYTES = 4 << 20
_ROOM = 1.5  # a picture is first averaged down to no less than so many times what is wanted
_WARM_UPS = 20  # as for the decoders


def prepare(limits: Limits) -> None:
    """Make renditions of a picture of ours, in the zygote: nothing may be imported behind the wall."""
    canvas = Canvas(np.zeros(200 * 120 * 3, np.uint8), lambda size_bytes: None)
    for kind in ("JPEG", "PNG"):
        stream = io.BytesIO()
        Image.new("RGB", (200, 120)).save(stream, kind)
        for reduction in (Reduction.tile(), Reduction.lens((0.5, 0.5), edge_px=64), Reduction.whole(colour=True)):
            for _ in range(_WARM_UPS):
                render(memoryview(stream.getvalue()), reduction, limits, canvas)


def render(data: memoryview, reduction: Reduction, limits: Limits, canvas: Canvas) -> tuple[Answer, Answer]:
    """FACTS and VIEW, the latter's pixels on the canvas, turned as the picture is meant to be seen. Raises Refused."""
    facts, view = _decoded(data, reduction, limits, canvas)
    pixels = canvas.shaped(view.width, view.height, view.channels)
    wide, high = reduction.size_px(facts.width, facts.height)
    if reduction.shape is Shape.LENS:
        left, top, *part = reduction.part_px(facts.width, facts.height)
        cut = turn(pixels, view.orientation)[top : top + part[1], left : left + part[0]]
        shown = shrink(cut, wide, high)
    else:
        size = (wide, high) if view.orientation < 5 else (high, wide)
        shown = turn(shrink(pixels, *size), view.orientation)
    canvas.shaped(wide, high, view.channels)[...] = shown.copy()  # it may lie on the canvas itself
    return facts, view_answer(shown, *wire.parse_view(reduction.view), 1, view.partial)


def _decoded(data: memoryview, reduction: Reduction, limits: Limits, canvas: Canvas) -> tuple[Answer, Answer]:
    """The picture's facts, and the wanted view, which then lies on the canvas."""
    wanted = wire.parse_view(reduction.view)
    facts = Answer(Kind.FACTS)
    for answer in _answers(data, reduction, limits, canvas):
        if answer.kind is Kind.FACTS:
            facts = answer
            if wanted[0] in (ViewName.ON_WHITE, ViewName.ON_BLACK) and facts.alpha is not Alpha.VARIED:
                wanted = ViewName.PICTURE, 0
        elif answer.kind is Kind.VIEW and (answer.view, answer.count) == wanted:
            if answer.view >= ViewName.FRAME:  # or page, of a size of its own
                turned = answer.orientation >= 5
                width, height = (answer.height, answer.width) if turned else (answer.width, answer.height)
                facts = replace(facts, width=width, height=height)
            return facts, answer
        elif answer.kind is Kind.END and answer.status is not Status.OK:
            raise Refused(answer.status)
    raise Refused(Status.ABSENT)


def _answers(data: memoryview, reduction: Reduction, limits: Limits, canvas: Canvas) -> Iterator[Answer]:
    """As the decoders tell; a JPEG that is seen as a whole is decoded no larger than it needs to be.

    Not so for a lens: libjpeg scales by blocks of 8 x 8 pixels, and one at the lens's edge would let its outer part in.
    """
    grey, is_jpeg = not reduction.colour, sniff(bytes(data[:4096])) == "image/jpeg"
    if is_jpeg and reduction.shape is not Shape.LENS:
        answers = decode_jpeg(data, grey, limits, canvas, at_least_px=reduction.edge_px)
        if answers:
            return iter(answers)
    return pictures.decode(data, grey=grey, limits=limits, canvas=canvas)


def turn(pixels: U8, orientation: int) -> U8:
    """As EXIF orientation 1..8 says, without copying (Exif 2.32, table 6)."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    rows, columns = _FLIPS[orientation]
    return pixels[::rows, ::columns]


_FLIPS = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}


def shrink(pixels: U8, width: int, height: int) -> U8:
    """To exactly that size, never larger: averaged by whole factors in strips, then Hamming (half Lanczos's time)."""
    high, wide = pixels.shape[:2]
    factors = max(1, int(wide / width / _ROOM)), max(1, int(high / height / _ROOM))
    if factors != (1, 1):
        rows = max(1, _STRIP_BYTES // (wide * 4 * factors[1])) * factors[1]
        strips = [Image.fromarray(pixels[top : top + rows]).reduce(factors) for top in range(0, high, rows)]
        pixels = np.concatenate([np.asarray(strip) for strip in strips])
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.HAMMING))
