"""The document says what the service does: every route is in it, and it answers as it is told there."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.config import SchemathesisConfig
from starlette.routing import Route
from tests.service.conftest import MD5, PDQ, Worker
from tests.service.pictures import encoded, scene
from tests.service.served import Served, command, free_port, served

from leadline.client import packed
from leadline.service.tokens import Scope, Tokens

BUDGET_S = 40.0
EXAMPLES = 8
OTHERS = ("/h/", "/m/", "/c/", "/status", "/t/")  # HMA's contract: docs/hma.md
ENDLESS = ("GET /v1/changes",)
PICTURE = encoded(scene(1))
POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE


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


# --- schemathesis ----------------------------------------------------------------------------------------------------


def config() -> SchemathesisConfig:
    """What a document cannot say (digits that are no hash, a bank that is not there) has these statuses."""
    accepted = ["2xx", "400", "404", "409", "413", "422", "501"]
    return SchemathesisConfig.from_dict(
        {
            "checks": {"positive_data_acceptance": {"expected-statuses": accepted}},
            "generation": {"with-security-parameters": False},
        }
    )


def packed_requests() -> st.SearchStrategy[bytes]:
    rows = st.integers(1, 3).flatmap(lambda count: st.binary(min_size=32 * count, max_size=32 * count))
    return rows.map(lambda data: b"LLH1\x01\xff\0\0" + (len(data) // 32).to_bytes(4, "little") + data)


schemathesis.openapi.media_type(packed.REQUEST_TYPE, packed_requests())
schemathesis.openapi.media_type("application/octet-stream", st.binary(max_size=200) | st.just(PICTURE))


@dataclass
class Walk:
    service: Served
    calls: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def send(self, case: Any, label: str) -> int:
        self.calls[label] += 1
        headers, place = {"Authorization": f"Bearer {self.service.token}"}, f"http://127.0.0.1:{self.service.port}"
        return int(case.call_and_validate(base_url=place, headers=headers).status_code)

    def one_that_succeeds(self, operation: Any, **good: Any) -> None:
        case = operation.Case(**good)
        try:
            status = self.send(case, operation.label)
        except (Exception, BaseExceptionGroup) as error:
            self.wrong.append(f"{operation.label}: {error}")
        else:
            self.wrong += [] if status < 300 else [f"{operation.label}: a right request got {status}"]

    def many(self, operation: Any, mode: Any, path: dict[str, Any]) -> None:
        @settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def run(case: Any) -> None:
            if path:
                case.path_parameters = {**case.path_parameters, **path}
            self.send(case, operation.label)

        try:
            run()
        except Unsatisfiable:  # nothing of it can be wrong: it takes nothing
            return
        except (Exception, BaseExceptionGroup) as error:
            self.wrong.append(f"{operation.label} {mode}: {error}")


@pytest.fixture
def walk(shelf: Path, tmp_path: Path) -> Iterator[Walk]:
    state, port = tmp_path / "state", free_port()
    _, token = Tokens(state).add("test", frozenset(Scope))
    with served(command(shelf, state, port, "--workers", "1"), port, tmp_path / "log", token) as service:
        yield Walk(service)


GOOD: dict[str, dict[str, Any]] = {
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
}  # fmt: skip
THERE = {"name": "known", "id": 7}


def operations_of(document: Any) -> list[Any]:
    schema = schemathesis.openapi.from_dict(document, config=config())
    found = [result.ok() for result in schema.get_all_operations()]
    return [operation for operation in found if operation.label not in ENDLESS]


def test_every_operation_answers_as_the_document_says(walk: Walk) -> None:
    begun_s = time.process_time()
    document = json.loads(walk.service.ask("GET", "/v1/openapi.json")[1])
    operations = operations_of(document)
    assert len(operations) >= 15
    for operation in operations:
        there = {p.name: THERE[p.name] for p in operation.path_parameters}
        if operation.label != "POST /v1/alarms/{id}/acknowledge":  # there is none to acknowledge
            walk.one_that_succeeds(operation, path_parameters=there, **GOOD.get(operation.label, {}))
        walk.many(operation, POSITIVE, there)
        walk.many(operation, NEGATIVE, {})
    assert walk.wrong == [], "\n\n".join(walk.wrong)
    assert time.process_time() - begun_s < BUDGET_S
