"""Web captures as WARC 1.0 and 1.1, plain or gzipped: records -> members. Inside the sandbox only; fetches nothing.

Our own reader of the grammar of ISO 28500:2017 (iipc.github.io/warc-specifications, WARC 1.1, section 4). warcio takes
a cut or damaged record for a short one, reads lines without bound and refuses a WARC gzipped as a whole; it is what
the tests hold this reader against.
"""

from __future__ import annotations

import io
import re
import zlib
from typing import BinaryIO, Protocol

from leadline.media.headers import Headers, Lines, read_headers
from leadline.media.outlet import PIECE_BYTES, Counted, name_member
from leadline.media.transfer import CODINGS, Dechunked, LineStream, Stream, Uncoded
from leadline.media.wire import Status

_VERSION = re.compile(rb"WARC/(1\.[01]|0\.1[78])[ \t]*\r?\n\Z")
_HTTP = re.compile(rb"HTTP/[0-9.]{1,5}[ \t]+([0-9]{3})(?:[ \t][^\n]*)?\r?\n\Z")
_REQUEST = re.compile(rb"([A-Z]{1,20})[ \t][^\n]*\r?\n\Z")
_LENGTH = re.compile(r"[0-9]{1,15}")
_GZIP_MARK = b"\x1f\x8b\x08"
_LINE_BYTES = 8192
_PACKED_BYTES, _STEP_BYTES = 1 << 14, 1 << 6


def is_packed(source: BinaryIO) -> bool:
    """Whether gzip packs a WARC here; the source is put back to its start."""
    inflate = zlib.decompressobj(31)
    try:
        head = inflate.decompress(source.read(4096), 64)
    except zlib.error:
        head = b""
    source.seek(0)
    return head.startswith(b"WARC/")


def unpack_warc(source: BinaryIO, out: Counted) -> Status:
    """Every record that holds something, as a member named by its address; damage ends a record, not the capture."""
    mark = source.read(3)
    source.seek(0)
    if mark == _GZIP_MARK:
        return _unpack_packed(source, out)
    return _Records(_Whole(source), out).run()


class _Source(LineStream, Protocol):
    fault: Status  # why it ended early, else OK

    def mark(self) -> int | None: ...
    def back_to(self, place: int) -> None: ...


class _Whole:
    """A capture that is not packed: what was skipped over by mistake can be gone back to."""

    fault = Status.OK

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.read, self.readline, self.mark = source.read, source.readline, source.tell

    def back_to(self, place: int) -> None:
        self._source.seek(place)


class _GzipMember:
    """One gzip member, unpacked piece by piece; `next_at` is where the next one may begin."""

    def __init__(self, source: BinaryIO, at: int) -> None:
        source.seek(at)
        self._source, self._inflate = source, zlib.decompressobj(31)
        self._ready = bytearray()
        self.fault = Status.OK
        self.next_at = at

    def mark(self) -> int | None:
        return None

    def back_to(self, place: int) -> None:
        raise io.UnsupportedOperation

    def _fill(self) -> bool:
        if self._inflate.eof or self.fault is not Status.OK:
            return False
        packed = self._inflate.unconsumed_tail
        if not packed:
            packed = self._source.read(_PACKED_BYTES)
            self.next_at += len(packed)
        if not packed:
            self.fault = Status.TRUNCATED
            return False
        before = self._inflate.copy()
        try:
            self._ready += self._inflate.decompress(packed, PIECE_BYTES)
        except zlib.error:
            self.fault = Status.UNDECODABLE
            self._ready += _good_part(before, packed)
            return bool(self._ready)
        if self._inflate.eof:
            self.next_at -= len(self._inflate.unused_data)
        return True

    def read(self, size: int, /) -> bytes:
        while not self._ready and self._fill():
            pass
        data = bytes(self._ready[:size])
        del self._ready[:size]
        return data

    def readline(self, size: int, /) -> bytes:
        looked = 0
        while (at := self._ready.find(b"\n", looked)) < 0 and len(self._ready) < size:
            looked = len(self._ready)
            if not self._fill():
                break
        return self.read(min(size, at + 1) if at >= 0 else size)


def _good_part(inflate: zlib._Decompress, packed: bytes) -> bytes:
    """What can be unpacked before the damage: zlib itself gives nothing of a piece that has some."""
    good = bytearray()
    try:
        for at in range(0, len(packed), _STEP_BYTES):
            good += inflate.decompress(packed[at : at + _STEP_BYTES])
    except zlib.error:
        pass
    return bytes(good)


def _unpack_packed(source: BinaryIO, out: Counted) -> Status:
    at, worst = 0, Status.OK
    while True:
        member = _GzipMember(source, at)
        status = max(_Records(member, out).run(), member.fault)
        worst = max(worst, status)
        next_at = member.next_at if member.fault is Status.OK else at + len(_GZIP_MARK)
        source.seek(next_at)
        rest = source.read(len(_GZIP_MARK))
        if not rest and member.fault is Status.OK:
            return worst
        at = next_at if rest == _GZIP_MARK else _find_mark(source, next_at)
        if at != next_at:
            worst = max(worst, status, Status.UNDECODABLE if member.fault is Status.OK else member.fault)
        if at < 0:
            return worst


def _find_mark(source: BinaryIO, at: int) -> int:
    source.seek(at)
    tail = b""
    while piece := source.read(PIECE_BYTES):
        if (found := (tail + piece).find(_GZIP_MARK)) >= 0:
            return at - len(tail) + found
        at += len(piece)
        tail = (tail + piece)[1 - len(_GZIP_MARK) :]
    return -1


class _Block:
    """A record's content: as many bytes as its header says, and EOFError where there are fewer."""

    def __init__(self, source: _Source, size_bytes: int) -> None:
        self._source, self.left = source, size_bytes
        self.is_short = False

    def _take(self, data: bytes) -> bytes:
        self.left -= len(data)
        if not data and self.left:
            self.is_short = True
            if self._source.fault is Status.UNDECODABLE:
                raise ValueError("damaged")
            raise EOFError("truncated")
        return data

    def read(self, size: int, /) -> bytes:
        return self._take(self._source.read(min(size, self.left)))

    def readline(self, size: int, /) -> bytes:
        return self._take(self._source.readline(min(size, self.left)))


class _Records:
    """The records of one stream, one after the other."""

    def __init__(self, source: _Source, out: Counted) -> None:
        self._source, self._out = source, out

    def run(self) -> Status:
        worst = Status.OK
        while line := self._source.readline(_LINE_BYTES):
            if _VERSION.match(line):
                worst = max(worst, self._record())
                continue
            self._out.spend(len(line))
            if line.strip(b"\r\n"):
                worst = max(worst, Status.UNDECODABLE)
        return worst

    def _record(self) -> Status:
        headers = read_headers(Lines(self._source), passes_junk=True)
        length = headers.get("content-length")
        if not headers.ended:
            return max(Status.TRUNCATED, self._source.fault)
        if not _LENGTH.fullmatch(length):
            return Status.UNDECODABLE
        place = self._source.mark()
        block = _Block(self._source, int(length))
        try:
            self._tell(headers, block)
            while data := block.read(PIECE_BYTES):
                self._out.spend(len(data))
        except (EOFError, ValueError):
            pass
        if block.is_short:
            status = max(Status.TRUNCATED, self._source.fault)
        else:
            status = Status.OK if self._is_followed() else Status.UNDECODABLE
        if status is not Status.OK and place is not None:
            self._source.back_to(place)  # its length is not to be believed: records may lie within it
        return status

    def _is_followed(self) -> bool:
        """Two line ends (one will do), and then a record or the end: else the record's length was wrong."""
        place = self._source.mark()
        if place is None:
            return True  # the next line will show; there is no way back anyhow
        line = self._source.readline(_LINE_BYTES)
        while line in (b"\r\n", b"\n"):
            line = self._source.readline(_LINE_BYTES)
        self._source.back_to(place)
        return not line or bool(_VERSION.match(line))

    def _tell(self, headers: Headers, block: _Block) -> None:
        kind = headers.get("warc-type").lower()
        facts = {
            "format": "warc",
            "role": "file",
            "url": headers.get("warc-target-uri").strip("<>"),
            "time": headers.get("warc-date"),
            "mime": headers.get("content-type"),
            "warc_type": kind,
            "record_id": headers.get("warc-record-id"),
            "payload_digest": headers.get("warc-payload-digest"),
            "block_digest": headers.get("warc-block-digest"),
            "refers_to": headers.get("warc-refers-to-target-uri") or headers.get("warc-refers-to"),
            "ip_address": headers.get("warc-ip-address"),
        }
        body: Stream = block
        if facts["mime"].lower().startswith("application/http"):
            body = _open_http(block, facts)
        name = name_member(facts["url"] or facts["record_id"] or "record")
        if not block.left and facts.get("direction") == "request":
            return  # a question without content: its answer has the same address
        status = Status.ABSENT if kind == "revisit" and not block.left else Status.OK
        if self._out.begin(name, block.left, status, facts):
            self._out.copy(body)


def _open_http(block: _Block, facts: dict[str, str]) -> Stream:
    """The body of an HTTP message, without chunks and content coding; its header's facts are added."""
    first = block.readline(_LINE_BYTES)
    if answer := _HTTP.match(first):
        facts |= {"direction": "response", "http_status": answer[1].decode()}
    elif request := _REQUEST.match(first):
        facts |= {"direction": "request", "method": request[1].decode()}
    headers = read_headers(Lines(block), passes_junk=True) if block.left else Headers()
    coding = headers.get("content-encoding").strip().lower()
    facts["mime"] = headers.get("content-type")
    facts["content_encoding"] = coding
    if not block.left:
        return block
    is_chunked = headers.get("transfer-encoding").lower().rpartition(",")[2].strip() == "chunked"
    body: Stream = Dechunked(block) if is_chunked else block
    return Uncoded(body, coding) if coding in CODINGS else body

