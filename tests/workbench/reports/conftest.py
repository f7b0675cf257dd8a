"""What the tests of reports share: a fresh engine, mails with real DKIM signatures, people's reports."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from PIL import Image

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind
from leadline.media.scenes import draw_scene
from leadline.workbench import matching, sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions as evidence
from leadline.workbench.evidence.models import MediaMode
from leadline.workbench.permissions import Role
from leadline.workbench.reports import actions
from leadline.workbench.reports.models import Report


@pytest.fixture(autouse=True)
def _new_office(office: Any) -> Iterator[None]:
    sealing.forget()
    yield
    sealing.forget()


@pytest.fixture(scope="session", autouse=True)
def _end_sandbox() -> Iterator[None]:
    yield
    matching.close_engine()


@pytest.fixture
def administrator(make_person: Any) -> Person:
    person: Person = make_person("administrator", Role.ADMINISTRATOR)
    return person


@pytest.fixture
def keeping(administrator: Person) -> None:
    evidence.set_media_mode(administrator, MediaMode.KEEP, "made-up law, section 1", retention_days=30)


@pytest.fixture
def refusing(administrator: Person) -> None:
    evidence.set_media_mode(administrator, MediaMode.REFUSE, "made-up law, section 2")


@functools.cache
def draw_png(seed: int) -> bytes:
    out = BytesIO()
    Image.fromarray(draw_scene(seed, 96, 64)).save(out, "PNG")
    return out.getvalue()


def make_report(value: str = "https://example.org/a", **more: Any) -> Report:
    item = IncomingItem(ItemKind.URL, value)
    known = {name: more.pop(name) for name in ("passphrase", "sensitivity", "tlp", "source") if name in more}
    incoming = IncomingReport(Channel.STAFF_FORM, items=(item,), **more)
    return actions.receive(incoming, channel=Channel.STAFF_FORM, actor="tester", **known).report


@pytest.fixture(scope="session")
def signing() -> tuple[bytes, bytes]:
    """An RSA key of a made-up domain: PEM, and its DNS record (RFC 6376 section 3.6.1)."""
    import base64

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return pem, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


Resolve = Callable[[str, float], bytes | None]


@pytest.fixture
def resolver(signing: tuple[bytes, bytes]) -> Resolve:
    """The DNS of a world with one domain in it."""

    def resolve(name: str, timeout_s: float) -> bytes | None:
        return signing[1] if name == "made._domainkey.example.org" else None

    return resolve


BODY = b"Please look at hxxps://example[.]net/page and\r\nat @made_up_handle\r\n"


def make_mail(
    body: bytes = BODY, *, sender: str = "Ann <ann@example.org>", subject: str = "A report", extra: bytes = b""
) -> bytes:
    head = (
        f"From: {sender}\r\nTo: reports@example.org\r\nSubject: {subject}\r\n"
        "Date: Mon, 02 Mar 2026 10:00:00 +0000\r\nMessage-ID: <one@example.org>\r\n"
    )
    return extra + head.encode() + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + body


def sign_mail(mail: bytes, pem: bytes, domain: bytes = b"example.org") -> bytes:
    headers = [b"from", b"to", b"subject", b"date", b"message-id"]
    signature: bytes = dkim.sign(mail, b"made", domain, pem, include_headers=headers)
    return signature + mail


def mail_with_file(name: str, data: bytes, mime: str = "image/png") -> bytes:
    import base64

    encoded = base64.encodebytes(data).replace(b"\n", b"\r\n")
    return (
        b"From: ann@example.org\r\nTo: reports@example.org\r\nSubject: with a file\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="mid"\r\n\r\n'
        b"--mid\r\nContent-Type: text/plain\r\n\r\nsee the file\r\n"
        b"--mid\r\nContent-Type: " + mime.encode() + b"\r\nContent-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="' + name.encode() + b'"\r\n\r\n' + encoded + b"--mid--\r\n"
    )


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
