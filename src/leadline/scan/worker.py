"""One lane of a scan: a sandbox, a hasher and a matcher; bytes of work in, bytes of findings out. Writes no file.

Run as `python -m leadline.scan.worker` it is a lane of the local pool, on standard input and output.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from leadline.domain import Isolation, PdqFamily, Verdict
from leadline.errors import LeadlineError, SandboxUnavailable
from leadline.match.bank import Bank
from leadline.match.matcher import MatchAnswer, Matcher
from leadline.media.client import Sandbox, SandboxViolation
from leadline.scan import wire
from leadline.scan.containers import OPENED_TYPES, ContainerReader, Ended, container_facts
from leadline.scan.finding import encode_line, make_finding
from leadline.scan.hashing import FileFacts, FileHasher, blank_facts, renew_sandbox, survive_decoders
from leadline.scan.names import show_name
from leadline.scan.verdict import judge, match_reasons

REFRESH_S = 0.5  # before what is read is judged: so a change of a bank by any writer matches within two seconds


class Lane:
    """Not thread-safe. Use as a context manager; `handle` answers one message with one message."""

    def __init__(self, config: wire.LaneConfig) -> None:
        self._config = config
        self._open = ExitStack()
        self._replies: Iterator[wire.Reply] = iter(())
        self._refreshed_s = time.monotonic()

    def __enter__(self) -> Lane:
        try:
            self._start()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _start(self) -> None:
        config = self._config
        banks = [Bank.open(Path(os.fsdecode(path))) for path in config.banks]
        self._matcher = Matcher(banks, radius_bits=config.radius_bits)
        self._sandbox = self._open.enter_context(self._new_sandbox())
        self._hasher = FileHasher(self._sandbox, grey=config.grey, limits=config.limits)
        self._suit_hasher()
        self._containers = ContainerReader(self._hasher, self._sandbox, config.limits, self._new_sandbox)
        self._open.callback(self._containers.close)

    def _suit_hasher(self) -> None:
        """What the banks hold now decides what is computed of a picture."""
        families = {PdqFamily.B, PdqFamily.A} if self._matcher.needs_family_a else {PdqFamily.B}
        self._hasher.compute(frozenset(families), self._matcher.kinds.values())

    def _new_sandbox(self) -> Sandbox:
        return Sandbox(self._config.limits, unsafe=self._config.unsafe_decode)

    def handle(self, message: bytes) -> bytes:
        """A Work or More -> a Reply or Failure, encoded. Never raises for what a file is or holds."""
        try:
            request = wire.decode_request(message)
            if isinstance(request, wire.Work):
                self._replies = self._work(request)
            return wire.encode(next(self._replies))
        except LeadlineError as error:
            return wire.encode(wire.failure_of(error))

    def _work(self, work: wire.Work) -> Iterator[wire.Reply]:
        self._refresh()  # what is computed of pictures follows from what the banks hold
        facts = self._hash_all(work)
        lines: list[bytes] = []
        verdicts: Counter[str] = Counter()
        for run in _runs(facts):
            members = None
            if _is_opened(facts[run.start]):
                if lines:
                    yield wire.Reply(lines, run.start, False, verdicts=dict(verdicts))
                    lines, verdicts = [], Counter()
                facts[run.start], members = yield from self._open_container(facts[run.start], run.start)
            # Not before: the container that was just read may have taken an hour, and the lists have grown.
            for fact, answer in zip(facts[run.start : run.stop], self._match(facts[run.start : run.stop]), strict=True):
                line, verdict = self._conclude(fact, answer, members)
                lines.append(line)
                verdicts[verdict] += 1
        read = sum(fact.size_bytes for fact in facts if not fact.skipped)
        yield wire.Reply(lines, len(facts), True, read, dict(verdicts))

    def _open_container(
        self, fact: FileFacts, done: int
    ) -> Generator[wire.Reply, None, tuple[FileFacts, int]]:
        """Reply with the members' findings as they come; return the container's own facts and how many there were.

        Where its sandbox is gone it is read once more, passing over what was told: that is no fault of the file's.
        """
        count = 0
        ended = Ended(None)
        for _ in range(2):
            passed = 0
            groups = self._containers.read(fact)
            while True:
                try:
                    group = next(groups)
                except StopIteration as stop:
                    ended = stop.value
                    break
                except LeadlineError:
                    raise
                except Exception as fault:  # one file must never end a scan
                    ended = Ended(_internal(fault, fact.path))
                    break
                fresh = group[max(0, count - passed) :]
                passed += len(group)
                if fresh:
                    count += len(fresh)
                    yield self._tell_members(fresh, done)
            if not isinstance(ended.fault, SandboxUnavailable):
                return container_facts(fact, count, ended), count
        assert ended.fault is not None
        raise ended.fault

    def _tell_members(self, group: list[FileFacts], done: int) -> wire.Reply:
        told = [self._conclude(f, a) for f, a in zip(group, self._match(group), strict=True)]
        verdicts = dict(Counter(str(verdict) for _, verdict in told))
        return wire.Reply([line for line, _ in told], done, False, verdicts=verdicts)

    def _match(self, facts: list[FileFacts]) -> list[MatchAnswer]:
        self._refresh()
        return self._matcher.match([fact.fingerprints for fact in facts])

    def _conclude(self, fact: FileFacts, answer: MatchAnswer, members: int | None = None) -> tuple[bytes, Verdict]:
        judgement = judge(
            answer.matches,
            notes=fact.reasons,
            match_reasons=match_reasons(answer),
            error=fact.error.what if fact.error else None,
            skipped=fact.skipped,
        )
        return encode_line(make_finding(fact, judgement, members=members)), judgement.verdict

    def _refresh(self) -> None:
        now_s = time.monotonic()
        if now_s - self._refreshed_s >= REFRESH_S:
            if self._matcher.refresh():
                self._suit_hasher()
            self._refreshed_s = now_s

    def _hash_all(self, work: wire.Work) -> list[FileFacts]:
        """All items in one decoding child; where that child goes wrong, all again with a child each."""
        if not work.shared:
            return [self._hash(item) for item in work.items]
        self._sandbox.begin_batch()
        try:
            return [self._hash(item) for item in work.items]
        except SandboxViolation:
            pass
        except SandboxUnavailable:
            renew_sandbox(self._sandbox)
        finally:
            self._sandbox.end_batch()
        return [self._hash(item) for item in work.items]

    def _hash(self, item: wire.WorkItem) -> FileFacts:
        if item.skip or item.fault_code:
            return listed_facts(item, self._sandbox.isolation)
        facts = survive_decoders(self._sandbox, lambda: self._hash_once(item))
        if facts.error is not None and not facts.fingerprints.exact:
            return replace(facts, size_bytes=item.size_bytes, mtime_ns=item.mtime_ns, ctime_ns=item.ctime_ns)
        return facts

    def _hash_once(self, item: wire.WorkItem) -> FileFacts:
        try:
            return self._hasher.hash_path(item.path)
        except (SandboxViolation, SandboxUnavailable):
            raise
        except Exception as fault:  # one file must never end a scan: it gets a verdict
            return blank_facts(item.path, self._sandbox.isolation, error=_internal(fault, item.path))


def _runs(facts: list[FileFacts]) -> Iterator[range]:
    """The places of containers, each for itself, and of what stands between them."""
    start = 0
    for at, fact in enumerate(facts):
        if _is_opened(fact):
            if start < at:
                yield range(start, at)
            yield range(at, at + 1)
            start = at + 1
    if start < len(facts):
        yield range(start, len(facts))


def _is_opened(fact: FileFacts) -> bool:
    return fact.mime in OPENED_TYPES and not fact.skipped


def _internal(fault: Exception, path: bytes) -> LeadlineError:
    """A fault of ours, told on standard error too: its kind and place, for its text could quote what was being read."""
    what = f"fault inside Leadline ({type(fault).__name__} in {_place_of(fault)})"
    error = LeadlineError(what, where=show_name(path), mend="report it with the program's version", code="internal")
    print(f"leadline: {error}", file=sys.stderr, flush=True)
    return error


def _place_of(fault: Exception) -> str:
    frames = [f for f in traceback.extract_tb(fault.__traceback__) if f"{os.sep}leadline{os.sep}" in f.filename]
    return f"{Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else "leadline"


def listed_facts(item: wire.WorkItem, isolation: Isolation) -> FileFacts:
    """Facts of what was listed and not opened."""
    fault = LeadlineError(item.fault, code=item.fault_code) if item.fault_code else None
    return blank_facts(
        item.path,
        isolation,
        size_bytes=item.size_bytes,
        mtime_ns=item.mtime_ns,
        ctime_ns=item.ctime_ns,
        reasons=(item.skip,) if item.skip else (),
        error=fault,
        skipped=bool(item.skip),
    )


def start_lane(stack: ExitStack, config: bytes) -> Callable[[bytes], bytes]:
    """A lane's `handle`, or, where it cannot start, what answers every message with why."""
    try:
        return stack.enter_context(Lane(wire.decode_config(config))).handle
    except LeadlineError as error:
        refusal = wire.encode(wire.failure_of(error))
        return lambda _: refusal


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Configuration first, then work until the other side hangs up."""
    first = wire.read_frame(requests)
    if first is None:
        return
    with ExitStack() as stack:
        handle = start_lane(stack, first)
        while (message := wire.read_frame(requests)) is not None:
            wire.write_frame(replies, handle(message))


def main() -> None:
    """Standard output belongs to the wire: what anything prints goes to standard error instead."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the scan itself decides
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        serve(sys.stdin.buffer, replies)
    except BrokenPipeError:
        os._exit(1)  # the scan is gone; nothing left to say to anyone
    except Exception as fault:  # Python itself would print its text
        _internal(fault, b"scan lane")
        os._exit(1)


if __name__ == "__main__":
    main()
