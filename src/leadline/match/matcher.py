"""Fingerprints against banks: all queries of a batch in one kernel call per table; keeps nothing between calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.domain import EXACT_ALGORITHMS, PDQ_BYTES, Fingerprints, Kind, PdqFamily, Transform, ViewHashes
from leadline.errors import ConfigError, HashFormatError
from leadline.match.bank import Bank
from leadline.match.fingerprints import FingerprintKind
from leadline.match.info import is_compared
from leadline.match.plugins import find_by_plugin
from leadline.match.policy import NO_MATCH, PICTURE, BankView, Found, judge
from leadline.match.policy import MatchAnswer as MatchAnswer
from leadline.match.records import FAMILY_CODES, I64, U8
from leadline.match.search import MAX_RADIUS_BITS, find_near
from leadline.match.segment import LiveTable, Mask
from leadline.match.snapshot import Snapshot

_TRANSFORMS = tuple(Transform)


class _Target(NamedTuple):
    """One bank as it is during one call."""

    view: BankView
    bank: Bank
    snapshot: Snapshot
    radius_bits: int
    now: int


@dataclass(slots=True)
class _Findings:
    """By number of the file or line: what was found, and whose list the limit cut."""

    found: dict[int, list[Found]] = field(default_factory=lambda: defaultdict(list))
    truncated: set[int] = field(default_factory=set)


class _PdqQueries(NamedTuple):
    """Q hashes: whose they are, of which view, under which transform, of what quality."""

    hashes: U8
    owners: I64
    qualities: I64
    views: Sequence[str]
    transforms: I64

    def chosen(self, which: NDArray[np.bool_]) -> _PdqQueries:
        if which.all():
            return self
        views = [view for view, is_chosen in zip(self.views, which.tolist(), strict=True) if is_chosen]
        return _PdqQueries(
            self.hashes[which], self.owners[which], self.qualities[which], views, self.transforms[which]
        )


class Matcher:
    """Matches files and hashes against some banks.

    radius_bits  in place of each bank's own, or None
    threads      of the kernel's search
    limit        matches an answer at most; 0 = all
    Raises ConfigError for another radius than 0..64, and where two banks share a name: an answer could not say
    which is meant.
    """

    def __init__(
        self, banks: Sequence[Bank], *, radius_bits: int | None = None, threads: int = 1, limit: int = 100
    ) -> None:
        if not 0 <= (radius_bits or 0) <= MAX_RADIUS_BITS:
            raise ConfigError(f"radius {radius_bits}", mend=f"it is 0..{MAX_RADIUS_BITS} bits")
        names = [bank.name for bank in banks]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError("two banks of one name", where=name, mend="build one of them under another name")
        self.banks, self._radius_bits, self._threads, self._limit = tuple(banks), radius_bits, threads, limit

    @property
    def needs_family_a(self) -> bool:
        """Whether some bank holds PDQ hashes of family a, so that files need one too."""
        return any(_holds_family(bank.snapshot, PdqFamily.A) for bank in self.banks)

    @property
    def kinds(self) -> dict[str, FingerprintKind]:
        """The installed plug-ins some bank holds fingerprints for: what to compute of a file."""
        return {
            name: bank.kinds[name]
            for bank in self.banks
            for name, length in _other_prints(bank.snapshot)
            if is_compared((name, length), bank.kinds)
        }

    def refresh(self) -> bool:
        """Pick up what changed in any bank; True where something did. Two stats a bank where nothing did."""
        return any([bank.refresh() for bank in self.banks])

    def match(self, files: Sequence[Fingerprints]) -> list[MatchAnswer]:
        """One answer per file, in order. Raises HashFormatError for a digest of a wrong length."""
        findings, targets = _Findings(), self._targets()
        queries = _pdq_queries(files)
        for target in targets:
            for algorithm in EXACT_ALGORITHMS:
                owners = [i for i, file in enumerate(files) if algorithm in file.exact]
                rows = _digest_rows(algorithm, [files[i].exact[algorithm] for i in owners])
                self._find_exact(target, algorithm, rows, np.array(owners, np.int64), findings)
            self._find_pdq(target, queries.chosen(queries.qualities >= target.bank.quality_floor), findings)
            self._find_others(target, files, findings)
        return [
            self._answer(number, findings, _reasons(file, targets)) for number, file in enumerate(files)
        ]

    def match_rows(self, algorithm: str, rows: U8) -> dict[int, MatchAnswer]:
        """The answers of those hashes that match anything, by row number: the fast path for long lists.

        algorithm  md5 | sha1 | sha256 | pdq | a plug-in's name; "" takes it from the length (32 bytes: sha256 and pdq)
        rows       uint8 (Q, length)
        No quality is known, so no quality floor applies. HashFormatError for a length that fits no algorithm.
        """
        findings = _Findings()
        owners = np.arange(len(rows), dtype=np.int64)
        for target in self._targets():
            for name in _algorithms(algorithm, rows.shape[1]):
                if name == "pdq":
                    zeros = np.zeros(len(rows), np.int64)
                    self._find_pdq(target, _PdqQueries(rows, owners, zeros, (), zeros), findings)
                elif name in EXACT_ALGORITHMS:
                    self._find_exact(target, name, rows, owners, findings)
                else:
                    singles = [(number, PICTURE, row.tobytes()) for number, row in enumerate(rows)]
                    self._find_other(target, name, singles, findings)
        return {number: self._answer(number, findings, ()) for number in sorted(findings.found)}

    def match_hashes(self, lines: Sequence[tuple[str, bytes]]) -> list[MatchAnswer]:
        """One answer per (algorithm, hash), in order; algorithms as in `match_rows`."""
        batches: dict[tuple[str, int], list[int]] = defaultdict(list)
        for number, (algorithm, digest) in enumerate(lines):
            batches[algorithm, len(digest)].append(number)
        answers = [NO_MATCH] * len(lines)
        for (algorithm, length), numbers in batches.items():
            joined = b"".join([lines[number][1] for number in numbers])
            rows = np.frombuffer(joined, np.uint8).reshape(len(numbers), length)
            for at, answer in self.match_rows(algorithm, rows).items():
                answers[numbers[at]] = answer
        return answers

    def _targets(self) -> list[_Target]:
        targets = []
        for bank in self.banks:
            snapshot = bank.snapshot
            radius = bank.radius_bits if self._radius_bits is None else self._radius_bits
            view = BankView(bank.name, snapshot.list_version)
            targets.append(_Target(view, bank, snapshot, radius, bank.now()))
        return targets

    def _answer(self, number: int, findings: _Findings, reasons: tuple[str, ...]) -> MatchAnswer:
        found = findings.found.get(number)
        if not found:
            return MatchAnswer(reasons=reasons) if reasons else NO_MATCH
        matches, truncated = judge(found, self._limit)
        return MatchAnswer(matches, truncated or number in findings.truncated, reasons)

    def _find_exact(
        self, target: _Target, algorithm: str, rows: U8, owners: I64, findings: _Findings
    ) -> None:
        for table in target.snapshot.tables:
            index = table.segment.exact.get(algorithm)
            if index is None:
                continue
            mask = table.mask(target.now)
            known: dict[int, tuple[list[tuple[int, Kind]], bool]] = {}  # a hot digest is resolved once a batch
            for query, slots in index.find(rows):
                if slots.start not in known:
                    known[slots.start] = self._resolve(table, mask, index.rows(slots))
                entries, truncated = known[slots.start]
                owner = int(owners[query])
                for row, kind in entries:
                    findings.found[owner].append(Found(target.view, table, row, kind, algorithm, 0, 0))
                if truncated:
                    findings.truncated.add(owner)

    def _resolve(self, table: LiveTable, mask: Mask, rows: I64) -> tuple[list[tuple[int, Kind]], bool]:
        """The rows that match now, at most `limit` of each kind, and whether there were more."""
        if mask.rows is not None:
            rows = rows[~mask.rows[rows]]
        return keep_of_each_kind(table, rows, self._limit)

    def _find_pdq(self, target: _Target, queries: _PdqQueries, findings: _Findings) -> None:
        near = find_near(
            target.snapshot,
            queries.hashes,
            target.radius_bits,
            target.now,
            threads=self._threads,
            limit=self._limit,
        )
        for hits in near:
            findings.truncated.update(queries.owners[hits.truncated].tolist())
            for query, row, distance in zip(
                hits.queries.tolist(), hits.rows.tolist(), hits.distances.tolist(), strict=True
            ):
                found = Found(
                    target.view, hits.table, row, hits.group.kind, "pdq", distance, hits.radius_bits,
                    queries.views[query] if queries.views else PICTURE,
                    _TRANSFORMS[int(queries.transforms[query])],
                )  # fmt: skip
                findings.found[int(queries.owners[query])].append(found)

    def _find_others(self, target: _Target, files: Sequence[Fingerprints], findings: _Findings) -> None:
        for name in {name for name, _ in _other_prints(target.snapshot)}:
            queries = [
                (number, view.view, view.others[name])
                for number, file in enumerate(files)
                for view in file.views
                if name in view.others
            ]
            self._find_other(target, name, queries, findings)

    def _find_other(
        self, target: _Target, name: str, queries: Sequence[tuple[int, str, bytes]], findings: _Findings
    ) -> None:
        kind = target.bank.kinds.get(name)
        if kind is None:
            return
        for table in target.snapshot.tables:
            blocked = table.mask(target.now).rows
            for owner, view, digest in queries:
                rows, distances = find_by_plugin(kind, table.records, digest, blocked)
                kept, truncated = keep_of_each_kind(table, rows, self._limit)
                at = dict(zip(rows.tolist(), distances.tolist(), strict=True))
                for row, entry_kind in kept:
                    if entry_kind is not Kind.FALSE_POSITIVE:  # they act by exact digests and PDQ only
                        found = Found(
                            target.view, table, row, entry_kind, name, at[row], kind.threshold, view
                        )
                        findings.found[owner].append(found)
                if truncated:
                    findings.truncated.add(owner)


def keep_of_each_kind(table: LiveTable, rows: I64, limit: int) -> tuple[list[tuple[int, Kind]], bool]:
    """The first `limit` rows (0 = all) of each kind, so that no kind is crowded out by another."""
    codes = table.records.kind[rows]
    kept: list[I64] = []
    for code in np.unique(codes).tolist():
        of_kind = rows[codes == code]
        kept.append(of_kind[:limit] if limit else of_kind)
    chosen = np.concatenate(kept).tolist() if kept else []
    return [(row, table.records.kind_of(row)) for row in chosen], len(chosen) < len(rows)


def _pdq_queries(files: Sequence[Fingerprints]) -> _PdqQueries:
    hashes: list[bytes] = []
    views: list[str] = []
    numbers: list[tuple[int, int, int]] = []
    for owner, file in enumerate(files):
        for view in file.views:
            hashes += view.pdq
            views += [view.view] * len(view.pdq)
            numbers += [(owner, view.quality, transform) for transform in range(len(view.pdq))]
    table = np.array(numbers, np.int64).reshape(-1, 3)
    return _PdqQueries(_digest_rows("pdq", hashes), table[:, 0], table[:, 1], views, table[:, 2])


def _digest_rows(algorithm: str, digests: Sequence[bytes]) -> U8:
    length = EXACT_ALGORITHMS.get(algorithm, PDQ_BYTES)
    for digest in digests:
        if len(digest) != length:
            raise HashFormatError(f"a hash of {len(digest)} bytes", where=algorithm, mend=f"it has {length}")
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, length)


def _algorithms(algorithm: str, length: int) -> tuple[str, ...]:
    if not algorithm:
        by_length = {16: ("md5",), 20: ("sha1",), 32: ("sha256", "pdq")}
        if length not in by_length:
            raise HashFormatError(f"no algorithm has hashes of {length} bytes", mend="name the algorithm")
        return by_length[length]
    expected = PDQ_BYTES if algorithm == "pdq" else EXACT_ALGORITHMS.get(algorithm, length)
    if length != expected:
        raise HashFormatError(f"a hash of {length} bytes", where=algorithm, mend=f"it has {expected}")
    return (algorithm,)


def _holds_family(snapshot: Snapshot, family: PdqFamily) -> bool:
    return any(
        FAMILY_CODES[family] in table.segment.family_codes for table in snapshot.tables if table.alive_count
    )


def _other_prints(snapshot: Snapshot) -> set[tuple[str, int]]:
    return {key for table in snapshot.tables for key in table.segment.others}


def _reasons(file: Fingerprints, targets: Sequence[_Target]) -> tuple[str, ...]:
    """What of a file was not compared with a bank, and why; nothing where no picture was hashed."""
    if not file.views:
        return ()
    return tuple(reason for target in targets for reason in _reasons_of(file.views, target))


def _reasons_of(views: Sequence[ViewHashes], target: _Target) -> Iterator[str]:
    name, floor = target.bank.name, target.bank.quality_floor
    low = [view for view in views if view.quality < floor]
    if low and any(table.segment.pdq_groups for table in target.snapshot.tables):
        if len(low) == len(views):
            best = max(view.quality for view in low)
            yield f"quality {best} below {floor}: near match not attempted in {name}"
        else:
            yield f"{len(low)} of {len(views)} views of a quality below {floor} not compared with {name}"
    if _holds_family(target.snapshot, PdqFamily.A) and not any(v.family is PdqFamily.A for v in views):
        yield f"{name} holds PDQ hashes of family a, of which this file has none"
    for kind, length in sorted(_other_prints(target.snapshot)):
        if not is_compared((kind, length), target.bank.kinds):
            yield f"{kind} of {length} bytes in {name} not compared: no plug-in for it is installed"
        elif not any(kind in view.others for view in views):
            yield f"{kind} in {name} not compared: none was computed of this file"
