"""The log of changes made over HTTP: which token changed what, in which bank. Kept for good; no hash, no text.

One line is synced before a bank is changed and one after it, so that no change is without its token. The first alone
stands for a change that was cut off or refused; `list_version` of the second says which one it became.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from leadline.service.kept import hold


class ChangeLog:
    """One file a month in one folder, for all workers and replicas."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._clock = folder, clock

    def begin(self, token_id: str, act: str, bank: str, facts: Mapping[str, Any]) -> str:
        """The number of the change that is about to be made. OSError: then it must not be made."""
        change = secrets.token_hex(8)
        self._append({"change": change, "token": token_id, "act": act, "bank": bank, **facts})
        return change

    def finish(self, change: str, list_version: int, ids: Sequence[int]) -> None:
        self._append({"change": change, "list_version": list_version, "ids": spans(ids)})

    def _append(self, told: Mapping[str, Any]) -> None:
        now = int(self._clock())
        path = self._folder / f"{datetime.fromtimestamp(now, UTC):%Y-%m}.jsonl"
        with hold(self._folder / "lock"):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                _append_whole(fd, msgspec.json.encode({"at": now, **told}) + b"\n")
            finally:
                os.close(fd)


def _append_whole(fd: int, data: bytes) -> None:
    begins, left = os.fstat(fd).st_size, memoryview(data)
    try:
        while left:
            left = left[os.write(fd, left) :]
        os.fsync(fd)
    except OSError:
        os.ftruncate(fd, begins)
        raise


def spans(ids: Sequence[int]) -> list[tuple[int, int]]:
    """Ids as first and last of each run, ascending."""
    found: list[tuple[int, int]] = []
    for number in sorted(ids):
        if found and number == found[-1][1] + 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return found
