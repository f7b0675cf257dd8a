"""Signed, stateless tokens in place of cookies: a form's token, and a reader's ticket. Keeps nothing on disk.

A form token is random and signed with its time. It stops blind posts from elsewhere and by simple programs, and the
receipt grows from it, so sending the same form twice makes one report. A ticket is the reader's passphrase,
encrypted for half an hour, so that an answer needs no second typing and the words are in no page.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from enum import StrEnum

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.core import signing

FORM_LASTS_S = 12 * 3600
FORM_AT_LEAST_S = 2  # nobody fills in a form faster; who is stopped by it keeps the text and sends again
TICKET_LASTS_S = 30 * 60
_SALT = "leadline.workbench.public.form"
_MAX_SPENT = 50_000


class FormToken(StrEnum):
    """What a form token that came back is worth."""

    GOOD = "good"
    TOO_SOON = "too-soon"
    EXPIRED = "expired"
    FOREIGN = "foreign"


def make_form_token(purpose: str) -> str:
    return signing.dumps(secrets.token_hex(16), salt=f"{_SALT}.{purpose}")


def check_form_token(untrusted_token: str, purpose: str) -> tuple[FormToken, str]:
    """What it is worth, and its random part ("" where it is not ours or too old)."""
    salt = f"{_SALT}.{purpose}"
    try:
        chance = signing.loads(untrusted_token, salt=salt, max_age=FORM_LASTS_S)
    except signing.SignatureExpired:
        return FormToken.EXPIRED, ""
    except signing.BadSignature:
        return FormToken.FOREIGN, ""
    try:
        signing.loads(untrusted_token, salt=salt, max_age=FORM_AT_LEAST_S)
    except signing.SignatureExpired:
        return FormToken.GOOD, chance
    return FormToken.TOO_SOON, chance


def receipt_seed(chance: str, untrusted_content: str) -> bytes:
    """The secret from which one report's passphrase and idempotency key come.

    The content goes in, so a form that was changed and sent again is a report of its own.
    """
    return _mac("receipt", chance.encode() + b"\0" + hashlib.sha256(untrusted_content.encode()).digest())


def idempotency_key(seed: bytes) -> str:
    """Stored with the report. Tells nothing of the seed, so nothing of the words."""
    return hmac.new(seed, b"idempotency", hashlib.sha256).hexdigest()


def make_ticket(passphrase: str) -> str:
    return Fernet(_ticket_key()).encrypt(passphrase.encode()).decode()


def open_ticket(untrusted_ticket: str) -> str | None:
    """The passphrase, or None for a ticket that is not ours or older than half an hour."""
    try:
        return Fernet(_ticket_key()).decrypt(untrusted_ticket.encode(), ttl=TICKET_LASTS_S).decode()
    except (InvalidToken, UnicodeError, ValueError):
        return None


class Spent:
    """Which form tokens were used already, in this one process's memory: a message sent twice is kept once."""

    def __init__(self, most: int = _MAX_SPENT) -> None:
        self._most, self._seen, self._lock = most, OrderedDict[str, float](), threading.Lock()

    def spend(self, chance: str) -> bool:
        """True the first time."""
        with self._lock:
            if chance in self._seen:
                return False
            self._seen[chance] = time.monotonic()
            while len(self._seen) > self._most:
                self._seen.popitem(last=False)
            return True

    def take_back(self, chance: str) -> None:
        """What it was spent on did not happen."""
        with self._lock:
            self._seen.pop(chance, None)


def _mac(label: str, data: bytes) -> bytes:
    key = hmac.new(settings.SECRET_KEY.encode(), f"{_SALT}.{label}".encode(), hashlib.sha256).digest()
    return hmac.new(key, data, hashlib.sha256).digest()


def _ticket_key() -> bytes:
    return base64.urlsafe_b64encode(_mac("ticket", b"fernet"))
