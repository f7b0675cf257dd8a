"""Keys in files that only their owner can read, and slots that wrap data keys under them. Never shows or logs a key.

A key file holds 32 random bytes, or their 64 hex digits. Whoever has the instance key and a copy of the vault can
read everything; whoever loses it can read nothing.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from leadline.custody.anchor import sync_folder
from leadline.errors import KeyUnavailable, SealBroken

KEY_BYTES = 32
WRAP_VERSION = 1
_ID_BYTES, _NONCE_BYTES, _TAG_BYTES = 8, 12, 16
_HEAD_BYTES = 1 + _ID_BYTES
_SEALED_AT = _HEAD_BYTES + _NONCE_BYTES
_WRAPPED_BYTES = _SEALED_AT + KEY_BYTES + _TAG_BYTES
_HEX = re.compile(rb"[0-9a-fA-F]{64}\n?")


class _KeyFile:
    """What both kinds of key share: the rules of their file."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    @classmethod
    def load(cls, path: Path) -> Self:
        """KeyUnavailable unless it is a regular file of ours that nobody else can read, and holds a key."""
        return cls(read_key(path))

    @classmethod
    def create(cls, path: Path) -> Self:
        """A new random key in a new file, synced, whole or not there. KeyUnavailable where there is a file already."""
        secret = secrets.token_bytes(KEY_BYTES)
        write_key(path, secret)
        return cls(secret)


class InstanceKey(_KeyFile):
    """The key under which an office seals, and the simplest slot for it. Only keys derived from it are used.

    Wrapped, 69 bytes: version 1, key id (8), nonce (12, random), AES-256-GCM of the data key (32) and its tag (16).
    Associated data: version, key id, context. The AES key is derived for this alone (HKDF-SHA256, RFC 5869). Random
    nonces bear 2^32 wraps under one key (NIST SP 800-38D, 8.3): change the key before.
    """

    def __init__(self, secret: bytes) -> None:
        super().__init__(secret)
        self.key_id = self.derive("key-id/1", _ID_BYTES).hex()  # 16 hex digits that say nothing of the key
        self._cipher = AESGCM(self.derive("wrap/1"))

    def derive(self, purpose: str, length_bytes: int = KEY_BYTES) -> bytes:
        """The same bytes for the same key and purpose. They change with the key: keep nothing that must outlive it."""
        return HKDF(SHA256(), length_bytes, salt=None, info=f"leadline/{purpose}".encode()).derive(self._secret)

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        head, nonce = bytes([WRAP_VERSION]) + bytes.fromhex(self.key_id), secrets.token_bytes(_NONCE_BYTES)
        return head + nonce + self._cipher.encrypt(nonce, data_key, head + context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """SealBroken where it is damaged or of another context, KeyUnavailable where another key wrapped it."""
        named = key_id_of(wrapped)
        if named != self.key_id:
            mend = "put the key file back under which this was sealed"
            raise KeyUnavailable("sealed under another key", where=f"key {named}", mend=mend)
        head, nonce, sealed = wrapped[:_HEAD_BYTES], wrapped[_HEAD_BYTES:_SEALED_AT], wrapped[_SEALED_AT:]
        try:
            return self._cipher.decrypt(nonce, sealed, head + context)
        except InvalidTag:
            mend = "restore it from a backup"
            raise SealBroken("a wrapped key is damaged, or not of this place", mend=mend) from None

    def is_current(self, wrapped: bytes) -> bool:
        return key_id_of(wrapped) == self.key_id


def key_id_of(wrapped: bytes) -> str:
    """Which instance key wrapped this. SealBroken where it has not the form of a wrapped key."""
    if len(wrapped) != _WRAPPED_BYTES or wrapped[0] != WRAP_VERSION:
        raise SealBroken("a wrapped key has the wrong form", mend="restore it from a backup")
    return wrapped[1:_HEAD_BYTES].hex()


class SigningKey(_KeyFile):
    """The Ed25519 key that signs the head of the custody chain; the file holds its seed (RFC 8032, 5.1.5)."""

    def __init__(self, secret: bytes) -> None:
        super().__init__(secret)
        self._key = Ed25519PrivateKey.from_private_bytes(secret)

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)

    @property
    def public_bytes(self) -> bytes:
        """32 bytes, to be given to whoever shall verify."""
        return self._key.public_key().public_bytes_raw()


def read_key(path: Path) -> bytes:
    """The 32 bytes of a key file. KeyUnavailable says what is wrong with it, never what is in it."""
    untrusted = read_private(path, 4 * KEY_BYTES)
    secret = bytes.fromhex(untrusted.decode("ascii")) if _HEX.fullmatch(untrusted) else untrusted
    if len(secret) != KEY_BYTES or len(set(secret)) == 1:
        mend = f"it holds {KEY_BYTES} random bytes or {2 * KEY_BYTES} hex digits: put the key back from its copy"
        raise KeyUnavailable("the file holds no key", where=str(path), mend=mend)
    return secret


def read_private(path: Path, at_most: int) -> bytes:
    """The bytes of a file that nobody else can read, and whose folder nobody else can write to. Else KeyUnavailable."""
    try:
        # Without following a link, and without waiting where it is a pipe.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        mend = "it must be a file itself, not a link; put the key back, a new one opens nothing"
        raise KeyUnavailable(f"the key cannot be opened: {error.strerror}", where=str(path), mend=mend) from None
    try:
        _check_file(os.fstat(fd), path)
        _check_folder(path.parent)
        return os.read(fd, at_most)
    finally:
        os.close(fd)


def _check_file(facts: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise KeyUnavailable("the key is no regular file", where=str(path), mend="name the file itself")
    if facts.st_uid not in (os.geteuid(), 0):
        raise KeyUnavailable("the key belongs to somebody else", where=str(path), mend="chown it to Leadline's user")
    if stat.S_IMODE(facts.st_mode) & 0o077:
        mend = "chmod 600 it; whoever may have read it could have copied it, so consider a new key"
        raise KeyUnavailable("others can read the key", where=str(path), mend=mend)


def _check_folder(folder: Path) -> None:
    """Whoever can write there can put another key in its place. Of a folder like /tmp the sticky bit forbids that."""
    mode = folder.stat().st_mode
    if mode & 0o022 and not mode & stat.S_ISVTX:
        raise KeyUnavailable("others can write to the key's folder", where=str(folder), mend="chmod 700 it")


def write_key(path: Path, secret: bytes) -> None:
    """A new key file of mode 600, synced before it gets its name. KeyUnavailable where it cannot be, or is there."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(secret)
                file.flush()
                os.fsync(file.fileno())
            os.link(partial, path)  # unlike a rename it never replaces a key that is there
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        mend = "keep the key that is there" if isinstance(error, FileExistsError) else "check folder and disk"
        raise KeyUnavailable(f"the key was not written: {error.strerror}", where=str(path), mend=mend) from error


# --- slots -----------------------------------------------------------------------------------------------------------


@runtime_checkable
class KeySlot(Protocol):
    """Where data keys are wrapped: under a key in a file, or by a key management service.

    key_id      names the key that wraps now; up to 64 printable ASCII characters
    wrap        32 bytes -> at most 1024 bytes, bound to `context`
    unwrap      back again. SealBroken where the bytes are damaged or bound to another context, KeyUnavailable where
                the key is not there
    is_current  whether the key that wraps now wrapped this; else it can be wrapped again (`rewrap`)
    """

    @property
    def key_id(self) -> str: ...

    def wrap(self, data_key: bytes, context: bytes) -> bytes: ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes: ...

    def is_current(self, wrapped: bytes) -> bool: ...


def _older(path: Path) -> list[Path]:
    """By the folder's names, not by a pattern: it is asked for at every use of a key."""
    begin = f"{path.name}.old-"
    try:
        return [path.with_name(name) for name in os.listdir(path.parent) if name.startswith(begin)]
    except FileNotFoundError:
        return []


class FileKeySlot:
    """Wraps under an instance key; unwraps under it and under older ones, so that keys can be changed."""

    def __init__(self, key: InstanceKey, older: Sequence[InstanceKey] = ()) -> None:
        self.key_id = key.key_id
        self._keys = {k.key_id: k for k in (*older, key)}

    @classmethod
    def load(cls, path: Path) -> FileKeySlot:
        """The key of the file, and those that `rotate_key` has put beside it."""
        older = [InstanceKey.load(old) for old in sorted(_older(path))]
        return cls(InstanceKey.load(path), older)

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        return self._keys[self.key_id].wrap(data_key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        return self._keys.get(key_id_of(wrapped), self._keys[self.key_id]).unwrap(wrapped, context)

    def is_current(self, wrapped: bytes) -> bool:
        return key_id_of(wrapped) == self.key_id


class WatchedKeySlot:
    """The slot of a key file and of those beside it, read again as soon as any of them is another file or changed.

    So a process that runs while the key is changed wraps under the new one from the next moment on. KeyUnavailable at
    any use, once a file is gone or others can read it.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._guard = path, threading.Lock()
        self._seen: tuple[object, ...] = ()
        self._slot = self.now()

    def now(self) -> FileKeySlot:
        """The keys as they are on the disk at this moment; what comes of one answer comes of the same keys."""
        with self._guard:
            seen = self._look()
            if seen != self._seen:
                self._slot, self._seen = FileKeySlot.load(self._path), seen
            return self._slot

    def _look(self) -> tuple[object, ...]:
        found = []
        for path in (self._path, *sorted(_older(self._path))):
            try:
                facts = os.lstat(path)
            except OSError as error:
                mend = "put the key back: a new one opens nothing"
                what = f"the key cannot be opened: {error.strerror}"
                raise KeyUnavailable(what, where=str(path), mend=mend) from None
            found.append((path.name, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns))
        return tuple(found)

    @property
    def key_id(self) -> str:
        return self.now().key_id

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        return self.now().wrap(data_key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        try:
            return self.now().unwrap(wrapped, context)
        except KeyUnavailable:  # a key may have been changed since it was looked at: once more, and never twice
            return self.now().unwrap(wrapped, context)

    def is_current(self, wrapped: bytes) -> bool:
        return self.now().is_current(wrapped)


def rewrap(wrapped: bytes, slot: KeySlot, context: bytes) -> bytes:
    """The same data key under the key that wraps now; unchanged where that is so already."""
    return wrapped if slot.is_current(wrapped) else slot.wrap(slot.unwrap(wrapped, context), context)


def forget_older_keys(path: Path) -> list[str]:
    """Overwrite and remove the keys beside `path`; their ids. The caller knows that nothing is wrapped under them."""
    forgotten = []
    for old in sorted(_older(path)):
        forgotten.append(InstanceKey.load(old).key_id)
        with old.open("r+b") as file:
            file.write(bytes(old.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        old.unlink()
        sync_folder(path.parent)
    return forgotten


def rotate_key(path: Path) -> InstanceKey:
    """Put a new key into the place of `path`; the one before stays beside it as PATH.old-ID until it is removed.

    At every moment `path` holds a key, and each key that ever stood there is in one of the files. `forget_older_keys`
    removes the old one once nothing is wrapped under it; from then on older backups cannot be opened by anybody.
    """
    old = InstanceKey.load(path)
    kept = path.with_name(f"{path.name}.old-{old.key_id}")
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)  # of a rotation that was cut off: nothing was ever sealed under it
    try:
        if not kept.exists():
            os.link(path, kept)
            sync_folder(path.parent)
        key = InstanceKey.create(fresh)
        os.replace(fresh, path)
        sync_folder(path.parent)
    except OSError as error:
        raise KeyUnavailable(f"the key was not changed: {error.strerror}", where=str(path), mend="retry") from error
    return key
