"""The service's own API as an OpenAPI 3.1 document: operations as values, and the types that are really read and told.

What HMA's clients use is HMA's own contract (docs/hma.md) and not described here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec

from leadline import __version__
from leadline.service.tokens import Scope

PROBLEM = "application/problem+json"
JSON = "application/json"
_REFERENCE = "#/components/schemas/{name}"
_WITH_TOKEN = (401, 403, 429, 500, 503)
_WITH_BODY = (400, 408, 413, 422)
_WAITS = {"retry-after": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457. Decide by `code`, which is stable; nothing that was sent is repeated."""

    type: str
    title: str
    status: int
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """Of a body: a Struct (or a schema as it is) and an example of it."""

    schema: Any
    example: Any = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """Of the address (`path`), of its query, or a header."""

    name: str
    place: str
    meaning: str
    schema: Mapping[str, Any]
    example: Any = None
    is_required: bool = False  # those of the address always are

    def describe(self) -> dict[str, Any]:
        told = {
            "name": self.name,
            "in": self.place,
            "description": self.meaning,
            "required": self.is_required or self.place == "path",
            "schema": dict(self.schema),
        }
        return told if self.example is None else told | {"example": self.example}


@dataclass(frozen=True, slots=True)
class Operation:
    """One route. scopes: that its token must have, all of them; None: it needs no token.

    answers   status -> content type -> Content
    problems  statuses beside those that every operation of its sort may answer with
    """

    method: str
    path: str
    name: str
    summary: str
    scopes: tuple[Scope, ...] | None
    answers: Mapping[int, Mapping[str, Content]]
    bodies: Mapping[str, Content] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    problems: tuple[int, ...] = ()
    meaning: str = ""

    @property
    def all_problems(self) -> list[int]:
        common = _WITH_TOKEN if self.scopes is not None else ()
        return sorted({*common, *(_WITH_BODY if self.bodies else ()), *self.problems})


def make_document(operations: Sequence[Operation], more: Sequence[type] = ()) -> dict[str, Any]:
    """more: types beside those of the bodies, which schemas refer to by their name."""
    kinds = {kind for operation in operations for kind in _kinds(operation)} | {Problem, *more}
    ordered = sorted(kinds, key=lambda kind: (kind.__name__, kind.__module__))
    schemas, components = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    references = dict(zip(ordered, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Leadline match service",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Look-ups against banks of fingerprints. docs/service.md explains it.",
        },
        "security": [{"Token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"Token": {"type": "http", "scheme": "bearer", "bearerFormat": "llt_..."}},
        },
    }


def _kinds(operation: Operation) -> set[type]:
    contents = [*operation.bodies.values(), *(c for told in operation.answers.values() for c in told.values())]
    return {content.schema for content in contents if isinstance(content.schema, type)}


def _describe(operation: Operation, references: Mapping[type, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"operationId": operation.name, "summary": operation.summary}
    if operation.meaning:
        told["description"] = operation.meaning
    if operation.scopes is None:
        told["security"] = []
    else:
        told["x-scopes"] = [str(scope) for scope in operation.scopes]
    if operation.parameters:
        told["parameters"] = [parameter.describe() for parameter in operation.parameters]
    if operation.bodies:
        told["requestBody"] = {"required": True, "content": _contents(operation.bodies, references)}
    told["responses"] = {
        **{str(status): _answer(status, contents, references) for status, contents in operation.answers.items()},
        **{str(status): _problem(status, references) for status in operation.all_problems},
    }
    return told


def _contents(contents: Mapping[str, Content], references: Mapping[type, Any]) -> dict[str, Any]:
    return {kind: _content(content, references) for kind, content in contents.items()}


def _content(content: Content, references: Mapping[type, Any]) -> dict[str, Any]:
    schema = references[content.schema] if isinstance(content.schema, type) else content.schema
    return {"schema": schema} if content.example is None else {"schema": schema, "example": content.example}


def _answer(status: int, contents: Mapping[str, Content], references: Mapping[type, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    return told | {"content": _contents(contents, references)} if contents else told


def _problem(status: int, references: Mapping[type, Any]) -> dict[str, Any]:
    phrase = HTTPStatus(status).phrase
    headers = {"headers": _WAITS} if status in (429, 503) else {}
    return {"description": phrase, **headers, "content": {PROBLEM: {"schema": references[Problem]}}}
