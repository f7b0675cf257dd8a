"""`make bench`: runs every comparison, one process each, and writes bench/RESULTS.md. Asserts nothing."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from pathlib import Path

from bench.parts import save, stored

PARTS = [
    *("bench.pdq", "bench.media", "bench.renditions", "bench.bank", "bench.scan", "bench.search", "bench.match"),
    *("bench.vault", "bench.workbench", "bench.lists", "bench.review", "bench.service", "bench.exchange", "bench.vics"),
]
TARGET = Path(__file__).parent / "RESULTS.md"


def machine() -> str:
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


HEAD = f"# Measured figures\n\n{machine()}. Made by `make bench`; a shared machine is noisy: trust the ratios.\n"


def main() -> None:
    wanted = sys.argv[1:] or PARTS
    pieces = stored(TARGET)
    for part in wanted:
        print(f"running {part}", file=sys.stderr)
        day = datetime.datetime.now(datetime.UTC).date().isoformat()
        done = subprocess.run([sys.executable, "-m", part], stdout=subprocess.PIPE, text=True, check=False)
        failed = f"## {part}\n\nfailed with exit code {done.returncode}\n\n" if done.returncode else ""
        pieces[part] = f"<!-- {part} measured {day} -->\n\n{failed}{done.stdout}\n"
        # After each part: a long run that is stopped leaves what it has.
        save(TARGET, HEAD, PARTS, pieces)
    print(f"wrote {TARGET}", file=sys.stderr)


if __name__ == "__main__":
    main()
