"""docs/connectors.md, as its readers follow it: the commands of a section in order, and its JSON. Runs none."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parents[2] / "docs" / "connectors.md").read_text()


def commands(heading: str) -> list[list[str]]:
    """The words of each command that a section shows."""
    lines = "".join(_blocks(heading, "")).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def the_json(heading: str) -> Any:
    """The one piece of JSON that a section shows."""
    (block,) = _blocks(heading, "json")
    return json.loads(block)


def _blocks(heading: str, language: str) -> list[str]:
    (section,) = re.findall(rf"(?ms)^## {heading}\n(.*?)(?=^## |\Z)", PAGE)
    return [block for of, block in re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", section) if of == language]


def after(program: str, told: list[list[str]]) -> list[list[str]]:
    """What stands after the program's name, of its commands alone."""
    return [words[1:] for words in told if words[0] == program]
