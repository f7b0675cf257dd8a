"""The page of sources, and what health says of them: read from what pulls noted, a damaged one hides no other."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from tests.exchange.feed.conftest import DAY_S, Clock, Publisher, entry
from tests.workbench.sharing.conftest import Desk, set_up

from leadline.domain import Entry, Kind, Tlp
from leadline.exchange.feed.roots import create_roots
from leadline.exchange.feed.shelf import Shelf
from leadline.match.bank import Bank
from leadline.subscriptions.holdings import Holdings, Kept
from leadline.subscriptions.large_rows import Failed, Wanted
from leadline.workbench.accounts.models import Person
from leadline.workbench.sharing import reach, sources
from leadline.workbench.stats import access as stats


def run(*, ended: int, **counts: Any) -> dict[str, Any]:
    """As subscriptions/pulling.py notes one."""
    names = ("told", "added", "changed", "withdrawn", "same", "left_out", "absent", "refused", "refused_hashes")
    told = {name: counts.pop(name, 0) for name in names}
    more = {"unknown": {}, "reasons": {}, "faults": [], "pending": 0, "is_complete": True}
    return {"started": ended - 5, "ended": ended, **told, **more, **counts}


@pytest.fixture
def pulled(office: Any, desk: Desk) -> str:
    bank = Bank.create(office.banks / "list", name="list", kind=Kind.ILLEGAL)
    bank.add([Entry(Kind.ILLEGAL, {"md5": bytes([n]) * 16}) for n in range(3)])
    bank.add([Entry(Kind.OTHER, {"sha1": bytes([9]) * 20})])
    set_up("list", str(bank.path))
    now = int(time.time())
    known = reach.subscriptions()
    known.note_run("list", run(ended=now - 7200, added=5))
    known.note_run(
        "list",
        run(
            ended=now - 100, added=2, withdrawn=1, refused=3, reasons={"a hash that is none": 3},
            faults=["a hash that is none (record 7)"], unknown={"fingerprint made-up": 4},
        ),
    )  # fmt: skip
    known.note_run("list", run(ended=now - 50, pending=6, error={"code": "source-shrank", "text": "it shrank"}))
    return "list"


def test_a_source_is_told_at_a_glance(pulled: str) -> None:
    [found] = sources.all_sources()
    assert (found.standing, found.entries, found.pending) == ("failed", 4, 6)
    assert dict(found.by_kind) == {"illegal": 3, "other": 1}
    assert dict(found.by_fingerprint) == {"md5": 3, "sha1": 1}
    assert found.lag_s is not None
    assert 100 <= found.lag_s < 200
    assert [(r.counts["added"], r.counts["withdrawn"], r.failure) for r in found.runs] == [
        (0, 0, "source-shrank"), (2, 1, ""), (5, 0, ""),
    ]  # fmt: skip


def test_the_chart_draws_the_oldest_run_first_and_the_greatest_highest(pulled: str) -> None:
    [found] = sources.all_sources()
    bars = found.chart.bars
    assert [bar.added_height for bar in bars] == [40, 16, 0]
    assert [bar.withdrawn_height for bar in bars] == [0, 8, 0]
    assert [bar.has_failed for bar in bars] == [False, False, True]


def test_pages_show_it_and_a_damaged_one_beside_it(
    pulled: str, office: Any, client_of: Callable[[Person], Client], analyst: Person
) -> None:
    set_up("other")
    (office.home / "exchanges" / "other" / "settings.json").write_text("{")
    client = client_of(analyst)
    page = client.get("/sources/").content.decode()
    assert "cannot be read" in page
    assert "+0" in page
    assert "md5 3 · sha1 1" in page
    assert re.search(r"<td>1\sminute</td>", page), "the lag, as people say it"
    page = client.get("/sources/list/").content.decode()
    assert "a list that shrank too much" in page
    assert "<svg" in page
    assert client.get("/sources/other/").status_code == 200
    assert client.get("/sources/none/").status_code == 404


def test_a_page_tells_what_was_refused_and_what_is_not_known(
    pulled: str, client_of: Callable[[Person], Client], analyst: Person
) -> None:
    now = int(time.time())
    last = run(ended=now, refused=3, reasons={"made-up reason": 3}, faults=["made-up fault"], unknown={"made-up": 4})
    reach.subscriptions().note_run("list", last)
    page = client_of(analyst).get("/sources/list/").content.decode()
    for text in ("made-up reason: 3", "made-up fault", "made-up: 4"):
        assert text in page


def test_a_page_counts_what_is_kept_and_not_compared_and_shows_none_of_it(
    pulled: str, client_of: Callable[[Person], Client], analyst: Person
) -> None:
    client = client_of(analyst)
    assert "Kept, not compared" not in client.get("/sources/list/").content.decode()
    kept = [Kept(f"record {n}", "<b>made-up", f"print {n}", bytes([n]) * 32) for n in range(3)]
    with closing(Holdings(reach.subscriptions().holdings_path("list"))) as holdings:
        holdings.settle([], [], [], kept, round_=1, facts={})
    page = client.get("/sources/list/").content.decode()
    assert re.search(r"Kept, not compared</th><td>&lt;b&gt;made-up: 3</td>", page)
    assert "print 1" not in page


def test_a_page_tells_what_large_fingerprints_are_held_and_why_others_are_missing(
    pulled: str, client_of: Callable[[Person], Client], analyst: Person
) -> None:
    client = client_of(analyst)
    assert "Large fingerprints" not in client.get("/sources/list/").content.decode()
    wanted = [Wanted(f"record {n}", "<b>tmk", bytes([n]) * 32, 9) for n in range(4)]
    with closing(Holdings(reach.subscriptions().holdings_path("list"))) as holdings:
        holdings.settle([], [], [], wanted=wanted, round_=1, facts={})
        holdings.large.take("record 0", "<b>tmk", bytes(32), 263_344)
        holdings.large.fail([Failed("record 1", "<b>tmk", "page-expired")])
        holdings.large.leave("storage-full")
    page = client.get("/sources/list/").content.decode()
    assert re.search(r"Large fingerprints</th><td>&lt;b&gt;tmk: 1 \(257.2\sKB\)</td>", page)
    missing = "left with the source: the storage set for them is full: 2<br>its page has expired: 1"
    assert f"Large fingerprints that are missing</th><td>{missing}</td>" in page


def test_a_page_tells_when_a_source_that_deletes_without_a_word_last_told_its_whole_list(
    office: Any, pulled: str, client_of: Callable[[Person], Client], analyst: Person
) -> None:
    client = client_of(analyst)
    assert "Told whole" not in client.get("/sources/list/").content.decode()
    set_up("silent", str(office.banks / "silent"), whole_every_h=12)
    begun = 1_795_000_000
    for count, told in enumerate(("not yet", "2026-11-18 11:06")):
        page = client.get("/sources/silent/").content.decode()
        assert f"<td>{told}. What it deletes without a word is seen every 12 hours.</td>" in page
        reach.subscriptions().note_run("silent", run(ended=begun + 5, is_whole=not count))


def state(name: str) -> str:
    return next(check.state for check in stats.health([name]))


def test_health_tells_of_sources_that_lag_or_cannot_be_read(office: Any, desk: Desk) -> None:
    assert state("sources") == "off"
    Bank.create(office.banks / "list", name="list", kind=Kind.ILLEGAL)
    set_up("list", str(office.banks / "list"))
    assert state("sources") == "late"  # never pulled
    now = int(time.time())
    reach.subscriptions().note_run("list", run(ended=now - 27 * 3600))
    assert state("sources") == "late"
    reach.subscriptions().note_run("list", run(ended=now))
    assert state("sources") == "ok"
    reach.subscriptions().note_run("list", run(ended=now, unconfirmed={"code": "remote-status", "text": "not taken"}))
    [check] = stats.health(["sources"])
    assert (check.state, check.note, sources.describe("list").standing) == ("late", "unconfirmed", "unconfirmed")
    (office.home / "exchanges" / "list" / "settings.json").write_text("{")
    assert state("sources") == "failed"


def test_a_look_up_service_is_never_late(office: Any, desk: Desk) -> None:
    set_up("asked")
    assert state("sources") == "off"
    assert sources.describe("asked").standing == "asked"


def test_health_tells_who_owes_a_receipt_and_by_when(
    office: Any, tmp_path: Path, client_of: Callable[[Person], Client], senior: Person
) -> None:
    def told() -> tuple[str, float | None]:
        [found] = stats.health(["feed-receipts"])
        return found.state, found.value

    def owing() -> list[tuple[str, str, int, bool]]:
        return [(one.bank, one.subscriber, one.withdrawals, one.is_overdue) for one in stats.receipts_owed()]

    assert (told(), owing()) == (("off", None), [])
    clock = Clock()
    clock.now = time.time() - 2 * DAY_S
    create_roots(tmp_path / "keys", "Example Hotline", keys=1, threshold=1, expires_s=clock.now + 365 * DAY_S)
    own = Publisher(tmp_path, clock, Bank.create(office.banks / "own", name="own", kind=Kind.OTHER, tlp=Tlp.GREEN))
    readers = [own.admit(name) for name in ("B", "C")]
    own.bank.add([entry(1), entry(2), entry(3)])
    own.publish()
    assert (told(), owing()) == (("ok", 0), [])
    own.bank.remove([1])
    own.publish()  # with a day for the receipt, two days ago
    assert (told(), owing()) == (("late", 2), [("own", "B", 1, True), ("own", "C", 1, True)])
    readers[0].pull(own.feed)
    with own.ledger() as ledger:
        assert [ledger.take_receipt(data, clock.now) for _, data in Shelf(own.feed).receipts()] == [True]
    begun, clock.now = clock.now, time.time()
    own.bank.remove([2])
    own.publish()
    assert (told(), owing()) == (("late", 1), [("own", "C", 2, True), ("own", "B", 1, False)])
    page = client_of(senior).get("/health/").content.decode()
    rows = re.findall(r"<tr><th scope=\"row\">([BC])</th>(.*?)</tr>", page)
    cells = {name: re.findall(r">([^<]+)<", row) for name, row in rows}
    moments = [time.strftime("%Y-%m-%d %H:%M", time.gmtime(at + DAY_S)) for at in (begun, clock.now)]
    assert cells == {"C": ["own", "2", moments[0], "overdue"], "B": ["own", "1", moments[1], "in time"]}
    (own.bank.path / "feed.sqlite").write_bytes(b"no ledger at all")
    assert (told(), owing()) == (("failed", None), [])
