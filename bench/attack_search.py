"""Random indexes and queries against plain brute force, for minutes. Prints one row of a Markdown table.

`python -m bench.attack_search [SECONDS]`; exit 1 where an answer differs.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from numpy.typing import NDArray

from leadline.match import kernel

U8 = NDArray[np.uint8]
HEADER = "| attack | indexes | searches | matches compared | answers that differ | seconds |\n|---|---|---|---|---|---|"


def draw_hashes(rng: np.random.Generator) -> U8:
    count = int(rng.choice([0, 1, 2, 40, 3000, 40_000, 250_000]))
    hashes = rng.integers(0, 256, (count, 32), dtype=np.uint8)
    if count > 3 and rng.random() < 0.5:  # equal hashes
        hashes[: int(rng.integers(count))] = hashes[-1]
    if count > 3 and rng.random() < 0.5:  # hot buckets: most bytes equal, the rest free
        hashes[int(rng.integers(count)) :, : int(rng.integers(1, 31))] = 7
    return hashes


def draw_queries(rng: np.random.Generator, hashes: U8, radius: int) -> U8:
    queries = rng.integers(0, 256, (int(rng.integers(1, 12)), 32), dtype=np.uint8)
    for i in range(len(queries)):
        if len(hashes) and rng.random() < 0.8:
            bits = np.zeros(256, np.uint8)
            bits[rng.choice(256, min(256, int(rng.integers(0, radius + 3))), replace=False)] = 1
            queries[i] = hashes[rng.integers(len(hashes))] ^ np.packbits(bits)
    return queries


def compare(rng: np.random.Generator, hashes: U8, index: kernel.HammingIndex) -> tuple[int, bool]:
    radius = int(rng.integers(0, 65))
    queries = draw_queries(rng, hashes, radius)
    starts, positions, distances = kernel.scan_reference(hashes, queries, radius)
    filler = 1200 if rng.random() < 0.3 else 0  # a large batch takes another path
    asked = np.concatenate([queries, rng.integers(0, 256, (filler, 32), dtype=np.uint8)])
    found = index.search(asked, radius, threads=int(rng.integers(1, 3)))
    cut = found.starts[len(queries)]
    same = (
        np.array_equal(found.starts[: len(queries) + 1], starts)
        and np.array_equal(found.positions[:cut], positions)
        and np.array_equal(found.distances[:cut], distances)
    )
    return len(positions), bool(same)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 120.0
    rng, started = np.random.default_rng(20261123), time.perf_counter()
    indexes = searches = matches = wrong = 0
    while time.perf_counter() - started < seconds:
        hashes = draw_hashes(rng)
        layout = str(rng.choice(["auto", "scan", "mih16", "mih16", "mih-r2"], p=[0.3, 0.2, 0.23, 0.22, 0.05]))
        index = kernel.HammingIndex(kernel.build_index(hashes, threads=2, layout=layout))
        indexes += 1
        for _ in range(6):
            compared, same = compare(rng, hashes, index)
            searches, matches, wrong = searches + 1, matches + compared, wrong + (not same)
    print(HEADER)
    print(f"| search against brute force | {indexes} | {searches} | {matches:,} | {wrong} | {seconds:.0f} |")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
