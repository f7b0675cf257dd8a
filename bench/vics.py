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
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

AIM_MB = 300
MB = 1 << 20
CONTEXT = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media"


def main(records: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.json"
        write_file(path, records)
        megabytes = path.stat().st_size / MB
        told = {part: run(part, folder) for part in PARTS if part != "gone"}
        drop_last(path)
        told["gone"] = run("gone", folder)
    print(
        f"## VICS: a file of {records:,} records, {megabytes:,.0f} MB, pulled until it matches (aim: < {AIM_MB} MB)\n"
    )
    print("| what | records/s | seconds | µs a record | peak MB | of them own |\n|---|---|---|---|---|---|")
    for part, (name, _) in PARTS.items():
        seconds, peak_mb, own_mb = (told[part][key] for key in ("s", "mb", "own_mb"))
        rate, each_us = records / seconds, seconds / records * 1e6
        print(f"| {name} | {rate:,.0f} | {seconds:,.2f} | {each_us:.1f} | {peak_mb:,.0f} | {own_mb:,.0f} |")
    print(
        f"\nEntries in the bank: {told['pull']['entries']:,}; after the record was gone: {told['gone']['entries']:,}. "
    )
    print("The peak counts pages of the bank's files that the process has mapped; they are the system's to take away. ")
    print("Own is what the process held of its own at the end.")


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


def run(part: str, folder: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.vics", part, folder]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


# --- what a process of its own does ----------------------------------------------------------------------------------


def see_events(path: Path) -> dict[str, Any]:
    import ijson

    with path.open("rb") as file:
        return counted(ijson.basic_parse(file))


def build_records(path: Path) -> dict[str, Any]:
    import ijson

    with path.open("rb") as file:
        return counted(ijson.items(file, "value.item"))


def read_entries(path: Path) -> dict[str, Any]:
    from leadline.domain import Kind
    from leadline.exchange import vics
    from leadline.exchange.base import EntryDefaults

    with path.open("rb") as file:
        return counted(vics.read(file, where="set", defaults=EntryDefaults(Kind.OTHER)))


def counted(told: Iterable[object]) -> dict[str, Any]:
    begin = time.perf_counter()
    for _ in told:
        pass
    return measured(begin)


def pull(path: Path) -> dict[str, Any]:
    from leadline.domain import Kind
    from leadline.match.bank import Bank
    from leadline.subscriptions.folder import Subscription, Subscriptions
    from leadline.subscriptions.pulling import Wish, pull_source

    bank, subscriptions = path.parent / "bank", Subscriptions(path.parent / "sources", {}, no_key)
    if not bank.exists():
        Bank.create(bank, name="BENCH", kind=Kind.OTHER)
        subscriptions.add(Subscription("bench", "list-file", {"path": str(path)}, str(bank), Kind.OTHER), {})
    begin = time.perf_counter()
    pull_source(subscriptions, "bench", Wish())
    told = measured(begin)
    return told | {"entries": Bank.open(bank).count}


def measured(begin: float) -> dict[str, Any]:
    seconds = time.perf_counter() - begin
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB
    own = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return {"s": seconds, "mb": peak_mb, "own_mb": int(own.split()[1]) * 1024 / MB}


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


PARTS: dict[str, tuple[str, Callable[[Path], dict[str, Any]]]] = {
    "events": ("floor: ijson's bare events, nothing built or kept", see_events),
    "items": ("floor: ijson builds each record, nothing kept", build_records),
    "read": ("leadline reads the records as entries", read_entries),
    "pull": ("leadline pulls the file into a bank", pull),
    "same": ("leadline pulls again: the file is the same", pull),
    "gone": ("leadline pulls again: one record is gone", pull),
}

if __name__ == "__main__":
    part, *given = sys.argv[1:] or ["1000000"]
    if part in PARTS:
        print(json.dumps(PARTS[part][1](Path(given[0]) / "set.json")))
    else:
        main(int(part))
