"""What is fetched comes from where it may, whole, in time and through no redirect that leads elsewhere."""

from __future__ import annotations

import http.server
import ipaddress
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leadline.errors import AddressRefused, ConfigError, FetchFailed, UrlFormatError
from leadline.exchange.pinned import fetching, pin, read_networks, read_target

LOOPBACK = read_networks(["127.0.0.0/8", "::1/128"])


class Sender(http.server.BaseHTTPRequestHandler):
    """Answers by path."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append((self.path, dict(self.headers)))
        where, _, _ = self.path.partition("?")
        if where == "/hop":
            left = int(self.path.partition("?")[2])
            self._send(302, b"", Location="/file" if left <= 1 else f"/hop?{left - 1}")
        elif where == "/away":
            self._send(302, b"", Location=self.path.partition("?")[2])
        elif where == "/short":
            self._send(200, b"abc", said=10)
        elif where == "/packed":
            self._send(200, b"abc", **{"Content-Encoding": "gzip"})
        elif where == "/gone":
            self._send(404, b"")
        else:
            self._send(200, b"a file", **{"Content-Type": "image/png"})

    def _send(self, status: int, body: bytes, said: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if said is None else said))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def sender() -> Iterator[Any]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sender)
    server.asked, server.url = [], f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def fetch(url: str, *, allowed: Any = LOOPBACK, timeout_s: float = 10.0) -> tuple[bytes, str]:
    with fetching(url, allowed=allowed, timeout_s=timeout_s) as fetched:
        told = b""
        while piece := fetched.read(4):
            told += piece
        return told, fetched.content_type


def refused(url: str, **how: Any) -> str:
    with pytest.raises((AddressRefused, FetchFailed)) as error:
        fetch(url, **how)
    return error.value.code


def test_a_file_comes_whole_with_the_type_its_sender_names(sender: Any) -> None:
    assert fetch(f"{sender.url}/file?x=1#part") == (b"a file", "image/png")
    path, headers = sender.asked[0]
    assert path == "/file?x=1"
    assert headers["Host"] == f"127.0.0.1:{sender.server_port}"
    assert {"Authorization", "Cookie"}.isdisjoint(headers)


def test_private_addresses_are_refused_unless_their_network_is_allowed(sender: Any) -> None:
    assert refused(f"{sender.url}/file", allowed=()) == "private-address"
    for host in ("localhost", "[::1]", "127.1", "0x7f000001"):
        assert refused(f"http://{host}:{sender.server_port}/file", allowed=()) in ("private-address", "unresolved")
    assert sender.asked == []


def test_three_redirects_are_followed_and_no_more(sender: Any) -> None:
    assert fetch(f"{sender.url}/hop?3")[0] == b"a file"
    assert refused(f"{sender.url}/hop?4") == "redirects"


@pytest.mark.parametrize("to", ["http://192.0.2.1/", "http://10.0.0.1/", "http://169.254.169.254/latest/"])
def test_each_redirect_is_checked_as_a_new_address(sender: Any, to: str) -> None:
    assert refused(f"{sender.url}/away?{to}") == "private-address"


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://example.org/", "http://u:p@127.0.0.1/", "http://[::1", ""])
def test_a_redirect_to_what_is_no_web_address_is_refused(sender: Any, to: str) -> None:
    with pytest.raises((UrlFormatError, AddressRefused)):
        fetch(f"{sender.url}/away?{to}")


def test_a_redirect_never_leads_away_from_tls(sender: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address speaks TLS by name only: the test has it answered in clear."""
    monkeypatch.setattr("leadline.exchange.pinned.ssl.create_default_context", lambda: _NoTls())
    url = f"{sender.url}/away?{sender.url}/file".replace("http:", "https:", 1)
    assert refused(url) == "no-tls"
    assert len(sender.asked) == 1


class _Clear(socket.socket):
    def do_handshake(self) -> None:
        return


class _NoTls:
    def wrap_socket(self, sock: socket.socket, **_: object) -> socket.socket:
        timeout_s = sock.gettimeout()
        clear = _Clear(sock.family, sock.type, sock.proto, fileno=sock.detach())
        clear.settimeout(timeout_s)
        return clear


def test_a_sender_that_cannot_prove_its_name_is_refused(tmp_path: Path) -> None:
    certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-out", certificate, "-keyout", key],
        capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sender)
    server.asked, server.handle_error = [], lambda *_: None
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    assert refused(f"https://localhost:{server.server_port}/file") == "certificate"
    assert server.asked == []
    server.shutdown()
    server.server_close()


def test_the_name_is_resolved_once_and_never_again(sender: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def resolve(host: str, port: int, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        number = host if host[0].isdigit() else "127.0.0.1" if len(asked) == 1 else "192.0.2.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert fetch(f"http://media.example.org:{sender.server_port}/file")[0] == b"a file"
    assert [host for host in asked if host == "media.example.org"] == ["media.example.org"]


def test_one_private_number_of_a_name_is_enough_to_refuse_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(0, 0, 0, "", (number, 80)) for number in ("93.184.215.14", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert pin(read_target("http://example.org/"), (), tls_only=False) == "private-address"


@pytest.mark.parametrize(
    ("path", "code"), [("/short", "cut-short"), ("/packed", "encoded"), ("/gone", "remote-status")]
)
def test_what_is_not_a_whole_file_is_said(sender: Any, path: str, code: str) -> None:
    assert refused(f"{sender.url}{path}") == code


def test_nobody_there_is_said(sender: Any) -> None:
    sender.shutdown()
    sender.server_close()
    assert refused(f"{sender.url}/file") == "no-answer"


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n"])
def test_a_sender_that_drips_is_cut_off(head: bytes) -> None:
    """Also amid the body, which goes on without a length: a socket's own limit starts anew with every byte."""
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        try:
            connection.sendall(head)
            while True:
                connection.sendall(b"H")
                time.sleep(0.05)
        except OSError:
            connection.close()

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    begun_s = time.monotonic()
    assert refused(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=0.5) in ("timeout", "no-answer")
    assert time.monotonic() - begun_s < 10
    thread.join(5)
    assert not thread.is_alive()
    listener.close()


def test_the_proxy_of_the_environment_is_not_used(sender: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(f"{sender.url}/file")[0] == b"a file"


@pytest.mark.parametrize("url", ["", "example.org", "ftp://example.org/", "https://a:b@example.org/", "file:///etc/passwd"])
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(UrlFormatError):
        fetch(url)


def test_a_network_that_is_none_is_a_fault_of_the_configuration() -> None:
    assert read_networks(["10.0.0.0/8", "fd00::/8"]) == (
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("fd00::/8"),
    )
    with pytest.raises(ConfigError):
        read_networks(["10.0.0.1/8"])
