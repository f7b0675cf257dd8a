"""Which banks take part in one look-up, and the answer without the others. Counts nothing, keeps nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from leadline.domain import Match
from leadline.match.policy import MatchAnswer
from leadline.service.batcher import FileQuery, Query, search_again
from leadline.service.lists import Lists
from leadline.service.settings import BankSettings, takes_part


class Told(NamedTuple):
    """answer: of the banks that take part and may speak. shadowed: matches of those that take part in silence."""

    answer: MatchAnswer
    shadowed: tuple[Match, ...] = ()


class Hidden(NamedTuple):
    """Names of banks: those that are out of this look-up, and those that are in it in silence."""

    out: frozenset[str]
    shadow: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        return self.out | self.shadow


def draw_hidden(special: Mapping[str, BankSettings], seed: str | None, *, draw: bool) -> Hidden:
    """draw: whether ratios decide; where not, every enabled bank is in."""
    ins = {
        name
        for name, settings in special.items()
        if (takes_part(name, settings, seed) if draw else settings.enabled)
    }
    shadow = frozenset(name for name in ins if special[name].shadow)
    return Hidden(frozenset(special) - ins, shadow)


def leave_out(lists: Lists, query: Query | FileQuery, answer: MatchAnswer, hidden: Hidden) -> Told:
    """The answer as if the hidden banks were not there.

    Where one of them crowded out others' matches, or marked one as a false positive, the rest is searched again.
    """
    names = hidden.all
    reasons = _reasons_without(answer.reasons, names)
    shadowed = tuple(match for match in answer.matches if match.bank in hidden.shadow)
    if answer.truncated or any(_marker(match) in names for match in answer.matches):
        asked = query.banks if query.banks is not None else lists.opened.versions
        rest = tuple(sorted(name for name in asked if name not in names and name in lists.opened.versions))
        again = search_again(lists, query, rest)
        return Told(MatchAnswer(again.matches, again.truncated, reasons), shadowed)
    matches = tuple(match for match in answer.matches if match.bank not in names)
    return Told(MatchAnswer(matches, False, reasons), shadowed)


def _marker(match: Match) -> str:
    """The bank of the false-positive entry that marks a match; names of banks hold no slash."""
    return (match.suppressed_by or "").partition("/")[0]


def _reasons_without(reasons: tuple[str, ...], names: Collection[str]) -> tuple[str, ...]:
    """Reasons name the bank they are of, among words."""
    if not reasons:
        return ()
    named = [re.compile(rf"(?<!\S){re.escape(name)}(?!\S)") for name in names]
    return tuple(reason for reason in reasons if not any(name.search(reason) for name in named))
