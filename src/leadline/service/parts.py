"""`multipart/form-data` as it comes: files on their way, and small fields beside them. Keeps nothing on disk.

Starlette's own reader of forms puts larger files onto the disk; so the parser under it is used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from leadline.errors import RequestRefused
from leadline.media.limits import Limits
from leadline.service.hashing import Arrival

MAX_PARTS = 100
MAX_FIELD_BYTES = 65_536
_MAX_NAME_CHARS = 200
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # its warnings repeat bytes of the body


def boundary_of(content_type: bytes) -> bytes:
    """RequestRefused where a multipart header names none, or one that is none."""
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:  # RFC 2046, 5.1.1
        raise RequestRefused("multipart without a boundary", status=400, code="media-type", mend="name its boundary")
    return boundary


class Parts:
    """`arrived` is called with each file when it is whole. fields: of parts without a file name, where wanted.

    with_fields  whether parts without a file name are fields; else every part is a file
    """

    def __init__(
        self,
        boundary: bytes,
        limits: Limits,
        arrived: Callable[[Arrival], None],
        *,
        max_part_bytes: int,
        with_fields: bool = False,
    ) -> None:
        self._limits, self._arrived = limits, arrived
        self._max_part_bytes, self._with_fields = max_part_bytes, with_fields
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._take_header_name,
                "on_header_value": self._take_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_content,
                "on_part_data": self._take_content,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )
        self.fields: dict[str, str] = {}
        self.file: Arrival | None = None  # the one that comes now
        self._field: bytearray | None = None
        self._count, self._is_whole = 0, False
        self._name, self._disposition = "", b""
        self._header = (bytearray(), bytearray())

    def write(self, untrusted: bytes) -> None:
        """RequestRefused for what is no multipart body, for too many parts and for one that is too large."""
        try:
            self._parser.write(untrusted)
        except FormParserError:
            raise _broken() from None

    def finish(self) -> None:
        """RequestRefused where the end is missing."""
        if not self._is_whole:
            raise _broken()

    def _begin_part(self) -> None:
        self._count += 1
        if self._count > MAX_PARTS:
            raise RequestRefused(f"more than {MAX_PARTS} parts", status=413, code="too-many-parts", mend="send fewer")
        self._disposition, self._header = b"", (bytearray(), bytearray())

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _end_header(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = (bytearray(), bytearray())

    def _begin_content(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise _broken()
        self._name = options[b"name"].decode("utf-8", "replace")[:_MAX_NAME_CHARS]
        if self._with_fields and b"filename" not in options:
            self._field = bytearray()
        else:
            self.file = Arrival(self._name, self._limits)

    def _take_content(self, data: bytes, start: int, end: int) -> None:
        if self.file is not None:
            self.file.take(data[start:end])
            if self.file.size_bytes > self._max_part_bytes:
                raise too_large(self._max_part_bytes)
        elif self._field is not None:
            self._field += data[start:end]
            if len(self._field) > MAX_FIELD_BYTES:
                raise too_large(MAX_FIELD_BYTES)

    def _end_part(self) -> None:
        if self.file is not None:
            self._arrived(self.file)
        elif self._field is not None:
            self.fields.setdefault(self._name, self._field.decode("utf-8", "replace"))
        self.file = self._field = None

    def _end(self) -> None:
        self._is_whole = True


def too_large(limit_bytes: int) -> RequestRefused:
    mend = f"send at most {limit_bytes} bytes each"
    return RequestRefused("a part that is too large", status=413, code="too-large", mend=mend)


def _broken() -> RequestRefused:
    return RequestRefused("not a whole multipart/form-data body", status=400, code="multipart", mend="send it again")
