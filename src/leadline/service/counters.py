"""Counts and latencies of all workers as Prometheus metrics. Each worker writes its own file, once a second.

A worker that is started anew goes on where its predecessor's file ended, so that no counter ever falls. What a killed
worker counted in its last second is lost. The loop that answers draws what there is to tell and a thread writes it: a
disk that is busy with a merge lets a writer wait for half a second.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_DEAD_AFTER_S = 10.0
_SLOTS = 1024

# name -> what it says, and its labels. A label holds names of banks, codes and addresses of ours: never what was sent.
COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "leadline_requests": ("Requests answered", ("route", "status")),
    "leadline_lookups": ("Hashes looked up", ("route",)),
    "leadline_matches": ("Look-ups that met a bank", ("bank",)),
    "leadline_shadow_matches": ("Look-ups that met a bank in shadow mode, and were not told", ("bank",)),
    "leadline_refused": ("Requests not begun", ("code",)),
    "leadline_decode_failures": ("Uploads whose picture was not decoded", ("code",)),
    "leadline_list_changes": ("Changes of a bank picked up", ("bank",)),
    "leadline_alarms": ("Alarms raised", ("kind",)),
    "leadline_log_lost": ("Lines of the match log that found no place while the disk took none", ()),
}
LATENCIES: dict[str, tuple[str, tuple[str, ...]]] = {"leadline_request_seconds": ("From headers to answer", ("route",))}
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "leadline_in_flight": ("Requests being worked on", ()),
    "leadline_lookup_queue": ("Hashes of long lists that are searched or wait for it", ()),
    "leadline_hash_queue": ("Uploads waiting for a decoder", ()),
    "leadline_log_failing": ("Workers whose match log the disk does not take", ()),
    "leadline_bank_entries": ("Entries of a bank", ("bank",)),
    "leadline_bank_version": ("List version of a bank", ("bank",)),
    "leadline_bank_checked_age_seconds": ("Since changes of banks were last looked for", ()),
    "leadline_bank_index_bytes": ("Search index of a bank", ("bank",)),
    "leadline_bank_index_age_seconds": ("Since a bank was last written, by change or merge", ("bank",)),
    "leadline_resident_bytes": ("Memory of all workers; what they map together counts for each", ()),
}
_SHARED = frozenset(  # every worker says the same of them
    {"leadline_bank_entries", "leadline_bank_version", "leadline_bank_index_bytes", "leadline_bank_index_age_seconds"}
)
_WORST = frozenset({"leadline_bank_checked_age_seconds"})
Key = tuple[str, tuple[str, ...]]


class Published(msgspec.Struct):
    """The file of one worker. number: 1 is drawn first."""

    number: int = 0
    pid: int = 0
    at: float = 0
    counts: list[tuple[str, tuple[str, ...], int]] = []
    latencies: list[tuple[str, tuple[str, ...], list[int], float]] = []
    gauges: list[tuple[str, tuple[str, ...], float]] = []


class Counters:
    """Of one worker, for one thread, beside which another may `publish` and `render` what was drawn."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._slot, self._lock_fd = _claim(folder)
        before = _read(self._slot) or Published()
        self._counts: defaultdict[Key, int] = defaultdict(int)
        self._times: dict[Key, tuple[list[int], list[float]]] = {}
        self._gauges: dict[Key, float] = {}
        self._drawn, self._written, self._writing = 0, 0, threading.Lock()
        for name, labels, value in before.counts:
            self._counts[name, tuple(labels)] = value
        for name, labels, buckets, total_s in before.latencies:
            self._times[name, tuple(labels)] = (list(buckets), [total_s])

    @property
    def worker(self) -> str:
        """Its number among those that share the state folder; one that is started in its place has the same."""
        return self._slot.stem

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        self._counts[name, labels] += by

    def observe(self, name: str, seconds: float, *labels: str) -> None:
        known = self._times.get((name, labels))
        if known is None:
            known = self._times[name, labels] = ([0] * (len(BUCKETS_S) + 1), [0.0])
        known[0][bisect_left(BUCKETS_S, seconds)] += 1
        known[1][0] += seconds

    def set(self, name: str, value: float, *labels: str) -> None:
        self._gauges[name, labels] = value

    def draw(self) -> Published:
        """What this worker has to tell now."""
        self._drawn += 1
        return Published(
            self._drawn,
            os.getpid(),
            time.time(),
            [(name, labels, value) for (name, labels), value in self._counts.items()],
            [(name, labels, [*buckets], total[0]) for (name, labels), (buckets, total) in self._times.items()],
            [(name, labels, value) for (name, labels), value in self._gauges.items()],
        )

    def publish(self, drawn: Published) -> None:
        """Write this worker's file. OSError where the disk is full: the numbers stay, and are written next time."""
        made = self._slot.with_suffix(".new")
        with self._writing:
            if drawn.number > self._written:  # else one drawn later was quicker
                made.write_bytes(msgspec.json.encode(drawn))
                made.replace(self._slot)
                self._written = drawn.number

    def render(self, drawn: Published) -> bytes:
        """All workers' metrics in Prometheus' text form: this one's as drawn, the others' as they last wrote them."""
        others = [told for path in sorted(self._folder.glob("*.json")) if path != self._slot and (told := _read(path))]
        registry = CollectorRegistry()
        registry.register(_Collector([drawn, *others]))
        return generate_latest(registry)

    def close(self) -> None:
        os.close(self._lock_fd)


def resident_bytes() -> int:
    """Of this process, as the kernel counts it: mapped files too."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def start_anew(folder: Path) -> None:
    """Forget what an earlier run counted; called before any worker starts. Where workers of another service that shares
    the state folder live, all goes on: a sum that falls would look like a service begun anew."""
    with contextlib.ExitStack() as held:
        for lock in folder.glob("*.lock"):
            lock_fd = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
            held.callback(os.close, lock_fd)
            try:
                fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        for path in folder.glob("*.json"):
            path.unlink(missing_ok=True)


def _claim(folder: Path) -> tuple[Path, int]:
    """The first file that no living process holds; the kernel lets it go when the process dies."""
    for number in range(_SLOTS):
        lock_fd = os.open(folder / f"{number}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock_fd)
            continue
        return folder / f"{number}.json", lock_fd
    raise OSError("too many workers share one state folder")


def _read(path: Path) -> Published | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Published)
    except (FileNotFoundError, msgspec.DecodeError):
        return None  # none yet, or one that a power cut left: its counts begin anew


class _Collector:
    def __init__(self, workers: list[Published]) -> None:
        self._workers = workers

    def collect(self) -> Iterable[Metric]:
        yield from self._counters()
        yield from self._latencies()
        yield from self._gauges()

    def _counters(self) -> Iterator[Metric]:
        for name, (meaning, label_names) in COUNTERS.items():
            sums: defaultdict[tuple[str, ...], int] = defaultdict(int)
            for worker in self._workers:
                for counted, labels, value in worker.counts:
                    if counted == name:
                        sums[tuple(labels)] += value
            family = CounterMetricFamily(name, meaning, labels=label_names)
            for labels, value in sorted(sums.items()):
                family.add_metric(labels, value)
            yield family

    def _latencies(self) -> Iterator[Metric]:
        for name, (meaning, label_names) in LATENCIES.items():
            sums: dict[tuple[str, ...], tuple[list[int], float]] = {}
            for worker in self._workers:
                for timed, labels, buckets, total_s in worker.latencies:
                    if timed == name:
                        old, old_s = sums.get(tuple(labels), ([0] * len(buckets), 0.0))
                        sums[tuple(labels)] = [a + b for a, b in zip(old, buckets, strict=True)], old_s + total_s
            family = HistogramMetricFamily(name, meaning, labels=label_names)
            for labels, (buckets, total_s) in sorted(sums.items()):
                running, bounds = 0, [*map(str, BUCKETS_S), "+Inf"]
                cumulated = []
                for bound, number in zip(bounds, buckets, strict=True):
                    running += number
                    cumulated.append((bound, float(running)))
                family.add_metric(labels, cumulated, total_s)
            yield family

    def _gauges(self) -> Iterator[Metric]:
        living = [worker for worker in self._workers if time.time() - worker.at < _DEAD_AFTER_S]
        for name, (meaning, label_names) in GAUGES.items():
            told: dict[tuple[str, ...], float] = {}
            for worker in living:
                for shown, labels, value in worker.gauges:
                    if shown == name:
                        old = told.get(tuple(labels), 0.0)
                        is_one = name in _SHARED or name in _WORST
                        told[tuple(labels)] = max(old, value) if is_one else old + value
            family = GaugeMetricFamily(name, meaning, labels=label_names)
            for labels, value in sorted(told.items()):
                family.add_metric(labels, value)
            yield family
