"""The table of connectors: name, module, class. A connector is imported when it is used, not before."""

from __future__ import annotations

from importlib import import_module

from leadline.errors import ConfigError
from leadline.exchange.connector import Connector

CONNECTORS: dict[str, str] = {
    "ncmec": "ncmec:NcmecConnector",
    "stopncii": "stopncii:StopNcii",
    "arachnid": "arachnid:ArachnidShield",
    "threatexchange": "threatexchange:ThreatExchange",
    "leadline-feed": "feed.connector:FeedConnector",
    "misp": "misp:Misp",
    "taxii": "taxii:Taxii",
    "list-file": "list_file:ListFile",
    "sample": "sample:Sample",
}


def find_connector(name: str) -> type[Connector]:
    """ConfigError for a name that is none."""
    if name not in CONNECTORS:
        raise ConfigError("no such connector", where=name[:100], mend=f"use one of {', '.join(CONNECTORS)}")
    module, _, of_class = CONNECTORS[name].partition(":")
    found: type[Connector] = getattr(import_module(f"leadline.exchange.{module}"), of_class)
    return found
