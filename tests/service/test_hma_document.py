"""HMA's addresses, described for schemathesis as far as docs/hma.md goes: no garbage makes any of them fall over."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from starlette.routing import Route
from tests.service.conftest import MD5, PDQ, Worker
from tests.service.served import command, free_port, served
from tests.service.walking import PICTURE, Walk

from leadline.domain import Kind
from leadline.service.tokens import Scope, Tokens
from leadline.subscriptions.folder import Subscription, Subscriptions

TEXT: dict[str, Any] = {"type": "string"}
RATIO = {"type": "number", "minimum": 0, "maximum": 1}
SIGNAL = {"type": "string", "enum": ["pdq", "video_md5", "md5", "sha1", "sha256"]}
NUMBER = {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}
SOURCE, API = {"enum": ["first"]}, {"enum": ["sample"]}  # names that are none: test_hma_garbage.py
PATHS: dict[str, Any] = {"bank": TEXT, "content": NUMBER, "signal_type": SIGNAL, "exchange": SOURCE, "api": API}


def made_of(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def in_json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


MESSAGE = made_of("message", message=TEXT)
FORM = {"multipart/form-data": {"schema": made_of("photo", photo={"type": "string", "format": "binary"})}}
NEW_BANK = made_of("name", name={"type": "string", "pattern": "^[A-Z_][A-Z0-9_]{0,20}$"}, enabled_ratio=RATIO)
SIGNALS = made_of(video_md5={"type": "string", "pattern": "^[0-9a-f]{32}$"})
CONTENT = made_of(disable_until_ts={"enum": [0, 1]}, note={"type": "string", "maxLength": 255})
LOOK_UP = {"signal": TEXT, "signal_type": SIGNAL, "banks": TEXT, "seed": TEXT, "bypass_coinflip": TEXT}

# method and address: query, body. Changes of exchanges are left out: they are refused, whatever is sent.
OPERATIONS: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "GET /status": ({}, None),
    "GET /status/live": ({}, None),
    "GET /h/hash": ({"url": TEXT, "content_type": TEXT, "types": TEXT}, None),
    "POST /h/hash": ({"types": TEXT}, FORM),
    "GET /m/lookup": (LOOK_UP, None),
    "POST /m/lookup": ({"types": TEXT, "banks": TEXT, "seed": TEXT}, FORM),
    "GET /m/raw_lookup": ({"signal": TEXT, "signal_type": SIGNAL, "include_distance": TEXT}, None),
    "POST /m/compare": ({}, in_json({"type": "object", "additionalProperties": {"type": "array"}})),
    "GET /m/index/status": ({"signal_type": SIGNAL}, None),
    "GET /c/banks": ({}, None),
    "POST /c/banks": ({}, in_json(NEW_BANK)),
    "GET /c/bank/{bank}": ({}, None),
    "PUT /c/bank/{bank}": ({}, in_json(made_of(enabled_ratio=RATIO))),
    "POST /c/bank/{bank}/content": ({"types": TEXT}, FORM),
    "POST /c/bank/{bank}/signal": ({}, in_json(SIGNALS)),
    "GET /c/bank/{bank}/content/{content}": ({"include_signals": TEXT, "include_metadata": TEXT}, None),
    "PUT /c/bank/{bank}/content/{content}": ({}, in_json(CONTENT)),
    "DELETE /c/bank/{bank}/content/{content}": ({}, None),
    "GET /c/signal_type": ({}, None),
    "GET /c/signal_type/index": ({"signal_type": SIGNAL}, None),
    "PUT /c/signal_type/{signal_type}": ({}, in_json(made_of("enabled_ratio", enabled_ratio=RATIO))),
    "GET /c/content_type": ({}, None),
    "GET /c/exchanges": ({}, None),
    "GET /c/exchanges/apis": ({}, None),
    "GET /c/exchanges/api/{api}": ({}, None),
    "GET /c/exchanges/api/{api}/schema": ({}, None),
    "GET /c/exchange/{exchange}": ({}, None),
    "GET /c/exchange/{exchange}/status": ({}, None),
    "DELETE /c/bank/{bank}": ({}, None),
}  # fmt: skip
GOOD: dict[str, Any] = {
    "GET /h/hash": None,  # fetching is off
    "POST /h/hash": {"body": {"photo": PICTURE}, "media_type": "multipart/form-data"},
    "GET /m/lookup": {"query": {"signal": PDQ, "signal_type": "pdq"}},
    "POST /m/lookup": {"body": {"photo": PICTURE}, "media_type": "multipart/form-data"},
    "GET /m/raw_lookup": {"query": {"signal": PDQ, "signal_type": "pdq"}},
    "POST /m/compare": {"body": {"pdq": [PDQ, PDQ]}, "media_type": "application/json"},
    "POST /c/banks": {"body": {"name": "MADE"}, "media_type": "application/json"},
    "PUT /c/bank/{bank}": {"body": {"enabled_ratio": 0.5}, "media_type": "application/json"},
    "POST /c/bank/{bank}/content": {"body": {"photo": PICTURE}, "media_type": "multipart/form-data"},
    "POST /c/bank/{bank}/signal": {"body": {"video_md5": MD5}, "media_type": "application/json"},
    "PUT /c/bank/{bank}/content/{content}": {"body": {"note": "made up"}, "media_type": "application/json"},
    "PUT /c/signal_type/{signal_type}": {"body": {"enabled_ratio": 1.0}, "media_type": "application/json"},
}


def make_document() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for label, (query, body) in OPERATIONS.items():
        method, path = label.split()
        named = [(name, "path", PATHS[name]) for name in re.findall(r"{(\w+)}", path)]
        parameters = [
            {"name": name, "in": place, "required": place == "path", "schema": schema}
            for name, place, schema in [*named, *((name, "query", schema) for name, schema in query.items())]
        ]
        told = {"description": "as in HMA", "content": {"application/json": {}, "text/plain": {}}}
        refused = {"description": "refused", "content": {"application/json": {"schema": MESSAGE}}}
        operation: dict[str, Any] = {"parameters": parameters, "responses": {"200": told}}
        operation["responses"] |= dict.fromkeys(
            ("400", "401", "403", "404", "408", "413", "415", "429", "501"), refused
        )
        if body is not None:
            operation["requestBody"] = {"required": True, "content": body}
        if path == "/c/banks" and method == "POST":
            operation["responses"]["201"] = told
        if path.startswith("/c/signal_type/{"):
            operation["responses"]["204"] = {"description": "done"}
        paths.setdefault(path, {})[method.lower()] = operation
    return {"openapi": "3.1.0", "info": {"title": "HMA", "version": "1"}, "paths": paths}


@pytest.fixture
def walk(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Walk]:
    """Over a home with one source."""
    state, port, home = tmp_path / "state", free_port(), tmp_path / "home"
    monkeypatch.setenv("LEADLINE_HOME", str(home))
    source = Subscription("first", "sample", {}, str(shelf / "known"), Kind.OTHER)
    Subscriptions(home / "exchanges", {}, _no_sealing).add(source, {})
    _, token = Tokens(state).add("test", frozenset(Scope))
    with served(command(shelf, state, port, "--workers", "1"), port, tmp_path / "log", token) as service:
        added = json.loads(service.ask("POST", "/c/bank/known/signal", {"video_md5": "e5" * 16})[1])
        there = {"bank": "known", "content": added["id"], "signal_type": "pdq", "exchange": "first", "api": "sample"}
        yield Walk(service, there)


def _no_sealing() -> NoReturn:
    raise AssertionError("nothing is sealed here")


def test_every_address_of_hma_answers_as_it_is_described(walk: Walk) -> None:
    walk.all(make_document(), GOOD)
    assert set(walk.calls) == set(OPERATIONS)


def test_every_address_of_hma_is_described(worker: Worker) -> None:
    routes = [route for route in worker.service._others.routes if isinstance(route, Route)]
    there = {(method, re.sub(r":\w+}", "}", r.path)) for r in routes for method in (r.methods or ()) - {"HEAD"}}
    there |= set(worker.service._hot)
    labels = {f"{method} {path}" for method, path in there if path.startswith(("/h/", "/m/", "/c/", "/status"))}
    left_out = {label for label in labels if "/c/exchange" in label and not label.startswith("GET ")}
    assert labels - left_out == set(OPERATIONS)
