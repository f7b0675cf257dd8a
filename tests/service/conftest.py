"""What the tests of the service share: banks of made-up hashes, and one worker asked without a socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from tests.service.sharding import cluster, make_sharded, sharded  # noqa: F401 (fixtures)

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.service.app import Service
from leadline.service.options import Options
from leadline.service.tokens import Scope, Tokens

MD5, SHA1, SHA256, PDQ = "a1" * 16, "b2" * 20, "d4" * 32, "c3" * 32
T = TypeVar("T")


@asynccontextmanager
async def living(service: Service) -> Any:
    """Its lifespan, as a server keeps it."""
    told: asyncio.Queue[Any] = asyncio.Queue()
    answered: asyncio.Queue[Any] = asyncio.Queue()
    life = asyncio.create_task(service({"type": "lifespan", "state": {}}, told.get, answered.put))
    await told.put({"type": "lifespan.startup"})
    started = await answered.get()
    if started["type"] != "lifespan.startup.complete":
        await life
    yield service
    await told.put({"type": "lifespan.shutdown"})
    await answered.get()
    await life


class Worker:
    """One `Service` in an event loop of its own thread. `ask` is one request; `do` runs a coroutine in the loop."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.service = Service(options)
        self.token = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._life = living(self.service)
        try:
            self.do(self._life.__aenter__())
        except BaseException:
            self._stop()
            raise

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)

    def ask(self, method: str, path: str, *, token: str | None = None, **request: Any) -> httpx.Response:
        """With this worker's own token, another, or none at all (an empty text)."""
        return self.do(self._ask(method, path, self.token if token is None else token, request))

    async def _ask(self, method: str, path: str, token: str, request: dict[str, Any]) -> httpx.Response:
        headers = {**({"authorization": f"Bearer {token}"} if token else {}), **request.pop("headers", {})}
        transport = httpx.ASGITransport(self.service, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers, **request)

    def refresh(self) -> None:
        """What the worker does by itself twice a second."""
        self.service.desk.lists.refresh()

    def close(self) -> None:
        self.do(self._life.__aexit__(None, None, None))
        self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Bridge(httpx.BaseTransport):
    """Lets ordinary code ask a `Worker` through httpx, without a socket."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self._worker.do(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        whole = httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
        answer = await httpx.ASGITransport(self._worker.service).handle_async_request(whole)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder of two banks: `known` (7: MD5 and PDQ, 8: SHA-1) and `harmless` (9: SHA-256)."""
    folder = tmp_path / "banks"
    folder.mkdir()
    known = Bank.create(folder / "known", name="known", kind=Kind.ILLEGAL)
    prints = {"md5": bytes.fromhex(MD5), "pdq": bytes.fromhex(PDQ)}
    known.add([Entry(Kind.ILLEGAL, prints, 7, quality=100, scheme="uk", label="A")])
    known.add([Entry(Kind.ILLEGAL, {"sha1": bytes.fromhex(SHA1)}, 8)])
    harmless = Bank.create(folder / "harmless", name="harmless", kind=Kind.BENIGN)
    harmless.add([Entry(Kind.BENIGN, {"sha256": bytes.fromhex(SHA256)}, 9)])
    return folder


@pytest.fixture
def make_worker(shelf: Path, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Workers over the shelf, with a token of all scopes or those named; closed at the end."""
    made: list[Worker] = []

    def make(*scopes: Scope, **options: Any) -> Worker:
        named = {"shelf": shelf, "state": tmp_path / "state", **options}
        _, text = Tokens(named["state"]).add("test", frozenset(scopes or Scope))
        worker = Worker(Options(**named))
        worker.token = text
        made.append(worker)
        return worker

    yield make
    for worker in made:
        worker.close()


@pytest.fixture
def worker(make_worker: Callable[..., Worker]) -> Worker:
    return make_worker()
