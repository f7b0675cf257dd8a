"""What a command says: answers on standard output, faults on standard error in one shape. Decides nothing."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec

from leadline.domain import Isolation
from leadline.errors import BankError, ConfigError, InputError, LeadlineError, UntrustedMediaError
from leadline.scan.names import show_name
from leadline.scan.record import fault_record as fault_record
from leadline.scan.record import one_line as one_line

EXIT_DONE, EXIT_NOTHING, EXIT_USAGE, EXIT_PARTLY, EXIT_WRONG, EXIT_STOPPED = 0, 1, 2, 3, 4, 130
MAX_TOLD_FAULTS = 50  # of one input; a list of a million bad lines must not fill a terminal
_DEFAULT_MENDS: tuple[tuple[type[LeadlineError], str], ...] = (
    (UntrustedMediaError, "ask for an undamaged copy; what else is known of the file is given"),
    (InputError, "correct the input"),
    (ConfigError, "see `leadline --help`"),
    (BankError, "run `leadline bank verify`"),
    (LeadlineError, "see `leadline doctor`"),
)
_encode = msgspec.json.Encoder().encode


def emit(value: object) -> None:
    """One JSON object on one line of standard output."""
    write(encode_line(value))


def encode_line(value: object) -> bytes:
    try:
        return _encode(value) + b"\n"
    except UnicodeEncodeError:  # a path that no command has shown yet: better told with escapes than not at all
        return _encode(_shown(msgspec.to_builtins(value))) + b"\n"


def _shown(value: Any) -> Any:
    """The same value with every text in it fit to be written."""
    if isinstance(value, dict):
        return {_shown(name): _shown(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shown(inner) for inner in value]
    return show_name(value.encode("utf-8", "surrogateescape")) if isinstance(value, str) else value


def say(*lines: str) -> None:
    """Lines for people on standard output."""
    write("".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))


def say_isolation(*found: Isolation | None) -> None:
    """Tells people where anything was decoded without a sandbox; `--json` names the isolation always."""
    if Isolation.NONE in found:
        say("decoded without a sandbox (--unsafe-decode)")


def write(data: bytes) -> None:
    """Bytes to standard output; flushed, so that a program that reads along never waits."""
    with standard_output() as stream:
        stream.write(data)


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """A stream that writes all it is given; flushed at the end.

    Under PYTHONUNBUFFERED the process's own is a bare file, which may take a part and tells that by a number only.
    """
    own: Any = sys.stdout.buffer
    stream = io.BufferedWriter(own) if isinstance(own, io.RawIOBase) else own
    try:
        yield stream
        stream.flush()
    finally:
        if stream is not own:
            stream.detach()  # else it would close the process's own


def format_fault(error: LeadlineError, where: str) -> str:
    """`leadline: WHAT (WHERE): HOW TO MEND`, always all three; `where` stands in where the error names none."""
    mend = error.mend or next(text for kind, text in _DEFAULT_MENDS if isinstance(error, kind))
    return f"leadline: {one_line(error.what)} ({one_line(error.where or where)}): {one_line(mend)}"


def complain(error: LeadlineError, where: str = "leadline") -> None:
    """Tell a fault on standard error."""
    line = format_fault(error, where)
    sys.stderr.write(line.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")
    sys.stderr.flush()


@dataclass(slots=True)
class Tally:
    """How many inputs were done and how many refused: what an exit code is made of."""

    done: int = 0
    refused: int = 0

    @property
    def exit_code(self) -> int:
        if not self.refused:
            return EXIT_DONE
        return EXIT_PARTLY if self.done else EXIT_NOTHING


@dataclass(slots=True)
class Faults:
    """Tells the first faults of one input one by one, the rest by their number."""

    where: str
    count: int = 0

    def note(self, error: LeadlineError) -> None:
        self.count += 1
        if self.count <= MAX_TOLD_FAULTS:
            complain(error, self.where)

    def finish(self, total: int = 0) -> None:
        """`total`: how many there were, where not all of them were noted here."""
        more = max(self.count, total) - MAX_TOLD_FAULTS
        if more > 0:
            complain(InputError(f"{more} more refused", where=self.where, mend="correct the first ones and look again"))


def table(rows: Iterable[tuple[str, object]]) -> list[str]:
    """Names and values as aligned lines."""
    pairs = [(name, str(value)) for name, value in rows]
    width = max((len(name) for name, _ in pairs), default=0)
    return [f"{name:<{width}}  {one_line(value)}" for name, value in pairs]
