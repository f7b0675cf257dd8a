"""The closed lists of words that the data of this room is written in. Does nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}$")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]  # a name, never room for a description of content
Text = Annotated[str, msgspec.Meta(max_length=1000)]
Link = Annotated[str, msgspec.Meta(pattern=r"^https://[^\s]{3,300}$")]


class Answer(StrEnum):
    """`partial`: only in the circumstances that the note names. `unknown` is never to be read as `no`."""

    YES = "yes"
    NO = "no"
    PARTIAL = "partial"
    UNKNOWN = "unknown"


class Binds(StrEnum):
    """Whom a cell binds. `state`: a treaty or directive that binds states only, so never an operator."""

    PROVIDER = "provider"
    HOTLINE = "hotline"
    POLICE = "police"
    ANYONE = "anyone"
    STATE = "state"


class Role(StrEnum):
    """What an operator declares itself to be."""

    PROVIDER = "provider"
    HOTLINE = "hotline"
    POLICE = "police"


class Involved(StrEnum):
    """Why a country matters to an item."""

    HOST = "host"
    REPORTER = "reporter"
    SUSPECT = "suspect"
    OWN = "own"


class Confidence(StrEnum):
    HIGH = "H"
    MEDIUM = "M"
    LOW = "L"


class Verified(StrEnum):
    """How far somebody checked it: the text itself, a secondary source, nobody here, or looked for in vain."""

    VERIFIED = "verified"
    SEARCH = "search"
    FROM_MEMORY = "from-memory"
    UNVERIFIED = "unverified"


class Unit(StrEnum):
    HOURS = "hours"
    DAYS = "days"
    MONTHS = "months"
    YEARS = "years"


class Event(StrEnum):
    """What a published period counts from; `unknown` where no source read says so."""

    RECEIVED = "received"  # the operator learned of it, or was told
    REPORT_SENT = "report-sent"  # the operator's own report or notification was made
    UNKNOWN = "unknown"
