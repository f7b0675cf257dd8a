"""Hostile archives -> their members, streamed. Runs inside the sandbox only; writes nowhere, follows no name.

A member's name is bytes for people to read and nothing else. Links, devices and folders are told as skipped. What a
damaged container still yields is yielded before the error.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from leadline.media import sevenzip
from leadline.media.outlet import PIECE_BYTES, Counted, status_of
from leadline.media.sniff import sniff
from leadline.media.wire import Status

_ZIP_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})


def prepare() -> None:
    """Load now what the libraries would look for later, when nothing can be opened any more."""
    for encoding in ("ascii", "latin-1", "cp437", "utf-8", "utf-16-le"):
        codecs.lookup(encoding)
    sevenzip.prepare()


# --- zip -------------------------------------------------------------------------------------------------------------


def unpack_zip(source: BinaryIO, out: Counted) -> Status:
    size_bytes = source.seek(0, io.SEEK_END)
    try:
        end = zipfile._EndRecData(source)  # type: ignore[attr-defined]
        if not end or end[zipfile._ECD_ENTRIES_TOTAL] > out.limits.max_members:  # type: ignore[attr-defined]
            return _salvage_zip(source, out, 0, size_bytes)
        archive = zipfile.ZipFile(source)
    except Exception:
        return _salvage_zip(source, out, 0, size_bytes)
    # A directory that does not span the file hides members from whoever trusts it: two zips in one, or the directory
    # of a zip within a zip whose own was cut off.
    first = min((info.header_offset for info in archive.infolist()), default=archive.start_dir)
    last = end[zipfile._ECD_LOCATION] + _END_BYTES + len(archive.comment)  # type: ignore[attr-defined]
    outside = [_salvage_zip(source, out, 0, first)]
    for info in archive.infolist():
        _unpack_entry(archive, info, out)
    outside.append(_salvage_zip(source, out, last, size_bytes))
    return max(outside)


_END_BYTES = 22


def _unpack_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, out: Counted) -> None:
    kind, stream = _zip_kind(info), None
    if kind is Status.OK:
        try:
            stream = archive.open(info)
        except Exception as error:
            kind = status_of(error)
    if out.begin(_zip_name(info), info.file_size, kind) and stream:
        out.copy(stream)


def _zip_name(info: zipfile.ZipInfo) -> bytes:
    """The name's bytes as stored: zipfile decodes them by the one or the other of these, both reversible."""
    return info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437", "replace")


def _zip_kind(info: zipfile.ZipInfo) -> Status:
    mode = info.external_attr >> 16
    if info.is_dir():
        return Status.DIRECTORY
    if stat.S_ISLNK(mode):
        return Status.LINK
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return Status.DEVICE
    if info.flag_bits & 1:
        return Status.ENCRYPTED
    return Status.OK if info.compress_type in _ZIP_METHODS else Status.UNSUPPORTED


_LOCAL = struct.Struct("<4sHHHHHIIIHH")


def _salvage_zip(source: BinaryIO, out: Counted, at: int, until: int) -> Status:
    """Members by their own headers, in file order, where no directory tells of them; TRUNCATED if there were any,
    or if that is all there is to the file."""
    found = (at, until) == (0, source.seek(0, io.SEEK_END))
    while 0 <= (at := _find(source, b"PK\x03\x04", at)) < until:
        source.seek(at)
        fields = source.read(_LOCAL.size)
        if len(fields) < _LOCAL.size:
            break
        found = True
        _, _, flags, method, _, _, _, packed, size, name_bytes, extra_bytes = _LOCAL.unpack(fields)
        name = source.read(name_bytes)
        at += _LOCAL.size + name_bytes + extra_bytes
        known = not flags & 8 and packed != 0xFFFFFFFF
        kind = Status.ENCRYPTED if flags & 1 else Status.DIRECTORY if name.endswith(b"/") else Status.OK
        if kind is Status.OK and (method not in (0, 8) or (method == 0 and not known)):
            kind = Status.UNSUPPORTED
        data = _Deflated(source) if method == 8 else _Bounded(source, packed)
        if out.begin(name, size if known else 0, kind):
            source.seek(at)
            out.copy(data)
        # Past the member, so that a zip stored in it is not taken apart here; into it where its size is no guide.
        at += packed if known and at + packed <= until else data.used_bytes
    return Status.TRUNCATED if found else Status.OK


def _find(source: BinaryIO, mark: bytes, at: int) -> int:
    source.seek(at)
    tail = b""
    while piece := source.read(PIECE_BYTES):
        if (found := (tail + piece).find(mark)) >= 0:
            return at - len(tail) + found
        at += len(piece)
        tail = (tail + piece)[1 - len(mark) :]
    return -1


class _Deflated:
    """Raw deflate from the source's position to its own end mark, wherever that is."""

    def __init__(self, source: BinaryIO) -> None:
        self._source, self._inflate, self.used_bytes = source, zlib.decompressobj(-15), 0

    def read(self, size: int) -> bytes:
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail
            if not packed:
                packed = self._source.read(PIECE_BYTES)
                self.used_bytes += len(packed)
            if not packed:
                raise EOFError("truncated")
            data = self._inflate.decompress(packed, size)
            if self._inflate.eof:
                self.used_bytes -= len(self._inflate.unused_data)
            if data:
                return data
        return b""


class _Bounded:
    def __init__(self, source: BinaryIO, size_bytes: int) -> None:
        self._source, self._left, self.used_bytes = source, size_bytes, 0

    def read(self, size: int) -> bytes:
        data = self._source.read(min(size, self._left))
        self._left -= len(data)
        if not data and self._left:
            raise EOFError("truncated")
        return data


# --- tar, and single files packed by gzip, bzip2, xz -----------------------------------------------------------------

_STREAMS: dict[str, Callable[[BinaryIO], Any]] = {
    "application/gzip": lambda source: gzip.GzipFile(fileobj=source, mode="rb"),
    "application/x-bzip2": lambda source: bz2.BZ2File(source),
    "application/x-xz": lambda source: lzma.LZMAFile(source),
}


class _Ahead:
    """A decompressed stream of which the first bytes can be looked at, and nothing before a fault is lost."""

    def __init__(self, stream: Any) -> None:
        self._stream, self.first = stream, b""
        self._fault: Exception | None = None
        try:
            while len(self.first) < 512 and (piece := stream.read1(4096)):
                self.first += piece
        except Exception as error:
            self._fault = error

    def read(self, size: int = -1) -> bytes:
        if self.first:
            piece, self.first = self.first[:size], self.first[size:]
            return piece
        if self._fault:
            raise self._fault
        return cast(bytes, self._stream.read1(size))


def unpack_stream(mime: str, source: BinaryIO, out: Counted) -> Status:
    """A tar packed as a whole, or one file packed by itself, which is one member without a name."""
    stream = _Ahead(_STREAMS[mime](source))
    if sniff(stream.first) == "application/x-tar":
        return unpack_tar(stream, out)
    if out.begin(b"", 0):
        out.copy(stream)
    return Status.OK


def unpack_tar(stream: Any, out: Counted) -> Status:
    ended: list[type[tarfile.HeaderError]] = []

    class Info(tarfile.TarInfo):
        """Remembers why the last header was none: tarfile itself takes damage for the end."""

        @classmethod
        def fromtarfile(cls, archive: tarfile.TarFile) -> Any:
            try:
                return super().fromtarfile(archive)
            except tarfile.HeaderError as error:
                ended.append(type(error))
                raise

    spending = _Spending(stream, out)
    with tarfile.open(
        fileobj=cast(Any, spending), mode="r|", tarinfo=Info, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for info in archive:
            if out.begin(info.name.encode("utf-8", "surrogateescape"), info.size, _tar_kind(info)):
                spending.counts = False
                out.copy(archive.extractfile(info))
                spending.counts = True
            cast(Any, archive).members.clear()  # else a tar of a million members is a million objects
    clean = not ended or ended[-1].__name__ in ("EOFHeaderError", "EmptyHeaderError")
    return Status.OK if clean else Status.TRUNCATED if "Truncated" in ended[-1].__name__ else Status.UNDECODABLE


class _Spending:
    """Counts what tarfile reads beside wanted members (headers, skipped members), so that none of it is unbounded."""

    def __init__(self, stream: Any, out: Counted) -> None:
        self._stream, self._out, self.counts = stream, out, True

    def read(self, size: int) -> bytes:
        data: bytes = self._stream.read(size)
        if self.counts:
            self._out.spend(len(data))
        return data


def _tar_kind(info: tarfile.TarInfo) -> Status:
    if info.isreg():
        return Status.OK
    if info.isdir():
        return Status.DIRECTORY
    return Status.LINK if info.issym() or info.islnk() else Status.DEVICE
