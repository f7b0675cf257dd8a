"""What a rendition may show of a picture: plain arithmetic that both sides of the wall do alike. Sees no pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

TILE_EDGE_PX = 160
EDGE_PX, MAX_EDGE_PX = 1280, 1600
BLUR_SHARE, MAX_BLUR_SHARE = 0.05, 1.0  # of a tile's long edge: Gaussian sigma
LENS_SHARE = 4  # a lens shows at most one part in so many of the picture's area
VIEW = re.compile(r"picture|on-white|on-black|frame(-on-white|-on-black)? [1-9][0-9]{0,8}")


class Shape(IntEnum):
    TILE = 0  # the whole, small, grey and blurred
    LENS = 1  # half the width and half the height of it, sharp
    WHOLE = 2


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A part of the picture as seen, in fractions of its width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Reduction:
    """How much of a picture a rendition shows. Made by `tile`, `lens` or `whole`; ValueError for one out of bounds.

    edge_px     the picture is first thought of as scaled to this long edge, never enlarged
    colour      else grey; never of a tile
    centre      of a lens, in fractions of the picture as seen (0..1); a lens near the edge is moved inside
    blur_share  of a tile: Gaussian sigma over the tile's long edge
    view        which view of the picture, by its name in `Sandbox.views`: `picture` (alpha dropped, as it is hashed),
                `on-white` and `on-black` (of an opaque picture: the picture), `frame N`, `frame-on-white N` ...
    """

    shape: Shape
    edge_px: int = EDGE_PX
    colour: bool = False
    centre: tuple[float, float] = (0.5, 0.5)
    blur_share: float = BLUR_SHARE
    view: str = "picture"

    def __post_init__(self) -> None:
        is_tile = self.shape is Shape.TILE
        if not 1 <= self.edge_px <= (TILE_EDGE_PX if is_tile else MAX_EDGE_PX):
            raise ValueError("the rendition's long edge is out of bounds")
        if is_tile and self.colour:
            raise ValueError("a tile is grey")
        if not BLUR_SHARE <= self.blur_share <= MAX_BLUR_SHARE:
            raise ValueError(f"blur_share must be {BLUR_SHARE} to {MAX_BLUR_SHARE}")
        if not all(0 <= fraction <= 1 for fraction in self.centre):
            raise ValueError("centre must be two fractions from 0 to 1")
        if not VIEW.fullmatch(self.view):
            raise ValueError("no such view")

    @classmethod
    def tile(
        cls,
        *,
        blur_share: float = BLUR_SHARE,
        floor_share: float = BLUR_SHARE,
        edge_px: int = TILE_EDGE_PX,
        view: str = "picture",
    ) -> Self:
        """Blurred by `blur_share`, and never by less than the organisation's floor.

        A wish below the floor is lifted to it; a floor below the built-in one is a ValueError, for a setting that
        protects less than it seems to should be noticed.
        """
        if not floor_share >= BLUR_SHARE:
            raise ValueError(f"floor_share must be at least {BLUR_SHARE}")
        return cls(Shape.TILE, edge_px, blur_share=max(floor_share, blur_share), view=view)

    @classmethod
    def lens(
        cls, centre: tuple[float, float], *, colour: bool = False, edge_px: int = EDGE_PX, view: str = "picture"
    ) -> Self:
        return cls(Shape.LENS, edge_px, colour, centre, view=view)

    @classmethod
    def whole(cls, *, colour: bool = False, edge_px: int = EDGE_PX, view: str = "picture") -> Self:
        return cls(Shape.WHOLE, edge_px, colour, view=view)

    def part_px(self, width: int, height: int) -> tuple[int, int, int, int]:
        """(left, top, width, height) of what is shown of a picture of that size, in its own pixels.

        A lens is at most a quarter of the area, but never less than one pixel.
        """
        if self.shape is not Shape.LENS:
            return 0, 0, width, height
        wide, high = max(1, width // 2), max(1, height // 2)
        if wide * high * LENS_SHARE > width * height:  # of a line one pixel thick
            wide, high = max(1, wide // 2), max(1, high // 2)
        x, y = self.centre
        left, top = int(x * width - wide / 2 + 0.5), int(y * height - high / 2 + 0.5)
        return min(max(0, left), width - wide), min(max(0, top), height - high), wide, high

    def size_px(self, width: int, height: int) -> tuple[int, int]:
        """Of the rendition of a picture of that size."""
        _, _, wide, high = self.part_px(width, height)
        long = max(width, height)
        edge = min(self.edge_px, long)
        return max(1, (2 * wide * edge + long) // (2 * long)), max(1, (2 * high * edge + long) // (2 * long))

    def rectangle(self, width: int, height: int) -> Rectangle:
        left, top, wide, high = self.part_px(width, height)
        return Rectangle(left / width, top / height, wide / width, high / height)
