"""One source made, checked, pulled: its connector with its credentials, its bank, its status. Decides nothing.

A pull is noted before it begins and after it ends, so that one that was killed is told from one that failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leadline.errors import ConfigError, ExchangeError, LeadlineError, SourceShrank
from leadline.exchange.connector import Checkpoint, Connector, LargeSource, ListConnector
from leadline.exchange.connectors import find_connector
from leadline.match.bank import Bank
from leadline.subscriptions.ahead import read_ahead
from leadline.subscriptions.folder import Subscription, Subscriptions
from leadline.subscriptions.holdings import Holdings
from leadline.subscriptions.importing import Importer, Outcome
from leadline.subscriptions.large import Bounds, Fetcher, sweep
from leadline.subscriptions.large_files import LargeFiles

_TOLD_FAULTS = 20
COUNTS = ("told", "added", "changed", "withdrawn", "same", "left_out", "absent", "kept", "refused", "refused_hashes")


@dataclass(frozen=True, slots=True)
class Wish:
    """How to pull. since_s: leave out what has not changed since then; for the first pull alone."""

    since_s: int | None = None
    is_dry: bool = False
    allow_shrink: bool = False


@contextmanager
def connected(
    subscriptions: Subscriptions,
    name: str,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Connector]:
    """The source's connector with its credentials; closed afterwards. ConfigError where settings do not fit it."""
    subscription = subscriptions.get(name)
    kind = find_connector(subscription.connector)
    try:
        options = kind.options_type.model_validate(dict(subscription.options))
    except ValueError:
        mend = "another version of leadline wrote them: remove the source and add it again"
        raise ConfigError("its options do not fit its connector", where=name, mend=mend) from None
    with closing(kind(options, subscriptions.secrets(name), subscription.defaults, clock=clock, sleep=sleep)) as made:
        yield made


def pull_source(
    subscriptions: Subscriptions,
    name: str,
    wish: Wish,
    *,
    say: Callable[[Outcome], None] = lambda outcome: None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Bring the source's bank to where the source is. What failed is in the status too, unless it was a dry run.

    ConfigError for a look-up service, and where another process pulls it already; BankError, ExchangeError.
    """
    subscription = subscriptions.get(name)
    with subscriptions.pulling(name):
        run = _Run(subscriptions, name, int(clock()), wish)
        with run.noted(clock), connected(subscriptions, name, clock=clock, sleep=sleep) as source:
            if not isinstance(source, ListConnector):
                mend = "it is asked about single files: nothing of it is pulled"
                raise ConfigError("a look-up service", where=name, mend=mend)
            with closing(Holdings(subscriptions.holdings_path(name))) as holdings:
                files = LargeFiles(subscriptions.large_path(name))
                if isinstance(source, LargeSource) and not wish.is_dry:
                    _prepare_large(holdings, files)
                try:
                    _fill(Bank.open(Path(subscription.bank)), holdings, source, subscription, run, say)
                finally:
                    if not wish.is_dry:  # what was withdrawn is gone, whatever became of the rest
                        sweep(holdings.large, files)
                if isinstance(source, LargeSource) and run.outcome.is_complete and not wish.is_dry:
                    _fetch_large(holdings, files, source, run.outcome, clock, say)
        return run.outcome


class _Run:
    """What is told of one pull, while it goes on and afterwards."""

    def __init__(self, subscriptions: Subscriptions, name: str, started: int, wish: Wish) -> None:
        self.outcome, self.wish, self.pending = Outcome(), wish, 0
        self._subscriptions, self._name, self._started = subscriptions, name, started

    @contextmanager
    def noted(self, clock: Callable[[], float]) -> Iterator[None]:
        if self.wish.is_dry:
            yield
            return
        self._subscriptions.note_start(self._name, self._started)
        try:
            yield
        except LeadlineError as error:
            error.where = error.where or self._name
            self._note(clock, _told_error(error))
            raise
        except KeyboardInterrupt:
            self._note(clock, {"code": "interrupted", "text": "stopped by a person"})
            raise
        self._note(clock, None)

    def _note(self, clock: Callable[[], float], error: dict[str, str] | None) -> None:
        outcome = self.outcome
        counts = {name: getattr(outcome, name) for name in (*COUNTS, "pages", "total", "is_complete", "is_whole")}
        unknown, reasons = dict(outcome.unknown), dict(outcome.reasons)
        faults = [str(fault) for fault in outcome.faults[:_TOLD_FAULTS]]
        times = {"started": self._started, "ended": int(clock())}
        if outcome.unconfirmed is not None:
            counts["unconfirmed"] = _told_error(outcome.unconfirmed)
        counts["large"] = asdict(outcome.large)
        run = {**times, **counts, "unknown": unknown, "reasons": reasons, "faults": faults, "pending": self.pending}
        self._subscriptions.note_run(self._name, run if error is None else {**run, "error": error})


def _fill(
    bank: Bank,
    holdings: Holdings,
    source: ListConnector,
    subscription: Subscription,
    run: _Run,
    say: Callable[[Outcome], None],
) -> None:
    wish = run.wish
    importer = Importer(
        bank, holdings, terms=subscription.terms, label_kinds=subscription.label_kinds, say=say,
        is_partial=wish.since_s is not None, allow_shrink=wish.allow_shrink, is_dry=wish.is_dry,
    )  # fmt: skip
    run.outcome = importer.outcome
    try:
        beginning = _beginning(importer.checkpoint, source, subscription.name, wish.since_s)
        with read_ahead(source.pull(beginning)) as pages:
            importer.run(pages)
    except SourceShrank:
        run.pending = holdings.count_not_told(holdings.round)
        raise
    if run.outcome.is_complete and not wish.is_dry:
        _confirm(source, importer.checkpoint or {}, run.outcome)


def _prepare_large(holdings: Holdings, files: LargeFiles) -> None:
    """A list that was told before large fingerprints were kept is told again, once. Files of holdings that are lost
    go: nobody knows which of them the source has withdrawn."""
    if not holdings.fact("large"):
        files.remove_all()
        holdings.tell_again({"large": "1"})


def _fetch_large(
    holdings: Holdings,
    files: LargeFiles,
    source: LargeSource,
    outcome: Outcome,
    clock: Callable[[], float],
    say: Callable[[Outcome], None],
) -> None:
    options = source.options
    bounds = Bounds(options.large_mb * 1_000_000, int(options.large_gb * 1e9))
    fetcher = Fetcher(source, holdings.large, files, bounds, clock=clock, say=lambda _: say(outcome))
    outcome.large = fetcher.fetched
    fetcher.run()


def _confirm(source: ListConnector, checkpoint: Checkpoint, outcome: Outcome) -> None:
    """A receipt that was not taken is no fault of the pull: the list is here. The next pull sends it again."""
    try:
        source.confirm(checkpoint)
    except ExchangeError as error:
        error.where = error.where or source.name
        outcome.unconfirmed = error


def _beginning(
    checkpoint: Checkpoint | None, source: ListConnector, name: str, since_s: int | None
) -> Checkpoint | None:
    if since_s is None:
        return checkpoint
    if checkpoint is not None:
        mend = "pull without it: the source then tells what changed since the last pull, and nothing is missed"
        raise ConfigError("--since is for the first pull", where=name, mend=mend)
    if (start := source.start_at(since_s)) is None:
        raise ConfigError("this protocol cannot begin at a moment", where=name, mend="pull without --since")
    return start


def _told_error(error: LeadlineError) -> dict[str, Any]:
    return {"code": error.code, "text": str(error), "permanent": error.permanent}
