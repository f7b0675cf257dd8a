"""What a findings file adds up to: counts, types, sizes, rates, versions. Changes no line of it."""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

import leadline
from leadline.domain import DEFAULT_QUALITY_FLOOR, Verdict
from leadline.match import kernel
from leadline.media.client import decoder_versions
from leadline.scan.finding import Finding, best_distance
from leadline.scan.journal import ListState, Run, State

FORMAT = 1
SIZE_STEPS = (0, 1 << 10, 10 << 10, 100 << 10, 1 << 20, 10 << 20, 100 << 20, 1 << 30)
SIZE_NAMES = (
    "empty", "up to 1 KB", "1–10 KB", "10–100 KB", "100 KB–1 MB", "1–10 MB", "10–100 MB", "100 MB–1 GB", "over 1 GB"
)  # fmt: skip


class ClusterSummary(msgspec.Struct):
    """Near-duplicates among the unknown pictures. sizes: members -> how many clusters of that size."""

    radius_bits: int
    pictures: int = 0
    clusters: int = 0
    clustered: int = 0
    largest: int = 0
    sizes: dict[int, int] = {}


class Summary(msgspec.Struct, kw_only=True):
    """summary.json. files + members = findings = the sum of `verdicts`.

    kinds       verdict -> kind -> findings: known and near always name the kind; benign stands apart here
    suppressed  findings with a match that a false-positive entry marks
    recomputed  pictures whose hash was made by the serial path, and their share of all hashed
    seconds     of all runs together; rates are of those seconds
    not_read    paths that were themselves to be scanned and were skipped, with the reason (a link, a device)
    """

    format: int = FORMAT
    out: str
    sources: list[str]
    options: dict[str, Any]
    started: str
    ended: str | None
    finished: bool
    findings: int = 0
    files: int = 0
    members: int = 0
    resumed: int = 0
    verdicts: dict[str, int] = {}
    kinds: dict[str, dict[str, int]] = {}
    types: dict[str, int] = {}
    sizes: dict[str, int] = {}
    distances: dict[int, int] = {}
    errors: dict[str, int] = {}
    not_read: dict[str, str] = {}
    isolation: dict[str, int] = {}
    bytes: int = 0
    pictures_hashed: int = 0
    low_quality: int = 0
    partial: int = 0
    changed_while_read: int = 0
    suppressed: int = 0
    recomputed: int = 0
    recomputed_share: float = 0.0
    seconds: float = 0.0
    files_per_second: float = 0.0
    bytes_per_second: float = 0.0
    clusters: ClusterSummary
    lists: list[ListState] = []
    runs: list[Run] = []
    versions: dict[str, str] = {}
    host: dict[str, Any] = {}

    @property
    def unread(self) -> int:
        """Findings that ended unreadable: a caller that must say so (exit code 3) asks here."""
        return self.verdicts.get(Verdict.UNREADABLE, 0)


class Tally:
    """Adds findings up, one by one."""

    def __init__(self, sources: Iterable[str] = ()) -> None:
        self._sources = frozenset(sources)
        self.not_read: dict[str, str] = {}
        self.findings = self.members = self.bytes = 0
        self.pictures_hashed = self.low_quality = self.partial = self.changed = 0
        self.suppressed = self.recomputed = 0
        self.verdicts: Counter[str] = Counter({str(v): 0 for v in Verdict})
        self.kinds: dict[str, Counter[str]] = {}
        self.types: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter({name: 0 for name in SIZE_NAMES})
        self.distances: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()
        self.isolation: Counter[str] = Counter()

    def add(self, finding: Finding) -> None:
        self.findings += 1
        self.verdicts[finding.verdict] += 1
        self.isolation[finding.isolation] += 1
        if finding.kind is not None:
            self.kinds.setdefault(finding.verdict, Counter())[finding.kind] += 1
        self.suppressed += any(m.suppressed_by is not None for m in finding.matches)
        if isinstance(finding.error, msgspec.Struct):
            self.errors[finding.error.code] += 1
        if isinstance(finding.container, str):
            self.members += 1
        elif finding.verdict != Verdict.SKIPPED:
            self.bytes += finding.size
        elif finding.path in self._sources:
            self.not_read[finding.path] = "; ".join(finding.reasons)
        if finding.verdict != Verdict.SKIPPED:
            self.types[finding.mime or "not read"] += 1
            self.sizes[size_name(finding.size)] += 1
        self._add_picture(finding)

    def _add_picture(self, finding: Finding) -> None:
        self.partial += finding.partial
        self.changed += finding.changed_while_read
        if finding.pdq is None:
            return
        self.pictures_hashed += 1
        self.low_quality += (finding.quality or 0) < DEFAULT_QUALITY_FLOOR
        self.recomputed += finding.recomputed is True
        distance = best_distance(finding.matches)
        if distance is not None:
            self.distances[int(distance)] += 1


def size_name(size_bytes: int) -> str:
    step = next((i for i, top in enumerate(SIZE_STEPS) if size_bytes <= top), len(SIZE_STEPS))
    return SIZE_NAMES[step]


def make_summary(out: str, state: State, tally: Tally, clusters: ClusterSummary) -> Summary:
    seconds = sum(run.seconds for run in state.runs)
    files_done = sum(run.files_done for run in state.runs)
    bytes_read = sum(run.bytes_read for run in state.runs)
    return Summary(
        out=out,
        sources=state.sources,
        options=state.options,
        started=state.runs[0].started if state.runs else "",
        ended=state.runs[-1].ended if state.runs else None,
        finished=state.finished,
        findings=tally.findings,
        files=tally.findings - tally.members,
        members=tally.members,
        resumed=state.runs[-1].resumed_findings if state.runs else 0,
        verdicts=dict(tally.verdicts),
        kinds={verdict: dict(kinds) for verdict, kinds in sorted(tally.kinds.items())},
        types=dict(tally.types.most_common()),
        sizes=dict(tally.sizes),
        distances=dict(sorted(tally.distances.items())),
        errors=dict(tally.errors.most_common()),
        not_read=tally.not_read,
        isolation=dict(tally.isolation),
        bytes=tally.bytes,
        pictures_hashed=tally.pictures_hashed,
        low_quality=tally.low_quality,
        partial=tally.partial,
        changed_while_read=tally.changed,
        suppressed=tally.suppressed,
        recomputed=tally.recomputed,
        recomputed_share=round(tally.recomputed / max(tally.pictures_hashed, 1), 6),
        seconds=round(seconds, 3),
        files_per_second=round(files_done / seconds, 1) if seconds else 0.0,
        bytes_per_second=round(bytes_read / seconds, 1) if seconds else 0.0,
        clusters=clusters,
        lists=merge_lists(state.runs),
        runs=state.runs,
        versions=code_versions(),
        host=host_facts(),
    )


def merge_lists(runs: Iterable[Run]) -> list[ListState]:
    """Each bank once, with the first and the last list version that any run of this scan matched against."""
    merged: dict[str, ListState] = {}
    for run in runs:
        for listed in run.lists:
            first = merged.setdefault(listed.name, msgspec.structs.replace(listed))
            first.entries = listed.entries
            first.list_version_end = listed.list_version_end or listed.list_version
    return list(merged.values())


def code_versions() -> dict[str, str]:
    return {"leadline": leadline.__version__, "python": platform.python_version(), **decoder_versions()}


def host_facts() -> dict[str, Any]:
    return {
        "os": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "cpu_isa": kernel.cpu_isa(),
        "byte_order": sys.byteorder,
    }


def encode_summary(summary: Summary) -> bytes:
    return bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2)) + b"\n"
