"""What the sandbox costs: decode and hash in process, in a batch child, and one child per file. Prints a Markdown table."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
import simplejpeg

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


def mean_ms(run: Callable[[bytes], object], jpegs: list[bytes]) -> float:
    begin = time.perf_counter()
    for jpeg in jpegs:
        run(jpeg)
    return (time.perf_counter() - begin) * 1000 / len(jpegs)


def measure(jpegs: list[bytes], rounds: int) -> tuple[float, float, float]:
    """Medians in process, in a batch child, one child per file: by turns, since a shared machine's speed drifts."""
    times: list[tuple[float, float, float]] = []
    with Sandbox() as batch, Sandbox() as alone:
        batch.begin_batch()
        for _ in range(rounds):
            times.append((
                mean_ms(hash_in_process, jpegs),
                mean_ms(lambda jpeg: hash_in_sandbox(batch, jpeg), jpegs),
                mean_ms(lambda jpeg: hash_in_sandbox(alone, jpeg), jpegs),
            ))
        batch.end_batch()
    inside, shared, own = np.median(times, axis=0)
    return float(inside), float(shared), float(own)


def on_one_core(run: Callable[[], tuple[float, float, float]]) -> tuple[float, float, float]:
    """The same where no idle core makes the next child ready meanwhile, as in a scan that uses all of them."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return run()
    finally:
        os.sched_setaffinity(0, cores)


def main() -> None:
    print("## What the sandbox costs (JPEG bytes to 8 hashes, one thread)\n")
    print("| picture | cores | in process ms | batch child ms | overhead (aim <= 10 %) | child per file ms | added ms (aim <= 6) |")
    print("|---|---|---|---|---|---|---|")
    for name in SIZES:
        jpegs = make_jpegs(name, 5)
        rounds = 40 if "MP," not in name and "heavy" not in name else 10
        for cores in ("all", "one"):
            run = lambda jpegs=jpegs, rounds=rounds: measure(jpegs, rounds)  # noqa: E731
            inside, shared, own = run() if cores == "all" else on_one_core(run)
            print(
                f"| {name} ({np.mean([len(j) for j in jpegs]) / 1e6:.2f} MB) | {cores} | {inside:.1f} | {shared:.1f} "
                f"| {shared / inside - 1:+.0%} | {own:.1f} | {own - inside:.1f} |"
            )


if __name__ == "__main__":
    main()
