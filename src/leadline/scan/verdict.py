"""The verdict rules: what the matches of one file make of it, and why. Pure functions, no reading, no banks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leadline.domain import EXACT_ALGORITHMS, Kind, Match, Transform, Verdict
from leadline.match.matcher import MatchAnswer

_SERIOUSNESS = {kind: rank for rank, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class Judgement:
    """kind is None unless the verdict is known or near; matches stand most serious first."""

    verdict: Verdict
    kind: Kind | None
    reasons: tuple[str, ...]
    matches: tuple[Match, ...]


def is_exact(match: Match) -> bool:
    return match.algorithm in EXACT_ALGORITHMS


def _priority(match: Match) -> tuple[object, ...]:
    """Unsuppressed first, then by seriousness, exact before near, near before far; names last, so that it is total."""
    return (
        match.suppressed_by is not None,
        _SERIOUSNESS[match.kind],
        not is_exact(match),
        match.distance,
        match.bank,
        match.entry,
        match.algorithm,
        match.view,
        str(match.transform),
    )


def _decides(match: Match) -> bool:
    """A false-positive entry speaks for a file only where it is that very file."""
    return match.suppressed_by is None and (match.kind is not Kind.FALSE_POSITIVE or is_exact(match))


def clears_nothing(match: Match) -> bool:
    """Near to something known to be good: worth telling, no reason to pass a picture by."""
    return match.kind is Kind.BENIGN and not is_exact(match)


def _describe(match: Match) -> str:
    entry = f"entry {match.entry} of bank {match.bank} ({match.kind})"
    if is_exact(match):
        text = f"{match.algorithm} equals {entry}"
    else:
        text = f"{match.algorithm} distance {match.distance:g} (limit {match.threshold:g}) to {entry}"
    if match.transform is not Transform.ORIGINAL:
        text += f", turned ({match.transform})"
    if match.view != "picture":
        text += f", {match.view}"
    if clears_nothing(match):
        text += ": near to known-good clears nothing"
    return text if match.suppressed_by is None else f"{text}: suppressed by {match.suppressed_by}"


def match_reasons(answer: MatchAnswer) -> tuple[str, ...]:
    """What the matcher had to say beside its matches."""
    cut = ("there are more matches than are listed",) if answer.truncated else ()
    return (*answer.reasons, *cut)


def judge(
    matches: Iterable[Match],
    *,
    notes: Sequence[str] = (),
    match_reasons: Sequence[str] = (),
    error: str | None = None,
    skipped: bool = False,
) -> Judgement:
    """Matches and facts of one file -> verdict.

    notes          what reading and decoding had to say
    match_reasons  what the matcher had to say (a quality below a floor, a list cut short)
    error          why the file could not be read or decoded, else None
    skipped        listed, never opened: `notes` say why
    """
    ordered = tuple(sorted(matches, key=_priority))
    best = next((m for m in ordered if _decides(m)), None)
    told = [_describe(m) for m in ordered if m is best or m.suppressed_by is not None or not _decides(m)]
    facts = [*([error] if error else []), *notes, *match_reasons]
    if best is not None and not (error is not None and clears_nothing(best)):
        verdict = Verdict.KNOWN if is_exact(best) else Verdict.NEAR
        return Judgement(verdict, best.kind, (*told, *facts), ordered)
    if skipped:
        return Judgement(Verdict.SKIPPED, None, tuple(facts), ordered)
    if error is not None:
        return Judgement(Verdict.UNREADABLE, None, (*told, *facts), ordered)
    return Judgement(Verdict.UNKNOWN, None, (*told, *facts) or ("no entry matched",), ordered)
