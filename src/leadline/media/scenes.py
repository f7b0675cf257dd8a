"""Benign pictures drawn by formula, and altered copies of them, for demo and tests. Reads and decodes nothing."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]
Grid = tuple[F64, F64]
_DRAWN = (224, 168)  # drawn small and enlarged: PDQ sees 64x64, and the demo takes seconds


def draw_scene(seed: int, width: int = 640, height: int = 480) -> U8:
    """A made-up scene, uint8 (height, width, 3), about 4:3: the same for the same seed, unlike any other seed's."""
    random = np.random.default_rng([seed, 20261123])
    y, x = np.meshgrid(np.linspace(0, 1, _DRAWN[1]), np.linspace(0, width / height, _DRAWN[0]), indexing="ij")
    scene = _SCENES[seed % len(_SCENES)](random, (x, y))
    if random.random() < 0.5:
        scene = scene[:, ::-1]
    light = 0.9 + 0.2 * _clouds(random, (x, y), 3)[..., None]
    small = _to_bytes(scene * light * 255)
    grain = random.integers(-3, 4, (height, width, 1), dtype=np.int16)
    return _to_bytes(resize(small, width, height) + grain)


def _to_bytes(values: NDArray[Any]) -> U8:
    return np.asarray(np.clip(values, 0, 255), dtype=np.uint8)


def _colour(random: np.random.Generator, low: float = 0.1, high: float = 0.95) -> F64:
    return random.uniform(low, high, 3)


def _clouds(random: np.random.Generator, grid: Grid, waves: int) -> F64:
    """Smooth noise in 0..1: waves of random direction and length. The grid is a straight one, perhaps stretched."""
    x, y = grid[0][0], grid[1][:, 0]
    total = np.zeros_like(grid[0])
    for _ in range(waves * 4):
        a, b, phase = random.uniform(-9, 9), random.uniform(-9, 9), random.uniform(0, 7)
        across, down, height = a * x + phase, b * y, random.uniform(0.3, 1)
        total += np.outer(height * np.cos(down), np.sin(across)) + np.outer(height * np.sin(down), np.cos(across))
    return np.asarray((total - total.min()) / (np.ptp(total) + 1e-9))


def _blend(under: F64, over: F64, mask: F64) -> F64:
    return under * (1 - mask[..., None]) + over * mask[..., None]


def _hills(random: np.random.Generator, grid: Grid) -> F64:
    """Sky, a sun, ranges of hills one before the other."""
    x, y = grid
    sky = _blend(np.broadcast_to(_colour(random, 0.4), (*x.shape, 3)), _colour(random, 0.4), y)
    sky = _blend(sky, np.ones(3), 0.5 * _clouds(random, (x, y * 3), 2) ** 3)
    sun = (x - random.uniform(0.1, 1.2)) ** 2 + (y - random.uniform(0.08, 0.4)) ** 2 < random.uniform(0.04, 0.13) ** 2
    scene = _blend(sky, np.array([1.0, 0.93, 0.7]), sun.astype(float))
    for layer in range(random.integers(2, 6)):
        base = 0.35 + 0.13 * layer + random.uniform(-0.06, 0.06)
        ridge = base + sum(
            random.uniform(0.02, 0.11) * np.sin(x * random.uniform(2, 14) + random.uniform(0, 7)) for _ in range(3)
        )
        scene = _blend(scene, _colour(random, 0.05, 0.7), (y > ridge).astype(float))
    return scene


def _town(random: np.random.Generator, grid: Grid) -> F64:
    """Houses with lit windows under an evening sky."""
    x, y = grid
    scene = _blend(np.broadcast_to(_colour(random, 0.3), (*x.shape, 3)), _colour(random, 0.2, 0.8), y)
    left = -0.05
    while left < x.max():
        wide, top = random.uniform(0.08, 0.3), random.uniform(0.12, 0.75)
        house = (x > left) & (x < left + wide) & (y > top)
        scene = _blend(scene, _colour(random, 0.05, 0.6), house.astype(float))
        step = random.uniform(0.03, 0.07)
        window = house & (((x - left) % step) > step * 0.45) & (((y - top) % step) > step * 0.5)
        lit = window & (_clouds(random, (x, y), 2) > random.uniform(0.3, 0.7))
        scene = _blend(scene, np.array([1.0, 0.85, 0.5]), lit.astype(float) * 0.85)
        left += wide * random.uniform(0.7, 1.3)
    return scene


def _circles(random: np.random.Generator, grid: Grid) -> F64:
    """A field of discs, the nearer ones shading those behind."""
    x, y = grid
    scene = np.broadcast_to(_colour(random), (*x.shape, 3)).copy()
    for _ in range(random.integers(14, 40)):
        distance = np.hypot(x - random.uniform(0, 1.33), y - random.uniform(0, 1)) / random.uniform(0.04, 0.24)
        shade = _colour(random) * np.clip(1.1 - 0.5 * distance, 0, 1)[..., None]
        scene = _blend(scene, shade, (distance < 1).astype(float))
    return scene


def _tiles(random: np.random.Generator, grid: Grid) -> F64:
    """A mosaic: each point takes the colour of the nearest of some stones."""
    x, y = grid
    stones = random.uniform(0, 1.33, (random.integers(12, 50), 2))
    colours = random.uniform(0.05, 0.95, (len(stones), 3))
    reach = np.stack([np.hypot(x - a, y - b) for a, b in stones])
    nearest = reach.argmin(0)
    edge = np.partition(reach, 1, axis=0)
    return np.asarray(colours[nearest] * np.clip((edge[1] - edge[0]) * 40, 0.25, 1)[..., None])


def _sea(random: np.random.Generator, grid: Grid) -> F64:
    """Water seen from a height: interfering waves, an island or two."""
    x, y = grid
    waves = _clouds(random, (x * 1.6, y * 2.2), 6)
    scene = _blend(np.broadcast_to(_colour(random, 0, 0.4), (*x.shape, 3)), _colour(random, 0.5), waves)
    for _ in range(random.integers(2, 7)):
        island = np.hypot((x - random.uniform(0, 1.33)) * random.uniform(0.6, 2), y - random.uniform(0, 1))
        land = island + 0.1 * _clouds(random, (x * 3, y * 3), 3) < random.uniform(0.1, 0.28)
        scene = _blend(scene, _colour(random, 0.2, 0.9), land.astype(float))
    return scene


def _cloth(random: np.random.Generator, grid: Grid) -> F64:
    """A woven pattern of uneven stripes, folded a little."""
    x, y = grid
    fold = 0.12 * _clouds(random, grid, 2)
    scene = np.broadcast_to(_colour(random), (*x.shape, 3)).copy()
    for axis in (x + fold, y + fold, x * 0.7 + y * 0.7 + fold):
        for _ in range(random.integers(2, 7)):
            at, wide = random.uniform(0, 1.3), random.uniform(0.02, 0.16)
            scene = _blend(scene, _colour(random), (np.abs(axis - at) < wide).astype(float) * random.uniform(0.4, 0.9))
    return scene


_SCENES: tuple[Callable[[np.random.Generator, Grid], F64], ...] = (_hills, _town, _circles, _tiles, _sea, _cloth)


def encode_picture(pixels: U8, form: str = "JPEG", **options: int) -> bytes:
    """Pixels -> the bytes of a file. form: a Pillow format name (JPEG, PNG, GIF, WEBP, BMP, TIFF)."""
    with io.BytesIO() as stream:
        Image.fromarray(pixels).save(stream, form, **options)
        return stream.getvalue()


def resize(pixels: U8, width: int, height: int) -> U8:
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


def brighten(pixels: U8, factor: float) -> U8:
    return _to_bytes(pixels * factor)


def mirror(pixels: U8) -> U8:
    return np.ascontiguousarray(pixels[:, ::-1])


def rotate90(pixels: U8) -> U8:
    """A quarter turn, counter-clockwise."""
    return np.ascontiguousarray(np.rot90(pixels))


def blur(pixels: U8, radius_px: float) -> U8:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius_px)))


def add_border(pixels: U8, share: float, level: int = 0) -> U8:
    """A plain frame around the picture, `share` of its width on each side: it moves the hash far (docs/scan.md)."""
    edge = round(pixels.shape[1] * share)
    return np.pad(pixels, ((edge, edge), (edge, edge), (0, 0)), constant_values=level)


def animate(frames: Sequence[U8]) -> bytes:
    """A GIF of several frames."""
    with io.BytesIO() as stream:
        first, *rest = [Image.fromarray(frame) for frame in frames]
        first.save(stream, "GIF", save_all=True, append_images=rest, duration=200)
        return stream.getvalue()


def pack_zip(members: Mapping[str, bytes]) -> bytes:
    """A ZIP archive with fixed dates, so that it is the same every time."""
    with io.BytesIO() as stream:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(zipfile.ZipInfo(name, (2026, 11, 23, 12, 0, 0)), data)
        return stream.getvalue()
