"""Lines of text through `leadline match -`, and through the peer's Python API, in one run. Prints a Markdown table.

`python -m bench.match [COUNT]`; a bank of 1 million PDQ hashes unless named. Half of the lines are random, half lie at
0 to 31 bits from an entry; radius 31; one thread. Ours is the whole process from its start, reading and writing files;
the peer's index is built beforehand, and only reading, asking and writing are counted.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.search import U8, make_hashes, make_queries
from leadline.domain import Kind
from leadline.match.bank import Bank

LINES = 300_000
PEER_LINES = 2_000  # it is slow: a rate needs no more
ROUNDS = 3


def write_lines(path: Path, queries: U8, prefix: str = "") -> None:
    path.write_text("".join(f"{prefix}{row.tobytes().hex()}\n" for row in queries))


def ours(bank: Path, lines: Path, out: Path) -> float:
    """Seconds of the quickest run."""
    command = [sys.executable, "-m", "leadline", "match", "-", "--bank", str(bank), "--json"]
    taken = []
    for _ in range(ROUNDS):
        with lines.open("rb") as source, out.open("wb") as target:
            begin = time.perf_counter()
            subprocess.run(command, stdin=source, stdout=target, check=True)
            taken.append(time.perf_counter() - begin)
    return min(taken)


def peer(hashes: U8, lines: Path, out: Path) -> tuple[float, int]:
    import faiss
    from threatexchange.signal_type.pdq.signal import PdqSignal

    faiss.omp_set_num_threads(1)  # as ours; more of them wait for each other where the machine has other work
    index = PdqSignal.get_index_cls().build((row.tobytes().hex(), i) for i, row in enumerate(hashes))
    taken = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        with lines.open() as source, out.open("w") as target:
            for line in source:
                matches = index.query(line.strip())
                told = [{"entry": m.metadata, "distance": m.similarity_info.distance} for m in matches]
                target.write(json.dumps({"query": line.strip(), "matches": told}) + "\n")
        taken.append(time.perf_counter() - begin)
    return min(taken), count_matches(out)


def count_matches(out: Path) -> int:
    with out.open("rb") as answers:
        return sum(len(json.loads(line)["matches"]) for line in answers)


def main() -> None:
    count = int(float(sys.argv[1])) if len(sys.argv) > 1 else 1_000_000
    hashes = make_hashes(count, 1)
    queries = make_queries(hashes, LINES)
    rows: list[tuple[str, int, float, int]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Bank.create(folder / "bank", name="BENCH", kind=Kind.OTHER).add_pdq_array(hashes, threads=2)
        lines, out = folder / "lines", folder / "out"
        for what, prefix in (("64 digits, looked up as SHA-256 and as PDQ", ""), ("pdq: and 64 digits", "pdq:")):
            write_lines(lines, queries, prefix)
            rows.append((f"`leadline match -`: {what}", LINES, ours(folder / "bank", lines, out), count_matches(out)))
        lines.write_text("".join(f"{row.tobytes().hex()[:32]}\n" for row in np.flip(queries, axis=0)))
        rows.append(("`leadline match -`: MD5, none of them there", LINES, ours(folder / "bank", lines, out), 0))
        if importlib.util.find_spec("threatexchange") is not None:
            write_lines(lines, queries[:PEER_LINES])
            rows.append(("threatexchange PDQIndex from Python", PEER_LINES, *peer(hashes, lines, out)))
    print(f"## Lines of text against {count:,} PDQ hashes, radius 31, one thread\n")
    print("| what | lines | matches found | seconds | lines a second | to threatexchange |\n|---|---|---|---|---|---|")
    slow = rows[-1][1] / rows[-1][2] if rows[-1][0].startswith("threat") else 0.0
    for what, number, seconds, matches in rows:
        ratio = f"{number / seconds / slow:,.0f}x" if slow and matches else "-"
        print(f"| {what} | {number:,} | {matches:,} | {seconds:.2f} | {number / seconds:,.0f} | {ratio} |")


if __name__ == "__main__":
    main()
