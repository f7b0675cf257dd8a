"""Hostile tars and packed files -> their members, streamed. Inside the sandbox only; writes nowhere, follows no name.

A member's name is bytes for people to read and nothing else. Links, devices and folders are told as skipped. What a
damaged container still yields is yielded before the error.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import tarfile
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from leadline.media import sevenzip
from leadline.media.outlet import Counted, status_of
from leadline.media.sniff import sniff
from leadline.media.wire import Status


def prepare() -> None:
    """Load now what the libraries would look for later, when nothing can be opened any more."""
    for encoding in ("ascii", "latin-1", "cp437", "utf-8", "utf-16-le"):
        codecs.lookup(encoding)
    sevenzip.prepare()


# --- single files, or tars, packed by gzip, bzip2, xz ----------------------------------------------------------------


class _Gzip:
    """A gzip stream that ends where no member of it follows, as for gzip itself; bzip2's and xz's readers do so too."""

    def __init__(self, source: BinaryIO) -> None:
        self._stream, self._begun, self.trailing = gzip.GzipFile(fileobj=source, mode="rb"), False, False

    def read1(self, size: int) -> bytes:
        try:
            data = self._stream.read1(size)
        except gzip.BadGzipFile as error:
            if not self._begun or not str(error).startswith("Not a gzipped file"):
                raise
            self.trailing = True
            return b""
        self._begun = True
        return data


_STREAMS: dict[str, Callable[[BinaryIO], Any]] = {
    "application/gzip": _Gzip,
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
    packed = _STREAMS[mime](source)
    stream, status = _Ahead(packed), Status.OK
    if sniff(stream.first) == "application/x-tar":
        status = unpack_tar(stream, out)
    elif out.begin(b"", 0):
        out.copy(stream)
    return status or (Status.TRAILING if getattr(packed, "trailing", False) else Status.OK)


# --- tar -------------------------------------------------------------------------------------------------------------


_headers: Any = tarfile  # names that its stubs do not have


def unpack_tar(stream: Any, out: Counted) -> Status:
    """Members by the headers that hold; where one does not, it goes on at the next, as GNU tar does."""
    headers: list[type[tarfile.HeaderError]] = []  # why blocks where headers should stand were none, each kind once

    class Info(tarfile.TarInfo):
        """Remembers damage: tarfile itself passes over it in silence, or takes it for the end."""

        @classmethod
        def fromtarfile(cls, archive: tarfile.TarFile) -> Any:
            try:
                return super().fromtarfile(archive)
            except tarfile.HeaderError as error:
                if type(error) not in headers:
                    headers.append(type(error))
                if isinstance(error, _headers.SubsequentHeaderError):  # would end the tar
                    raise _headers.InvalidHeaderError(str(error)) from None
                raise

    tape = _Tape(stream, out)
    try:
        with tarfile.open(
            fileobj=cast(Any, tape), mode="r|", tarinfo=Info, encoding="utf-8", errors="surrogateescape",
            ignore_zeros=True,
        ) as archive:  # fmt: skip
            for info in archive:
                if out.begin(info.name.encode("utf-8", "surrogateescape"), info.size, _kind_of(info)):
                    tape.counts = False
                    out.copy(archive.extractfile(info) if info.issparse() else _Body(archive, info.size, tape))
                    tape.counts = True
                cast(Any, archive).members.clear()  # else a tar of a million members is a million objects
    except tarfile.ReadError as error:
        return status_of(tape.fault or error)
    return status_of(tape.fault) if tape.fault else _how_it_ended(headers)


def _how_it_ended(headers: list[type[tarfile.HeaderError]]) -> Status:
    names = [kind.__name__ for kind in headers]
    if "SubsequentHeaderError" in names:
        return Status.UNDECODABLE
    faults = [name for name in names if name in ("TruncatedHeaderError", "InvalidHeaderError")]
    if not faults:
        return Status.OK
    if names[0] == "EOFHeaderError":  # behind the empty blocks of a tar's end it is no damage
        return Status.TRAILING
    return Status.UNDECODABLE if "InvalidHeaderError" in faults else Status.TRUNCATED


class _Tape:
    """What tarfile reads from: a fault is an end to it, so that it keeps what came before.

    Counts what is read beside wanted members (headers, skipped members), so that none of it is unbounded.
    """

    def __init__(self, stream: Any, out: Counted) -> None:
        self._stream, self._out, self.counts = stream, out, True
        self.fault: Exception | None = None

    def read(self, size: int) -> bytes:
        if self.fault:
            return b""
        try:
            data: bytes = self._stream.read(size)
        except MemoryError:
            raise
        except Exception as error:
            self.fault = error
            return b""
        if self.counts:
            self._out.spend(len(data))
        return data


class _Body:
    """A member's bytes as far as they go: tarfile's own reader keeps what it has where the tar is cut off."""

    def __init__(self, archive: tarfile.TarFile, size_bytes: int, tape: _Tape) -> None:
        self._file, self._left, self._tape = cast(Any, archive.fileobj), size_bytes, tape

    def read(self, size: int) -> bytes:
        data: bytes = self._file.read(min(size, self._left))
        self._left -= len(data)
        if not data and self._left:
            raise self._tape.fault or EOFError("truncated")
        return data


def _kind_of(info: tarfile.TarInfo) -> Status:
    """A type that is not known is a file's, as for GNU tar: anyone can write another letter there."""
    if info.isdir():
        return Status.DIRECTORY
    if info.issym() or info.islnk():
        return Status.LINK
    return Status.DEVICE if info.isdev() else Status.OK
