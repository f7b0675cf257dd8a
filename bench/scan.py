"""The main job, files on disk to verdicts: `leadline scan` (sandboxed) against threatexchange in process. Markdown table.

The same pictures, the same list of PDQ hashes; ours also computes MD5, SHA-1, SHA-256, eight transforms and a report.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench.pictures import make_jpegs
from bench.search import make_hashes
from leadline.domain import Kind
from leadline.match.bank import Bank
from leadline.match.pdq import format_pdq
from leadline.scan.run import scan_paths

LIST_ENTRIES = 100_000
SOURCES = {"1 MP": (40, 400), "12 MP, about 1.6 MB": (6, 60)}  # distinct pictures, files


def write_pictures(folder: Path, name: str) -> int:
    distinct, files = SOURCES[name]
    jpegs = make_jpegs(name, distinct)
    for number in range(files):
        # A trailing comment makes every file its own: no exact hash repeats.
        (folder / f"{number:05}.jpg").write_bytes(jpegs[number % distinct] + f"copy {number}".encode())
    return files


def time_ours(source: Path, bank: Path, out: Path, workers: int) -> float:
    begin = time.perf_counter()
    scan_paths([source], [bank], out, workers=workers)
    return time.perf_counter() - begin


def time_threatexchange(source: Path, texts: list[str]) -> float | None:
    try:
        from threatexchange.signal_type.pdq.signal import PdqSignal
    except ImportError:
        return None
    index = PdqSignal.get_index_cls().build((text, number) for number, text in enumerate(texts))
    begin = time.perf_counter()
    for path in sorted(source.iterdir()):
        text = PdqSignal.hash_from_bytes(path.read_bytes())
        if text:
            index.query(text)
    return time.perf_counter() - begin


def main() -> None:
    rows = make_hashes(LIST_ENTRIES, 1)
    texts = [format_pdq(row.tobytes()) for row in rows]
    print(f"## Scan: files to verdicts against {LIST_ENTRIES:,} PDQ entries, files a second\n")
    print("| pictures | threatexchange, 1 process | ours, 1 lane | ratio | ours, 2 lanes | ratio |\n|---|---|---|---|---|---|")
    for name in SOURCES:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            source = folder / "source"
            source.mkdir()
            files = write_pictures(source, name)
            bank = Bank.create(folder / "bank", name="LIST", kind=Kind.OTHER)
            bank.add_pdq_array(rows)
            one, two = (files / time_ours(source, bank.path, folder / f"out{n}", n) for n in (1, 2))
            peer_s = time_threatexchange(source, texts)
            peer = files / peer_s if peer_s else 0.0
            ratios = [f"{rate / peer:.1f}x" if peer else "-" for rate in (one, two)]
            print(f"| {name} | {peer:.1f} | {one:.1f} | {ratios[0]} | {two:.1f} | {ratios[1]} |")


if __name__ == "__main__":
    main()
