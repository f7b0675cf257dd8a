"""HMA's `/c` for banks: made, listed, switched, renamed, removed. Also its lists of types."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadline.domain import Kind
from leadline.errors import RequestRefused
from leadline.service.acts import Act
from leadline.service.calls import Call
from leadline.service.desk import Desk
from leadline.service.endpoints import demand, desk_of, may_know_all, tell_json
from leadline.service.hma_lookup import count_signals
from leadline.service.hma_types import PHOTO, SIGNALS, VIDEO, algorithm_of, refuse
from leadline.service.keeping import KeptBank
from leadline.service.settings import PLAIN, BankSettings
from leadline.service.shelving import NewBank
from leadline.service.tokens import Scope

_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_BODY_BYTES = 65_536
_TAKEN_S = 1.0  # by then every worker has read what was set
_FALSE, _TRUE = frozenset({"false", "0", "no", "off"}), frozenset({"true", "1", "yes", "on"})
T = TypeVar("T")


async def list_banks(request: Request) -> Response:
    call, desk = demand(request, Scope.MATCH), desk_of(request)
    return tell_json([_config(desk, name) for name in desk.lists.opened.versions if _may_know(call, desk, name)])


async def show_bank(request: Request) -> Response:
    call, desk = demand(request, Scope.MATCH), desk_of(request)
    name = request.path_params["bank"]
    if name not in desk.lists.opened.versions:
        name = (await find_bank(desk, name)).name
    if not _may_know(call, desk, name):
        raise _absent()
    return tell_json(_config(desk, name))


async def make_bank(request: Request) -> Response:
    """`kind` is ours: HMA knows none, so a bank without one is of the kind `other`."""
    call, desk = demand(request, Scope.CURATE), desk_of(request)
    asked = await read_object(call)
    name, kind = asked.get("name"), asked.get("kind", Kind.OTHER)
    if kind not in tuple(Kind):
        raise refuse(f"no such kind: {', '.join(Kind)} there are")
    ratio = _ratio(asked)
    desk.lists.kept_shelf().demand_place()
    new = NewBank(_checked_name(name), Kind(kind))

    def make() -> None:
        desk.curation.make_bank(act_of(call, "hma-make-bank", new.name), new)
        if ratio is None:
            desk.settings.set(new.name, PLAIN)
        else:
            _set(desk, call, new.name, BankSettings(ratio=ratio))

    try:
        await in_thread(desk, make)
    except RequestRefused as error:
        raise refuse("Bank already exists", 403) if error.code == "exists" else error from None
    _take_changes(desk)
    return tell_json(_config(desk, new.name), 201)


async def change_bank(request: Request) -> Response:
    call, desk = demand(request, Scope.CURATE), desk_of(request)
    bank, asked = await find_bank(desk, request.path_params["bank"]), await read_object(call)
    ratio, name = _ratio(asked), asked.get("name")
    wanted = _checked_name(name) if name is not None else bank.name

    def change() -> None:
        before = desk.settings.of(bank.name)
        if wanted != bank.name:
            _rename(desk, call, bank.name, wanted)
        if ratio is None:
            desk.settings.set(wanted, before)  # carried along with its bank
        else:
            _set(desk, call, wanted, BankSettings(ratio=ratio, shadow=before.shadow))

    await in_thread(desk, change)
    _take_changes(desk)
    return tell_json(_config(desk, wanted))


def _set(desk: Desk, call: Call, name: str, settings: BankSettings) -> None:
    """Written down as every change is: a bank that is off matches nothing."""
    with desk.acts.noted(act_of(call, "hma-settings", name), msgspec.structs.asdict(settings)) as done:
        desk.settings.set(name, settings)
        done(desk.lists.opened.versions.get(name, 0), ())


def _rename(desk: Desk, call: Call, old: str, name: str) -> None:
    def carry() -> None:
        """Shards tell the new name at once, and no worker may tell a bank by it that is kept in silence."""
        if desk.lists.is_remote and (settings := desk.settings.of(old)) != PLAIN:
            desk.settings.set(name, settings)
            time.sleep(_TAKEN_S)

    try:
        desk.curation.rename_bank(act_of(call, "hma-rename-bank", old), name, carry=carry)
    except RequestRefused as error:
        raise refuse("Bank name already exists", 403) if error.code == "exists" else error from None
    desk.hma.rename(old, name)
    desk.settings.forget(old)


async def remove(request: Request) -> Response:
    """As in HMA it is done also where there was none. A bank that was named on the command line stays."""
    call, desk = demand(request, Scope.CURATE), desk_of(request)
    act = act_of(call, "hma-remove-bank", request.path_params["bank"])
    await in_thread(desk, lambda: desk.curation.remove_bank(act))
    _take_changes(desk)
    return tell_json({"message": "Done"})


async def list_signal_types(request: Request) -> Response:
    demand(request, Scope.MATCH)
    desk = desk_of(request)
    return tell_json([{"name": name, "enabled_ratio": desk.hma.ratio(name)} for name in SIGNALS])


async def set_signal_type(request: Request) -> Response:
    call, desk = demand(request, Scope.CURATE), desk_of(request)
    name, asked = request.path_params["signal_type"], await read_object(call)
    algorithm_of(name)
    if asked.get("enabled_ratio") is None:
        raise refuse("Missing required JSON field enabled_ratio")
    ratio = _share(asked["enabled_ratio"])

    def set_ratio() -> None:
        with desk.acts.noted(act_of(call, "hma-signal-type", ""), {"signal_type": name, "ratio": ratio}) as done:
            desk.hma.set_ratio(name, ratio)
            done(0, ())

    await in_thread(desk, set_ratio)
    return Response(status_code=204)


async def signal_type_index(request: Request) -> Response:
    demand(request, Scope.MATCH)
    desk = desk_of(request)
    sizes, built_to = await count_signals(desk, request.query_params.get("signal_type"))
    told = {"index_out_of_date": desk.lists.is_stale, "newest_db_item": built_to, "index_built_to": built_to}
    return tell_json({name: {"db_size": size, "index_size": size, **told} for name, size in sizes.items()})


async def list_content_types(request: Request) -> Response:
    demand(request, Scope.MATCH)
    return tell_json([{"name": name, "enabled": True} for name in (PHOTO, VIDEO)])


def act_of(call: Call, name: str, bank: str) -> Act:
    return Act(call.token.id, name, bank, "", b"")


async def in_thread(desk: Desk, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(desk.clerks, work)


async def find_bank(desk: Desk, name: str) -> KeptBank:
    """RequestRefused with 404. A bank that another worker has just made is looked for once."""
    await desk.look_for(name)
    if name not in desk.lists.opened.versions:
        raise _absent()
    return desk.lists.kept(name)


async def read_object(call: Call) -> dict[str, Any]:
    try:
        told: dict[str, Any] = msgspec.json.decode(await call.body(_BODY_BYTES), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise refuse("send a JSON object") from None
    return told


def _absent() -> RequestRefused:
    return refuse("bank not found", 404)


def _may_know(call: Call, desk: Desk, name: str) -> bool:
    """Whoever may only match hears of the banks that an answer can name."""
    return may_know_all(call.token) or name not in desk.settings.silent


def _take_changes(desk: Desk) -> None:
    desk.take_settings()
    desk.woken.set()


def _config(desk: Desk, name: str) -> dict[str, Any]:
    settings = desk.settings.of(name)
    return {"name": name, "matching_enabled_ratio": settings.ratio if settings.enabled else 0.0}


def _checked_name(untrusted: object) -> str:
    if not isinstance(untrusted, str) or not _NAME.fullmatch(untrusted) or len(untrusted) > 200:
        raise refuse("Bank names must match ^[A-Z_][A-Z0-9_]*$")
    return untrusted


def _ratio(asked: Mapping[str, Any]) -> float | None:
    """Of `enabled_ratio`, else of `enabled`; None where neither is named."""
    if asked.get("enabled_ratio") is not None:
        return _share(asked["enabled_ratio"])
    enabled = asked.get("enabled")
    if enabled is None:
        return None
    told = str(enabled).lower()
    if told not in _TRUE | _FALSE:
        raise refuse("enabled is true or false")
    return 1.0 if told in _TRUE else 0.0


def _share(untrusted: object) -> float:
    """A number, or a text of one: clients send both."""
    try:
        ratio = float(untrusted) if isinstance(untrusted, int | float | str) else -1.0
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise refuse("enabled_ratio is 0 to 1")
    return ratio


ROUTES = [
    Route("/c/banks", list_banks, name="hma-banks", methods=["GET"]),
    Route("/c/banks", make_bank, name="hma-banks", methods=["POST"]),
    Route("/c/bank/{bank}", show_bank, name="hma-bank", methods=["GET"]),
    Route("/c/bank/{bank}", change_bank, name="hma-bank", methods=["PUT"]),
    Route("/c/bank/{bank}", remove, name="hma-bank", methods=["DELETE"]),
    Route("/c/signal_type", list_signal_types, name="hma-types", methods=["GET"]),
    Route("/c/signal_type/index", signal_type_index, name="hma-index", methods=["GET"]),
    Route("/c/signal_type/{signal_type}", set_signal_type, name="hma-types", methods=["PUT"]),
    Route("/c/content_type", list_content_types, name="hma-types", methods=["GET"]),
]
