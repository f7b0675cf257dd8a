"""docs/connectors.md, as its readers follow it: the commands of a section, in order. Runs none."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "connectors.md").read_text()


def commands(heading: str) -> list[list[str]]:
    """The words of each command that a section shows."""
    (section,) = re.findall(rf"(?ms)^## {heading}\n(.*?)(?=^## |\Z)", PAGE)
    blocks = re.findall(r"(?ms)^```\n(.*?)^```", section)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def after(program: str, told: list[list[str]]) -> list[list[str]]:
    """What stands after the program's name, of its commands alone."""
    return [words[1:] for words in told if words[0] == program]
