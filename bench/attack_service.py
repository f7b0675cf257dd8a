"""Attack on the match service: kills, garbage, 10,000 idle connections, lists that change, twenty minutes of load.

`python -m bench.attack_service [MINUTES] [COUNT]` prints Markdown tables; exit 1 where a look-up was answered wrongly,
hung or made the service fall over, where a list was lost while several times as many were sent as it can search, where
a withdrawn hash went on matching for more than two seconds, or where memory grew. Look-ups go on all the while, half of
them of hashes that are there: of each it is known what the answer must be.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import random
import resource
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.search import U8, make_hashes
from leadline.client import packed
from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.service.tokens import Scope, Tokens

ROOT = Path(__file__).parents[1]
PORT, WORKERS, ASKERS = 18421, 2, 4
HANGS_S, UNSEEN_S = 10.0, 2.0
IDLE, UPDATES, KILLS = 10_000, 1_000, 10
GARBAGE_S = 60.0
GROWTH = 0.05
PRESSERS, PRESSERS_EACH, PRESS_S, LIST_OF = 4, 24, 30.0, 10_000  # a million hashes at once; it takes 200,000
WAITS_AT_MOST_S = 5.0
PATHS = (
    "/v1/match",
    "/v1/hash",
    "/v1/scan",
    "/v1/banks",
    "/m/lookup",
    "/h/hash",
    "/c/banks",
    "/v1/changes",
    "/nothing",
)
HEADER = "| attack | how much | answered | broken connections | told to come again | wrong | faults of the service | hung | slowest, ms | beside |"


# --- the service -----------------------------------------------------------------------------------------------------


@dataclass
class Service:
    folder: Path
    token: str
    hashes: U8
    process: subprocess.Popen[bytes]

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=HANGS_S)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {self.token}"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def meets(self, md5: str) -> bool:
        status, told = self.ask("POST", "/v1/match", json.dumps({"hashes": [md5]}).encode())
        if status != 200:
            raise OSError(f"{status} {told!r}")
        return bool(json.loads(told)["answers"][0]["matches"])

    def workers(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _parent(entry) == self.process.pid and b"tracker" not in _command(entry):
                found.append(int(entry.name))
        return found

    def memory_mib(self) -> float:
        """Of all workers, without the pages of the bank that they share."""
        lines = [line for pid in self.workers() for line in _read(Path(f"/proc/{pid}/status")).splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024

    def wait(self) -> None:
        give_up_s = time.monotonic() + 120
        while time.monotonic() < give_up_s:
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)
        raise SystemExit("the service did not become ready")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _parent(entry: Path) -> int:
    return int((_read(entry / "stat").rpartition(")")[2].split() or [0, 0])[1])


def _command(entry: Path) -> bytes:
    return _read(entry / "cmdline").encode() or b"tracker"  # a zombie is none that lives


@contextmanager
def serving(folder: Path, count: int) -> Iterator[Service]:
    hashes = make_hashes(count, 11)
    Bank.create(folder / "bank", name="known", kind=Kind.ILLEGAL).add_pdq_array(hashes, first_id=1, threads=2)
    _, token = Tokens(folder / "state").add("attack", frozenset(Scope))
    command = [
        *(sys.executable, "-m", "leadline", "serve", "--bank", str(folder / "bank"), "--state", str(folder / "state")),
        *("--port", str(PORT), "--workers", str(WORKERS), "--per-minute", "1000000000", "--log-days", "1"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, start_new_session=True)
    service = Service(folder, token, hashes, process)
    try:
        service.wait()
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


# --- look-ups that go on all the while -------------------------------------------------------------------------------


@dataclass
class Load:
    """`with Load(service)`: threads that ask without an end, each over a connection that it keeps."""

    service: Service
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        self.threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(ASKERS)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _ask(self, number: int) -> None:
        dice, connection = random.Random(number), http.client.HTTPConnection("127.0.0.1", PORT, timeout=HANGS_S)
        while not self.stopping.is_set():
            begun_s = time.monotonic()
            outcome = self._one(dice, connection)
            self.outcomes[outcome] += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - begun_s)
            if outcome != "answered":
                connection.close()
                time.sleep(0.02)

    def _one(self, dice: random.Random, connection: http.client.HTTPConnection) -> str:
        entry = dice.randrange(len(self.service.hashes)) if dice.random() < 0.5 else None
        pdq = secrets.token_hex(32) if entry is None else self.service.hashes[entry].tobytes().hex()
        body = json.dumps({"hashes": [f"pdq:{pdq}"]})
        try:
            connection.request("POST", "/v1/match", body, {"Authorization": f"Bearer {self.service.token}"})
            answer = connection.getresponse()
            told = answer.read()
        except TimeoutError:
            return "hung"
        except (OSError, http.client.HTTPException):
            return "broken"
        if answer.status in (429, 503):
            return "again"
        if answer.status != 200:
            return "fault"
        met = [match["entry"] for match in json.loads(told)["answers"][0]["matches"] if match["distance"] == 0]
        return "answered" if met == ([] if entry is None else [entry + 1]) else "wrong"

    def row(self, name: str, amount: str, beside: str) -> str:
        said = self.outcomes
        cells = (said["answered"], said["broken"], said["again"], said["wrong"], said["fault"], said["hung"])
        counts = " | ".join(f"{count:,}" for count in cells)
        return f"| {name} | {amount} | {counts} | {self.slowest_s * 1000:.0f} | {beside} |"

    @property
    def held(self) -> bool:
        bad = self.outcomes["wrong"] + self.outcomes["fault"] + self.outcomes["hung"]
        return not bad and self.outcomes["answered"] > 0


Attack = Callable[[Service], tuple[str, bool]]


# --- attacks ---------------------------------------------------------------------------------------------------------


def hold_idle_connections(service: Service) -> tuple[str, bool]:
    idle: list[socket.socket] = []
    with Load(service) as load:
        try:
            for _ in range(IDLE):
                idle.append(socket.create_connection(("127.0.0.1", PORT), timeout=HANGS_S))
            time.sleep(10)
        finally:
            for connection in idle:
                connection.close()
    return load.row("connections that say nothing", f"{len(idle):,}", ""), load.held and len(idle) == IDLE


def send_garbage(service: Service) -> tuple[str, bool]:
    """Bytes by chance as requests, and as bodies of requests that are well formed."""
    dice, end, statuses = random.Random(3), time.monotonic() + GARBAGE_S, Counter[int]()
    with Load(service) as load:
        while time.monotonic() < end:
            if dice.random() < 0.3:
                _send_raw(dice.randbytes(dice.randrange(1, 5000)))
                statuses[0] += 1
                continue
            statuses[_send_body(service, dice)] += 1
    faults = sum(count for status, count in statuses.items() if status >= 500 and status not in (501, 503))
    told = ", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items()) if status)
    return load.row("garbage", f"{statuses.total():,} requests", told), load.held and not faults


def _send_raw(data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", PORT), timeout=HANGS_S) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)
        except ConnectionError:
            pass


def _send_body(service: Service, dice: random.Random) -> int:
    kinds = ("application/json", "application/vnd.leadline.hashes", "multipart/form-data; boundary=x", "image/png")
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=HANGS_S)
    headers = {"Authorization": f"Bearer {service.token}", "Content-Type": dice.choice(kinds)}
    path, method = dice.choice(PATHS), dice.choice(("GET", "POST", "PUT", "PATCH", "DELETE"))
    if path == "/v1/changes" and method == "GET":  # the one answer that has no end
        method = "POST"
    start = dice.choice((b"", b"LLH1", b'{"hashes":[', b"--x\r\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"))
    try:
        connection.request(method, path, start + dice.randbytes(dice.randrange(20_000)), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except ConnectionError:
        return 0
    finally:
        connection.close()


def kill_workers(service: Service) -> tuple[str, bool]:
    """One at a time, six seconds apart: what dies more often is ended as a whole (docs/service.md)."""
    dice, killed = random.Random(4), 0
    with Load(service) as load:
        for _ in range(KILLS):
            time.sleep(6)
            os.kill(dice.choice(service.workers()), signal.SIGKILL)
            killed += 1
        time.sleep(6)
    is_whole = service.process.poll() is None and len(service.workers()) == WORKERS
    return load.row(
        "workers killed", f"{killed}", f"{len(service.workers())} workers at the end"
    ), load.held and is_whole


def change_the_list(service: Service) -> tuple[str, bool]:
    """Additions and removals by another process, ten a second; each twentieth is waited for."""
    bank, late, slowest_s = Bank.open(service.folder / "bank"), 0, 0.0
    with Load(service) as load:
        for number in range(UPDATES // 2):
            md5 = secrets.token_hex(16)
            added = bank.add([Entry(Kind.ILLEGAL, {"md5": bytes.fromhex(md5)})])
            if number % 20 == 0:
                waits_s = [_until(service, md5, True)]
                bank.remove(added.ids)
                waits_s.append(_until(service, md5, False))
                slowest_s, late = max(slowest_s, *waits_s), late + sum(wait_s > UNSEEN_S for wait_s in waits_s)
            else:
                bank.remove(added.ids)
                time.sleep(0.2)
    beside = f"{late} seen later than {UNSEEN_S:.0f} s, the last after {slowest_s:.1f} s"
    return load.row("the list changes", f"{UPDATES:,} changes", beside), load.held and not late


def _until(service: Service, md5: str, is_there: bool) -> float:
    """Seconds until eight look-ups in a row, over connections of their own, say so."""
    begun_s, agreed = time.monotonic(), 0
    while agreed < 8 and time.monotonic() - begun_s < 30:
        agreed = agreed + 1 if service.meets(md5) is is_there else 0
    return time.monotonic() - begun_s


def overload(service: Service) -> tuple[str, bool]:
    """Several times as many hashes in packed lists as it searches or lets wait; single look-ups go on beside. What is
    admitted is answered in time, all else is told when to come again, and nothing is left without an answer."""
    quiet = _press(service, processes=1, threads=1)
    with Load(service) as load:
        pressed = _press(service, PRESSERS, PRESSERS_EACH)
    said = pressed.outcomes
    lost = said["sent"] - said["200"] - said["429"]
    beside = (
        f"lists answered {said['200']:,}, told to come again {said['429']:,}, lost or answered otherwise {lost}; p99 of "
        f"those answered {pressed.p99_ms:,.0f} ms, quiet {quiet.p99_ms:,.0f} ms"
    )
    is_held = not lost and said["200"] > 0 and said["429"] > 0 and pressed.p99_ms < WAITS_AT_MOST_S * 1000
    return load.row("more lists than it can search", f"{said['sent']:,} lists", beside), load.held and is_held


@dataclass
class Pressed:
    """outcomes: `sent`; of these `200`, `429` with a Retry-After, others by status or error. waits_s: of the 200."""

    outcomes: Counter[str] = field(default_factory=Counter)
    waits_s: list[float] = field(default_factory=list)

    @property
    def p99_ms(self) -> float:
        ordered = sorted(self.waits_s) or [float("inf")]
        return 1000 * ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]


def _press(service: Service, processes: int, threads: int) -> Pressed:
    """From processes of their own, so that those who ask do not wait for one another."""
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue()
    askers = [context.Process(target=_press_on, args=(service.token, threads, told)) for _ in range(processes)]
    for asker in askers:
        asker.start()
    whole = Pressed()
    for _ in askers:
        outcomes, waits_s = told.get()
        whole.outcomes.update(outcomes)
        whole.waits_s += waits_s
    for asker in askers:
        asker.join()
    return whole


def _press_on(token: str, threads: int, told: Any) -> None:
    end = time.monotonic() + PRESS_S
    body = packed.encode_request("pdq", np.random.default_rng().integers(0, 256, (LIST_OF, 32), np.uint8))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": packed.REQUEST_TYPE}

    def ask(pressed: Pressed) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        while time.monotonic() < end:
            begun_s = time.monotonic()
            pressed.outcomes["sent"] += 1
            outcome = _post(connection, body, headers)
            pressed.outcomes[outcome] += 1
            if outcome == "200":
                pressed.waits_s.append(time.monotonic() - begun_s)
            else:
                time.sleep(0.05)  # far less than it was told

    by_thread = [Pressed() for _ in range(threads)]
    asking = [threading.Thread(target=ask, args=(pressed,)) for pressed in by_thread]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    outcomes = sum((pressed.outcomes for pressed in by_thread), Counter[str]())
    told.put((outcomes, [wait_s for pressed in by_thread for wait_s in pressed.waits_s]))


def _post(connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str]) -> str:
    try:
        connection.request("POST", "/v1/match", body, headers)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return type(error).__name__
    if answer.status == 429 and not (answer.getheader("Retry-After") or "").isdigit():
        return "429 without a time"
    return str(answer.status)


def soak(service: Service, minutes: int) -> tuple[str, bool]:
    """Load and a change each second; memory of the first quarter held against that of the last."""
    bank, samples = Bank.open(service.folder / "bank"), list[float]()
    with Load(service) as load:
        for second in range(minutes * 60):
            added = bank.add([Entry(Kind.ILLEGAL, {"md5": secrets.token_bytes(16)})])
            bank.remove(added.ids)
            samples += [service.memory_mib()] if second % 5 == 0 else []
            time.sleep(1)
    quarter = max(1, len(samples) // 4)
    early, late = (sum(part) / len(part) for part in (samples[quarter : 2 * quarter], samples[-quarter:]))
    beside = f"memory of the workers: {early:.0f} MiB in the second quarter, {late:.0f} in the last"
    return load.row("soak", f"{minutes} minutes", beside), load.held and late <= early * (1 + GROWTH) + 8


def main(minutes: int = 20, count: int = 1_000_000) -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    attacks: list[Attack] = [hold_idle_connections, send_garbage, overload, kill_workers, change_the_list]
    attacks.append(lambda service: soak(service, minutes))
    print(f"{count:,} entries, {WORKERS} workers, {ASKERS} threads that ask.\n\n{HEADER}")
    print("|---" * (HEADER.count("|") - 1) + "|", flush=True)
    is_held = True
    with tempfile.TemporaryDirectory() as name, serving(Path(name), count) as service:
        for attack in attacks:
            row, held = attack(service)
            print(row, flush=True)
            is_held = is_held and held
            service.wait()
        log = (service.folder / "log").read_bytes()
        is_silent = service.token.encode() not in log
        print(f"\nThe token in the log of the service: {'no' if is_silent else 'YES'}.")
    return 0 if is_held and is_silent else 1


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:3])))
