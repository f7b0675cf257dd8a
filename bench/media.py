"""What the sandbox costs: decode and hash in process, in a batch child, and one child per file. Prints a Markdown table."""

from __future__ import annotations

import numpy as np
import simplejpeg

from bench.pdq import median_ms
from bench.pictures import SIZES, make_jpegs
from leadline.match import kernel
from leadline.media.client import Sandbox


def hash_in_process(jpeg: bytes) -> None:
    kernel.pdq_hash(simplejpeg.decode_jpeg(jpeg, "RGB"), dihedral=True)


def hash_in_sandbox(sandbox: Sandbox, jpeg: bytes) -> None:
    sandbox.input_buffer(len(jpeg))[: len(jpeg)] = jpeg
    sandbox.open_picture(len(jpeg))
    for view in sandbox.views():
        kernel.pdq_hash(view.pixels, orientation=view.orientation, dihedral=True)


def main() -> None:
    print("## What the sandbox costs (JPEG bytes to 8 hashes, one thread)\n")
    print("| picture | in process ms | batch child ms | overhead (aim <= 10 %) | child per file ms | added ms (aim <= 6) |")
    print("|---|---|---|---|---|---|")
    with Sandbox() as sandbox:
        for name in SIZES:
            jpegs = make_jpegs(name, 5)
            rounds = 12 if "MP," not in name and "heavy" not in name else 5
            inside = median_ms(hash_in_process, jpegs, rounds)
            sandbox.begin_batch()
            batch = median_ms(lambda jpeg: hash_in_sandbox(sandbox, jpeg), jpegs, rounds)
            sandbox.end_batch()
            alone = median_ms(lambda jpeg: hash_in_sandbox(sandbox, jpeg), jpegs, rounds)
            print(
                f"| {name} ({np.mean([len(j) for j in jpegs]) / 1e6:.2f} MB) | {inside:.1f} | {batch:.1f} "
                f"| {batch / inside - 1:+.0%} | {alone:.1f} | {alone - inside:.1f} |"
            )


if __name__ == "__main__":
    main()
