"""What a rendition costs: through the sandbox, one child each, and by Pillow in process, by turns in one run.

`python -m bench.renditions [seconds a row]` prints two Markdown tables: milliseconds, and what PNG encoders make of the
same pixels. The peer does what a program without a sandbox would: open, thumbnail (which has libjpeg scale) or crop and
resize, GaussianBlur, save as PNG at its quickest level.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from bench.pictures import SIZES, make_jpegs, make_pixels
from leadline.media.client import Sandbox
from leadline.media.png import write_png
from leadline.media.reduction import Reduction

QUICKEST = 1  # of Pillow's compress levels that compress
PICTURES = {"1 MP": "1 MP", "12 MP": "12 MP, about 1.6 MB"}
ASKED = {
    "tile": Reduction.tile(),
    "lens, grey": Reduction.lens((0.4, 0.6)),
    "lens, colour": Reduction.lens((0.4, 0.6), colour=True),
    "whole, grey": Reduction.whole(),
    "whole, colour": Reduction.whole(colour=True),
}


def make_file(picture: str, form: str) -> bytes:
    if form == "JPEG":
        return make_jpegs(PICTURES[picture], 1)[0]
    height, width, noise, _ = SIZES[PICTURES[picture]]
    return save(Image.fromarray(make_pixels(height, width, noise, 0)), 6)


def save(image: Image.Image, level: int) -> bytes:
    with io.BytesIO() as stream:
        image.save(stream, "PNG", compress_level=level)
        return stream.getvalue()


def by_pillow(data: bytes, reduction: Reduction) -> bytes:
    mode = "RGB" if reduction.colour else "L"
    with Image.open(io.BytesIO(data)) as image:
        if reduction in (ASKED["lens, grey"], ASKED["lens, colour"]):
            left, top, wide, high = reduction.part_px(*image.size)
            lens = image.crop((left, top, left + wide, top + high)).convert(mode)
            return save(lens.resize(reduction.size_px(*image.size), reducing_gap=2.0), QUICKEST)
        image.draft(mode, (reduction.edge_px, reduction.edge_px))
        image.thumbnail((reduction.edge_px, reduction.edge_px))
        shown = image.convert(mode)
        if reduction == ASKED["tile"]:
            shown = shown.filter(ImageFilter.GaussianBlur(reduction.blur_share * max(shown.size)))
        return save(shown, QUICKEST)


def timed_ms(run: Callable[[], bytes]) -> float:
    begun = time.perf_counter()
    run()
    return (time.perf_counter() - begun) * 1000


def measure(sandbox: Sandbox, data: bytes, reduction: Reduction, seconds: float) -> NDArray[np.float64]:
    """(rounds, 2): ours and the peer's milliseconds, by turns, since a shared machine's speed drifts."""

    def ours() -> bytes:
        sandbox.input_buffer(len(data))[:] = data
        return sandbox.make_rendition(len(data), reduction).png

    def peer() -> bytes:
        return by_pillow(data, reduction)

    for run in (ours, peer, ours, peer):
        run()
    rounds, end = [], time.monotonic() + seconds
    while time.monotonic() < end or len(rounds) < 20:
        rounds.append((timed_ms(ours), timed_ms(peer)))
    return np.array(rounds)


def measure_all(seconds: float) -> None:
    print("| picture | rendition | ours ms, median (p99) | Pillow in process ms, median (p99) | ours : Pillow |")
    print("|---|---|---|---|---|")
    with Sandbox() as sandbox:
        for picture in PICTURES:
            for form in ("JPEG", "PNG"):
                data = make_file(picture, form)
                for name, reduction in ASKED.items():
                    (ours, peer), (ours99, peer99) = np.percentile(
                        measure(sandbox, data, reduction, seconds), (50, 99), axis=0
                    )
                    print(
                        f"| {picture} {form} ({len(data) / 1e6:.1f} MB) | {name} | {ours:.1f} ({ours99:.1f}) "
                        f"| {peer:.1f} ({peer99:.1f}) | {ours / peer:.2f} |",
                        flush=True,
                    )


def measure_encoders() -> None:
    print("\n| pixels of a whole, 1280 x 960 | encoder | ms, median | KB |")
    print("|---|---|---|---|")
    height, width, noise, _ = SIZES["12 MP, about 1.6 MB"]
    colour = Image.fromarray(make_pixels(height, width, noise, 0)).resize((1280, 960))
    for name, image in (("grey", colour.convert("L")), ("colour", colour)):
        pixels = np.asarray(image)
        encoders: dict[str, Callable[[], bytes]] = {"ours (Average filter, runs only)": lambda p=pixels: write_png(p)}  # type: ignore[misc]
        for level in (1, 3, 6):
            encoders[f"Pillow, level {level}"] = lambda i=image, level=level: save(i, level)  # type: ignore[misc]
        for encoder, run in encoders.items():
            taken = np.median([timed_ms(run) for _ in range(9)])
            print(f"| {name} | {encoder} | {taken:.1f} | {len(run()) / 1000:.0f} |", flush=True)


def main() -> None:
    print("## What a rendition costs (bytes of a file to a PNG for a browser, one child each, one thread)\n")
    load = os.getloadavg()[0]
    measure_all(float(sys.argv[1]) if len(sys.argv) > 1 else 6.0)
    measure_encoders()
    print(f"\nLoad average of the machine at the start: {load:.1f}.")


if __name__ == "__main__":
    main()
