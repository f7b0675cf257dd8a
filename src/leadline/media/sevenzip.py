"""7z containers -> their members, by py7zr and into memory only. Runs inside the sandbox only.

PPMd is told as unsupported: its decoder starts a thread, which the lock does not allow.
"""

from __future__ import annotations

import zlib
from typing import Any, BinaryIO

import py7zr
import py7zr.compressor
import py7zr.exceptions
import py7zr.io
import py7zr.py7zr

from leadline.media.outlet import LINK_BYTES, Counted, is_link_text, status_of
from leadline.media.wire import Refused, Skipped, Status

_PIECE_BYTES = 128_000_000  # py7zr's own upper bound; with less it cannot read Brotli


def prepare() -> None:
    # Its own asks /proc for free memory.
    setattr(py7zr.py7zr, "get_memory_limit", lambda: _PIECE_BYTES)  # noqa: B010 (not an export of theirs)


class _Member(py7zr.io.MemIO):
    """What py7zr writes one member to. What is said to be a link is held until its content tells whether it can be."""

    def __init__(self, entry: Any, out: Counted) -> None:
        self._name = entry.filename.encode("utf-8", "surrogatepass")
        self._size, self._kind, self._out = entry.uncompressed or 0, _7z_kind(entry), out
        self._wanted = self.begun = False
        # Checked here: where py7zr finds a checksum wrong, it gives up the block with all that is sound in it.
        self._crc_told, self._crc = entry.crc32, 0
        entry._file_info["digest"] = None
        self._held = bytearray() if self._kind is Status.LINK and self._size else None

    def begin(self, fault: Status = Status.OK) -> None:
        if not self.begun:
            self.begun = True
            self._wanted = self._out.begin(self._name, self._size, self._kind or fault)

    def open(self, mode: str = "w") -> _Member:
        if self._held is None:
            self.begin()
        return self

    @property
    def is_damaged(self) -> bool:
        return self._crc_told is not None and self._crc != self._crc_told

    def write(self, data: bytes | bytearray) -> int:
        self._crc = zlib.crc32(data, self._crc)
        if self._held is not None:
            self._held += data
            if len(self._held) > LINK_BYTES:
                self._let_go()
        elif not self._wanted:
            self._out.spend(len(data))
        else:
            self._pass_on(data)
        return len(data)

    def _pass_on(self, data: bytes | bytearray) -> None:
        try:
            self._out.write(data)
        except Skipped:
            self._wanted = False

    def _let_go(self) -> None:
        """It is what it can be: a link, or the file that these bytes are of."""
        held, self._held = bytes(self._held or b""), None
        if is_link_text(held):
            self.begin()
            return
        self._kind = Status.OK
        self.begin()
        if self._wanted:
            self._pass_on(held)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if self._held is not None and not isinstance(error, Refused):
            self._let_go()
        if self._wanted and not isinstance(error, Refused):
            whole = Status.UNDECODABLE if self.is_damaged else Status.OK
            self._out.end(whole if error is None else status_of(error))
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
    if fault is Status.OK and any(member.is_damaged for member in members.values()):
        return Status.UNDECODABLE
    # What cannot be read for a lawful reason is told of each member; the container as a whole is sound.
    return Status.OK if fault in (Status.ENCRYPTED, Status.UNSUPPORTED) else fault


_PPMD = b"\x03\x04\x01"


def _folder_fault(folder: Any) -> Status:
    if any(coder["method"] == _PPMD for coder in folder.coders):
        return Status.UNSUPPORTED  # its decoder starts a thread, which a locked process may not
    needs_password = py7zr.compressor.SupportedMethods.needs_password(folder.coders)
    return Status.ENCRYPTED if needs_password else Status.OK


def _7z_kind(entry: Any) -> Status:
    """Bytes are a file's whatever else an attribute, one bit of it, may call them."""
    if entry.is_symlink or entry.is_junction:
        return Status.LINK if (entry.uncompressed or 0) <= LINK_BYTES else Status.OK
    if entry.uncompressed:
        return Status.OK
    if entry.is_directory:
        return Status.DIRECTORY
    return Status.DEVICE if entry.is_socket else Status.OK
