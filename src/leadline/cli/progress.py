"""Progress on standard error, only where a person watches it there. Never touches standard output."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from leadline.scan.run import ProgressEvent
    from leadline.subscriptions.importing import Outcome

_EVERY_S = 0.1


class Counter:
    """Counts up: how many, and how many a second."""

    def __init__(self, noun: str, *, wanted: bool = True) -> None:
        self._shown = wanted and sys.stderr.isatty()
        columns = (SpinnerColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True, disable=not self._shown)
        self._task = self._progress.add_task(noun, total=None)
        self._count, self._next = 0, 0.0

    def __enter__(self) -> Counter:
        if self._shown:
            self._progress.start()
        return self

    def step(self, count: int = 1) -> None:
        self._count += count
        if self._shown and (count > 1 or (self._count & 63) == 0) and (now := time.monotonic()) >= self._next:
            self._next = now + _EVERY_S
            self._progress.update(self._task, completed=self._count)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:  # stopping prints a line even where nothing was shown
            self._progress.stop()


class ScanProgress:
    """What a scan tells of itself: files done and left, files a second, verdicts."""

    def __init__(self, *, wanted: bool = True) -> None:
        self._shown = wanted and sys.stderr.isatty()
        columns = (
            SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"),
            TimeElapsedColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True, disable=not self._shown)
        self._task = self._progress.add_task("scanning", total=None)

    def __enter__(self) -> ScanProgress:
        if self._shown:
            self._progress.start()
        return self

    def show(self, event: ProgressEvent) -> None:
        if not self._shown:
            return
        verdicts = " ".join(f"{name} {count}" for name, count in event.verdicts.items() if count)
        text = f"{event.phase} {event.rate:.0f} files/s {verdicts}"
        self._progress.update(self._task, completed=event.done, total=event.total, description=text)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:  # stopping prints a line even where nothing was shown
            self._progress.stop()


class PullProgress:
    """What a pull tells of itself: records told and, where the source says how many there are, left."""

    def __init__(self, name: str, *, wanted: bool = True) -> None:
        self._shown, self._name, self._next = wanted and sys.stderr.isatty(), name, 0.0
        columns = (
            SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"),
            TimeElapsedColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True, disable=not self._shown)
        self._task = self._progress.add_task(name, total=None)

    def __enter__(self) -> PullProgress:
        if self._shown:
            self._progress.start()
        return self

    def show(self, outcome: Outcome) -> None:
        if not self._shown or (now := time.monotonic()) < self._next:
            return
        self._next = now + _EVERY_S
        text = f"{self._name} added {outcome.added} changed {outcome.changed} withdrawn {outcome.withdrawn}"
        if outcome.large.kept or outcome.large.failed:
            text = f"{self._name} large fingerprints {outcome.large.kept} missing {outcome.large.missing}"
        self._progress.update(self._task, completed=outcome.told, total=outcome.total or None, description=text)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:  # stopping prints a line even where nothing was shown
            self._progress.stop()
