"""Reports at rising rates on SQLite and PostgreSQL, and list pages over many rows. Prints Markdown tables, asserts nothing.

`python -m bench.workbench` runs all of it; `--one URL|sqlite` and `--pages` are what child processes run.
Everything is served as an operator serves it (gunicorn, two processes), over loopback; load stops by itself.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
CLIENTS = (1, 2, 4, 8, 16)
SECONDS = 6.0
REPORTS, ASSETS = 100_000, 1_000_000
AIM_MS = 200


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
    """An office with one analyst and a key of theirs; in this process, whose environment is set."""
    import django

    django.setup()
    from leadline.workbench import office
    from leadline.workbench.accounts import actions
    from leadline.workbench.accounts.models import Person, RoleGrant
    from leadline.workbench.permissions import Permission, Role

    office.prepare_office(lambda text: None)
    person = Person.objects.create(email="bench@example.org", name="bench", password="!")
    RoleGrant.objects.create(person=person, role=Role.ANALYST, is_active=True)
    scopes = [Permission.REPORTS_WRITE, Permission.REPORTS_READ]
    return person, actions.make_key(person, "bench", Role.ANALYST, scopes, timedelta(days=1))[1]


class Load:
    """So many clients, each posting one report after the other, every one with an address of its own."""

    def __init__(self, port: int, secret: str) -> None:
        self.port, self.secret = port, secret
        self.numbers: list[str] = []
        self.refused = 0

    def run(self, clients: int) -> tuple[float, float, float]:
        """Reports a second, median and 99th percentile in ms."""
        times: list[list[float]] = [[] for _ in range(clients)]
        end = time.perf_counter() + SECONDS
        began = time.perf_counter()
        threads = [threading.Thread(target=self._client, args=(n, clients, end, times[n])) for n in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        every = [one for own in times for one in own]
        return len(every) / took, float(np.percentile(every, 50)), float(np.percentile(every, 99))

    def _client(self, number: int, clients: int, end: float, times: list[float]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        count = 0
        while time.perf_counter() < end:
            address = f"https://example.org/{clients}/{number}/{count}"
            body = json.dumps({"items": [{"kind": "url", "value": address}], "text": "made up"})
            begin = time.perf_counter()
            connection.request("POST", "/api/v1/reports", body, headers)
            answer = connection.getresponse()
            told = answer.read()
            times.append((time.perf_counter() - begin) * 1000)
            count += 1
            if answer.status == 201:
                self.numbers.append(json.loads(told)["number"])
            else:
                self.refused += 1
        connection.close()


def measure_rate(database: str) -> None:
    """One database: rows of the table."""
    from tests.servers import free_port

    name = "PostgreSQL" if database else "SQLite"
    with tempfile.TemporaryDirectory() as folder:
        home, port = Path(folder) / "home", free_port()
        os.environ.update(environment(home, database, port))
        _, secret = make_office()
        server = subprocess.Popen([sys.executable, "-m", "leadline.workbench.server", "staff"], cwd=ROOT)
        try:
            wait_for(port)
            load = Load(port, secret)
            for clients in CLIENTS:
                rate, p50, p99 = load.run(clients)
                print(f"| {name} | {clients} | {rate:,.0f} | {p50:.0f} | {p99:.0f} |", flush=True)
        finally:
            server.terminate()
            server.wait()
        from leadline.workbench.reports.models import Report

        stored = Report.objects.count()
        lost = len(set(load.numbers) - set(Report.objects.values_list("number", flat=True)))
        print(
            f"| {name} | in all | {len(load.numbers):,} acknowledged, {stored:,} stored, {lost} lost, "
            f"{load.refused} refused | | |",
            flush=True,
        )


def wait_for(port: int) -> None:
    for _ in range(300):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def measure_pages() -> None:
    """List pages over 100,000 reports and 1,000,000 assets: rows made in bulk, pages by Django's client."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(environment(Path(folder) / "home", "", 1))
        person, _ = make_office()
        fill_rows()
        from allauth.mfa.models import Authenticator
        from django.conf import settings
        from django.test import Client

        from leadline.workbench.accounts.models import RoleGrant
        from leadline.workbench.permissions import Role

        settings.ALLOWED_HOSTS = ["testserver"]
        for role in (Role.SENIOR, Role.AUDITOR, Role.ADMINISTRATOR):
            RoleGrant.objects.create(person=person, role=role, is_active=True)
        Authenticator.objects.create(user=person, type=Authenticator.Type.TOTP, data={"secret": "made up"})
        client = Client()
        client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
        for path in PAGES:
            times = []
            for _ in range(15):
                begin = time.perf_counter()
                status = client.get(path).status_code
                times.append((time.perf_counter() - begin) * 1000)
            print(f"| `{path}` | {status} | {np.median(times):.0f} | {max(times):.0f} |", flush=True)


PAGES = (
    "/reports/", "/reports/?state=all", "/reports/?urgency=2", "/evidence/assets/", "/evidence/assets/?state=kept",
    "/evidence/assets/?verdict=known", "/journal/", "/people/", "/banks/", "/health/",
)  # fmt: skip


def fill_rows() -> None:
    import hashlib
    import uuid

    from django.utils import timezone

    from leadline.workbench.evidence.models import Asset
    from leadline.workbench.reports.models import Report

    now = timezone.now()
    verdicts = ("unknown", "unknown", "known", "near")

    def assets(start: int) -> list[Asset]:
        rows = []
        for number in range(start, start + 10_000):
            digest = hashlib.sha256(number.to_bytes(8, "big")).hexdigest()
            rows.append(
                Asset(
                    sha256=digest, sha1=digest[:40], md5=digest[:32], size_bytes=number, mime="image/jpeg", pdq=digest,
                    state="kept" if number % 3 else "discarded", source="bench", verdict=verdicts[number % 4],
                    received_at=now - timedelta(seconds=number),
                )
            )  # fmt: skip
        return rows

    for start in range(0, ASSETS, 10_000):
        Asset.objects.bulk_create(assets(start))
    names = {field.name for field in Report._meta.get_fields()}
    for start in range(0, REPORTS, 5_000):
        rows = []
        for number in range(start, start + 5_000):
            given = {
                "id": uuid.uuid4(), "number": f"R-2026-{number:06d}", "channel": "api", "state": "new", "urgency": number % 4,
                "received_at": now - timedelta(seconds=number), "sensitivity": 1, "tlp": "amber+strict",
            }  # fmt: skip
            rows.append(Report(**{name: value for name, value in given.items() if name in names}))
        Report.objects.bulk_create(rows)


def child(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bench.workbench", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else f"{done.stdout}| failed with code {done.returncode} | | | |\n"


def main() -> None:
    from tests.servers import postgresql, postgresql_programs

    print("## Reports through the API, two server processes\n")
    print("| database | clients at once | reports/s | median ms | p99 ms |\n|---|---|---|---|---|")
    print(child("--one", "sqlite"), end="")
    with tempfile.TemporaryDirectory() as folder:
        there = postgresql(Path(folder), durable=True) if postgresql_programs() else nullcontext("")
        with there as url:
            print(child("--one", url) if url else "| PostgreSQL | not installed | | | |\n", end="")
    print(f"\n## List pages over {REPORTS:,} reports and {ASSETS:,} assets, SQLite (aim < {AIM_MS} ms median)\n")
    print("| page | status | median ms | longest ms |\n|---|---|---|---|")
    print(child("--pages"), end="")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure_rate("" if sys.argv[2] == "sqlite" else sys.argv[2])
    elif sys.argv[1:2] == ["--pages"]:
        measure_pages()
    else:
        main()
