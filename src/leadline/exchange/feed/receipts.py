"""Receipts: a subscriber's signed word that it applied a list up to a state, withdrawals included. Stores nothing.

The word is worth something only with its proof: each step of a list carries, inside its encrypted contents, bytes that
are hashed onto the proof of the step before, so that nobody has the proof of a state who did not open what led to it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import rfc8785

from leadline.errors import InputError
from leadline.exchange.feed.keys import Agreement, SubscriberKey

FORMAT, VERSION = "leadline-receipt", 1
MAX_BYTES = 4096
PROOF_BYTES = 32


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """applied_at: seconds since 1970 by the subscriber's clock."""

    format: str
    version: int
    feed: str
    subscriber: str
    serial: int
    proof: str
    applied_at: int


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """signature: Ed25519 over the RFC 8785 bytes of `signed`, hexadecimal."""

    signed: Statement
    signature: str


def next_proof(proof: bytes, step: bytes) -> bytes:
    return hashlib.sha256(proof + step).digest()


def make_receipt(key: SubscriberKey, *, feed: str, serial: int, proof: str, applied_at: int) -> bytes:
    statement = Statement(
        format=FORMAT, version=VERSION, feed=feed, subscriber=key.id, serial=serial, proof=proof, applied_at=applied_at
    )
    return msgspec.json.encode(Receipt(statement, key.sign(_canonical(statement)).hex()))


def receipt_name(subscriber: str, serial: int) -> str:
    """Of its file, where receipts are left in a folder."""
    return f"{subscriber}.{serial}.json"


def read_receipt(untrusted: bytes) -> Statement:
    """What it says, not yet believed. InputError where it is none."""
    return _read(untrusted).signed


def check_receipt(untrusted: bytes, agreement: Agreement, *, feed: str, proof: bytes) -> Statement:
    """InputError where it is not signed by this subscriber, of another feed, or without the proof of its state."""
    receipt = _read(untrusted)
    told = receipt.signed
    try:
        signature = bytes.fromhex(receipt.signature)
    except ValueError:
        signature = b""
    if told.subscriber != agreement.id or not agreement.is_signature(signature, _canonical(told)):
        raise _refuse("a receipt that its subscriber did not sign", told)
    if told.feed != feed:
        raise _refuse("a receipt for another feed", told)
    if told.proof != proof.hex():
        raise _refuse("a receipt without the proof of its state", told)
    return told


def _canonical(statement: Statement) -> bytes:
    plain: dict[str, Any] = msgspec.to_builtins(statement)
    return rfc8785.dumps(plain)


def _read(untrusted: bytes) -> Receipt:
    try:
        if len(untrusted) > MAX_BYTES:
            raise ValueError
        receipt = msgspec.json.decode(untrusted, type=Receipt)
        told = receipt.signed
        if (told.format, told.version) != (FORMAT, VERSION) or not 0 < told.serial < 10**15 or told.applied_at < 0:
            raise ValueError
        _canonical(told)
    except (msgspec.DecodeError, ValueError):
        raise InputError("not a receipt", mend="send what `leadline exchange pull` made", code="receipt") from None
    return receipt


def _refuse(what: str, told: Statement) -> InputError:
    mend = "ask the subscriber; it is not counted"
    return InputError(what, where=f"{told.subscriber[:32]} {told.serial}", mend=mend, code="receipt")
