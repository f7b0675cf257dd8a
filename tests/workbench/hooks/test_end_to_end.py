"""The worker's duty, a real receiver on this machine, and the check that docs/api.md gives to receivers."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import transaction

from leadline.workbench.accounts.models import Person
from leadline.workbench.hooks import access, actions, tasks
from leadline.workbench.hooks.models import Delivery
from leadline.workbench.journal.actions import record
from leadline.workbench.outgoing import post
from leadline.workbench.permissions import Role

DOCS = Path(__file__).parents[3] / "docs" / "api.md"
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(204)
        self.end_headers()
        server.came.set()

    def log_message(self, *_: object) -> None:
        return


def serve() -> Any:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.came = [], threading.Event()
    return server


@pytest.fixture
def receiver() -> Iterator[Any]:
    server = serve()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def documented_check() -> Callable[[str, dict[str, str], bytes], bool]:
    """The Python of docs/api.md, run as it stands there."""
    (source,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)
    names: dict[str, Any] = {}
    exec(source, names)
    check: Callable[[str, dict[str, str], bytes], bool] = names["is_ours"]
    return check


@pytest.mark.django_db(transaction=True)
def test_the_worker_posts_what_the_documented_check_accepts_once(
    make_person: Callable[..., Person], settings: Any, receiver: Any
) -> None:
    settings.LEADLINE_WEBHOOK_PRIVATE = LOOPBACK
    admin = make_person("admin", Role.ADMINISTRATOR)
    endpoint = actions.make_endpoint(admin, f"http://127.0.0.1:{receiver.server_port}/in", ["report.*"])
    tasks.follow()
    with transaction.atomic():
        record("report.received", actor="a", object_kind="report", object_id="R-1")
    for _ in range(50):
        tasks.follow()
        if receiver.came.wait(0.2):
            break
    for _ in range(50):
        if not tasks._sending.locked():
            break
        threading.Event().wait(0.1)
    assert Delivery.objects.get().state == "delivered"
    (headers, body), check, secret = receiver.got[0], documented_check(), access.secret_of(endpoint)
    assert not check("whsec_" + "A" * 44, headers, body)
    assert not check(secret, headers, body + b" ")
    assert not check(secret, headers | {"webhook-timestamp": "1614265330"}, body)
    assert check(secret, headers, body)


def make_certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "both.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("name", "is_trusted", "expected"),
    [
        ("hook.example.org", True, (204, "")),
        ("other.example.org", True, (0, "certificate")),
        ("hook.example.org", False, (0, "certificate")),
    ],
)
def test_a_receiver_proves_the_name_it_was_called_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_trusted: bool, expected: tuple[int, str]
) -> None:
    """The connection goes to a number; the certificate must still be the one of the name."""
    certificate, server, make_context = make_certificate(tmp_path, name), serve(), ssl.create_default_context
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("socket.getaddrinfo", lambda host, port, *_, **__: [(2, 1, 6, "", ("127.0.0.1", port))])
    if is_trusted:
        monkeypatch.setattr(ssl, "create_default_context", lambda: make_context(cafile=str(certificate)))
    answer = post(f"https://hook.example.org:{server.server_port}/", b"{}", {}, allowed=LOOPBACK)
    server.shutdown()
    server.server_close()
    assert (answer.status, answer.failure) == expected
