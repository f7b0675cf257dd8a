"""`POST /v1/hash` and `POST /v1/scan`: media in; hashes, and what banks say of them, out. Writes no media anywhere."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadline.errors import RequestRefused
from leadline.match.policy import MatchAnswer
from leadline.media.sniff import CONTAINER_TYPES
from leadline.scan.hashing import FileFacts
from leadline.scan.record import file_record
from leadline.scan.verdict import judge, match_reasons
from leadline.service.answers import tell_matches
from leadline.service.batcher import FileQuery
from leadline.service.calls import Call
from leadline.service.desk import Desk
from leadline.service.endpoints import demand, desk_of, tell_json
from leadline.service.hashing import Wish, wish_of
from leadline.service.intake import Taken, take_files
from leadline.service.query import Asked, read_asked
from leadline.service.tokens import Scope

_NOT_OPENED = "not opened: files within it are to be sent one by one"


async def hash_files(request: Request) -> Response:
    call, desk = demand(request, Scope.HASH), desk_of(request)
    taken = await _take(call, desk, Wish())
    return tell_json({"files": [_record(name, facts) for name, facts in taken.files]})


async def scan_files(request: Request) -> Response:
    call, desk = demand(request, Scope.HASH, Scope.MATCH), desk_of(request)
    asked = read_asked(call.scope["query_string"])
    call.token.demand_radius(asked.radius)
    matcher = desk.lists.matcher(asked.banks, asked.radius)
    taken = await _take(call, desk, wish_of(matcher))
    prints = [facts.fingerprints for _, facts in taken.files]
    found = await asyncio.get_running_loop().run_in_executor(desk.searchers, matcher.match, prints)
    desk.counters.count("leadline_lookups", "scan", by=len(found))
    told = [
        _record(name, facts) | _verdict(call, desk, facts, _tell(call, desk, asked, facts, answer))
        for (name, facts), answer in zip(taken.files, found, strict=True)
    ]
    return tell_json({"files": told, "lists": msgspec.Raw(desk.versions())})


async def _take(call: Call, desk: Desk, wish: Wish) -> Taken:
    taken = await take_files(call, desk, wish)
    if not taken.files:
        raise RequestRefused("a form without a part", status=400, code="multipart", mend="send one part for each file")
    return taken


def _tell(call: Call, desk: Desk, asked: Asked, facts: FileFacts, answer: MatchAnswer) -> MatchAnswer:
    query = FileQuery(facts.fingerprints, asked.banks, asked.radius)
    return desk.tell(call.token, query, answer, seed=asked.seed, route="scan")


def _record(name: str, facts: FileFacts) -> dict[str, object]:
    named: dict[str, object] = {"name": name} if name else {}
    return named | file_record(facts) | {"notes": _notes(facts)}


def _notes(facts: FileFacts) -> list[str]:
    """What reading and decoding had to say. Containers are not opened here: a scan of files does that."""
    unopened = [_NOT_OPENED] if facts.mime in CONTAINER_TYPES else []
    return [*facts.reasons, *unopened]


def _verdict(call: Call, desk: Desk, facts: FileFacts, answer: MatchAnswer) -> dict[str, object]:
    """As of a scan. Reasons name entries and distances; without that scope, only what the file itself is like."""
    details = Scope.DETAILS in call.token.scopes
    error, notes = facts.error.what if facts.error is not None else None, _notes(facts)
    judgement = judge(answer.matches, notes=notes, match_reasons=match_reasons(answer), error=error)
    return {
        "verdict": str(judgement.verdict),
        "kind": str(judgement.kind) if judgement.kind is not None else None,
        "reasons": judgement.reasons if details else [*([error] if error else []), *notes],
        "matches": tell_matches(judgement.matches, details=details, flooding=desk.flooding),
        "truncated": answer.truncated,
    }


ROUTES = [
    Route("/v1/hash", hash_files, name="hash", methods=["POST"]),
    Route("/v1/scan", scan_files, name="scan", methods=["POST"]),
]
