"""Sources that tell what changed since a time, in pages by a token: where a pull stands, and its loop. Asks nothing.

The time moves on only when a telling has come to its end, so that no order of pages loses anything. A token is short of
life: after an hour, or where the source no longer knows it, the telling begins again at its time. A source that never
says what it withdrew is told whole from time to time: what it no longer tells then is gone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

from leadline.errors import LeadlineError, SourceBroken
from leadline.exchange.connector import Checkpoint, Page, Record

TOKEN_LIFE_S = 3600
_REFUSALS_OF_A_TOKEN = frozenset({"page-expired", "remote-status"})


@dataclass(frozen=True, slots=True)
class Telling:
    """Where a pull stands; times in seconds since 1970.

    since_s      what changed from then on is asked for
    fresh_s      when the last telling that came to its end began, by our clock; 0: there was none
    begun_s      when this one began; token: its page to go on at, empty for its first; token_s: when that was given
    next_s       where the next one is to begin, as far as it is known
    is_whole     it tells the whole list
    whole_s      when the last telling of the whole list that came to its end began; 0: there was none
    """

    since_s: int
    fresh_s: int
    begun_s: int = 0
    token: str = ""
    token_s: int = 0
    next_s: int = 0
    is_whole: bool = False
    whole_s: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """One page as it was read. token: of the page after it, empty where it is the last; next_s as of Telling."""

    records: Sequence[Record]
    token: str
    next_s: int
    faults: Sequence[LeadlineError] = ()
    unknown: Mapping[str, int] = field(default_factory=dict)


def begin_at(since_s: int, now_s: float) -> Checkpoint:
    """A checkpoint that leaves out what did not change since then."""
    return asdict(Telling(since_s, fresh_s=int(now_s), whole_s=int(now_s)))


def pull_told(
    checkpoint: Checkpoint | None,
    ask: Callable[[Telling], Told],
    clock: Callable[[], float],
    *,
    first_s: int,
    stale_s: int,
    whole_every_s: float = math.inf,
) -> Iterator[Page]:
    """Pages, as ListConnector.pull gives them.

    first_s         where the whole list begins
    stale_s         after so long a source no longer tells what it withdrew: then its whole list is told anew
    whole_every_s   so long after the last time it is told anew in any case
    """
    terms = _Terms(first_s, stale_s, whole_every_s)
    telling = _resume(checkpoint, clock(), terms)
    is_resumed = bool(telling.token)
    while True:
        try:
            told = ask(telling)
        except SourceBroken as error:
            if not is_resumed or error.code not in _REFUSALS_OF_A_TOKEN:
                raise
            telling, is_resumed = _begin(telling, clock(), terms), False
            continue
        is_resumed = False
        after = _after(telling, told, int(clock()))
        yield Page(
            told.records, asdict(after), told.faults, told.unknown,
            begins_whole=telling.is_whole and not telling.token, is_last=not told.token,
        )  # fmt: skip
        if not told.token:
            return
        telling = after


class _Terms(NamedTuple):
    first_s: int
    stale_s: int
    whole_every_s: float


def _resume(checkpoint: Checkpoint | None, now_s: float, terms: _Terms) -> Telling:
    telling = Telling(terms.first_s, fresh_s=0) if checkpoint is None else Telling(**checkpoint)
    if telling.token and 0 <= now_s - telling.token_s <= TOKEN_LIFE_S:
        return telling
    return _begin(telling, now_s, terms)


def _begin(telling: Telling, now_s: float, terms: _Terms) -> Telling:
    is_stale = not telling.fresh_s or now_s - telling.fresh_s > terms.stale_s
    is_whole = is_stale or now_s - telling.whole_s > terms.whole_every_s
    since_s = terms.first_s if is_whole else telling.since_s
    return Telling(
        since_s, telling.fresh_s, begun_s=int(now_s), next_s=since_s, is_whole=is_whole, whole_s=telling.whole_s
    )


def _after(telling: Telling, told: Told, now_s: int) -> Telling:
    next_s = min(told.next_s, now_s)  # a source whose clock is ahead must not make us miss what comes until then
    if not told.token:
        whole_s = telling.begun_s if telling.is_whole else telling.whole_s
        return Telling(next_s, fresh_s=telling.begun_s, whole_s=whole_s)
    if told.token == telling.token:
        raise SourceBroken("its next page is the same page again", mend="tell the source")
    return replace(telling, token=told.token, token_s=now_s, next_s=next_s)
