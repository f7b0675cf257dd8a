"""What a scan goes through: folders and single files, in one order for ever. Opens no file, follows nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from leadline.errors import ConfigError
from leadline.scan.names import show_name
from leadline.scan.reading import describe_mode, list_folder, open_folder, os_fault

Names = tuple[bytes, ...]
_END: tuple[Names, None] = ((), None)


@dataclass(frozen=True, slots=True)
class Listed:
    """One thing the walk met.

    order   where it stands in the walk: (number of the source, names of the folders down to it); totally ordered
    skip    "" for a file to be read, else why it is skipped
    fault   "" or (code, message) of what could not be listed
    """

    path: bytes
    order: tuple[int, Names]
    size_bytes: int = 0
    mtime_ns: int | None = None
    ctime_ns: int | None = None
    skip: str = ""
    fault: tuple[str, str] | None = None


class Source(Protocol):
    """Where files come from. Paths are bytes, absolute, and readable by every lane of the scan."""

    root: bytes

    def walk(self) -> Iterator[Listed]:
        """Everything in it, always in the same order."""

    def order(self, path: bytes) -> tuple[int, Names] | None:
        """Where a path stands in `walk`; None if it is not of this source."""

    def count(self, stop: Callable[[], bool]) -> Iterator[int]:
        """Numbers that add up to how many things `walk` will list; ends early when `stop` says so."""


class PathSource:
    """A folder with all it holds on its own file system, or one file."""

    def __init__(self, path: bytes, number: int = 0) -> None:
        self.root = os.path.abspath(path)
        self.number = number

    def order(self, path: bytes) -> tuple[int, Names] | None:
        if path == self.root:
            return self.number, ()
        prefix = os.path.join(self.root, b"")
        if not path.startswith(prefix):
            return None
        return self.number, tuple(path[len(prefix) :].split(os.sep.encode()))

    def walk(self) -> Iterator[Listed]:
        """Depth first, names sorted by their bytes. The names of one folder are in memory at a time."""
        try:
            top = os.lstat(self.root)
        except OSError as error:
            yield self._faulty(self.root, (), error)
            return
        if not stat.S_ISDIR(top.st_mode):
            yield self._listed(self.root, (), top)
            return
        # A stack of its own: folders may nest deeper than Python recurses.
        stack: list[Iterator[tuple[Names, bytes | None]]] = [iter([((), self.root)])]
        while stack:
            names, path = next(stack[-1], _END)
            if path is None:
                stack.pop()
            elif isinstance(met := self._meet(names, path, top.st_dev), Listed):
                yield met
            else:
                stack.append(met)

    def _meet(self, names: Names, path: bytes, device: int) -> Listed | Iterator[tuple[Names, bytes | None]]:
        """A thing to list, or of a folder what it holds."""
        try:
            status = os.lstat(path)
            # Of folders only: a file on an overlay may bear the device of the layer it lies in, and is no other mount.
            if not stat.S_ISDIR(status.st_mode):
                return self._listed(path, names, status)
            if status.st_dev != device:
                return self._listed(path, names, status, "another file system, not entered")
            inside = list_folder(path)
        except OSError as error:
            return self._faulty(path, names, error)
        return (((*names, name), os.path.join(path, name)) for name in inside)

    def _listed(self, path: bytes, names: Names, status: os.stat_result, skip: str = "") -> Listed:
        skip = skip or describe_mode(status.st_mode)
        size = status.st_size if stat.S_ISREG(status.st_mode) else 0
        return Listed(path, (self.number, names), size, status.st_mtime_ns, status.st_ctime_ns, skip)

    def _faulty(self, path: bytes, names: Names, error: OSError) -> Listed:
        fault = os_fault(error, path)
        return Listed(path, (self.number, names), fault=(fault.code, fault.what))

    def count(self, stop: Callable[[], bool]) -> Iterator[int]:
        """Fast: no look at files, one at each folder; a folder that cannot be entered counts as one."""
        if not os.path.isdir(self.root) or os.path.islink(self.root):
            yield 1
            return
        waiting, device = [self.root], os.lstat(self.root).st_dev
        while waiting and not stop():
            number, folders = _count_folder(waiting.pop(), device)
            waiting += folders
            yield number


def _count_folder(path: bytes, device: int) -> tuple[int, list[bytes]]:
    number, folders = 0, []
    try:
        if os.lstat(path).st_dev != device:
            return 1, []
        with open_folder(path) as folder, os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(os.path.join(path, os.fsencode(entry.name)))
                else:
                    number += 1
    except OSError:
        return 1, []
    return number, folders


def open_sources(paths: Sequence[str | bytes | os.PathLike[str]]) -> list[PathSource]:
    """Paths -> sources, in the order given. Raises ConfigError: none, absent, or one inside another."""
    sources = [PathSource(os.fsencode(path), number) for number, path in enumerate(paths)]
    if not sources:
        raise ConfigError("nothing to scan", mend="name a folder or a file")
    for source in sources:
        if not os.path.lexists(source.root):
            raise ConfigError("no such file or folder", where=show_name(source.root), mend="check the path")
        for other in sources:
            if other is not source and other.order(source.root) is not None:
                raise ConfigError(
                    "one source lies inside another",
                    where=f"{show_name(source.root)} in {show_name(other.root)}",
                    mend="name only the outer one, or scan them apart",
                )
    return sources


def order_of(sources: Sequence[Source], path: bytes) -> tuple[int, Names] | None:
    """Where a path stands in the walk of all sources; None if it is of none of them."""
    for source in sources:
        found = source.order(path)
        if found is not None:
            return found
    return None


def refuse_out_inside(sources: Sequence[Source], out: Path) -> None:
    """Raise ConfigError where the output folder is, or lies in, a source, by whatever name, link or mount."""
    real = Path(os.path.realpath(out))
    for source in sources:
        try:
            root = os.stat(source.root)
        except OSError:
            continue
        for folder in (real, *real.parents):
            if folder.exists() and os.path.samestat(os.stat(folder), root):
                raise ConfigError(
                    "the output folder lies inside a scanned path, and sources are never written",
                    where=show_name(os.fsencode(out)),
                    mend="choose --out elsewhere",
                )
