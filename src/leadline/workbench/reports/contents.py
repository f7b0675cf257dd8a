"""What is sealed into rows of reports, and what each seal is bound to: a value moved to another row does not open."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from leadline.errors import SealBroken
from leadline.exchange.incoming import clean_text
from leadline.workbench.sealing import seal, unseal


def text_context(report_id: Any) -> str:
    return f"report:{report_id}:text"


def facts_context(report_id: Any) -> str:
    return f"report:{report_id}:facts"


def contact_context(report_id: Any) -> str:
    return f"report:{report_id}:contact"


def item_context(item_id: Any) -> str:
    return f"item:{item_id}:value"


def message_context(message_id: Any) -> str:
    return f"message:{message_id}:text"


def delivery_context(delivery_id: Any) -> str:
    return f"delivery:{delivery_id}:data"


def seal_value(text: str, context: str) -> bytes:
    return seal(clean_text(text), context)


def open_text(sealed: bytes | memoryview | None, context: str) -> str:
    """ "" where it was erased or never there."""
    return "" if sealed is None else unseal(bytes(sealed), context)


def open_json(sealed: bytes | memoryview | None, context: str) -> Any:
    """None where it was erased or never there."""
    return None if sealed is None else json.loads(unseal(bytes(sealed), context))


# --- contacts: under a key of their own, which is destroyed at their term ---------------------------------------------

_KEY_BYTES, _NONCE_BYTES = 32, 12


def new_contact_key() -> bytes:
    return secrets.token_bytes(_KEY_BYTES)


def seal_contact_key(key: bytes, report_id: Any) -> bytes:
    return seal(base64.b64encode(key).decode("ascii"), f"report:{report_id}:contact-key")


def open_contact_key(sealed: bytes | memoryview, report_id: Any) -> bytes:
    return base64.b64decode(unseal(bytes(sealed), f"report:{report_id}:contact-key"))


def erasure_name(report_id: Any) -> str:
    """How the list of erasures, which holds names of 64 digits, names a report's contact. Without the report's number
    nobody can tell it from the hash of a file."""
    return hashlib.sha256(f"leadline:report:{report_id}:contact".encode()).hexdigest()


def seal_private(text: str, key: bytes, context: str) -> bytes:
    """Under the contact's key, and that under the instance's: gone when either is."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    inner = nonce + AESGCM(key).encrypt(nonce, clean_text(text).encode(), context.encode())
    return seal(base64.b64encode(inner).decode("ascii"), context)


def open_private(sealed: bytes | memoryview | None, key: bytes | None, context: str) -> str:
    """ "" where it was erased or never there."""
    if sealed is None or key is None:
        return ""
    inner = base64.b64decode(unseal(bytes(sealed), context))
    try:
        return AESGCM(key).decrypt(inner[:_NONCE_BYTES], inner[_NONCE_BYTES:], context.encode()).decode()
    except (InvalidTag, ValueError):
        raise SealBroken("a sealed contact does not open", where=context, mend="restore it from a backup") from None
