"""Near-duplicates among the unknown pictures: each cluster has a centre, and every member lies within the radius of it.

Never of a chain: a member of a member is not a member. Pictures only near to known-good count as unknown here. Reads
findings, writes clusters.jsonl, judges nothing.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from leadline.domain import DEFAULT_QUALITY_FLOOR, PDQ_BYTES, Kind, PdqFamily, Transform, Verdict
from leadline.match.kernel import HammingIndex, build_index
from leadline.scan.finding import Finding, ViewLine, decode_line, finding_views
from leadline.scan.summary import ClusterSummary

CLUSTERS = "clusters.jsonl"
U8 = NDArray[np.uint8]
COUNTED_UP_TO = 50_000  # distinct hashes; up to here the densest centre is taken first, above in walk order
COUNT_BUDGET = 4_000_000  # neighbours counted for that, in all
COUNT_BATCH = 64
BUSY_RESULTS = 4096  # a search that returns more is asked for fewer centres at a time
MAX_BATCH = 512


@dataclass(frozen=True, slots=True)
class Assignment:
    """Of each of N hashes: the hash that is its centre (itself, for a centre), how far, and turned how (0..7)."""

    centre: NDArray[np.int64]
    distance: NDArray[np.uint16]
    transform: U8


class Candidates:
    """The pictures of a findings file that nobody has seen yet: one hash and one offset each, 40 bytes a picture."""

    def __init__(self) -> None:
        self._hashes = bytearray()
        self._starts = array("Q")

    def __len__(self) -> int:
        return len(self._starts)

    def offer(self, finding: Finding, start: int) -> None:
        view = candidate_view(finding) if is_open(finding) else None
        if view is not None:
            self._hashes += bytes.fromhex(view.pdq)
            self._starts.append(start)

    @property
    def hashes(self) -> U8:
        return np.frombuffer(bytes(self._hashes), dtype=np.uint8).reshape(-1, PDQ_BYTES)

    def start(self, position: int) -> int:
        return self._starts[position]


def is_open(finding: Finding) -> bool:
    """Whether a picture has still to be looked at for the first time: near to known-good is not known."""
    return finding.verdict == Verdict.UNKNOWN or (finding.verdict == Verdict.NEAR and finding.kind == Kind.BENIGN)


def candidate_view(finding: Finding) -> ViewLine | None:
    """The view a picture is clustered by: its first of family b, where the quality bears it."""
    views = (v for v in finding_views(finding) if v.pdq_family == PdqFamily.B)
    view = next(views, None)
    return view if view is not None and view.quality >= DEFAULT_QUALITY_FLOOR else None


def assign(
    hashes: U8, radius_bits: int, *, transforms: Callable[[int], U8] | None = None
) -> Assignment:
    """Leader clustering of uint8 (N, 32): each hash not yet taken becomes a centre and takes all free ones around it.

    transforms  position -> uint8 (8, 32), the hashes of that picture in the order of Transform: members may then
                be turned or mirrored copies of their centre. Without, only the hash itself is compared.
    Deterministic. Only centres are searched; equal hashes are one.
    """
    rows = np.ascontiguousarray(hashes)
    _, first, inverse = np.unique(
        rows.view(np.dtype((np.void, PDQ_BYTES))).ravel(), return_index=True, return_inverse=True
    )
    distinct = np.ascontiguousarray(rows[first])
    centre, distance, transform = _lead(distinct, first, radius_bits, transforms)
    flat = inverse.ravel()
    return Assignment(first[centre[flat]], distance[flat], transform[flat])


def _lead(
    distinct: U8, first: NDArray[np.int64], radius_bits: int, transforms: Callable[[int], U8] | None
) -> tuple[NDArray[np.int64], NDArray[np.uint16], U8]:
    count = len(distinct)
    centre = np.full(count, -1, np.int64)
    distance = np.zeros(count, np.uint16)
    transform = np.zeros(count, np.uint8)
    if not count:
        return centre, distance, transform
    index = HammingIndex(build_index(distinct))
    batch, at = 1, 0
    order = _order(index, distinct, first, radius_bits)
    while at < count:
        chosen, at = _next_free(order, centre, at, batch)
        if not chosen:
            break
        queries = [transforms(int(first[c])) if transforms else distinct[c : c + 1] for c in chosen]
        found = index.search(np.concatenate(queries), radius_bits)
        row = 0
        for candidate, asked in zip(chosen, queries, strict=True):
            rows, row = range(row, row + len(asked)), row + len(asked)
            if centre[candidate] >= 0:
                continue
            centre[candidate] = candidate
            for turn, r in enumerate(rows):
                span = slice(int(found.starts[r]), int(found.starts[r + 1]))
                _take(candidate, turn, found.positions[span], found.distances[span], centre, distance, transform)
        batch = min(batch * 2, MAX_BATCH) if len(found.positions) < BUSY_RESULTS else 1
    return centre, distance, transform


def _take(
    candidate: int, turn: int, positions: NDArray[np.uint32], distances: NDArray[np.uint16],
    centre: NDArray[np.int64], distance: NDArray[np.uint16], transform: U8,
) -> None:  # fmt: skip
    """Free positions become members; members of this very centre keep the nearest of its transforms."""
    nearer = (centre[positions] == candidate) & (distances < distance[positions])
    wanted = (centre[positions] < 0) | nearer
    chosen = positions[wanted]
    centre[chosen], distance[chosen], transform[chosen] = candidate, distances[wanted], turn


def _order(index: HammingIndex, distinct: U8, first: NDArray[np.int64], radius_bits: int) -> NDArray[np.int64]:
    """Which hash may be a centre first: the one with most neighbours where counting is cheap; ties in walk order."""
    walk_order = np.argsort(first, kind="stable")
    if len(distinct) > COUNTED_UP_TO:
        return walk_order
    counts = np.zeros(len(distinct), np.int64)
    for start in range(0, len(distinct), COUNT_BATCH):
        part = index.search(distinct[start : start + COUNT_BATCH], radius_bits)
        counts[start : start + COUNT_BATCH] = np.diff(part.starts)
        if counts.sum() > COUNT_BUDGET:
            return walk_order  # a dense place: counting it through would be quadratic
    return np.lexsort((first, -counts))


def _next_free(
    order: NDArray[np.int64], centre: NDArray[np.int64], at: int, batch: int
) -> tuple[list[int], int]:
    chosen: list[int] = []
    while at < len(order) and len(chosen) < batch:
        if centre[order[at]] < 0:
            chosen.append(int(order[at]))
        at += 1
    return chosen, at


class _Name(msgspec.Struct, frozen=True):
    path: str
    path_b64: str | UnsetType = UNSET


class _Member(msgspec.Struct, frozen=True):
    path: str
    distance: int
    path_b64: str | UnsetType = UNSET
    transform: str | UnsetType = UNSET


class Cluster(msgspec.Struct, frozen=True):
    """One line of clusters.jsonl; the centre is one of `size` and not among `members`."""

    cluster: int
    size: int
    radius_bits: int
    pdq: str
    centre: _Name
    members: list[_Member]


def write_clusters(
    findings: Path, candidates: Candidates, radius_bits: int, out: Path
) -> tuple[ClusterSummary, list[Cluster]]:
    """clusters.jsonl, largest first; returns its summary and the first clusters, cut short, for the report."""
    sizes: Counter[int] = Counter()
    shown: list[Cluster] = []
    fresh = out.with_name(out.name + ".new")
    with open(findings, "rb") as lines, open(fresh, "wb") as stream:
        for cluster in _clusters(lines.fileno(), candidates, radius_bits):
            stream.write(msgspec.json.encode(cluster) + b"\n")
            sizes[cluster.size] += 1
            if len(shown) < 200:
                shown.append(msgspec.structs.replace(cluster, members=cluster.members[:5]))
    os.replace(fresh, out)
    clustered = sum(size * number for size, number in sizes.items())
    summary = ClusterSummary(
        radius_bits, len(candidates), sizes.total(), clustered, max(sizes, default=0), dict(sorted(sizes.items()))
    )
    return summary, shown


def _clusters(fd: int, candidates: Candidates, radius_bits: int) -> Iterator[Cluster]:
    hashes = candidates.hashes

    def transforms(position: int) -> U8:
        view = candidate_view(decode_line(_line(fd, candidates.start(position))))
        turned = view.pdq_transforms if view and isinstance(view.pdq_transforms, list) else []
        if len(turned) != len(Transform):
            return hashes[position : position + 1]
        return np.frombuffer(bytes.fromhex("".join(turned)), dtype=np.uint8).reshape(-1, PDQ_BYTES)

    found = assign(hashes, radius_bits, transforms=transforms)
    grouped = np.argsort(found.centre, kind="stable")
    centres, starts, sizes = np.unique(found.centre[grouped], return_index=True, return_counts=True)
    number = 0
    for which in np.lexsort((centres, -sizes)):
        if sizes[which] < 2:
            return
        number += 1
        centre = int(centres[which])
        members = grouped[starts[which] : starts[which] + sizes[which]]
        others = [
            _member(fd, candidates, int(m), int(found.distance[m]), int(found.transform[m]))
            for m in members
            if m != centre
        ]
        name = _name(fd, candidates, centre)
        yield Cluster(number, int(sizes[which]), radius_bits, hashes[centre].tobytes().hex(), name, others)


_TURNS = tuple(Transform)


def _member(fd: int, candidates: Candidates, position: int, distance: int, turn: int) -> _Member:
    name = _name(fd, candidates, position)
    return _Member(name.path, distance, name.path_b64, str(_TURNS[turn]) if turn else UNSET)


def _name(fd: int, candidates: Candidates, position: int) -> _Name:
    return msgspec.json.decode(_line(fd, candidates.start(position)), type=_Name)


def _line(fd: int, start: int) -> bytes:
    """The line of a findings file that starts there."""
    data = b""
    while b"\n" not in data:
        piece = os.pread(fd, 8192, start + len(data))
        if not piece:
            break
        data += piece
    return data.split(b"\n", 1)[0]
