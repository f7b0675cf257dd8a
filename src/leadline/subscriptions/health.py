"""At a glance how a source is: last success, lag, entries, what the last run did, what is pending. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from leadline.domain import Kind
from leadline.errors import LeadlineError
from leadline.exchange.connector import LargeOptions
from leadline.match.bank import Bank
from leadline.subscriptions.folder import Subscription, Subscriptions
from leadline.subscriptions.holdings import Holdings, Kept, State
from leadline.subscriptions.large_rows import Failed, LargeCount


class Standing(StrEnum):
    NEVER = "never pulled"
    PULLING = "pulling"
    GOOD = "good"
    CUT = "cut off"  # killed, or stopped by a person: the next pull goes on
    FAILED = "failed"
    UNCONFIRMED = "pulled; receipt not confirmed"
    ASKED = "a look-up: asked, never pulled"


_NAMED = 10


@dataclass(frozen=True, slots=True)
class Large:
    """Fingerprints too large for a bank. reasons: why what is missing is, with a count (large.py's words and codes of
    errors); failed: some of those that were tried in vain; most_gb: the cap, 0 is off."""

    counts: tuple[LargeCount, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    failed: tuple[Failed, ...] = ()
    most_gb: float = 0.0


@dataclass(frozen=True, slots=True)
class Health:
    """Times in seconds since 1970, 0 where there was none.

    lag_s                seconds since the start of the last pull that ended well; -1 before the first
    last_run             as subscriptions/pulling.py notes it: counts, unknown, reasons, faults, error, unconfirmed
    withdrawals_pending  entries that the source no longer has and our bank still does
    told_whole           when the last pull began in which the whole list was told
    whole_every_h        hours after which it is told again; 0 where the source tells every withdrawal
    kept                 fingerprints that nobody here can compare and that are kept beside the bank, by kind
    bank_error           why the bank does not open, else empty
    """

    subscription: Subscription
    standing: Standing
    last_success: int = 0
    lag_s: int = -1
    last_run: Mapping[str, Any] = field(default_factory=dict)
    withdrawals_pending: int = 0
    entries: int = 0
    by_kind: Mapping[Kind, int] = field(default_factory=dict)
    by_fingerprint: Mapping[str, int] = field(default_factory=dict)
    list_version: int = 0
    told_whole: int = 0
    whole_every_h: float = 0
    kept: Mapping[str, int] = field(default_factory=dict)
    large: Large = field(default_factory=Large)
    bank_error: str = ""

    @property
    def is_well(self) -> bool:
        return self.standing in (Standing.GOOD, Standing.PULLING, Standing.ASKED) and not self.bank_error


def describe_source(subscriptions: Subscriptions, name: str, now_s: float) -> Health:
    """ConfigError for a name that is no source, or whose files are damaged. A bank that does not open is told."""
    subscription, status = subscriptions.get(name), subscriptions.status(name)
    runs, success = status.get("runs") or [], status.get("last_success") or {}
    if not subscription.bank:
        return Health(subscription, Standing.ASKED)
    last = runs[-1] if runs else {}
    started = int(success.get("started", 0))
    half_removed, kept, large = _of_holdings(subscriptions, subscription)
    return Health(
        subscription,
        _standing(status, last, is_busy=subscriptions.is_busy(name)),
        last_success=int(success.get("ended", 0)),
        lag_s=int(now_s) - started if started else -1,
        last_run=last,
        withdrawals_pending=int(last.get("pending", 0)) + half_removed,
        told_whole=int(status.get("told_whole", 0)),
        whole_every_h=float(subscription.options.get("whole_every_h", 0)),
        kept=kept,
        large=large,
        **_of_bank(subscription.bank),
    )


def _standing(status: Mapping[str, Any], last: Mapping[str, Any], *, is_busy: bool) -> Standing:
    if status.get("started"):
        return Standing.PULLING if is_busy else Standing.CUT
    if not last:
        return Standing.NEVER
    error = last.get("error")
    if error:
        return Standing.CUT if error.get("code") == "interrupted" else Standing.FAILED
    if not last.get("is_complete"):
        return Standing.CUT
    return Standing.UNCONFIRMED if last.get("unconfirmed") else Standing.GOOD


def _of_holdings(subscriptions: Subscriptions, of: Subscription) -> tuple[int, dict[str, int], Large]:
    """Withdrawals of a batch that a kill cut between its note and the bank, what is kept, and large fingerprints."""
    path = subscriptions.holdings_path(of.name)
    if not path.exists():
        return 0, {}, Large()
    try:
        with closing(Holdings(path)) as holdings:
            half_removed, kept, rows = holdings.unsettled(State.REMOVING), holdings.kept_counts(), holdings.large
            most_gb = float(of.options.get("large_gb", LargeOptions.model_fields["large_gb"].default))
            large = Large(tuple(rows.counts()), rows.reasons(), tuple(rows.failed(_NAMED)), most_gb)
            return len(half_removed), kept, large
    except LeadlineError:
        return 0, {}, Large()  # the next pull tells what is wrong with them


def read_kept(subscriptions: Subscriptions, name: str) -> Iterator[Kept]:
    """What is kept without an entry. As `describe_source`; BankError, ConfigError of damaged holdings."""
    path = subscriptions.holdings_path(name)
    if path.exists():
        with closing(Holdings(path)) as holdings:
            yield from holdings.kept()


def _of_bank(path: str) -> dict[str, Any]:
    if not path:
        return {}
    try:
        info = Bank.open(Path(path)).info()
    except LeadlineError as error:
        return {"bank_error": str(error)}
    return {
        "entries": info.entries, "by_kind": info.by_kind, "by_fingerprint": info.by_fingerprint,
        "list_version": info.list_version,
    }  # fmt: skip
