"""How a partner is reached: its source's settings, credentials and connector. Sends nothing, keeps no credential."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from leadline.custody.seal import seal_text, unseal_text
from leadline.errors import ConfigError
from leadline.exchange.connector import Act, Connector
from leadline.exchange.connectors import find_connector
from leadline.match.bank import Bank
from leadline.subscriptions.folder import Subscription, Subscriptions
from leadline.subscriptions.pulling import connected
from leadline.workbench import sealing

_NOT_AN_ADDRESS = frozenset({"timeout_s", "ca_file"})  # they change how long we wait, not whom we reach


class _OfficeSealing:
    """By the office's key, as `leadline exchange` seals credentials."""

    def seal(self, text: str, context: bytes) -> bytes:
        return seal_text(text, sealing.key_slot(), context)

    def open(self, sealed: bytes, context: bytes) -> str:
        return unseal_text(sealed, sealing.key_slot(), context)


def subscriptions() -> Subscriptions:
    """Of this office, as `leadline exchange` keeps them."""
    return Subscriptions(settings.LEADLINE_HOME / "exchanges", settings.LEADLINE_ENVIRONMENT, _OfficeSealing)


def reach_of(source: str) -> str:
    """A digest of connector and address. ConfigError where there is no such source."""
    found = subscriptions().get(source)
    told = {name: value for name, value in found.options.items() if name not in _NOT_AN_ADDRESS}
    text = json.dumps([found.connector, told], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def acts_of(source: str) -> frozenset[Act]:
    """What can be sent there. ConfigError where there is no such source."""
    connector = subscriptions().get(source).connector
    with _installed(source):
        return find_connector(connector).act_names


@contextmanager
def open_connector(source: str) -> Iterator[Connector]:
    """With its credentials, closed afterwards. ConfigError, KeyUnavailable, SealBroken; none tells a credential."""
    with _installed(source), connected(subscriptions(), source) as connector:
        yield connector


@contextmanager
def _installed(source: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError:
        mend = "pip install 'leadline[exchange]'"
        raise ConfigError("what this source needs is not installed", where=source, mend=mend) from None


def sources() -> list[Subscription]:
    """All that can be read; one that cannot be is on the page of sources."""
    found, known = [], subscriptions()
    for name in known.names():
        try:
            found.append(known.get(name))
        except ConfigError:
            continue
    return found


def holder_of(bank: Bank) -> str:
    """The source whose entries this bank holds; "" where it is the office's own."""
    place = bank.path.resolve()
    return next((one.name for one in sources() if one.bank and Path(one.bank).resolve() == place), "")
