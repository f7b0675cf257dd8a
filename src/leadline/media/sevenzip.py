"""7z containers -> their members, by py7zr and into memory only. Runs inside the sandbox only.

PPMd is told as unsupported: its decoder starts a thread, which the lock does not allow.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import py7zr
import py7zr.compressor
import py7zr.exceptions
import py7zr.io
import py7zr.py7zr

from leadline.media.outlet import Counted, status_of
from leadline.media.wire import Refused, Skipped, Status

_PIECE_BYTES = 128_000_000  # py7zr's own upper bound; with less it cannot read Brotli


def prepare() -> None:
    # Its own asks /proc for free memory.
    setattr(py7zr.py7zr, "get_memory_limit", lambda: _PIECE_BYTES)  # noqa: B010 (not an export of theirs)


class _Member(py7zr.io.MemIO):
    """What py7zr writes one member to."""

    def __init__(self, entry: Any, out: Counted) -> None:
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
            self._out.end(Status.OK if error is None else status_of(error))
        self._wanted = False


def unpack_7z(source: BinaryIO, out: Counted) -> Status:
    archive = py7zr.SevenZipFile(source)
    streams: Any = getattr(archive.header, "main_streams", None)
    for entry in archive.files:
        if entry.emptystream:
            with _Member(entry, out) as empty:
                empty.begin()
    worst = Status.OK
    for number, folder in enumerate(streams.unpackinfo.folders if streams else ()):
        start, end = (archive.worker.src_start + streams.packinfo.packpositions[number + at] for at in (0, 1))
        worst = max(worst, _unpack_folder(archive.worker, source, folder, (start, end), out))
    return worst


def _unpack_folder(worker: Any, source: BinaryIO, folder: Any, span: tuple[int, int], out: Counted) -> Status:
    """One solid block; its first fault ends the block, and its later members are told as skipped for that reason."""
    entries = folder.files or ()
    members = {entry.id: _Member(entry, out) for entry in entries}
    for entry_id, member in members.items():
        worker.register_filelike(entry_id, member)
    fault = _folder_fault(folder)
    try:
        if fault is Status.OK:
            worker.extract_single(source, entries, None, *span, None)
    except (Refused, MemoryError):
        raise
    except Exception as error:
        fault = status_of(error)
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
