"""How a source is, as its folder and its bank tell: here what only time shows, by a clock that is moved by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from leadline.domain import Kind
from leadline.exchange.mock.base import PASSWORD, USER, serving
from leadline.exchange.mock.taxii import COLLECTION, TaxiiMock
from leadline.match.bank import Bank
from leadline.subscriptions.folder import SecretSource, Subscription, Subscriptions
from leadline.subscriptions.health import Health, describe_source
from leadline.subscriptions.pulling import Wish, pull_source

BEGIN_S, HOUR_S = 1_795_000_000.0, 3600


def no_sealing() -> None:
    pytest.fail("nothing is sealed here")


def test_a_source_that_deletes_without_a_word_says_since_when_nothing_of_that_is_seen(tmp_path: Path) -> None:
    mock, now = TaxiiMock(3), [BEGIN_S]
    mock.clock = lambda: now[0]
    bank = Bank.create(tmp_path / "bank", name="FAR", kind=Kind.OTHER)
    environment = {"USER_OF_IT": USER, "PASSWORD_OF_IT": PASSWORD}
    sources = Subscriptions(tmp_path / "sources", environment, no_sealing)  # type: ignore[arg-type]

    def pulled_after(hours: float) -> Health:
        now[0] = BEGIN_S + hours * HOUR_S
        assert pull_source(sources, "far", Wish(), clock=lambda: now[0]).is_complete
        return describe_source(sources, "far", now[0])

    with serving(mock) as address:
        options = {"address": f"{address}/api", "collection": COLLECTION, "whole_every_h": 24}
        secrets = {name: SecretSource(variable=f"{name.upper()}_OF_IT") for name in ("user", "password")}
        sources.add(Subscription("far", "taxii", options, str(bank.path), Kind.OTHER), secrets)
        assert (describe_source(sources, "far", now[0]).told_whole, bank.count) == (0, 0)
        assert (pulled_after(0).told_whole, pulled_after(0).whole_every_h) == (BEGIN_S, 24)
        mock.delete(next(iter(Bank.open(bank.path).entries())).source_id)
        later = pulled_after(1)
        assert (later.told_whole, later.entries, later.withdrawals_pending) == (BEGIN_S, 3, 0)
        at_last = pulled_after(25)
        assert (at_last.told_whole, at_last.entries) == (BEGIN_S + 25 * HOUR_S, 2)
