"""Look-ups of tasks that run at the same time, gathered for a few milliseconds and sent as one request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from leadline.client.lookups import Terms, Told
from leadline.client.packed import MAX_HASHES
from leadline.client.records import Hash

Send = Callable[[Sequence[str | Hash], Terms], Awaitable[Told]]
_Asked = tuple[Sequence[str | Hash], asyncio.Future[Told]]


class Gathering:
    """For one event loop. window_s: how long the first waits for others; 0: only what is asked in the same moment."""

    def __init__(self, send: Send, window_s: float) -> None:
        self._send, self._window_s = send, window_s
        self._waiting: dict[Terms, list[_Asked]] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def ask(self, hashes: Sequence[str | Hash], terms: Terms) -> Told:
        """One item per hash. Raises whatever the request that they went with raised."""
        loop = asyncio.get_running_loop()
        group = self._waiting.get(terms, [])
        if sum(len(asked) for asked, _ in group) + len(hashes) > MAX_HASHES:
            self._flush(terms, group)
            group = []
        if not group:
            self._waiting[terms] = group
            loop.call_later(self._window_s, self._flush, terms, group)
        told: asyncio.Future[Told] = loop.create_future()
        group.append((hashes, told))
        return await told

    def _flush(self, terms: Terms, group: list[_Asked]) -> None:
        if self._waiting.get(terms) is not group:
            return  # it went already, since it was full
        del self._waiting[terms]
        task = asyncio.get_running_loop().create_task(self._run(group, terms))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _run(self, group: list[_Asked], terms: Terms) -> None:
        group = [(hashes, told) for hashes, told in group if not told.done()]  # who gave up is not asked for
        try:
            answers = await self._send([item for hashes, _ in group for item in hashes], terms) if group else []
        except BaseException as error:
            for _, told in group:
                if not told.done():
                    told.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            if not isinstance(error, Exception):
                raise
            return
        at = 0
        for hashes, told in group:
            if not told.done():
                told.set_result(answers[at : at + len(hashes)])
            at += len(hashes)

    async def finish(self) -> None:
        """What is waited for is sent and answered."""
        for terms, group in list(self._waiting.items()):
            self._flush(terms, group)
        await asyncio.gather(*self._under_way, return_exceptions=True)
