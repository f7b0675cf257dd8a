"""One container for every stored table: named arrays, typed, versioned, checksummed; trusts nothing it reads.

Layout: 64 header bytes · sections, each at a multiple of 64 (8 inside a log frame) · table of contents (msgpack) ·
64 trailer bytes (where the contents lie, their CRC-32, the file's length). The contents come last so that
sections of unknown length can be streamed.
"""

from __future__ import annotations

import ctypes
import io
import mmap
import os
import struct
import sys
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import DTypeLike, NDArray

from leadline.errors import BankCorrupt

Array = NDArray[Any]
Sections = dict[str, Array]

_HEADER = b"LEADLINE-TABLE\x00\x01".ljust(64, b"\x00")  # the last byte of the name is the format's version
_TRAILER = struct.Struct("<8sQQQI24xI")  # magic, contents at, contents bytes, file bytes, contents crc, own crc
_TRAILER_MAGIC = b"LLTABEND"
_DTYPES = {"u1": "|u1", "u4": "<u4", "u8": "<u8", "i8": "<i8"}
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}
_MAX_SECTIONS = 4096
_WARM_STEP_BYTES = 32 << 20
_MADV_POPULATE_READ = 22  # linux/mman.h, since 5.14; Python has no name for it yet
_MEND = "run `leadline bank verify`, then restore the bank from a copy"


class _Section(msgspec.Struct, array_like=True, frozen=True):
    """One line of the contents; `columns` 0 for a plain row of numbers, else the width of a 2-D section."""

    name: str
    dtype: str
    rows: int
    columns: int
    offset: int
    crc: int

    @property
    def size_bytes(self) -> int:
        return self.rows * max(self.columns, 1) * np.dtype(_DTYPES[self.dtype]).itemsize


class TableWriter:
    """Writes a table section by section; nothing is readable as a table before `finish`."""

    def __init__(self, stream: BinaryIO, *, align: int = 64) -> None:
        self._stream, self._align, self._at = stream, align, 0
        self._contents: list[_Section] = []
        self._write(_HEADER)

    def add(self, name: str, array: Array) -> None:
        columns = array.shape[1] if array.ndim == 2 else 0
        self.add_chunks(name, array.dtype, columns, [array])

    def add_chunks(self, name: str, dtype: DTypeLike, columns: int, chunks: Iterable[Array]) -> None:
        """One section from arrays (N, columns), or (N,) where columns is 0, written as they come."""
        self._write(b"\x00" * (-self._at % self._align))
        offset, crc, rows = self._at, 0, 0
        for chunk in chunks:
            rows += len(chunk)
            if chunk.size:
                view = _bytes_of(np.ascontiguousarray(chunk, dtype=dtype))
                crc = zlib.crc32(view, crc)
                self._write(view)
        self._contents.append(_Section(name, _NAMES[np.dtype(dtype)], rows, columns, offset, crc))

    def finish(self) -> int:
        """Writes contents and trailer; returns the table's length in bytes."""
        self._write(b"\x00" * (-self._at % self._align))
        contents, at = msgspec.msgpack.encode(self._contents), self._at
        self._write(contents)
        trailer = _TRAILER.pack(
            _TRAILER_MAGIC, at, len(contents), self._at + _TRAILER.size, zlib.crc32(contents), 0
        )
        self._write(trailer[:-4] + zlib.crc32(trailer[:-4]).to_bytes(4, "little"))
        return self._at

    def map_sections(self, file: BinaryIO) -> Sections:
        """The sections written so far, mapped from the (flushed) file this writer fills."""
        self._stream.flush()
        buffer = mmap.mmap(file.fileno(), self._at, access=mmap.ACCESS_READ)
        return {section.name: _as_array(buffer, section) for section in self._contents}

    def _write(self, data: bytes | memoryview) -> None:
        self._stream.write(data)
        self._at += len(data)


def encode_table(sections: Sections) -> bytes:
    """A whole table in memory, packed to 8 bytes: the payload of a log frame."""
    stream = io.BytesIO()
    writer = TableWriter(stream, align=8)
    for name, array in sections.items():
        writer.add(name, array)
    writer.finish()
    return stream.getvalue()


class Table:
    """An opened table. Opening checks header, trailer, contents and bounds; `damage` reads every byte."""

    def __init__(self, buffer: bytes | mmap.mmap, where: str) -> None:
        self.where, self.size_bytes, self._buffer = where, len(buffer), buffer
        self._is_warm = False
        self._contents = _read_contents(buffer, where)
        self.sections: Sections = {s.name: _as_array(buffer, s) for s in self._contents}

    def warm(self) -> None:
        """Map all of it now, as far as the system can: else each page costs the first search that meets it a fault."""
        if isinstance(self._buffer, mmap.mmap) and not self._is_warm:
            self._is_warm = True
            _populate(self._buffer)

    def cool(self) -> None:
        """Give back the memory of what was read; it comes from the file again when it is needed."""
        if isinstance(self._buffer, mmap.mmap):
            self._is_warm = False
            with suppress(OSError, ValueError):
                self._buffer.madvise(mmap.MADV_DONTNEED)

    def damage(self) -> list[str]:
        """The sections whose checksum is wrong, as sentences; [] when all is sound."""
        wrong = []
        for section in self._contents:
            array = self.sections[section.name]
            if zlib.crc32(_bytes_of(array) if array.size else b"") != section.crc:
                wrong.append(f"section {section.name} of {self.where}: checksum wrong")
        return wrong


def open_table(path: Path) -> Table:
    """Map a table read-only. FileNotFoundError where it is absent, BankCorrupt where it contradicts itself."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise BankCorrupt("empty table", where=path.name, mend=_MEND)
        buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    # Large pages spare the search a page walk per bucket; newer Linux gives them to files, others refuse.
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):
            buffer.madvise(mmap.MADV_HUGEPAGE)
    return Table(buffer, path.name)


def _populate(buffer: mmap.mmap) -> None:
    """`mmap.madvise` keeps Python's lock, for a gigabyte a quarter of a second of it: a foreign call lets it go.

    An older kernel refuses, and a page that cannot be read ends it: the searches meet the rest by themselves.
    """
    if sys.platform != "linux":
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    begins = np.frombuffer(buffer, np.uint8).ctypes.data
    for at in range(0, len(buffer), _WARM_STEP_BYTES):  # others of this process map memory between the steps
        if madvise(begins + at, min(_WARM_STEP_BYTES, len(buffer) - at), _MADV_POPULATE_READ):
            return


def _read_contents(untrusted: bytes | mmap.mmap, where: str) -> list[_Section]:
    size = len(untrusted)
    if size < len(_HEADER) + _TRAILER.size or untrusted[: len(_HEADER)] != _HEADER:
        raise BankCorrupt("not a table of this version", where=where, mend=_MEND)
    tail = untrusted[size - _TRAILER.size :]
    magic, at, length, file_bytes, crc, own = _TRAILER.unpack(tail)
    if magic != _TRAILER_MAGIC or own != zlib.crc32(tail[:-4]) or file_bytes != size:
        raise BankCorrupt("table cut short or its trailer damaged", where=where, mend=_MEND)
    if at + length + _TRAILER.size != size or zlib.crc32(untrusted[at : at + length]) != crc:
        raise BankCorrupt("table of contents damaged", where=where, mend=_MEND)
    try:
        contents = msgspec.msgpack.decode(untrusted[at : at + length], type=list[_Section])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BankCorrupt(f"table of contents unreadable: {error}", where=where, mend=_MEND) from None
    names = {section.name for section in contents}
    if len(contents) > _MAX_SECTIONS or len(names) != len(contents):
        raise BankCorrupt("table of contents repeats itself or is too long", where=where, mend=_MEND)
    for section in contents:
        _check_bounds(section, at, where)
    return contents


def _check_bounds(untrusted: _Section, end: int, where: str) -> None:
    fits = (
        untrusted.dtype in _DTYPES
        and 0 <= untrusted.rows <= end
        and 0 <= untrusted.columns <= 1 << 16
        and untrusted.offset % 8 == 0
        and len(_HEADER) <= untrusted.offset <= untrusted.offset + untrusted.size_bytes <= end
    )
    if not fits:
        raise BankCorrupt("a section lies outside its table", where=f"{untrusted.name} of {where}", mend=_MEND)


def _bytes_of(array: Array) -> memoryview:
    return array.data.cast("B")


def _as_array(buffer: bytes | mmap.mmap, section: _Section) -> Array:
    count = section.rows * max(section.columns, 1)
    array = np.frombuffer(buffer, dtype=_DTYPES[section.dtype], count=count, offset=section.offset)
    return array.reshape(section.rows, section.columns) if section.columns else array
