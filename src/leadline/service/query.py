"""What stands in the address of a look-up: hash, banks, radius, seed. Looks nothing up."""

from __future__ import annotations

from urllib.parse import parse_qsl

import msgspec

from leadline.errors import RequestRefused

_MOST_FIELDS = 300


class Asked(msgspec.Struct, frozen=True):
    """hash=H, banks=A,B or banks=A&banks=B, radius=N, seed=S; as of `POST /v1/match`."""

    hash: str = ""
    banks: tuple[str, ...] | None = None
    radius: int | None = None
    seed: str | None = None


def read_asked(untrusted_query: bytes) -> Asked:
    """RequestRefused for another radius than 0 to 64."""
    found, banks = Asked(), []
    for name, value in _fields(untrusted_query):
        if name == "banks":
            banks += [bank for bank in value.split(",") if bank]
        elif name == "radius" and value:
            found = msgspec.structs.replace(found, radius=_radius(value))
        elif name == "seed":
            found = msgspec.structs.replace(found, seed=value)
        elif name == "hash":
            found = msgspec.structs.replace(found, hash=value)
    return msgspec.structs.replace(found, banks=tuple(sorted(set(banks)))) if banks else found


def _fields(untrusted_query: bytes) -> list[tuple[str, str]]:
    try:
        text = untrusted_query.decode("ascii")
        if "&" not in text and "%" not in text and "+" not in text:  # what is asked thousands of times a second
            name, _, value = text.partition("=")
            return [(name, value)]
        return parse_qsl(text, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise RequestRefused("not a query", status=400, mend="escape what is not ASCII") from None


def _radius(untrusted: str) -> int:
    if not (untrusted.isascii() and untrusted.isdigit() and len(untrusted) < 3 and int(untrusted) <= 64):
        raise RequestRefused("no such radius", where="radius", mend="0 to 64 bits")
    return int(untrusted)
