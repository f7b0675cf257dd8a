"""What is told of a look-up: all of it to a token that may read details, else which banks it met. Searches nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from leadline.client.packed import ALGORITHMS, FLOODING, MATCH, NOT_TOLD, SUPPRESSED, TRUNCATED
from leadline.domain import Kind, Match
from leadline.errors import LeadlineError
from leadline.match.policy import MatchAnswer
from leadline.scan.finding import MatchLine, match_line

_KINDS = {kind: number for number, kind in enumerate(Kind)}
_encode = msgspec.json.Encoder().encode
NOTHING = b'{"matches":[]}'


class Met(msgspec.Struct, frozen=True, omit_defaults=True):
    """A match without what would help to evade it. `suppressed`: a false-positive entry speaks against it."""

    bank: str
    kind: str
    suppressed: bool = False
    flooding: bool = False


class MetFully(MatchLine, frozen=True, kw_only=True):
    """A match as it stands in a finding of a scan; flooding: the entry matches far more than entries do."""

    flooding: bool


class Fault(msgspec.Struct, frozen=True):
    code: str
    message: str


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one hash. `matches` is there also where it is empty."""

    matches: list[Met] | list[MetFully] | msgspec.UnsetType = msgspec.UNSET
    truncated: bool = False
    reasons: tuple[str, ...] = ()
    error: Fault | None = None


def encode(answer: MatchAnswer | LeadlineError, *, details: bool, flooding: Collection[tuple[str, int]] = ()) -> bytes:
    """One answer as JSON. flooding: bank and entry of those that flood at the moment."""
    if isinstance(answer, LeadlineError):
        return _encode(Answer(error=Fault(answer.code, answer.what)))
    if not answer.matches and not answer.truncated and not answer.reasons:
        return NOTHING
    told = tell_matches(answer.matches, details=details, flooding=flooding)
    return _encode(Answer(told, answer.truncated, answer.reasons if details else ()))


def tell_matches(
    matches: Sequence[Match], *, details: bool, flooding: Collection[tuple[str, int]] = ()
) -> list[Met] | list[MetFully]:
    """Each match, or each bank that was met."""
    if details:
        return [_fully(match, flooding) for match in matches]
    return list(dict.fromkeys(_met(match, flooding) for match in matches))


def _met(match: Match, flooding: Collection[tuple[str, int]]) -> Met:
    is_flooding = bool(flooding) and (match.bank, match.entry) in flooding
    return Met(match.bank, str(match.kind), match.suppressed_by is not None, is_flooding)


def _fully(match: Match, flooding: Collection[tuple[str, int]]) -> MetFully:
    line = match_line(match)
    fields = {name: getattr(line, name) for name in line.__struct_fields__}
    return MetFully(**fields, flooding=bool(flooding) and (match.bank, match.entry) in flooding)


def pack(
    answers: dict[int, MatchAnswer],
    banks: Sequence[str],
    *,
    details: bool,
    flooding: Collection[tuple[str, int]] = (),
) -> NDArray[np.void]:
    """Answers by number of the hash as records of `packed.MATCH`, in order. `banks`: names by their number."""
    numbers = {name: number for number, name in enumerate(banks)}
    rows = []
    for at, answer in answers.items():
        truncated = TRUNCATED if answer.truncated else 0
        for match in answer.matches:
            flags = truncated | (SUPPRESSED if match.suppressed_by is not None else 0)
            if flooding and (match.bank, match.entry) in flooding:
                flags |= FLOODING
            bank, kind = numbers[match.bank], _KINDS[match.kind]
            if details:
                algorithm = ALGORITHMS.index(match.algorithm) if match.algorithm in ALGORITHMS else 0
                rows.append((at, bank, kind, algorithm, flags, match.entry, match.distance, match.threshold, 0))
            else:
                rows.append((at, bank, kind, 0, flags, 0, NOT_TOLD, NOT_TOLD, 0))
    return np.array(rows, MATCH) if rows else np.empty(0, MATCH)
