"""A conversation as this project keeps it: one JSON object a line, the same for every chat's export format.

Written inside the wall, read and checked outside. Says what the export says: who wrote what and when is the
exporter's claim. Never holds an attachment's bytes, only its name in the export.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import msgspec

from leadline.errors import UntrustedMediaError

MAX_TEXT = 1 << 16  # characters of one message
MAX_SHORT = 2048
MAX_LIST = 100
MAX_LINE_BYTES = 1 << 21  # every character of the longest fields as an escape

_TIME = r"^([0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?)?\Z"
Time = Annotated[str, msgspec.Meta(max_length=64, pattern=_TIME)]
Short = Annotated[str, msgspec.Meta(max_length=MAX_SHORT)]
Shorts = Annotated[list[Short], msgspec.Meta(max_length=MAX_LIST)]


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One message of a conversation.

    at           RFC 3339: with Z or an offset it is exact; without, the local time of the phone or computer that made
                 the export; "" where the export's date can be read in two ways or in none
    at_raw       the date as written, where it is not `at` itself
    kind         message | service (someone joined, a call, a changed title ...)
    attachments  names or addresses as the export gives them; `absent` is true where the export left files out
    links        addresses behind words, which the text does not show
    cut          something did not fit
    """

    at: Time = ""
    author: Short = ""
    text: Annotated[str, msgspec.Meta(max_length=MAX_TEXT)] = ""
    kind: Literal["message", "service"] = "message"
    attachments: Shorts = []
    absent: bool = False
    author_id: Short = ""
    id: Short = ""
    reply_to: Short = ""
    links: Shorts = []
    at_raw: Short = ""
    cut: bool = False


_IS_TIME = re.compile(_TIME).match
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Message)


def write_message(message: Message) -> bytes:
    """A line, within the bounds its reader holds it to; `cut` says where something was left out."""
    line = _ENCODER.encode(message)
    is_small = len(line) <= MAX_SHORT and len(message.attachments) + len(message.links) <= MAX_LIST
    if is_small and _IS_TIME(message.at):
        return line + b"\n"
    shorts = {name: getattr(message, name)[:MAX_SHORT] for name in ("author", "author_id", "id", "reply_to", "at_raw")}
    lists = {name: [one[:MAX_SHORT] for one in getattr(message, name)][:MAX_LIST] for name in ("attachments", "links")}
    changed = {"text": message.text[:MAX_TEXT], **shorts, **lists}
    cut = message.cut or any(getattr(message, name) != value for name, value in changed.items())
    if not _IS_TIME(message.at):
        changed |= {"at": "", "at_raw": message.at[:MAX_SHORT]}
    return _ENCODER.encode(msgspec.structs.replace(message, **changed, cut=cut)) + b"\n"


def read_messages(untrusted_chunks: Iterable[bytes | memoryview]) -> Iterator[Message]:
    """The messages of a member whose role is "messages". UntrustedMediaError (out-of-bounds) for what is none."""
    rest = b""
    for chunk in untrusted_chunks:
        *lines, rest = (rest + bytes(chunk)).split(b"\n")
        yield from map(_read_line, lines)
        if len(rest) > MAX_LINE_BYTES:
            break
    if rest:
        raise _out_of_bounds()


def _read_line(untrusted_line: bytes) -> Message:
    try:
        if len(untrusted_line) > MAX_LINE_BYTES:
            raise _out_of_bounds()
        return _DECODER.decode(untrusted_line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _out_of_bounds() from None


def _out_of_bounds() -> UntrustedMediaError:
    return UntrustedMediaError("a conversation's line is out of bounds", code="out-of-bounds")
