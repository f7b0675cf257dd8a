"""Whatever is sent to HMA's addresses is answered in HMA's words, and never by a fault of ours."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from starlette.routing import Route
from tests.service.conftest import PDQ, Worker
from tests.service.pictures import form

from leadline.service import hma

QUERIES = (
    "", "signal=&signal_type=", "signal=%00&signal_type=pdq", "signal=%ff%fe&signal_type=%ff", "banks=,,&seed=%00",
    f"signal={PDQ}&signal_type=pdq&banks={'x,' * 300}", "&&&==&=&signal", f"url=%00{'a' * 5000}", "url=http://[::1",
    "url=http://127.0.0.1:1/%0d%0aX:1", "types=%00&content_type=x", "a=1&" * 200, "include_distance=maybe&signal=x",
    "signal_type=../..&signal=1", "content_type=photo&types=pdq&url=gopher://x",
)  # fmt: skip
JSON = {"content-type": "application/json"}
BODIES: tuple[dict[str, Any], ...] = (
    {},
    {"content": b"\xff\xfe\x00", "headers": JSON},
    {"content": b"[" * 100_000, "headers": JSON},
    {"content": b'{"a":' * 10_000, "headers": JSON},
    {"json": None},
    {"json": []},
    {"json": {"name": {"a": []}, "enabled_ratio": [], "enabled": {}, "kind": []}},
    {"json": {"name": "A" * 10_000, "kind": 5}},
    {"content": b'{"name": "A", "enabled_ratio": 1e400}', "headers": JSON},
    {"json": {"pdq": ["x"], "note": {}, "md5": None}},
    {"json": {"pdq": [None, 5]}},
    {"content": b'{"pdq": "\\ud800", "note": "\\ud800"}', "headers": JSON},
    {"json": {"disable_until_ts": 10**40, "note": "\0"}},
    {"json": {"disable_until_ts": 1.5}},
    {"json": {"disable_until_ts": True, "enabled_ratio": "nan"}},
    form(("photo", "\0", b"\0"), ("metadata", None, b"\xff"), ("note", None, b"\0")),
    form(("x" * 5000, "a", b"")),
    {"content": b"--\r\n", "headers": {"content-type": "multipart/form-data; boundary=~"}},
    {"content": b"x" * 70_000, "headers": JSON},
)  # fmt: skip
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW")
PLACES = {"bank": "known", "content": "7", "signal_type": "pdq", "api": "x", "exchange": "X"}
ODD_PLACES = {"bank": "%00%ff%2f..", "content": "9" * 40, "signal_type": "%00", "api": "..", "exchange": "%ff"}


def addresses() -> Iterator[str]:
    for route, places in itertools.product(hma.ROUTES, (PLACES, ODD_PLACES)):
        assert isinstance(route, Route)
        yield route.path.replace(":int", "").format(**places)


def test_garbage_is_refused_in_hmas_words(make_worker: Callable[..., Worker]) -> None:
    worker = make_worker(hashers=1, max_body_bytes=100_000)
    sent = 0
    for address in sorted(set(addresses())):
        asked = [(method, "", {}) for method in METHODS]
        asked += [(method, query, {}) for method, query in itertools.product(("GET", "POST"), QUERIES)]
        asked += [(method, "", dict(body)) for method, body in itertools.product(("POST", "PUT", "DELETE"), BODIES)]
        for method, query, request in asked:
            if method == "DELETE" and address == "/c/bank/known":
                continue  # it would be done
            answer = worker.ask(method, f"{address}?{query}", **request)
            sent += 1
            told = (method, address, query, answer.status_code, answer.text)
            assert answer.status_code < 500, told
            if answer.status_code >= 400 and method != "BREW":
                assert list(answer.json()) == ["message"], told
    assert sent > 2000
    assert worker.ask("GET", "/m/lookup", params={"signal": PDQ, "signal_type": "pdq"}).json()["known"]
