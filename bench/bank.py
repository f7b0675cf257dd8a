"""The bank folder at size: building, opening, adding, removing, matching. Prints a Markdown table.

`python -m bench.bank [COUNT]`; 10 million entries unless named. Everything goes through the public Bank and Matcher.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.search import make_hashes, make_queries, median_rate
from leadline.domain import Kind
from leadline.match.bank import Bank


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = action()
    return time.perf_counter() - begin, result


def main() -> None:
    count = int(float(sys.argv[1])) if len(sys.argv) > 1 else 10_000_000
    hashes = make_hashes(count, 1)
    queries = make_queries(hashes, 32_768)
    rows: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bank"
        bank = Bank.create(path, name="BENCH", kind=Kind.OTHER)
        build_s, _ = timed(lambda: bank.add_pdq_array(hashes, threads=2))
        rows.append((f"add {count:,} PDQ entries at once, 2 threads, synced", f"{build_s:.1f} s"))
        open_s, bank = timed(lambda: Bank.open(path))
        rows.append(("open", f"{open_s * 1000:.0f} ms"))
        files = sorted(path.glob("seg-*"))
        rows += [(f"bytes per entry, {file.suffix[1:]}", f"{file.stat().st_size / count:.1f}") for file in files]
        quiet = median_rate(lambda: len(bank.find_pdq(queries, 31)))
        rows.append(("queries/s through Bank.find_pdq, 1 thread", f"{quiet:,.0f}"))
        fresh = make_hashes(10_000, 2)
        add_s, added = timed(lambda: bank.add_pdq_array(fresh))
        matched = sum(bool(hits) for hits in bank.find_pdq(fresh, 0))
        rows.append((f"add 10,000 to {count:,}, synced; {matched:,} of them match at once", f"{add_s * 1000:.0f} ms"))
        other = Bank.open(path)
        gone = np.random.default_rng(3).choice(np.arange(1, count + 1), count // 100, replace=False)
        remove_s, removed = timed(lambda: bank.remove(gone.tolist()))
        rows.append((f"remove {removed:,} entries, synced", f"{remove_s * 1000:.0f} ms"))
        refresh_s, _ = timed(other.refresh)
        rows.append(("another reader picks that up", f"{refresh_s * 1000:.0f} ms"))
        burdened = median_rate(lambda: len(bank.find_pdq(queries, 31)))
        rows.append(("queries/s with that delta and 1 % tombstones", f"{burdened:,.0f} ({burdened / quiet:.0%} of the quiet)"))
        merge_s, _ = timed(lambda: bank.merge(threads=2))
        rows.append(("merge all into one segment, 2 threads", f"{merge_s:.1f} s"))
        verify_s, faults = timed(bank.verify)
        rows.append((f"verify every checksum and invariant ({len(faults)} faults)", f"{verify_s:.1f} s"))
        assert added.added == 10_000
    print(f"## A bank of {count:,} entries\n\n| what | figure |\n|---|---|")
    for what, figure in rows:
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
