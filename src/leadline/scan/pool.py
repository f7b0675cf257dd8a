"""Lanes on this machine: one process each, bytes over pipes; or one lane in this process. Knows nothing of files."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Protocol, cast

import leadline
from leadline.errors import ScanError, WorkerLost
from leadline.scan import wire
from leadline.scan.worker import Lane

MAX_QUICK_DEATHS = 3  # a lane that dies before its first answer is no accident


class Lanes(Protocol):
    """Where work is done. Lanes have numbers from 0; one message at a time is under way in each."""

    count: int

    def send(self, lane: int, message: bytes) -> None:
        """Give an idle lane a message."""

    def wait(self, timeout_s: float) -> list[tuple[int, bytes | None]]:
        """Answers that came, at least one unless time ran out; None: that lane was lost, and stands anew, idle."""

    def close(self) -> None:
        """End all lanes, at once."""


class InlineLane:
    """The one lane of a small scan, in this process: starting others would take longer than the work."""

    count = 1

    def __init__(self, config: wire.LaneConfig) -> None:
        self._lane = Lane(config)
        self._lane.__enter__()
        self._waiting: deque[bytes] = deque()

    def send(self, lane: int, message: bytes) -> None:
        self._waiting.append(message)

    def wait(self, timeout_s: float) -> list[tuple[int, bytes | None]]:
        return [(0, self._lane.handle(self._waiting.popleft()))] if self._waiting else []

    def close(self) -> None:
        self._lane.__exit__()


class LocalLanes:
    """`count` processes, started with nothing of this one but its configuration."""

    def __init__(self, config: wire.LaneConfig, count: int) -> None:
        self.count = count
        self._config = wire.encode(config)
        self._selector = selectors.DefaultSelector()
        self._answered: set[int] = set()
        self._quick_deaths = 0
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            for lane in range(count):
                self._processes.append(self._start(lane))
        except BaseException:
            self.close()
            raise

    def _start(self, lane: int) -> subprocess.Popen[bytes]:
        home = str(Path(leadline.__file__).parents[1])
        inherited = os.environ.get("PYTHONPATH")
        path = os.pathsep.join([home, inherited]) if inherited else home
        process = subprocess.Popen(
            [sys.executable, "-m", "leadline.scan.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._selector.register(process.stdout, selectors.EVENT_READ, lane)
        try:
            wire.write_frame(process.stdin, self._config)  # type: ignore[arg-type]
        except OSError:
            pass  # dead already: `wait` will see it
        return process

    def send(self, lane: int, message: bytes) -> None:
        pipe = self._processes[lane].stdin
        assert pipe is not None
        try:
            wire.write_frame(pipe, message)  # type: ignore[arg-type]
        except OSError:
            pass  # dead: `wait` will see it

    def wait(self, timeout_s: float) -> list[tuple[int, bytes | None]]:
        return [self._receive(cast(int, key.data)) for key, _ in self._selector.select(timeout_s)]

    def _receive(self, lane: int) -> tuple[int, bytes | None]:
        pipe = self._processes[lane].stdout
        assert pipe is not None
        try:
            answer = wire.read_frame(pipe)  # type: ignore[arg-type]
        except (OSError, WorkerLost):
            answer = None
        if answer is None:
            self._replace(lane)
        else:
            self._answered.add(lane)
            self._quick_deaths = 0
        return lane, answer

    def _replace(self, lane: int) -> None:
        code = self._end(self._processes[lane])
        if lane not in self._answered:
            self._quick_deaths += 1
        self._answered.discard(lane)
        if self._quick_deaths >= MAX_QUICK_DEATHS + self.count:
            raise ScanError(
                f"lanes die as soon as they start (exit code {code})",
                mend="run `leadline doctor`; the lane's own message stands above",
            )
        self._processes[lane] = self._start(lane)

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        assert process.stdin is not None
        assert process.stdout is not None
        self._selector.unregister(process.stdout)
        process.kill()
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            try:
                pipe.close()
            except OSError:
                pass  # what was still buffered for the dead
        return code

    @property
    def process_ids(self) -> list[int]:
        """For tests and for whoever watches memory."""
        return [process.pid for process in self._processes]

    def close(self) -> None:
        while self._processes:
            self._end(self._processes.pop())
        self._selector.close()
