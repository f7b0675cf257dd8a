"""Who listens for changes of banks at one worker, and the moment of the next one. Sends nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator

from leadline.errors import TooBusy

_MOST_OF_TOKEN = 8
_BUSY_S = 30.0


class Feed:
    """Of one worker: who listens, and the moment of the next change."""

    def __init__(self) -> None:
        self._listening: Counter[str] = Counter()
        self._turn = asyncio.Event()
        self.is_ending = False
        self._let_go: frozenset[str] = frozenset()

    @property
    def listeners(self) -> frozenset[str]:
        """Ids of their tokens."""
        return frozenset(+self._listening)

    def let_go(self, tokens: frozenset[str]) -> None:
        """Those whose token was removed, or has ended."""
        self._let_go = tokens
        if tokens:
            self.announce()

    def is_over(self, token_id: str) -> bool:
        return self.is_ending or token_id in self._let_go

    def announce(self) -> None:
        """Something may be another than before."""
        turned, self._turn = self._turn, asyncio.Event()
        turned.set()

    def end(self) -> None:
        """Every listener is let go; they come back to another worker."""
        self.is_ending = True
        self.announce()

    @property
    def next_turn(self) -> asyncio.Event:
        return self._turn

    @contextlib.contextmanager
    def place(self, token_id: str) -> Iterator[None]:
        """TooBusy where this token listens often enough already, or the worker is about to end."""
        if self.is_ending or self._listening[token_id] >= _MOST_OF_TOKEN:
            raise TooBusy("too many listeners of this token", retry_after_s=_BUSY_S, code="too-many-requests")
        self._listening[token_id] += 1
        try:
            yield
        finally:
            self._listening[token_id] -= 1
