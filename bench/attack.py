"""`make attack`: every attack, one process each; writes bench/ATTACK.md. Exits 1 where one of them succeeded."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

from bench.parts import save, stored
from bench.run import machine

PARTS = {
    "bench.attack_search": ["120"],
    "bench.attack_media": ["120"],
    "bench.attack_bank": ["200"],
    "bench.attack_scan": ["200"],
    "bench.attack_vault": ["300"],
    "bench.attack_office": ["200"],
    "bench.attack_service": ["20", "10000000"],
    "bench.attack_exchange": ["200"],
}
TARGET = Path(__file__).parent / "ATTACK.md"


def main() -> None:
    pieces, failed = stored(TARGET), []
    for part in sys.argv[1:] or list(PARTS):
        print(f"running {part}", file=sys.stderr)
        day = datetime.datetime.now(datetime.UTC).date().isoformat()
        done = subprocess.run(
            [sys.executable, "-m", part, *PARTS[part]], stdout=subprocess.PIPE, text=True, check=False
        )
        outcome = "held" if done.returncode == 0 else f"DID NOT HOLD (exit code {done.returncode})"
        pieces[part] = f"<!-- {part} run {day} -->\n\n## {part}: {outcome}\n\n{done.stdout}"
        failed += [part] if done.returncode else []
        save(TARGET, f"# Attacks\n\n{machine()}. Made by `make attack`.\n", list(PARTS), pieces)
    print(f"wrote {TARGET}", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
