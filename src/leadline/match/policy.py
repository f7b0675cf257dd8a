"""From everything found for one file to its answer: false positives mark, nothing hides; searches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from leadline.domain import EXACT_ALGORITHMS, Kind, Match, Transform
from leadline.match.records import FAMILIES
from leadline.match.segment import LiveTable

_SERIOUSNESS = {kind: rank for rank, kind in enumerate(Kind)}
_TRANSFORMS = {transform: rank for rank, transform in enumerate(Transform)}
PICTURE = "picture"


@dataclass(frozen=True, slots=True)
class MatchAnswer:
    """What the banks say of one file or hash.

    matches    most serious kind first, then distance, then bank and entry; one per entry and algorithm
    truncated  there were more than the limit
    reasons    what was not compared, and why
    """

    matches: tuple[Match, ...] = ()
    truncated: bool = False
    reasons: tuple[str, ...] = ()


NO_MATCH = MatchAnswer()


class BankView(NamedTuple):
    """The bank a thing was found in, as it was when searched."""

    name: str
    list_version: int


class Found(NamedTuple):
    """One fingerprint of a file met one row of a table."""

    bank: BankView
    table: LiveTable
    row: int
    kind: Kind
    algorithm: str
    distance: float
    threshold: float
    view: str = PICTURE
    transform: Transform = Transform.ORIGINAL

    @property
    def entry(self) -> int:
        return int(self.table.records.ids[self.row])

    @property
    def rank(self) -> tuple[int, float, str, int, str]:
        return _SERIOUSNESS[self.kind], self.distance, self.bank.name, self.entry, self.algorithm


class _Marked(NamedTuple):
    found: Found
    suppressed_by: str | None


def judge(found: Sequence[Found], limit: int) -> tuple[tuple[Match, ...], bool]:
    """The matches of one file, at most `limit` (0 = all), and whether there were more.

    Where the limit cuts, matches that no false positive marks stay first.
    """
    marks = _Marks(found)
    best: dict[tuple[str, int, str], _Marked] = {}
    for candidate in found:
        marked = _Marked(candidate, marks.of(candidate))
        key = (candidate.bank.name, candidate.entry, candidate.algorithm)
        if key not in best or _preference(marked) < _preference(best[key]):
            best[key] = marked
    chosen = sorted(best.values(), key=lambda m: (m.suppressed_by is not None, m.found.rank))
    truncated = bool(limit) and len(chosen) > limit
    if truncated:
        chosen = chosen[:limit]
    chosen.sort(key=lambda m: m.found.rank)
    return tuple(map(_as_match, chosen)), truncated


class _Marks:
    """What the false-positive entries found for one file mark.

    One that met the file's exact digest marks all of its near matches. One that met a hash of one view marks what
    that view matched and no other: a known harmless frame says nothing of the next frame. A cryptographic match to
    an illegal entry is never marked.
    """

    def __init__(self, found: Sequence[Found]) -> None:
        self.of_file: str | None = None
        self.of_view: dict[str, str] = {}
        positives = [f for f in found if f.kind is Kind.FALSE_POSITIVE]
        for positive in sorted(positives, key=lambda f: f.rank):
            label = f"{positive.bank.name}/{positive.entry}"
            if positive.algorithm in EXACT_ALGORITHMS:
                self.of_file = self.of_file or label
            else:
                self.of_view.setdefault(positive.view, label)

    def of(self, match: Found) -> str | None:
        if match.kind in (Kind.FALSE_POSITIVE, Kind.BENIGN):
            return None
        if match.algorithm in EXACT_ALGORITHMS and match.kind is Kind.ILLEGAL:
            return None
        return self.of_file or self.of_view.get(match.view)


def _preference(marked: _Marked) -> tuple[bool, float, str, int]:
    found = marked.found
    return marked.suppressed_by is not None, found.distance, found.view, _TRANSFORMS[found.transform]


def _as_match(marked: _Marked) -> Match:
    found, records = marked.found, marked.found.table.records
    detail = records.detail(found.row)
    return Match(
        bank=found.bank.name,
        kind=found.kind,
        entry=found.entry,
        algorithm=found.algorithm,
        distance=found.distance,
        threshold=found.threshold,
        list_version=found.bank.list_version,
        transform=found.transform,
        view=found.view,
        scheme=detail.scheme,
        label=detail.label,
        family=FAMILIES[int(records.family[found.row])].value if found.algorithm == "pdq" else "",
        suppressed_by=marked.suppressed_by,
    )
