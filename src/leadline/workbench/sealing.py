"""The office's key and vault, opened once a process from its settings. Never makes a key; never hands one out."""

from __future__ import annotations

import glob
import os
import secrets
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pyrage
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.apps import apps
from django.conf import settings

from leadline.custody.keys import KEY_BYTES, FileKeySlot, InstanceKey, KeySlot, SigningKey, rewrap
from leadline.custody.upkeep import remove_unnamed
from leadline.custody.vault import Vault
from leadline.custody.vault import open_vault as open_vault_at
from leadline.errors import CustodyFormatError, KeyUnavailable, SealBroken

_VERSION, _NONCE_BYTES, _LENGTH_BYTES = b"\x01", 12, 2
_FIELDS = b"leadline/fields"  # context of the data keys that fields are sealed with
_SECRETS = b"leadline/secret/"


def key_slot() -> KeySlot:
    """KeyUnavailable where the key is absent or others can read it."""
    return _slot_at(settings.LEADLINE_KEY_FILE)


@lru_cache(maxsize=4)
def _slot_at(path: Path) -> FileKeySlot:
    return FileKeySlot.load(path)


def signing_key() -> SigningKey:
    return _signing_key_at(settings.LEADLINE_SIGNING_KEY_FILE)


@lru_cache(maxsize=4)
def _signing_key_at(path: Path) -> SigningKey:
    return SigningKey.load(path)


def is_key_there() -> bool:
    """Asked of the disk each time: a form closes the moment the key is gone."""
    try:
        InstanceKey.load(settings.LEADLINE_KEY_FILE)
    except KeyUnavailable:
        return False
    return True


# --- the vault -------------------------------------------------------------------------------------------------------


def open_vault() -> Vault:
    """The office's vault. What a stop left half done is finished, and erasures are replayed, before it answers."""
    return _vault_at(settings.LEADLINE_VAULT, settings.LEADLINE_KEY_FILE, settings.LEADLINE_ERASURES)


@lru_cache(maxsize=4)
def _vault_at(place: Path | str, key: Path, erasures: Path) -> Vault:
    erasures.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return open_vault_at(place, _slot_at(key), erasures)


def replay_erasures() -> int:
    """All of the list anew; how many files of it were there still."""
    return open_vault().replay_erasures(everything=True)


def is_erased(sha256: str) -> bool:
    return open_vault().erasures.is_erased(sha256)


def read_asset(sha256: str) -> Iterator[bytes]:
    return open_vault().open(sha256)


def sweep(is_named: Callable[[str], bool], *, older_than_s: float) -> int:
    """Destroy sealed files that no row names; how many. A stop between seal and row left them, unacknowledged."""
    return len(remove_unnamed(open_vault(), is_named, older_than_s=older_than_s))


# --- fields of rows --------------------------------------------------------------------------------------------------


def seal(text: str, context: str) -> bytes:
    """A field of a row, in AES-256-GCM. `context`, say report-text:ID, ties it to its row: elsewhere it does not open.

    version, length of the wrapped data key, that key, nonce, sealed text. One data key a process: a key management
    service is asked once, not for every field.
    """
    wrapped, data_key = _own_data_key(settings.LEADLINE_KEY_FILE)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    head = _VERSION + len(wrapped).to_bytes(_LENGTH_BYTES, "big") + wrapped
    return head + nonce + AESGCM(data_key).encrypt(nonce, text.encode(), context.encode())


def unseal(data: bytes, context: str) -> str:
    """Raises SealBroken where it was changed or is of another context, KeyUnavailable where another key sealed it."""
    wrapped, rest = _split(data)
    data_key = _unwrapped(settings.LEADLINE_KEY_FILE, wrapped)
    try:
        return AESGCM(data_key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], context.encode()).decode()
    except (InvalidTag, ValueError):
        raise SealBroken("a sealed field does not open", where=context, mend="restore it from a backup") from None


def rewrap_field(data: bytes) -> bytes:
    """The same field, its data key under the instance key of now; unchanged where it is so already."""
    wrapped, rest = _split(data)
    fresh = rewrap(wrapped, key_slot(), _FIELDS)
    return _VERSION + len(fresh).to_bytes(_LENGTH_BYTES, "big") + fresh + rest


def rewrap_fields() -> int:
    """Every field whose name ends in _sealed, of every row of every app; how many were under an older key."""
    changed = 0
    for model in apps.get_models():
        names = [f.name for f in model._meta.get_fields() if f.name.endswith("_sealed")]
        for row in model._default_manager.only("pk", *names).iterator() if names else ():
            held = {name: bytes(value) for name in names if (value := getattr(row, name))}
            fresh = {name: rewrap_field(data) for name, data in held.items()}
            if fresh != held:
                model._default_manager.filter(pk=row.pk).update(**fresh)
                changed += len(fresh)
    return changed


def has_older_keys() -> bool:
    """Whether a key that was replaced still lies beside the present one."""
    path = settings.LEADLINE_KEY_FILE
    return any(path.parent.glob(f"{glob.escape(path.name)}.old-*"))


def _split(data: bytes) -> tuple[bytes, bytes]:
    at = 1 + _LENGTH_BYTES
    end = at + int.from_bytes(data[1:at], "big")
    if data[:1] != _VERSION or len(data) < end + _NONCE_BYTES:
        raise SealBroken("a sealed field has the wrong form", mend="restore it from a backup")
    return data[at:end], data[end:]


@lru_cache(maxsize=4)
def _own_data_key(path: Path) -> tuple[bytes, bytes]:
    data_key = secrets.token_bytes(KEY_BYTES)
    return _slot_at(path).wrap(data_key, _FIELDS), data_key


@lru_cache(maxsize=256)
def _unwrapped(path: Path, wrapped: bytes) -> bytes:
    return _slot_at(path).unwrap(wrapped, _FIELDS)


# --- secrets that outlive a change of the key ------------------------------------------------------------------------


def derive(purpose: str) -> bytes:
    """32 bytes for one purpose, say the HMAC of item keys: made by chance at first use, kept wrapped, never changed."""
    return _secret_for(settings.LEADLINE_KEY_FILE, purpose)


@lru_cache(maxsize=32)
def _secret_for(path: Path, purpose: str) -> bytes:
    kept = apps.get_model("evidence", "WrappedSecret").objects
    context, slot = _SECRETS + purpose.encode(), _slot_at(path)
    row, _ = kept.get_or_create(
        purpose=purpose, defaults={"wrapped": slot.wrap(secrets.token_bytes(KEY_BYTES), context)}
    )
    return slot.unwrap(bytes(row.wrapped), context)


def rewrap_secret(purpose: str, wrapped: bytes) -> bytes:
    return rewrap(wrapped, key_slot(), _SECRETS + purpose.encode())


def forget() -> None:
    """Open everything anew: after keys or folders were changed."""
    for cached in (_vault_at, _slot_at, _signing_key_at, _own_data_key, _unwrapped, _secret_for):
        cached.cache_clear()


def check_recipient(untrusted: str) -> None:
    """Raises CustodyFormatError unless it is an age recipient."""
    try:
        pyrage.x25519.Recipient.from_str(untrusted.strip())
    except pyrage.RecipientError:
        mend = "ask the recipient for the line that begins with age1"
        raise CustodyFormatError("no age recipient", where="recipient", mend=mend) from None


def sync_file(path: Path) -> None:
    """Its bytes are on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
