"""The document says what the service does: every route is in it, and it answers as it is told there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from starlette.routing import Route
from tests.service.conftest import MD5, PDQ, Worker
from tests.service.served import command, free_port, served
from tests.service.test_flood import until
from tests.service.walking import PICTURE, Walk

from leadline.service.tokens import Scope, Tokens

ACKNOWLEDGE = "POST /v1/alarms/{id}/acknowledge"
OTHERS = ("/h/", "/m/", "/c/", "/status", "/t/")  # HMA's contract: docs/hma.md


@pytest.fixture
def document(worker: Worker) -> dict[str, Any]:
    answer = worker.ask("GET", "/v1/openapi.json", token="")
    assert answer.headers["content-type"] == "application/json"
    return dict(answer.json())


def described(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_is_in_the_document_and_nothing_else(worker: Worker, document: dict[str, Any]) -> None:
    routes = [route for route in worker.service._others.routes if isinstance(route, Route)]
    there = {(method, re.sub(r":\w+}", "}", r.path)) for r in routes for method in (r.methods or ()) - {"HEAD"}}
    there |= set(worker.service._hot) | {("GET", "/v1/changes")}
    own = {(method, path) for method, path in there if not path.startswith(OTHERS)}
    assert own == set(described(document))
    assert len(own) >= 15


def test_another_method_is_told_which_there_are(worker: Worker, document: dict[str, Any]) -> None:
    for path in document["paths"]:
        there = {method for method, known in described(document) if known == path}
        address = path.replace("{name}", "known").replace("{id}", "7")
        answer = worker.ask("TRACE", address)
        assert (answer.status_code, answer.json()["code"]) == (405, "method"), path
        assert answer.headers["allow"].replace(" ", "").split(",")[0] in {*there, "HEAD"}, path


def test_every_operation_says_its_scopes_and_problems_and_shows_an_example(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    names = [operation["operationId"] for operation in described(document).values()]
    assert len(names) == len(set(names))
    for (method, path), operation in described(document).items():
        where = f"{method} {path}"
        if operation.get("security") != []:
            assert set(operation["x-scopes"]) <= set(Scope), where
            assert operation["x-scopes"], where
            assert {"401", "403", "429", "503"} <= set(operation["responses"]), where
        bodies = operation.get("requestBody", {}).get("content", {})
        if "application/json" in bodies:
            assert "example" in bodies["application/json"], where
            assert {"400", "408", "413", "422"} <= set(operation["responses"]), where


def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    examples = []
    for operation in described(document).values():
        contents = [operation.get("requestBody", {}), *operation["responses"].values()]
        examples += [c for told in contents for c in told.get("content", {}).values() if "example" in c]
    assert len(examples) >= 12
    for content in examples:
        whole = {**content["schema"], "components": document["components"]}
        jsonschema.Draft202012Validator(whole).validate(content["example"])


def test_every_scope_that_is_told_is_asked_for(make_worker: Any, document: dict[str, Any]) -> None:
    """A token that has all scopes but one of those told is refused."""
    workers: dict[frozenset[Scope], Worker] = {}
    for (method, path), operation in described(document).items():
        if operation.get("security") == [] or path in ("/v1/banks", "/v1/banks/{name}"):  # where one of several will do
            continue
        for scope in operation["x-scopes"]:
            rest = frozenset(Scope) - {Scope(scope)}
            if rest not in workers:
                workers[rest] = make_worker(*sorted(rest))
            address = path.replace("{name}", "known").replace("{id}", "7")
            answer = workers[rest].ask(method, address, content=b"{}", headers={"content-type": "application/json"})
            assert (answer.status_code, answer.json()["code"]) == (403, "scope"), (method, path, scope)


@pytest.fixture
def walk(shelf: Path, tmp_path: Path) -> Iterator[Walk]:
    state, port = tmp_path / "state", free_port()
    _, token = Tokens(state).add("test", frozenset(Scope), lists=("known",))
    asked = command(shelf, state, port, "--workers", "1", "--publish", "known=amber+strict")
    with served(asked, port, tmp_path / "log", token) as service:
        service.match(*[MD5] * 100)  # floods
        (alarm,) = until(lambda: json.loads(service.ask("GET", "/v1/alarms")[1])["alarms"])
        there = {"name": "known", "id": 7, "member": 1, "type": "MD5", f"{ACKNOWLEDGE} id": alarm["id"]}
        yield Walk(service, there, frozenset({"POST /v1/banks/{name}/entries"}))


GOOD: dict[str, dict[str, Any] | None] = {
    ACKNOWLEDGE: {"body": {"decided": "real"}, "media_type": "application/json"},
    "GET /v1/match": {"query": {"hash": MD5}},
    "POST /v1/match": {"body": {"hashes": [MD5]}, "media_type": "application/json"},
    "POST /v1/hash": {"body": PICTURE, "media_type": "application/octet-stream"},
    "POST /v1/scan": {"body": PICTURE, "media_type": "application/octet-stream"},
    "POST /v1/banks": {"body": {"name": "made", "kind": "other"}, "media_type": "application/json"},
    "PUT /v1/banks/{name}/settings": {"body": {"ratio": 0.5}, "media_type": "application/json"},
    "POST /v1/banks/{name}/entries": {
        "body": {"entries": [{"hashes": {"pdq": PDQ, "quality": 90}}]}, "media_type": "application/json",
    },
    "PATCH /v1/banks/{name}/entries/{id}": {"body": {"label": "B"}, "media_type": "application/json"},
    "POST /v1/banks/{name}/remove": {"body": {"ids": [8]}, "media_type": "application/json"},
    "PUT /ncmec/{name}/v2/entries/{member}/{id}/{type}/feedback": {
        "body": b"<feedbackSubmission><affirmative/></feedbackSubmission>", "media_type": "application/xml",
    },
    "POST /feed/{name}/receipts": None,  # none is right before a feed was published
}  # fmt: skip


def test_every_operation_answers_as_the_document_says(walk: Walk) -> None:
    """But for the feed of changes, which has no end."""
    document = json.loads(walk.service.ask("GET", "/v1/openapi.json")[1])
    walk.all(document, GOOD, ("GET /v1/changes",))
    assert len(walk.calls) >= 15
    (alarm,) = json.loads(walk.service.ask("GET", "/v1/alarms")[1])["alarms"]
    assert alarm["decided"] in ("real", "mistake")
