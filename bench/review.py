"""The queue, a claim, a card, a tile and a look over an office with a million clusters, on SQLite and PostgreSQL. Asserts nothing.

`python -m bench.review` prints a Markdown table; `--office URL|sqlite` is what its child processes run. Served as an
operator serves it, over loopback, to one person on shift. Pictures are drawn, sealed in the vault, and made in the
sandbox of the process that answers; bench/renditions.py says what of a look is the picture itself.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np

from bench.pictures import make_jpegs
from bench.workbench import (
    ASSETS,
    ITEMS_A_REPORT,
    ROOT,
    SCALE,
    environment,
    fill_assets,
    fill_reports,
    hasten,
    insert,
    make_office,
    serve,
    session_of,
    tell,
)

EXPOSURES = int(500_000 * SCALE)
DECIDED_SHARE = 5  # of so many, one waits still
PICTURES = {"1 MP": 8, "12 MP, about 1.6 MB": 8}
PAGES, CLAIMS, LENSES = 200, 100, 12
BESIDE, VISITS = {"team": "/review/team/", "about me": "/review/me/", "assessments": "/review/assessments/"}, 30
COLUMNS = ("database", "what", "times", "median ms", "p99 ms", "longest ms")
TOKEN = "a" * 32


# --- an office -------------------------------------------------------------------------------------------------------


def take_pictures() -> dict[str, list[tuple[str, str]]]:
    """Real files, kept and sorted: size -> (review, asset)."""
    from leadline.workbench import matching
    from leadline.workbench.accounts.actions import set_office_setting
    from leadline.workbench.accounts.models import Person
    from leadline.workbench.evidence.access import MEDIA_MODE
    from leadline.workbench.evidence.actions import take_in
    from leadline.workbench.review.actions import sort_assets
    from leadline.workbench.review.models import Review

    set_office_setting(Person.objects.get(), MEDIA_MODE, "keep", "a benchmark")
    taken: dict[str, list[tuple[str, str]]] = {}
    for size, count in PICTURES.items():
        for data in make_jpegs(size, count):
            asset = take_in(data, actor="system", source="bench", name="drawn.jpg")
            sort_assets()
            review = Review.objects.get(cluster__members__asset=asset)
            taken.setdefault(size, []).append((str(review.pk), str(asset.pk)))
    matching.close_engine()
    return taken


def fill(person: Any) -> None:
    """A cluster of each file, most of them decided by one person, an item of each, and looks of years."""
    from django.db import connection
    from django.utils import timezone

    now = timezone.now()
    assets = [uuid.UUID(int=number + 1) for number in range(ASSETS)]
    hasten()
    fill_assets(assets, now)
    fill_reports(now, assets)
    fill_clusters(assets, now)
    fill_assessments(assets, person, now)
    fill_looks(assets, person, now)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def fill_clusters(assets: list[uuid.UUID], now: datetime) -> None:
    from leadline.workbench.review.models import Cluster, Member, Review

    def clusters() -> Iterator[dict[str, Any]]:
        for pk in assets:
            yield {"id": pk, "centre": pk, "radius_bits": 31, "size": 1, "made_at": now}

    def members() -> Iterator[dict[str, Any]]:
        for pk in assets:
            yield {"cluster": pk, "asset": pk, "distance": 0, "transform": "", "joined_at": now}

    def reviews() -> Iterator[dict[str, Any]]:
        for number, pk in enumerate(assets):
            is_waiting = number % DECIDED_SHARE == 0
            yield {
                "id": pk, "cluster": pk, "state": "waiting" if is_waiting else "decided", "urgency": number % 4,
                "rank": 3 - number % 4, "category": "unknown", "received_at": now - timedelta(seconds=number), "held_for": "",
                "decided_at": None if is_waiting else now - timedelta(minutes=number),
            }  # fmt: skip

    insert(Cluster, clusters())
    insert(Member, members())
    insert(Review, reviews())


def fill_assessments(assets: list[uuid.UUID], person: Any, now: datetime) -> None:
    """All of one person: who asks what they may not decide again has to look among very many."""
    from leadline.workbench.review.models import Assessment, Coverage

    decided = [(number, pk) for number, pk in enumerate(assets) if number % DECIDED_SHARE]

    def rows() -> Iterator[dict[str, Any]]:
        for number, pk in decided:
            at = now - timedelta(minutes=number)
            yield {
                "id": pk, "review": pk, "cluster": pk, "by": person.pk, "made_at": at, "effective_at": at, "standing": "in-force",
                "scheme": "leadline-facts", "scheme_version": 1, "answers": {"live": ["no"]}, "reason": "",
            }  # fmt: skip

    insert(Assessment, rows())
    insert(Coverage, ({"assessment": pk, "asset": pk, "origin": "assessed", "distance": 0} for _, pk in decided))


def fill_looks(assets: list[uuid.UUID], person: Any, now: datetime) -> None:
    """All of one person, one in five minutes: years of them."""
    from leadline.workbench.review.models import Exposure, Shift

    before = Shift.objects.create(
        person=person, began_at=now - timedelta(days=9), working_since=now, planned_minutes=60, ended_at=now - timedelta(days=8)
    )

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(EXPOSURES):
            at = now - timedelta(days=2, minutes=5 * number)
            yield {
                "id": uuid.uuid4(), "person": person.pk, "asset": assets[number], "review": assets[number], "shift": before.pk,
                "level": "lens", "purpose": "decision", "severity": 1, "issued_at": at, "until": at + timedelta(seconds=8),
                "ended_at": at + timedelta(seconds=3), "areas": [[0.25, 0.25, 0.5, 0.5]], "session_hash": "0" * 64,
            }  # fmt: skip

    insert(Exposure, rows())


# --- one person on shift ---------------------------------------------------------------------------------------------


class Browser:
    """A session, with what it took to be answered."""

    def __init__(self, name: str, port: int, cookie: str) -> None:
        self._name, self._connection = name, http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {
            "Host": f"localhost:{port}", "Cookie": f"leadline={cookie}; leadline-csrf={TOKEN}", "X-CSRFToken": TOKEN,
        }  # fmt: skip
        self.times: dict[str, list[float]] = {}

    def ask(self, method: str, path: str, expected: int = 200, **fields: str) -> str:
        """The page, or where it leads."""
        form = {"Content-Type": "application/x-www-form-urlencoded"} if method == "POST" else {}
        self._connection.request(method, path, urlencode(fields), {**self._headers, **form})
        answer = self._connection.getresponse()
        told = answer.read()
        if answer.status != expected:
            raise SystemExit(f"{method} {path}: {answer.status}")
        return answer.headers.get("Location", "") if expected == 302 else told.decode("utf-8", "replace")

    def timed(self, what: str, act: Callable[[], Any]) -> Any:
        begin = time.perf_counter()
        told = act()
        self.times.setdefault(what, []).append((time.perf_counter() - begin) * 1000)
        return told

    def tell(self) -> None:
        for what, times in self.times.items():
            p50, p99 = np.percentile(times, (50, 99))
            tell("review", self._name, what, len(times), f"{p50:.0f}", f"{p99:.0f}", f"{max(times):.0f}")


def measure(browser: Browser, taken: dict[str, list[tuple[str, str]]]) -> None:
    for _ in range(PAGES):
        browser.timed("queue, first page", lambda: browser.ask("GET", "/review/"))
    page = browser.ask("GET", "/review/")
    for _ in range(PAGES):
        further = page.rpartition("?cursor=")[2].partition('"')[0] if "?cursor=" in page else ""
        page = browser.timed("queue, pages further on", lambda at=further: browser.ask("GET", f"/review/?cursor={at}"))
    for _ in range(CLAIMS):
        card = browser.timed("claim the next", lambda: browser.ask("POST", "/review/next/", 302))
        browser.ask("POST", f"{card}do/give-back/", 302)
    for name, path in BESIDE.items():
        for _ in range(VISITS):
            browser.timed(name, lambda at=path: browser.ask("GET", at))
    for size, reviews in taken.items():
        for review, asset in reviews:
            look_at(browser, size, review, asset)


def look_at(browser: Browser, size: str, review: str, asset: str) -> None:
    size = size.partition(",")[0]
    browser.timed("claim a certain one", lambda: browser.ask("POST", f"/review/{review}/claim/", 302))
    browser.timed("the card", lambda: browser.ask("GET", f"/review/{review}/"))
    for _ in range(4):
        browser.timed(f"tile, {size}", lambda: browser.ask("GET", f"/review/{review}/tile/{asset}/"))
    for number in range(LENSES):
        look = browser.timed(f"lens until its pixels are there, {size}", lambda n=number: reveal(browser, review, asset, n))
        browser.timed(f"lens moved, {size}", lambda at=look: browser.ask("GET", f"/review/look/{at}/?x=0.4&y=0.6"))
        browser.ask("POST", f"/review/look/{look}/end/")
    browser.ask("POST", f"/review/{review}/do/give-back/", 302)


def reveal(browser: Browser, review: str, asset: str, number: int) -> str:
    """The key goes down: leave to look, then the pixels."""
    look = json.loads(browser.ask("POST", f"/review/{review}/reveal/", asset=asset, level="lens"))["look"]
    browser.ask("GET", f"/review/look/{look}/?x={number / LENSES:.2f}&y=0.5")
    return str(look)


# --- all of it -------------------------------------------------------------------------------------------------------


def measure_office(database: str) -> None:
    from tests.servers import free_port

    name = "PostgreSQL" if database else "SQLite"
    with tempfile.TemporaryDirectory() as folder:
        home, port = Path(folder) / "home", free_port()
        os.environ.update(environment(home, database, port))
        person, _ = make_office()
        from leadline.workbench.review.actions import begin_shift

        taken, began = take_pictures(), time.monotonic()
        fill(person)
        print(f"{name}: filled in {time.monotonic() - began:.0f} s", file=sys.stderr)
        cookie = session_of(person)
        begin_shift(person, 240, session=cookie)
        with serve(port, worker=False):
            browser = Browser(name, port, cookie)
            measure(browser, taken)
            browser.tell()


def child(database: str) -> list[list[str]]:
    command = [sys.executable, "-m", "bench.review", "--office", database or "sqlite"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    rows = [json.loads(line)[1:] for line in done.stdout.splitlines()]
    failed = ["PostgreSQL" if database else "SQLite", f"failed with code {done.returncode}"]
    return [*rows, failed] if done.returncode else rows


def main() -> None:
    from tests.servers import postgresql, postgresql_programs

    print(
        f"## Review over {ASSETS:,} clusters (every {DECIDED_SHARE}th waits, all others decided by one person), {max(ASSETS, ITEMS_A_REPORT):,} reported items, "
        f"{EXPOSURES:,} looks on record\n"
    )
    rows = child("")
    if postgresql_programs():
        with postgresql(durable=True) as url:
            rows += child(url)
    else:
        rows += [["PostgreSQL", "not installed"]]
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for row in rows:
        print("| " + " | ".join(row + [""] * (len(COLUMNS) - len(row))) + " |")
    print("\nA look: leave is asked by POST, written into ledger and chain, then its pixels are made and sent.\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--office"]:
        measure_office("" if sys.argv[2] == "sqlite" else sys.argv[2])
    else:
        main()
