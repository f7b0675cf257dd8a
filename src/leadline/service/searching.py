"""Long lists wait for a thread to search them, so many hashes at once and no more. Looks nothing up itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from leadline.errors import TooBusy

_BUSY_S = 1.0
T = TypeVar("T")


class Searching:
    """For one event loop. waiting: hashes of lists that are being searched or wait for it."""

    def __init__(self, searchers: ThreadPoolExecutor, most_hashes: int) -> None:
        self._searchers, self._most = searchers, most_hashes
        self.waiting = 0

    async def run(self, hashes: int, search: Callable[[], T]) -> T:
        """What `search` gives. TooBusy where others' lists leave no place; one list alone always has one."""
        if self.waiting and self.waiting + hashes > self._most:
            raise TooBusy("too many hashes wait to be looked up", retry_after_s=_BUSY_S)
        self.waiting += hashes
        searched = asyncio.get_running_loop().run_in_executor(self._searchers, search)
        searched.add_done_callback(lambda _: self._leave(hashes))  # not when its asker leaves: the thread works on
        return await asyncio.shield(searched)

    def _leave(self, hashes: int) -> None:
        self.waiting -= hashes
