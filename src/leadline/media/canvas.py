"""What decoders draw on, and how they tell what they drew. Runs inside the sandbox only; decodes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leadline.media import wire
from leadline.media.limits import Limits
from leadline.media.wire import Alpha, Answer, Kind, Refused, Status, ViewName

ORIENTATION_TAG = 0x0112  # EXIF


@dataclass(slots=True)
class Canvas:
    """The output memory. `reserve` is told the bytes about to be written, so that they can be paged in at once."""

    memory: NDArray[np.uint8]
    reserve: Callable[[int], None]

    def shaped(self, width: int, height: int, channels: int) -> NDArray[np.uint8]:
        size = width * height * channels
        if size > self.memory.size:
            raise Refused(Status.TOO_MANY_PIXELS)
        self.reserve(size)
        shape = (height, width) if channels == 1 else (height, width, channels)
        return self.memory[:size].reshape(shape)


def check_size(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width <= 0 or height <= 0:
        raise Refused(Status.UNDECODABLE)
    if width * height > limits.max_pixels:
        raise Refused(Status.TOO_MANY_PIXELS)


def facts_answer(
    mime: str,
    decoder: str,
    mode: str,
    size: tuple[int, int],
    orientation: int,
    frames: int,
    alpha: Alpha,
    is_partial: bool,
) -> Answer:
    width, height = size if orientation < 5 else (size[1], size[0])
    return Answer(
        Kind.FACTS,
        mime=wire.MIMES.index(mime),
        decoder=wire.DECODERS.index(decoder),
        mode=wire.MODES.index(mode if mode in wire.MODES else "other"),
        orientation=orientation,
        alpha=alpha,
        partial=is_partial,
        width=width,
        height=height,
        count=frames,
    )


def view_answer(
    pixels: NDArray[np.uint8], view: ViewName, number: int, orientation: int, is_partial: bool
) -> Answer:
    height, width = pixels.shape[:2]
    return Answer(
        Kind.VIEW,
        orientation=orientation,
        view=view,
        channels=1 if pixels.ndim == 2 else 3,
        partial=is_partial,
        width=width,
        height=height,
        count=number,
    )
