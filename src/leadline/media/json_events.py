"""Large foreign JSON as a stream of values with their places, bounded in depth. Inside the sandbox only.

Keys that come twice come twice: nothing is hidden behind a later one. By ijson, whose C parser has no recursion.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import ijson

MAX_DEPTH = 24
_MAX_KEY = 64
_MOST_SEEN = 1000
_LEAST_BYTES, _MOST_BYTES = 1 << 16, 1 << 25  # read at a time
_BOM = b"\xef\xbb\xbf"
_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{2}|.)", re.DOTALL)

Event = tuple[str, str, Any]  # place (log.entries.item.request.url), kind as ijson names it, value


def read_events(source: BinaryIO) -> Iterator[Event]:
    """Raises EOFError where the file is cut off, ValueError where it is no JSON; after the last good value."""
    where, mended = _Where(), _Mended(source)
    try:
        for kind, value in ijson.basic_parse(mended, use_float=True):
            mended.is_quiet = False
            if kind == "map_key":
                where.name(value)
            elif kind.startswith("start_"):
                if where.depth < MAX_DEPTH:
                    yield where.place, kind, None
                where.enter(is_array=kind == "start_array")
            elif kind.startswith("end_"):
                where.leave()
                if where.depth < MAX_DEPTH:
                    yield where.left, kind, None
            elif where.depth <= MAX_DEPTH:
                yield where.place, kind, value
    except ijson.JSONError as error:  # its message quotes the file, so it goes no further
        if "premature EOF" in str(error):
            raise EOFError("truncated") from None
        raise ValueError("no JSON") from None


class _Where:
    """The place of the next value; beyond the deepest that is followed, only how deep it is."""

    def __init__(self) -> None:
        self.place = self.left = ""
        self.depth = 0
        self._open: list[tuple[str, bool]] = []  # places of open containers, and whether they are arrays
        self._seen: dict[tuple[str, str], str] = {}  # the same few keys come again and again

    def name(self, key: str) -> None:
        if self.depth <= MAX_DEPTH:
            outer = self._open[-1][0]
            self.place = self._seen.get((outer, key)) or self._new_name(outer, key)

    def _new_name(self, outer: str, key: str) -> str:
        short = key[:_MAX_KEY].replace(".", "\0")  # no key can look like a place
        place = f"{outer}.{short}" if outer else short
        if len(self._seen) < _MOST_SEEN and len(key) <= _MAX_KEY:
            self._seen[outer, key] = place
        return place

    def enter(self, *, is_array: bool) -> None:
        self.depth += 1
        if self.depth <= MAX_DEPTH:
            self._open.append((self.place, is_array))
            self._to_item()

    def leave(self) -> None:
        if self.depth <= MAX_DEPTH:
            self.left, _ = self._open.pop()
            self._to_item()
        self.depth -= 1

    def _to_item(self) -> None:
        if self._open and self._open[-1][1]:
            outer = self._open[-1][0]
            self.place = f"{outer}.item" if outer else "item"


class _Mended:
    """The file without a byte order mark, and with \\xNN, which Telegram writes and JSON does not know, as \\u00NN.

    is_quiet  nothing was parsed of what was read last: within a long string, where twice as much is read each time,
              since the parser begins such a string anew with every piece
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source, self._held = source, b""
        self._size_bytes, self.is_quiet = _LEAST_BYTES, False
        if (head := source.read(len(_BOM))) != _BOM:
            self._held = head

    def read(self, size: int) -> bytes:
        while size:
            self._size_bytes = min(2 * self._size_bytes, _MOST_BYTES) if self.is_quiet else _LEAST_BYTES
            self.is_quiet = True
            new = self._source.read(self._size_bytes)
            data, self._held = self._held + new, b""
            if not new:
                return data
            at = _find_cut_escape(data)
            data, self._held = data[:at], data[at:]
            if data:
                return _ESCAPE.sub(_mend, data) if b"\\x" in data else data
        return b""


def _find_cut_escape(data: bytes) -> int:
    """Where an escape begins that the end of the data may cut in two; else the end."""
    for tail in (1, 2, 3):
        at = len(data) - tail
        if at >= 0 and data[at : at + 1] == b"\\" and (tail == 1 or data[at + 1 : at + 2] == b"x"):
            head = data[: at + 1]
            if (len(head) - len(head.rstrip(b"\\"))) % 2:
                return at
    return len(data)


def _mend(escape: re.Match[bytes]) -> bytes:
    return b"\\u00" + escape[1][1:] if len(escape[1]) == 3 else escape[0]


def first_text(values: Iterable[object]) -> str:
    """The first string or number, as text; "" where there is none."""
    for value in values:
        if isinstance(value, str):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
    return ""
