"""A worker on a port of loopback, in this process, so that its clock can be set: for clients with HTTP of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from tests.service.conftest import Worker


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    worker: Worker
    clock: Callable[[], float]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        answer = self.worker.ask(self.command, self.path, token="", headers=dict(self.headers.items()), content=body)
        self.send_response(answer.status_code)
        for name in ("content-type", "retry-after", "www-authenticate"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.send_header("content-length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_PUT = do_POST = _answer

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(self.clock() if timestamp is None else timestamp)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def on_loopback(worker: Worker, clock: Callable[[], float] = time.time) -> Iterator[str]:
    """Its address. clock: of the Date header."""
    handler = type("Handler", (_Handler,), {"worker": worker, "clock": staticmethod(clock)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
