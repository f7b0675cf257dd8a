"""PDQ from pixels against pdqhash, from JPEG bytes against threatexchange. Prints Markdown tables."""

from __future__ import annotations

import importlib
import io
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from bench.pictures import SIZES, make_jpegs
from leadline.match import kernel
from leadline.match.pdq import distance_bits

U8 = NDArray[np.uint8]
PICTURES = 5


def peer(module: str, name: str) -> Callable[..., Any] | None:
    """A function of a peer, or None where the peer is not installed."""
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError:
        return None


def median_ms(run: Callable[[Any], object], inputs: Sequence[Any], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        for item in inputs:
            begin = time.perf_counter()
            run(item)
            times.append((time.perf_counter() - begin) * 1000)
    return float(np.median(times))


def ratio(peer_ms: float | None, ours_ms: float) -> str:
    return f"{peer_ms / ours_ms:.0f}x" if peer_ms else "-"


def print_row(*cells: object) -> None:
    print("| " + " | ".join(f"{c:.2f}" if isinstance(c, float) else str(c) for c in cells) + " |")


def compare_pixels() -> None:
    pdqhash_compute = peer("pdqhash", "compute")
    print(f"\n## PDQ from pixels, one thread ({kernel.cpu_isa()}), median ms\n")
    print_row("pixels", "pdqhash", "ours", "ratio (aim 12 MP >= 40x)", "all 8 transforms", "recomputed", "equal")
    print("|---|---|---|---|---|---|---|")
    for name in ("12 MP, about 1.6 MB", "1 MP"):
        rgb = [simplejpeg.decode_jpeg(jpeg, "RGB") for jpeg in make_jpegs(name, PICTURES)]
        grey = [np.ascontiguousarray(picture[:, :, 1]) for picture in rgb]
        flat = [np.full_like(rgb[0], 99)]  # every coefficient is equal: always recomputed
        for kind, pictures in (("RGB", rgb), ("grey", grey), ("RGB, one colour", flat)):
            compare_set(f"{name.split(',')[0]} {kind}", pictures, pdqhash_compute)


def compare_set(name: str, pictures: Sequence[U8], pdqhash_compute: Callable[..., Any] | None) -> None:
    ours = median_ms(kernel.pdq_hash, pictures, 7)
    eight = median_ms(lambda p: kernel.pdq_hash(p, dihedral=True), pictures, 7)
    recomputed = sum(kernel.pdq_hash(p, dihedral=True).recomputed for p in pictures)
    theirs, equal = None, "-"
    if pdqhash_compute:
        colour = [p if p.ndim == 3 else np.repeat(p[:, :, None], 3, axis=2) for p in pictures]
        theirs = median_ms(pdqhash_compute, colour, 1)
        same = sum(is_equal(pdqhash_compute(c), p) for c, p in zip(colour, pictures, strict=True))
        equal = f"{same} of {len(pictures)}"
    print_row(name, theirs or "-", ours, ratio(theirs, ours), eight, f"{recomputed} of {len(pictures)}", equal)


def is_equal(theirs: tuple[Any, int], pixels: U8) -> bool:
    found = kernel.pdq_hash(pixels)
    return np.packbits(theirs[0].astype(np.uint8)).tobytes() == found.hashes[0] and int(theirs[1]) == found.quality


def hash_exactly(jpeg: bytes) -> bytes:
    return kernel.pdq_hash(simplejpeg.decode_jpeg(jpeg, "RGB")).hashes[0]


def hash_grey(jpeg: bytes) -> bytes:
    return kernel.pdq_hash(simplejpeg.decode_jpeg(jpeg, "GRAY")[:, :, 0]).hashes[0]


def perception_ms(hasher: str, jpegs: Sequence[bytes]) -> float | str:
    """From JPEG bytes by a hasher of perception, which decodes with OpenCV."""
    made = peer("perception.hashers", hasher)
    return median_ms(lambda jpeg: made().compute(io.BytesIO(jpeg)), jpegs, 1) if made else "-"


def compare_jpegs() -> None:
    pdq_from_bytes = peer("threatexchange.signal_type.pdq.pdq_hasher", "pdq_from_bytes")
    print("\n## PDQ from JPEG bytes, in process, one thread, median ms\n")
    print(
        "perception's PDQ is pdqhash behind OpenCV's decoder; its PHash, of 64 bits, is another hash and stands beside.\n"
    )
    peers = ("threatexchange", "perception PDQ", "perception PHash")
    print_row("picture", *peers, "exact", "ratio (aim >= 7x)", "grey", "ratio (aim >= 10x)", "grey to exact")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in SIZES:
        jpegs = make_jpegs(name, PICTURES)
        theirs = median_ms(pdq_from_bytes, jpegs, 1) if pdq_from_bytes else None
        others = [perception_ms(hasher, jpegs) for hasher in ("PDQHash", "PHash")]
        exact, grey = median_ms(hash_exactly, jpegs, 3), median_ms(hash_grey, jpegs, 3)
        apart = max(distance_bits(hash_exactly(jpeg), hash_grey(jpeg)) for jpeg in jpegs)
        ratios = ratio(theirs, exact), ratio(theirs, grey)
        print_row(name, theirs or "-", *others, exact, ratios[0], grey, ratios[1], f"at most {apart} bits (aim <= 4)")


def main() -> None:
    compare_pixels()
    compare_jpegs()


if __name__ == "__main__":
    main()
