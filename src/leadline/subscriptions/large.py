"""Large fingerprints of a source: fetched after its list, kept as files beside its holdings, read by plug-ins.

The list comes first, since nothing here compares these. What is missing is a row; its address is in none (NCMEC asks
for that), so the source is asked again for the record that leads to it. So what failed, what a kill cut and what the
storage had no room for all come in one way, with the next pull. One that fails costs no other one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from leadline.errors import BankError, ExchangeError, SourceUnavailable
from leadline.exchange.connector import LargeSource, Readable
from leadline.match.bank import Bank
from leadline.subscriptions.folder import Subscriptions
from leadline.subscriptions.holdings import Holdings
from leadline.subscriptions.large_files import Draft, LargeFiles
from leadline.subscriptions.large_rows import Due, Failed, LargeRows, Row

OFF, FULL, DISK, LATER = "switched-off", "storage-full", "disk-full", "next-pull"  # why what was not tried is missing
NOT_TOLD, EMPTY = "not-told", "empty"  # why what was tried is, beside codes of errors
_AT_ONCE = 10_000
_RETRIED = 500  # a pull: those that were never tried come first, and all of them
_NEAR_S = 60  # records so near in time are asked for together
_ONE_S = 120.0  # of one; its source has more to give
_IN_VAIN = 5  # answers in a row that did not come: the source is not asked further
_PIECE_BYTES = 1 << 17
_KEPT_FAULTS = 20
_BEFORE_ALL = Due(-1, "", "")


@dataclass(frozen=True, slots=True)
class Bounds:
    """most_bytes: of one; all_bytes: of all; free_bytes: of the disk, stay free; time_s: of fetching, in one pull: the
    next one of the list is not to wait for it."""

    most_bytes: int
    all_bytes: int
    free_bytes: int = 2 << 30
    time_s: float = 300.0


@dataclass(slots=True)
class Fetched:
    """What a pull did: kept and failed in it, missing after it; stopped: why it went no further, else empty."""

    kept: int = 0
    failed: int = 0
    missing: int = 0
    stopped: str = ""
    faults: list[str] = field(default_factory=list)


class _Stop(Exception):
    """No further ones in this pull. Its text is why."""


class Fetcher:
    """Of one pull. What has been fetched when it is killed stays."""

    def __init__(
        self,
        source: LargeSource,
        rows: LargeRows,
        files: LargeFiles,
        bounds: Bounds,
        *,
        clock: Callable[[], float] = time.time,
        say: Callable[[Fetched], None] = lambda fetched: None,
    ) -> None:
        self.fetched = Fetched()
        self._source, self._rows, self._files, self._bounds = source, rows, files, bounds
        self._clock, self._say, self._end_s, self._in_vain = clock, say, clock() + bounds.time_s, 0
        self._left_bytes = 0

    def run(self) -> Fetched:
        """BankError where holdings cannot be written; what is wrong with a source or the disk is in the answer."""
        rows, fetched = self._rows, self.fetched
        if not rows.has_any:
            return fetched
        if not self._files.are_there:
            rows.forget_files()
        self._files.drop_drafts()
        self._left_bytes = self._bounds.all_bytes - rows.held_bytes
        fetched.missing = sum(rows.reasons().values())
        try:
            self._fetch_all()
        except _Stop as stop:
            fetched.stopped = str(stop)
            rows.leave(fetched.stopped)
        sweep(rows, self._files)
        fetched.missing = sum(rows.reasons().values())
        self._say(fetched)
        return fetched

    def _fetch_all(self) -> None:
        if self._bounds.all_bytes == 0:
            raise _Stop(OFF)
        failed_before, after = self._rows.failed_before(_RETRIED), _BEFORE_ALL
        while some := self._rows.due(after, _AT_ONCE):
            after = some[-1]
            self._fetch(some)
        self._fetch(failed_before)

    def _fetch(self, dues: Sequence[Due]) -> None:
        for span in _spans(dues):
            self._require_time()
            wanted: dict[str, set[str]] = {}
            for due in span:
                wanted.setdefault(due.key, set()).add(due.kind)
            why = NOT_TOLD
            try:
                self._fetch_span(span, wanted)
            except SourceUnavailable as error:
                raise _Stop(error.code) from None
            except ExchangeError as error:
                why = error.code
            self._fail([Failed(key, kind, why) for key, kinds in wanted.items() for kind in sorted(kinds)])

    def _fetch_span(self, span: Sequence[Due], wanted: dict[str, set[str]]) -> None:
        """Page by page, so that a second of very many records comes on within the time of a pull. `wanted` keeps what
        was not told."""
        left = len(span)
        for page in self._source.tell_again(max(0, span[0].moment - 1), span[-1].moment + 1):
            for record in page.records:
                for kind in sorted(wanted.get(record.key, set()) & set(record.linked or ())):
                    wanted[record.key].discard(kind)
                    left -= 1
                    self._fetch_one(record.key, kind, (record.linked or {})[kind])
            if not left:
                return

    def _fetch_one(self, key: str, kind: str, link: str) -> None:
        self._require_room()
        most_bytes = min(self._bounds.most_bytes, self._left_bytes)
        try:
            with self._source.open_linked(link, most_bytes) as body:
                draft = self._files.write(self._pieces(body))
            self._take(key, kind, draft)
        except ExchangeError as error:
            if error.code == "too-large" and most_bytes < self._bounds.most_bytes:
                raise _Stop(FULL) from None
            self._fail([Failed(key, kind, error.code)])
            self._in_vain = self._in_vain + 1 if isinstance(error, SourceUnavailable) else 0
            if self._in_vain >= _IN_VAIN:
                raise _Stop(error.code) from None
        except OSError:
            raise _Stop(DISK) from None
        self._say(self.fetched)

    def _pieces(self, body: Readable) -> Iterator[bytes]:
        """One that trickles in holds up everything else only for so long."""
        end_s = self._clock() + _ONE_S
        while piece := body.read(_PIECE_BYTES):
            if self._clock() > end_s:
                raise SourceUnavailable("a large fingerprint comes too slowly", code="timeout")
            yield piece

    def _require_time(self) -> None:
        if self._clock() >= self._end_s:
            raise _Stop(LATER)

    def _require_room(self) -> None:
        self._require_time()
        if self._left_bytes <= 0:
            raise _Stop(FULL)
        if self._files.free_bytes < self._bounds.free_bytes + self._bounds.most_bytes:
            raise _Stop(DISK)

    def _take(self, key: str, kind: str, draft: Draft) -> None:
        self._in_vain = 0
        if not draft.size:
            self._files.drop(draft.path)
            self._fail([Failed(key, kind, EMPTY)])
            return
        self._rows.expect(draft.digest)
        if self._files.keep(draft):
            self._left_bytes -= draft.size
        self._rows.take(key, kind, draft.digest, draft.size)
        self.fetched.kept += 1
        self.fetched.missing -= 1

    def _fail(self, failed: Sequence[Failed]) -> None:
        if not failed:
            return
        self._rows.fail(failed)
        self.fetched.failed += len(failed)
        room = _KEPT_FAULTS - len(self.fetched.faults)
        self.fetched.faults += [f"{one.key} {one.kind}: {one.why}" for one in failed[: max(0, room)]]


def _spans(dues: Sequence[Due]) -> Iterator[list[Due]]:
    """Those near in time, together."""
    span: list[Due] = []
    for due in dues:
        if span and due.moment - span[-1].moment > _NEAR_S:
            yield span
            span = []
        span.append(due)
    if span:
        yield span


def sweep(rows: LargeRows, files: LargeFiles) -> None:
    """What no record leads to any more is removed. BankError where the disk refuses."""
    try:
        while loose := rows.loose(_AT_ONCE):
            for digest, is_named in loose:
                if not is_named:
                    files.remove(digest)
            rows.forget_loose(digest for digest, _ in loose)
    except OSError as error:
        what = f"large fingerprints not removed: {error.strerror}"
        raise BankError(what, where=str(error.filename), mend="check rights, then pull again") from None


# --- for plug-ins -----------------------------------------------------------------------------------------------------


class LargePrint(NamedTuple):
    """One large fingerprint that a source tells now.

    kind      as a plug-in is called: small letters and _ ("tmk_pdqf", "videntifier")
    key       the source's own name of the record; entry_id: its entry in the source's bank, None where it has none
    digest    32 bytes, SHA-256 of the file; several records may share one
    path      the file, as the source gave it: untrusted bytes, to be read and not written
    """

    kind: str
    key: str
    entry_id: int | None
    digest: bytes
    size: int
    path: Path


def read_large(subscriptions: Subscriptions, name: str) -> Iterator[LargePrint]:
    """Those held of a source, but not of entries that a person here took out or suspended.

    A file goes with the withdrawal of its record: open it at once, and pass over one that is gone. ConfigError for a
    name that is no source; BankError, ConfigError of a damaged bank or holdings.
    """
    path = subscriptions.holdings_path(name)
    if not path.exists():
        return
    files = LargeFiles(subscriptions.large_path(name))
    bank = Bank.open(Path(subscriptions.get(name).bank))
    with closing(Holdings(path)) as holdings:
        for row in holdings.large.held():
            if _acts(bank, row) and (place := files.path(row.file)).exists():
                yield LargePrint(row.kind, row.key, row.entry_id, row.file, row.size, place)


def _acts(bank: Bank, row: Row) -> bool:
    if row.entry_id is None:
        return True
    if not bank.snapshot.holds(np.array([row.entry_id], np.int64))[0]:
        return False
    return bank.get(row.entry_id).disabled_until <= bank.now()
