"""A VICS-shaped file of a million records as a source, until it matches; beside it ijson's bare parse. Asserts nothing.

`python -m bench.vics [RECORDS]`. The file is made before; each part has a process of its own. Ours ends with a bank on
disk, and then takes out what the file no longer has. Records are made up.
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

AIM_MB = 300
MB = 1 << 20
CONTEXT = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media"


def main(records: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.json"
        write_file(path, records)
        floor, ours = run("floor", folder, records), run("ours", folder, records)
        megabytes = path.stat().st_size / MB
    print(
        f"## VICS: a file of {records:,} records, {megabytes:,.0f} MB, pulled until it matches (aim: < {AIM_MB} MB)\n"
    )
    print("| what | records/s | seconds | µs a record | peak MB |\n|---|---|---|---|---|")
    for name, told in (
        ("floor: ijson's bare events, nothing built or kept", floor["events"]),
        ("floor: ijson builds each record, nothing kept", floor["items"]),
        ("leadline reads the records as entries", ours["read"]),
        ("leadline pulls the file into a bank", ours["pull"]),
        ("leadline pulls again: the file is the same", ours["same"]),
        ("leadline pulls again: one record is gone", ours["gone"]),
    ):
        rate = records / told["s"]
        print(f"| {name} | {rate:,.0f} | {told['s']:,.2f} | {told['s'] / records * 1e6:.1f} | {told['mb']:,.0f} |")
    print(f"\nEntries in the bank: {ours['entries']:,}; after the record was gone: {ours['entries_after']:,}.")


def write_file(path: Path, records: int) -> None:
    """One record a line, so that the last can be taken out."""
    with path.open("w", encoding="ascii") as file:
        file.write(f'{{"@odata.context":"{CONTEXT}","value":[\n')
        for number in range(1, records + 1):
            mark = "\n" if number == records else ",\n"
            file.write(json.dumps(make_record(number), separators=(",", ":")) + mark)
        file.write("]}\n")


def make_record(number: int) -> dict[str, Any]:
    digest = hashlib.sha512(str(number).encode()).digest()
    md5 = digest[:16].hex().upper()
    return {
        "MediaID": number, "Category": number % 4, "MD5": md5, "SHA1": digest[16:36].hex().upper(),
        "MediaSize": number * 7, "DateUpdated": "2026-01-02T03:04:05Z", "VictimIdentified": "false",
        "OffenderIdentified": False, "IsDistributed": True, "Series": None, "Tags": None, "Comments": None,
        "MimeType": "image/jpeg", "RelativeFilePath": f"a\\b{number % 100}\\{number}.jpg", "IsPrecategorized": True,
        "AlternativeHashes": [{"MD5": md5, "HashName": "PDQ", "HashValue": digest[32:].hex()}],
        "MediaFiles": [{"MD5": md5, "FileName": f"{number}.jpg", "FilePath": "a", "Unallocated": False}],
    }  # fmt: skip


def run(part: str, folder: str, records: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.vics", part, folder, str(records)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


# --- what a process of its own does ----------------------------------------------------------------------------------


def measured(begin: float) -> dict[str, float]:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB
    return {"s": time.perf_counter() - begin, "mb": peak_mb}


def bare(path: Path) -> dict[str, Any]:
    import ijson

    told = {}
    with path.open("rb") as file:
        begin = time.perf_counter()
        for _ in ijson.basic_parse(file):
            pass
        told["events"] = measured(begin)
        file.seek(0)
        begin = time.perf_counter()
        for _ in ijson.items(file, "value.item"):
            pass
        told["items"] = measured(begin)
    return told


def ours(path: Path, records: int) -> dict[str, Any]:
    from leadline.domain import Kind
    from leadline.exchange import vics
    from leadline.exchange.base import EntryDefaults
    from leadline.match.bank import Bank
    from leadline.subscriptions.folder import Subscription, Subscriptions
    from leadline.subscriptions.pulling import Wish, pull_source

    home, told = path.parent, dict[str, Any]()
    with path.open("rb") as file:
        begin = time.perf_counter()
        for _ in vics.read(file, where="set", defaults=EntryDefaults(Kind.OTHER)):
            pass
        told["read"] = measured(begin)
    bank = Bank.create(home / "bank", name="BENCH", kind=Kind.OTHER)
    subscriptions = Subscriptions(home / "sources", {}, no_key)
    subscriptions.add(Subscription("bench", "list-file", {"path": str(path)}, str(bank.path), Kind.OTHER), {})

    def pull(name: str) -> int:
        begin = time.perf_counter()
        pull_source(subscriptions, "bench", Wish())
        told[name] = measured(begin)
        bank.refresh()
        return bank.count

    told["entries"] = pull("pull")
    assert told["entries"] == records
    pull("same")
    drop_last(path)
    told["entries_after"] = pull("gone")
    return told


def drop_last(path: Path) -> None:
    """The file without its last record."""
    with path.open("r+b") as file:
        file.seek(-4096, 2)
        tail = file.read()
        cut = tail.rindex(b",\n{")
        file.seek(-len(tail) + cut, 2)
        file.truncate()
        file.write(b"\n]}\n")


def no_key() -> Any:
    raise AssertionError("nothing is sealed here")


if __name__ == "__main__":
    part, *given = sys.argv[1:] or ["1000000"]
    if part in ("floor", "ours"):
        place, count = Path(given[0]) / "set.json", int(given[1])
        print(json.dumps(bare(place) if part == "floor" else ours(place, count)))
    else:
        main(int(part))
