"""HMA's `/c` for exchanges: the sources that `leadline exchange` keeps, told as HMA tells its own. Changes none.

What is told is in the sources' own files. No credential is, and of the options only those that HMA has too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadline.errors import BankError, ConfigError
from leadline.exchange.ncmec_bases import BASES
from leadline.match.bank import Bank
from leadline.service.desk import Desk
from leadline.service.endpoints import demand, desk_of, tell_json
from leadline.service.hma_banks import in_thread
from leadline.service.hma_types import refuse
from leadline.service.tokens import Scope
from leadline.subscriptions.folder import Sealing, Subscription, Subscriptions

# Connectors that HMA calls otherwise (python-threatexchange, exchanges/impl). `ncmec` and `sample` are its names too;
# those that it does not know go by ours.
_API_NAMES = {"threatexchange": "fb_threatexchange", "stopncii": "stop_ncii"}
T = TypeVar("T")


async def list_exchanges(request: Request) -> Response:
    return tell_json([source.name for source in await _read(request, _sources)])


async def show_exchange(request: Request) -> Response:
    return tell_json(_config(await _found(request)))


async def show_status(request: Request) -> Response:
    source = await _found(request)
    return tell_json(await _read(request, lambda desk: _status(desk, source)))


async def list_apis(request: Request) -> Response:
    """Those that sources are of: more cannot be set up through the service anyway."""
    return tell_json(sorted({_api_of(source) for source in await _read(request, _sources)}))


async def show_api(request: Request) -> Response:
    """HMA has one credential for an API, we have them for a source: told is whether any source has some."""
    sources = await _of_api(request)
    has_some = await _read(request, lambda desk: any(_open(desk).secret_places(source.name) for source in sources))
    return tell_json({"supports_authentification": has_some, "has_set_authentification": has_some})


async def show_schema(request: Request) -> Response:
    """HMA's clients make a form of it. It has no field: no source and no credential is taken here."""
    await _of_api(request)
    return tell_json({"config_schema": {"fields": []}, "credentials_schema": None})


async def refuse_new(request: Request) -> Response:
    _demand(request)
    raise refuse("sources are not set up through the service: `leadline exchange add` does it", 403)


async def refuse_credential(request: Request) -> Response:
    await _of_api(request)
    raise refuse("credentials are not given through the service: `leadline exchange add` takes them", 403)


async def refuse_change(request: Request) -> Response:
    name = (await _found(request)).name
    how = f"`leadline exchange remove {name}`, then `leadline exchange add {name}`"
    raise refuse(f"sources are not changed through the service: {how} do it", 403)


async def refuse_removal(request: Request) -> Response:
    """As in HMA it is done where there was none."""
    name = request.path_params["exchange"]
    if (source := await _read(request, lambda desk: _find(desk, name))) is None:
        return tell_json({"message": "Exchange deleted"})
    raise refuse(f"sources are not removed through the service: `leadline exchange remove {source.name}` does it", 403)


def _demand(request: Request) -> Desk:
    """Whoever may change banks, or administers. ScopeMissing."""
    call = demand(request)
    if Scope.ADMIN not in call.token.scopes:
        call.token.demand(Scope.CURATE)
    return desk_of(request)


async def _read(request: Request, read: Callable[[Desk], T]) -> T:
    desk = _demand(request)
    return await in_thread(desk, lambda: read(desk))


async def _found(request: Request) -> Subscription:
    """The one that the address names. RequestRefused."""
    name = request.path_params["exchange"]
    if (source := await _read(request, lambda desk: _find(desk, name))) is None:
        raise refuse("Exchange not found", 404)
    return source


async def _of_api(request: Request) -> list[Subscription]:
    """The sources of the API that the address names. RequestRefused where there is none, as in HMA."""
    api = request.path_params["api"]
    sources = [source for source in await _read(request, _sources) if _api_of(source) == api]
    if not sources:
        raise refuse("no such Exchange API")
    return sources


# --- in a thread ---------------------------------------------------------------------------------------------------


def _open(desk: Desk) -> Subscriptions:
    assert desk.options.sources is not None
    return Subscriptions(desk.options.sources, {}, _no_sealing)


def _no_sealing() -> Sealing:
    raise NotImplementedError("no credential is sealed or opened here")


def _sources(desk: Desk) -> list[Subscription]:
    """Those that hand over a list, by name: a look-up fetches nothing. ConfigError where their files are damaged."""
    if desk.options.sources is None:
        return []
    opened = _open(desk)
    return [source for source in map(opened.get, opened.names()) if source.bank]


def _find(desk: Desk, name: str) -> Subscription | None:
    """By its name, else by that of its bank as the service has it: HMA gives an exchange and its bank one name."""
    sources = {source.name: source for source in _sources(desk)}
    if name in sources or desk.lists.is_remote:
        return sources.get(name)
    folders = {os.path.realpath(bank.path) for bank in desk.lists.opened.banks if bank.name == name}
    return next((source for source in sources.values() if os.path.realpath(source.bank) in folders), None)


def _api_of(source: Subscription) -> str:
    return _API_NAMES.get(source.connector, source.connector)


def _config(source: Subscription) -> dict[str, Any]:
    """As python-threatexchange writes it down: CollaborationConfigBase, and the fields of the API's own.

    An address of one's own choice is none of HMA's environments, and is not told.
    """
    told: dict[str, Any] = {"name": source.name, "api": _api_of(source), "enabled": True}
    try:
        return told | _OWN_FIELDS.get(source.connector, _no_fields)(source.options)
    except (KeyError, ValueError, TypeError):
        mend = "another version of leadline wrote them: remove the source and add it again"
        raise ConfigError("its options do not fit its connector", where=source.name, mend=mend) from None


def _no_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    return {}


def _threatexchange_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    return {"privacy_group": int(options["privacy_group"])}


def _ncmec_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    base = BASES[options["environment"]].get(options["list"])
    return {"only_esp_ids": [], **({"environment": base} if base else {})}


_OWN_FIELDS = {"threatexchange": _threatexchange_fields, "ncmec": _ncmec_fields}


def _status(desk: Desk, source: Subscription) -> dict[str, Any]:
    """HMA's FetchStatus. Seconds since 1970; None where there was none.

    checkpoint_ts  the list is here as it was then: the last pull that ended well began then
    up_to_date     the last pull told all that there was, and none was cut off since
    fetched_items  entries of its bank, which holds nobody else's
    """
    opened = _open(desk)
    was_busy, status = opened.is_busy(source.name), opened.status(source.name)
    is_busy = was_busy or opened.is_busy(source.name)  # one that began or ended in between was not cut off
    last = (status.get("runs") or [{}])[-1]
    started, is_well = status.get("started"), bool(last) and not last.get("error")
    is_cut = bool(started) and not is_busy
    return {
        "checkpoint_ts": (status.get("last_success") or {}).get("started"),
        "running_fetch_start_ts": started if is_busy else None,
        "last_fetch_complete_ts": last.get("ended"),
        "last_fetch_succeeded": is_well if last else None,
        "up_to_date": is_well and bool(last.get("is_complete")) and not is_cut,
        "fetched_items": _count(source),
    }


def _count(source: Subscription) -> int:
    try:
        return Bank.open(Path(source.bank)).count
    except BankError:
        how = f"`leadline exchange status {source.name}` says why"
        raise refuse(f"the bank of this source cannot be read here: {how}", 503) from None


ROUTES = [
    Route("/c/exchanges", list_exchanges, name="hma-exchange", methods=["GET"]),
    Route("/c/exchanges", refuse_new, name="hma-exchange", methods=["POST"]),
    Route("/c/exchanges/apis", list_apis, name="hma-exchange", methods=["GET"]),
    Route("/c/exchanges/api/{api}", show_api, name="hma-exchange", methods=["GET"]),
    Route("/c/exchanges/api/{api}", refuse_credential, name="hma-exchange", methods=["POST"]),
    Route("/c/exchanges/api/{api}/schema", show_schema, name="hma-exchange", methods=["GET"]),
    Route("/c/exchange/{exchange}", show_exchange, name="hma-exchange", methods=["GET"]),
    Route("/c/exchange/{exchange}", refuse_change, name="hma-exchange", methods=["PUT"]),
    Route("/c/exchange/{exchange}", refuse_removal, name="hma-exchange", methods=["DELETE"]),
    Route("/c/exchange/{exchange}/status", show_status, name="hma-exchange", methods=["GET"]),
]
