"""`leadline serve` as a process of its own on a free port of loopback, and plain requests to it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import free_port

START_S = 60.0
END_S = 45.0


@dataclass
class Served:
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    token: str = ""
    context: ssl.SSLContext | None = None
    lesser_token: str = ""

    def connection(self, timeout_s: float = 10.0) -> http.client.HTTPConnection:
        if self.context is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        return http.client.HTTPSConnection("localhost", self.port, timeout=timeout_s, context=self.context)

    def ask(self, method: str, path: str, body: Any = None, timeout_s: float = 10.0) -> tuple[int, bytes]:
        """OSError or HTTPException where no whole answer came."""
        connection = self.connection(timeout_s)
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def match(self, *hashes: str) -> list[Any]:
        status, told = self.ask("POST", "/v1/match", {"hashes": hashes})
        assert status == 200, told
        return list(json.loads(told)["answers"])

    def raw(self, timeout_s: float = 10.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)

    def head(self, length: int, path: str = "/v1/match", token: str = "") -> bytes:
        """The start of a look-up whose body says to have this length."""
        return (
            f"POST {path} HTTP/1.1\r\nhost: service\r\nauthorization: Bearer {token or self.token}\r\n"
            f"content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        ).encode()

    def workers(self) -> list[int]:
        """Process ids of the workers that live."""
        entries = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [int(entry.name) for entry in entries if _parent(entry) == self.process.pid and _is_worker(entry)]

    def wait_until_ready(self) -> None:
        give_up_s = time.monotonic() + START_S
        while time.monotonic() < give_up_s:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if self.ask("GET", "/readyz", timeout_s=2)[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
        raise AssertionError(f"the service did not become ready: {self.log.read_text()}")

    def end(self) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_S)


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _is_worker(entry: Path) -> bool:
    """Not a zombie, nor the helper that newer Pythons start beside workers."""
    try:
        told = (entry / "cmdline").read_bytes()
    except OSError:
        return False
    return bool(told) and b"resource_tracker" not in told


@contextmanager
def served(command: list[str], port: int, log: Path, token: str = "", context: Any = None) -> Iterator[Served]:
    with log.open("ab") as told:
        process = subprocess.Popen(
            [sys.executable, *command], stdout=told, stderr=told, start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )  # fmt: skip
    service = Served(port, process, log, token, context)
    try:
        service.wait_until_ready()
        yield service
    finally:
        if process.poll() is None:
            service.end()


def command(shelf: Path, state: Path, port: int, *more: str) -> list[str]:
    return ["-m", "leadline", "serve", "--banks", str(shelf), "--state", str(state), "--port", str(port), *more]


__all__ = ["Served", "command", "free_port", "served"]
