"""Files of large fingerprints, named by their SHA-256, in a folder of their source. Knows no record and no address."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from leadline.match.folder import make_folder, sync_folder


class Draft(NamedTuple):
    """Written and synced, not in its place yet."""

    path: Path
    digest: bytes
    size: int


class LargeFiles:
    """ab/abcd...: 256 folders, so that none gets long. For its owner alone. OSError where the disk refuses."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._drafts = folder, folder / "drafts"

    def path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self._folder / name[:2] / name

    @property
    def are_there(self) -> bool:
        """Whether there ever were any, and nobody removed them all."""
        return self._folder.exists()

    def write(self, pieces: Iterable[bytes]) -> Draft:
        """As they come: no more of it is in memory than one piece."""
        make_folder(self._drafts)
        handle, name = tempfile.mkstemp(dir=self._drafts)
        digest, size = hashlib.sha256(), 0
        try:
            with open(handle, "wb") as file:
                for piece in pieces:
                    file.write(piece)
                    digest.update(piece)
                    size += len(piece)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            self.drop(Path(name))
            raise
        return Draft(Path(name), digest.digest(), size)

    def keep(self, draft: Draft) -> bool:
        """Into its place, in one step; whether it was not there yet."""
        path = self.path(draft.digest)
        if path.exists():
            self.drop(draft.path)
            return False
        make_folder(path.parent)
        os.replace(draft.path, path)
        sync_folder(path.parent)
        return True

    def drop(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink()

    def remove(self, digest: bytes) -> None:
        self.path(digest).unlink(missing_ok=True)

    def remove_all(self) -> None:
        if self.are_there:
            shutil.rmtree(self._folder)

    def drop_drafts(self) -> None:
        """Of a kill."""
        shutil.rmtree(self._drafts, ignore_errors=True)

    @property
    def free_bytes(self) -> int:
        """On its disk, for us."""
        told = os.statvfs(self._folder.parent)
        return told.f_bavail * told.f_frsize
