"""Documents made of parts that are run one process each: one part can be run again alone, the others stay as they were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def stored(target: Path) -> dict[str, str]:
    """Part -> its text as the document holds it, with the line that says when it was run."""
    text = target.read_text() if target.exists() else ""
    return {piece.partition(" ")[0]: "<!-- " + piece for piece in text.split("<!-- ")[1:]}


def save(target: Path, head: str, order: Sequence[str], pieces: dict[str, str]) -> None:
    target.write_text("\n".join([head, *(pieces[name].strip() + "\n" for name in order if name in pieces)]))
