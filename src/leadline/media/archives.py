"""Hostile containers -> their members, streamed. Runs inside the sandbox only; writes nowhere, follows no name.

A member's name is bytes for people to read and nothing else. Links, devices and folders are told as skipped. What a
damaged container still yields is yielded before the error.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from typing import Any, BinaryIO, Protocol, cast

import py7zr
import py7zr.compressor
import py7zr.exceptions
import py7zr.io
import py7zr.py7zr

from leadline.media.limits import RATIO_FREE_BYTES, Limits
from leadline.media.wire import MAX_NAME_BYTES, Refused, Skipped, Status
from leadline.media.sniff import sniff

_PIECE_BYTES = 1 << 18
_ZIP_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, KeyError),
    *(struct.error, IndexError, TypeError, AttributeError, AssertionError, NotImplementedError, RuntimeError),
    *(py7zr.exceptions.ArchiveError, OverflowError, ZeroDivisionError),
)


class Outlet(Protocol):
    """Where members go: the wire. `begin` says whether the bytes are wanted; `write` may raise Skipped."""

    def begin(self, name: bytes, size_bytes: int, status: Status) -> bool: ...
    def write(self, data: bytes | bytearray | memoryview) -> None: ...
    def end(self, status: Status) -> None: ...


def prepare() -> None:
    """Settings of the libraries that would otherwise look at the machine, which a locked process may not."""
    py7zr.py7zr.get_memory_limit = lambda: _PIECE_BYTES  # its own asks /proc for free memory
    io.TextIOWrapper(io.BytesIO(), encoding="utf-16-le").read()  # 7z and old zip names: load the codecs now
    b"".decode("cp437")


def unpack(source: BinaryIO, size_bytes: int, limits: Limits, outlet: Outlet) -> Status:
    """Stream every member of the container at `source` to `outlet`; how it ended. Raises nothing but Refused."""
    counted = _Counted(outlet, size_bytes, limits)
    try:
        source.seek(0)
        mime = sniff(source.read(4096))
        source.seek(0)
        if mime == "application/zip":
            return _unpack_zip(source, counted)
        if mime == "application/x-7z-compressed":
            return _unpack_7z(source, counted)
        if mime == "application/x-tar":
            return _unpack_tar(source, counted)
        if mime in _STREAMS:
            return _unpack_stream(mime, source, counted)
        return Status.UNSUPPORTED
    except MemoryError:
        return Status.OUT_OF_MEMORY
    except Refused as refused:
        return refused.status
    except RecursionError:
        return Status.UNDECODABLE
    except _BROKEN as error:
        return _status_of(error)


def _status_of(error: BaseException) -> Status:
    if isinstance(error, py7zr.exceptions.PasswordRequired):
        return Status.ENCRYPTED
    if isinstance(error, (NotImplementedError, py7zr.exceptions.UnsupportedCompressionMethodError)):
        return Status.UNSUPPORTED
    if isinstance(error, lzma.LZMAError) and "memory" in str(error).lower():
        return Status.OUT_OF_MEMORY
    short = isinstance(error, EOFError) or any(word in str(error).lower() for word in ("unexpected end", "truncated"))
    return Status.TRUNCATED if short else Status.UNDECODABLE


class _Counted:
    """An outlet with the limits of one container; raises Refused when one is passed."""

    def __init__(self, outlet: Outlet, packed_bytes: int, limits: Limits) -> None:
        self._outlet, self._limits = outlet, limits
        self._members = self._total_bytes = self._member_bytes = 0
        self._most_bytes = min(limits.max_total_bytes, max(RATIO_FREE_BYTES, limits.max_ratio * packed_bytes))
        self._past_most = Status.TOO_LARGE if self._most_bytes == limits.max_total_bytes else Status.RATIO_EXCEEDED

    def begin(self, name: bytes, size_bytes: int, status: Status = Status.OK) -> bool:
        self._members += 1
        if self._members > self._limits.max_members:
            raise Refused(Status.TOO_MANY_MEMBERS)
        self._member_bytes = 0
        if len(name) > MAX_NAME_BYTES:
            name, status = name[:MAX_NAME_BYTES], Status.NAME_TOO_LONG
        if status is Status.OK and size_bytes > self._limits.max_member_bytes:
            status = Status.TOO_LARGE
        return self._outlet.begin(name, max(0, min(size_bytes, (1 << 63) - 1)), status) and status is Status.OK

    def spend(self, size_bytes: int) -> None:
        """Count unpacked bytes, wanted or not: a solid container unpacks what it skips too."""
        self._total_bytes += size_bytes
        if self._total_bytes > self._most_bytes:
            raise Refused(self._past_most)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.spend(len(data))
        self._member_bytes += len(data)
        if self._member_bytes > self._limits.max_member_bytes:
            self._outlet.end(Status.TOO_LARGE)
            raise Skipped
        self._outlet.write(data)

    def end(self, status: Status = Status.OK) -> None:
        self._outlet.end(status)

    def copy(self, stream: Any) -> None:
        """A whole member from an opened stream; its faults end the member, not the container."""
        try:
            while piece := stream.read(_PIECE_BYTES):
                self.write(piece)
            self.end()
        except Skipped:
            pass
        except _BROKEN as error:
            self.end(_status_of(error))


# --- zip -------------------------------------------------------------------------------------------------------------


def _unpack_zip(source: BinaryIO, out: _Counted) -> Status:
    try:
        end = zipfile._EndRecData(source)  # type: ignore[attr-defined]
        if not end or end[zipfile._ECD_ENTRIES_TOTAL] > out._limits.max_members:  # type: ignore[attr-defined]
            return _salvage_zip(source, out)
        archive = zipfile.ZipFile(source)
    except _BROKEN:
        return _salvage_zip(source, out)
    for info in archive.infolist():
        kind = _zip_kind(info)
        stream = None
        if kind is Status.OK:
            try:
                stream = archive.open(info)
            except _BROKEN as error:
                kind = _status_of(error)
        if out.begin(_zip_name(info), info.file_size, kind) and stream:
            out.copy(stream)
    return Status.OK


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


def _salvage_zip(source: BinaryIO, out: _Counted) -> Status:
    """A zip whose directory is lost (cut off, carved, damaged): its members by their own headers, in file order."""
    at, whole_bytes = 0, source.seek(0, io.SEEK_END)
    while (at := _find(source, b"PK\x03\x04", at)) >= 0:
        source.seek(at)
        fields = source.read(_LOCAL.size)
        if len(fields) < _LOCAL.size:
            break
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
        at += packed if known and at + packed <= whole_bytes else data.used_bytes
    return Status.TRUNCATED


def _find(source: BinaryIO, mark: bytes, at: int) -> int:
    source.seek(at)
    tail = b""
    while piece := source.read(_PIECE_BYTES):
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
                packed = self._source.read(_PIECE_BYTES)
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

_STREAMS = {
    "application/gzip": lambda source: gzip.GzipFile(fileobj=source, mode="rb"),
    "application/x-bzip2": lambda source: bz2.BZ2File(source),
    "application/x-xz": lambda source: lzma.LZMAFile(source),
}


class _Prefixed:
    """A stream with its first bytes put back."""

    def __init__(self, first: bytes, rest: Any) -> None:
        self._first, self._rest = first, rest

    def read(self, size: int = -1) -> bytes:
        if self._first:
            piece, self._first = self._first[:size], self._first[size:]
            return piece
        return cast(bytes, self._rest.read(size))


def _unpack_stream(mime: str, source: BinaryIO, out: _Counted) -> Status:
    stream = _STREAMS[mime](source)
    first = stream.read(4096)
    if sniff(first) == "application/x-tar":
        return _unpack_tar(_Prefixed(first, stream), out)
    if out.begin(b"", 0):
        out.copy(_Prefixed(first, stream))
    return Status.OK


def _unpack_tar(stream: Any, out: _Counted) -> Status:
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
            archive.members.clear()  # else a tar of a million members is a million objects
    clean = not ended or ended[-1].__name__ in ("EOFHeaderError", "EmptyHeaderError")
    return Status.OK if clean else Status.TRUNCATED if "Truncated" in ended[-1].__name__ else Status.UNDECODABLE


class _Spending:
    """Counts what tarfile reads beside wanted members (headers, skipped members), so that none of it is unbounded."""

    def __init__(self, stream: Any, out: _Counted) -> None:
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


# --- 7z --------------------------------------------------------------------------------------------------------------


class _Member(py7zr.io.MemIO):  # type: ignore[misc]
    """What py7zr writes one member to."""

    def __init__(self, entry: Any, out: _Counted) -> None:
        self._name = entry.filename.encode("utf-8", "surrogatepass")
        self._size, self._kind, self._out = entry.uncompressed or 0, _7z_kind(entry), out
        self._wanted = self.begun = False

    def begin(self, fault: Status = Status.OK) -> None:
        if not self.begun:
            self.begun = True
            self._wanted = self._out.begin(self._name, self._size, self._kind or fault)

    def open(self, mode: str = "w") -> _Member:
        self.begin()
        return self

    def write(self, data: bytes | bytearray) -> int:
        if not self._wanted:
            self._out.spend(len(data))
            return len(data)
        try:
            self._out.write(data)
        except Skipped:
            self._wanted = False
        return len(data)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if self._wanted and not isinstance(error, Refused):
            self._out.end(Status.OK if error is None else _status_of(error))
        self._wanted = False


def _unpack_7z(source: BinaryIO, out: _Counted) -> Status:
    archive = py7zr.SevenZipFile(source)
    streams = getattr(archive.header, "main_streams", None)
    for entry in archive.files:
        if entry.emptystream:
            with _Member(entry, out) as empty:
                empty.begin()
    worst = Status.OK
    for number, folder in enumerate(streams.unpackinfo.folders if streams else ()):
        start, end = (archive.worker.src_start + streams.packinfo.packpositions[number + at] for at in (0, 1))
        worst = max(worst, _unpack_folder(archive.worker, source, folder, (start, end), out))
    return worst


def _unpack_folder(worker: Any, source: BinaryIO, folder: Any, span: tuple[int, int], out: _Counted) -> Status:
    """One solid block; its first fault ends the block, and its later members are told as skipped for that reason."""
    entries = folder.files or ()
    members = {entry.id: _Member(entry, out) for entry in entries}
    for entry_id, member in members.items():
        worker.register_filelike(entry_id, member)
    fault = _folder_fault(folder)
    try:
        if fault is Status.OK:
            worker.extract_single(source, entries, None, *span, None)
    except _BROKEN as error:
        fault = _status_of(error)
    for member in members.values():
        member.begin(fault)
    # What cannot be read for a lawful reason is told of each member; the container as a whole is sound.
    return Status.OK if fault in (Status.ENCRYPTED, Status.UNSUPPORTED) else fault


_PPMD = b"\x03\x04\x01"


def _folder_fault(folder: Any) -> Status:
    if any(coder["method"] == _PPMD for coder in folder.coders):
        return Status.UNSUPPORTED  # its decoder starts a thread, which a locked process may not
    needs_password = py7zr.compressor.SupportedMethods.needs_password(folder.coders)
    return Status.ENCRYPTED if needs_password else Status.OK


def _7z_kind(entry: Any) -> Status:
    if entry.is_directory:
        return Status.DIRECTORY
    if entry.is_symlink or entry.is_junction:
        return Status.LINK
    return Status.DEVICE if entry.is_socket else Status.OK
