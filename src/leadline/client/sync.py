"""The client for ordinary code: one call, one answer. Safe to use from several threads."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from leadline.client import curation, events, files, lookups, packed, plans
from leadline.client.address import make_address
from leadline.client.lookups import HashLike, Terms
from leadline.client.plans import Patience, Plan, Reply, T
from leadline.client.records import Added, Answer, BankFacts, Change, Hashed, Health, NewEntry, Removed, Scanned
from leadline.client.transport import no_answer, timeouts, whole_reply
from leadline.client.uploads import Source
from leadline.errors import LeadlineError, ServiceUnavailable


class Client:
    """One service. Whatever fails raises an error of leadline.errors: an answer that came is a whole one.

    url          https://HOST:PORT (http for this machine, or with clear=True)
    token        llt_...; or token_file, whose one line it is
    timeout_s    of connecting, and of each wait for a part of the answer
    patience     how often, and for how long, the same is tried again where that does no harm
    authorities  PEM file of the certificates to trust instead of the usual ones
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
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._address = make_address(
            url, token=token, token_file=token_file, authorities=authorities, is_clear_allowed=clear
        )
        self._patience = patience or Patience()
        self._http = httpx.Client(
            base_url=self._address.url,
            headers=self._address.headers,
            timeout=timeouts(timeout_s),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            verify=self._address.verification(),
            transport=transport,
            trust_env=False,
        )

    def match(
        self,
        *hashes: HashLike,
        banks: Iterable[str] | None = None,
        radius: int | None = None,
        seed: str | None = None,
    ) -> list[Answer]:
        """One answer per hash, in order; 1 to 10,000. HashFormatError where one is none: then nothing is told."""
        told = self._do(lookups.match([lookups.text_of(item) for item in hashes], lookups.terms(banks, radius, seed)))
        return lookups.all_answers(told)

    def match_many(
        self,
        hashes: Iterable[HashLike],
        *,
        banks: Iterable[str] | None = None,
        radius: int | None = None,
        seed: str | None = None,
    ) -> Iterator[Answer | LeadlineError]:
        """However many, 10,000 a request; where one is no hash, its error stands in its place."""
        terms: Terms = lookups.terms(banks, radius, seed)
        for asked, faults in lookups.chunks(hashes):
            told = self._do(lookups.match(asked, terms)) if asked else []
            yield from lookups.in_place(told, faults)

    def match_packed(self, rows: packed.Rows, algorithm: str = "pdq", *, radius: int | None = None) -> packed.Told:
        """uint8 (N, length) -> records of packed.MATCH by number of the row; however many, 10,000 a request."""
        return lookups.join([
            self._do(lookups.match_packed(part, algorithm, radius)) for part in lookups.parts(rows)
        ])  # fmt: skip

    def hash(self, file: Source) -> Hashed:
        """Of a path, bytes or a stream that is read to its end; hashed in the service's sandbox, stored nowhere."""
        return self._do(files.hash_file(file))

    def scan(
        self,
        file: Source,
        *,
        banks: Iterable[str] | None = None,
        radius: int | None = None,
        seed: str | None = None,
    ) -> Scanned:
        """Hash a file and look it up, with all turned and mirrored copies of its picture."""
        return self._do(files.scan_file(file, lookups.terms(banks, radius, seed)))

    def banks(self) -> list[BankFacts]:
        found, after = list[BankFacts](), ""
        while True:
            page = self._do(curation.list_banks(after))
            found += page.banks
            if page.next is None:
                return found
            after = page.next

    def changes(self, after: str = "") -> Iterator[Change]:
        """Each bank as it is, then each change, without an end; a connection that breaks is made anew.

        after  id of the last change that was heard: then only what came after it
        """
        tries = 0
        while True:
            try:
                with self._stream(after) as response:
                    reader = events.Reader()
                    for line in response.iter_lines():
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
            time.sleep(wait_s)

    def add_entries(self, bank: str, entries: Iterable[NewEntry], *, key: str | None = None) -> Added:
        """1 to 10,000. key: of this act; the same entries under the same key are added once, for seven days."""
        return self._do(curation.add_entries(bank, entries, key))

    def remove_entries(
        self, bank: str, *, ids: Iterable[int] = (), hashes: Iterable[HashLike] = (), key: str | None = None
    ) -> Removed:
        """By ids, or by hashes: then every entry that holds one of them."""
        return self._do(curation.remove_entries(bank, ids, hashes, key))

    def health(self) -> Health:
        return self._do(plans.health())

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._address.url!r})"

    def _do(self, plan: Plan[T]) -> T:
        tries = 0
        while True:
            tries += 1
            try:
                return plan.finish(self._send(plan))
            except LeadlineError as error:
                wait_s = self._patience.wait_s(plan, tries, error)
                if wait_s is None:
                    raise
            time.sleep(wait_s)

    @contextmanager
    def _stream(self, after: str) -> Iterator[httpx.Response]:
        headers = events.headers_after(after)
        with self._http.stream("GET", events.PATH, headers=headers, timeout=events.SILENCE_S) as response:
            if response.status_code != 200:
                response.read()
                plans.checked(events.PLAN, whole_reply(response))
            events.check_stream(response.headers)
            yield response

    def _send(self, plan: Plan[T]) -> Reply:
        body = plan.body if isinstance(plan.body, bytes) else plan.body.pieces()
        headers = plan.headers if isinstance(plan.body, bytes) else {**plan.headers, **plan.body.headers}
        try:
            response = self._http.request(
                plan.method, plan.path, content=body, headers=headers, params=plan.params or None
            )
        except httpx.HTTPError as error:
            raise no_answer(error, plan.where) from None
        return whole_reply(response)
