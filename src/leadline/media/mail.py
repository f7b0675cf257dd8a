"""Mails (.eml) and saved pages (MHTML): MIME parts, streamed. Inside the sandbox only; shows and fetches nothing.

The walk over the parts is ours, in one pass and bounded; fields and parameters are read by Python's `email`. That
package's own parser holds a whole mail several times over and gives nothing of one that is nested too deep.
Sources: RFC 2045 to 2047, 2183, 2231, 2557, 5322.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.message import Message
from typing import BinaryIO

from leadline.media.charsets import decode_text
from leadline.media.headers import Headers, Lines, file_name, parameter_of, read_headers, show_words
from leadline.media.outlet import Counted, name_member
from leadline.media.signatures import needed_keys
from leadline.media.transfer import DECODERS, Decoder
from leadline.media.wire import Skipped, Status

MAX_DEPTH = 32  # of parts within parts
MAX_TEXT_BYTES = 1 << 20  # of the plain text made of a mail
_BATCH_BYTES = 1 << 16
_ADDRESSED = ("from", "to", "cc", "reply-to", "return-path", "subject", "date", "message-id", "in-reply-to")
_ONCE = ("from", "to", "cc", "subject", "date", "message-id", "content-type", "sender")  # RFC 5322 section 3.6
_ENVELOPE = re.compile(rb">?From ")


def prepare() -> None:
    """Run what the library compiles or looks up when first used."""
    headers = Headers(fields=[("content-type", "text/plain; name*=utf-8''a; charset=x"), ("subject", "=?utf-8?q?a?=")])
    file_name(headers.content())
    show_words(headers.get("subject"))


def unpack_mail(source: BinaryIO, out: Counted) -> Status:
    """First the header lines, then every part in its order, then the plain text as UTF-8."""
    return _Walk(source, out).run()


@dataclass(slots=True)
class _Level:
    """A multipart that is open."""

    boundary: bytes
    path: tuple[int, ...]
    count: int = 0


@dataclass(slots=True)
class _Text:
    """The plain text of a mail, as far as it fits."""

    pieces: list[str] = field(default_factory=list)
    charsets: list[str] = field(default_factory=list)
    room: int = MAX_TEXT_BYTES
    cut: bool = False

    def add(self, raw: bytes, declared: str) -> None:
        text, read_as = decode_text(raw, declared)
        self.pieces.append(text)
        if read_as not in self.charsets:
            self.charsets.append(read_as)


class _Walk:
    def __init__(self, source: BinaryIO, out: Counted) -> None:
        self._lines, self._out = Lines(source), out
        self._levels: list[_Level] = []
        self._text = _Text()
        self._format = "mail"
        self._fault = Status.OK
        self._met: tuple[int, bool] | None = None  # the last boundary seen: its level, and whether it closes

    def run(self) -> Status:
        line = self._lines.next()
        if not _ENVELOPE.match(line):
            self._lines.push_back(line)
        headers = read_headers(self._lines)
        self._tell_headers(headers)
        self._lines.push_back(line := self._lines.next())
        whole = self._walk(headers) if headers.ended or line else False
        self._tell_text()
        return self._fault if headers.ended and whole else Status.TRUNCATED

    def _walk(self, headers: Headers) -> bool:
        """Every part of the mail; whether its end was there."""
        path: tuple[int, ...] = ()
        while True:
            self._entity(headers, path)
            met = self._met
            while met is not None and met[1]:
                del self._levels[met[0] :]
                if not self._levels:
                    return True  # what follows is no part of it
                self._met = None
                self._skip()
                met = self._met
            if met is None:
                return not self._levels
            del self._levels[met[0] + 1 :]
            level = self._levels[-1]
            level.count += 1
            path = (*level.path, level.count)
            headers = read_headers(self._lines, lambda line: self._boundary(line) is not None)

    # --- boundaries ------------------------------------------------------------------------------------------------

    def _boundary(self, line: bytes) -> tuple[int, bool] | None:
        if line[:2] != b"--" or not self._lines.is_start:
            return None
        mark = line[2:].rstrip(b" \t\r\n")
        for number in range(len(self._levels) - 1, -1, -1):
            boundary = self._levels[number].boundary
            if mark == boundary:
                return number, False
            if mark == boundary + b"--":
                return number, True
        return None

    def _skip(self) -> None:
        """What lies between a multipart's parts and is none of them."""
        while line := self._lines.next():
            self._out.spend(len(line))
            if met := self._boundary(line):
                self._met = met
                return
        self._met = None

    # --- parts ---------------------------------------------------------------------------------------------------

    def _entity(self, headers: Headers, path: tuple[int, ...]) -> None:
        """One part, whole: a multipart up to its first boundary, any other to the boundary that ends it."""
        content = headers.content()
        kind = content.get_content_type()
        boundary = parameter_of(content, "boundary") if kind.startswith("multipart/") else ""
        self._met = None
        if not boundary:
            self._leaf(headers, content, path, Status.OK)
        elif len(self._levels) >= MAX_DEPTH:
            self._leaf(headers, content, path, Status.TOO_DEEP)
        else:
            self._levels.append(_Level(boundary.encode("utf-8", "replace")[:1000], path))
            self._skip()

    def _leaf(self, headers: Headers, content: Message, path: tuple[int, ...], status: Status) -> None:
        transfer = headers.get("content-transfer-encoding").partition(";")[0].strip().lower()
        make = DECODERS.get(transfer)
        if make is None:
            status = Status.UNSUPPORTED
        decoder = make() if make else DECODERS[""]()
        keeps = None
        if content.get_content_type() == "text/plain" and content.get_content_disposition() != "attachment":
            keeps = bytearray()
        name, facts = self._describe(headers, content, path)
        wanted = self._out.begin(name, 0, status, facts)
        whole = self._copy(decoder, wanted, keeps)
        self._fault = max(self._fault, Status.UNDECODABLE if decoder.is_odd else Status.OK)
        if whole is not None:
            self._out.end(Status.OK if whole else Status.TRUNCATED)
        if keeps is not None and status is Status.OK:
            self._text.add(bytes(keeps), parameter_of(content, "charset"))

    def _copy(self, decoder: Decoder, wanted: bool, keeps: bytearray | None) -> bool | None:
        """A part's body to where it goes; whether its end was there, or None where no one wanted it to the end."""
        batch: list[bytes] = []
        size = 0
        line_end = b""  # the line end before a boundary belongs to the boundary
        while line := self._lines.next():
            if met := self._boundary(line):
                self._met = met
                break
            body = line.rstrip(b"\r\n") if line.endswith(b"\n") else line
            batch += (line_end, body)
            line_end = line[len(body) :]
            size += len(line)
            if size >= _BATCH_BYTES:
                wanted = self._pass_on(decoder.feed(b"".join(batch)), wanted, keeps)
                batch, size = [], 0
        whole = self._met is not None or not self._levels
        if self._met is None:
            batch.append(line_end)
        wanted = self._pass_on(decoder.feed(b"".join(batch)), wanted, keeps)
        wanted = self._pass_on(decoder.finish(), wanted, keeps)
        return whole if wanted else None

    def _pass_on(self, data: bytes, wanted: bool, keeps: bytearray | None) -> bool:
        if keeps is not None:
            kept = data[: self._text.room]
            keeps += kept
            self._text.room -= len(kept)
            self._text.cut = self._text.cut or len(kept) < len(data)
        if not wanted:
            self._out.spend(len(data))
            return False
        try:
            if data:
                self._out.write(data)
        except Skipped:
            return False
        return True

    # --- what is told of them --------------------------------------------------------------------------------------

    def _describe(
        self, headers: Headers, content: Message, path: tuple[int, ...]
    ) -> tuple[bytes, dict[str, str]]:
        number = ".".join(map(str, path)) or "1"
        url = headers.get("content-location")
        facts = {
            "format": self._format,
            "role": "file",
            "part": number,
            "mime": content.get_content_type(),
            "charset": parameter_of(content, "charset"),
            "disposition": content.get_content_disposition() or "",
            "content_id": headers.get("content-id"),
            "url": url,
        }
        name = file_name(content) or url or f"part-{number}"
        return name_member(name), facts

    def _tell_headers(self, headers: Headers) -> None:
        kind = headers.content().get_content_type()
        self._format = "mhtml" if kind == "multipart/related" and not headers.get("to") else "mail"
        repeated = [name for name in _ONCE if len(headers.all(name)) > 1]
        facts = {"format": self._format, "role": "headers", "mime": kind}
        facts |= {name.replace("-", "_"): show_words(headers.get(name)) for name in _ADDRESSED}
        facts["url"] = headers.get("snapshot-content-location") or headers.get("content-location")
        facts["repeated"] = ",".join(repeated)
        facts["dkim_keys"] = ",".join(needed_keys(headers))
        raw = bytes(headers.raw)
        if self._out.begin(b"headers", len(raw), Status.OK, facts):
            try:
                self._out.write(raw)
                self._out.end(Status.TOO_LARGE if headers.cut else Status.OK)
            except Skipped:
                pass

    def _tell_text(self) -> None:
        if not any(self._text.pieces):
            return
        data = "\n".join(self._text.pieces).encode("utf-8", "replace")
        facts = {"format": self._format, "role": "text", "charset": "; ".join(self._text.charsets)}
        if self._out.begin(b"text", len(data), Status.OK, facts):
            try:
                self._out.write(data)
                self._out.end(Status.TOO_LARGE if self._text.cut else Status.OK)
            except Skipped:
                pass
