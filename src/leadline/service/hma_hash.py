"""HMA's `/h`: one file, uploaded or at an address, as signals. Also what look-ups and banks of HMA hash files by."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadline.domain import Fingerprints, PdqFamily
from leadline.errors import UntrustedMediaError
from leadline.scan.hashing import FileFacts
from leadline.service.calls import Call
from leadline.service.desk import Desk
from leadline.service.endpoints import demand, desk_of, tell_json
from leadline.service.hashing import Wish
from leadline.service.hma_types import (
    DEFAULTS,
    PHOTO,
    QUALITY_LIMIT,
    SIGNALS,
    VIDEO,
    choose_signals,
    read_query,
    refuse,
)
from leadline.service.intake import take_files
from leadline.service.tokens import Scope

QUALITY_HEADER = "leadline-quality"


class Hashed(NamedTuple):
    """One file. types: HMA's names of the signals that were asked for."""

    facts: FileFacts
    types: tuple[str, ...]

    @property
    def quality(self) -> int | None:
        views = self.facts.fingerprints.views
        return views[0].quality if views else None

    @property
    def headers(self) -> dict[str, str]:
        """HMA tells no quality; a header is in nobody's way."""
        return {} if self.quality is None else {QUALITY_HEADER: str(self.quality)}

    def signals(self) -> dict[str, str]:
        """As HMA tells them: "" for a PDQ hash of a picture without features."""
        prints = self.facts.fingerprints
        told = {name: prints.exact[SIGNALS[name]].hex() for name in self.types if SIGNALS[name] in prints.exact}
        if "pdq" in self.types and prints.views:
            has_features = prints.views[0].quality >= QUALITY_LIMIT
            told["pdq"] = prints.views[0].pdq[0].hex() if has_features else ""
        return {name: told[name] for name in self.types if name in told}

    def prints(self, algorithms: frozenset[str]) -> Fingerprints:
        """What is compared of the file: views with their transforms, and digests, of these algorithms alone."""
        prints = self.facts.fingerprints
        exact = {name: value for name, value in prints.exact.items() if name in algorithms}
        return Fingerprints(exact, prints.views if "pdq" in algorithms else ())


async def hash_address(request: Request) -> Response:
    """GET /h/hash."""
    call, desk = demand(request, Scope.HASH), desk_of(request)
    hashed = await fetch_file(call, desk, read_query(call.scope["query_string"]))
    return tell_json(hashed.signals(), headers=hashed.headers)


async def hash_file(request: Request) -> Response:
    """POST /h/hash."""
    call, desk = demand(request, Scope.HASH), desk_of(request)
    hashed, _ = await take_file(call, desk, read_query(call.scope["query_string"]).get("types"))
    return tell_json(hashed.signals(), headers=hashed.headers)


async def take_file(
    call: Call, desk: Desk, types: str | None, *, is_turned: bool = False
) -> tuple[Hashed, dict[str, str]]:
    """The one file of a form, whose field is named photo or video, and the fields beside it."""
    taken = await take_files(call, desk, _wish(desk, is_turned), with_fields=True)
    if not taken.files:
        raise refuse("Missing multipart/form-data file upload")
    if len(taken.files) > 1:
        raise refuse("Only one file allowed per request")
    ((name, facts),) = taken.files
    return _checked(Hashed(facts, choose_signals(name, types))), taken.fields


async def fetch_file(call: Call, desk: Desk, asked: Mapping[str, str], *, is_turned: bool = False) -> Hashed:
    """The file at an address; its type is named, or taken from what its sender says of it."""
    if not asked.get("url"):
        raise refuse("url is required")
    desk.fetcher.demand()
    limit_bytes = call.bound(call.options.max_body_bytes)
    with desk.hashers.holding(limit_bytes):
        arrival, said = await desk.fetcher.fetch(asked["url"], limit_bytes)
        types = choose_signals(asked.get("content_type") or _content_type(said), asked.get("types"))
        facts = await asyncio.wrap_future(desk.hashers.hash(arrival, _wish(desk, is_turned)))
    if facts.error is not None:
        desk.counters.count("leadline_decode_failures", facts.error.code)
    return _checked(Hashed(facts, types))


def _wish(desk: Desk, is_turned: bool) -> Wish:
    """HMA's hashes are of family b; a file that is looked up gets those of family a too where a bank holds some."""
    if not is_turned or not desk.lists.matcher().needs_family_a:
        return Wish(is_turned=is_turned)
    return Wish(frozenset({PdqFamily.A, PdqFamily.B}), is_turned=True)


def _content_type(said: str) -> str:
    kind = said.strip().lower()
    if kind.startswith("image"):
        return PHOTO
    if kind.startswith("video"):
        return VIDEO
    raise refuse("the address says neither image nor video: name its content_type")


def _checked(hashed: Hashed) -> Hashed:
    """RequestRefused where a picture's hash was asked for and there is no picture: HMA answers 500 or worse."""
    if "pdq" not in hashed.types or hashed.facts.fingerprints.views:
        return hashed
    if hashed.types != DEFAULTS[PHOTO] and hashed.facts.fingerprints.exact:
        return hashed  # the exact signals that were asked for beside it are there
    if isinstance(hashed.facts.error, UntrustedMediaError):
        raise refuse(f"not a picture that can be decoded: {hashed.facts.error.code}")
    raise refuse("not a picture that can be decoded")


ROUTES = [
    Route("/h/hash", hash_address, name="hma-hash-address", methods=["GET"]),
    Route("/h/hash", hash_file, name="hma-hash-file", methods=["POST"]),
]
