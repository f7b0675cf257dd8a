"""Benign photographs that two Debian packages carry, where these are installed (`make bench-data`): for demo and tests.

Each is named here because somebody looked at it: things, animals, landscapes; no person. Opens none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Package -> its folder, and of each picture width and height in pixels; small ones first.
PACKAGES: Mapping[str, tuple[Path, Mapping[str, tuple[int, int]]]] = {
    "opencv-doc": (
        Path("/usr/share/doc/opencv-doc/examples/data"),
        {
            "fruits.jpg": (512, 480), "home.jpg": (512, 384), "butterfly.jpg": (493, 356), "building.jpg": (868, 600),
            "board.jpg": (640, 480), "apple.jpg": (512, 512), "orange.jpg": (512, 512), "leuvenA.jpg": (751, 563),
            "aloeL.jpg": (1282, 1110),
        },
    ),
    "lomiri-wallpapers-16.04": (
        Path("/usr/share/backgrounds"),
        {
            "Picture_1A_by_freespace.jpg": (1365, 1074), "Picture_0B_by_freespace.jpg": (2572, 1740),
            "aitzgorri_by_Aitzol_Berasategi.jpg": (3088, 2056), "life_by_Aitzol_Berasategi.jpg": (3088, 2056),
            "friends_by_Aitzol_Berasategi.jpg": (2056, 3088), "picosdeeuropa_by_Aitzol_Berasategi.jpg": (3264, 2448),
            "greentock_by_Peter_Nerlich.jpg": (2880, 2160), "free_by_Peter_Nerlich.jpg": (2880, 2160),
            "Bridge_by_Sander_Klootwijk.jpg": (4352, 2448), "sunset_by_Aitzol_Berasategi.jpg": (4272, 2848),
            "Dragonfly_by_Bolly.jpg": (4224, 3168), "seeding_by_Clements_Engelhardt.jpg": (5312, 2988),
        },
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Photo:
    """A JPEG file that is there."""

    path: Path
    width: int
    height: int


def find_photos() -> list[Photo]:
    """All that are installed, always in the same order; none where neither package is."""
    named = [
        Photo(folder / name, *size) for folder, pictures in PACKAGES.values() for name, size in pictures.items()
    ]
    return [photo for photo in named if photo.path.is_file()]
