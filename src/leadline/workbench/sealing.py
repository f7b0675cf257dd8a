"""The office's key and vault, opened once a process from its settings. Never makes a key; never hands one out.

A key that is changed while the process runs is taken up at its next use: nothing is sealed under the one before.
"""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyrage
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.apps import apps
from django.conf import settings
from django.db import models

from leadline.custody.keys import KEY_BYTES, InstanceKey, SigningKey, WatchedKeySlot, forget_older_keys, rewrap
from leadline.custody.seal import rewrap_text, wrapped_key_of
from leadline.custody.slots import GuardedSlot, open_slot
from leadline.custody.upkeep import count_older, remove_unnamed
from leadline.custody.vault import Vault
from leadline.custody.vault import open_vault as open_vault_at
from leadline.errors import CustodyFormatError, KeyUnavailable, SealBroken
from leadline.subscriptions.folder import Sealing, Subscriptions

_VERSION, _NONCE_BYTES, _LENGTH_BYTES = b"\x01", 12, 2
_FIELDS = b"leadline/fields"  # context of the data keys that fields are sealed with
_SECRETS = b"leadline/secret/"
_ASK_SERVICE_EVERY_S = 10.0


class SealedField(models.BinaryField):  # type: ignore[type-arg]
    """A column of what `seal` gave. By this class a change of the key finds every such column."""

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _, arguments, options = super().deconstruct()
        return name, "django.db.models.BinaryField", arguments, options  # to the database it is nothing else


Slot = WatchedKeySlot | GuardedSlot


def key_slot() -> Slot:
    """A file, or the service that LEADLINE_KEY_SLOT names. KeyUnavailable where it is absent or others can read it."""
    return _slot_of(settings.LEADLINE_KEY_SLOT, settings.LEADLINE_KEY_FILE)


@lru_cache(maxsize=4)
def _slot_of(service: str, path: Path) -> Slot:
    if not service:
        return WatchedKeySlot(path)
    name, _, argument = service.partition(":")
    return open_slot(name, argument)


def signing_key() -> SigningKey:
    return _signing_key_at(settings.LEADLINE_SIGNING_KEY_FILE)


@lru_cache(maxsize=4)
def _signing_key_at(path: Path) -> SigningKey:
    return SigningKey.load(path)


def is_key_there() -> bool:
    """Asked of the disk each time: a form closes the moment the key is gone. A service is asked every ten seconds."""
    try:
        if settings.LEADLINE_KEY_SLOT:
            _probe(settings.LEADLINE_KEY_SLOT, int(time.monotonic() / _ASK_SERVICE_EVERY_S))
        else:
            InstanceKey.load(settings.LEADLINE_KEY_FILE)
    except (KeyUnavailable, SealBroken):
        return False
    return True


@lru_cache(maxsize=4)
def _probe(service: str, moment: int) -> None:
    """An answer that is a fault is not remembered: lru_cache keeps none."""
    slot = key_slot()
    slot.unwrap(slot.wrap(secrets.token_bytes(KEY_BYTES), _FIELDS), _FIELDS)


# --- the vault -------------------------------------------------------------------------------------------------------


def open_vault() -> Vault:
    """The office's vault. What a stop left half done is finished, and erasures are replayed, before it answers."""
    return _vault_at(settings.LEADLINE_VAULT, key_slot(), settings.LEADLINE_ERASURES)


@lru_cache(maxsize=4)
def _vault_at(place: Path | str, slot: Slot, erasures: Path) -> Vault:
    erasures.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return open_vault_at(place, slot, erasures)


def replay_erasures() -> int:
    """All of the list anew; how many files of it were there still."""
    return open_vault().replay_erasures(everything=True)


def is_erased(sha256: str) -> bool:
    return open_vault().erasures.is_erased(sha256)


def is_held(sha256: str) -> bool:
    return open_vault().erasures.is_held(sha256)


def read_asset(sha256: str) -> Iterator[bytes]:
    return open_vault().open(sha256)


def sweep(is_named: Callable[[str], bool], *, older_than_s: float) -> int:
    """Destroy sealed files that no row names; how many. A stop between seal and row left them, unacknowledged."""
    return len(remove_unnamed(open_vault(), is_named, older_than_s=older_than_s))


# --- fields of rows --------------------------------------------------------------------------------------------------


def seal(text: str, context: str) -> bytes:
    """A field of a row, in AES-256-GCM. `context`, say report-text:ID, ties it to its row: elsewhere it does not open.

    version, length of the wrapped data key, that key, nonce, sealed text. One data key a process and instance key: a
    key management service is asked once, not for every field.
    """
    slot = key_slot()
    wrapped, data_key = _own_data_key(slot, slot.key_id)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    head = _VERSION + len(wrapped).to_bytes(_LENGTH_BYTES, "big") + wrapped
    return head + nonce + AESGCM(data_key).encrypt(nonce, text.encode(), context.encode())


def unseal(data: bytes, context: str) -> str:
    """Raises SealBroken where it was changed or is of another context, KeyUnavailable where another key sealed it."""
    wrapped, rest = _split(data)
    data_key = _unwrapped(key_slot(), wrapped)
    try:
        return AESGCM(data_key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], context.encode()).decode()
    except (InvalidTag, ValueError):
        raise SealBroken("a sealed field does not open", where=context, mend="restore it from a backup") from None


def rewrap_field(data: bytes) -> bytes:
    """The same field, its data key under the instance key of now; unchanged where it is so already."""
    wrapped, rest = _split(data)
    fresh = rewrap(wrapped, key_slot(), _FIELDS)
    return _VERSION + len(fresh).to_bytes(_LENGTH_BYTES, "big") + fresh + rest


def rewrap_fields(damaged: list[str]) -> int:
    """Every sealed field of every row of every app; how many were under an older key. `damaged` gets what is neither.

    A field that was changed or emptied while this went on is left as it is then.
    """
    changed = 0
    for model, name, pk, held in _sealed_fields():
        try:
            fresh = rewrap_field(held)
        except (SealBroken, KeyUnavailable):
            damaged.append(f"{model._meta.label_lower}.{name}:{pk}")
            continue
        if fresh != held:
            changed += model._default_manager.filter(pk=pk, **{name: held}).update(**{name: fresh})
    return changed


def _sealed_fields() -> Iterator[tuple[type[models.Model], str, object, bytes]]:
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, SealedField):
                rows = model._default_manager.filter(**{f"{field.name}__isnull": False}).order_by()
                for pk, value in rows.values_list("pk", field.name).iterator():
                    if value:
                        yield model, field.name, pk, bytes(value)


def rewrap_sources(damaged: list[str]) -> int:
    """Every sealed credential of a source of lists; how many were under an older key. `damaged` gets the others."""
    slot = key_slot()
    return _sources().reseal(lambda sealed, context: rewrap_text(sealed, slot, context), damaged)


def _sources() -> Subscriptions:
    return Subscriptions(settings.LEADLINE_HOME / "exchanges", {}, _no_sealing)


def _no_sealing() -> Sealing:
    raise NotImplementedError("nothing is sealed or opened while keys are changed")


def has_older_keys() -> bool:
    """Whether a key that was replaced still lies beside the present one."""
    path = settings.LEADLINE_KEY_FILE
    return not settings.LEADLINE_KEY_SLOT and any(path.parent.glob(f"{glob.escape(path.name)}.old-*"))


def count_under_older_keys() -> int:
    """How many data keys of files, fields and secrets only a key of before opens. Damaged ones nothing opens."""
    slot, older = key_slot(), count_older(open_vault())
    for wrapped in _wrapped_in_rows():
        with contextlib.suppress(SealBroken):
            older += not slot.is_current(wrapped)
    return older


def _wrapped_in_rows() -> Iterator[bytes]:
    for _, _, _, held in _sealed_fields():
        with contextlib.suppress(SealBroken):
            yield _split(held)[0]
    for wrapped in apps.get_model("evidence", "WrappedSecret").objects.values_list("wrapped", flat=True):
        yield bytes(wrapped)
    for sealed in _sources().sealed():
        with contextlib.suppress(SealBroken):
            yield wrapped_key_of(sealed)


def forget_older() -> list[str]:
    """Remove the keys of before; their ids. The office must stand still, and `count_under_older_keys` must say 0."""
    forgotten = forget_older_keys(settings.LEADLINE_KEY_FILE)
    forget()
    return forgotten


def _split(data: bytes) -> tuple[bytes, bytes]:
    at = 1 + _LENGTH_BYTES
    end = at + int.from_bytes(data[1:at], "big")
    if data[:1] != _VERSION or len(data) < end + _NONCE_BYTES:
        raise SealBroken("a sealed field has the wrong form", mend="restore it from a backup")
    return data[at:end], data[end:]


@lru_cache(maxsize=4)
def _own_data_key(slot: Slot, key_id: str) -> tuple[bytes, bytes]:
    data_key = secrets.token_bytes(KEY_BYTES)
    return slot.wrap(data_key, _FIELDS), data_key


@lru_cache(maxsize=256)
def _unwrapped(slot: Slot, wrapped: bytes) -> bytes:
    return slot.unwrap(wrapped, _FIELDS)


# --- secrets that outlive a change of the key ------------------------------------------------------------------------


def derive(purpose: str) -> bytes:
    """32 bytes for one purpose, say the HMAC of item keys: made by chance at first use, kept wrapped, never changed."""
    return _secret_for(key_slot(), purpose)


@lru_cache(maxsize=32)
def _secret_for(slot: Slot, purpose: str) -> bytes:
    kept = apps.get_model("evidence", "WrappedSecret").objects
    context = _SECRETS + purpose.encode()
    row, _ = kept.get_or_create(
        purpose=purpose, defaults={"wrapped": slot.wrap(secrets.token_bytes(KEY_BYTES), context)}
    )
    return slot.unwrap(bytes(row.wrapped), context)


def rewrap_secret(purpose: str, wrapped: bytes) -> bytes:
    return rewrap(wrapped, key_slot(), _SECRETS + purpose.encode())


def forget() -> None:
    """Open everything anew: after keys or folders were changed."""
    for cached in (_vault_at, _slot_of, _probe, _signing_key_at, _own_data_key, _unwrapped, _secret_for):
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
