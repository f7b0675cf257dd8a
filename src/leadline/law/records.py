"""What question schemes and label schemes share: frozen rows, codes, and the order of a scale. Reads no file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec

from leadline.law.terms import Id, Name

Rank = Annotated[int, msgspec.Meta(ge=1, le=100)]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of a file: frozen, and a field it does not know is an error (a dataclass lets a misspelt one pass)."""


class Code(Record, frozen=True, kw_only=True):
    """One official code and its official name. `severity`: 1 is the least grave; only where the scheme is ordered."""

    code: Id
    name: Name
    severity: Rank | None = None


def scale_fault(codes: Iterable[Code]) -> str:
    """What is wrong with a list of codes, or "": codes differ; ranks are absent, or 1..n without gap or tie."""
    codes = tuple(codes)
    if len({c.code for c in codes}) != len(codes):
        return "a code is there twice"
    ranks = [c.severity for c in codes if c.severity is not None]
    if ranks and sorted(ranks) != list(range(1, len(codes) + 1)):
        return "severity must be given for every code, from 1 (least grave) without gap or tie, or for none"
    return ""
