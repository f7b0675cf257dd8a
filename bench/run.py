"""`make bench`: runs every comparison, one process each, and writes bench/RESULTS.md. Asserts nothing."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from pathlib import Path

PARTS = ["bench.pdq", "bench.media", "bench.bank", "bench.scan", "bench.search"]
TARGET = Path(__file__).parent / "RESULTS.md"


def machine() -> str:
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in cpuinfo.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def main() -> None:
    wanted = sys.argv[1:] or PARTS
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    pieces = [
        f"# Measured figures\n\n{day}, {machine()}. Made by `make bench`; a shared machine is noisy: trust the ratios.\n"
    ]
    for part in wanted:
        print(f"running {part}", file=sys.stderr)
        done = subprocess.run([sys.executable, "-m", part], stdout=subprocess.PIPE, text=True, check=False)
        failed = f"## {part}\n\nfailed with exit code {done.returncode}\n\n" if done.returncode else ""
        pieces.append(failed + done.stdout)
        TARGET.write_text("\n".join(pieces))  # after each part: a long run that is stopped leaves what it has
    print(f"wrote {TARGET}", file=sys.stderr)


if __name__ == "__main__":
    main()
