"""Media written into text: data: URLs, base64 and uuencoded blocks. Finds and decodes them; opens none, keeps none.

What a sender glues into a message is not looked for in every disguise: this keeps honest mails and forms from carrying
media past the office's decision. Regular expressions here take time in proportion to the text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from leadline.media.sniff import UNKNOWN, sniff
from leadline.scan.arriving import HEAD_BYTES

_LONG_CHARS = 1000  # a data: URL of more is left out whatever it says it is
_BASE64 = r"[A-Za-z0-9+/_-]"
_WRAP = r"(?:\\[rn]){0,2}\r?\n?[ \t>]*"  # as mail wraps and quotes lines, and as JSON writes the ends of lines
_BLOCK = rf"{_BASE64}{{40,}}(?:{_WRAP}{_BASE64}{{40,}})*(?:{_WRAP}{_BASE64}{{1,}}(?=[=\r\n\"']|$))?={{0,2}}"
_FOUND = re.compile(
    rf"(?P<data>data:[\w.+/-]{{0,100}}(?P<said>(?:;[\w.+=-]{{0,100}}){{0,5}}),(?P<payload>{_BLOCK}|[^\s\"'<>\[\]]*))"
    r"|(?P<uu>^begin [0-7]{3,4} [^\r\n]{1,255}\r?\n(?P<lines>(?:[ -`]{2,62}\r?\n)+)(?:`?\r?\nend\b)?)"
    rf"|(?<![A-Za-z0-9+/_-])(?P<block>{_BLOCK})",
    re.MULTILINE | re.IGNORECASE | re.ASCII,
)
_WRAPS = re.compile(r"\\[rn]|[\r\n \t>]")


@dataclass(frozen=True, slots=True)
class Embedded:
    """Where it stands in the text, and the bytes that it is there for."""

    start: int
    end: int
    content: bytes

    @property
    def note(self) -> str:
        """What stands in its place. No comma or quotation mark: it may be in a cell of a list."""
        return f"[content of {len(self.content)} bytes not kept: sha256 {hashlib.sha256(self.content).hexdigest()}]"


def find_embedded(untrusted: str) -> Iterator[Embedded]:
    """From the front, none over another."""
    for found in _FOUND.finditer(untrusted):
        if found["data"] is not None:
            content, is_long = _of_data_url(found["said"], found["payload"]), len(found["data"]) > _LONG_CHARS
        elif found["uu"] is not None:
            content, is_long = _of_uuencoded(found["lines"]), True
        else:
            content, is_long = _of_base64(found["block"]), False
        if content and (is_long or is_media(content)):
            yield Embedded(found.start(), found.end(), content)


def is_media(untrusted: bytes) -> bool:
    """Whether the first bytes are those of a picture, video, sound, document or container."""
    return sniff(untrusted[:HEAD_BYTES]) != UNKNOWN


def leave_out(untrusted: str) -> tuple[str, list[bytes]]:
    """The text with a note in the place of each, and what was there."""
    pieces, contents, at = list[str](), list[bytes](), 0
    for found in find_embedded(untrusted):
        pieces += [untrusted[at : found.start], found.note]
        contents.append(found.content)
        at = found.end
    return "".join([*pieces, untrusted[at:]]), contents


def _of_data_url(said: str, payload: str) -> bytes:
    if said.lower().endswith(";base64"):
        return _of_base64(unquote_to_bytes(payload).decode("ascii", "replace"))
    return unquote_to_bytes(payload)


def _of_base64(block: str) -> bytes:
    """Also where its end was cut off or the alphabet of URLs was used."""
    plain = _WRAPS.sub("", block).rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    plain = plain[: len(plain) - (len(plain) % 4 == 1)]
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4))
    except ValueError:
        return b""


def _of_uuencoded(lines: str) -> bytes:
    out = bytearray()
    for line in lines.splitlines():
        try:
            out += binascii.a2b_uu(line)
        except binascii.Error:  # a space at its end was lost on the way, or too much of it stands there
            length = ((ord(line[0]) - 32) & 63) * 4 // 3 + 3
            try:
                out += binascii.a2b_uu(line[:1] + line[1 : 1 + length].ljust(length, "`"))
            except binascii.Error:
                return bytes(out)
    return bytes(out)
