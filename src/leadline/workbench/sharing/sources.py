"""How each source of lists is, for pages: read from its folder and its bank. Asks no source, changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from leadline.errors import LeadlineError
from leadline.match.folder import FEED
from leadline.subscriptions.folder import Subscription
from leadline.subscriptions.health import describe_source
from leadline.subscriptions.large_rows import LargeCount
from leadline.workbench.banks.access import all_banks
from leadline.workbench.sharing import reach

SHOWN_RUNS = 24
_CHART_HEIGHT, _BAR_WIDTH, _STEP = 40, 8, 12
_RUN_COUNTS = ("added", "changed", "withdrawn", "same", "left_out", "refused", "refused_hashes")


@dataclass(frozen=True, slots=True)
class Bar:
    """One run in the chart, in its units: what came above the line, what went below it."""

    x: int
    added_height: int
    withdrawn_height: int
    has_failed: bool

    @property
    def added_y(self) -> int:
        return _CHART_HEIGHT - self.added_height


@dataclass(frozen=True, slots=True)
class Run:
    """One pull. counts: as `_RUN_COUNTS` names them; failure: a code."""

    ended_at: datetime | None
    counts: Mapping[str, int]
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    width: int
    bars: list[Bar]
    height: int = 2 * _CHART_HEIGHT
    middle: int = _CHART_HEIGHT
    bar_width: int = _BAR_WIDTH


@dataclass(frozen=True, slots=True)
class SourceView:
    """standing: a code. fault: why it cannot be read. faults: refused lines of the last run, as they were told.
    kept: fingerprints without an entry, of kinds that nobody here can compare. large: those too large for a bank;
    large_missing: why some are not here, a code, with a count. told_whole, whole_every_h: see `Health`."""

    name: str
    standing: str
    subscription: Subscription | None = None
    last_success: datetime | None = None
    lag_s: int | None = None
    entries: int = 0
    by_kind: tuple[tuple[str, int], ...] = ()
    by_fingerprint: tuple[tuple[str, int], ...] = ()
    pending: int = 0
    runs: tuple[Run, ...] = ()
    refused: int = 0
    reasons: tuple[tuple[str, int], ...] = ()
    unknown: tuple[tuple[str, int], ...] = ()
    faults: tuple[str, ...] = ()
    fault: str = ""
    kept: tuple[tuple[str, int], ...] = ()
    told_whole: datetime | None = None
    whole_every_h: float = 0
    large: tuple[LargeCount, ...] = ()
    large_missing: tuple[tuple[str, int], ...] = ()

    @property
    def lag_began(self) -> datetime | None:
        """When the last pull that ended well began."""
        return None if self.lag_s is None else timezone.now() - timedelta(seconds=self.lag_s)

    @property
    def last_run(self) -> Run | None:
        return self.runs[0] if self.runs else None

    @property
    def chart(self) -> Chart:
        return _chart(self.runs)


def all_sources() -> list[SourceView]:
    return [describe(name) for name in reach.subscriptions().names()]


def find_source(name: str) -> SourceView | None:
    return describe(name) if name in reach.subscriptions().names() else None


def describe(name: str) -> SourceView:
    """One whose files are damaged says so, and hides no other."""
    known = reach.subscriptions()
    try:
        health = describe_source(known, name, timezone.now().timestamp())
        told = known.status(name).get("runs") or []
    except LeadlineError as error:
        return SourceView(name, "unreadable", fault=error.code)
    last = health.last_run
    return SourceView(
        name, health.standing.name.lower(), health.subscription, _moment(health.last_success),
        health.lag_s if health.lag_s >= 0 else None, health.entries,
        tuple((str(kind), count) for kind, count in health.by_kind.items() if count),
        tuple(health.by_fingerprint.items()), health.withdrawals_pending,
        tuple(_run(run) for run in reversed(told[-SHOWN_RUNS:]) if isinstance(run, dict)),
        _number(last, "refused") + _number(last, "refused_hashes"), _pairs(last.get("reasons")),
        _pairs(last.get("unknown")), tuple(map(str, last.get("faults") or ())),
        "bank" if health.bank_error else "", tuple(health.kept.items()), _moment(health.told_whole),
        health.whole_every_h, tuple(one for one in health.large.counts if one.held),
        tuple(health.large.reasons.items()),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lateness:
    """Of all sources that are pulled: how many there are, are late, cannot be read, did not take our receipt; and the
    greatest lag, if any."""

    lists: int = 0
    late: int = 0
    unreadable: int = 0
    unconfirmed: int = 0
    lag_s: float | None = None


def lateness(late_s: float) -> Lateness:
    """From their status alone: no bank is opened. One that was never pulled is late, a look-up service never is."""
    known, now_s = reach.subscriptions(), timezone.now().timestamp()
    lists = late = unreadable = unconfirmed = 0
    lags = []
    for name in known.names():
        try:
            if not known.get(name).bank:
                continue
            success = known.status(name).get("last_success") or {}
        except LeadlineError:
            unreadable += 1
            continue
        lists += 1
        started = _number(success, "started")
        unconfirmed += bool(success.get("unconfirmed"))
        late += now_s - started > late_s
        lags += [max(0.0, now_s - started)] if started else []
    return Lateness(lists, late, unreadable, unconfirmed, max(lags, default=None))


@dataclass(frozen=True, slots=True)
class Owing:
    """A subscriber of a feed of ours without a receipt for `withdrawals` entries, and by when it was to give one."""

    bank: str
    subscriber: str
    withdrawals: int
    withdraw_by: datetime
    is_overdue: bool


def receipts_owed() -> list[Owing] | None:
    """The earliest deadline first; None where nothing is published. BankError where a feed's ledger cannot be read."""
    published = [bank for bank in all_banks() if (bank.path / FEED).exists()]
    if not published:
        return None
    from leadline.exchange.feed.ledger import Ledger  # what it needs is installed where something is published

    now_s, owing = timezone.now().timestamp(), []
    for bank in published:
        with closing(Ledger(bank.path, must_exist=True)) as ledger:
            for one in ledger.standings():
                if one.owed and not one.removed_at and (by := _moment(one.withdraw_by)):
                    owing.append(Owing(bank.name, one.name, one.owed, by, one.is_overdue(now_s)))
    return sorted(owing, key=lambda one: one.withdraw_by)


def _run(run: Mapping[str, Any]) -> Run:
    error = run.get("error") or {}
    code = str(error.get("code", "fault")) if isinstance(error, dict) and error else ""
    return Run(_moment(_number(run, "ended")), {name: _number(run, name) for name in _RUN_COUNTS}, code)


def _chart(newest_first: tuple[Run, ...]) -> Chart:
    runs = newest_first[::-1]
    most = max([1, *(max(run.counts["added"] + run.counts["changed"], run.counts["withdrawn"]) for run in runs)])
    bars = [
        Bar(
            at * _STEP, _height(run.counts["added"] + run.counts["changed"], most),
            _height(run.counts["withdrawn"], most), bool(run.failure),
        )
        for at, run in enumerate(runs)
    ]  # fmt: skip
    return Chart(max(1, len(runs)) * _STEP, bars)


def _height(count: int, most: int) -> int:
    """At least one unit where there was anything at all."""
    return 0 if not count else max(1, round(_CHART_HEIGHT * count / most))


def _number(run: Mapping[str, Any], name: str) -> int:
    value = run.get(name, 0)
    return value if isinstance(value, int) else 0


def _pairs(value: Any) -> tuple[tuple[str, int], ...]:
    return tuple((str(name), int(count)) for name, count in value.items()) if isinstance(value, dict) else ()


def _moment(seconds: int) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
