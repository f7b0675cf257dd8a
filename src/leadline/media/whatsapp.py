"""WhatsApp's exported chats (_chat.txt) -> one conversation as a member. Inside the sandbox only.

WhatsApp documents no format: lines begin with a date and time as the phone's region writes them, in brackets (iOS) or
with a dash behind (Android). Sources: github.com/Pustur/whatsapp-chat-parser (src/parser.ts), github.com/starkdmi/
whats_json.
An export with media is a zip: its files are members of that, and the chat among them is opened again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from leadline.media.charsets import decode_text
from leadline.media.chats import Conversation
from leadline.media.headers import Lines
from leadline.media.outlet import Counted
from leadline.media.transcript import MAX_TEXT, Message
from leadline.media.wire import Status

_MARKS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\ufeff"
_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " "})
_DATE = r"(\d{1,4})([-/.] ?)(\d{1,2})\2(\d{1,4})"
_CLOCK = (
    r"(?:([^\W\d_][^\s\d\]]{0,11}) ?)?(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?"
    r"(?: ?([^\W\d_][^\s\d\]]{0,5}(?: [^\W\d_]\.?)?))?"
)
_IOS = re.compile(rf"\[{_DATE}[.,]? ?,? ?{_CLOCK}\] (.*)", re.DOTALL)
_ANDROID = re.compile(rf"{_DATE}[.,]? ?,? ?{_CLOCK}(?: - |, )(.*)", re.DOTALL)
_AUTHOR = re.compile(r"([^\n:]{1,200}?) ?: ?(.*)", re.DOTALL)
# In the phone's language: <attached: 00000012-PHOTO.jpg> on iOS, IMG-20240101-WA0001.jpg (file attached) on Android.
_ATTACHED = re.compile(
    r"<[^<>:\n]{1,40}: ?([^<>\n]{1,255}\.\w{1,8})>|^([^<>:\n/]{1,255}\.\w{1,8}) \([^()\n]{1,60}\)$", re.MULTILINE
)
_ATTACHED_WITHIN = 2000  # characters of a message
_OMITTED = re.compile(r"<[^<>:\n]{1,60}>|\w[\w ]{0,40} omitted")
_BEFORE_NOON = {"am", "a", "上午", "오전", "午前", "ص", "π", "πμ", "дп", "öö"}
_AFTER_NOON = {"pm", "p", "下午", "오후", "午後", "م", "μμ", "пп", "ös"}
_LOOKED_AT = 200  # lines among which a message must begin, or it is no chat


@dataclass(slots=True)
class _Start:
    """A line that begins a message."""

    date: tuple[int, int, int]
    year_first: bool
    clock: tuple[int, int, int] | None
    raw: str
    rest: str


def unpack_whatsapp(source: BinaryIO, out: Counted) -> Status:
    order = _find_order(source)
    if not order:
        return Status.UNSUPPORTED
    source.seek(0)
    facts = {"format": "whatsapp", "role": "messages", "date_order": order}
    conversation = Conversation(out, "conversation", facts)
    for start, text, cut in _messages(source):
        conversation.write(_message(start, text, order, cut))
    conversation.end()
    return Status.OK


def _lines(source: BinaryIO) -> Iterator[tuple[str, bool]]:
    """Text of each line, and whether it begins one (a very long line comes in pieces)."""
    lines = Lines(source)
    while line := lines.next():
        yield decode_text(line.rstrip(b"\r\n"), "utf-8")[0], lines.is_start


def _read_start(line: str) -> _Start | None:
    plain = line[:500].lstrip(_MARKS).translate(_SPACES)
    found = _IOS.match(plain) or _ANDROID.match(plain)
    if not found:
        return None
    first, _, second, third, before, hour, minute, seconds, after, _ = found.groups()
    date = (int(first), int(second), int(third))
    rest = line[len(line) - len(line.lstrip(_MARKS)) + found.start(10) :]
    raw = plain[: found.start(10)].strip(" []-,")
    return _Start(date, len(first) == 4, _read_clock(before or after or "", hour, minute, seconds), raw, rest)


def _read_clock(half: str, hour: str, minute: str, seconds: str | None) -> tuple[int, int, int] | None:
    """Twenty-four hours; None where a word stands there that is not known to say which half of the day it is."""
    word = re.sub(r"[\s.]", "", half).lower()
    clock = (int(hour), int(minute), int(seconds or 0))
    if word in ("", "klo", "at", "um", "kl", "à", "às", "ob", "o"):
        return clock
    if word in _BEFORE_NOON or word in _AFTER_NOON:
        if not 1 <= clock[0] <= 12:
            return None
        return (clock[0] % 12 + 12 * (word in _AFTER_NOON), *clock[1:])
    return None


def _find_order(source: BinaryIO) -> str:
    """How the dates of the whole file are to be read; "unknown" where both ways fit, "" where it is no chat.

    An export is in the order of time: where only one reading never goes back, that is the one.
    """
    fits = {"day-first": True, "month-first": True}
    last = {name: (0, 0, 0) for name in fits}
    found = False
    for number, (line, begins) in enumerate(_lines(source)):
        start = _read_start(line) if begins else None
        if start is None:
            if not found and number > _LOOKED_AT:
                return ""
            continue
        found = True
        if start.year_first:
            return "year-first"
        for name in fits:
            day = _day(start.date, name)
            fits[name] = fits[name] and day is not None and day >= last[name]
            last[name] = day or last[name]
    if not found:
        return ""
    return next((name for name in fits if fits[name] and sum(fits.values()) == 1), "unknown")


def _day(date: tuple[int, int, int], order: str) -> tuple[int, int, int] | None:
    """Year, month, day; None where that is no day of the years in which WhatsApp existed."""
    if order == "year-first":
        year, month, day = date
    elif order == "day-first":
        day, month, year = date
    else:
        month, day, year = date
    year += 2000 if year < 100 else 0
    try:
        datetime(year, month, day)  # noqa: DTZ001 (a local time: the export names no zone)
    except ValueError:
        return None
    return (year, month, day) if 2009 <= year < 2100 else None


def _messages(source: BinaryIO) -> Iterator[tuple[_Start, str, bool]]:
    """Each message with the lines that follow it; lines before the first message are none of any."""
    start: _Start | None = None
    text: list[str] = []
    size, cut = 0, False
    for line, begins in _lines(source):
        if begins and (found := _read_start(line)):
            if start:
                yield start, "".join(text), cut
            start, text, size, cut = found, [found.rest], len(found.rest), False
        elif size <= MAX_TEXT:
            text.append(("\n" if begins else "") + line)
            size += len(line) + 1
        else:
            cut = True
    if start:
        yield start, "".join(text), cut


def _message(start: _Start, text: str, order: str, cut: bool) -> Message:
    day = _day(start.date, order) if order != "unknown" else None
    at = ""
    if day and start.clock:
        try:
            at = datetime(*day, *start.clock).isoformat()  # noqa: DTZ001 (as above)
        except ValueError:
            pass
    named = _AUTHOR.fullmatch(text)
    author, said = (named[1].strip(_MARKS + " "), named[2]) if named else ("", text)
    attached = [one[0] or one[1] for one in _ATTACHED.findall(said[:_ATTACHED_WITHIN])]
    return Message(
        at=at,
        at_raw=start.raw,
        author=author,
        text=said,
        kind="message" if named else "service",
        attachments=[name.strip(_MARKS + " ") for name in attached],
        absent=bool(named) and not attached and bool(_OMITTED.fullmatch(said.strip(_MARKS + " "))),
        cut=cut,
    )
