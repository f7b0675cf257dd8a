"""Project Arachnid Shield as a stand-in: it knows the made-up hashes with even numbers. It keeps no file it is sent."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, ClassVar

from leadline.exchange.mock.base import Asked, Mock, Reply, is_basic, json_reply
from leadline.exchange.mock.timeline import digits

LABELS = ("csam", "harmful-abusive-material")  # the service's own words
_LABELLED_EACH = 2  # hashes with such numbers are known
EXAMPLE = f"pdq:{digits(1, 0, 64)}"  # one of them


class ArachnidMock(Mock):
    """entries: how many hashes it knows."""

    name: ClassVar[str] = "arachnid"

    def __init__(self, entries: int = 100, seed: int = 1) -> None:
        super().__init__(entries, seed)
        self._seed = seed
        self.labels: dict[bytes, str] = {}  # of hashes that a test put there
        self.urls: dict[str, str] = {}
        self.media: dict[str, str] = {}  # by SHA-256

    def hash(self, number: int) -> bytes:
        """Made up; an even number below twice `entries` is known."""
        return bytes.fromhex(digits(self._seed, number, 64))

    def answer(self, asked: Asked) -> Reply:
        if not is_basic(asked):
            return json_reply({"detail": "Please supply your API username and password."}, 401)
        if asked.method != "POST":
            return json_reply({"detail": "Method Not Allowed"}, 405)
        if asked.path == "/v1/media/":
            digest = hashlib.sha256(asked.body).hexdigest()
            return json_reply(self._scanned(self.media.get(digest), digest, len(asked.body)))
        told = json.loads(asked.body)
        if asked.path == "/v1/url/":
            return json_reply(self._scanned(self.urls.get(told["url"]), "0" * 64, 0))
        if asked.path == "/v1/pdq/":
            return self._hashes(told["hashes"])
        return json_reply({"detail": "Not Found"}, 404)

    def _hashes(self, asked: list[str]) -> Reply:
        try:
            hashes = {text: base64.b64decode(text, validate=True) for text in asked}
        except ValueError:
            return json_reply({"detail": "Not base64."}, 400)
        if any(len(value) != 32 for value in hashes.values()):
            return json_reply({"detail": "Not a PDQ hash."}, 400)
        return json_reply({"scanned_hashes": {text: self._match(value) for text, value in hashes.items()}})

    def _label(self, value: bytes) -> str | None:
        number = int.from_bytes(value[-4:], "big")
        if number % _LABELLED_EACH == 0 and number < _LABELLED_EACH * self.entries and self.hash(number) == value:
            return LABELS[number // _LABELLED_EACH % len(LABELS)]
        return self.labels.get(value)

    def _match(self, value: bytes) -> dict[str, Any]:
        label = self._label(value)
        near = self._near(label, hashlib.sha256(value).hexdigest()) if label else None
        return {
            "classification": label or "no-known-match", "match_type": "near" if label else None,
            "near_match_details": near,
        }  # fmt: skip

    def _near(self, label: str, digest: str) -> dict[str, Any]:
        sha1 = base64.b32encode(hashlib.sha1(digest.encode(), usedforsecurity=False).digest()).decode()
        return {"timestamp": 0.0, "sha1_base32": sha1, "sha256_hex": digest.upper(), "classification": label}

    def _scanned(self, label: str | None, digest: str, size: int) -> dict[str, Any]:
        return {
            "size_bytes": size, "sha1_base32": "A" * 32, "sha256_hex": digest.upper(),
            "classification": label or "no-known-match", "match_type": "exact" if label else None,
            "near_match_details": [],
        }  # fmt: skip
