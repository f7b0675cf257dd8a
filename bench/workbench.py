"""Reports at rising rates, a sustained rate, and list pages over many rows, on SQLite and PostgreSQL. Asserts nothing.

`python -m bench.workbench` prints Markdown tables; `--office URL|sqlite` is what its child processes run. Everything is
served as an operator serves it (gunicorn with two processes; while reports come in, the worker too), over loopback.
Load stops by itself.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np

ROOT = Path(__file__).parents[1]
CLIENTS = (1, 2, 4, 8, 16)
SCALE = float(os.environ.get("BENCH_SCALE", "1"))  # of all below; to try the benchmark itself
SECONDS, RISING_S, SUSTAINED_S = (6.0, 10.0, 60.0) if SCALE == 1 else (1.0, 1.0, 3.0)
RISING = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)  # of the best
FALLING = (0.8, 0.6, 0.45, 0.35, 0.25)  # of the best, until one holds: that is the sustained rate
HELD = 0.98  # of what was asked is got, and nothing is refused
IDLE_S = 1.0  # gunicorn ends a connection that lies idle for two seconds
SENDERS = 64  # waiting for their turn; many more than are ever on their way
REPORTS, ASSETS = int(100_000 * SCALE), int(1_000_000 * SCALE)
LINES_AN_ASSET, ITEMS_A_REPORT = 3, 2
EXHIBITS, TASKS, HOOKS, DELIVERIES, ENTRIES, CHANGES = (
    int(count * SCALE) for count in (20_000, 50_000, 100, 200_000, 1_000_000, 50_000)
)
CASES, SHARES, MANY_THINGS, THINGS_A_CASE = int(20_000 * SCALE), int(20_000 * SCALE), int(5_000 * SCALE), 5
AIM_MS, LOOKS = 200, 15


# --- an office -------------------------------------------------------------------------------------------------------


def environment(home: Path, database: str, port: int) -> dict[str, str]:
    out = {name: value for name, value in os.environ.items() if not name.startswith("LEADLINE_")}
    out |= {
        "DJANGO_SETTINGS_MODULE": "leadline.workbench.settings",
        "LEADLINE_HOME": str(home),
        "LEADLINE_ADDRESS": f"127.0.0.1:{port}",
        "LEADLINE_PUBLIC_ADDRESS": "off",
        "LEADLINE_API_RATE": "999999",
    }
    out.pop("DATABASE_URL", None)
    return out | ({"DATABASE_URL": database} if database else {})


def make_office() -> tuple[Any, str]:
    """An office with one person who may see everything, and a key of theirs; in this process, whose environment is set."""
    import django

    django.setup()
    from leadline.workbench import office
    from leadline.workbench.accounts.models import Person, RoleGrant
    from leadline.workbench.permissions import Role

    office.prepare_office(lambda text: None)
    person = Person.objects.create(email="bench@example.org", name="bench", password="!")
    for role in (Role.SENIOR, Role.AUDITOR, Role.ADMINISTRATOR):
        RoleGrant.objects.create(person=person, role=role, is_active=True)
    return person, make_key(person, Role.SENIOR)


def make_key(person: Any, role: Any) -> str:
    """A program's key that may do what the role may."""
    from leadline.workbench.accounts import actions
    from leadline.workbench.permissions import ROLE_PERMISSIONS

    return actions.make_key(person, "bench", role, ROLE_PERMISSIONS[role], timedelta(days=1))[1]


@contextmanager
def serve(port: int, *, worker: bool) -> Iterator[None]:
    commands = [[sys.executable, "-m", "leadline.workbench.server", "staff"]]
    commands += [[sys.executable, "-m", "leadline.workbench.worker"]] if worker else []
    running = [subprocess.Popen(command, cwd=ROOT) for command in commands]
    try:
        wait_for(port)
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def wait_for(port: int) -> None:
    for _ in range(600):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


# --- reports ---------------------------------------------------------------------------------------------------------


class Sender:
    """One connection, posting one report after the other, each with an address of its own."""

    def __init__(self, port: int, secret: str, load: Load) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        self._load, self._used_at = load, 0.0

    def post(self) -> None:
        if time.monotonic() - self._used_at > IDLE_S:
            self._connection.close()  # the next request opens it anew
        address = f"https://example.org/{uuid.uuid4()}"
        body = json.dumps({"items": [{"kind": "url", "value": address}], "text": "made up"})
        self._connection.request("POST", "/api/v1/reports", body, self._headers)
        answer = self._connection.getresponse()
        told, self._used_at = answer.read(), time.monotonic()
        if answer.status == 201:
            self._load.numbers.append(json.loads(told)["number"])
        else:
            self._load.refused += 1

    def close(self) -> None:
        self._connection.close()


class Load:
    def __init__(self, port: int, secret: str) -> None:
        self.port, self.secret = port, secret
        self.numbers: list[str] = []
        self.refused = 0

    def closed_loop(self, clients: int) -> tuple[float, float, float]:
        """Each client sends the next when the last is answered. Reports a second, median and 99th percentile in ms."""
        end = time.perf_counter() + SECONDS

        def work(times: list[float]) -> None:
            sender = Sender(self.port, self.secret, self)
            while (begin := time.perf_counter()) < end:
                sender.post()
                times.append((time.perf_counter() - begin) * 1000)
            sender.close()

        began = time.perf_counter()
        times = _in_threads(clients, work)
        return len(times) / (time.perf_counter() - began), *_percentiles(times)

    def sustained(self, rate: float, seconds: float) -> tuple[float, float, float]:
        """One report every 1/rate seconds, whether or not earlier ones are answered: times count from when each was due."""
        due: queue.SimpleQueue[float | None] = queue.SimpleQueue()
        began = time.perf_counter()
        for number in range(int(rate * seconds)):
            due.put(began + number / rate)
        for _ in range(SENDERS):
            due.put(None)

        def work(times: list[float]) -> None:
            sender = Sender(self.port, self.secret, self)
            while (moment := due.get()) is not None:
                time.sleep(max(0.0, moment - time.perf_counter()))
                sender.post()
                times.append((time.perf_counter() - moment) * 1000)
            sender.close()

        times = _in_threads(SENDERS, work)
        return len(times) / (time.perf_counter() - began), *_percentiles(times)


def _in_threads(count: int, work: Callable[[list[float]], None]) -> list[float]:
    lists: list[list[float]] = [[] for _ in range(count)]
    threads = [threading.Thread(target=work, args=(own,)) for own in lists]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [one for own in lists for one in own]


def _percentiles(times: list[float]) -> tuple[float, float]:
    return float(np.percentile(times, 50)), float(np.percentile(times, 99))


def measure_share(name: str, load: Load, share: float, best: float, seconds: float) -> tuple[float, float, bool]:
    """Reports a second, 99th percentile in ms, and whether what was asked was got."""
    from leadline.workbench.reports.models import Report

    asked, before = best * share, Report.objects.count()
    rate, p50, p99 = load.sustained(asked, seconds)
    said = (f"{share:.0%}, {seconds:.0f} s", f"{asked:,.0f}", f"{rate:,.0f}", f"{p50:.0f}", f"{p99:.0f}")
    stored = Report.objects.count() - before
    tell("sustained", name, *said, f"{len(load.numbers):,}", f"{stored:,}", load.refused, "")
    return rate, p99, rate >= HELD * asked and not load.refused


def measure_rates(name: str, port: int, secret: str) -> None:
    from leadline.workbench.reports.models import Report

    loads, best = [Load(port, secret)], 0.0
    for clients in CLIENTS:
        rate, p50, p99 = loads[0].closed_loop(clients)
        best = max(best, rate)
        tell("rates", name, clients, f"{rate:,.0f}", f"{p50:.0f}", f"{p99:.0f}")
    for share in RISING:
        loads.append(Load(port, secret))
        measure_share(name, loads[-1], share, best, RISING_S)
    for share in FALLING:
        loads.append(Load(port, secret))
        rate, p99, has_held = measure_share(name, loads[-1], share, best, SUSTAINED_S)
        if has_held:
            tell("sustained", name, f"**sustained: {share:.0%}**", "", f"**{rate:,.0f}**", "", f"**{p99:.0f}**")
            break
    else:
        tell("sustained", name, "**none was sustained**")
    acknowledged = {number for load in loads for number in load.numbers}
    stored_numbers = set(Report.objects.values_list("number", flat=True))
    counts = (f"{len(acknowledged):,}", f"{len(stored_numbers):,}", sum(load.refused for load in loads))
    tell("sustained", name, "both tables", "", "", "", "", *counts, len(acknowledged - stored_numbers))


# --- many rows -------------------------------------------------------------------------------------------------------


def insert(model: Any, rows: Iterable[dict[str, Any]]) -> None:
    """As fast as the database takes them: Django's own inserts would take longer than what is measured."""
    from django.db import connection, transaction
    from django.db.models import AutoField

    fields = {field.name: field for field in model._meta.concrete_fields if not field.generated}
    rows = iter(rows)
    while some := list(islice(rows, 20_000)):
        names = [name for name in fields if name in some[0] or not isinstance(fields[name], AutoField)]
        columns = [fields[name].column for name in names]
        defaults = {name: fields[name].get_default() for name in names if name not in some[0]}
        prepared = [
            [fields[n].get_db_prep_save(row[n] if n in row else defaults[n], connection) for n in names] for row in some
        ]
        with transaction.atomic(), connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                marks = ", ".join("?" * len(columns))
                named = ", ".join(f'"{column}"' for column in columns)
                cursor.connection.executemany(
                    f"INSERT INTO {model._meta.db_table} ({named}) VALUES ({marks})", prepared
                )
            else:
                named = ", ".join(f'"{column}"' for column in columns)
                with cursor.copy(f"COPY {model._meta.db_table} ({named}) FROM STDIN") as copy:
                    for values in prepared:
                        copy.write_row([_plain(value) for value in values])


def _plain(value: Any) -> Any:
    """COPY takes what psycopg's own inserts take wrapped: JSON as text, and bytes."""
    inner = getattr(value, "obj", value)
    return inner if inner is value or isinstance(inner, bytes | memoryview) else json.dumps(inner)


def hasten() -> None:
    """Of this connection alone, which only fills."""
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA cache_size=-1000000")
            cursor.execute("PRAGMA synchronous=OFF")
        else:
            cursor.execute("SET synchronous_commit = off")


def fill(person: Any) -> dict[str, str]:
    """Everything that lists show. Ids of one thing of each kind, for the pages of single things."""
    from django.db import connection
    from django.utils import timezone

    now = timezone.now()
    assets = [uuid.UUID(int=number + 1) for number in range(ASSETS)]
    hasten()
    fill_assets(assets, now)
    fill_reports(now, person=person)
    bulk = fill_bulk(person, now)
    fill_exhibits(assets, person, now)
    fill_hooks(person, now)
    fill_bank(person, now)
    fill_journal(assets)
    case = fill_cases(assets, person, now)
    fill_shares(person, now)
    fill_words(assets, now)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    from leadline.workbench.evidence.models import Exhibit
    from leadline.workbench.hooks.models import Endpoint
    from leadline.workbench.reports.models import Report

    newest = Report.objects.order_by("-received_at").first()
    return {
        "asset": str(assets[0]), "matched": str(assets[2]), "report": str(newest.pk), "exhibit": str(Exhibit.objects.order_by("pk")[0].pk),
        "webhook": str(Endpoint.objects.order_by("pk")[0].pk), "case": case, **bulk,
    }  # fmt: skip


def fill_assets(assets: list[uuid.UUID], now: datetime) -> None:
    from leadline.workbench.evidence.models import Asset, AssetMatch

    verdicts, kinds = ("unknown", "unknown", "known", "near"), ("", "", "illegal", "other")

    def rows() -> Iterator[dict[str, Any]]:
        for number, pk in enumerate(assets):
            digest = hashlib.sha256(number.to_bytes(8, "big")).hexdigest()
            yield {
                "id": pk, "sha256": digest, "sha1": digest[:40], "md5": digest[:32], "size_bytes": number, "mime": "image/jpeg",
                "pdq": digest, "state": "kept" if number % 3 else "discarded", "source": "bench", "verdict": verdicts[number % 4],
                "inferred_kind": kinds[number % 4], "is_set_aside": verdicts[number % 4] == "known", "received_at": now - timedelta(seconds=number),
            }  # fmt: skip

    def matches() -> Iterator[dict[str, Any]]:
        for number in range(2, len(assets), 4):
            yield {
                "asset": assets[number], "bank": "filled", "entry": number + 1, "kind": "illegal",
                "algorithm": "sha256", "distance": 0.0, "threshold": 0.0, "list_version": 1, "found_at": now,
            }  # fmt: skip

    insert(Asset, rows())
    insert(AssetMatch, matches())


def fill_reports(now: datetime, assets: Sequence[uuid.UUID] = (), person: Any = None) -> None:
    """`assets`: one item of each, in the order of the reports; else items are links. `person`: has a third of them."""
    from leadline.workbench.reports.contents import item_context, seal_value, text_context
    from leadline.workbench.reports.models import Item, Report, StateChange

    start, items_a_report = Report.objects.count() + 1, max(ITEMS_A_REPORT, len(assets) // REPORTS)
    reports = [uuid.uuid4() for _ in range(REPORTS)]

    def rows() -> Iterator[dict[str, Any]]:
        for number, pk in enumerate(reports):
            is_open = number % 5 < 2
            yield {
                "id": pk, "number": f"B-2026-{start + number:06d}", "channel": "api", "source": "bench", "source_reference": f"b-{number}",
                "state": "new" if is_open else "closed", "is_open": is_open, "outcome": "" if is_open else "removed",
                "urgency": number % 4, "rank": 3 - number % 4, "received_at": now - timedelta(seconds=number),
                "language": "", "item_count": items_a_report, "text_sealed": seal_value("made up", text_context(pk)), "passphrase_hash": "", "receipt_lookup": "",
                "closed_at": None if is_open else now, "assigned_to": person.pk if person and number % 3 == 0 else None,
                "due_at": now - timedelta(hours=1) if number % 10 == 0 else None,
            }  # fmt: skip

    def items() -> Iterator[dict[str, Any]]:
        for number, pk in enumerate(reports):
            for position in range(items_a_report):
                place = number * items_a_report + position
                key, own = hashlib.sha256(f"{number} {position}".encode()).hexdigest(), uuid.uuid4()
                link = f'[{{"value": "https://example.org/{number}/{position}"}}]'
                yield {
                    "id": own, "report": pk, "position": position, "kind": "file" if assets else "url", "key": key,
                    "value_sealed": None if assets else seal_value(link, item_context(own)), "first_seen_at": now, "last_seen_at": now, "asset": assets[place] if place < len(assets) else None,
                }  # fmt: skip

    def changes() -> Iterator[dict[str, Any]]:
        for pk in reports:
            yield {
                "report": pk, "at": now, "actor": "system", "from_state": "", "to_state": "new", "reason": "received",
                "outcome": "", "journal_line": 1,
            }  # fmt: skip

    insert(Report, rows())
    insert(Item, items())
    insert(StateChange, changes())


def fill_bulk(person: Any, now: datetime) -> dict[str, str]:
    """A list that waits for its import, and one that was imported: a line of it for each report."""
    from leadline.workbench.reports import deliveries
    from leadline.workbench.reports.models import Delivery, DeliveryLine, Report

    lines = "".join(f"https://example.org/bulk/{number},made up\r\n" for number in range(1000))
    waiting, done = (deliveries.keep(person, f"url,note\r\n{lines}".encode(), "bench") for _ in range(2))
    Delivery.objects.filter(pk=done.pk).update(begun_at=now, ended_at=now, data_sealed=None)
    reports = list(Report.objects.values_list("pk", flat=True))
    insert(
        DeliveryLine,
        ({"delivery": done.pk, "number": number, "report": pk} for number, pk in enumerate(reports, 1)),
    )
    return {"waiting": str(waiting.pk), "imported": str(done.pk)}


def fill_exhibits(assets: list[uuid.UUID], person: Any, now: datetime) -> None:
    from leadline.workbench.evidence.models import Exhibit, Task

    exhibits = [uuid.uuid4() for _ in range(EXHIBITS)]

    def rows() -> Iterator[dict[str, Any]]:
        for number, pk in enumerate(exhibits):
            yield {
                "id": pk, "state": "requested", "recipient": "made-up court", "reference": "", "recipient_key": "",
                "reason": "court-order", "requested_by": person.pk, "requested_at": now - timedelta(seconds=number),
                "manifest_sha512": "", "fault": "", "receipt_sha256": "",
            }  # fmt: skip

    def enclosed() -> Iterator[dict[str, Any]]:
        for number, pk in enumerate(exhibits):
            for asset in range(3):
                yield {"exhibit": pk, "asset": assets[(number * 3 + asset) % len(assets)]}

    def tasks() -> Iterator[dict[str, Any]]:
        for number in range(TASKS):
            yield {"kind": "new-hit", "asset": assets[number], "bank": "filled", "made_at": now}

    insert(Exhibit, rows())
    insert(Exhibit.assets.through, enclosed())
    insert(Task, tasks())


def fill_hooks(person: Any, now: datetime) -> None:
    from leadline.workbench.hooks.models import Delivery, Endpoint

    endpoints = [uuid.uuid4() for _ in range(max(1, HOOKS))]

    def rows() -> Iterator[dict[str, Any]]:
        for pk in endpoints:
            yield {
                "id": pk, "url": "https://hook.example.net/in", "events": ["report.*"], "made_by": person.pk, "made_at": now,
                "renewed_at": now, "ended_for": "",
            }  # fmt: skip

    def deliveries() -> Iterator[dict[str, Any]]:
        for number in range(DELIVERIES):
            yield {
                "endpoint": endpoints[number % len(endpoints)], "event": f"msg_{number}", "act": "report.received", "body": "{}",
                "made_at": now, "state": "delivered", "tries": 1, "last_status": 200, "last_failure": "",
            }  # fmt: skip

    insert(Endpoint, rows())
    insert(Delivery, deliveries())


def fill_bank(person: Any, now: datetime) -> None:
    """A bank of many entries in its folder, and as many changes in its history."""
    from django.conf import settings

    from leadline.domain import Entry, Kind
    from leadline.match.bank import Bank
    from leadline.workbench.banks.models import Change, EntryChange

    bank = Bank.create(Path(settings.LEADLINE_BANKS) / "filled", name="filled", kind=Kind.ILLEGAL)
    bank.add(Entry(Kind.ILLEGAL, {"sha256": hashlib.sha256(n.to_bytes(8, "little")).digest()}) for n in range(ENTRIES))
    changes = [uuid.uuid4() for _ in range(CHANGES)]

    def rows() -> Iterator[dict[str, Any]]:
        for number, pk in enumerate(changes):
            yield {
                "id": pk, "bank": "filled", "what": "add", "reason": "partner-list", "actor": str(person.pk), "person": person.pk,
                "begun_at": now - timedelta(seconds=number), "state": "done", "ended_at": now, "count": 1,
            }  # fmt: skip

    def ranges() -> Iterator[dict[str, Any]]:
        for number, pk in enumerate(changes):
            yield {"change": pk, "bank": "filled", "first_entry": number + 1, "last_entry": number + 1}

    insert(Change, rows())
    insert(EntryChange, ranges())


def fill_journal(assets: list[uuid.UUID]) -> None:
    """Lines in the chain's form and order. Their hashes are of their numbers alone: nothing here verifies them."""
    from leadline.workbench.journal.actions import head
    from leadline.workbench.journal.models import Line

    stands = head()
    first, before = (stands.line, stands.hash) if stands else (0, "0" * 64)
    acts = ("asset.received", "asset.matched", "asset.kept")

    def rows() -> Iterator[dict[str, Any]]:
        previous = before
        for number in range(LINES_AN_ASSET * len(assets)):
            digest = hashlib.sha256(number.to_bytes(8, "big")).hexdigest()
            yield {
                "line": first + number + 1, "at": "2026-01-01T00:00:00.000Z", "actor": "system", "act": acts[number % 3],
                "object_kind": "asset", "object_id": str(assets[number // LINES_AN_ASSET]), "reason": "none",
                "details": "{}", "previous_hash": previous, "salt": digest[:32], "hash": digest,
            }  # fmt: skip
            previous = digest

    insert(Line, rows())


def fill_cases(assets: list[uuid.UUID], person: Any, now: datetime) -> str:
    """Cases of some assets and two people each; the first holds many assets. Its id."""
    from leadline.workbench.cases.contents import (
        MAX_NAME_CHARS,
        MAX_TITLE_CHARS,
        party_context,
        seal_text,
        title_context,
    )
    from leadline.workbench.cases.models import Case, Party, Thing

    cases = [uuid.uuid4() for _ in range(CASES)]

    def rows() -> Iterator[dict[str, Any]]:
        for number, pk in enumerate(cases):
            is_open = number % 3 < 2
            yield {
                "id": pk, "number": f"C-2026-{number + 1:06d}", "lead": person.pk,
                "state": "open" if is_open else "closed", "outcome": "" if is_open else "unfounded", "template": "",
                "opened_at": now - timedelta(seconds=number), "closed_at": None if is_open else now,
                "title_sealed": seal_text(f"made-up case {number}", title_context(pk), MAX_TITLE_CHARS),
            }  # fmt: skip

    def things() -> Iterator[dict[str, Any]]:
        for number, asset in enumerate(assets[: CASES * THINGS_A_CASE]):
            case = cases[0] if number < MANY_THINGS else cases[number % CASES]
            yield {"id": uuid.uuid4(), "case": case, "asset": asset, "added_by": "system", "added_at": now}

    def people() -> Iterator[dict[str, Any]]:
        for number in range(2 * CASES):
            pk = uuid.uuid4()
            name = seal_text(f"Example Person {number}", party_context(pk), MAX_NAME_CHARS)
            yield {"id": pk, "case": cases[number // 2], "role": "witness", "name_sealed": name, "added_by": person.pk, "added_at": now}

    insert(Case, rows())
    insert(Thing, things())
    insert(Party, people())
    return str(cases[0])


def fill_shares(person: Any, now: datetime) -> None:
    from leadline.workbench.sealing import seal
    from leadline.workbench.sharing.access import document_context
    from leadline.workbench.sharing.models import Agreement, Partner, Share

    partner, agreement, today = uuid.uuid4(), uuid.uuid4(), now.date()
    insert(Partner, [{"id": partner, "name": "made-up partner", "source": "made-up", "made_by": person.pk, "made_at": now}])
    agreed = {"partner": partner, "tlp": "amber", "pap": "amber", "reach": "0" * 64, "made_by": person.pk, "made_at": now}
    term = {"valid_from": today, "valid_until": today, "document_sealed": seal("made up", document_context(agreement))}
    insert(Agreement, [{"id": agreement, **agreed, **term}])

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(SHARES):
            at = now - timedelta(seconds=number)
            yield {
                "id": uuid.uuid4(), "partner": partner, "agreement": agreement, "act": "submit", "bank": "filled",
                "purpose": "matching", "reason": "confirmed", "digest": "0" * 64, "passing": 1, "stopped": 0,
                "proposed_by": person.pk, "proposer": str(person.pk), "proposed_at": at, "expires_at": at,
                "state": "proposed" if number % 2 else "expired", "algorithm": "", "ended_for": "", "sender": "", "failure": "",
            }  # fmt: skip

    insert(Share, rows())


def fill_words(assets: list[uuid.UUID], now: datetime) -> None:
    """What search finds reports, assets and cases by, as its worker would have written it; the oldest first of each."""
    from leadline.workbench.cases.models import Case
    from leadline.workbench.reports.models import Report
    from leadline.workbench.search.access import fields, made_for
    from leadline.workbench.search.actions import place_of
    from leadline.workbench.search.kinds import TABLES as KINDS
    from leadline.workbench.search.models import Document, Progress

    def rows() -> Iterator[dict[str, Any]]:
        reports = Report.objects.filter(number__startswith="B-").order_by("received_at")
        for pk, number, at in reports.values_list("pk", "number", "received_at").iterator():
            words = f"{number.lower().replace('-', ' ')} bench new"
            yield {"id": place_of(at), "kind": "report", "object_id": pk, "at": at, "words": words}
        for number, pk in reversed(list(enumerate(assets))):
            at = now - timedelta(seconds=number)
            yield {"id": place_of(at) + 1, "kind": "asset", "object_id": pk, "at": at, "words": f"bench kept {number}"}
        cases = Case.objects.order_by("opened_at").values_list("pk", flat=True).iterator()
        while some := list(islice(cases, 500)):
            said = KINDS["case"].words(some, fields())
            for pk in some:
                yield {"id": place_of(said[pk].at) + 2, "kind": "case", "object_id": pk, "at": said[pk].at, "words": said[pk].joined()}

    Progress.objects.update_or_create(defaults={"line": 0, "made_for": made_for(), "kind": ""})
    insert(Document, rows())


# --- pages -----------------------------------------------------------------------------------------------------------

PAGES = (
    "/", "/reports/", "/reports/?state=all", "/reports/?urgency=2", "/reports/?channel=api",
    "/reports/?mine=on", "/reports/?newest=on", "/reports/?overdue=on", "/reports/bulk/{waiting}/",
    "/reports/bulk/{imported}/", "/reports/{report}/", "/evidence/assets/",
    "/evidence/assets/?state=kept", "/evidence/assets/?verdict=known", "/evidence/assets/?kind=illegal",
    "/evidence/assets/{asset}/", "/evidence/assets/tasks/", "/evidence/exhibits/", "/evidence/exhibits/{exhibit}/",
    "/journal/", "/journal/?act=asset.matched", "/journal/?object_id={asset}", "/banks/", "/banks/of/filled/",
    "/banks/of/filled/7/", "/banks/of/filled/changes/", "/webhooks/", "/webhooks/{webhook}/", "/people/", "/health/",
    "/cases/", "/cases/?state=open", "/cases/{case}/", "/cases/{case}/things/", "/cases/{case}/timeline/", "/sharing/",
    "/sharing/partners/", "/sources/", "/review/appeals/", "/review/team/", "/search/", "/account/keys/",
    "/account/sessions/",
)  # fmt: skip
ROUTES = (
    "/api/v1/reports", "/api/v1/reports/{report}/items", "/api/v1/assets", "/api/v1/assets/{matched}/matches",
    "/api/v1/exports", "/api/v1/banks", "/api/v1/banks/filled/entries",
)  # fmt: skip
ROUTES_OF_ADMINISTRATORS = ("/api/v1/webhooks", "/api/v1/webhooks/{webhook}/deliveries")


# What is looked for is posted: a number, a reference, a link that nobody reported.
TEXTS = ("B-2026-000100", "b-77", "https://example.org/77/1")
# Somebody with fewer rights: each list leaves out what they may not see.
LISTS = (
    "/", "/reports/", "/reports/?state=all", "/evidence/assets/", "/evidence/assets/?verdict=known", "/cases/",
    "/review/",
)  # fmt: skip
# A word that everything has, a number, a digest, a word that nothing has; names of people, of every case and of one.
SEARCHES = (
    "bench", "B-2026-000100", "md5:" + hashlib.sha256((7).to_bytes(8, "big")).hexdigest()[:32], "nowhere", "bench 4711",
    "Example", "Example Person 4711",
)  # fmt: skip


def measure_pages(name: str, port: int, paths: Sequence[str], headers: dict[str, str], ids: dict[str, str]) -> None:
    for path in paths:
        measure(name, port, f"`{path}`", "GET", path.format(**ids), headers)


def measure_texts(name: str, port: int, headers: dict[str, str]) -> None:
    token = "a" * 32
    sent = {"Cookie": f"{headers['Cookie']}; leadline-csrf={token}", "Content-Type": "application/x-www-form-urlencoded"}
    for text in TEXTS:
        body = urlencode({"text": text, "state": "all", "csrfmiddlewaretoken": token})
        measure(name, port, f"`/reports/`, asked for `{text}`", "POST", "/reports/", sent, body)


def measure_searches(name: str, port: int, headers: dict[str, str]) -> None:
    for query in SEARCHES:
        body = json.dumps({"query": query})
        measure(name, port, f"search `{query}`", "POST", "/api/v1/search", {**headers, "Content-Type": "application/json"}, body)


def measure(
    name: str, port: int, title: str, method: str, path: str, headers: dict[str, str], body: str | None = None
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    times = []
    for _ in range(LOOKS):
        begin = time.perf_counter()
        connection.request(method, path, body, {**headers, "Host": f"localhost:{port}"})
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - begin) * 1000)
    connection.close()
    median = float(np.median(times))
    met = "" if median < AIM_MS else " **over**"
    tell("pages", name, title, answer.status, f"{median:.0f}{met}", f"{max(times):.0f}")


def make_analyst() -> Any:
    from leadline.workbench.accounts.models import Person, RoleGrant
    from leadline.workbench.permissions import Role

    person = Person.objects.create(email="analyst@example.org", name="analyst", password="!")
    RoleGrant.objects.create(person=person, role=Role.ANALYST, is_active=True)
    return person


def session_of(person: Any) -> str:
    """As after a sign-in with both factors just now."""
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    TOTP.activate(person, generate_totp_secret())
    store = SessionStore()
    store[SESSION_KEY], store[HASH_SESSION_KEY] = str(person.pk), person.get_session_auth_hash()
    store[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
    store.create()
    return str(store.session_key)


# --- all of it -------------------------------------------------------------------------------------------------------


def tell(table: str, *cells: object) -> None:
    print(json.dumps([table, *map(str, cells)]), flush=True)


def measure_office(database: str) -> None:
    from tests.servers import free_port

    name = "PostgreSQL" if database else "SQLite"
    with tempfile.TemporaryDirectory() as folder:
        home, port = Path(folder) / "home", free_port()
        os.environ.update(environment(home, database, port))
        person, secret = make_office()
        from leadline.workbench.permissions import Role

        with serve(port, worker=True):
            measure_rates(name, port, secret)
        began = time.monotonic()
        ids = fill(person)
        print(f"{name}: filled in {time.monotonic() - began:.0f} s", file=sys.stderr)
        with serve(port, worker=False):
            session = {"Cookie": f"leadline={session_of(person)}"}
            measure_pages(name, port, PAGES, session, ids)
            measure_texts(name, port, session)
            program = {"Authorization": f"Bearer {secret}"}
            measure_pages(name, port, ROUTES, program, ids)
            administrator = {"Authorization": f"Bearer {make_key(person, Role.ADMINISTRATOR)}"}
            measure_pages(name, port, ROUTES_OF_ADMINISTRATORS, administrator, ids)
            measure_searches(name, port, program)
            measure_pages(f"{name}, an analyst", port, LISTS, {"Cookie": f"leadline={session_of(make_analyst())}"}, ids)
            rate, p50, p99 = Load(port, secret).closed_loop(4)
            tell("rates", f"{name}, filled", 4, f"{rate:,.0f}", f"{p50:.0f}", f"{p99:.0f}")


def child(database: str) -> list[list[str]]:
    command = [sys.executable, "-m", "bench.workbench", "--office", database or "sqlite"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    name = "PostgreSQL" if database else "SQLite"
    failed = [[table, name, f"failed with code {done.returncode}"] for table in TABLES]
    return rows + (failed if done.returncode else [])


TABLES = {
    "rates": (
        "Reports through the API, two server processes and the worker: each client sends the next when the last is answered",
        ("database", "clients at once", "reports/s", "median ms", "p99 ms"),
    ),
    "sustained": (
        "Rising rates, as shares of the best above: each report is sent when it is due, whether or not others are answered. "
        f"Then for longer, stepping down until {HELD:.0%} of what was asked is got: the sustained rate",
        (
            "database", "of the best", "asked reports/s", "got", "median ms", "p99 ms", "acknowledged", "stored", "refused",
            "lost",
        ),
    ),
    "pages": (
        f"Pages over {REPORTS:,} reports, {ASSETS:,} assets, {LINES_AN_ASSET * ASSETS:,} lines of the journal, "
        f"{ENTRIES:,} entries of a bank, {EXHIBITS:,} exhibits, {TASKS:,} tasks, {DELIVERIES:,} deliveries, {CASES:,} cases "
        f"of two people each, {SHARES:,} shares, the words of reports, assets and cases (aim < {AIM_MS} ms median)",
        ("database", "page", "status", "median ms", "longest ms"),
    ),
}


def main() -> None:
    from tests.servers import postgresql, postgresql_programs

    rows = child("")
    if postgresql_programs():
        with postgresql(durable=True) as url:
            rows += child(url)
    else:
        rows += [["rates", "PostgreSQL", "not installed"]]
    for table, (title, columns) in TABLES.items():
        print(f"## {title}\n\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
        for row in rows:
            if row[0] == table:
                print("| " + " | ".join(row[1:] + [""] * (len(columns) - len(row) + 1)) + " |")
        print()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--office"]:
        measure_office("" if sys.argv[2] == "sqlite" else sys.argv[2])
    else:
        main()
