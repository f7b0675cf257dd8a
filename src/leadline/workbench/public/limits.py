"""How often one visitor, and all together, may report or try a passphrase. In this process's memory only.

A visitor is an HMAC of the address under a key made by chance each day and never written down: at midnight UTC, or at
a restart, the key and all counts are gone, and what was there cannot be led back to an address.
Visitors who come through this machine itself (an onion service) share one address; for them only a limit for all of
them holds, and Tor's own proof of work stands before it (docs/onion.md). It is a budget of its own: who floods the one
way in closes it, and the other one stays open.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_DAY_S = 86_400
_WITH_ADDRESS, _WITHOUT = b"with", b"without"  # no HMAC is so short


@dataclass(frozen=True)
class Limit:
    """So many within so many seconds, for one visitor, and for all who come the same way."""

    name: str
    of_one: int
    of_all: int
    window_s: int


REPORTS = Limit("reports", of_one=12, of_all=600, window_s=3600)
APPEALS = Limit("appeals", of_one=6, of_all=200, window_s=3600)
READINGS = Limit("readings", of_one=10, of_all=300, window_s=600)  # each costs an Argon2
MESSAGES = Limit("messages", of_one=12, of_all=600, window_s=3600)


def visitor_address(untrusted_peer: str, untrusted_forwarded: str, proxy: str) -> str:
    """The address that counts, or "" where it says nothing: this machine itself, or none at all.

    Only the one named proxy may speak for others, and of what it says only the last entry, which it wrote itself.
    An IPv6 visitor is a /64: whoever has one address of it has all.
    """
    text = untrusted_peer
    if proxy and untrusted_peer == proxy:
        text = untrusted_forwarded.rpartition(",")[2].strip()
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        else:
            network = ipaddress.ip_network((address, 64), strict=False)
            return "" if address.is_loopback else str(network)
    return "" if address.is_loopback else str(address)


class Counter:
    """Counts of the window that runs; nothing outlives the day."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now, self._lock = now, threading.Lock()
        self._day, self._key = -1, b""
        self._counts: dict[tuple[str, int, bytes], int] = {}

    def take(self, limit: Limit, address: str) -> bool:
        """Count one; False when it is one too many. `address` as from `visitor_address`; it is not kept."""
        with self._lock:
            now = int(self._now())
            self._turn(now // _DAY_S)
            window = now // limit.window_s
            self._drop_older(limit, window)
            return self._count(limit, window, address)

    def _count(self, limit: Limit, window: int, address: str) -> bool:
        """A visitor beyond the own limit does not eat up what is there for all."""
        everyone = (limit.name, window, _WITH_ADDRESS if address else _WITHOUT)
        own = (limit.name, window, hmac.new(self._key, address.encode(), hashlib.sha256).digest())
        if (address and self._counts.get(own, 0) >= limit.of_one) or self._counts.get(everyone, 0) >= limit.of_all:
            return False
        if address:
            self._counts[own] = self._counts.get(own, 0) + 1
        self._counts[everyone] = self._counts.get(everyone, 0) + 1
        return True

    def _turn(self, day: int) -> None:
        if day != self._day:
            self._day, self._key = day, secrets.token_bytes(32)
            self._counts.clear()

    def _drop_older(self, limit: Limit, window: int) -> None:
        if not any((limit.name, window, way) in self._counts for way in (_WITH_ADDRESS, _WITHOUT)):
            self._counts = {key: n for key, n in self._counts.items() if key[0] != limit.name}
