"""HMA's `/c` for what a bank holds: a content is an entry of ours, its number one for all banks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadline.domain import Entry
from leadline.errors import RequestRefused
from leadline.service.calls import Call
from leadline.service.desk import Desk
from leadline.service.endpoints import demand, desk_of, tell_json
from leadline.service.hma_banks import act_of, find_bank, in_thread, read_object
from leadline.service.hma_hash import Hashed, fetch_file, take_file
from leadline.service.hma_types import (
    algorithm_of,
    disabled_until_of,
    join_number,
    read_query,
    read_signal,
    refuse,
    signals_of,
    split_number,
    ts_of,
)
from leadline.service.keeping import KeptBank
from leadline.service.repeats import Turn
from leadline.service.tokens import Scope

_MAX_NOTE_CHARS = 255
_MAX_OFF_S = 5 * 365 * 86_400


class Metadata(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """As HMA's clients send it; it is the metadata of our entry, as JSON. `json` may be any object."""

    content_id: str | None = None
    content_uri: str | None = None
    json: dict[str, Any] | None = None


_metadata = msgspec.json.Decoder(Metadata)


async def add_file(request: Request) -> Response:
    """POST /c/bank/<bank>/content: a file, or `?url=`. All its exact hashes are kept beside what was asked for."""
    call, desk = demand(request, Scope.CURATE, Scope.HASH), desk_of(request)
    bank = await find_bank(desk, request.path_params["bank"])
    asked = read_query(call.scope["query_string"])
    if "url" in asked:
        beside = await _read_beside(call)
        hashed = await fetch_file(call, desk, asked)
        note, metadata = _note(beside.get("note")), _checked_metadata(beside.get("metadata"))
    else:
        hashed, fields = await take_file(call, desk, asked.get("types"))
        note, metadata = _note(fields.get("note")), _metadata_of_form(fields)
    told, quality = hashed.signals(), hashed.quality
    more = {"quality": quality, "note": note, "metadata": metadata}
    number = await in_thread(desk, lambda: _add(desk, call, bank, _prints(hashed), more))
    return tell_json({"id": await _content_number(desk, bank, number), "signals": told}, headers=hashed.headers)


async def add_signals(request: Request) -> Response:
    """POST /c/bank/<bank>/signal: {signal type: hash, ..., "note": text}."""
    call, desk = demand(request, Scope.CURATE), desk_of(request)
    bank = await find_bank(desk, request.path_params["bank"])
    asked = await read_object(call)
    note = _note(asked.pop("note", None))
    if not asked:
        raise refuse("No signals given")
    told = {name: _digits(name, value) for name, value in asked.items()}
    prints = {algorithm_of(name): bytes.fromhex(value) for name, value in told.items()}
    number = await in_thread(desk, lambda: _add(desk, call, bank, prints, {"note": note}))
    return tell_json({"id": await _content_number(desk, bank, number), "signals": told})


async def show(request: Request) -> Response:
    call, desk = demand(request, Scope.CURATE), desk_of(request)
    bank = await find_bank(desk, request.path_params["bank"])
    entry_id = await _entry_id(desk, bank, request.path_params["content"])
    entry = await in_thread(desk, lambda: _read(bank, entry_id))
    asked = read_query(call.scope["query_string"])
    told = await _config(desk, bank, entry)
    if asked.get("include_metadata", "true").lower() == "false":
        told.pop("metadata")
    if asked.get("include_signals", "false").lower() == "true":
        told["signals"] = signals_of(entry)
    return tell_json(told)


async def change(request: Request) -> Response:
    call, desk = demand(request, Scope.CURATE), desk_of(request)
    bank = await find_bank(desk, request.path_params["bank"])
    entry_id = await _entry_id(desk, bank, request.path_params["content"])
    asked, changes = await read_object(call), dict[str, Any]()
    if "disable_until_ts" in asked:
        changes["disabled_until"] = disabled_until_of(_ts(asked["disable_until_ts"]))
    if "note" in asked:
        changes["note"] = _note(asked["note"])
    after = await in_thread(desk, lambda: _change(desk, call, bank, entry_id, changes))
    desk.woken.set()
    return tell_json(await _config(desk, bank, after))


def _change(desk: Desk, call: Call, bank: KeptBank, entry_id: int, changes: Mapping[str, Any]) -> Entry:
    """The entry as it then is. One change of a bank at a time, so that none undoes another."""
    act, changed = act_of(call, "hma-change-content", bank.name), list[Entry]()

    def work(turn: Turn) -> tuple[int, dict[str, Any]]:
        turn.begin({})
        before = _read(bank, entry_id)
        changed.append(msgspec.structs.replace(before, **changes))
        if changed[0] != before:
            with desk.acts.noted(act, {"entries": 1}) as done:
                bank.change(changed[0])
                done(bank.list_version, [entry_id])
        return 200, {}

    desk.acts.perform(act, work)
    return changed[0]


async def remove(request: Request) -> Response:
    """As in HMA a content that is not there is 0 of them; one of another bank is not found."""
    call, desk = demand(request, Scope.CURATE), desk_of(request)
    bank = await find_bank(desk, request.path_params["bank"])
    entry_id = await _entry_id(desk, bank, request.path_params["content"])

    def work() -> int:
        with desk.acts.noted(act_of(call, "hma-remove-content", bank.name), {"entries": 1}) as done:
            removed = bank.remove([entry_id])
            done(bank.list_version, [entry_id] if removed else [])
        return removed

    removed = await in_thread(desk, work)
    desk.woken.set()
    return tell_json({"deleted": removed})


def _add(desk: Desk, call: Call, bank: KeptBank, prints: Mapping[str, bytes], more: Mapping[str, Any]) -> int:
    """Its id. RequestRefused where the bank does not take it."""
    act, ids = act_of(call, "hma-add-content", bank.name), list[int]()

    def work(turn: Turn) -> tuple[int, dict[str, Any]]:
        turn.begin({})
        bank.refresh()
        entry = Entry(bank.kind, prints, source=f"token {call.token.id}", tlp=bank.tlp, **more)
        with desk.acts.noted(act, {"entries": 1}) as done:
            result = bank.add([entry])
            done(bank.list_version, result.ids)
        if not result.ids:
            raise refuse(f"not taken: {result.refused[0].error.what}")
        ids.extend(result.ids)
        return 200, {}

    desk.acts.perform(act, work)
    desk.refresh()
    return ids[0]


def _prints(hashed: Hashed) -> dict[str, bytes]:
    """A picture without features is known by its exact hashes alone."""
    prints = dict(hashed.facts.fingerprints.exact)
    if pdq := hashed.signals().get("pdq"):
        prints["pdq"] = bytes.fromhex(pdq)
    return prints


def _read(bank: KeptBank, entry_id: int) -> Entry:
    """RequestRefused with 404. Another worker may have added it this moment."""
    bank.refresh()
    try:
        return bank.get(entry_id)
    except RequestRefused as error:
        raise (_absent() if error.status == 404 else error) from None


async def _entry_id(desk: Desk, bank: KeptBank, content: int) -> int:
    number, entry_id = split_number(content)
    if number != (await desk.hma.numbers(desk))[bank.name]:
        raise _absent()
    return entry_id


async def _content_number(desk: Desk, bank: KeptBank, entry_id: int) -> int:
    return join_number((await desk.hma.numbers(desk))[bank.name], entry_id)


def _absent() -> RequestRefused:
    return refuse("content not found", 404)


async def _config(desk: Desk, bank: KeptBank, entry: Entry) -> dict[str, Any]:
    settings = desk.settings.of(bank.name)
    metadata = _kept_metadata(entry.metadata)
    return {
        "id": await _content_number(desk, bank, entry.id or 0),
        "disable_until_ts": ts_of(entry.disabled_until),
        "original_media_uri": metadata.content_uri,
        "bank": {"name": bank.name, "matching_enabled_ratio": settings.ratio if settings.enabled else 0.0},
        "metadata": {
            "content_id": metadata.content_id,
            "content_uri": metadata.content_uri,
            "json": metadata.json,
            "collab": {entry.source: [entry.source_id]} if entry.source and entry.source_id else {},
        },
        "note": entry.note or None,
    }


def _kept_metadata(text: str) -> Metadata:
    """What an HMA client sent; of an entry that came another way, all its metadata as `json`."""
    try:
        return _metadata.decode(text or "{}")
    except msgspec.ValidationError:
        return Metadata(json=msgspec.json.decode(text))


async def _read_beside(call: Call) -> dict[str, Any]:
    """The JSON beside `?url=`, which need not be there."""
    is_there = call.header(b"content-length") not in (b"", b"0") or call.header(b"transfer-encoding")
    return await read_object(call) if is_there else {}


def _metadata_of_form(fields: Mapping[str, str]) -> str:
    """`metadata` is the `json` of it, or all of it; content_id and content_uri may stand by themselves."""
    told: Any = {}
    if "metadata" in fields:
        try:
            told = msgspec.json.decode(fields["metadata"])
        except (msgspec.DecodeError, RecursionError):
            raise refuse("metadata should be a json object") from None
        if isinstance(told, dict) and not (told and told.keys() <= set(Metadata.__struct_fields__)):
            told = {"json": told}
    if isinstance(told, dict):
        told |= {name: fields[name] for name in ("content_id", "content_uri") if name in fields}
    return _checked_metadata(told)


def _checked_metadata(untrusted: object) -> str:
    if untrusted is None:
        return ""
    try:
        metadata = msgspec.convert(untrusted, Metadata)
    except msgspec.ValidationError:
        raise refuse("metadata is an object of content_id, content_uri (texts) and json (an object)") from None
    text = msgspec.json.encode(metadata).decode()
    return "" if text == "{}" else text


def _note(untrusted: object) -> str:
    if untrusted is None:
        return ""
    if not isinstance(untrusted, str) or len(untrusted) > _MAX_NOTE_CHARS:
        raise refuse(f"note is a text of at most {_MAX_NOTE_CHARS} characters")
    return untrusted


def _ts(untrusted: object) -> int:
    try:
        ts = int(untrusted) if isinstance(untrusted, int | str) else -1
    except ValueError:
        ts = -1
    if ts < 0:
        raise refuse("disable_until_ts must be a non-negative integer")
    if ts > time.time() + _MAX_OFF_S:
        raise refuse("disable_until_ts must be less than 5 years in the future")
    return ts


def _digits(name: str, untrusted: object) -> str:
    algorithm = algorithm_of(name)
    if not isinstance(untrusted, str):
        raise refuse("a signal is a text")
    return read_signal(algorithm, untrusted).hex()


ROUTES = [
    Route("/c/bank/{bank}/content", add_file, name="hma-content", methods=["POST"]),
    Route("/c/bank/{bank}/signal", add_signals, name="hma-content", methods=["POST"]),
    Route("/c/bank/{bank}/content/{content:int}", show, name="hma-content", methods=["GET"]),
    Route("/c/bank/{bank}/content/{content:int}", change, name="hma-content", methods=["PUT"]),
    Route("/c/bank/{bank}/content/{content:int}", remove, name="hma-content", methods=["DELETE"]),
]
