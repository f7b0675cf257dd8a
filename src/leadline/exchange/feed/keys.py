"""Key files of a feed, and who subscribes to it. Never shows a key, never sends one.

A publisher's key is the seed of an Ed25519 key (64 hexadecimal digits). A subscriber's is one line: the age identity
that opens what it is sent, and the seed that signs its receipts.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pyrage
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from securesystemslib.signer import CryptoSigner

from leadline.domain import Kind, Tlp
from leadline.errors import ConfigError, KeyUnavailable

_MAX_FILE_BYTES = 1 << 16
_HEX = re.compile(r"[0-9a-f]{64}")
_RECEIPT_MARK = "leadline-receipts:"
_ID_DIGITS = 32
_NAME_CHARS = 100
WIDTH = {Tlp.CLEAR: 0, Tlp.GREEN: 1, Tlp.AMBER: 2, Tlp.AMBER_STRICT: 3}  # RED is not there: it never leaves


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a subscriber gives a publisher: nothing of it is secret. encrypt: age1...; sign: Ed25519, hexadecimal."""

    format: str
    version: int
    name: str
    encrypt: str
    sign: str


class Agreement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A card, with what the publisher agreed to let that subscriber have.

    tlp    the strictest label of an entry that is sent; never red
    kinds  of entries that are sent
    """

    format: str
    version: int
    name: str
    encrypt: str
    sign: str
    tlp: Tlp
    kinds: tuple[Kind, ...]

    @property
    def id(self) -> str:
        """Of the keys: another key is another subscriber."""
        return subscriber_id(self.encrypt, self.sign)

    def admits(self, kind: Kind, tlp: Tlp) -> bool:
        return kind in self.kinds and tlp in WIDTH and WIDTH[tlp] <= WIDTH[self.tlp]

    def recipient(self) -> pyrage.x25519.Recipient:
        return pyrage.x25519.Recipient.from_str(self.encrypt)

    def is_signature(self, signature: bytes, message: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.sign)).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


CARD_FORMAT, CARD_VERSION = "leadline-subscriber", 1


def subscriber_id(encrypt: str, sign: str) -> str:
    """32 hexadecimal digits that stand for both keys, and say nothing of whose they are."""
    return hashlib.sha256(rfc8785.dumps({"encrypt": encrypt, "sign": sign})).hexdigest()[:_ID_DIGITS]


class SubscriberKey:
    """The secret side of a card."""

    def __init__(self, text: str) -> None:
        """KeyUnavailable where the text is none."""
        identity, _, seed = text.strip().partition(" ")
        try:
            if not seed.startswith(_RECEIPT_MARK) or not _HEX.fullmatch(seed.removeprefix(_RECEIPT_MARK)):
                raise ValueError
            self._identity = pyrage.x25519.Identity.from_str(identity)
        except (ValueError, pyrage.IdentityError):
            mend = "give the file that `leadline feed keygen --subscriber` made"
            raise KeyUnavailable("not a subscriber's key", mend=mend) from None
        self._receipts = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed.removeprefix(_RECEIPT_MARK)))
        self.encrypt = str(self._identity.to_public())
        self.sign_key = self._receipts.public_key().public_bytes_raw().hex()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    @property
    def id(self) -> str:
        return subscriber_id(self.encrypt, self.sign_key)

    def card(self, name: str) -> Card:
        """ConfigError for a name that is none."""
        return Card(
            format=CARD_FORMAT, version=CARD_VERSION, name=check_name(name), encrypt=self.encrypt, sign=self.sign_key
        )

    def open(self, sealed: bytes) -> bytes:
        """pyrage.DecryptError where it is not for this key, or damaged."""
        opened: bytes = pyrage.decrypt(sealed, [self._identity])
        return opened

    def sign(self, message: bytes) -> bytes:
        return self._receipts.sign(message)


def make_subscriber_key() -> str:
    """The text of a new one."""
    return f"{pyrage.x25519.Identity.generate()} {_RECEIPT_MARK}{secrets.token_hex(32)}"


def make_signing_key() -> str:
    return secrets.token_hex(32)


def load_signer(path: Path) -> CryptoSigner:
    """KeyUnavailable where the file is not there, open to others, or holds no key."""
    text = read_key(path)
    if not _HEX.fullmatch(text):
        raise KeyUnavailable("holds no signing key", where=str(path), mend="give a file that `feed keygen` made")
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text)))


def read_key(path: Path) -> str:
    """The text of a key file that only its owner can read. KeyUnavailable otherwise."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise KeyUnavailable(f"a key cannot be read: {error.strerror}", where=str(path), mend="restore it") from None
    with os.fdopen(fd, "rb") as file:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode) or stat.S_IMODE(about.st_mode) & 0o077:
            raise KeyUnavailable("a key that others can read", where=str(path), mend=f"chmod 600 {path}")
        return file.read(_MAX_FILE_BYTES).decode("ascii", "replace").strip()


def write_key(path: Path, text: str) -> None:
    """A new file for its owner alone, synced. KeyUnavailable where one is there."""
    _write_new(path, f"{text}\n".encode(), 0o600)


def write_card(path: Path, card: Card) -> None:
    _write_new(path, msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n", 0o644)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise KeyUnavailable("a file is there already", where=str(path), mend="give another folder") from None


def read_agreements(paths: Iterable[Path]) -> list[Agreement]:
    """Files of subscribers, by id. ConfigError for a file that is none, KeyUnavailable for a key that is none."""
    found: dict[str, Agreement] = {}
    names: set[str] = set()
    for path in paths:
        agreement = read_agreement(path)
        if agreement.id in found or agreement.name in names:
            raise ConfigError("a subscriber that is named twice", where=str(path), mend="keep one of the files")
        found[agreement.id] = agreement
        names.add(agreement.name)
    return [found[at] for at in sorted(found)]


def read_agreement(path: Path) -> Agreement:
    try:
        untrusted = path.read_bytes()[: _MAX_FILE_BYTES + 1]
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from None
    try:
        agreement = msgspec.json.decode(untrusted, type=Agreement)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        mend = 'it is a subscriber\'s card with "tlp" and "kinds" added, as docs/feed.md shows'
        raise ConfigError(f"no agreement with a subscriber: {error}", where=str(path), mend=mend) from None
    _check_agreement(agreement, str(path))
    return agreement


def _check_agreement(agreement: Agreement, where: str) -> None:
    if (agreement.format, agreement.version) != (CARD_FORMAT, CARD_VERSION):
        raise ConfigError("another format or version", where=where, mend="use a newer Leadline, or ask for a card")
    check_name(agreement.name, where)
    if agreement.tlp not in WIDTH or not agreement.kinds:
        mend = f"give one of {', '.join(WIDTH)}, and at least one kind"
        raise ConfigError("an agreement that lets nothing out", where=where, mend=mend)
    try:
        agreement.recipient()
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(agreement.sign))
    except (ValueError, pyrage.RecipientError):
        raise KeyUnavailable("a subscriber's key is none", where=where, mend="ask it for its card again") from None


def check_name(name: str, where: str = "") -> str:
    if not 0 < len(name) <= _NAME_CHARS or not name.isprintable():
        raise ConfigError("not a name", where=where or name[:40], mend=f"1..{_NAME_CHARS} printable characters")
    return name
