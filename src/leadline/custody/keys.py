"""The instance key that wraps every data key, and the key that signs the chain's head. Never prints or logs one."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from leadline.errors import KeyUnavailable

KEY_BYTES = 32
_WRAP_VERSION = b"\x01"
_NONCE_BYTES = 12


class KeySlot(Protocol):
    """Where data keys are wrapped: a file here, or a key management service by the entry point `leadline.key_slots`."""

    key_id: str

    def wrap(self, data_key: bytes, context: bytes) -> bytes: ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True, repr=False)
class InstanceKey:
    """32 random bytes in a file that only its owner can read. Is itself the slot of file keys."""

    _key: bytes

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make the file; FileExistsError where one is there."""
        return cls(_create(path))

    @classmethod
    def load(cls, path: Path) -> Self:
        """KeyUnavailable where the file is absent, readable by others, no plain file, or of another size."""
        return cls(_load(path))

    @property
    def key_id(self) -> str:
        """Names the key without telling anything of it."""
        return hashlib.sha256(b"leadline instance key id\n" + self._key).hexdigest()[:16]

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose, e.g. the HMAC of item keys."""
        return hashlib.blake2b(
            purpose.encode(), key=self._key, digest_size=KEY_BYTES, person=b"leadline-derive"
        ).digest()

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        """version, nonce, AES-256-GCM of the data key with the context as associated data."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _WRAP_VERSION + nonce + AESGCM(self._key).encrypt(nonce, data_key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """KeyUnavailable where it was wrapped by another key, for another context, or was changed."""
        if wrapped[:1] != _WRAP_VERSION:
            raise KeyUnavailable("a wrapped key of another version", mend="use the release that wrote it")
        try:
            return AESGCM(self._key).decrypt(wrapped[1 : 1 + _NONCE_BYTES], wrapped[1 + _NONCE_BYTES :], context)
        except InvalidTag:
            mend = "restore the instance key that wrapped it"
            raise KeyUnavailable("this key does not open it", where=f"key {self.key_id}", mend=mend) from None


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """Ed25519, for the head of the chain; kept outside the database."""

    _key: Ed25519PrivateKey

    @classmethod
    def create(cls, path: Path) -> Self:
        return cls(Ed25519PrivateKey.from_private_bytes(_create(path)))

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls(Ed25519PrivateKey.from_private_bytes(_load(path)))

    @property
    def public_bytes(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)


def _create(path: Path) -> bytes:
    """Whole and synced, or absent."""
    key = secrets.token_bytes(KEY_BYTES)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)  # fails where one is there
    finally:
        partial.unlink()
    return key


def _load(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        mend = "restore it from where you keep it; without it nothing that is sealed can be opened"
        raise KeyUnavailable(f"no key: {error.strerror}", where=str(path), mend=mend) from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise KeyUnavailable("the key is no plain file", where=str(path), mend="give a plain file")
        if status.st_mode & 0o077:
            raise KeyUnavailable("others can read the key", where=str(path), mend="chmod 600 it")
        key = file.read(KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise KeyUnavailable(f"a key has {KEY_BYTES} bytes", where=str(path), mend="restore the right file")
    return key
