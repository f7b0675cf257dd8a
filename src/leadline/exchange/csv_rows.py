"""Rows of CSV files from strangers, line by line, and cells that no spreadsheet calculates. Knows no columns."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeAlias

from leadline.errors import ListFormatError, sentence
from leadline.exchange.base import Line, too_long

DELIMITERS = (",", ";", "\t")
MAX_JOINED_LINES = 64
_MAX_JOINED_BYTES = 1 << 16
_CELL_STARTS = re.compile(r"(^|[;,|\t\r\n\"])([ \t\r\n]*)('*[=+\-@\uff0b\uff0d\uff1d\uff20])")
_MARKED_STARTS = re.compile(r"(^|[;,|\t\r\n\"])([ \t\r\n]*)'('*[=+\-@\uff0b\uff0d\uff1d\uff20])")

Row: TypeAlias = tuple[int, list[str] | ListFormatError, bytes]
Decode: TypeAlias = Callable[[bytes], str]


def formula_safe(text: str) -> str:
    """An apostrophe before whatever a spreadsheet could take for a formula; `plain` undoes it.

    At the start of the text, and after any delimiter in it: a program that splits there would find it.
    """
    return _CELL_STARTS.sub(r"\1\2'\3", text)


def plain(cell: str) -> str:
    return _MARKED_STARTS.sub(r"\1\2\3", cell) if "'" in cell else cell


def decode_line(untrusted_line: bytes) -> str:
    """UTF-8; other bytes as `\\xe9`."""
    return untrusted_line.decode("utf-8", "backslashreplace").rstrip("\r\n")


def read_rows(
    lines: Iterator[Line],
    delimiter: str,
    width: int,
    *,
    swallowed: Callable[[str], bool],
    decode: Decode = decode_line,
) -> Iterator[Row]:
    """(line number, cells, its lines), so that one stray quote costs one record and never swallows the next.

    width      how many columns the header names; a row with more is an error
    swallowed  whether a field over several lines looks as if it held other records
    """
    waiting: deque[Line] = deque()
    while True:
        line = waiting.popleft() if waiting else next(lines, None)
        if line is None:
            return
        number, untrusted_line = line
        if untrusted_line is None:
            yield number, too_long(""), b""
            continue
        text = decode(untrusted_line)
        if not text.strip():
            continue
        if '"' not in text:
            yield number, _fitted(text.split(delimiter), width), untrusted_line
        else:
            record = _Quoted(untrusted_line, delimiter, width, swallowed, decode)
            yield number, _fitted(record.cells(lines, waiting), width), record.untrusted


class _Quoted:
    """A record with quotes; where one is left open, joined with the next lines, if that makes sense."""

    def __init__(
        self, untrusted_line: bytes, delimiter: str, width: int, swallowed: Callable[[str], bool], decode: Decode
    ) -> None:
        self.untrusted, self._delimiter, self._width = untrusted_line, delimiter, width
        self._swallowed, self._decode = swallowed, decode

    def cells(self, lines: Iterator[Line], waiting: deque[Line]) -> list[str] | ListFormatError:
        cells = self._parse(strict=True)
        if cells is not None:
            return cells
        lenient = self._parse(strict=False)
        if lenient is not None and len(lenient) == self._width and self._is_balanced():
            return lenient
        return self._joined(lines, waiting) or ListFormatError(
            "a quotation mark is never closed",
            mend=sentence(
                'double the quotation marks inside a field (""); a field has %(most)s lines at most',
                most=MAX_JOINED_LINES,
            ),
        )

    def _joined(self, lines: Iterator[Line], waiting: deque[Line]) -> list[str] | None:
        for used in range(1, MAX_JOINED_LINES + 1):
            while len(waiting) < used and (line := next(lines, None)) is not None:
                waiting.append(line)
            if len(waiting) < used or (untrusted_line := waiting[used - 1][1]) is None:
                return None
            self.untrusted += untrusted_line
            if len(self.untrusted) > _MAX_JOINED_BYTES:
                return None
            if b'"' not in untrusted_line or not self._is_balanced():
                continue
            cells = self._parse(strict=True)
            if cells is not None and len(cells) == self._width and not any(map(self._swallowed, cells)):
                for _ in range(used):
                    waiting.popleft()
                return cells
        return None

    def _is_balanced(self) -> bool:
        return self.untrusted.count(b'"') % 2 == 0

    def _parse(self, *, strict: bool) -> list[str] | None:
        text = io.StringIO(self._decode(self.untrusted), newline="")
        try:
            rows = list(csv.reader(text, delimiter=self._delimiter, strict=strict))
        except csv.Error:
            return None
        return rows[0] if len(rows) == 1 else None


def _fitted(cells: list[str] | ListFormatError, width: int) -> list[str] | ListFormatError:
    if isinstance(cells, ListFormatError) or len(cells) <= width:
        return cells
    if any(cell.strip() for cell in cells[width:]):
        return ListFormatError(
            sentence("the row has %(count)s fields, the header %(width)s", count=len(cells), width=width),
            mend="quote fields that hold the delimiter",
        )
    return cells[:width]
