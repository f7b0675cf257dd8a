"""Where sealed objects lie: the protocol, and a folder that keeps it. Never sees a plaintext or a key that opens one.

An object is whole or not there, and on the disk once a call has returned.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Protocol

from leadline.errors import ConfigError, VaultUnavailable
from leadline.match.folder import sync_folder  # custody's own lies beside what needs more than the match service brings

SMALL_BYTES = 64 << 10  # up to here an object is overwritten before it is removed or replaced
_INCOMING = "incoming"
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*(?:/[a-z0-9][a-z0-9.-]*)*")
_TEMPORARY = re.compile(r"tmp-[0-9a-f]{16}")


class Stored(NamedTuple):
    """An object: its name, its size, and when it was written (seconds since 1970 UTC by the storage's clock)."""

    name: str
    size_bytes: int
    modified_s: float


class Sink(Protocol):
    """An object under construction. It gets its name at the end, when the hash of its contents is known."""

    def write(self, data: bytes) -> None: ...

    def keep_as(self, name: str) -> None:
        """Whole and lasting under this name. At most once; nothing is written after it."""

    def discard(self) -> None:
        """Remove what was not kept. Safe to call twice, and after `keep_as`."""


class Storage(Protocol):
    """Names are lower-case letters, digits, `.`, `-` and `/`. VaultUnavailable where disk or service refuse."""

    def begin(self) -> Sink:
        """A new object, for large contents."""

    def put(self, name: str, data: bytes, *, replace: bool = False) -> bool:
        """A small object in one step. Without `replace`, False where there is one: of two at once, one wins."""

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Its bytes from `offset` on, fewer than `length` at its end. FileNotFoundError where there is none."""

    def remove(self, name: str) -> None:
        """It is gone when this returns, as far as the storage can; nobody reads half of it. Absent is as good."""

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """The objects whose names begin so; those that share a name up to the first dot come together."""

    def sweep(self) -> int:
        """Remove what writers that are dead have left unfinished; how many there were."""


class FolderStorage:
    """A folder of mode 700 with files of mode 600, on a file system with hard links and locks."""

    def __init__(self, root: Path) -> None:
        """Makes the folder where there is none. ConfigError where others can read it."""
        self.root = root
        self._synced: set[Path] = set()
        with _said(root):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            facts = root.lstat()
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid not in (os.geteuid(), 0):
            raise ConfigError("not a folder of ours", where=str(root), mend="name a folder that Leadline's user owns")
        if stat.S_IMODE(facts.st_mode) & 0o077:
            raise ConfigError("others can read this folder", where=str(root), mend="chmod 700 it")
        with _said(root):
            self._prepare(root / _INCOMING)

    def begin(self) -> FolderSink:
        return FolderSink(self)

    def put(self, name: str, data: bytes, *, replace: bool = False) -> bool:
        path = self.path_of(name)
        sink = self.begin()
        try:
            sink.write(data)
            if replace:
                with _old_contents(path):
                    sink.keep_as(name)
                return True
            return sink.keep_new(name)
        finally:
            sink.discard()

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        with _said(self.root, may_be_absent=True):
            fd = os.open(self.path_of(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                wanted = max(0, os.fstat(fd).st_size - offset) if length is None else length
                return _read_fully(fd, offset, wanted)
            finally:
                os.close(fd)

    def remove(self, name: str) -> None:
        path, aside = self.path_of(name), self.new_temporary()
        with _said(self.root), contextlib.suppress(FileNotFoundError):
            os.replace(path, aside)  # first, so that nobody ever reads the zeros under its name
            sync_folder(path.parent)
            _wipe(aside)
            aside.unlink(missing_ok=True)
        if os.path.lexists(path):
            mend = "is there a folder incoming?"
            raise VaultUnavailable("an object cannot be removed", where=str(self.root), mend=mend)

    def list(self, prefix: str = "") -> Iterator[Stored]:
        folder = self.root / prefix.rpartition("/")[0]
        for stored in self._walk(folder):
            if stored.name.startswith(prefix):
                yield stored

    def sweep(self) -> int:
        swept = 0
        with _said(self.root):
            for path in sorted((self.root / _INCOMING).iterdir()):
                swept += bool(_TEMPORARY.fullmatch(path.name)) and _remove_orphan(path)
            sync_folder(self.root / _INCOMING)
        return swept

    def path_of(self, name: str) -> Path:
        if not _NAME.fullmatch(name) or name.startswith(f"{_INCOMING}/"):
            raise ValueError(f"not a name of a stored object: {name!r}")
        return self.root / name

    def new_temporary(self) -> Path:
        return self.root / _INCOMING / f"tmp-{secrets.token_hex(8)}"

    def prepare_folder_of(self, path: Path) -> None:
        self._prepare(path.parent)

    def _prepare(self, folder: Path) -> None:
        """Make the folder and those above it last, once a process: another one may have made them a moment ago."""
        if folder in self._synced or folder == self.root:
            return
        self._prepare(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)
        self._synced.add(folder)

    def _walk(self, folder: Path) -> Iterator[Stored]:
        with _said(self.root):
            try:
                with os.scandir(folder) as scan:
                    entries = sorted(scan, key=lambda entry: entry.name)
            except FileNotFoundError:
                self.root.stat()  # nothing of that name, or no folder at all any more
                return
        for entry in entries:
            name = Path(entry.path).relative_to(self.root).as_posix()
            if entry.is_dir(follow_symlinks=False):
                if name != _INCOMING:
                    yield from self._walk(Path(entry.path))
                continue
            with contextlib.suppress(FileNotFoundError):  # removed since the folder was read
                facts = entry.stat(follow_symlinks=False)
                yield Stored(name, facts.st_size, facts.st_mtime)


class FolderSink:
    """A temporary file, locked by its maker: one whose lock can be had belongs to nobody alive."""

    def __init__(self, storage: FolderStorage) -> None:
        self._storage, self._there = storage, False
        with _said(storage.root):
            while True:
                self._path = storage.new_temporary()
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                self._fd = os.open(self._path, flags, 0o600)
                fcntl.flock(self._fd, fcntl.LOCK_EX)
                if self._path.exists():  # else a sweep took it for an orphan before it was locked
                    break
                os.close(self._fd)
        self._there = True

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        with _said(self._storage.root):
            while view:
                view = view[os.write(self._fd, view) :]

    def keep_as(self, name: str) -> None:
        path = self._storage.path_of(name)
        with _said(self._storage.root):
            os.fsync(self._fd)
            self._storage.prepare_folder_of(path)
            os.replace(self._path, path)
            self._there = False
            sync_folder(path.parent)

    def keep_new(self, name: str) -> bool:
        """`keep_as`, but False where an object of the name is there."""
        path = self._storage.path_of(name)
        with _said(self._storage.root):
            os.fsync(self._fd)
            self._storage.prepare_folder_of(path)
            try:
                os.link(self._path, path)  # unlike a rename it never replaces what is there
            except FileExistsError:
                return False
            sync_folder(path.parent)
        return True

    def discard(self) -> None:
        if self._there:
            self._path.unlink(missing_ok=True)
            self._there = False
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def open_storage(place: str | Path) -> Storage:
    """A folder, or `s3://BUCKET/PREFIX?endpoint=URL` (extra `leadline[s3]`). ConfigError where it may not be used."""
    check_place(place)
    if _is_s3(place):
        from leadline.custody.s3 import S3Storage  # boto3 is needed by those who use it only

        return S3Storage.connect(str(place))
    return FolderStorage(Path(place))


def check_place(place: str | Path) -> None:
    """ConfigError where what storage of its kind needs is not installed. Asks no service."""
    if _is_s3(place) and find_spec("boto3") is None:
        mend = "pip install 'leadline[s3]'"
        raise ConfigError("S3 needs boto3, which is not installed", where=str(place), mend=mend)


def _is_s3(place: str | Path) -> bool:
    return isinstance(place, str) and place.startswith("s3://")


@contextmanager
def _said(root: Path, *, may_be_absent: bool = False) -> Iterator[None]:
    """An OSError of the disk as VaultUnavailable; where a file may be absent, that stays FileNotFoundError."""
    try:
        yield
    except OSError as error:
        if may_be_absent and isinstance(error, FileNotFoundError):
            raise
        mend = "check disk space and permissions, then retry"
        raise VaultUnavailable(f"the vault's folder: {error.strerror}", where=str(root), mend=mend) from error


def _read_fully(fd: int, offset: int, length: int) -> bytes:
    pieces: list[bytes] = []
    while length > 0 and (piece := os.pread(fd, length, offset)):
        pieces.append(piece)
        offset, length = offset + len(piece), length - len(piece)
    return b"".join(pieces)


def _wipe(path: Path) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _overwrite(fd)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):  # a full disk that copies on write: removing it still helps
            raise
    finally:
        os.close(fd)


def _overwrite(fd: int) -> None:
    """Zeros in place of a small object, synced. A file system that copies on write, or an SSD, may keep the old."""
    size = os.fstat(fd).st_size
    if size <= SMALL_BYTES:
        os.pwrite(fd, bytes(size), 0)
        os.fsync(fd)


@contextmanager
def _old_contents(path: Path) -> Iterator[None]:
    """Overwrite what `path` held before the block replaced it."""
    fd = -1
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield
        if fd >= 0 and not os.path.samestat(os.stat(path), os.fstat(fd)):
            _overwrite(fd)
    finally:
        if fd >= 0:
            os.close(fd)


def _remove_orphan(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its maker lets go of the lock last: what is no longer under this name now is kept under its own by now.
        if not os.path.samestat(os.lstat(path), os.fstat(fd)):
            return False
        if os.fstat(fd).st_nlink == 1:  # else it is kept already, under its name
            _overwrite(fd)
        path.unlink(missing_ok=True)
        return True
    except (BlockingIOError, FileNotFoundError):
        return False
    finally:
        os.close(fd)
