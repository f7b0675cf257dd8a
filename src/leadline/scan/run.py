"""A scan from paths and banks to its output folder, whoever does the work. Never writes a source."""

from __future__ import annotations

import dataclasses
import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import leadline
from leadline.errors import Interrupted
from leadline.match.bank import Bank
from leadline.match.matcher import Matcher
from leadline.media.limits import Limits
from leadline.scan import wire
from leadline.scan.dispatch import Dispatcher, Job, Result
from leadline.scan.finish import finish_output
from leadline.scan.journal import (
    FINDINGS,
    FORMAT,
    REST,
    Journal,
    ListState,
    Run,
    State,
    open_state,
    refuse_other_lists,
    save_state,
)
from leadline.scan.names import show_name
from leadline.scan.pool import InlineLane, Lanes, LocalLanes
from leadline.scan.resume import Merge, Step
from leadline.scan.sources import Listed, PathSource, Source, open_sources, refuse_out_inside
from leadline.scan.summary import Summary

BATCH_BYTES = 32 << 20  # a batch is about a second of work: for even lanes, live progress and little to redo
SMALL_JOBS = 2  # a scan of so few batches is done in this process
TOLD_EVERY_S = 0.1
SAVED_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """How far a scan is. done and total count files on disk (members of containers are in verdicts only).

    total    None until the walk has been counted
    rate     files a second, of this run
    """

    done: int
    total: int | None
    bytes_read: int
    rate: float
    verdicts: Counter[str]
    resumed: int = 0
    phase: str = "scanning"


Progress = Callable[[ProgressEvent], None]


def default_workers() -> int:
    """One lane for each CPU this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def scan_paths(
    paths: Sequence[str | bytes | os.PathLike[str]],
    banks: Sequence[Bank | str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    radius_bits: int | None = None,
    workers: int | None = None,
    resume: bool = False,
    ray_address: str | None = None,
    unsafe_decode: bool = False,
    progress: Progress | None = None,
    limits: Limits | None = None,
    grey: bool = False,
    csv: bool = False,
    vics: bool = False,
) -> Summary:
    """Hash every file under `paths`, match it against `banks`, write findings.jsonl and the rest to `out`.

    radius_bits   Hamming radius of near matches, 0..64 (match/search.py); None = each bank's own
    workers       lanes on this machine; None = one for each CPU
    ray_address   scan on a Ray cluster ("local" starts one here); its nodes must share the paths of banks and sources
    Raises ConfigError, BankError, SandboxUnavailable, ScanError; Interrupted on Ctrl-C (can be resumed).
    """
    sources = open_sources(paths)
    folder = Path(out)
    refuse_out_inside(sources, folder)
    opened = [bank if isinstance(bank, Bank) else Bank.open(Path(bank)) for bank in banks]
    Matcher(opened, radius_bits=radius_bits)  # refuses lists that cannot be told apart, before anything is written
    config = wire.LaneConfig(
        banks=[os.fsencode(Path(bank.path).absolute()) for bank in opened],
        limits=limits or Limits(),
        radius_bits=radius_bits,
        unsafe_decode=unsafe_decode,
        grey=grey,
    )
    state = open_state(folder, _wanted_state(sources, opened, config), resume=resume)
    refuse_other_lists(folder, state, [list_state(bank) for bank in opened])
    scan = _Scan(folder, sources, opened, state, progress)
    try:
        scan.run(lambda: _open_lanes(config, workers or default_workers(), ray_address), lambda: InlineLane(config))
        return finish_output(folder, state, config, csv=csv, vics=vics, progress=scan.tell)
    except KeyboardInterrupt:
        raise Interrupted(
            "scan interrupted", where=show_name(os.fsencode(folder)), mend="run the same command with --resume"
        ) from None


def _wanted_state(sources: Sequence[Source], banks: Sequence[Bank], config: wire.LaneConfig) -> State:
    options = {
        "radius_bits": config.radius_bits,
        "unsafe_decode": config.unsafe_decode,
        "grey": config.grey,
        "limits": dataclasses.asdict(config.limits),
    }
    return State(FORMAT, [show_name(s.root) for s in sources], options, [bank.name for bank in banks])


def _open_lanes(config: wire.LaneConfig, workers: int, ray_address: str | None) -> Lanes:
    if ray_address is None:
        return LocalLanes(config, workers)
    from leadline.scan.ray_pool import RayLanes  # the extra `leadline[ray]`

    return RayLanes(config, ray_address)


class Counting:
    """Counts the walk in a thread of its own, fast, so that progress can say what is left."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.total: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._count, args=(sources,), name="counting", daemon=True)
        self._thread.start()

    def _count(self, sources: Sequence[Source]) -> None:
        number = sum(sum(source.count(self._stop.is_set)) for source in sources)
        if not self._stop.is_set():
            self.total = number

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=1.0)  # a hung mount must not hang the end of a scan too


@dataclass
class _Scan:
    """One run: walk, resume, dispatch, write, tell."""

    out: Path
    sources: Sequence[PathSource]
    banks: Sequence[Bank]
    state: State
    progress: Progress | None
    done: int = 0
    bytes_read: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    started_s: float = field(default_factory=time.monotonic)
    told_s: float = 0.0
    saved_s: float = 0.0

    def run(self, open_lanes: Callable[[], Lanes], open_inline: Callable[[], Lanes]) -> None:
        journal = Journal(self.out)
        lists = [list_state(bank) for bank in self.banks]
        self.current = Run(started=utc_now(), version=leadline.__version__, lists=lists)
        self.state.runs.append(self.current)
        counting = Counting(self.sources) if self.progress else None
        self.counting = counting
        try:
            save_state(self.out, self.state)
            self._scan(journal, open_lanes, open_inline)
            journal.sync()
            (self.out / REST).unlink(missing_ok=True)
            self.state.finished = True
        finally:
            if counting:
                counting.stop()
            journal.close()
            self._save(ended=True)

    def _scan(self, journal: Journal, open_lanes: Callable[[], Lanes], open_inline: Callable[[], Lanes]) -> None:
        walk = itertools.chain.from_iterable(source.walk() for source in self.sources)
        jobs = self._jobs(Merge(self.out, self.sources, journal).steps(walk))
        first = list(itertools.islice(jobs, SMALL_JOBS + 1))
        lanes = open_inline() if len(first) <= SMALL_JOBS else open_lanes()
        try:
            for result in Dispatcher(lanes).run(itertools.chain(first, jobs)):
                self._take(journal, result)
        finally:
            lanes.close()
        self.tell("scanned")

    def _jobs(self, steps: Iterable[Step]) -> Iterator[Job]:
        """Batches have the same bounds whether or not a scan was interrupted, so the same files share a child."""
        limit = int(self.state.options["limits"]["batch_files"])
        items: list[wire.WorkItem] = []
        number = size = 0
        source = -1
        for step in steps:
            listed = step.listed
            if listed is not None:
                full = number >= limit or size + listed.size_bytes > BATCH_BYTES or listed.order[0] != source
                if full and items:
                    yield Job(tuple(items))
                    items = []
                number, size = (1, listed.size_bytes) if full else (number + 1, size + listed.size_bytes)
                source = listed.order[0]
            if step.kept is None:
                assert listed is not None
                items.append(work_item(listed))
                continue
            self._count_kept(step)
            if step.copy:
                if items:
                    yield Job(tuple(items))
                    items = []
                yield Job(token=step)
        if items:
            yield Job(tuple(items))

    def _count_kept(self, step: Step) -> None:
        assert step.kept is not None
        self.done += step.listed is not None
        self.current.resumed_findings += step.kept.findings
        self.verdicts += step.kept.verdicts
        self._tell_now_and_then()

    def _take(self, journal: Journal, result: Result) -> None:
        if isinstance(result.token, Step) and result.token.kept is not None:
            journal.copy_from(self.out / REST, result.token.kept)
        if result.lines:
            journal.append(result.lines)
        self.done += result.items
        self.bytes_read += result.bytes_read
        self.current.files_done += result.items
        self.verdicts.update(result.verdicts)
        self._tell_now_and_then()

    def _tell_now_and_then(self) -> None:
        now_s = time.monotonic()
        if now_s - self.told_s >= TOLD_EVERY_S:
            self.told_s = now_s
            self.tell("scanning")
        if now_s - self.saved_s >= SAVED_EVERY_S:
            self._save()

    def tell(self, phase: str) -> None:
        if self.progress is None:
            return
        seconds = max(time.monotonic() - self.started_s, 1e-9)
        total = self.counting.total if self.counting else None
        rate = self.current.files_done / seconds
        self.progress(
            ProgressEvent(
                self.done, total, self.bytes_read, rate, Counter(self.verdicts), self.current.resumed_findings, phase
            )
        )

    def _save(self, *, ended: bool = False) -> None:
        self.saved_s = time.monotonic()
        self.current.seconds = round(self.saved_s - self.started_s, 3)
        self.current.bytes_read = self.bytes_read
        if ended:
            self.current.ended = utc_now()
            for listed, bank in zip(self.current.lists, self.banks, strict=True):
                bank.refresh()
                listed.list_version_end = bank.list_version
        save_state(self.out, self.state)


def work_item(listed: Listed) -> wire.WorkItem:
    code, message = listed.fault or ("", "")
    return wire.WorkItem(
        listed.path, listed.mtime_ns, listed.ctime_ns, listed.size_bytes, listed.skip, code, message
    )


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def list_state(bank: Bank) -> ListState:
    identity = bank.snapshot.manifest.identity
    return ListState(bank.name, str(bank.kind), bank.count, bank.list_version, identity=identity)


__all__ = ["FINDINGS", "Progress", "ProgressEvent", "default_workers", "scan_paths"]
