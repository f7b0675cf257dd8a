"""The match log: what was met, by whose token, as JSON lines. One file a day and worker; no media, no token.

Lines wait in memory for a thread that writes them twice a second, so that a slow or full disk never holds up an
answer. A worker that is killed loses the lines of its last half second.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from leadline.service.clock import Clock

_WRITE_S = 0.5
_PRUNE_S = 3600.0
_DAY_S = 86_400
_MOST_WAITING = 100_000
_AT_ONCE = 5000
_NAME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.[A-Za-z0-9._-]+\.jsonl")


class Line(msgspec.Struct, frozen=True):
    """One match of one look-up. at: seconds since 1970. hash: its first eight digits, or all where so configured.
    shadow: it was not told."""

    at: float
    token: str
    route: str
    algorithm: str
    hash: str
    bank: str
    entry: int
    kind: str
    distance: float
    list_version: int
    suppressed_by: str | None
    shadow: bool
    flooding: bool


class MatchLog:
    """`put` never waits. trouble: what the disk said last, "" where it writes. lost: lines that found no place."""

    def __init__(self, folder: Path, worker: str, *, days: int, clock: Callable[[], float] | None = None) -> None:
        self._folder, self._days, self._clock = folder, days, clock or Clock()
        self._name = f"{re.sub(r'[^A-Za-z0-9-]', '-', socket.gethostname())}-{worker}"
        self._waiting: deque[Line] = deque()
        self._held: list[Line] = []  # by the thread, until they are written
        self._file = _DayFile()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="match log", daemon=True)
        self.trouble, self.lost = "", 0
        self._thread.start()

    @property
    def is_kept(self) -> bool:
        return self._days > 0

    def put(self, line: Line) -> None:
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append(line)
        else:
            self.lost += 1

    def close(self) -> None:
        """Write what waits, and end."""
        self._ending.set()
        self._thread.join()
        self._file.close()

    def _write_on(self) -> None:
        pruned_s = float("-inf")
        while not self._ending.wait(_WRITE_S):
            self._write_waiting()
            if time.monotonic() - pruned_s >= _PRUNE_S:
                pruned_s = time.monotonic()
                with contextlib.suppress(OSError):
                    self._prune()
        self._write_waiting()

    def _write_waiting(self) -> None:
        while self._held or self._waiting:
            while self._waiting and len(self._held) < _AT_ONCE:
                self._held.append(self._waiting.popleft())
            lines = _of_one_day(self._held)
            try:
                self._file.append(self._folder / f"{_day(lines[0].at)}.{self._name}.jsonl", lines)
            except OSError as error:
                self.trouble = error.strerror or type(error).__name__
                return
            self.trouble, self._held = "", self._held[len(lines) :]

    def _prune(self) -> None:
        """What is older than it is to be kept."""
        oldest = _day(self._clock() - _DAY_S * self._days)
        for path in self._folder.glob("*.jsonl"):
            named = _NAME.fullmatch(path.name)
            if named and named[1] <= oldest:
                path.unlink(missing_ok=True)


class _DayFile:
    """The file that is written to now. What was written in part is taken back, so that lines are whole."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._fd = -1

    def append(self, path: Path, lines: list[Line]) -> None:
        """All of the lines, or OSError and none of them."""
        if path != self._path:
            self._open(path)
        begins = os.fstat(self._fd).st_size
        untold = memoryview(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        try:
            while untold:
                untold = untold[os.write(self._fd, untold) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, begins)
            raise

    def _open(self, path: Path) -> None:
        self.close()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":  # a worker was killed while it wrote
            os.write(self._fd, b"\n")
        self._path = path

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._path, self._fd = None, -1


def _of_one_day(lines: list[Line]) -> list[Line]:
    """Those from the first on that are of its day: mostly all."""
    number = lines[0].at // _DAY_S
    ends = next((at for at, line in enumerate(lines) if line.at // _DAY_S != number), len(lines))
    return lines[:ends]


def _day(at: float) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at)).date().isoformat()
