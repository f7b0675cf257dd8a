"""The addresses of HMA, so that its clients work with another address alone. What differs is in docs/hma.md."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadline.service import hma_banks, hma_content, hma_exchanges, hma_hash, hma_lookup
from leadline.service.endpoints import desk_of

_TEXT = "text/plain; charset=utf-8"


async def status(request: Request) -> Response:
    """As HMA's load balancers ask it, without a token. 503 where answers might be older than the lists."""
    if desk_of(request).lists.is_stale:
        return Response("INDEX-STALE", 503, media_type=_TEXT)
    return Response("I-AM-ALIVE", media_type=_TEXT)


async def live(request: Request) -> Response:
    return Response("I-AM-ALIVE", media_type=_TEXT)


ROUTES = [
    Route("/status", status, name="hma-status", methods=["GET"]),
    Route("/status/live", live, name="hma-status", methods=["GET"]),
    *hma_hash.ROUTES,
    *hma_lookup.ROUTES,
    *hma_banks.ROUTES,
    *hma_content.ROUTES,
    *hma_exchanges.ROUTES,
]
