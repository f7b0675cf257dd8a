"""The walk and what an earlier run found, merged in walk order: what is there is kept, what is missing is done.

Neither is ever held in memory. The findings file stays a prefix of the full result: where a hole is met, what follows
it is put aside first (journal.carve_rest) and taken over from there, group by group, as the walk comes to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from leadline.scan.finding import rfc3339
from leadline.scan.journal import FINDINGS, REST, Group, Journal, Order, carve_rest, read_groups
from leadline.scan.sources import Listed, Source


@dataclass(frozen=True, slots=True)
class Step:
    """One thing of the walk in order. kept: its findings of an earlier run; copy: they have still to be taken over.

    listed is None for the findings of a file that was there in the earlier run and is gone now.
    """

    listed: Listed | None
    kept: Group | None = None
    copy: bool = False


class Merge:
    def __init__(self, out: Path, sources: Sequence[Source], journal: Journal) -> None:
        self._out, self._sources, self._journal = out, sources, journal
        self._groups = read_groups(out / FINDINGS, sources)
        self._group = next(self._groups, None)
        self._aside = False  # reading what was put aside, not the findings themselves
        self._position = 0
        self._last: Order | None = None

    def steps(self, walk: Iterable[Listed]) -> Iterator[Step]:
        for listed in walk:
            yield from self._keep_until(listed.order)
            group = self._group if self._group and self._group.order == listed.order else None
            if group is not None and is_of(group, listed):
                yield self._keep(group, listed)
                continue
            if group is not None:
                self._drop()
            self._last = listed.order
            yield Step(listed)
        yield from self._keep_until(None)

    def _drop(self) -> None:
        """Pass over the findings of a file that has changed since: a hole, as if they had never been."""
        if not self._aside:
            self._put_aside()  # from that very group on
        self._group = next(self._groups, None)

    def _keep_until(self, order: Order | None) -> Iterator[Step]:
        """Keep the groups before `order` (all, for None); leaves the first one not before it in self._group."""
        while True:
            group = self._group
            if not self._aside and not self._goes_on(group, order):
                self._put_aside()
            elif group is None:
                return
            elif self._aside and self._worthless(group):
                self._group = next(self._groups, None)
            elif order is None or (group.order is not None and group.order < order):
                yield self._keep(group, None)
            else:
                return

    def _goes_on(self, group: Group | None, order: Order | None) -> bool:
        """True while the findings file is, as it stands, the beginning of the full result."""
        if group is None:
            return order is None and self._position == self._journal.size_bytes
        if not group.whole or group.order is None or group.start != self._position:
            return False
        return (self._last is None or group.order > self._last) and (order is None or group.order <= order)

    def _worthless(self, group: Group) -> bool:
        return not group.whole or group.order is None or (self._last is not None and group.order <= self._last)

    def _put_aside(self) -> None:
        if self._position < self._journal.size_bytes:
            carve_rest(self._out, self._journal, self._position)
        self._aside = True
        self._groups = read_groups(self._out / REST, self._sources)
        self._group = next(self._groups, None)

    def _keep(self, group: Group, listed: Listed | None) -> Step:
        self._last, self._position = group.order, group.end
        self._group = next(self._groups, None)
        return Step(listed, group, copy=self._aside)


def is_of(group: Group, listed: Listed) -> bool:
    """Whether findings are of the file as it is now, as far as its size and its time of change tell."""
    mtime = None if listed.mtime_ns is None else rfc3339(listed.mtime_ns)
    return (group.size_bytes, group.mtime) == (listed.size_bytes, mtime)
