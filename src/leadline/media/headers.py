"""Header blocks of mails, parts, WARC records and HTTP answers: lines -> fields, bounded. Inside the sandbox only."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from email.header import decode_header
from email.message import Message
from email.utils import collapse_rfc2231_value

from leadline.media.charsets import decode_text
from leadline.media.transfer import LineStream
from leadline.media.wire import Refused, Status

LINE_BYTES = 1 << 16
MAX_BLOCK_BYTES = 1 << 18
MAX_FIELDS = 1000
MOST_BYTES = 1 << 22  # of a block, read or not: what is larger is no header but an attack
_MAX_VALUE = 4096  # characters of a value that are looked at: the library takes quadratic time on some
_FIELD = re.compile(rb"([!-9;-~]{1,128})[ \t]*:[ \t]*")


class Lines:
    """Lines of at most 64 KiB, with one step back; of a longer one the later pieces are marked as no line's start."""

    def __init__(self, stream: LineStream) -> None:
        self._readline = stream.readline
        self._again: bytes | None = None
        self.is_start = True  # of the line that `next` gave last
        self._ends = True

    def next(self) -> bytes:
        """b"" at the end."""
        if self._again is not None:
            line, self._again = self._again, None
            return line
        line = self._readline(LINE_BYTES)
        self.is_start, self._ends = self._ends, line.endswith(b"\n")
        return line

    def push_back(self, line: bytes) -> None:
        self._again = line


@dataclass(slots=True)
class Headers:
    """Fields in their order, names in lower case, values unfolded.

    raw     the block as it is, up to 256 KiB; cut: there was more
    ended   a blank line (or a line that is no header) came: the block is whole
    """

    fields: list[tuple[str, str]] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    cut: bool = False
    ended: bool = False

    def all(self, name: str) -> list[str]:
        return [value for one, value in self.fields if one == name]

    def get(self, name: str) -> str:
        return next((value for one, value in self.fields if one == name), "")

    def content(self) -> Message:
        """The content fields as the library reads them: type, parameters, file name."""
        message = Message()
        for name, value in self.fields:
            if name in ("content-type", "content-disposition") and name not in message:
                message[name] = value
        return message


def read_headers(
    lines: Lines, stops: Callable[[bytes], bool] = lambda line: False, *, passes_junk: bool = False
) -> Headers:
    """Up to the blank line, which is taken too. Raises Refused where there is no end to it.

    A line that is no header is passed over, or else put back and the end of the block; so is one that `stops` says.
    """
    found = Headers()
    block: list[bytearray] = []
    size_bytes = 0
    while line := lines.next():
        size_bytes += len(line)
        if size_bytes > MOST_BYTES:
            raise Refused(Status.TOO_LARGE)
        if lines.is_start:
            if not line.strip(b"\r\n"):
                found.ended = True
                break
            is_more = line[:1] in b" \t" and bool(block)
            is_junk = not is_more and not _FIELD.match(line)
            if is_junk and passes_junk:
                continue
            if is_junk or stops(line):
                lines.push_back(line)
                found.ended = line.endswith(b"\n")  # else it may be half a header, cut off
                break
            if not is_more and len(block) <= MAX_FIELDS:
                block.append(bytearray())
        if block and len(found.raw) + len(line) <= MAX_BLOCK_BYTES and len(block) <= MAX_FIELDS:
            found.raw += line
            block[-1] += line
        else:
            found.cut = True
    found.fields = [_field(bytes(one)) for one in block if one]
    return found


def _field(line: bytes) -> tuple[str, str]:
    name = _FIELD.match(line)
    if not name:  # the first piece did not fit
        return "", ""
    value = re.sub(rb"\r?\n(?=[ \t])", b"", line[name.end() :]).strip()
    return name[1].decode("ascii").lower(), decode_text(value, "")[0][:_MAX_VALUE]


def show_words(value: str) -> str:
    """A header's value with its encoded words (RFC 2047) read; as it is where they cannot be."""
    try:
        return "".join(_word(part, charset) for part, charset in decode_header(value))
    except Exception:  # whatever the library trips over in one field must not end the mail
        return value


def _word(part: str | bytes, charset: str | None) -> str:
    if isinstance(part, str):
        return part
    if charset is None:  # how the library carries what was not encoded
        return part.decode("raw-unicode-escape", "replace")
    return decode_text(part, charset)[0]


def file_name(message: Message) -> str:
    """By RFC 2183 and RFC 2231, or encoded words where they should not be, as mail programs write them."""
    for place, parameter in (("content-disposition", "filename"), ("content-type", "name")):
        if value := parameter_of(message, parameter, place):
            return show_words(value)
    return ""


def parameter_of(message: Message, name: str, header: str = "content-type") -> str:
    try:
        value = message.get_param(name, "", header)
        return collapse_rfc2231_value(value).strip() if value else ""
    except Exception:  # as above
        return ""
