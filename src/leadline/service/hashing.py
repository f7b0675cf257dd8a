"""Decoders of one worker: threads, each with its own sandbox, that hash what arrived, one file per locked child.

A sandbox is started by the thread that uses it and lives as long as it does. Where one cannot be started, the worker
does not start either. A decoder's process that dies meanwhile is renewed.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import NamedTuple

from leadline.domain import PdqFamily
from leadline.errors import RequestRefused, SandboxUnavailable, TooBusy
from leadline.match.fingerprints import FingerprintKind
from leadline.match.matcher import Matcher
from leadline.media.client import Sandbox
from leadline.media.limits import Limits
from leadline.scan.arriving import Reading
from leadline.scan.hashing import FileFacts, FileHasher, survive_decoders
from leadline.service.options import Options

_FULL_S = 2.0


class Wish(NamedTuple):
    """What to compute of a picture beside its digests. is_turned: all eight transforms of PDQ."""

    families: frozenset[PdqFamily] = frozenset({PdqFamily.B})
    kinds: tuple[FingerprintKind, ...] = ()
    is_turned: bool = False


def wish_of(matcher: Matcher) -> Wish:
    """All that these banks can be asked about."""
    families = frozenset({PdqFamily.B, PdqFamily.A} if matcher.needs_family_a else {PdqFamily.B})
    return Wish(families, tuple(matcher.kinds.values()), is_turned=True)


class Arrival:
    """One file on its way in. What has come waits until another thread digests it; in one piece, since a sender of
    single bytes would otherwise cost forty for each."""

    def __init__(self, name: str, limits: Limits) -> None:
        self.name, self.size_bytes = name, 0
        self._waiting = bytearray()
        self._reading = Reading(limits)

    @property
    def waiting_bytes(self) -> int:
        return len(self._waiting)

    def take(self, piece: bytes) -> None:
        self._waiting += piece
        self.size_bytes += len(piece)

    def digest(self) -> None:
        """Takes milliseconds a MiB: not for the loop."""
        waiting, self._waiting = bytes(self._waiting), bytearray()
        self._reading.feed(waiting)

    def facts(self, hasher: FileHasher) -> FileFacts:
        self.digest()
        return self._reading.facts(hasher)


class _Job(NamedTuple):
    arrival: Arrival
    wish: Wish
    told: Future[FileFacts]


class Hashers:
    """`start` before anything else. All but the threads' own work is called by the loop."""

    def __init__(self, options: Options) -> None:
        self._limits, self._count = options.limits, options.hashers
        self._most_waiting, self._most_held_bytes = options.hash_queue, options.held_bytes
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._held_bytes = 0

    @property
    def waiting(self) -> int:
        """Files that no decoder has begun."""
        return self._jobs.qsize()

    def start(self) -> None:
        """Returns when all decoders are ready. SandboxUnavailable where one cannot be locked away: then none runs."""
        started: list[Future[None]] = []
        for number in range(self._count):
            started.append(Future())
            thread = threading.Thread(target=self._work, args=(started[-1],), name=f"hasher {number}", daemon=True)
            self._threads.append(thread)
            thread.start()
        try:
            for one in started:
                one.result()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """When what waits is done. May be called twice."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    @contextmanager
    def holding(self, most_bytes: int) -> Iterator[None]:
        """A request's place, and memory for all that it can send. TooBusy: nothing of it was read."""
        if not self._count:
            raise RequestRefused("this service hashes no files", status=501, code="hashing-off", mend="send hashes")
        if self.waiting >= self._most_waiting:
            raise TooBusy("too many files wait to be hashed", retry_after_s=_FULL_S)
        if self._held_bytes + most_bytes > self._most_held_bytes:
            raise TooBusy("too many uploads at once", retry_after_s=_FULL_S)
        self._held_bytes += most_bytes
        try:
            yield
        finally:
            self._held_bytes -= most_bytes

    def hash(self, arrival: Arrival, wish: Wish) -> Future[FileFacts]:
        """What is wrong with the file stands in its facts. SandboxUnavailable where no decoder can be started."""
        told: Future[FileFacts] = Future()
        self._jobs.put(_Job(arrival, wish, told))
        return told

    def _work(self, started: Future[None]) -> None:
        with _Decoder(self._limits) as decoder:
            try:
                decoder.start()
            except BaseException as error:
                started.set_exception(error)
                return
            started.set_result(None)
            while self._serve_one(decoder):
                pass

    def _serve_one(self, decoder: _Decoder) -> bool:
        """False where it was told to end. Nothing of the file is kept here afterwards."""
        job = self._jobs.get()
        if job is None:
            return False
        if job.told.set_running_or_notify_cancel():
            try:
                job.told.set_result(decoder.hash(job.arrival, job.wish))
            except BaseException as error:
                job.told.set_exception(error)
        return True


class _Decoder:
    """One sandbox with its two hashers; of one thread."""

    def __init__(self, limits: Limits) -> None:
        self._sandbox = Sandbox(limits)
        self._plain = FileHasher(self._sandbox, dihedral=False, limits=limits)
        self._turned = FileHasher(self._sandbox, limits=limits)
        self.start = self._sandbox.start

    def __enter__(self) -> _Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._sandbox.close()

    def hash(self, arrival: Arrival, wish: Wish) -> FileFacts:
        hasher = self._turned if wish.is_turned else self._plain
        hasher.compute(wish.families, wish.kinds)
        facts = survive_decoders(self._sandbox, lambda: arrival.facts(hasher))
        if isinstance(facts.error, SandboxUnavailable):
            raise facts.error
        return facts
