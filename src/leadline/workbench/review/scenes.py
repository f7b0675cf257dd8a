"""What there is to see of a file, one scene after the other: a picture itself, of an animation its frames.

Shows nothing. A film has none yet; when films are opened its scenes stand here. Listening is no scene: it will be a
task of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from leadline.errors import InputError
from leadline.media.limits import Limits
from leadline.workbench.evidence.models import Asset, AssetState

MOST = 9  # scenes of one file: more are spread evenly, the first always
TIMED = ("video/", "audio/")
LOOKED_AT = ("image/", *TIMED)  # letters and lists that reports came in are read on the pages of reports
_FRAME = re.compile(r"frame ([1-9][0-9]{0,8})")
_PICTURE = "picture"


@dataclass(frozen=True, slots=True)
class Scene:
    """number: from 1, in the order of the file. view: as the engine names it (`media/reduction.py`). Size in pixels."""

    number: int
    view: str
    width: int
    height: int


def has_picture(asset: Asset) -> bool:
    """Whether there is anything to show: video and sound come with a later issue and are facts until then."""
    is_kept = asset.state == AssetState.KEPT and not is_timed(asset)
    return is_kept and asset.width > 0 and not asset.fault


def scenes_of(asset: Asset) -> list[Scene]:
    """None where nothing can be shown; one of a picture; of frames those that differ, as they were hashed."""
    return known_scenes(asset) if has_picture(asset) else []


def known_scenes(asset: Asset) -> list[Scene]:
    """Also of a file that is held no more: what could be shown of it."""
    found = [(_PICTURE, asset.width, asset.height), *_frames_of(asset)]
    return [Scene(number, *one) for number, one in enumerate(_spread(found), 1)]


def find_scene(asset: Asset, number: str) -> Scene:
    """InputError where there is none of that number."""
    found = scenes_of(asset)
    if not (number.isascii() and number.isdigit() and len(number) < 4 and 0 < int(number) <= len(found)):
        raise InputError("no such scene", where="scene", mend="choose one that the card lists")
    return found[int(number) - 1]


def is_all(asset: Asset, scenes: list[Scene]) -> bool:
    """Whether nothing of it is left out: whoever saw all of these saw the whole file."""
    return asset.frames == 1 or (asset.frames <= Limits().max_frames and len(scenes) == 1 + len(_frames_of(asset)))


def is_timed(asset: Asset) -> bool:
    """A film, or sound. How long, and of what, nobody knows before films are opened."""
    return asset.mime.startswith(TIMED)


def _frames_of(asset: Asset) -> list[tuple[str, int, int]]:
    """Name and size of each later frame that is not just an earlier one again."""
    if asset.frames == 1:
        return []
    rows = asset.views.filter(view__startswith="frame ").values_list("view", "width", "height")
    frames = {int(match[1]): row for row in rows if (match := _FRAME.fullmatch(row[0]))}
    return [frames[number] for number in sorted(frames)]


def _spread(found: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    if len(found) <= MOST:
        return found
    return [found[step * (len(found) - 1) // (MOST - 1)] for step in range(MOST)]
