"""A list of NCMEC's kind pulled until it matches: ours and python-threatexchange's, from one stand-in. Asserts nothing.

`python -m bench.exchange [ENTRIES] [PEER_ENTRIES]`. The stand-in has a process of its own and entries rendered before; so
have ours and theirs. Ours ends with a bank on disk, synced page by page; theirs as `tx fetch` ends, with its state and
its indices on disk. Theirs is spared the search for ranges of time: it begins as if resumed at the first page.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FIRST_S = 1_767_225_600  # of the stand-in's entries: one a second
MB = 1 << 20
AIM, AIM_MB = 2.0, 300


def main(entries: int, peer_entries: int) -> None:
    with serving(entries) as address, tempfile.TemporaryDirectory() as folder:
        floor = run("floor", address, peer_entries)
        ours = run("ours", address, entries, folder)
        theirs = run("theirs", address, peer_entries)
        changed = run("changed", address, entries, folder)
    print(f"## Pulling {entries:,} NCMEC entries until they match (aims: >= {AIM:g}x threatexchange, < {AIM_MB} MB)\n")
    print("| what | entries | seconds | µs an entry | of them processor | peak MB |\n|---|---|---|---|---|---|")
    names = ("floor: GET and bare lxml parse, nothing kept", "leadline", "threatexchange: fetch, store, index")
    again = "leadline again, after another licence was set: every entry is changed"
    for name, told in zip((*names, again), (floor, ours, theirs, changed), strict=True):
        print(
            f"| {name} | {told['entries']:,} | {told['s']:,.1f} | {told['us']:.1f} | {told['cpu_us']:.1f} | {told['mb']:,.0f} |"
        )
    print(f"\nleadline is {theirs['us'] / ours['us']:.2f}x as fast an entry. Of threatexchange's time ", end="")
    print(f"{theirs['fetch_us']:.1f} µs are fetching and {theirs['index_us']:.1f} µs building and storing its index.")
    print(
        f"threatexchange takes PDQ of images and MD5 of videos ({theirs['signals']:,} hashes); ours every MD5, SHA-1 and PDQ.\n"
        f"Where all were changed, the pull waited for merges of the bank, each a process of its own: {changed['merge_mb']:,.0f} MB at most.\n"
    )
    print("| withdrawn at the source, then one poll | |\n|---|---|")
    print(f"| matched before, in a reader's process state | {ours['matched_before']} |")
    print(f"| seconds of the poll that removed it | {ours['poll_s']:.2f} |")
    print(f"| matches after that reader's next refresh | {ours['matched_after']} |")
    print(f"| segments made anew for it | {ours['segments_made']} |")


@contextmanager
def serving(entries: int) -> Iterator[str]:
    """The stand-in in its own process; gives its address once all entries are rendered."""
    command = [sys.executable, "-m", "bench.exchange", "serve", str(entries)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def run(part: str, address: str, entries: int, *folder: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.exchange", part, address, str(entries), *folder]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


# --- what a process of its own does ----------------------------------------------------------------------------------


def serve(entries: int) -> None:
    from leadline.exchange.mock import base
    from leadline.exchange.mock.ncmec import NcmecMock

    with base.serving(NcmecMock(entries=entries)) as address:
        print(address, flush=True)
        sys.stdin.read()


def peak_mb(whose: int = resource.RUSAGE_SELF) -> float:
    return resource.getrusage(whose).ru_maxrss * 1024 / MB


def now() -> tuple[float, float]:
    """Of the clock and of this process's use of processors."""
    return time.perf_counter(), time.process_time()


def measured(begin: tuple[float, float], entries: int) -> dict[str, Any]:
    seconds, cpu_s = (after - before for after, before in zip(now(), begin, strict=True))
    cpu_us = cpu_s / entries * 1e6
    return {"entries": entries, "s": seconds, "us": seconds / entries * 1e6, "cpu_us": cpu_us, "mb": peak_mb()}


def bare(address: str, entries: int) -> dict[str, Any]:
    """What no reader of this XML can be below: each page fetched, and its entries seen by lxml."""
    import httpx
    from lxml import etree

    tags = ["{*}image", "{*}video", "{*}next"]
    link, told, begin = first_page(entries), 0, now()
    with httpx.Client(auth=("rehearsal", "rehearsal-password"), trust_env=False) as client:
        while link:
            body = client.get(address + link).content
            link = ""
            for _, element in etree.iterparse(_Whole(body), events=("end",), tag=tags, resolve_entities=False):
                if element.tag.endswith("next"):
                    link = element.text
                else:
                    told += 1
                    element.clear()
    return measured(begin, told)


class _Whole:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        body, self._body = self._body, b""
        return body


def ours(address: str, entries: int, folder: str) -> dict[str, Any]:
    from leadline.domain import Kind
    from leadline.match.bank import Bank
    from leadline.subscriptions.pulling import Wish, pull_source

    bank = Bank.create(Path(folder) / "bank", name="BENCH", kind=Kind.OTHER)
    subscriptions = subscribed(address, Path(folder))
    begin = now()
    outcome = pull_source(subscriptions, "bench", Wish())
    told = measured(begin, outcome.told)
    assert outcome.added == entries, outcome
    bank.refresh()
    return told | withdraw_one(address, bank, lambda: pull_source(subscriptions, "bench", Wish()))


def changed(address: str, entries: int, folder: str) -> dict[str, Any]:
    """The same list into the same bank, under another licence."""
    from leadline.subscriptions.pulling import Wish, pull_source

    subscribed(address, Path(folder)).remove("bench")
    subscriptions, begin = subscribed(address, Path(folder), licence="another"), now()
    outcome = pull_source(subscriptions, "bench", Wish())
    assert outcome.changed == entries - 1, outcome  # one was withdrawn
    return measured(begin, outcome.told) | {"merge_mb": peak_mb(resource.RUSAGE_CHILDREN)}


def subscribed(address: str, home: Path, **terms: str) -> Any:
    """The source of the bank that lies there, set up where it is not."""
    from leadline.domain import Kind
    from leadline.subscriptions.folder import Subscription, Subscriptions

    environment = {"USER_OF_IT": "rehearsal", "PASSWORD_OF_IT": "rehearsal-password"}
    subscriptions = Subscriptions(home / "sources", environment, no_key)
    if not subscriptions.names():
        options = {"address": address}
        given = Subscription("bench", "ncmec", options, str(home / "bank"), Kind.OTHER, **terms)  # type: ignore[arg-type]
        subscriptions.add(given, secrets_of(environment))
    return subscriptions


def withdraw_one(address: str, bank: Any, poll: Any) -> dict[str, Any]:
    """Through another open bank, as a service that answers holds it."""
    from leadline.match.matcher import Matcher

    entry = next(iter(bank.entries()))
    asked = [(name, digest) for name, digest in entry.fingerprints.items()]

    def matches() -> bool:
        matcher = Matcher([bank])
        matcher.refresh()
        return any(answer.matches for answer in matcher.match_hashes(asked))

    before, segments = matches(), len(list(bank.path.glob("*")))
    body = json.dumps({"key": entry.source_id}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{address}/-/withdraw", data=body, method="POST")).close()
    time.sleep(7)  # a poll asks up to five seconds ago
    begin = time.perf_counter()
    poll()
    seconds = time.perf_counter() - begin
    made = len(list(bank.path.glob("*"))) - segments
    return {"matched_before": before, "poll_s": seconds, "matched_after": matches(), "segments_made": made}


def secrets_of(environment: dict[str, str]) -> dict[str, Any]:
    from leadline.subscriptions.folder import SecretSource

    user, password = environment
    return {"user": SecretSource(variable=user), "password": SecretSource(variable=password)}


def no_key() -> Any:
    raise AssertionError("nothing is sealed here")


def theirs(address: str, entries: int) -> dict[str, Any]:
    """Their client, exchange, store and index classes, in the order of `tx fetch`; only the address is ours."""
    from threatexchange.cli.cli_state import CliIndexStore, CliSimpleState
    from threatexchange.exchanges.clients.ncmec import hash_api
    from threatexchange.exchanges.impl import ncmec_api
    from threatexchange.signal_type.md5 import VideoMD5Signal
    from threatexchange.signal_type.pdq.signal import PdqSignal

    class Exchange(ncmec_api.NCMECSignalExchangeAPI):
        def get_client(self, environment: Any) -> Any:
            client = super().get_client(environment)
            client._base_url = address
            return client

    collab = ncmec_api.NCMECCollabConfig(name="bench", environment=hash_api.NCMECEnvironment.NGO)
    paging = ncmec_api._NCMECPagingInfo(paging_url=first_page(entries), paging_end_ts=FIRST_S + entries - 1)
    kinds = [PdqSignal, VideoMD5Signal]
    with tempfile.TemporaryDirectory() as folder:
        state, indices = CliSimpleState(Exchange, Path(folder)), CliIndexStore(Path(folder))
        begin, told = now(), 0
        exchange = Exchange(collab, "rehearsal", "rehearsal-password")
        for delta in exchange.fetch_iter(kinds, ncmec_api.NCMECCheckpoint(FIRST_S - 1, paging)):
            state.merge(collab, delta)
            told += len(delta.updates)
            if delta.checkpoint.paging_info is None:
                break  # what it would ask for next is beyond its share
        state.flush()
        fetched = now()
        count = 0
        for kind in kinds:
            values = state.get_for_signal_type([collab], kind).get(collab.name, {})
            indices.store(kind, kind.get_index_cls().build(values.items()))
            count += len(values)
        done = measured(begin, told)
    fetch_us = (fetched[0] - begin[0]) / told * 1e6
    return done | {"fetch_us": fetch_us, "index_us": done["us"] - fetch_us, "signals": count}


def first_page(entries: int) -> str:
    """Of all entries up to this number."""

    def iso(seconds: int) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

    return f"/v2/entries?from={iso(FIRST_S - 1)}&to={iso(FIRST_S + entries - 1)}"


if __name__ == "__main__":
    part, *given = sys.argv[1:] or ["1000000"]
    if part in (parts := {"ours": ours, "theirs": theirs, "floor": bare, "changed": changed}):
        print(json.dumps(parts[part](given[0], int(given[1]), *given[2:])))
    elif part == "serve":
        serve(int(given[0]))
    else:
        main(int(part), int(given[0]) if given else min(int(part), 100_000))
