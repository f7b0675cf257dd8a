"""The API for programs: keys, permissions, limits, errors, and the routers that the apps' `api.py` export.

Every operation declares `@needs(permission)`; one that does not stops the start. The views that Django sees declare
Permission.ANYONE, because a program has a key and no session: `Key` checks the operation's own permission instead,
before the body is read. `declared_operations` is what the generated access test walks.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import msgspec
from django.apps import apps
from django.conf import settings
from django.core.cache import caches
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import URLPattern, path, re_path
from ninja import NinjaAPI, Router, Schema, Status
from ninja.errors import HttpError
from ninja.operation import PathView
from ninja.parser import Parser
from ninja.security import HttpBearer
from ninja.throttling import BaseThrottle
from pydantic import Field

from leadline.errors import ConfigError, InputError, LeadlineError
from leadline.workbench.accounts import access
from leadline.workbench.accounts.actions import note_key_use
from leadline.workbench.actors import Actor
from leadline.workbench.cursors import MAX_LIMIT
from leadline.workbench.entrance import body_length
from leadline.workbench.hooks import actions as hooks
from leadline.workbench.permissions import Permission, requires
from leadline.workbench.problems import add_handlers, as_problem, problem, problem_of

__all__ = [
    "Actor", "CursorQuery", "Key", "Operation", "Problem",
    "caller", "declared_operations", "make_api", "make_urls", "needs", "once",
]  # fmt: skip

_View = TypeVar("_View", bound=Callable[..., Any])
_FORM_ROOM_BYTES = 1 << 20  # what a form holds beside its files
_ERRORS = (400, 401, 403, 404, 409, 413, 422, 429, 500, 503)
_PREFIX = "/api/v1"
_TOKEN = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_CONVERTER = re.compile(r"{[^}:]+:")  # of a path: {uuid:name} is {name} to a program


class CursorQuery(Schema):
    """Which part of a long list: `next` of the part before, or nothing for the first."""

    cursor: str = Field("", max_length=1000)
    limit: int = Field(50, ge=1, le=MAX_LIMIT)


class Fault(Schema):
    where: str
    rule: str


class Problem(Schema):
    """RFC 9457. `code` is stable."""

    type: str
    title: str
    status: int
    code: str
    detail: str = ""
    errors: list[Fault] = Field(default_factory=list)


def needs(permission: Permission) -> Callable[[_View], _View]:
    """Declare what an operation asks of a key. Put it below the router's decorator."""

    def declare(operation: _View) -> _View:
        operation.permission = permission  # type: ignore[attr-defined]
        return operation

    return declare


def caller(request: HttpRequest) -> Actor:
    """Whose key called; for the first line of an operation."""
    actor: Actor = request.auth  # type: ignore[attr-defined]
    return actor


def once(request: HttpRequest, act: Callable[[], tuple[int, Schema]]) -> HttpResponseBase | Status[Any]:
    """Do an operation that must not happen twice: with an Idempotency-Key the first answer is given again for a day.

    The answer is stored, so an act must not answer with evidence or a secret. A failure is forgotten, and may be
    sent again; one that was cut (a crash) answers 409 idempotency-busy, because nobody knows how far it came.
    """
    token = request.headers.get("Idempotency-Key", "")
    if not token:
        return Status(*act())
    if not _TOKEN.fullmatch(token):
        mend = "send 1 to 128 letters, digits and - _ . : characters"
        raise InputError("not an Idempotency-Key", where="Idempotency-Key", mend=mend)
    key = caller(request).key
    assert key is not None
    told = b"\0".join((request.method or "").encode() + part for part in (request.path.encode(), request.body))
    row = hooks.begin_request(key, token, told)
    if row.status is not None:
        return HttpResponse(row.answer, status=row.status, content_type="application/json")
    try:
        status, answer = act()
    except LeadlineError:
        hooks.forget_request(row)
        raise
    hooks.end_request(row, status, answer.model_dump_json())
    return Status(status, answer)


class Key(HttpBearer):
    """A live key whose scopes, role and owner all allow what the operation asks."""

    def authenticate(self, request: HttpRequest, token: str) -> Actor | None:
        key = access.find_key(token)
        if key is None:
            return None
        actor, asked = Actor.of_key(key), request.leadline_needs  # type: ignore[attr-defined]
        if asked is not Permission.SIGNED_IN and not actor.may(asked):
            raise HttpError(403, f"This key lacks the scope {asked}.")
        if unknown := request.GET.keys() - request.leadline_queries:  # type: ignore[attr-defined]
            where = next((name for name in sorted(unknown) if name.isidentifier() and len(name) < 40), "query")
            raise InputError("not a parameter of this operation", where=where, code="unknown-parameter")
        note_key_use(key)
        return actor


class KeyRate(BaseThrottle):
    """LEADLINE_API_RATE requests a minute for each key; each process lets its share of them pass."""

    def allow_request(self, request: HttpRequest) -> bool:
        key = caller(request).key
        assert key is not None
        share = max(1, settings.LEADLINE_API_RATE // settings.LEADLINE_WEB_WORKERS)
        name, cache = f"api:{key.pk}:{int(time.time() // 60)}", caches["process"]
        if cache.add(name, 1, 120):
            return True
        try:
            return bool(cache.incr(name) <= share)
        except ValueError:  # it ran out in between
            return True

    def wait(self) -> float:
        return 60 - time.time() % 60


class StrictJson(Parser):
    """RFC 8259 and no more: no NaN, no lone surrogates; and no NUL, which no database of ours stores."""

    def parse_body(self, request: HttpRequest) -> Any:
        if b"\\u0000" in request.body:
            raise ValueError("NUL")
        return msgspec.json.decode(request.body)


class Operation(NamedTuple):
    """One route of the API as the generated access test walks it."""

    method: str
    path: str
    name: str
    permission: Permission


class _Api(NinjaAPI):
    def get_openapi_schema(self, **kwargs: Any) -> Any:
        """With what `needs` declared, and with the problems that every operation may answer."""
        schema = super().get_openapi_schema(path_prefix=_PREFIX.lstrip("/") + "/")
        faults = {"errors": {"type": "array", "items": Fault.model_json_schema()}}
        shape = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        shape.pop("$defs", None)
        shape["properties"] |= faults
        schema["components"]["schemas"]["Problem"] = shape
        content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        permissions = {(o.method.lower(), o.path): o.permission for o in _operations(self)}
        for where, methods in schema["paths"].items():
            for method, described in methods.items():
                described["x-permission"] = str(permissions[method, where])
                for status in _ERRORS:
                    described["responses"].setdefault(status, {"description": "A problem", "content": content})
        return schema


def _routers() -> Iterator[Router]:
    for app in apps.get_app_configs():
        if app.name.startswith("leadline.") and importlib.util.find_spec(f"{app.name}.api"):
            yield importlib.import_module(f"{app.name}.api").router


def make_api() -> NinjaAPI:
    """The whole API. ConfigError where an operation declares no permission."""
    api = _Api(
        title="Leadline",
        version="1",
        description="Reports, items, assets, banks and webhooks of one office.",
        openapi_url=None,
        docs_url=None,
        auth=Key(),
        throttle=[KeyRate()],
        parser=StrictJson(),
        urls_namespace="api",
    )
    add_handlers(api)
    for router in _routers():
        api.add_router("", router)
    for _ in _operations(api):
        pass
    return api


def declared_operations() -> list[Operation]:
    return list(_operations(make_api()))


def _operations(api: NinjaAPI) -> Iterator[Operation]:
    for where, view in _path_views(api):
        for operation in view.operations:
            permission = getattr(operation.view_func, "permission", None)
            if permission is None:
                raise ConfigError("an API route without a permission", where=where, mend="declare it with @needs")
            for method in operation.methods:
                plain = _CONVERTER.sub("{", f"{_PREFIX}{where}")
                yield Operation(method, plain, operation.view_func.__name__, permission)


def _path_views(api: NinjaAPI) -> Iterator[tuple[str, PathView]]:
    for router in api._get_bound_routers():
        for where, view in router.path_operations.items():
            yield "/" + f"{router.prefix}/{where}".replace("//", "/").strip("/"), view


def make_urls() -> list[URLPattern]:
    """For `workbench/urls.py`, under api/v1/: the operations, the document, and a problem for everything else."""
    api, anyone = make_api(), requires(Permission.ANYONE)
    patterns = [
        path(where.lstrip("/").replace("{", "<").replace("}", ">"), anyone(_guarded(view)))
        for where, view in _path_views(api)
    ]

    def show_openapi(request: HttpRequest) -> HttpResponse:
        return JsonResponse(api.get_openapi_schema())

    def show_docs(request: HttpRequest) -> HttpResponse:
        return render(request, "api_docs.html", _described(api.get_openapi_schema()))

    def show_nothing(request: HttpRequest, **_: Any) -> HttpResponse:
        return problem_of(Http404())

    show_nothing.csrf_exempt = True  # type: ignore[attr-defined]
    return [
        path("openapi.json", anyone(show_openapi), name="api_document"),
        path("docs", anyone(show_docs), name="api_docs"),
        *patterns,
        re_path(r"^(?P<rest>.*)$", anyone(show_nothing)),
    ]


def _described(schema: Any) -> dict[str, Any]:
    """The document as a page shows it: no script, so the page works under our content security policy."""
    operations = [
        {
            "id": told["operationId"],
            "method": method.upper(),
            "path": where,
            "summary": told["summary"],
            "description": told.get("description", ""),
            "permission": told["x-permission"],
            "parameters": [p | {"shape": _shown(p["schema"])} for p in told["parameters"]],
            "bodies": [(kind, _shown(body["schema"])) for kind, body in _bodies(told)],
            "answers": [
                (status, [_shown(body["schema"]) for body in answer.get("content", {}).values()])
                for status, answer in told["responses"].items()
                if status < 400
            ],
        }
        for where, methods in schema["paths"].items()
        for method, told in methods.items()
    ]
    shapes = [(name, _shown(shape, 1)) for name, shape in schema["components"]["schemas"].items()]
    return {"schema": schema, "operations": operations, "shapes": shapes, "problems": PROBLEMS}


def _bodies(told: Any) -> Any:
    return told.get("requestBody", {"content": {}})["content"].items()


def _shown(shape: Any, indent: int | None = None) -> str:
    return json.dumps(shape, indent=indent, default=str)


def _guarded(view: PathView) -> Callable[..., Any]:
    """Size first, then the operation with its key; whatever goes wrong leaves as a problem."""

    def run(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            return problem(400, "request", "NUL is in the address.")
        if body_length(request) > _limit(request):
            return problem(413, "too-large", "Send less at once.")
        operation = view._find_operation(request)
        request.leadline_needs = getattr(operation and operation.view_func, "permission", None)  # type: ignore[attr-defined]
        request.leadline_queries = _query_names(operation)  # type: ignore[attr-defined]
        try:
            return as_problem(view._sync_view(request, **kwargs))
        except Exception as error:
            return problem_of(error)

    run.csrf_exempt = run.bounds_itself = True  # type: ignore[attr-defined]  # no cookie is ever looked at
    return run


def _query_names(operation: Any) -> set[str]:
    """A misspelt filter must not answer with the whole list."""
    models = () if operation is None else operation.models
    return {name for model in models if model.__ninja_param_source__ == "query" for name in model.__ninja_flatten_map__}


def _limit(request: HttpRequest) -> int:
    if request.content_type == "multipart/form-data":
        return int(settings.LEADLINE_MAX_UPLOAD_BYTES) + _FORM_ROOM_BYTES
    return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


# code, what it means; the page of documents shows them, and `type` of a problem leads there
PROBLEMS = (
    ("key", "401: no key, or one that is not, no longer, or not yet a key."),
    ("scope", "403: the key is right but its scopes do not cover this."),
    ("not-found", "404: nothing there, or nothing that this key may see. The two look the same."),
    ("method", "405: this address knows other methods; see Allow."),
    ("wrong-state", "409: the thing has moved on since you looked."),
    ("idempotency-busy", "409: a request with this Idempotency-Key was begun and has not ended."),
    ("idempotency-reuse", "422: this Idempotency-Key came before with another request."),
    ("too-large", "413: the body is too large."),
    ("validation", "422: fields are wrong; `errors` says where, and which rule."),
    ("unknown-parameter", "422: this operation has no such parameter."),
    ("cursor", "422: the cursor is not one of this list."),
    ("too-many-requests", "429: wait for the seconds that Retry-After gives."),
    ("request", "400: the request cannot be read."),
    ("not-allowed", "403: somebody else must do this, or a second person."),
    ("fault", "500: our fault."),
    ("unavailable", "503: wait for the seconds that Retry-After gives, then send the same again."),
)
