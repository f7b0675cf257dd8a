"""The table of stand-ins: name, module, class, and how a source is set up that speaks to it. Imported when used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module

from leadline.exchange.mock.base import PASSWORD, USER, Mock


@dataclass(frozen=True, slots=True)
class Server:
    """place: module:Class. connector, options and secrets: of `leadline exchange add`; {address} is the stand-in's."""

    place: str
    connector: str
    options: Mapping[str, str] = field(default_factory=lambda: {"address": "{address}"})
    secrets: Mapping[str, str] = field(default_factory=dict)


SERVERS: dict[str, Server] = {
    "ncmec": Server("ncmec:NcmecMock", "ncmec", secrets={"user": USER, "password": PASSWORD}),
}


def make_mock(name: str, entries: int) -> Mock:
    """KeyError for a name that is none."""
    module, _, of_class = SERVERS[name].place.partition(":")
    made: Mock = getattr(import_module(f"leadline.exchange.mock.{module}"), of_class)(entries)
    return made
