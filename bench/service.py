"""The match service over loopback, asked by a second process on the same cores. Prints Markdown tables.

`python -m bench.service [COUNT]`; 10 million entries unless named. Single look-ups are asked by wrk (Debian's package)
over 32 connections. The peer is HMA itself where somebody has it at hand (bench/hma.py says how), and in any case a
stand-in for it, named so: python-threatexchange's PDQ index, which HMA asks, behind the same server as ours.
"""

from __future__ import annotations

import http.client
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench import hma
from bench.pictures import make_jpegs
from bench.search import U8, make_hashes, make_queries
from leadline.client import packed
from leadline.domain import Kind
from leadline.match.bank import Bank
from leadline.match.matcher import Matcher

PORT, PEER_COUNT = 18420, 1_000_000
SECONDS = 15
UPDATES, PACE_S, ROUND_S = 1_000, 0.022, 10  # all of them within the 24 seconds of load
# Requests are rendered before the first is sent: the generator shares the cores with those it measures.
_WRK = """
local asked, at = {}, 0
function init(args)
  for line in io.lines(os.getenv("HASHES")) do
    asked[#asked + 1] = wrk.format("POST", "PATH", {["Content-Type"] = "application/json"}, 'BEFORE' .. line .. 'AFTER')
  end
  at = math.random(#asked)
end
function request()
  at = at % #asked + 1
  return asked[at]
end
"""
_WRK_GET = _WRK.replace(
    """wrk.format("POST", "PATH", {["Content-Type"] = "application/json"}, 'BEFORE' .. line .. 'AFTER')""",
    """wrk.format("GET", "PATH" .. line)""",
)
_OUR_PATH = "/v1/match?hash=pdq:"
_HMA_PATH = "/m/lookup?signal_type=pdq&signal="
RANDOM, HALF = "hashes.txt", "half.txt"


# --- who serves ------------------------------------------------------------------------------------------------------


@contextmanager
def serving(folder: Path, workers: int, *more: str) -> Iterator[None]:
    command = [
        *(sys.executable, "-m", "leadline", "serve", "--bank", str(folder / "bank"), "--state", str(folder / "state")),
        *("--no-token", "--port", str(PORT), "--workers", str(workers), "--per-minute", "1000000000", *more),
    ]
    yield from _running(command)


@contextmanager
def peer_serving(hashes: Path, workers: int) -> Iterator[None]:
    yield from _running([sys.executable, "-m", "bench.service", "--peer", str(hashes), str(workers)])


def _running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[1])
    try:
        _wait()
        yield
    finally:
        process.terminate()
        process.wait()


def serve_otherwise(how: str, bank: Path) -> None:
    """The same service without its short way, or on another server: what the choices in docs/decisions.md rest on."""
    from starlette.routing import Route

    from leadline.service import app
    from leadline.service.endpoints import CALL
    from leadline.service.options import Options

    def load(*_: Any) -> Any:
        made = app.Service(Options((bank,), state=bank.parent / "state", no_token=True, per_minute=10**9))
        if how in ("starlette", "litestar"):
            app._METHODS.pop("/v1/match")
            endpoints = {method: made._hot.pop((method, "/v1/match"))[1] for method in ("GET", "POST")}

            def look_up(call: Any) -> Any:
                return endpoints[call.scope["method"]](call, made.desk)

            if how == "starlette":

                async def answer(request: Any) -> Any:
                    await look_up(request.scope[CALL])
                    return _Answered()

                made._others.router.routes.insert(0, Route("/v1/match", answer, methods=[*endpoints], name="match"))
            else:
                made._others = _litestar_before(made._others, look_up)  # type: ignore[assignment]
        return made

    if how == "uvicorn":
        import uvicorn

        uvicorn.run(load(), port=PORT, log_level="critical", access_log=False, loop="uvloop", http="httptools")
        return
    from granian.constants import Interfaces
    from granian.server import Server

    server = Server("other", port=PORT, interface=Interfaces.ASGI, workers=1, log_enabled=False, websockets=False)
    server.serve(target_loader=load, wrap_loader=False)


def _litestar_before(others: Any, look_up: Callable[[Any], Any]) -> Any:
    """/v1/match by Litestar's router, its handler and its way to a plain ASGI answer; all else as it was."""
    import litestar
    from litestar.types import ASGIApp

    from leadline.service.endpoints import CALL

    async def answer(request: litestar.Request) -> ASGIApp:
        await look_up(request.scope[CALL])  # type: ignore[literal-required]
        return _Answered()

    answer.__annotations__ = {"request": litestar.Request, "return": ASGIApp}  # names of a function are no globals
    route = litestar.route("/v1/match", http_method=["GET", "POST"])
    routed = litestar.Litestar([route(answer)], openapi_config=None, logging_config=None)

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        is_look_up = scope["type"] == "http" and scope["path"] == "/v1/match"
        await (routed if is_look_up else others)(scope, receive, send)

    return dispatch


class _Answered:
    """The endpoint has answered by itself."""

    async def __call__(self, *_: Any) -> None:
        return


def _wait() -> None:
    for _ in range(1200):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                time.sleep(1)  # the other worker too
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit("the server did not start")


def serve_peer(hashes: Path, workers: int) -> None:
    from granian.constants import Interfaces
    from granian.server import Server

    server = Server("peer", port=PORT, interface=Interfaces.ASGI, workers=workers, log_enabled=False)
    server.serve(target_loader=lambda *_: _peer_app(hashes), wrap_loader=False)


def _peer_app(hashes: Path) -> Any:
    import faiss
    import msgspec
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route
    from threatexchange.signal_type.pdq.signal import PdqSignal

    faiss.omp_set_num_threads(1)
    index = PdqSignal.get_index_cls().build((row.tobytes().hex(), at) for at, row in enumerate(np.load(hashes)))

    async def look_up(request: Any) -> Response:
        asked = msgspec.json.decode(await request.body())
        found = [{"id": m.metadata, "distance": m.similarity_info.distance} for m in index.query(asked["hash"])]
        return Response(msgspec.json.encode(found), media_type="application/json")

    async def alive(request: Any) -> Response:
        return Response("alive")

    return Starlette(routes=[Route("/lookup", look_up, methods=["POST"]), Route("/healthz", alive)])


# --- who asks --------------------------------------------------------------------------------------------------------


def ask_singly(
    folder: Path, path: str, before: str = "", after: str = "", seconds: int = SECONDS, *, asked: str = RANDOM
) -> tuple[float, str, str, int]:
    """Requests a second, p50, p99 in wrk's words, and answers that were no 2xx or never came. No `before`: by GET.

    asked  the file of hashes, RANDOM ones or those of which HALF match
    """
    script = folder / "wrk.lua"
    text = _WRK if before else _WRK_GET
    script.write_text(text.replace("PATH", path).replace("BEFORE", before).replace("AFTER", after))
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", "-s", str(script), f"http://127.0.0.1:{PORT}"]
    environment = {**os.environ, "HASHES": str(folder / asked)}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    rate = float(re.search(r"Requests/sec:\s+([0-9.]+)", said)[1])  # type: ignore[index]
    p50, p99 = (re.search(rf"^ +{share}% +(\S+)$", said, re.MULTILINE)[1] for share in (50, 99))  # type: ignore[index]
    wrong = sum(map(int, re.findall(r"(?:connect|read|write|timeout|responses:) (\d+)", said)))
    return rate, p50, p99, wrong


def ours_singly(folder: Path, seconds: int = SECONDS) -> tuple[float, str, str, int]:
    return ask_singly(folder, "/v1/match", '{"hashes":["pdq:', '"]}', seconds)


def post(path: str, bodies: list[bytes], content_type: str, seconds: float, told: Any) -> None:
    """In a process of its own: post one after the other on one connection; how many were answered well."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
    end, done = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        connection.request("POST", path, bodies[done % len(bodies)], {"Content-Type": content_type})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status}")
        done += 1
    told.put((done, time.perf_counter() - end + seconds))


def post_rate(path: str, bodies: list[bytes], content_type: str, clients: int = 4) -> float:
    told: Any = multiprocessing.Queue()
    arguments = (path, bodies, content_type, float(SECONDS), told)
    askers = [multiprocessing.Process(target=post, args=arguments) for _ in range(clients)]
    for asker in askers:
        asker.start()
    answers = [told.get() for _ in askers]
    for asker in askers:
        asker.join()
    return sum(done / took_s for done, took_s in answers)


# --- the engine alone ------------------------------------------------------------------------------------------------


def engine_rate(work: Callable[[], int], processes: int = 2) -> float:
    """What as many processes do a second as there are cores."""
    told: Any = multiprocessing.Queue()

    def run() -> None:
        work()
        end, done = time.perf_counter() + SECONDS, 0
        begin = time.perf_counter()
        while time.perf_counter() < end:
            done += work()
        told.put((done, time.perf_counter() - begin))

    workers = [multiprocessing.get_context("fork").Process(target=run) for _ in range(processes)]
    for worker in workers:
        worker.start()
    answers = [told.get() for _ in workers]
    for worker in workers:
        worker.join()
    return sum(done / took_s for done, took_s in answers)


def match_rows(bank: Path, rows: U8) -> Callable[[], int]:
    kept: list[Matcher] = []

    def work() -> int:
        if not kept:
            kept.append(Matcher([Bank.open(bank)]))
        kept[0].match_rows("pdq", rows)
        return len(rows)

    return work


def hash_and_match(bank: Path, jpegs: list[bytes]) -> Callable[[], int]:
    """One file per child, as the service does it."""
    kept: list[Any] = []

    def work() -> int:
        from leadline.media.client import Sandbox
        from leadline.media.limits import Limits
        from leadline.scan.arriving import Reading
        from leadline.scan.hashing import FileHasher

        if not kept:
            sandbox = Sandbox()
            sandbox.start()
            kept.extend([FileHasher(sandbox), Matcher([Bank.open(bank)]), 0])
        reading = Reading(Limits())
        reading.feed(jpegs[kept[2] % len(jpegs)])
        kept[2] += 1
        kept[1].match([reading.facts(kept[0]).fingerprints])
        return 1

    return work


# --- the tables ------------------------------------------------------------------------------------------------------


def write_hashes(path: Path, rows: U8) -> None:
    path.write_text("\n".join(row.tobytes().hex() for row in rows))


def singles(folder: Path, hashes: U8) -> None:
    print(f"\n## Single look-ups, {len(hashes):,} hashes, 32 connections, load on the same two cores\n")
    print("aim: at least 20,000 a second with p99 of at most 5 ms. It is our GET that is made for it: a look-up by POST")
    print("waits for a body, and stays below. No hash matches, but where it says so.\n")
    print("| server | hashes | requests/s | p50 | p99 | failed |\n|---|---|---|---|---|---|")
    for workers in (1, 2):
        with serving(folder, workers):
            ours_singly(folder, 3)
            for how, path in (("GET", _OUR_PATH), ("GET at HMA's address", _HMA_PATH)):
                told = ask_singly(folder, path)
                tell(f"leadline serve, {workers} workers, {how}", len(hashes), told)
            told = ask_singly(folder, _OUR_PATH, asked=HALF)
            tell(f"leadline serve, {workers} workers, GET, half of the hashes match", len(hashes), told)
            tell(f"leadline serve, {workers} workers, POST of JSON", len(hashes), ours_singly(folder))
    held = hashes[:PEER_COUNT]
    if hma.is_there():
        with hma.hma_serving(held, PORT, 2):
            tell("HMA, gunicorn with 2 workers", len(held), ask_singly(folder, _HMA_PATH))
    np.save(folder / "peer.npy", held)
    with peer_serving(folder / "peer.npy", 2):
        told = ask_singly(folder, "/lookup", '{"hash":"', '"}')
        tell("stand-in for HMA: threatexchange PDQIndex behind granian, 2 workers", len(held), told)


def tell(server: str, held: int, told: tuple[float, str, str, int]) -> None:
    rate, p50, p99, wrong = told
    print(f"| {server} | {held:,} | {rate:,.0f} | {p50} | {p99} | {wrong} |", flush=True)


def batches(folder: Path, hashes: U8) -> None:
    print("\n## 10,000 hashes a request (packed aim: at least 70 % of the bare engine)\n")
    print("| of the hashes match | bare engine, 2 processes | packed | share | JSON | share |\n|---|---|---|---|---|---|")
    random = np.random.default_rng(9).integers(0, 256, (10_000, 32), np.uint8)
    for what, rows in (("none", random), ("half", make_queries(hashes, 10_000))):
        bare = engine_rate(match_rows(folder / "bank", rows))
        body = b'{"hashes":[' + b",".join(b'"pdq:%s"' % row.tobytes().hex().encode() for row in rows) + b"]}"
        with serving(folder, 2):
            binary = post_rate("/v1/match", [packed.encode_request("pdq", rows)], packed.REQUEST_TYPE) * len(rows)
            json = post_rate("/v1/match", [body], "application/json") * len(rows)
        print(f"| {what} | {bare:,.0f} | {binary:,.0f} | {binary / bare:.0%} | {json:,.0f} | {json / bare:.0%} |")


def uploads(folder: Path) -> None:
    print("\n## Hash and match of 1 MP JPEG uploads, one child each (aim: at least 60 % of the sandboxed engine)\n")
    print("| sandboxed engine, 2 processes, files/s | leadline serve, 2 workers, uploads/s | share |\n|---|---|---|")
    jpegs = make_jpegs("1 MP", 20)
    bare = engine_rate(hash_and_match(folder / "bank", jpegs))
    with serving(folder, 2):
        rate = post_rate("/v1/scan", jpegs, "image/jpeg")
    print(f"| {bare:,.1f} | {rate:,.1f} | {rate / bare:.0%} |")


def updates(folder: Path) -> None:
    print(f"\n## {UPDATES:,} changes of the bank by another process during full load (aim: no error, p99 at most twice)\n")
    print(f"While it is merged: rounds of {ROUND_S} s until the merge has ended, and one more; the p99 of the worst of them.\n")
    print("| | requests/s | p50 | p99 | failed | changes | merge |\n|---|---|---|---|---|---|---|")
    merge = [sys.executable, "-m", "leadline", "bank", "merge", str(folder / "bank")]
    with serving(folder, 2):
        ask_singly(folder, _OUR_PATH, seconds=3)
        rate, p50, p99, wrong = ask_singly(folder, _OUR_PATH, seconds=24)
        print(f"| quiet | {rate:,.0f} | {p50} | {p99} | {wrong} | 0 | - |")
        with changing(folder / "bank") as made:
            rate, p50, p99, wrong = ask_singly(folder, _OUR_PATH, seconds=24)
            print(f"| while it changes | {rate:,.0f} | {p50} | {p99} | {wrong} | {made.value:,} | - |", flush=True)
        for how, command in (("gently, as the service does it", [*merge, "--gently"]), ("with equal rights", merge)):
            with changing(folder / "bank") as made:
                rounds, merge_s = ask_while(folder, command)
                rate, wrong = sum(told[0] for told in rounds) / len(rounds), sum(told[3] for told in rounds)
                p50, p99 = (max((told[at] for told in rounds), key=milliseconds) for at in (1, 2))  # type: ignore[misc]
                what = f"while it changes and is merged {how}"
                print(
                    f"| {what} | {rate:,.0f} | {p50} | {p99} | {wrong} | {made.value:,} | {merge_s:.0f} s |", flush=True
                )


def ask_while(folder: Path, command: list[str]) -> tuple[list[tuple[float, str, str, int]], float]:
    """Rounds of look-ups until the command has ended, and one more; and the seconds that it took."""
    begun_s, ended_s = time.perf_counter(), list[float]()

    def run() -> None:
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        ended_s.append(time.perf_counter())

    running, rounds = threading.Thread(target=run), []
    running.start()
    while running.is_alive():
        rounds.append(ask_singly(folder, _OUR_PATH, seconds=ROUND_S))
    rounds.append(ask_singly(folder, _OUR_PATH, seconds=ROUND_S))
    return rounds, ended_s[0] - begun_s


def milliseconds(told: str) -> float:
    """Of a time in wrk's words."""
    number, unit = re.fullmatch(r"([0-9.]+)(us|ms|s|m)", told).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]


@contextmanager
def changing(bank: Path) -> Iterator[Any]:
    """Another process adds one entry after the other; how many it has added."""
    stop: Any = multiprocessing.Event()
    made: Any = multiprocessing.Value("q", 0)
    writer = multiprocessing.Process(target=change, args=(bank, stop, made))
    writer.start()
    try:
        yield made
    finally:
        stop.set()
        writer.join()


def change(bank: Path, stop: Any, made: Any) -> None:
    opened, begun_s, random = Bank.open(bank), time.perf_counter(), np.random.default_rng()
    while not stop.is_set():
        opened.add_pdq_array(random.integers(0, 256, (1, 32), np.uint8))
        made.value += 1
        time.sleep(max(0.0, begun_s + made.value * PACE_S - time.perf_counter()))


def choices(folder: Path, held: int) -> None:
    print("\n## The same look-ups on other servers, 1 worker (why it is as it is)\n")
    print("| server | hashes | requests/s | p50 | p99 | failed |\n|---|---|---|---|---|---|")
    with serving(folder, 1):
        _tell_both("granian by RSGI, answered before the router (what `leadline serve` does)", folder, held)
    for what, how in (
        ("granian by ASGI, answered before the router", "asgi"),
        ("granian by ASGI, through Starlette's router", "starlette"),
        ("granian by ASGI, through Litestar's router", "litestar"),
        ("uvicorn, answered before the router", "uvicorn"),
    ):
        with _other(how, folder / "bank"):
            _tell_both(what, folder, held)


def _tell_both(server: str, folder: Path, held: int) -> None:
    ours_singly(folder, 3)
    tell(f"{server}, GET", held, ask_singly(folder, _OUR_PATH))
    tell(f"{server}, POST of JSON", held, ours_singly(folder))


@contextmanager
def _other(how: str, bank: Path) -> Iterator[None]:
    yield from _running([sys.executable, "-m", "bench.service", "--otherwise", how, str(bank)])


def main() -> None:
    if sys.argv[1:2] == ["--peer"]:
        serve_peer(Path(sys.argv[2]), int(sys.argv[3]))
        return
    if sys.argv[1:2] == ["--otherwise"]:
        serve_otherwise(sys.argv[2], Path(sys.argv[3]))
        return
    if shutil.which("wrk") is None:
        raise SystemExit("bench.service needs wrk, which `make bench` installs on Debian as root: apt-get install wrk")
    count = int(float(sys.argv[1])) if len(sys.argv) > 1 else 10_000_000
    hashes = make_hashes(count, 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Bank.create(folder / "bank", name="BENCH", kind=Kind.OTHER).add_pdq_array(hashes, threads=2)
        write_hashes(folder / RANDOM, np.random.default_rng(8).integers(0, 256, (20_000, 32), np.uint8))
        write_hashes(folder / HALF, make_queries(hashes, 20_000))
        singles(folder, hashes)
        batches(folder, hashes)
        uploads(folder)
        updates(folder)
        choices(folder, len(hashes))


if __name__ == "__main__":
    main()
