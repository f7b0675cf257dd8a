"""The match service's Python client. Imports errors and domain only; opens no bank and decodes nothing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leadline.client.aio import AsyncClient
    from leadline.client.plans import Patience
    from leadline.client.records import (
        Added,
        Answer,
        BankFacts,
        Change,
        Hash,
        Hashed,
        Health,
        Match,
        NewEntry,
        Removed,
        Scanned,
    )
    from leadline.client.sync import Client

_RECORDS = (
    "Added", "Answer", "BankFacts", "Change", "Hash", "Hashed", "Health", "Match", "NewEntry", "Removed", "Scanned",
)  # fmt: skip
_PLACES = {"AsyncClient": "aio", "Client": "sync", "Patience": "plans"} | dict.fromkeys(_RECORDS, "records")
__all__ = [
    "Added", "Answer", "AsyncClient", "BankFacts", "Change", "Client", "Hash", "Hashed", "Health", "Match", "NewEntry",
    "Patience", "Removed", "Scanned",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Loaded when asked for: the service reads its packed form from here and needs no HTTP client for that."""
    if name not in _PLACES:
        raise AttributeError(f"leadline.client has no {name}")
    return getattr(import_module(f"leadline.client.{_PLACES[name]}"), name)
