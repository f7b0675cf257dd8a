"""`leadline match`: hashes against banks, one answer a line, in order. Reads no files."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer

from leadline.cli.config import load_settings
from leadline.cli.options import Banks, Digits64, Json, Radius
from leadline.cli.output import Faults, Tally, fault_record, one_line, write
from leadline.domain import Match
from leadline.errors import HashFormatError
from leadline.exchange.base import HashType, parse_hash
from leadline.match.bank import Bank
from leadline.match.matcher import MatchAnswer, Matcher
from leadline.scan.finding import match_line

_CHUNK_BYTES = 1 << 20
_MAX_LINE_BYTES = 1 << 16
_REFRESH_S = 1.0  # a change by any writer is to match within two seconds
_TOO_LONG = b"\0"  # stands for a line that was not kept
_SHOWN_CHARS = 200
_ANY = ""  # the matcher takes the algorithms from the length
_encode = msgspec.json.Encoder().encode


def match_command(
    hashes: Annotated[
        list[str],
        typer.Argument(
            metavar="HASH...", help="MD5, SHA-1, SHA-256 or PDQ by length; - reads lines from standard input."
        ),
    ],
    banks: Banks,
    radius: Radius = None,
    json: Json = False,
    hash_type: Digits64 = HashType.BOTH,
) -> int:
    """Look hashes up in banks: exact ones by equality, PDQ within a radius.

    One answer for each line, in order; `"matches": []` where nothing matched; an `error` where a line is no hash.
    A prefix says what a hash is: md5: sha1: sha256: pdq:. Without one 64 digits are looked up as SHA-256 and as PDQ.
    Lines of md5sum and sha256sum, with the file's name after the digits, are read as they are.

    \b
    Examples:
      leadline match 9c3c1f0d2b... --bank known
      sha256sum * | leadline match - --bank known --json
      leadline match pdq:f8f8f0cc... --bank known --bank partner --radius 20

    Exit codes: 0 all looked up (matched or not), 1 none was a hash, 3 some lines were no hashes.
    """
    settings = load_settings()
    opened = [Bank.open(Path(bank)) for bank in banks]
    matcher = Matcher(opened, radius_bits=radius, threads=settings.threads)
    looker = LookUp(matcher, hash_type, json=json)
    for number, given in enumerate(hashes, 1):
        if given == "-":
            for lines in read_lines(sys.stdin.buffer):
                looker.answer(lines)
        else:
            looker.answer([given.encode("utf-8", "surrogateescape")], f"argument {number}")
    looker.faults.finish()
    return looker.tally.exit_code


def read_lines(stream: BinaryIO) -> Iterator[list[bytes]]:
    """Whole lines as they come, as many at a time as have come. A line without end is not kept."""
    read = getattr(stream, "read1", stream.read)
    rest, dropping = b"", False
    while chunk := read(_CHUNK_BYTES):
        *lines, last = (rest + chunk).split(b"\n")
        if dropping and lines:
            lines[0], dropping = _TOO_LONG, False
        rest = b"" if dropping else last
        if len(rest) > _MAX_LINE_BYTES:
            rest, dropping = b"", True
        if lines:
            yield lines
    if rest or dropping:
        yield [_TOO_LONG if dropping else rest]


class LookUp:
    """Answers lines. The common answer, nothing, costs no more than a join of bytes."""

    def __init__(self, matcher: Matcher, hash_type: HashType, *, json: bool) -> None:
        self._matcher, self._hash_type = matcher, hash_type
        self._tell = _encode_answer if json else _show_answer
        self._refreshed_s = time.monotonic()
        self._names = {32: "md5", 40: "sha1", 64: _ANY if hash_type is HashType.BOTH else str(hash_type)}
        self._line = 0
        self.tally, self.faults = Tally(), Faults("leadline match")

    def answer(self, untrusted_lines: Sequence[bytes], source: str = "") -> None:
        """Look up lines and write one answer for each. `source` names them where they are no standard input."""
        if time.monotonic() - self._refreshed_s > _REFRESH_S:
            self._matcher.refresh()
            self._refreshed_s = time.monotonic()
        asked = [self._ask(line) for line in untrusted_lines]
        answers = iter(self._matcher.match_hashes([query for query in asked if isinstance(query, tuple)]))
        told = []
        for line, query in zip(untrusted_lines, asked, strict=True):
            self._line += not source
            if isinstance(query, tuple):
                told.append(self._tell(line, next(answers)))
            else:
                query.where = source or f"standard input: line {self._line}"
                self._refuse(query)
                told.append(self._tell(line, query))
        self.tally.done += len(asked)
        write(b"".join(told))

    def _ask(self, untrusted_line: bytes) -> tuple[str, bytes] | HashFormatError:
        """The algorithm and the bytes of one line, or why it is no hash."""
        name = self._names.get(len(untrusted_line))
        if name is not None:
            try:
                value = bytes.fromhex(untrusted_line.decode("ascii"))
            except ValueError:
                value = b""
            if 2 * len(value) == len(untrusted_line):  # fromhex skips blanks: then it was no bare hash
                return name, value
        try:
            found = parse_hash(untrusted_line.decode("utf-8", "replace"), self._hash_type)
        except HashFormatError as error:
            return error
        (algorithm, value), *more = found.items()
        return (_ANY if more else algorithm), value

    def _refuse(self, error: HashFormatError) -> None:
        self.tally.done -= 1
        self.tally.refused += 1
        self.faults.note(error)


def _shown_query(untrusted_line: bytes) -> str:
    return one_line(untrusted_line.decode("utf-8", "replace"))[:_SHOWN_CHARS]


def _encode_answer(untrusted_line: bytes, answer: MatchAnswer | HashFormatError) -> bytes:
    if isinstance(answer, HashFormatError):
        return _encode({"query": _shown_query(untrusted_line), "error": fault_record(answer)}) + b"\n"
    if not answer.matches and not answer.truncated and not answer.reasons and untrusted_line.isalnum():
        return b'{"query":"' + untrusted_line + b'","matches":[]}\n'
    record: dict[str, object] = {
        "query": _shown_query(untrusted_line),
        "matches": [match_line(match) for match in answer.matches],
    }
    if answer.truncated:
        record["truncated"] = True
    if answer.reasons:
        record["reasons"] = answer.reasons
    return _encode(record) + b"\n"


def _show_answer(untrusted_line: bytes, answer: MatchAnswer | HashFormatError) -> bytes:
    query = _shown_query(untrusted_line)
    if isinstance(answer, HashFormatError):
        return f"{query}\tno hash: {answer.what}\n".encode()
    told = [f"{query}\t{_describe(match)}\n" for match in answer.matches]
    if answer.truncated:
        told.append(f"{query}\tmore matches than are listed\n")
    return "".join(told or [f"{query}\tno match\n"]).encode()


def _describe(match: Match) -> str:
    label = f" {one_line(f'{match.scheme} {match.label}')}" if match.label else ""
    marked = f", suppressed by {match.suppressed_by}" if match.suppressed_by else ""
    return (
        f"{match.kind}\t{match.algorithm} distance {match.distance:g}\t"
        f"bank {one_line(match.bank)} entry {match.entry}{label}{marked}"
    )
