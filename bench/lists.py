"""A list that changes is matched against everything an office holds: seconds until the last task. Asserts nothing.

`python -m bench.lists` fills an office of its own on SQLite with rows of made-up assets; one process, as the worker's.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HITS = (100, 1_000, 10_000, 60_000)
AIM_S = 60


def make_office(home: Path) -> None:
    for name in [name for name in os.environ if name.startswith("LEADLINE_")]:
        del os.environ[name]
    os.environ.pop("DATABASE_URL", None)
    os.environ |= {"LEADLINE_HOME": str(home), "DJANGO_SETTINGS_MODULE": "leadline.workbench.settings"}
    import django

    django.setup()
    from leadline.workbench.office import prepare_office

    prepare_office(lambda text: None)


def fill_assets(count: int) -> None:
    """In SQLite's own words: a million rows in a minute. Their hashes are by chance."""
    from django.db import connection
    from django.utils import timezone

    from leadline.workbench.evidence.models import Asset

    given = {
        "id": "lower(hex(randomblob(16)))", "sha256": "lower(hex(randomblob(32)))", "size_bytes": "i",
        "sha1": "lower(hex(randomblob(20)))", "md5": "lower(hex(randomblob(16)))", "state": "'discarded'",
        "mime": "'application/octet-stream'", "source": "'bench'", "frames": "1",
        "received_at": f"'{timezone.now():%Y-%m-%d %H:%M:%S}'",
    }  # fmt: skip
    blank = Asset()
    for field in Asset._meta.concrete_fields:
        value = getattr(blank, field.attname)
        plain = "NULL" if value is None else str(int(value)) if isinstance(value, bool | int) else f"'{value}'"
        given.setdefault(field.column, plain)
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)"
    with connection.cursor() as cursor:
        names, values = ", ".join(given), ", ".join(given.values())
        cursor.execute(f"INSERT INTO {Asset._meta.db_table} ({names}) {rows} SELECT {values} FROM n", [count])


def measure(home: Path, count: int) -> None:
    from leadline.domain import Entry, Kind
    from leadline.match.bank import Bank
    from leadline.workbench.evidence import tasks
    from leadline.workbench.evidence.models import Asset, Task

    def entries(digests: Any) -> list[Entry]:
        return [Entry(kind=Kind.ILLEGAL, fingerprints={"sha256": bytes.fromhex(digest)}) for digest in digests]

    def round_of(name: str) -> None:
        before, begin = Task.objects.count(), time.perf_counter()
        tasks.match_changes()
        seconds, made = time.perf_counter() - begin, Task.objects.count() - before
        print(f"| {name} | {made:,} | {seconds:,.1f} |", flush=True)

    bank = Bank.create(home / "banks" / "known", name="known", kind=Kind.ILLEGAL)
    tasks.match_changes()
    held, taken = Asset.objects.order_by("pk").values_list("sha256", flat=True), 0
    for hits in HITS:
        bank.add(entries(held[taken : taken + hits]))
        taken += hits
        round_of(f"{hits:,} new entries, each of an asset held")
    tasks.forget()
    bank.add(entries(["0" * 63 + "1"]))
    round_of(f"one new entry of nothing held, after a new start, {taken:,} matched before")
    bank.remove(range(1, HITS[0] + HITS[1] + 1))
    round_of(f"{HITS[0] + HITS[1]:,} entries withdrawn")


def main(count: int) -> None:
    print(f"## A list that changes, {count:,} assets held, SQLite (aim < {AIM_S} s)\n")
    print("| change | tasks | seconds until the last |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        make_office(home)
        fill_assets(count)
        measure(home, count)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
