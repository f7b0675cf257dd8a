"""Hostile ZIPs -> their members, streamed. Runs inside the sandbox only; writes nowhere, follows no name.

A member is told twice in a ZIP, by the directory and by its own header, and either may lie. It is read as the directory
tells it; where that comes out damaged and its own header tells otherwise, once more as that does. What a damaged
container still yields is yielded before the error.
"""

from __future__ import annotations

import copy
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from leadline.media.outlet import LINK_BYTES, PIECE_BYTES, Counted
from leadline.media.wire import Status

_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
_ENCRYPTED, _SIZES_BEHIND, _PATCHED = 0x41, 0x08, 0x20  # flags: bits 0 and 6, 3, 5 (APPNOTE 4.4.4)
_UNIX = 3  # whose external attributes are a file's mode
_END_BYTES = 22
_DEFLATE_MOST = 1032  # bytes of one packed byte
_LOCAL = struct.Struct("<4sHHHHHIIIHH")


def unpack_zip(source: BinaryIO, out: Counted) -> Status:
    size_bytes = source.seek(0, io.SEEK_END)
    try:
        end = zipfile._EndRecData(source)  # type: ignore[attr-defined]
        if not end or end[zipfile._ECD_ENTRIES_TOTAL] > out.limits.max_members:  # type: ignore[attr-defined]
            return _salvage(source, out, 0, size_bytes)
        archive = zipfile.ZipFile(source)
    except Exception:
        return _salvage(source, out, 0, size_bytes)
    # A directory that does not span the file hides members from whoever trusts it: two zips in one, or the directory
    # of a zip within a zip whose own was cut off.
    first = min((info.header_offset for info in archive.infolist()), default=archive.start_dir)
    last = end[zipfile._ECD_LOCATION] + _END_BYTES + len(archive.comment)  # type: ignore[attr-defined]
    outside = [_salvage(source, out, 0, first)]
    for info in archive.infolist():
        _unpack_entry(source, info, out)
    outside.append(_salvage(source, out, last, size_bytes))
    return max(outside)


# --- members that the directory tells of ---------------------------------------------------------------------------


class _Told(NamedTuple):
    """One telling of how a member is stored. packed: None where only the data's own end mark tells."""

    flags: int
    method: int
    packed: int | None
    size: int

    @property
    def status(self) -> Status:
        if self.flags & _ENCRYPTED:
            return Status.ENCRYPTED
        endless = self.packed is None and self.method != zipfile.ZIP_DEFLATED
        readable = self.method in _METHODS and not self.flags & _PATCHED and not endless
        return Status.OK if readable else Status.UNSUPPORTED

    @property
    def likely_size(self) -> int:
        """As declared, unless so many bytes cannot come of what is packed: else a lie makes any member too large."""
        if self.packed is None or self.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return self.size
        return min(self.size, self.packed * (1 if self.method == zipfile.ZIP_STORED else _DEFLATE_MOST))


class _Header(NamedTuple):
    told: _Told
    crc: int | None
    data_at: int


def _unpack_entry(source: BinaryIO, info: zipfile.ZipInfo, out: Counted) -> None:
    name, told = _name_of(info), _Told(info.flag_bits, info.compress_type, info.compress_size, info.file_size)
    if not info.file_size and (kind := _kind_of_nothing(info)):
        out.begin(name, 0, kind)
        return
    own = _own_header(source, info, len(name))
    if own is None:
        out.begin(name, info.file_size, Status.UNDECODABLE)
        return
    tellings = [t for t in dict.fromkeys((told, own.told)) if t.status is Status.OK]
    if not tellings:
        out.begin(name, info.file_size, told.status)
    tellings.sort(key=lambda telling: telling.likely_size > out.limits.max_member_bytes)  # if one lies, it is that one
    crcs = {info.CRC} if own.crc is None else {info.CRC, own.crc}
    for telling in tellings:
        source.seek(own.data_at)
        if _copy(_Checked(_open(source, info, telling), crcs), name, info, telling, out) is Status.OK:
            return


def _copy(data: _Checked, name: bytes, info: zipfile.ZipInfo, told: _Told, out: Counted) -> Status:
    """How the member came out; OK also where nobody wants it."""
    if _may_be_link(info):
        status = out.copy_link(data, name, told.likely_size)
    else:
        status = out.copy(data) if out.begin(name, told.likely_size) else Status.OK
    # An end mark far away is read up to for nothing: that must not be free, entries may overlap.
    out.spend(max(0, data.packed_bytes - data.size_bytes))
    return status


def _open(source: BinaryIO, info: zipfile.ZipInfo, told: _Told) -> Any:
    if told.method == zipfile.ZIP_STORED:
        return _Bounded(source, told.packed or 0)
    if told.method == zipfile.ZIP_DEFLATED:
        return _Deflated(source, told.packed)
    info = copy.copy(info)
    info.compress_type, info.compress_size, info.file_size = told.method, told.packed or 0, told.size
    stream: Any = zipfile.ZipExtFile(source, "r", info)
    stream._expected_crc = None  # it would keep the last piece of a member whose checksum is wrong
    return stream


def _own_header(source: BinaryIO, info: zipfile.ZipInfo, name_bytes: int) -> _Header | None:
    """What stands before the member's data. Its mark may be damaged where the length of the name still fits."""
    source.seek(info.header_offset)
    fields = source.read(_LOCAL.size)
    if len(fields) < _LOCAL.size:
        return None
    mark, _, flags, method, _, _, crc, packed, size, own_name_bytes, extra_bytes = _LOCAL.unpack(fields)
    if mark != b"PK\x03\x04" and own_name_bytes != name_bytes:
        return None
    at = info.header_offset + _LOCAL.size + own_name_bytes + extra_bytes
    if flags & _SIZES_BEHIND:
        return _Header(_Told(flags, method, None, 0), None, at)
    if 0xFFFFFFFF in (packed, size):  # ZIP64: the directory's reader knows where the true ones are
        packed, size = info.compress_size, info.file_size
    return _Header(_Told(flags, method, packed, size), crc, at)


def _name_of(info: zipfile.ZipInfo) -> bytes:
    """The name's bytes as stored: zipfile decodes them by the one or the other of these, both reversible."""
    return info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437", "replace")


def _kind_of_nothing(info: zipfile.ZipInfo) -> Status | None:
    """A folder or a device; only of what holds no bytes, or a mark in the directory could hide some."""
    mode = info.external_attr >> 16 if info.create_system == _UNIX else 0
    if info.is_dir() or stat.S_ISDIR(mode):
        return Status.DIRECTORY
    if stat.S_ISLNK(mode):
        return Status.LINK
    return Status.DEVICE if stat.S_IFMT(mode) not in (0, stat.S_IFREG) else None


def _may_be_link(info: zipfile.ZipInfo) -> bool:
    return info.create_system == _UNIX and stat.S_ISLNK(info.external_attr >> 16) and info.file_size <= LINK_BYTES


# --- members that only their own headers tell of -------------------------------------------------------------------


def _salvage(source: BinaryIO, out: Counted, at: int, until: int) -> Status:
    """Members by their own headers, in file order, where no directory tells of them; TRUNCATED if there were any,
    or if that is all there is to the file."""
    found = (at, until) == (0, source.seek(0, io.SEEK_END))
    while 0 <= (at := _find(source, b"PK\x03\x04", at)) < until:
        source.seek(at)
        fields = source.read(_LOCAL.size)
        if len(fields) < _LOCAL.size:
            break
        found = True
        _, _, flags, method, _, _, crc, packed, size, name_bytes, extra_bytes = _LOCAL.unpack(fields)
        name = source.read(name_bytes)
        at += _LOCAL.size + name_bytes + extra_bytes
        known = not flags & _SIZES_BEHIND and packed != 0xFFFFFFFF
        told = _Told(flags, method, packed if known else None, size if known else 0)
        kind = Status.DIRECTORY if name.endswith(b"/") and known and not packed else told.status
        if method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            kind = kind or Status.UNSUPPORTED
        data = _Deflated(source, None) if method == zipfile.ZIP_DEFLATED else _Bounded(source, packed)
        if out.begin(name, told.size, kind):
            source.seek(at)
            out.copy(_Checked(data, {crc} if known else frozenset()))
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


# --- bytes ---------------------------------------------------------------------------------------------------------


class _Checked:
    """A member's bytes; raises behind the last of them where they fit none of the checksums (none given: unchecked)."""

    def __init__(self, data: Any, crcs: set[int] | frozenset[int]) -> None:
        self._data, self._crcs, self._crc, self.size_bytes = data, crcs, 0, 0
        self._read = getattr(data, "read1", data.read)

    @property
    def packed_bytes(self) -> int:
        return int(getattr(self._data, "used_bytes", 0))

    def read(self, size: int) -> bytes:
        data: bytes = self._read(size)
        self._crc, self.size_bytes = zlib.crc32(data, self._crc), self.size_bytes + len(data)
        if not data and self._crcs and self._crc not in self._crcs:
            raise zipfile.BadZipFile("checksum")
        return data


class _Deflated:
    """Raw deflate from the source's position to its own end mark, wherever that is, but at most `packed` bytes on."""

    def __init__(self, source: BinaryIO, packed: int | None) -> None:
        self._source, self._left = source, packed
        self._inflate, self.used_bytes = zlib.decompressobj(-15), 0
        self._fault: zlib.error | None = None

    def read(self, size: int) -> bytes:
        while not self._inflate.eof:
            if self._fault:
                raise self._fault
            packed = self._inflate.unconsumed_tail or self._more()
            if data := self._expand(packed, size):  # also of no bytes at all: it may hold back the last few
                return data
            if not packed and not self._inflate.eof:
                raise EOFError("truncated")
        return b""

    def _more(self) -> bytes:
        packed = self._source.read(PIECE_BYTES if self._left is None else min(PIECE_BYTES, self._left))
        self.used_bytes += len(packed)
        if self._left is not None:
            self._left -= len(packed)
        return packed

    def _expand(self, packed: bytes, size: int) -> bytes:
        before = self._inflate.copy()
        try:
            data = self._inflate.decompress(packed, size)
        except zlib.error as fault:
            self._fault = fault
            return b"".join(_up_to_fault(before, packed))
        if self._inflate.eof:
            self.used_bytes -= len(self._inflate.unused_data)
        return data


def _up_to_fault(inflate: Any, packed: bytes) -> Iterator[bytes]:
    """zlib gives nothing of a call in which it met damage: in small steps, what came before that is there."""
    step = 64
    try:
        for at in range(0, len(packed), step):
            yield inflate.decompress(packed[at : at + step])
    except zlib.error:
        return


class _Bounded:
    def __init__(self, source: BinaryIO, size_bytes: int) -> None:
        self._source, self._left, self.used_bytes = source, size_bytes, 0

    def read(self, size: int) -> bytes:
        data = self._source.read(min(size, self._left))
        self._left -= len(data)
        if not data and self._left:
            raise EOFError("truncated")
        return data
