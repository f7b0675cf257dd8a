"""HMA's `/m`: look-ups by hash, by file, by address; comparing; what there is to match with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadline.domain import Match
from leadline.match.policy import MatchAnswer
from leadline.service import hma_hash
from leadline.service.batcher import FileQuery, Query
from leadline.service.calls import Call
from leadline.service.desk import Desk
from leadline.service.endpoints import demand, desk_of, tell_json
from leadline.service.hma_types import (
    NO_DISTANCE,
    SIGNALS,
    algorithm_of,
    compare,
    join_number,
    read_query,
    read_signal,
    refuse,
)
from leadline.service.tokens import Scope

LookUp = dict[str, list[dict[str, Any]]]  # bank -> its contents that were met
_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})  # what HMA's own reading of a bool takes
_COMPARE_BYTES = 65_536
_NOTHING = b"{}"
TRUNCATED_HEADER = "leadline-truncated"  # more contents were met than are told
_encode = msgspec.json.Encoder().encode
_comparisons = msgspec.json.Decoder(dict[str, list[str]])


async def look_up(call: Call, desk: Desk) -> None:
    """GET /m/lookup. By hash it is asked thousands of times a second, so it takes the short way."""
    call.token.demand(Scope.MATCH)
    asked = read_query(call.scope["query_string"])
    if "url" in asked:
        hashed, found, is_cut = await _look_up_address(call, desk, asked)
        chosen = asked.get("signal_type")
        body = _encode(found if chosen is None else found.get(chosen, {}))
        headers = _headers(hashed, is_cut)
        await call.reply(body, headers=tuple((name.encode(), value.encode()) for name, value in headers.items()))
        return
    signal_type, signal = asked.get("signal_type", ""), asked.get("signal")
    if signal is None or not signal_type:
        raise refuse("Either url or both signal and signal_type are required")
    algorithm = _enabled(desk, signal_type)
    banks = _banks(desk, asked)
    if not signal or banks == () or not desk.hma.takes_part(signal_type, _seed(asked)):
        await call.reply(_NOTHING)  # no signal: of a picture without features HMA's own hasher gives none
        return
    query = Query(algorithm, read_signal(algorithm, signal), banks)
    answer = await desk.batcher.ask(query)
    desk.counters.count("leadline_lookups", "hma-lookup")
    answer = desk.tell(call.token, query, answer, seed=_seed(asked), draw=not _bypass(asked), route="hma")
    if not answer.matches:
        await call.reply(_NOTHING)
        return
    body = _encode(_by_bank(call, desk, await desk.hma.numbers(desk), answer.matches))
    await call.reply(body, headers=((TRUNCATED_HEADER.encode(), b"1"),) if answer.truncated else ())


async def look_up_file(request: Request) -> Response:
    """POST /m/lookup."""
    call, desk = demand(request, Scope.MATCH, Scope.HASH), desk_of(request)
    asked = read_query(call.scope["query_string"])
    hashed, _ = await hma_hash.take_file(call, desk, asked.get("types"), is_turned=True)
    found, is_cut = await _look_up_hashed(call, desk, asked, hashed)
    return tell_json(found, headers=_headers(hashed, is_cut))


def _headers(hashed: hma_hash.Hashed, is_cut: bool) -> dict[str, str]:
    return {**hashed.headers, **({TRUNCATED_HEADER: "1"} if is_cut else {})}


async def _look_up_address(
    call: Call, desk: Desk, asked: Mapping[str, str]
) -> tuple[hma_hash.Hashed, dict[str, LookUp], bool]:
    call.token.demand(Scope.HASH)
    hashed = await hma_hash.fetch_file(call, desk, asked, is_turned=True)
    return hashed, *await _look_up_hashed(call, desk, asked, hashed)


async def _look_up_hashed(
    call: Call, desk: Desk, asked: Mapping[str, str], hashed: hma_hash.Hashed
) -> tuple[dict[str, LookUp], bool]:
    """One file against the banks: what it met by type of signal, and whether that is cut short. A type that is
    switched off is left out."""
    wanted = {name: SIGNALS[name] for name in hashed.types if desk.hma.ratio(name) > 0}
    banks, told = _banks(desk, asked), {name: LookUp() for name in wanted}
    taking_part = {name: algorithm for name, algorithm in wanted.items() if desk.hma.takes_part(name, _seed(asked))}
    if banks == () or not taking_part:
        return dict(told), False
    prints = hashed.prints(frozenset(taking_part.values()))
    matcher = desk.lists.matcher(banks)
    (answer,) = await asyncio.get_running_loop().run_in_executor(desk.searchers, matcher.match, [prints])
    desk.counters.count("leadline_lookups", "hma-lookup-file")
    query = FileQuery(prints, banks)
    answer = desk.tell(call.token, query, answer, seed=_seed(asked), draw=not _bypass(asked), route="hma")
    numbers = await desk.hma.numbers(desk)
    for name, algorithm in taking_part.items():
        found = [match for match in answer.matches if match.algorithm == algorithm]
        told[name] = _by_bank(call, desk, numbers, found)
    return dict(told), answer.truncated


async def raw_look_up(request: Request) -> Response:
    """GET /m/raw_lookup: numbers of contents, whatever the ratios of banks say; so it needs details."""
    call, desk = demand(request, Scope.MATCH, Scope.DETAILS), desk_of(request)
    asked = read_query(call.scope["query_string"])
    if "signal" not in asked or "signal_type" not in asked:
        raise refuse("signal and signal_type are required")
    algorithm, banks = _enabled(desk, asked["signal_type"]), _banks(desk, asked)
    query = Query(algorithm, read_signal(algorithm, asked["signal"]), banks)
    answer = MatchAnswer() if banks == () else await desk.batcher.ask(query)
    desk.counters.count("leadline_lookups", "hma-raw-lookup")
    answer = desk.tell(call.token, query, answer, draw=False, route="hma")
    found = _by_bank(call, desk, await desk.hma.numbers(desk), answer.matches).values()
    contents = [content for bank in found for content in bank]
    is_far = asked.get("include_distance", "").lower() in _TRUE
    told = contents if is_far else [content["bank_content_id"] for content in contents]
    return tell_json({"matches": told}, headers={TRUNCATED_HEADER: "1"} if answer.truncated else {})


async def compare_signals(request: Request) -> Response:
    """POST /m/compare."""
    call, desk = demand(request, Scope.MATCH), desk_of(request)
    try:
        asked = _comparisons.decode(await call.body(_COMPARE_BYTES))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise refuse("send an object of signal types, each with a list of two hashes") from None
    told = {}
    for signal_type, signals in asked.items():
        if len(signals) != 2:
            raise refuse("Comparison hash list length must be exactly 2")
        algorithm = _enabled(desk, signal_type)
        told[signal_type] = compare(algorithm, *(read_signal(algorithm, signal) for signal in signals))
    return tell_json(told)


async def index_status(request: Request) -> Response:
    """GET /m/index/status. Everything that is in a bank is in the index."""
    demand(request, Scope.MATCH)
    desk = desk_of(request)
    sizes, built_to = await count_signals(desk, request.query_params.get("signal_type"))
    return tell_json({
        name: {"present": bool(size), "built_to": built_to if size else -1, "size": size}
        for name, size in sizes.items()
    })  # fmt: skip


async def count_signals(desk: Desk, only: str | None) -> tuple[dict[str, int], int]:
    """Signals of each type in all banks, and until when changes are in."""
    if only is not None:
        algorithm_of(only)
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(desk.clerks, desk.lists.count_prints)
    built_to = int(time.time() - (time.monotonic() - desk.lists.checked_at))
    return {name: found[algorithm] for name, algorithm in SIGNALS.items() if only in (None, name)}, built_to


def _enabled(desk: Desk, signal_type: str) -> str:
    """Our algorithm for it. RequestRefused where its ratio is 0: HMA takes 0 for on."""
    algorithm = algorithm_of(signal_type)
    if desk.hma.ratio(signal_type) <= 0:
        raise refuse("this SignalType is not enabled")
    return algorithm


def _banks(desk: Desk, asked: Mapping[str, str]) -> tuple[str, ...] | None:
    """Those named that there are; none of them is no match, as in HMA. None: all."""
    named = asked.get("banks")
    if not named:
        return None
    return tuple(sorted(set(named.split(",")) & desk.lists.opened.versions.keys()))


def _seed(asked: Mapping[str, str]) -> str | None:
    return asked.get("seed")


def _bypass(asked: Mapping[str, str]) -> bool:
    return asked.get("bypass_coinflip", "").lower() in _TRUE


def _by_bank(call: Call, desk: Desk, numbers: Mapping[str, int], matches: Iterable[Match]) -> LookUp:
    """HMA's shape. A token without details is told the banks: one content each, without number and distance."""
    details, told = Scope.DETAILS in call.token.scopes, LookUp()
    for match in matches:
        content: dict[str, Any] = {"bank_content_id": 0, "distance": ""}
        if details:
            distance = str(int(match.distance)) if match.algorithm == "pdq" else NO_DISTANCE
            content = {"bank_content_id": join_number(numbers.get(match.bank, 0), match.entry), "distance": distance}
        if match.suppressed_by is not None:
            content["suppressed"] = True
        if (match.bank, match.entry) in desk.flooding:
            content["flooding"] = True
        known = told.setdefault(match.bank, [])
        if content not in known:
            known.append(content)
    return told


ROUTES = [
    Route("/m/lookup", look_up_file, name="hma-lookup-file", methods=["POST"]),
    Route("/m/raw_lookup", raw_look_up, name="hma-raw-lookup", methods=["GET"]),
    Route("/m/compare", compare_signals, name="hma-compare", methods=["POST"]),
    Route("/m/index/status", index_status, name="hma-index", methods=["GET"]),
]
