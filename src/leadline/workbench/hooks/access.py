"""Reads of webhooks, and the scheme that signs them (Standard Webhooks 1.0.0, standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from leadline.workbench import sealing
from leadline.workbench.hooks.models import OPEN_KINDS, Delivery, Endpoint

PREFIX = "whsec_"
_SALT = b"leadline.workbench.hooks:1:"
_OLD_SECRET_LASTS = timedelta(days=1)


def endpoints() -> QuerySet[Endpoint]:
    return Endpoint.objects.order_by("-made_at", "-id")


def find_endpoint(endpoint_id: Any) -> Endpoint | None:
    return Endpoint.objects.filter(pk=endpoint_id).first()


def deliveries_of(endpoint: Endpoint) -> QuerySet[Delivery]:
    return Delivery.objects.filter(endpoint=endpoint).order_by("-id")


def is_event(text: str) -> bool:
    """An act of the journal that may leave, or its first words and .* (`report.received`, `report.*`)."""
    first, dot, rest = text.partition(".")
    return bool(dot and first in OPEN_KINDS and (rest == "*" or rest.replace("-", "").replace(".", "").isalpha()))


def secret_of(endpoint: Endpoint, generation: int | None = None) -> str:
    """Derived from a secret that is kept wrapped under the instance key, so that it outlives a restore."""
    name = f"{endpoint.pk}:{endpoint.generation if generation is None else generation}"
    digest = hmac.digest(sealing.derive("webhooks"), _SALT + name.encode(), hashlib.sha256)
    return PREFIX + base64.b64encode(digest).decode()


def secrets_of(endpoint: Endpoint) -> list[str]:
    """The live secret, and for a day after it was renewed the one before."""
    found = [secret_of(endpoint)]
    if endpoint.generation > 1 and timezone.now() - endpoint.renewed_at < _OLD_SECRET_LASTS:
        found.append(secret_of(endpoint, endpoint.generation - 1))
    return found


def sign(secret: str, event: str, timestamp: int, body: str) -> str:
    """One signature: v1, and the base64 of HMAC-SHA256 over ID.TIMESTAMP.BODY."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, f"{event}.{timestamp}.{body}".encode(), "sha256")).decode()
