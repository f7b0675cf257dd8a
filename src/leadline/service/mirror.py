"""Bank folders through an S3 prefix (or a folder): one side uploads its banks, replicas pull them to their own disk.

Under a bank's identity lie its segments, pieces of its logs, and `current.json`, which names all that belongs together
and is replaced last: whoever reads it sees a whole bank. What arrives is checked against its SHA-256 before it is used.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from leadline.custody.storage import Storage
from leadline.errors import BankCorrupt, BankError
from leadline.match.bank import Bank
from leadline.match.folder import TemporaryFile, index_name, log_name, records_name, replace_file, sync_folder
from leadline.match.manifest import FILE_NAME

CURRENT = "current.json"
PULLED = "pulled.json"  # what a replica pulled last; not a file of the bank
_PIECE_BYTES = 8 << 20
_LOG = "log-"


class Piece(msgspec.Struct, frozen=True):
    """An object, and the bytes of the file that it holds."""

    object: str
    begin: int
    end: int
    sha256: str


class Files(msgspec.Struct, frozen=True):
    """current.json. files: name -> its pieces, in order. manifest: the manifest's own bytes, written last."""

    name: str
    list_version: int
    files: dict[str, tuple[Piece, ...]]
    manifest: bytes


def upload(bank: Bank, storage: Storage) -> bool:
    """Bring the prefix to what the bank is now; whether anything was new. VaultUnavailable where the service refuses.

    What an earlier state needed and this one does not is removed at the upload after this one, so that who pulls at
    this moment finds it.
    """
    bank.refresh()
    snapshot, prefix = bank.snapshot, bank.snapshot.manifest.identity
    before = _read_current(storage, prefix)
    manifest = snapshot.held.read()
    wanted: dict[str, int] = {}
    for segment in snapshot.manifest.segments:
        wanted[records_name(segment.number)] = segment.records_bytes
        wanted[index_name(segment.number)] = segment.index_bytes
    for log in snapshot.manifest.logs:
        wanted[log_name(log.number)] = log.whole_bytes
    wanted[snapshot.log_path.name] = snapshot.position.offset
    files = {
        name: _upload_file(snapshot.folder / name, size, storage, prefix, before.files.get(name, ()) if before else ())
        for name, size in wanted.items()
    }
    now = Files(bank.name, snapshot.list_version, files, manifest)
    if now == before:
        return False
    storage.put(f"{prefix}/{CURRENT}", msgspec.json.encode(now), replace=True)
    _remove_unnamed(storage, prefix, now, before)
    return True


def _upload_file(path: Path, size: int, storage: Storage, prefix: str, there: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """What is there stays: segments never change, and logs only grow (but for an end that was never acknowledged)."""
    pieces = [piece for piece in there if piece.end <= size]
    with path.open("rb") as file:
        while pieces and path.name.startswith(_LOG) and not _holds(file, pieces[-1]):
            pieces.pop()
        at = pieces[-1].end if pieces else 0
        file.seek(at)
        while at < size:
            data = file.read(min(_PIECE_BYTES, size - at))
            if not data:
                raise BankCorrupt("shorter than its manifest says", where=path.name)
            name = f"{prefix}/{path.name}.{at}-{at + len(data)}"
            storage.put(name, data, replace=True)
            pieces.append(Piece(name, at, at + len(data), hashlib.sha256(data).hexdigest()))
            at += len(data)
    return tuple(pieces)


def _holds(file: BinaryIO, piece: Piece) -> bool:
    file.seek(piece.begin)
    return hashlib.sha256(file.read(piece.end - piece.begin)).hexdigest() == piece.sha256


def _remove_unnamed(storage: Storage, prefix: str, now: Files, before: Files | None) -> None:
    named = {f"{prefix}/{CURRENT}"}
    for state in (now, before):
        named |= {piece.object for pieces in (state.files.values() if state else ()) for piece in pieces}
    for stored in list(storage.list(f"{prefix}/")):
        if stored.name not in named:
            storage.remove(stored.name)


def pull(storage: Storage, shelf: Path) -> dict[str, int]:
    """Bring every bank of the prefix into a folder of the shelf; name -> list version of those that are new or newer.

    BankCorrupt for what arrives otherwise than it was said to be, and then that bank stays as it was here. One process
    at a time: the others return at once.
    """
    with _alone(shelf) as is_alone:
        if not is_alone:
            return {}
        prefixes = sorted(s.name.partition("/")[0] for s in storage.list() if s.name.endswith(f"/{CURRENT}"))
        changed: dict[str, int] = {}
        faults: list[BankError] = []
        for prefix in prefixes:
            try:
                if (files := _pull_bank(storage, prefix, shelf / prefix)) is not None:
                    changed[files.name] = files.list_version
            except FileNotFoundError:
                continue  # it was uploaded anew meanwhile: the next time
            except BankError as error:
                faults.append(error)
        if faults:
            raise faults[0]
        return changed


@contextlib.contextmanager
def _alone(shelf: Path) -> Iterator[bool]:
    shelf.mkdir(parents=True, exist_ok=True)
    fd = os.open(shelf / ".pulling", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)


def _pull_bank(storage: Storage, prefix: str, folder: Path) -> Files | None:
    """None where nothing is new."""
    files = _read_current(storage, prefix)
    if files is None:
        return None
    pulled = msgspec.json.encode(files)
    with contextlib.suppress(FileNotFoundError):
        if (folder / PULLED).read_bytes() == pulled:
            return None
    folder.mkdir(exist_ok=True)
    for name, pieces in files.files.items():
        if Path(name).name != name or name.startswith("."):
            raise BankCorrupt("a file of the bank lies elsewhere", where=prefix)
        _pull_file(storage, folder / name, pieces)
    sync_folder(folder)
    if not (folder / FILE_NAME).exists() or (folder / FILE_NAME).read_bytes() != files.manifest:
        replace_file(folder / FILE_NAME, files.manifest)
    replace_file(folder / PULLED, pulled)
    for path in folder.iterdir():
        if path.name.startswith(("seg-", _LOG)) and path.name not in files.files:
            path.unlink()
    return files


def _pull_file(storage: Storage, path: Path, pieces: tuple[Piece, ...]) -> None:
    """A segment appears whole under its name; a log is added to, as its writer adds to it."""
    there = path.stat().st_size if path.exists() else 0
    if not path.name.startswith(_LOG):
        if there != (pieces[-1].end if pieces else 0):
            _write_whole(storage, path, pieces)
    elif there and _is_prefix(path, there, pieces):
        with path.open("ab") as log:
            for piece in pieces:
                if piece.end > there:
                    log.write(_read_piece(storage, piece)[max(0, there - piece.begin) :])
            log.flush()
            os.fsync(log.fileno())
    else:
        _write_whole(storage, path, pieces)


def _is_prefix(path: Path, there: int, pieces: tuple[Piece, ...]) -> bool:
    """Whether what is here of a log begins what the pieces are together; half a piece at its end is looked at later."""
    with path.open("rb") as log:
        return there <= pieces[-1].end and all(_holds(log, piece) for piece in pieces if piece.end <= there)


def _write_whole(storage: Storage, path: Path, pieces: tuple[Piece, ...]) -> None:
    made = TemporaryFile(path.parent)
    try:
        for piece in pieces:
            made.stream.write(_read_piece(storage, piece))
        made.keep_as(path)
    finally:
        made.discard()


def _read_piece(storage: Storage, piece: Piece) -> bytes:
    data = storage.read(piece.object)
    if len(data) != piece.end - piece.begin or hashlib.sha256(data).hexdigest() != piece.sha256:
        raise BankCorrupt("a piece of a bank arrived otherwise than it was said to be", where=piece.object)
    return data


def _read_current(storage: Storage, prefix: str) -> Files | None:
    try:
        untrusted = storage.read(f"{prefix}/{CURRENT}")
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(untrusted, type=Files)
    except msgspec.DecodeError as error:
        raise BankCorrupt(f"current.json cannot be read: {error}", where=prefix) from None
