"""Files at addresses that a request names: fetched only where that is switched on, into memory, within bounds."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from leadline.errors import RequestRefused
from leadline.exchange.pinned import fetching, read_networks
from leadline.scan.arriving import CHUNK_BYTES
from leadline.service.hashing import Arrival
from leadline.service.options import Options

TIMEOUT_S = 30.0
_AT_ONCE = 4


class Fetcher:
    """ConfigError where a network of the options is none."""

    def __init__(self, options: Options) -> None:
        self._is_on, self._allowed = options.fetch_urls, read_networks(options.fetch_private)
        self._limits = options.limits
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fetch")

    def demand(self) -> None:
        """RequestRefused where nothing is fetched."""
        if not self._is_on:
            mend = "send the file"
            raise RequestRefused("this service fetches no addresses", status=403, code="fetching-off", mend=mend)

    async def fetch(self, url: str, max_bytes: int) -> tuple[Arrival, str]:
        """The file and the content type that its sender names. AddressRefused, UrlFormatError, FetchFailed, too-large.

        The caller holds memory for `max_bytes`.
        """
        self.demand()
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._fetch, url, max_bytes)

    def _fetch(self, url: str, max_bytes: int) -> tuple[Arrival, str]:
        arrival = Arrival("", self._limits)
        with fetching(url, allowed=self._allowed, timeout_s=TIMEOUT_S) as fetched:
            if (fetched.said_bytes or 0) > max_bytes:
                raise _too_large(max_bytes)
            while piece := fetched.read(CHUNK_BYTES):
                arrival.take(piece)
                arrival.digest()
                if arrival.size_bytes > max_bytes:
                    raise _too_large(max_bytes)
            return arrival, fetched.content_type

    def close(self) -> None:
        self._threads.shutdown(wait=True)


def _too_large(max_bytes: int) -> RequestRefused:
    mend = f"at most {max_bytes} bytes are fetched"
    return RequestRefused("a file that is too large", status=413, code="too-large", mend=mend)
