"""The command line: `leadline <command>`, one file per command. Decides nothing that the engine could decide."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (cli/run.py says what each means)."""
    if sys.platform == "win32":  # before anything is imported that needs Unix
        print("leadline: does not run on Windows itself (win32): use Linux, or WSL", file=sys.stderr)
        return 1  # nothing done
    from leadline.cli.run import run  # here, so that importing the room costs nothing

    return run(arguments)
