"""docs/cli.md from the commands themselves: `python -m leadline.cli.reference [FILE]`. Runs no command."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

import typer

from leadline.cli.app import EXIT_CODES, app
from leadline.cli.config import variables

HEAD = """# The command line

This page is made from the commands' own help by `python -m leadline.cli.reference docs/cli.md`; do not edit it.
"""


def make_reference() -> str:
    """The whole page. Taken from the commands' parameters, so it does not depend on how typer lays out its help."""
    group: Any = typer.main.get_command(app)
    parts = [HEAD, EXIT_CODES.replace("\n", " ") + "\n", *_commands(group, "leadline"), _settings()]
    return "\n".join(parts)


def _commands(group: Any, name: str) -> Iterator[str]:
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{name} {word}")
        else:
            yield _section(f"{name} {word}", command)


def _section(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    needed = [f"{p.opts[0]} {_value(p)}" for p in options if p.required]
    usage = " ".join(
        [name, *(_value(p) for p in arguments), *needed, "[OPTIONS]" if len(options) > len(needed) else ""]
    )
    lines = [f"## {name}", "", f"    {usage.strip()}", "", _prose(command.callback), ""]
    rows = [(f"`{_value(p)}`", p) for p in arguments] + [(_option(p), p) for p in options]
    if rows:
        lines += ["| | |", "|---|---|", *(f"| {shown} | {_meaning(p)} |" for shown, p in rows), ""]
    return "\n".join(lines)


def _prose(callback: Any) -> str:
    """The docstring of a command, its examples as a block of code."""
    text = inspect.cleandoc(callback.__doc__ or "")
    before, mark, after = text.partition("\b\nExamples:\n")
    if not mark:
        return text
    examples, _, rest = after.partition("\n\n")
    return f"{before}```\n{inspect.cleandoc(examples)}\n```\n\n{rest}"


def _value(parameter: Any) -> str:
    """What is put in: the metavar given, or the option's name in capitals; nothing for a switch."""
    if parameter.metavar:
        return str(parameter.metavar)
    return str(parameter.name).strip("_").replace("_", "-").upper()


def _option(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in parameter.opts)
    return names if parameter.is_flag else f"{names} `{_value(parameter)}`"


def _meaning(parameter: Any) -> str:
    told = str(parameter.help or "").replace("|", "\\|")
    choices = _choices(parameter)
    if choices:
        told += f" One of {', '.join(choices)}."
    default = parameter.default
    shown = default is not None and default is not False and default != "" and not parameter.required
    return f"{told} Default: {default}." if shown else told


def _choices(parameter: Any) -> list[str]:
    """Of an enum, by whichever attribute this version of typer keeps them in."""
    kept = getattr(getattr(parameter, "type_descriptor", None), "choices", None)
    kept = kept or getattr(parameter.type, "choices", None) if hasattr(parameter, "type") or kept else None
    return [str(getattr(choice, "value", choice)) for choice in kept or ()]


def _settings() -> str:
    rows = [f"| `{name}` | {default} |" for name, default in variables().items()]
    head = ["## Environment", "", "Defaults for a machine. Options win; anything unknown or malformed is refused.", ""]
    return "\n".join([*head, "| | default |", "|---|---|", *rows, ""])


if __name__ == "__main__":
    page = make_reference()
    if len(sys.argv) > 1:
        with open(sys.argv[1], "w", encoding="utf-8") as stream:
            stream.write(page)
    else:
        sys.stdout.write(page)
