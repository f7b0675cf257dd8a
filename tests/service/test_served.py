"""The whole service as processes: killed, ended, starved, lied to; nobody hangs and no token is written anywhere."""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from tests.cli.manual import after, commands
from tests.servers import skip_without
from tests.service.conftest import MD5
from tests.service.served import Served, command, free_port, served

from leadline.cli import main
from leadline.client import Client
from leadline.domain import Entry, Kind
from leadline.exchange.base import EntryDefaults
from leadline.exchange.ncmec import NcmecConnector
from leadline.exchange.ncmec_lists import NcmecOptions
from leadline.match.bank import Bank
from leadline.service.tokens import Scope, Tokens

KNOWN = [{"bank": "known", "kind": "illegal"}]
HANGS_S = 20.0
SECRET = re.compile(rb"llt_[a-z0-9]{8}_[\w-]{43}")


def begin(shelf: Path, folder: Path, *more: str, context: Any = None) -> Any:
    """The service over a shelf, its state and log in the folder; used with `with`, and in the end its log is read."""
    _, token = Tokens(folder / "state").add("test", frozenset({Scope.MATCH}))
    port = free_port()
    line = command(shelf, folder / "state", port, "--workers", "2", *more)
    return served(line, port, folder / "log", token, context)


def written_tokens(folder: Path) -> list[Path]:
    kept = [folder / "log", *(folder / "state").rglob("*")]
    return [path for path in kept if path.is_file() and SECRET.search(path.read_bytes())]


@pytest.fixture
def start(shelf: Path, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start the service with more arguments; ended when the test ends, and its log then holds no token."""
    with ExitStack() as running:
        yield lambda *more, **options: running.enter_context(begin(shelf, tmp_path, *more, **options))
    assert written_tokens(tmp_path) == []


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One service for tests that do not end it."""
    folder = tmp_path_factory.mktemp("steady")
    known = Bank.create(folder / "banks" / "known", name="known", kind=Kind.ILLEGAL)
    known.add([Entry(Kind.ILLEGAL, {"md5": bytes.fromhex(MD5)})])
    scopes, narrow = frozenset({Scope.MATCH, Scope.CURATE}), {"max_body_bytes": 10_000, "body_timeout_s": 1}
    _, lesser_token = Tokens(folder / "state").add("narrow", scopes, **narrow)
    with begin(folder / "banks", folder) as service:
        service.lesser_token = lesser_token
        yield service
    assert written_tokens(folder) == []


def until(is_so: Callable[[], bool], timeout_s: float = 30.0) -> None:
    give_up_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < give_up_s, "it did not come to be"
        time.sleep(0.02)


def test_a_killed_worker_costs_at_most_the_requests_it_was_at(start: Callable[..., Served]) -> None:
    service = start()
    outcomes: Counter[str] = Counter()
    slowest_s = [0.0]
    stopping = threading.Event()

    def look_up() -> None:
        while not stopping.is_set():
            begun_s = time.monotonic()
            try:
                status, told = service.ask("POST", "/v1/match", {"hashes": [MD5]})
            except (ConnectionError, http.client.HTTPException) as error:
                outcomes[type(error).__name__] += 1
            except TimeoutError:
                outcomes["hung"] += 1
            else:
                is_right = status == 200 and _banks_met(told) == [["known"]]  # asked so often, it may flood too
                outcomes["answered" if is_right else f"{status} {told!r}"] += 1
            slowest_s[0] = max(slowest_s[0], time.monotonic() - begun_s)

    threads = [threading.Thread(target=look_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: outcomes["answered"] > 50)
        victim, other = service.workers()
        os.kill(victim, signal.SIGKILL)
        before = outcomes["answered"]
        until(lambda: outcomes["answered"] > before + 50)
        until(lambda: len(set(service.workers()) - {victim}) == 2)
        before = outcomes["answered"]
        until(lambda: outcomes["answered"] > before + 50)
    finally:
        stopping.set()
        for thread in threads:
            thread.join(HANGS_S)
    assert other in service.workers()
    clear = {"answered", "ConnectionResetError", "ConnectionRefusedError", "RemoteDisconnected", "BrokenPipeError"}
    assert set(outcomes) <= clear, outcomes
    assert slowest_s[0] < HANGS_S


def test_the_client_hides_a_killed_worker(start: Callable[..., Served]) -> None:
    service = start()
    with Client(f"http://127.0.0.1:{service.port}", token=service.token) as client:
        for round_number in range(60):
            if round_number == 20:
                os.kill(service.workers()[0], signal.SIGKILL)
            (answer,) = client.match(MD5)
            assert [match.bank for match in answer.matches] == ["known"]


def test_a_request_under_way_is_answered_when_the_service_is_told_to_end(start: Callable[..., Served]) -> None:
    service = start()
    body = json.dumps({"hashes": [MD5]}).encode()
    with service.raw() as under_way:
        under_way.sendall(service.head(len(body)) + body[:5])
        time.sleep(0.3)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.7)
        under_way.sendall(body[5:])
        answer = _whole_answer(under_way)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["answers"] == [{"matches": KNOWN}]
    assert service.process.wait(20) == 0
    with pytest.raises(ConnectionRefusedError):
        service.raw()


def _banks_met(told: bytes) -> list[list[str]]:
    return [[match["bank"] for match in answer["matches"]] for answer in json.loads(told)["answers"]]


def _whole_answer(connection: socket.socket) -> bytes:
    """Head and body, by the length that it says."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    body = answer.read()
    return f"HTTP/1.1 {answer.status} {answer.reason}\r\n\r\n".encode() + body


FACES = {"the short way": "/v1/match", "the router": "/v1/banks"}


def test_a_body_that_does_not_come_is_refused_in_the_time_of_its_token(steady: Served) -> None:
    service, body = steady, json.dumps({"hashes": [MD5]}).encode()
    with ExitStack() as opened:
        slow = [opened.enter_context(service.raw()) for _ in FACES]
        patient = opened.enter_context(service.raw())
        patient.sendall(service.head(len(body)))
        begun_s = time.monotonic()
        for connection, path in zip(slow, FACES.values(), strict=True):
            connection.sendall(service.head(10_000, path, service.lesser_token))
            threading.Thread(target=_dribble, args=(connection,), daemon=True).start()
        for connection in slow:
            answer = _whole_answer(connection)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "timeout"
        assert time.monotonic() - begun_s < 20  # the service itself waits for half a minute
        patient.sendall(body)  # of a token without a limit of its own
        assert _whole_answer(patient).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_is_too_large_for_its_token_is_refused_and_for_another_it_is_not(steady: Served) -> None:
    service = steady
    for path in FACES.values():
        with service.raw() as large:
            large.sendall(service.head(10_001, path, service.lesser_token))
            answer = _whole_answer(large)
        assert answer.startswith(b"HTTP/1.1 413 "), path
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "too-large"
    others = [f"{number:032x}" for number in range(1, 401)]  # not the known one: met so often, it would flood
    assert len(service.match(*others)) == 400  # a body of some 15,000 bytes


def _dribble(connection: socket.socket) -> None:
    try:
        for _ in range(100):
            connection.sendall(b"{")
            time.sleep(0.05)
    except OSError:
        pass


def test_who_lies_about_a_length_harms_nobody(steady: Served) -> None:
    service = steady
    body = json.dumps({"hashes": [MD5]}).encode()
    with service.raw() as less:  # says more than it sends, and goes
        less.sendall(service.head(len(body) + 1000) + body)
        less.shutdown(socket.SHUT_WR)
        assert not less.recv(65536).startswith(b"HTTP/1.1 200 ")
    with service.raw() as more:  # sends more than it says: the rest is no part of its request
        more.sendall(service.head(5) + body)
        assert more.recv(65536).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 422 "))
    with service.raw() as neither:
        neither.sendall(service.head(-1) + body)
        assert neither.recv(65536).startswith(b"HTTP/1.1 400 ")
    for said in ("1" * 5000, "10, 20", "0x10"):
        with service.raw() as odd:
            odd.sendall(service.head(0).replace(b"content-length: 0", f"content-length: {said}".encode()))
            assert not odd.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert service.match(MD5)[0]["matches"] == KNOWN


def test_two_thousand_idle_connections_are_in_nobodys_way(steady: Served) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip(f"this machine allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    service = steady
    idle = []
    try:
        for _ in range(2000):
            idle.append(service.raw())
        for _ in range(20):
            assert service.match(MD5)[0]["matches"] == KNOWN
        until(lambda: open_at(service.port) >= 2000)
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    until(lambda: open_at(service.port) == 0)
    assert service.match(MD5)[0]["matches"] == KNOWN


def open_at(port: int) -> int:
    """Established connections whose near end is this port, as the kernel counts them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def test_no_token_is_written_anywhere_whatever_is_sent(steady: Served) -> None:
    """What is written is read when the service has ended."""
    service = steady
    wrong = "llt_abcdefgh_" + "x" * 43
    for token in (service.token, wrong):
        for path in (
            f"/t/{token}/m/lookup?signal={MD5}&signal_type=video_md5",
            f"/v1/match?token={token}",
            f"/{token}",
        ):
            for method in ("GET", "POST", "BREW"):
                connection = service.connection()
                connection.request(method, path, f"token={token}", {"authorization": f"Bearer {token}", "x-t": token})
                answer = connection.getresponse()
                told = f"{answer.headers}".encode() + answer.read()
                connection.close()
                assert not SECRET.search(told)
        with service.raw() as garbage:
            garbage.sendall(f"{token}\r\n\r\n".encode() * 10)
            garbage.recv(65536)
    assert written_tokens(service.log.parent) == []


def test_a_second_service_does_not_join_the_first_at_its_address(steady: Served, shelf: Path, tmp_path: Path) -> None:
    line = command(shelf, tmp_path / "other", steady.port, "--workers", "1")
    second = subprocess.run([sys.executable, *line], capture_output=True, text=True, timeout=60)
    assert (second.returncode, second.stdout) == (2, "")
    assert "cannot listen there" in second.stderr


def test_tls_by_files_and_a_list_published_as_the_manual_says(
    start: Callable[..., Served], tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """docs/connectors.md, "Publishing to software that exists": its lines, with our port, folders and certificate."""
    skip_without("openssl")
    add_token, serve, *_ = after("leadline", commands("Publishing to software that exists"))
    assert serve[:3] == ["serve", "--banks", "banks"]
    certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-out", certificate, "-keyout", key],
        capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    context = ssl.create_default_context(cafile=str(certificate))
    assert main([*add_token, "--state", str(tmp_path / "state")]) == 0
    (subscriber,) = SECRET.findall(capfdbinary.readouterr().out)
    ours = {"chain.pem": str(certificate), "key.pem": str(key)}
    service = start(*(ours.get(word, word) for word in serve[3:]), context=context)
    assert service.match(MD5)[0]["matches"] == KNOWN
    options = NcmecOptions(address=f"https://localhost:{service.port}/ncmec/known", ca_file=certificate)
    secrets = {"user": "anything", "password": subscriber.decode()}
    with closing(
        NcmecConnector(options, secrets, EntryDefaults(Kind.ILLEGAL), clock=time.time, sleep=time.sleep)
    ) as it:
        assert "hotline-b" in it.check().identity
    with Client(f"https://localhost:{service.port}", token=service.token, authorities=certificate) as client:
        assert client.match(MD5)[0].matches[0].bank == "known"
    with service.raw() as clear:
        clear.sendall(b"GET /healthz HTTP/1.1\r\nhost: service\r\n\r\n")
        assert not clear.recv(65536).startswith(b"HTTP/1.1 200 ")
