"""Work handed out to lanes, findings handed back in walk order, whatever dies on the way. Reads and writes no file."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from leadline.domain import Isolation
from leadline.errors import WorkerLost
from leadline.scan import wire
from leadline.scan.finding import encode_line, make_finding
from leadline.scan.names import show_name
from leadline.scan.pool import Lanes
from leadline.scan.verdict import judge
from leadline.scan.worker import listed_facts

MAX_ATTEMPTS = 2
MAX_BUFFERED = 4  # replies of one job that wait for those before it; then its lane waits too


@dataclass(frozen=True, slots=True)
class Job:
    """A run of files in walk order, or (no items) a token that only keeps its place in the order."""

    items: tuple[wire.WorkItem, ...] = ()
    shared: bool = True
    token: object = None


@dataclass(frozen=True, slots=True)
class Result:
    """One step of the answer, in walk order: a token as it was given, or findings as JSON lines."""

    lines: list[bytes] = field(default_factory=list)
    items: int = 0
    bytes_read: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    token: object = None


@dataclass(slots=True, eq=False)
class _Task:
    """A job under way.

    A reply is either one finding for each of some finished items, or findings of members of the next one.
    items_done  finished items; base: what that was when the lane was given the rest
    loose       members told of the first unfinished item; drop: how many of them a redo has still to pass over
    """

    job: Job
    attempts: int = 0
    items_done: int = 0
    base: int = 0
    loose: int = 0
    drop: int = 0
    buffered: deque[Result] = field(default_factory=deque)
    done: bool = False
    lane: int | None = None
    paused: bool = False


class Dispatcher:
    """At most `window` jobs are under way or waiting for their turn, so memory does not grow with the scan."""

    def __init__(self, lanes: Lanes, *, window: int | None = None) -> None:
        self._lanes = lanes
        self._window = window or 32 + 8 * lanes.count
        self._idle = list(range(lanes.count))[::-1]
        self._busy: dict[int, _Task] = {}
        self._pending: deque[_Task] = deque()
        self._unsent: deque[_Task] = deque()

    def run(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Raises what a lane failed with as a whole (a damaged bank, no sandbox)."""
        source = iter(jobs)
        more = True
        while more or self._pending:
            while more and len(self._pending) < self._window and not (self._unsent and not self._idle):
                job = next(source, None)
                if job is None:
                    more = False
                    break
                self._admit(job)
                self._assign()
            yield from self._drain()
            self._assign()
            if self._busy and self._pending:
                for lane, answer in self._lanes.wait(1.0):
                    self._hear(lane, answer)

    def _admit(self, job: Job) -> None:
        task = _Task(job)
        self._pending.append(task)
        if job.items:
            self._unsent.append(task)
        else:
            task.buffered.append(Result(token=job.token))
            task.done = True

    def _assign(self) -> None:
        while self._unsent and self._idle:
            task, lane = self._unsent.popleft(), self._idle.pop()
            task.lane, self._busy[lane] = lane, task
            task.attempts += 1
            task.base, task.drop = task.items_done, task.loose
            rest = list(task.job.items[task.items_done :])
            self._lanes.send(lane, wire.encode(wire.Work(rest, task.job.shared)))

    def _drain(self) -> Iterator[Result]:
        """All that may be told now: the head's replies, and those of each that becomes the head."""
        while self._pending:
            head = self._pending[0]
            while head.buffered:
                yield head.buffered.popleft()
            if not head.done:
                self._resume(head)
                return
            self._pending.popleft()

    def _resume(self, task: _Task) -> None:
        if task.paused and task.lane is not None:
            task.paused = False
            self._lanes.send(task.lane, wire.encode(wire.More()))

    def _hear(self, lane: int, answer: bytes | None) -> None:
        task = self._busy.get(lane)
        if task is None:
            return  # an idle lane died and was replaced
        if answer is None:
            self._lose(lane, task)
            return
        reply = wire.decode_reply(answer)
        finished = task.base + reply.items_done - task.items_done
        lines = reply.lines
        if finished:
            task.items_done += finished
            task.attempts = task.loose = task.drop = 0
        else:
            lines = lines[task.drop :]
            task.drop -= len(reply.lines) - len(lines)
            task.loose += len(lines)
        task.buffered.append(Result(lines, finished, reply.bytes_read, reply.verdicts))
        self._step(lane, task, reply.done)

    def _step(self, lane: int, task: _Task, done: bool) -> None:
        if done:
            task.done = True
            self._release(lane)
        elif self._pending[0] is task or len(task.buffered) < MAX_BUFFERED:
            self._lanes.send(lane, wire.encode(wire.More()))
        else:
            task.paused = True

    def _release(self, lane: int) -> None:
        task = self._busy.pop(lane)
        task.lane, task.paused = None, False
        self._idle.append(lane)

    def _lose(self, lane: int, task: _Task) -> None:
        """Do again what a dead lane was at: whole, then file by file; a file that kills lanes is given up."""
        self._release(lane)
        rest = task.job.items[task.items_done :]
        if task.attempts < MAX_ATTEMPTS:
            self._unsent.appendleft(task)
        elif len(rest) > 1:
            singles = [_Task(Job((item,), shared=False)) for item in rest]
            singles[0].loose = task.loose
            task.done = True
            self._pending.insert(self._pending.index(task) + 1, singles[0])
            for single in reversed(singles[1:]):
                self._pending.insert(self._pending.index(singles[0]) + 1, single)
            self._unsent.extendleft(reversed(singles))
        else:
            task.buffered.append(lost_result(rest[0], task.loose))
            task.done = True


def lost_result(item: wire.WorkItem, members: int) -> Result:
    """The finding of a file during which worker processes died."""
    error = WorkerLost("worker process died while reading it", where=show_name(item.path))
    facts = replace(listed_facts(item, Isolation.FILE), error=error)
    judgement = judge((), error=error.what)
    line = encode_line(make_finding(facts, judgement, members=members or None))
    return Result([line], 1, 0, {str(judgement.verdict): 1})
