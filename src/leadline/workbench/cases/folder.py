"""The folder of media beside a case file: one file of it opened by the path that a record names, and nothing outside.

Paths come from strangers. Each part is opened below the one before, and no link is followed.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from leadline.errors import InputError

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_OUTSIDE = re.compile(r"^(?:/|\\\\|[A-Za-z]:)")


class MediaFolder:
    """Use it as a context. `open_file` raises InputError with a code of `words` (import-fault)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> MediaFolder:
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            raise InputError("no such folder", where=str(self._path), mend="name the folder of the media") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def open_file(self, untrusted_path: str) -> BinaryIO:
        parts = safe_parts(untrusted_path)
        below = os.dup(self._descriptor)
        try:
            for part in parts[:-1]:
                above, below = below, _open_at(below, part, os.O_DIRECTORY)
                os.close(above)
            return self._opened(below, parts[-1])
        finally:
            os.close(below)

    def _opened(self, below: int, part: str) -> BinaryIO:
        descriptor = _open_at(below, part, os.O_NONBLOCK)  # a FIFO would keep us waiting
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise InputError("is no regular file", code="not-a-regular-file")
        return os.fdopen(descriptor, "rb")


def safe_parts(untrusted_path: str) -> list[str]:
    """Of a path below the folder, with / or \\ between its parts. InputError (path-outside) for every other."""
    if _OUTSIDE.match(untrusted_path) or "\0" in untrusted_path:
        raise InputError("leads outside the folder", code="path-outside")
    parts = [part for part in re.split(r"[\\/]", untrusted_path) if part not in ("", ".")]
    if not parts or ".." in parts:
        raise InputError("leads outside the folder", code="path-outside")
    return parts


def _open_at(below: int, part: str, more: int) -> int:
    try:
        return os.open(part, _FLAGS | more, dir_fd=below)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):  # a link, or a file, where a folder should be
            raise InputError("a link is not followed", code="symbolic-link") from None
        if error.errno == errno.EACCES:
            raise InputError("may not be read", code="permission-denied") from None
        raise InputError("is not there", code="not-found") from None
