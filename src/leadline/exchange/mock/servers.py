"""The table of stand-ins: name, module, class, and how a source is set up that speaks to it. Imported when used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module

from leadline.exchange.mock import arachnid, stopncii, taxii, threatexchange
from leadline.exchange.mock.base import PASSWORD, TOKEN, USER, Mock


@dataclass(frozen=True, slots=True)
class Server:
    """place: module:Class. connector, options and secrets: of `leadline exchange add`; {address} is the stand-in's.

    example  of what a look-up is asked about; empty where it gives a list
    """

    place: str
    connector: str
    options: Mapping[str, str] = field(default_factory=lambda: {"address": "{address}"})
    secrets: Mapping[str, str] = field(default_factory=dict)
    example: str = ""


SERVERS: dict[str, Server] = {
    "ncmec": Server("ncmec:NcmecMock", "ncmec", secrets={"user": USER, "password": PASSWORD}),
    "stopncii": Server(
        "stopncii:StopNciiMock",
        "stopncii",
        {"address": "{address}/v1"},
        {
            "subscription_key": TOKEN,
            "fetch_key": stopncii.FETCH_KEY,
            "submit_key": stopncii.SUBMIT_KEY,
            "feedback_key": stopncii.FEEDBACK_KEY,
        },
    ),
    "arachnid": Server(
        "arachnid:ArachnidMock", "arachnid", secrets={"user": USER, "password": PASSWORD}, example=arachnid.EXAMPLE
    ),
    "threatexchange": Server(
        "threatexchange:ThreatExchangeMock",
        "threatexchange",
        {"address": "{address}/v21.0", "privacy_group": threatexchange.GROUP},
        {"token": threatexchange.TOKEN},
    ),
    "misp": Server("misp:MispMock", "misp", secrets={"key": TOKEN}),
    "taxii": Server(
        "taxii:TaxiiMock",
        "taxii",
        {"address": "{address}/api", "collection": taxii.COLLECTION},
        {"user": USER, "password": PASSWORD},
    ),
}


def make_mock(name: str, entries: int, **more: bool) -> Mock:
    """KeyError for a name that is none. more: what only this one takes."""
    module, _, of_class = SERVERS[name].place.partition(":")
    made: Mock = getattr(import_module(f"leadline.exchange.mock.{module}"), of_class)(entries, **more)
    return made
