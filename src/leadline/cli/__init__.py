"""The command line: `leadline <command>`, one file per command. Decides nothing that the engine could decide."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (cli/run.py says what each means)."""
    from leadline.cli.run import run  # here, so that importing the room costs nothing

    return run(arguments)
