"""What all connectors have of the web: whose certificate is taken, and where a link of the source leads."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import brotli
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from leadline.errors import SourceBroken, SourceUnavailable
from leadline.exchange.connector import WebOptions
from leadline.exchange.feed.connector import FeedOptions
from leadline.exchange.web import Web


class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        return


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Of a server on 127.0.0.1 that vouches for itself; and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made up")]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "chain.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    no_password = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, no_password))
    return folder / "chain.pem", folder / "key.pem"


@pytest.fixture
def over_tls(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address of a server, and its certificate."""
    chain, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}", chain
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_certificate_that_nobody_vouches_for_is_not_taken_unless_it_was_given(over_tls: tuple[str, Path]) -> None:
    address, chain = over_tls
    slept: list[float] = []
    with contextlib.closing(Web("far-list", address, sleep=slept.append, auth=("user", "pass-4711"))) as web:
        with pytest.raises(SourceUnavailable) as caught:
            web.get("/")
    assert (caught.value.code, caught.value.where) == ("certificate", "far-list")
    assert "ca_file" in caught.value.mend
    assert not slept, "it will not be another one in a second"
    assert "pass-4711" not in repr(vars(caught.value)) + str(caught.value)
    with contextlib.closing(Web("far-list", address, sleep=slept.append, ca_file=chain)) as web:
        assert web.get("/") == b"{}"


def test_a_file_that_is_named_from_here_is_the_same_one_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert WebOptions(ca_file="own.pem").ca_file == tmp_path / "own.pem"  # type: ignore[arg-type]
    feed = FeedOptions(address="feed", root="{}", receipts="left")  # type: ignore[arg-type]
    assert (feed.address, feed.receipts) == (str(tmp_path / "feed"), tmp_path / "left")


def test_a_link_of_the_source_counts_from_the_base_with_its_folder() -> None:
    with contextlib.closing(Web("far-list", "http://127.0.0.1:9/npo/", sleep=lambda seconds: None)) as web:
        assert web.join("/v2/entries?start=2") == "http://127.0.0.1:9/npo/v2/entries?start=2"
        assert web.join("v2/entries?start=2") == "http://127.0.0.1:9/npo/v2/entries?start=2"
        assert web.join("http://127.0.0.1:9/npo/v2/entries") == "http://127.0.0.1:9/npo/v2/entries"


@pytest.mark.parametrize("link", ["/\x7f", "http://[::1", "//[", "http://\u2100/", "/" + "a" * 70_000])
def test_a_link_that_is_no_address_is_a_fault_of_the_source(link: str) -> None:
    with (
        contextlib.closing(Web("far-list", "http://127.0.0.1:9/npo", sleep=lambda seconds: None)) as web,
        pytest.raises(SourceBroken, match="no address"),
    ):
        web.join(link)


@contextlib.contextmanager
def answering(body: bytes, **headers: str) -> Iterator[Web]:
    class Telling(Answering):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Telling)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    web = Web("far", f"http://127.0.0.1:{server.server_address[1]}", sleep=lambda seconds: None, timeout_s=10)
    with contextlib.closing(web):
        yield web
    server.shutdown()
    server.server_close()


def test_a_body_grows_by_being_unpacked_only_as_much_as_gzip_once_can_make_it() -> None:
    with answering(gzip.compress(b"{}"), content_encoding="gzip") as web:
        assert web.get("/") == b"{}"
    few = brotli.compress(bytes(50_000_000))
    twice = gzip.compress(gzip.compress(bytes(50_000_000)))
    assert len(few) < 100 > len(twice) / 100  # of what is one piece of 64 KiB gigabytes could come
    for body, packed in ((few, "br"), (twice, "gzip, gzip")):
        with answering(body, content_encoding=packed) as web, pytest.raises(SourceBroken, match="nobody asked for"):
            web.get("/", most_bytes=1 << 20)


def test_what_has_come_of_a_body_can_be_read_before_the_rest() -> None:
    is_read = threading.Event()

    class Trickling(Answering):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"a")
            is_read.wait(20)
            self.wfile.write(b"b")

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trickling)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    web = Web("far", f"http://127.0.0.1:{server.server_address[1]}", sleep=lambda seconds: None, timeout_s=10)
    with contextlib.closing(web), web.open("/", piece_bytes=None) as answer:
        first = answer.read(10)
        is_read.set()
        assert (first, answer.read(10), answer.read(10)) == (b"a", b"b", b"")
    server.shutdown()
    server.server_close()
