"""Credentials under the instance key: a data key for each, wrapped by the key's slot. Never makes an instance key."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from leadline.custody.keys import KEY_BYTES, KeySlot
from leadline.errors import SealBroken

_VERSION, _NONCE_BYTES, _LENGTH_BYTES = b"\x01", 12, 2


class SlotSealing:
    """`Sealing` of folder.py by a key slot. version, length of the wrapped data key, that key, nonce, sealed text."""

    def __init__(self, slot: KeySlot) -> None:
        self._slot = slot

    def seal(self, text: str, context: bytes) -> bytes:
        data_key, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(_NONCE_BYTES)
        wrapped = self._slot.wrap(data_key, context)
        head = _VERSION + len(wrapped).to_bytes(_LENGTH_BYTES, "big") + wrapped
        return head + nonce + AESGCM(data_key).encrypt(nonce, text.encode(), context)

    def open(self, sealed: bytes, context: bytes) -> str:
        """SealBroken where it was changed or belongs elsewhere, KeyUnavailable where another key sealed it."""
        at = len(_VERSION) + _LENGTH_BYTES
        end = at + int.from_bytes(sealed[len(_VERSION) : at], "big")
        if sealed[: len(_VERSION)] != _VERSION or len(sealed) < end + _NONCE_BYTES:
            raise SealBroken("a sealed credential has the wrong form", mend="add the source again")
        data_key, rest = self._slot.unwrap(sealed[at:end], context), sealed[end:]
        try:
            return AESGCM(data_key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], context).decode()
        except (InvalidTag, ValueError):
            raise SealBroken("a sealed credential does not open", mend="add the source again") from None
