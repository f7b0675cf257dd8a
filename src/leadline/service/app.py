"""The service as one ASGI application: who comes in, which route, what goes out when something fails.

The two addresses that are asked thousands of times a second are answered before Starlette's router (docs/decisions.md
has the figures); all others are ordinary Starlette routes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadline.errors import LeadlineError, TooBusy
from leadline.match.bank import Bank
from leadline.service import banks, changes, curating, duty, hma, hma_lookup, matching, ncmec, signed_feed, uploads
from leadline.service.calls import Call, Message, Receive, Send, SenderGone, Waits, end_overdue
from leadline.service.counters import Counters, resident_bytes
from leadline.service.desk import Desk
from leadline.service.ending import heard
from leadline.service.endpoints import CALL, DESK, demand
from leadline.service.guard import Guard
from leadline.service.lists import Lists
from leadline.service.operations import document
from leadline.service.options import Options
from leadline.service.problems import Problem, as_message, make_problem, problem_of
from leadline.service.tokens import EVERYBODY, Scope

_REFRESH_S = 0.5
_PULL_S = 1.0
_TELL_S = 1.0
_SETTLE_S = 0.5
_PRUNE_S = 3600.0
_OPEN = frozenset({"/healthz", "/readyz", "/status", "/status/live", "/v1/openapi.json"})  # without a token
_IN_PATH = "/t/"
_BASIC = (b"www-authenticate", b'Basic realm="leadline", charset="UTF-8"')
_METHODS = {"/v1/match": b"GET, POST", changes.PATH: b"GET"}  # addresses of ours that the router does not know
log = logging.getLogger("leadline.service")
Endpoint = Callable[[Call, Desk], Awaitable[None]]


class Service:
    """One worker. Opens the banks when the server starts it; until then and after that it answers nothing."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._guard = Guard(options)
        self._waits: Waits = {}
        self._desk: Desk | None = None
        self._hot: dict[tuple[str, str], tuple[str, Endpoint]] = {
            ("POST", "/v1/match"): ("match", matching.match),
            ("GET", "/v1/match"): ("match", matching.look_up),
            ("GET", "/m/lookup"): ("hma-lookup", hma_lookup.look_up),
        }
        self._others = Starlette(
            routes=[
                Route("/healthz", self._healthz, name="healthz"),
                Route("/readyz", self._readyz, name="readyz"),
                Route("/metrics", self._metrics, name="metrics"),
                Route("/v1/openapi.json", self._openapi, name="openapi"),
                *banks.ROUTES,
                *curating.ROUTES,
                *duty.ROUTES,
                *uploads.ROUTES,
                *hma.ROUTES,
                *ncmec.ROUTES,
                *signed_feed.ROUTES,
            ],
            exception_handlers={
                LeadlineError: _tell_error, HTTPException: _tell_http, SenderGone: _tell_nobody, Exception: _tell_error,
            },
            lifespan=self.living,
        )
        self._others.router.redirect_slashes = False  # which behind a proxy lead from https to http

    @property
    def desk(self) -> Desk:
        assert self._desk is not None
        return self._desk

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._others(scope, receive, send)
            return
        begun_s = time.perf_counter()
        call = Call(scope, receive, send, EVERYBODY, self._options, self._waits)
        try:
            await self._answer(call)
        except SenderGone:
            call.route = call.route or "gone"
        except Exception as error:
            await self._fail(call, error)
        finally:
            counters = self.desk.counters
            counters.count("leadline_requests", call.route, str(call.status))
            if call.route != "changes":  # which lasts as long as somebody listens
                counters.observe("leadline_request_seconds", time.perf_counter() - begun_s, call.route)

    async def _answer(self, call: Call) -> None:
        in_path = self._take_token_from_path(call)
        path = call.scope["path"]
        if path in _OPEN:
            await self._others_answer(call)
            return
        call.token = self._guard.identify(call.scope["headers"], in_path, basic=path.startswith(ncmec.PREFIX))
        self._guard.admit(call.token)
        if path == changes.PATH and call.scope["method"] == "GET":
            await changes.stream(call, self.desk)
            return
        self._guard.in_flight += 1
        try:
            hot = self._hot.get((call.scope["method"], path))
            if hot is not None:
                call.route = hot[0]
                await hot[1](call, self.desk)
            elif path in _METHODS:
                problem = make_problem(405, "method")
                await call.refuse(msgspec.structs.replace(problem, headers=((b"allow", _METHODS[path]),)))
            else:
                await self._others_answer(call)
        finally:
            self._guard.in_flight -= 1

    def _take_token_from_path(self, call: Call) -> bytes | None:
        """`/t/TOKEN/m/lookup`: for clients of HMA that can send no header. The token leaves the address at once."""
        path: str = call.scope["path"]
        if path.startswith("//"):  # clients put "/c/banks" behind an address that ends with a slash
            call.scope = _with_path(call.scope, path.lstrip("/"))
            return None
        if not path.startswith(_IN_PATH):
            return None
        text, _, rest = path[len(_IN_PATH) :].partition("/")
        call.scope = _with_path(call.scope, rest.lstrip("/"))
        if not call.speaks_hma:
            raise HTTPException(404)
        return text.encode()

    async def _others_answer(self, call: Call) -> None:
        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
            await call._send(message)

        call.scope[CALL], call.scope[DESK] = call, self.desk
        await self._others(call.scope, call._receive, send)
        route = call.scope.get("route")
        call.route = route.name if isinstance(route, Route) else "none"

    async def _fail(self, call: Call, error: Exception) -> None:
        is_absent = isinstance(error, HTTPException)  # ours, for an address that is none: the rest is Starlette's
        problem = make_problem(404, "not-found") if is_absent else problem_of(error)
        if problem.status == 401 and call.scope["path"].startswith(ncmec.PREFIX):
            problem = msgspec.structs.replace(problem, headers=(*problem.headers, _BASIC))
        if problem.status in (401, 429):
            self.desk.counters.count("leadline_refused", getattr(error, "code", "error"))
        if call.status == 0:
            await call.refuse(problem)
        else:  # an answer has begun: its end is missing, and the client sees that it is
            raise error

    # --- the worker's life -----------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def living(self, app: Starlette | None = None) -> AsyncIterator[None]:
        """From before the first request until after the last. SandboxUnavailable, BankError: it does not start."""
        options = self._options
        lists = await asyncio.get_running_loop().run_in_executor(None, open_lists, options)
        self._desk = Desk(options, lists, Counters(options.state / "run"))
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._desk.hashers.start)
        except BaseException:  # no decoder can be locked away here: the worker does not start
            self._desk.close()
            raise
        tasks = [asyncio.create_task(keep()) for keep in (self._keep_up, self._keep_told, self._keep_published)]
        try:
            with heard(self._desk.feed.end):
                yield
        finally:
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            try:
                self._desk.counters.publish(self._desk.counters.draw())
            except OSError as error:
                log.warning("metrics are not written: %s", error.strerror)
            finally:
                self._desk.close()

    async def _keep_up(self) -> None:
        """A fault in here is told and does not end it: else lists would grow old, and nobody would look."""
        looks: list[tuple[float, Callable[[], Awaitable[None]]]] = [
            (_PULL_S, self._pull), (0.0, self._look_for_changes), (_TELL_S, self._end_overdue), (_PRUNE_S, self._prune),
        ]  # fmt: skip
        last_s = [-_PRUNE_S] * len(looks)
        while True:
            for at, (every_s, look) in enumerate(looks):
                if time.monotonic() - last_s[at] >= every_s:
                    last_s[at] = time.monotonic()
                    try:
                        await look()
                    except Exception as error:
                        log.error("upkeep: %s", type(error).__name__)
            with contextlib.suppress(TimeoutError):  # not wait_for: before Python 3.12 it can swallow the cancellation
                async with asyncio.timeout(_REFRESH_S):
                    await self.desk.woken.wait()
            self.desk.woken.clear()

    async def _keep_told(self) -> None:
        """Apart from the rest: it writes, and a busy disk must hold up neither an answer nor the look for changes."""
        while True:
            try:
                await self._tell_state()
            except Exception as error:
                log.error("metrics and alarms: %s", type(error).__name__)
            await asyncio.sleep(_TELL_S)

    async def _keep_published(self) -> None:
        """Apart from the rest: a long list, published for the first time, takes seconds."""
        while self._options.publish:
            try:
                await asyncio.get_running_loop().run_in_executor(self.desk.publisher, self.desk.publish)
            except Exception as error:
                log.error("publishing: %s", type(error).__name__)
            await asyncio.sleep(_SETTLE_S)

    async def _pull(self) -> None:
        """Bring what was uploaded elsewhere onto the shelf; one worker does, the others pass."""
        if self._options.source:
            await asyncio.get_running_loop().run_in_executor(self.desk.clerks, self.desk.pull)

    async def _look_for_changes(self) -> None:
        changed = await asyncio.get_running_loop().run_in_executor(self.desk.refresher, self.desk.refresh)
        for name in changed:
            self.desk.counters.count("leadline_list_changes", name)
        self.desk.announce_changes()

    async def _end_overdue(self) -> None:
        end_overdue(self._waits)
        self._guard.forget_idle()
        feed = self.desk.feed
        feed.let_go(frozenset(token_id for token_id in feed.listeners if not self._guard.lives(token_id)))

    async def _tell_state(self) -> None:
        desk, loop = self.desk, asyncio.get_running_loop()
        desk.note_alarms()
        for name, at in (await loop.run_in_executor(desk.tellers, _changed_at, desk.lists.opened.banks)).items():
            desk.counters.set("leadline_bank_index_age_seconds", max(0.0, time.time() - at), name)
        for kind in await loop.run_in_executor(desk.tellers, desk.raise_alarms):
            desk.counters.count("leadline_alarms", kind)
            log.warning("an alarm for a person to look at: %s", kind)
        self._note_gauges()
        try:
            await loop.run_in_executor(desk.tellers, desk.counters.publish, desk.counters.draw())
        except OSError as error:
            log.warning("metrics are not written: %s", error.strerror)

    async def _prune(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self.desk.clerks, self.desk.prune)

    def _note_gauges(self) -> None:
        desk = self.desk
        desk.counters.set("leadline_in_flight", self._guard.in_flight)
        desk.counters.set("leadline_lookup_queue", desk.searching.waiting)
        desk.counters.set("leadline_hash_queue", desk.hashers.waiting)
        desk.counters.set("leadline_bank_checked_age_seconds", time.monotonic() - desk.lists.checked_at)
        desk.counters.set("leadline_resident_bytes", resident_bytes())
        for bank in desk.lists.opened.banks:
            desk.counters.set("leadline_bank_entries", bank.count, bank.name)
            desk.counters.set("leadline_bank_version", bank.list_version, bank.name)
            desk.counters.set("leadline_bank_index_bytes", bank.index_bytes, bank.name)

    # --- for those who run it --------------------------------------------------------------------------------------

    async def _healthz(self, request: Request) -> Response:
        return Response("alive\n", media_type="text/plain")

    async def _readyz(self, request: Request) -> Response:
        """503 with the reason where an answer might be older than the lists. Warnings touch no answer."""
        lists = self.desk.lists
        reasons = [f"{name}: {error.code}" for name, error in {**lists.faults, **self.desk.faults}.items()]
        if lists.is_stale:
            reasons.append("changes of banks have not been looked for in time")
        warnings = [f"{name}: {what}" for name, what in dict(self.desk.warnings).items()]
        told = {"ready": not reasons, "reasons": reasons, "warnings": warnings}
        body = told | {"lists": msgspec.Raw(self.desk.versions())}  # of banks in silence nobody hears without a token
        return Response(msgspec.json.encode(body), 503 if reasons else 200, media_type="application/json")

    async def _openapi(self, request: Request) -> Response:
        return Response(document(), media_type="application/json")

    async def _metrics(self, request: Request) -> Response:
        demand(request, Scope.ADMIN)
        self._note_gauges()
        desk, counters = self.desk, self.desk.counters
        told = await asyncio.get_running_loop().run_in_executor(desk.tellers, counters.render, counters.draw())
        return Response(told, media_type="text/plain; version=0.0.4; charset=utf-8")


def _changed_at(banks: Sequence[Bank]) -> dict[str, float]:
    """Name -> when it was last written, of those that are there: of others their fault is told elsewhere."""
    found = {}
    for bank in banks:
        with contextlib.suppress(OSError):
            found[bank.name] = bank.changed_at
    return found


def open_lists(options: Options) -> Lists:
    """The banks of this machine, or those on shards."""
    if options.ray:
        from leadline.service import cluster

        return cluster.open_lists(options)  # type: ignore[return-value]  # what `Lists` is, over shards
    return Lists(options.banks, shelf=options.shelf, radius_bits=options.radius_bits, threads=options.threads)


def _with_path(scope: Message, path: str) -> Message:
    return {**scope, "path": f"/{path}", "raw_path": f"/{path}".encode()}


def _response(request: Request, problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    if request.scope[CALL].speaks_hma:
        problem = as_message(problem)
    told = {name.decode(): value.decode() for name, value in problem.headers}
    return Response(problem.body, problem.status, {**told, **(headers or {})}, problem.content_type.decode())


async def _tell_error(request: Request, error: Exception) -> Response:
    if isinstance(error, TooBusy):
        request.scope[DESK].counters.count("leadline_refused", error.code)
    return _response(request, problem_of(error))


async def _tell_nobody(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody hears it


async def _tell_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not-found", 405: "method"}.get(error.status_code, "request")
    return _response(request, make_problem(error.status_code, code), error.headers)
