"""What the tests of custody share: a key of their own, drawn chains, exhibits of harmless files, a local authority."""

from __future__ import annotations

import datetime
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from leadline.custody.anchor import Anchor, encode_anchor, make_anchor
from leadline.custody.chain import CustodyEvent, encode_line, next_event
from leadline.custody.exhibit import Exhibit, build_exhibit
from leadline.custody.facts import AssetFacts, ExhibitFacts

NOW = "2026-03-01T12:00:00.000Z"


class Key:
    """An Ed25519 key from a fixed seed."""

    def __init__(self, seed: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public = self._key.public_key().public_bytes_raw()
        self.hex = self.public.hex()
        self.pem = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


@pytest.fixture(scope="session")
def key() -> Key:
    return Key(1)


@pytest.fixture(scope="session")
def other_key() -> Key:
    return Key(2)


def draw_event(previous: CustodyEvent | None, number: int, seed: int = 0) -> CustodyEvent:
    """Event `number` of a drawn chain; three assets take turns. Another seed gives another chain."""
    asset = draw_asset(number % 3)
    return next_event(
        previous,
        at=f"2026-02-{1 + number // 1440 % 28:02d}T{number // 60 % 24:02d}:{number % 60:02d}:00.{seed:03d}Z",
        actor=f"person-{number % 2}",
        act=("asset.sealed", "asset.assessed", "asset.moved")[number % 3],
        object_kind="asset",
        object_id=hashlib.sha256(asset).hexdigest(),
        reason="intake",
        details={"bytes": len(asset), "queues": ["q-1", f"q-{number}"], "first": number < 3},
        salt=f"{number + seed:032x}",
    )


def draw_chain(length: int, seed: int = 0) -> list[CustodyEvent]:
    events: list[CustodyEvent] = []
    for number in range(length):
        events.append(draw_event(events[-1] if events else None, number, seed))
    return events


def draw_asset(number: int) -> bytes:
    """Harmless bytes, more than one chunk of the encryption (64 KiB)."""
    return f"drawn bytes {number}\n".encode() * 6000


def facts_of(content: bytes, name: str = "") -> AssetFacts:
    digest = hashlib.sha256(content).hexdigest()
    sums = {"sha256": digest, "md5": hashlib.md5(content).hexdigest(), "sha1": hashlib.sha1(content).hexdigest()}
    return AssetFacts(digest, sums, len(content), "text/plain", "2026-02-01T00:00:00.000Z", name)


def write_chain(path: Path, events: Sequence[CustodyEvent]) -> Path:
    path.write_bytes(b"".join(map(encode_line, events)))
    return path


@dataclass
class Material:
    """What an exhibit of asset 0 is built from."""

    key: Key
    events: list[CustodyEvent] = field(default_factory=lambda: draw_chain(30))
    name: str = "notes.txt"

    @property
    def facts(self) -> ExhibitFacts:
        return ExhibitFacts("ex-7", "hotline-1", "Hotline Example", NOW, ("person-0", "person-1"), "Ref 12/26", "Court")

    @property
    def content(self) -> bytes:
        return draw_asset(0)

    @property
    def assets(self) -> list[AssetFacts]:
        return [facts_of(self.content, self.name)]

    def anchor(self, line: int, by: Key | None = None, chain: str = "hotline-1", at: str = NOW) -> Anchor:
        who = by or self.key
        head = self.events[line - 1].head
        return make_anchor(chain, line, head.hash, at, sign=who.sign, public_key=who.public)

    def token(self, line: int) -> bytes:
        """No timestamp, but with the imprint of one: enough for what does not ask whose it is."""
        imprint = bytes.fromhex("06096086480165030402030500") + b"\x04\x40"
        return b"head" + imprint + hashlib.sha512(encode_anchor(self.anchor(line))).digest() + b"tail"

    def pieces(self, asset_id: str) -> Iterator[bytes]:
        """The asset's content in pieces of uneven size."""
        assert asset_id == self.assets[0].asset_id
        content = self.content
        for start in range(0, len(content), 50_001):
            yield content[start : start + 50_001]

    def build(self, folder: Path, **more: object) -> Exhibit:
        if "anchors" not in more:
            more["anchors"] = [self.anchor(20)]
        given = {"sign": self.key.sign, "public_key": self.key.public} | more
        return build_exhibit(folder, self.facts, self.events, self.assets, **given)  # type: ignore[arg-type]


@pytest.fixture
def material(key: Key) -> Material:
    return Material(key)


@pytest.fixture(scope="session")
def chain30() -> list[CustodyEvent]:
    return draw_chain(30)


@pytest.fixture(scope="session")
def drawn() -> Callable[..., list[CustodyEvent]]:
    return draw_chain


# --- a timestamp authority by `openssl ts` ---------------------------------------------------------------------------


def _make_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """A root and a timestamp certificate under it; answers requests with `openssl ts -reply`."""

    def __init__(self, folder: Path, name: str, valid: tuple[datetime.datetime, datetime.datetime]) -> None:
        self._folder = folder
        self.requests: list[bytes] = []
        root_key, own_key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
        long = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC), datetime.datetime(2090, 1, 1, tzinfo=datetime.UTC)
        root_name = _make_name(f"{name} Root")
        self.root = self._certify(root_name, root_name, root_key, root_key, long, is_root=True)
        own = self._certify(_make_name(f"{name} Stamps"), root_name, own_key, root_key, valid, is_root=False)
        pem = serialization.Encoding.PEM
        (folder / "tsa.pem").write_bytes(own.public_bytes(pem))
        (folder / "root.pem").write_bytes(self.root.public_bytes(pem))
        (folder / "tsa.key").write_bytes(
            own_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        (folder / "serial").write_text("01\n")
        (folder / "ts.cnf").write_text(
            "[tsa]\ndefault_tsa = local\n[local]\n"
            f"dir = {folder}\nserial = $dir/serial\nsigner_cert = $dir/tsa.pem\nsigner_key = $dir/tsa.key\n"
            "signer_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256, sha512\n"
        )

    @property
    def root_file(self) -> Path:
        return self._folder / "root.pem"

    @staticmethod
    def _certify(
        subject: x509.Name,
        issuer: x509.Name,
        key: rsa.RSAPrivateKey,
        signer: rsa.RSAPrivateKey,
        valid: tuple[datetime.datetime, datetime.datetime],
        *,
        is_root: bool,
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), *valid)
        builder = builder.add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        if not is_root:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
            builder = builder.add_extension(usage, critical=True)
        return builder.sign(signer, hashes.SHA256())

    def answer(self, request: bytes) -> bytes:
        """What a POST to an authority would give back."""
        self.requests.append(request)
        (self._folder / "query").write_bytes(request)
        command = ["openssl", "ts", "-reply", "-queryfile", "query", "-config", "ts.cnf", "-out", "reply"]
        subprocess.run(command, cwd=self._folder, check=True, capture_output=True, timeout=30)
        return (self._folder / "reply").read_bytes()


@pytest.fixture(scope="session")
def make_authority(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Authority]:
    if shutil.which("openssl") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("openssl is absent: a test of timestamps must not be skipped in CI")
        pytest.skip("openssl is absent")

    def make(name: str, first_year: int = 2020, last_year: int = 2090) -> Authority:
        valid = tuple(datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (first_year, last_year))
        return Authority(tmp_path_factory.mktemp("authority"), name, valid)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def authority(make_authority: Callable[..., Authority]) -> Authority:
    return make_authority("Local")
