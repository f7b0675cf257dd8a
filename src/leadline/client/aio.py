"""The client for asyncio: the same calls as `Client`; look-ups of tasks that run at the same time share a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from leadline.client import curation, events, files, lookups, packed, plans
from leadline.client.address import make_address
from leadline.client.gathering import Gathering
from leadline.client.lookups import HashLike, Terms, Told
from leadline.client.plans import Patience, Plan, Reply, T
from leadline.client.records import Added, Answer, BankFacts, Change, Hash, Hashed, Health, NewEntry, Removed, Scanned
from leadline.client.transport import no_answer, timeouts, whole_reply
from leadline.client.uploads import Source
from leadline.errors import LeadlineError, ServiceUnavailable


class AsyncClient:
    """One service, for one event loop. Options as of `Client`.

    gather_ms  how long a look-up waits for others to share its request; 0: only for those of the same moment
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        token_file: Path | None = None,
        timeout_s: float = 10.0,
        patience: Patience | None = None,
        authorities: Path | None = None,
        clear: bool = False,
        connections: int = 32,
        gather_ms: float = 2.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._address = make_address(
            url, token=token, token_file=token_file, authorities=authorities, is_clear_allowed=clear
        )
        self._patience = patience or Patience()
        self._gathering = Gathering(self._look_up, gather_ms / 1000)
        self._http = httpx.AsyncClient(
            base_url=self._address.url,
            headers=self._address.headers,
            timeout=timeouts(timeout_s),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            verify=self._address.verification(),
            transport=transport,
            trust_env=False,
        )

    async def match(
        self,
        *hashes: HashLike,
        banks: Iterable[str] | None = None,
        radius: int | None = None,
        seed: str | None = None,
    ) -> list[Answer]:
        """As `Client.match`. A hash that is none fails its own call only, not those that shared the request."""
        asked = [lookups.text_of(item) for item in hashes]
        terms = lookups.terms(banks, radius, seed)
        told = await (self._gathering.ask(asked, terms) if asked else self._look_up(asked, terms))
        return lookups.all_answers(told)

    async def match_many(
        self,
        hashes: Iterable[HashLike],
        *,
        banks: Iterable[str] | None = None,
        radius: int | None = None,
        seed: str | None = None,
    ) -> AsyncIterator[Answer | LeadlineError]:
        terms = lookups.terms(banks, radius, seed)
        for asked, faults in lookups.chunks(hashes):
            told = await self._look_up(asked, terms) if asked else []
            for item in lookups.in_place(told, faults):
                yield item

    async def match_packed(
        self, rows: packed.Rows, algorithm: str = "pdq", *, radius: int | None = None
    ) -> packed.Told:
        return lookups.join([
            await self._do(lookups.match_packed(part, algorithm, radius)) for part in lookups.parts(rows)
        ])  # fmt: skip

    async def hash(self, file: Source) -> Hashed:
        """Of a path, bytes or a stream that is read to its end; hashed in the service's sandbox, stored nowhere."""
        return await self._do(files.hash_file(file))

    async def scan(
        self,
        file: Source,
        *,
        banks: Iterable[str] | None = None,
        radius: int | None = None,
        seed: str | None = None,
    ) -> Scanned:
        """Hash a file and look it up, with all turned and mirrored copies of its picture."""
        return await self._do(files.scan_file(file, lookups.terms(banks, radius, seed)))

    async def banks(self) -> list[BankFacts]:
        found, after = list[BankFacts](), ""
        while True:
            page = await self._do(curation.list_banks(after))
            found += page.banks
            if page.next is None:
                return found
            after = page.next

    async def changes(self, after: str = "") -> AsyncIterator[Change]:
        """Each bank as it is, then each change, without an end; a connection that breaks is made anew.

        after  id of the last change that was heard: then only what came after it
        """
        tries = 0
        while True:
            try:
                async with self._stream(after) as response:
                    reader = events.Reader()
                    async for line in response.aiter_lines():
                        tries = 0
                        if (change := reader.feed(line)) is not None:
                            after = change.id
                            yield change
                raise ServiceUnavailable("the connection ended", where=events.WHERE)
            except httpx.HTTPError as broken:
                error: LeadlineError = no_answer(broken, events.WHERE)
            except LeadlineError as told:
                error = told
            tries += 1
            wait_s = self._patience.for_listeners.wait_s(events.PLAN, tries, error)
            if wait_s is None:
                raise error
            await asyncio.sleep(wait_s)

    async def add_entries(self, bank: str, entries: Iterable[NewEntry], *, key: str | None = None) -> Added:
        """1 to 10,000. key: of this act; the same entries under the same key are added once, for seven days."""
        return await self._do(curation.add_entries(bank, entries, key))

    async def remove_entries(
        self, bank: str, *, ids: Iterable[int] = (), hashes: Iterable[HashLike] = (), key: str | None = None
    ) -> Removed:
        """By ids, or by hashes: then every entry that holds one of them."""
        return await self._do(curation.remove_entries(bank, ids, hashes, key))

    async def health(self) -> Health:
        return await self._do(plans.health())

    async def close(self) -> None:
        """After what is under way has been answered."""
        await self._gathering.finish()
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self._address.url!r})"

    async def _look_up(self, hashes: Sequence[str | Hash], terms: Terms) -> Told:
        return await self._do(lookups.match(hashes, terms))

    async def _do(self, plan: Plan[T]) -> T:
        tries = 0
        while True:
            tries += 1
            try:
                return plan.finish(await self._send(plan))
            except LeadlineError as error:
                wait_s = self._patience.wait_s(plan, tries, error)
                if wait_s is None:
                    raise
            await asyncio.sleep(wait_s)

    @asynccontextmanager
    async def _stream(self, after: str) -> AsyncIterator[httpx.Response]:
        headers = events.headers_after(after)
        async with self._http.stream("GET", events.PATH, headers=headers, timeout=events.SILENCE_S) as response:
            if response.status_code != 200:
                await response.aread()
                plans.checked(events.PLAN, whole_reply(response))
            events.check_stream(response.headers)
            yield response

    async def _send(self, plan: Plan[T]) -> Reply:
        body = plan.body if isinstance(plan.body, bytes) else plan.body.pieces_async()
        headers = plan.headers if isinstance(plan.body, bytes) else {**plan.headers, **plan.body.headers}
        try:
            response = await self._http.request(
                plan.method, plan.path, content=body, headers=headers, params=plan.params or None
            )
        except httpx.HTTPError as error:
            raise no_answer(error, plan.where) from None
        return whole_reply(response)
