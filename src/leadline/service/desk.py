"""What all endpoints of one worker share, and what happens to every answer before it is told. Knows no HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import msgspec

from leadline.client.packed import Asked
from leadline.match.policy import MatchAnswer
from leadline.service.batcher import Batcher, Query
from leadline.service.counters import Counters
from leadline.service.lists import Lists, Opened
from leadline.service.options import Options
from leadline.service.tokens import Token

_SEARCHERS = 4


class Desk:
    """flooding: bank and entry of those that match far more than entries do; they are marked, never left out."""

    def __init__(self, options: Options, lists: Lists, counters: Counters) -> None:
        self.options, self.lists, self.counters = options, lists, counters
        self.batcher = Batcher(lists)
        self.searchers = ThreadPoolExecutor(_SEARCHERS, thread_name_prefix="search")
        self.flooding: frozenset[tuple[str, int]] = frozenset()
        self._versions: tuple[Opened, bytes] | None = None

    def versions(self) -> bytes:
        """Name -> list version of what is open, as JSON."""
        opened = self.lists.opened
        if self._versions is None or self._versions[0] is not opened:
            self._versions = opened, msgspec.json.encode(opened.versions)
        return self._versions[1]

    def tell(self, token: Token, query: Query, answer: MatchAnswer | None, *, seed: str | None = None) -> MatchAnswer:
        """The answer as this token is told it."""
        assert answer is not None
        if answer.matches:
            for bank in {match.bank for match in answer.matches}:
                self.counters.count("leadline_matches", bank)
        return answer

    def tell_rows(self, token: Token, asked: Asked, found: Mapping[int, MatchAnswer]) -> dict[int, MatchAnswer]:
        """The same for a packed list: answers by number of the hash."""
        told = {}
        for at, answer in found.items():
            query = Query(asked.algorithm, asked.rows[at].tobytes(), None, asked.radius_bits)
            told[at] = self.tell(token, query, answer)
        return told

    def close(self) -> None:
        self.searchers.shutdown(wait=True)
