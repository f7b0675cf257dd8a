"""What is noticed about look-ups beside their answers: floods, probing, the match log. Changes no answer."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor

from leadline.client.packed import Asked
from leadline.domain import PDQ_BYTES, Match
from leadline.match.policy import MatchAnswer
from leadline.service.alarms import AlarmKind, Alarms
from leadline.service.batcher import FileQuery, Query
from leadline.service.flood import Flood
from leadline.service.lists import Lists
from leadline.service.matchlog import Line, MatchLog
from leadline.service.options import Options
from leadline.service.part import Told
from leadline.service.probing import RADIUS_BITS, Probing, Suspicion
from leadline.service.tokens import Token

_PROBED_AT_ONCE = 64  # of a longer list so many hashes, drawn by lot, are compared with a token's earlier ones
_SHORT_DIGITS = 8


class Watch:
    """Of one worker and its loop; `searchers` do what takes longer."""

    def __init__(
        self,
        options: Options,
        lists: Lists,
        searchers: Executor,
        worker: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options, self._lists, self._searchers = options, lists, searchers
        self.alarms = Alarms(options.state)
        self.log = MatchLog(options.state / "log", worker, days=options.log_days)
        self._probing = Probing(options.workers, clock=clock)
        self._flood = Flood(
            window_s=options.flood_window_s, share=options.flood_share, least=options.flood_least, clock=clock
        )

    @property
    def flooding(self) -> frozenset[tuple[str, int]]:
        """Bank and entry of those that match far more than entries do."""
        return self._flood.entries

    def see(self, token: Token, query: Query | FileQuery, has_met: bool, among: int) -> None:
        """One look-up, of `among` that were asked for at once."""
        self._flood.saw(1)
        if among > _PROBED_AT_ONCE and random.random() * among >= _PROBED_AT_ONCE:  # noqa: S311 (a sample)
            return
        pdq = _pdq_of(query)
        if pdq is not None:
            self._compare(token, pdq, has_met)

    def see_rows(self, token: Token, asked: Asked, found: Mapping[int, MatchAnswer]) -> None:
        """A packed list, and which of its hashes met anything."""
        self._flood.saw(len(asked.rows))
        if asked.algorithm not in ("", "pdq"):
            return
        numbers: range | list[int] = range(len(asked.rows))
        if len(numbers) > _PROBED_AT_ONCE:
            numbers = random.sample(numbers, _PROBED_AT_ONCE)
        for at in numbers:
            self._compare(token, asked.rows[at].tobytes(), at in found)

    def keep(self, token: Token, route: str, query: Query | FileQuery, told: Told) -> None:
        """What one look-up met, also what is not told of it."""
        met = (*told.answer.matches, *told.shadowed)
        self._flood.met(met)
        if not self.log.is_kept:
            return
        at, flooding = time.time(), self.flooding
        for number, match in enumerate(met):
            digits = self._shown(_hash_of(query, match))
            self.log.put(_line(at, token.id, route, digits, match, number >= len(told.answer.matches), flooding))

    def keep_rows(self, token: Token, asked: Asked, found: Mapping[int, MatchAnswer]) -> None:
        """The same for a packed list, of which all is told."""
        for answer in found.values():
            self._flood.met(answer.matches)
        if not self.log.is_kept:
            return
        at, flooding = time.time(), self.flooding
        for number, answer in found.items():
            digits = self._shown(asked.rows[number].tobytes())
            for match in answer.matches:
                self.log.put(_line(at, token.id, "match", digits, match, False, flooding))

    def _shown(self, digest: bytes) -> str:
        return digest.hex() if self._options.log_hashes else digest[: _SHORT_DIGITS // 2].hex()

    def note_alarms(self) -> None:
        """What floods, and which banks cannot be read. To be called about once a second."""
        for bank, entry in self._flood.judge():
            self.alarms.note(AlarmKind.FLOOD, f"{bank}/{entry}", {"bank": bank, "entry": entry})
        for name, error in self._lists.faults.items():
            self.alarms.note(AlarmKind.BANK_FAULT, name, {"bank": name, "code": error.code})

    def close(self) -> None:
        self.log.close()

    def _compare(self, token: Token, pdq: bytes, has_met: bool) -> None:
        suspicion = self._probing.note(token.id, pdq, has_met)
        if suspicion is None:
            return
        if suspicion.has_met:
            self._suspect(suspicion)
        else:
            self._searchers.submit(self._look_near, suspicion)

    def _look_near(self, suspicion: Suspicion) -> None:
        """Nothing of it matched: whether it nearly did. In a thread."""
        matcher = self._lists.matcher(None, RADIUS_BITS)
        if matcher.match_hashes([("pdq", suspicion.centre)])[0].matches:
            self._suspect(suspicion)

    def _suspect(self, suspicion: Suspicion) -> None:
        facts: dict[str, str | int] = {"token": suspicion.token, "variations": suspicion.variations}
        if self._options.log_hashes:
            facts["hash"] = suspicion.centre.hex()
        self.alarms.note(AlarmKind.PROBING, suspicion.token, facts)


def _line(
    at: float, token: str, route: str, digits: str, match: Match, is_shadow: bool, flooding: frozenset[tuple[str, int]]
) -> Line:
    return Line(  # by place: by name it takes twice as long
        at, token, route, match.algorithm, digits, match.bank, match.entry, str(match.kind), match.distance,
        match.list_version, match.suppressed_by, is_shadow, (match.bank, match.entry) in flooding,
    )  # fmt: skip


def _pdq_of(query: Query | FileQuery) -> bytes | None:
    """The hash that small variations of a picture nearly share."""
    if isinstance(query, Query):
        return query.value if query.algorithm in ("", "pdq") and len(query.value) == PDQ_BYTES else None
    views = query.prints.views
    return views[0].pdq[0] if views and views[0].pdq else None


def _hash_of(query: Query | FileQuery, match: Match) -> bytes:
    """What met the entry. Of a view that met it turned: its upright hash."""
    if isinstance(query, Query):
        return query.value
    exact = query.prints.exact.get(match.algorithm)
    if exact is not None:
        return exact
    view = next((view for view in query.prints.views if view.view == match.view), None)
    if view is None:
        return b""
    return view.pdq[0] if match.algorithm == "pdq" and view.pdq else view.others.get(match.algorithm, b"")
