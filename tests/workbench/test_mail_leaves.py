"""Our own mail arrives at a real SMTP server (aiosmtpd), by each scheme of LEADLINE_MAIL_URL, and at no other."""

from __future__ import annotations

import asyncio
import runpy
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from django.test import Client
from django.utils import timezone
from tests.workbench.reports.conftest import make_report

from leadline.custody import verify
from leadline.domain import Urgency
from leadline.errors import ConfigError
from leadline.workbench import sealing
from leadline.workbench import settings as own_settings
from leadline.workbench.accounts.models import Invitation, Person
from leadline.workbench.evidence import tasks as evidence
from leadline.workbench.journal.models import Anchor, Line
from leadline.workbench.permissions import Role
from leadline.workbench.reports import actions, tasks
from leadline.workbench.reports.models import Alert, Report
from leadline.workbench.stats import access as stats

USER, PASSWORD = "office", "made up, with @ and /"
QUOTED = "made%20up%2C%20with%20%40%20and%20%2F"
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
# aiosmtpd knows of TLS only what STARTTLS began, and warns of smtps.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")


@dataclass
class Received:
    sender: str
    to: list[str]
    message: EmailMessage
    was_encrypted: bool
    signed_in: bool


class Inbox:
    """What the server took."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.refused: set[str] = set()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return "550 nobody here"
        envelope.rcpt_tos.append(address)
        return "250 known"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        assert server.transport is not None
        encrypted = server.transport.get_extra_info("sslcontext") is not None
        sender, to = str(envelope.mail_from), list(envelope.rcpt_tos)
        self.received.append(Received(sender, to, message, encrypted, bool(session.authenticated)))
        return "250 taken"


def _check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
    return AuthResult(success=given == LoginPassword(USER.encode(), PASSWORD.encode()), handled=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, signed by itself: certificate and key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("smtp") / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return path


class Server:
    """aiosmtpd on a port of its own. Not its Controller: that leaves open what is under way when it is stopped."""

    def __init__(self, context: ssl.SSLContext | None, options: dict[str, Any]) -> None:
        self.inbox, self._loop = Inbox(), asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._context, self._options, self._open = context, options, []
        self._server = self._do(self._listen())
        self.port = int(self._server.sockets[0].getsockname()[1])

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(20)

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(self._make, "127.0.0.1", 0, ssl=self._context)

    def _make(self) -> SMTP:
        self._open.append(SMTP(self.inbox, hostname="office.example", loop=self._loop, **self._options))
        return self._open[-1]

    async def _close(self) -> None:
        self._server.close()
        for one in self._open:
            if one.transport is not None:
                one.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def stop(self) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


Serve = Callable[[str], Server]


@pytest.fixture
def serve(certificate: Path) -> Iterator[Serve]:
    """serve("smtp" | "smtps" | "submission"): the two with TLS take mail only from who signs in."""
    running: list[Server] = []

    def start(scheme: str) -> Server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        signing_in = {"authenticator": _check, "auth_required": True}
        options: dict[str, dict[str, Any]] = {
            "smtp": {},
            "smtps": signing_in | {"auth_require_tls": False},
            "submission": signing_in | {"tls_context": context, "require_starttls": True},
        }
        running.append(Server(context if scheme == "smtps" else None, options[scheme]))
        return running[-1]

    yield start
    for server in running:
        server.stop()


Use = Callable[..., None]


@pytest.fixture
def use(office: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Use]:
    """use("smtp://..."): what the settings make of that LEADLINE_MAIL_URL holds for this office."""
    sealing.forget()

    def take(url: str, **more: str) -> None:
        for name, value in {"LEADLINE_MAIL_URL": url, **more}.items():
            monkeypatch.setenv(name, value)
        read = runpy.run_path(own_settings.__file__)
        for name in [name for name in read if name.startswith("EMAIL_")]:
            setattr(settings, name, read[name])
        for name in ("DEFAULT_FROM_EMAIL", "LEADLINE_ANCHOR_MAIL"):
            setattr(settings, name, read[name])

    yield take
    sealing.forget()


@pytest.fixture
def trusting(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine trusts the made-up server, as a real one trusts the authorities of its system."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.fixture
def urgent(analyst: Person, senior: Person, monkeypatch: pytest.MonkeyPatch) -> Report:
    """It waits; the analyst is on call, at NOW."""
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    actions.set_on_call(senior, analyst, NOW - timedelta(hours=1), NOW + timedelta(days=1))
    return make_report("https://secret.example.org/", urgency=frozenset({Urgency.CHILD_AT_RISK_NOW}), text="words")


def test_an_urgent_alert_arrives_and_again_after_15_minutes_until_somebody_acknowledges_it(
    urgent: Report, analyst: Person, serve: Serve, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve("smtp")
    use(f"smtp://127.0.0.1:{server.port}", LEADLINE_MAIL_FROM="office@example.org")
    for minutes in (0, 14, 15):
        monkeypatch.setattr(timezone, "now", lambda minutes=minutes: NOW + timedelta(minutes=minutes))
        tasks.send_alerts()
    first, second = server.inbox.received
    for got in (first, second):
        assert (got.sender, got.to) == ("office@example.org", [analyst.email])
        assert got.message["Subject"] == f"Urgent report {urgent.number} waits"
        text = got.message.as_string()
        assert "secret" not in text
        assert "words" not in text
    actions.acknowledge(analyst, urgent)
    monkeypatch.setattr(timezone, "now", lambda: NOW + timedelta(hours=1))
    tasks.send_alerts()
    assert len(server.inbox.received) == 2


@pytest.mark.parametrize("scheme", ["smtps", "submission"])
def test_mail_goes_encrypted_and_signed_in_where_the_url_says_so(
    urgent: Report, trusting: None, scheme: str, serve: Serve, use: Use
) -> None:
    server = serve(scheme)
    use(f"{scheme}://{USER}:{QUOTED}@127.0.0.1:{server.port}")
    tasks.send_alerts()
    (got,) = server.inbox.received
    assert (got.was_encrypted, got.signed_in) == (True, True)
    assert Alert.objects.get().failure == ""


@pytest.mark.parametrize("scheme", ["smtps", "submission"])
def test_a_wrong_password_is_noted_and_nothing_leaves(
    urgent: Report, trusting: None, scheme: str, serve: Serve, use: Use
) -> None:
    server = serve(scheme)
    use(f"{scheme}://{USER}:wrong@127.0.0.1:{server.port}")
    tasks.send_alerts()
    assert Alert.objects.get().failure == "mail"
    assert server.inbox.received == []


@pytest.mark.parametrize("scheme", ["smtps", "submission"])
def test_a_server_whose_certificate_nobody_here_trusts_gets_no_mail(
    urgent: Report, scheme: str, serve: Serve, use: Use
) -> None:
    server = serve(scheme)
    use(f"{scheme}://{USER}:{QUOTED}@127.0.0.1:{server.port}")
    tasks.send_alerts()
    assert Alert.objects.get().failure == "mail"
    assert server.inbox.received == []


def test_the_anchor_arrives_as_it_was_signed(make_person: Callable[..., Person], serve: Serve, use: Use) -> None:
    auditor, server = make_person("auditor", Role.AUDITOR), serve("smtp")
    use(f"smtp://127.0.0.1:{server.port}")
    make_report()
    evidence.sign_head()
    evidence.send_anchor()
    (got,) = server.inbox.received
    assert got.to == [auditor.email]
    (attached,) = got.message.iter_attachments()
    anchor = Anchor.objects.get()
    assert attached.get_filename() == f"anchor-{anchor.line}.json"
    assert attached.get_content() == anchor.statement.encode()
    assert verify.read_anchor(attached.get_content())["head"] == Line.objects.get(line=anchor.line).hash
    assert stats.health(["anchor"])[0].state == "ok"


def test_an_invitation_arrives_and_its_link_opens_while_the_page_shows_none(
    make_person: Callable[..., Person], client_of: Callable[[Person], Client], serve: Serve, use: Use
) -> None:
    server, boss = serve("smtp"), make_person("boss", Role.ADMINISTRATOR)
    use(f"smtp://127.0.0.1:{server.port}")
    page = client_of(boss).post("/people/invite/", {"email": "new@example.net", "roles": ["analyst"]})
    (got,) = server.inbox.received
    assert got.to == ["new@example.net"]
    (link,) = [word for word in got.message.get_content().split() if word.startswith("http")]
    assert link.encode() not in page.content
    assert Client().get(link.removeprefix("http://testserver")).status_code == 200


def test_an_invitation_that_the_server_refuses_is_said_on_the_page(
    make_person: Callable[..., Person], client_of: Callable[[Person], Client], trusting: None, serve: Serve, use: Use
) -> None:
    server, boss = serve("smtps"), make_person("boss", Role.ADMINISTRATOR)
    use(f"smtps://{USER}:wrong@127.0.0.1:{server.port}")
    page = client_of(boss).post("/people/invite/", {"email": "new@example.net", "roles": ["analyst"]})
    assert "The mail server did not take the invitation" in page.content.decode()
    assert Invitation.objects.get().email == "new@example.net"  # it stands, to be withdrawn there
    assert server.inbox.received == []


def test_partners_that_the_settings_name_get_the_anchor_each_and_one_that_is_refused_is_tried_again(
    office: Any, serve: Serve, use: Use
) -> None:
    server, partners = serve("smtp"), ["one@partner.example", "two@partner.example"]
    use(f"smtp://127.0.0.1:{server.port}", LEADLINE_ANCHOR_MAIL=", ".join(partners))
    server.inbox.refused = {"one@partner.example"}
    make_report()
    evidence.sign_head()
    assert stats.health(["anchor"])[0].note == "not-left-this-machine"
    with pytest.raises(OSError):  # the duty fails, and health says so
        evidence.send_anchor()
    assert [got.to for got in server.inbox.received] == [["two@partner.example"]]
    assert stats.health(["anchor"])[0].state == "ok"
    server.inbox.refused = set()
    evidence.send_anchor()
    evidence.send_anchor()
    assert [got.to for got in server.inbox.received] == [["two@partner.example"], ["one@partner.example"]]
    for got in server.inbox.received:
        (attached,) = got.message.iter_attachments()
        assert attached.get_content() == Anchor.objects.get().statement.encode()


def test_partners_without_a_mail_server_are_a_fault_and_no_anchor_counts_as_gone(office: Any, use: Use) -> None:
    use("", LEADLINE_ANCHOR_MAIL="one@partner.example")
    make_report()
    evidence.sign_head()
    with pytest.raises(ConfigError, match="mail server"):
        evidence.send_anchor()
    assert stats.health(["anchor"])[0].note == "not-left-this-machine"


def test_what_is_no_address_of_a_partner_stops_the_start(office: Any, use: Use) -> None:
    with pytest.raises(ConfigError, match="addresses"):
        use("", LEADLINE_ANCHOR_MAIL="one@partner.example, nobody")
