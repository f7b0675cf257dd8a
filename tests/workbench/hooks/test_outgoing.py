"""Posts reach only where they may: private numbers are refused in every disguise, and the name is pinned."""

from __future__ import annotations

import http.server
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from leadline.errors import UrlFormatError
from leadline.workbench import outgoing
from leadline.workbench.outgoing import is_public, pin, post, read_target

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


class Receiver(http.server.BaseHTTPRequestHandler):
    """Remembers what came, and answers as the test wishes."""

    def do_POST(self) -> None:
        server: Any = self.server
        server.got.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
        status, headers = server.answers.pop(0) if server.answers else (200, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[Any]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.answers = [], []
    server.url = f"http://127.0.0.1:{server.server_port}/in?x=1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "number",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "2001:db8::1",
    ],
)  # fmt: skip
def test_numbers_that_are_not_of_the_open_internet_are_refused(number: str) -> None:
    assert not is_public(ipaddress.ip_address(number))


@pytest.mark.parametrize("number", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"])
def test_public_numbers_are_not(number: str) -> None:
    assert is_public(ipaddress.ip_address(number))


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org", "ftp://example.org/", "file:///etc/passwd", "https://", "https://a:b@example.org/",
        "https://example.org/#x", "https://example.org/a b", "https://ex\u00e4mple.org/", "https://example.org:99999/",
        "https://[::1", "gopher://example.org/", "https://example.org/\n", "https://example.org/" + "a" * 500,
    ],
)  # fmt: skip
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(UrlFormatError):
        read_target(url)


def resolving(monkeypatch: pytest.MonkeyPatch, *numbers: str) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", (n, 443)) for n in numbers])


def test_one_private_answer_of_a_name_is_enough_to_refuse_it(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "93.184.215.14", "10.0.0.1")
    assert pin(read_target("https://example.org/"), []) == "private-address"


def test_without_tls_only_allowed_networks_are_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "93.184.215.14")
    assert pin(read_target("http://example.org/"), []) == "no-tls"
    assert pin(read_target("https://example.org/"), []) == ipaddress.ip_address("93.184.215.14")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f000001", "2130706433", "127.1", "[::1]"])
def test_loopback_is_refused_however_it_is_written(host: str) -> None:
    assert post(f"https://{host}/", b"{}", {}, allowed=[]).failure in {"private-address", "unresolved", "url"}


def test_a_name_that_changes_after_it_was_checked_changes_nothing(
    receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the connection goes to the number that was checked, and is never resolved again."""
    asked = []

    def resolve(host: str, port: int, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        number = "127.0.0.1" if len(asked) == 1 else "192.0.2.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host if host[0].isdigit() else number, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = f"http://hook.example.org:{receiver.server_port}/in"
    assert post(url, b"{}", {}, allowed=LOOPBACK).status == 200
    assert [host for host in asked if host == "hook.example.org"] == ["hook.example.org"]
    assert receiver.got[0][1]["Host"] == f"hook.example.org:{receiver.server_port}"


def test_body_and_headers_arrive_as_they_are(receiver: Any) -> None:
    assert post(receiver.url, b'{"a":1}', {"webhook-id": "m"}, allowed=LOOPBACK) == outgoing.Answer(200, "", 0)
    path, headers, body = receiver.got[0]
    assert (path, headers["webhook-id"], body) == ("/in?x=1", "m", b'{"a":1}')


def test_a_redirect_is_a_failure_and_is_not_followed(receiver: Any) -> None:
    receiver.answers = [(302, {"Location": receiver.url})]
    answer = post(receiver.url, b"{}", {}, allowed=LOOPBACK)
    assert (answer.status, answer.failure, len(receiver.got)) == (302, "refused", 1)


def test_what_the_other_side_asks_to_wait_is_told(receiver: Any) -> None:
    receiver.answers = [(429, {"Retry-After": "120"}), (503, {"Retry-After": "soon"})]
    assert post(receiver.url, b"{}", {}, allowed=LOOPBACK).retry_after_s == 120
    assert post(receiver.url, b"{}", {}, allowed=LOOPBACK).retry_after_s == 0


def test_nobody_there_is_a_failure(receiver: Any) -> None:
    receiver.shutdown()
    receiver.server_close()
    assert post(receiver.url, b"{}", {}, allowed=LOOPBACK).failure == "no-answer"


def test_a_receiver_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket's own limit starts anew with every byte; the limit of the whole does not."""
    monkeypatch.setattr(outgoing, "TIMEOUT_S", 0.5)
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        try:
            while True:
                connection.sendall(b"H")
                time.sleep(0.05)
        except OSError:
            connection.close()

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    assert post(url, b"{}", {}, allowed=LOOPBACK).failure in {"no-answer", "timeout"}
    thread.join(5)
    assert not thread.is_alive()
    listener.close()


def test_a_certificate_that_proves_another_name_is_refused(receiver: Any) -> None:
    """The receiver speaks no TLS at all; nothing is sent to it."""
    url = receiver.url.replace("http:", "https:")
    assert post(url, b"{}", {}, allowed=LOOPBACK).failure == "no-answer"
    assert receiver.got == []
