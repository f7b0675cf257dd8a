"""Runs one command and turns whatever it ends with into one line and one exit code. Hides no fault."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from leadline.cli.config import load_settings
from leadline.cli.output import EXIT_NOTHING, EXIT_USAGE, complain, one_line
from leadline.errors import InputError, Interrupted, LeadlineError
from leadline.media.lock import hide_from_neighbours

EXIT_READER_GONE = 141  # what a shell shows for a program whose reader went away (128 + SIGPIPE)
# Not imported by name: typer brings its own copy of click or uses the installed one, by version.
_CLICK_FAULT: type[Exception] = typer.BadParameter.__mro__[2]


class ReaderGone(Exception):
    """Whoever read our output has closed it."""


def run(arguments: Sequence[str] | None) -> int:
    """Exit code of the command that `arguments` (default: of the process) name."""
    from leadline.cli.app import app  # here, so that a fault in a command's module is told in the same shape

    hide_from_neighbours()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = app(args=given, prog_name="leadline", standalone_mode=False)
        sys.stdout.flush()
    except _CLICK_FAULT as fault:
        return _tell_usage(fault)
    except LeadlineError as error:
        complain(error, _command_name(given))
        return error.exit_code
    except (ReaderGone, BrokenPipeError):
        _close_quietly()
        return EXIT_READER_GONE
    except KeyboardInterrupt:
        complain(Interrupted("stopped by you", mend="run the same command again"), _command_name(given))
        return Interrupted.exit_code
    except OSError as error:
        complain(_os_fault(error), _command_name(given))
        return EXIT_NOTHING
    except Exception as error:
        _tell_internal(error)
        return EXIT_NOTHING
    return result if isinstance(result, int) else 0


def _tell_usage(fault: Any) -> int:
    context = getattr(fault, "ctx", None)
    where = context.command_path if context is not None else "leadline"
    what = one_line(fault.format_message()).rstrip(".").replace("Value error, ", "")
    complain(LeadlineError(what[:1].lower() + what[1:], where=where, mend=f"see `{where} --help`"))
    return EXIT_USAGE


def _command_name(arguments: Sequence[str]) -> str:
    words = [word for word in arguments[:1] if not word.startswith("-")]
    return " ".join(["leadline", *words])


def _os_fault(error: OSError) -> LeadlineError:
    name = error.filename
    where = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else ""
    what = os.strerror(error.errno) if error.errno else "input/output error"
    return InputError(what.lower(), where=where, mend="check the path, its permissions and the space left")


def _tell_internal(error: Exception) -> None:
    """Only the kind of the fault and its place: its text could quote what was being read."""
    try:
        if load_settings().traceback:
            traceback.print_exception(error)
    except LeadlineError:
        pass  # a fault in the settings was told, or will be when this one is mended
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f"{os.sep}leadline{os.sep}" in f.filename]
    last = frames[-1] if frames else None
    where = f"{Path(last.filename).name} line {last.lineno}" if last else "leadline"
    mend = "report it with what LEADLINE_TRACEBACK=1 shows"
    complain(LeadlineError(f"internal fault: {type(error).__name__}", where=where, mend=mend))


def _close_quietly() -> None:
    """Point standard output at nothing, so that closing it at exit raises nothing."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass
