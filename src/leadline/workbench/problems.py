"""Errors as application/problem+json (RFC 9457). A problem names codes and fields; never a value that was sent."""

from __future__ import annotations

import errno
import json
import logging
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.db import DatabaseError, IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.http.multipartparser import MultiPartParserError
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, Throttled, ValidationError

from leadline.errors import (
    BankNotFound,
    ConfigError,
    InputError,
    LeadlineError,
    NotAllowed,
    SandboxUnavailable,
    WrongState,
)

CONTENT_TYPE = "application/problem+json"
_RETRY_AFTER_S = 5
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,60}")  # a place may hold a name that the sender made up
_STATUS: dict[type[LeadlineError], int] = {InputError: 422, NotAllowed: 403, WrongState: 409, BankNotFound: 404}
log = logging.getLogger("leadline.api")


def problem(
    status: int,
    code: str,
    detail: str = "",
    *,
    errors: Sequence[dict[str, Any]] = (),
    retry_after_s: int | None = None,
) -> HttpResponse:
    """`code` is stable and for programs; `type` leads to its description on the page of documents."""
    body: dict[str, Any] = {
        "type": f"/api/v1/docs#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
    }
    if detail:
        body["detail"] = detail
    if errors:
        body["errors"] = list(errors)
    response = HttpResponse(json.dumps(body), status=status, content_type=CONTENT_TYPE)
    if retry_after_s is not None:
        response["Retry-After"] = str(retry_after_s)
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = 'Bearer realm="leadline"'
    return response


def problem_of(error: Exception) -> HttpResponse:
    """Any error as a problem. What we did not foresee says nothing but that it happened."""
    if isinstance(error, LeadlineError):
        return _of_leadline(error)
    if isinstance(error, Http404):
        return problem(404, "not-found", "There is nothing here, or nothing that this key may see.")
    if isinstance(error, AuthenticationError):
        return problem(401, "key", "Send a live key: Authorization: Bearer leadline_...")
    if isinstance(error, Throttled):
        return problem(429, "too-many-requests", retry_after_s=int(error.wait or 1) + 1)
    if isinstance(error, ValidationError):
        return problem(422, "validation", errors=[_fault(fault) for fault in error.errors])
    if isinstance(error, HttpError) and error.status_code == 403:
        return problem(403, "scope", str(error))
    if isinstance(error, HttpError):  # ninja's own: a body that is no JSON, a missing form
        return problem(error.status_code, "request", str(error) if error.status_code < 500 else "")
    if isinstance(error, RequestDataTooBig):
        return problem(413, "too-large", "Send less at once.")
    if isinstance(error, SuspiciousOperation | TooManyFieldsSent | MultiPartParserError | UnicodeError):
        return problem(400, "request", "The request cannot be read.")
    if what := away(error):
        log.error(what)
        return problem(503, "unavailable", "Try again.", retry_after_s=_RETRY_AFTER_S)
    log.error("unforeseen: %s", type(error).__name__)  # its text might hold evidence
    return problem(500, "fault", "This is our fault. It is in the log of the server.")


def away(error: BaseException | None) -> str:
    """Which of our own does not answer, and may again; empty for any other fault. Its text might hold a path."""
    if isinstance(error, DatabaseError) and not isinstance(error, IntegrityError):
        return f"database: {type(error).__name__}"
    if isinstance(error, OSError):  # a disk that is full, or gone
        return f"disk: {errno.errorcode.get(error.errno or 0, type(error).__name__)}"
    return ""


def _of_leadline(error: LeadlineError) -> HttpResponse:
    if isinstance(error, SandboxUnavailable):  # a decoder's process that was killed is started anew by the next request
        log.error("%s: %s", error.code, error)
        return problem(503, error.code, "Nothing can be decoded at the moment.", retry_after_s=_RETRY_AFTER_S)
    if not error.permanent:
        return problem(503, error.code, _told(error), retry_after_s=_RETRY_AFTER_S)
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s: %s", error.code, error)
        what = "The configuration of the server is at fault." if isinstance(error, ConfigError) else ""
        return problem(500, error.code, what)
    return problem(status, error.code, _told(error))


def _told(error: LeadlineError) -> str:
    """Without `where` of faults that are not the caller's: it may be a path of the server."""
    where = f" ({error.where})" if error.where and isinstance(error, InputError) else ""
    return f"{error.what}{where}{f': {error.mend}' if error.mend else ''}"


def _fault(untrusted_fault: dict[str, Any]) -> dict[str, Any]:
    """Where and which rule; pydantic's message may repeat what was sent, so it stays behind."""
    place = [str(part) if _PLAIN.fullmatch(str(part)) else "?" for part in untrusted_fault.get("loc", ())]
    return {"where": "/".join(place)[:200], "rule": str(untrusted_fault.get("type", "value_error"))}


def add_handlers(api: NinjaAPI) -> None:
    def handle(request: HttpRequest, error: Exception) -> HttpResponse:
        return problem_of(error)

    for kind in (Exception, Http404, HttpError, ValidationError):  # ninja's defaults are registered for these
        api.add_exception_handler(kind, handle)  # type: ignore[arg-type]


def as_problem(response: HttpResponseBase) -> HttpResponseBase:
    """An error that did not come as a problem (a method that is not there) made into one; its headers stay."""
    if response.status_code < 400 or response.get("Content-Type", "").startswith(CONTENT_TYPE):
        return response
    code = {404: "not-found", 405: "method"}.get(response.status_code, "request")
    made = problem(response.status_code, code)
    for name in ("Allow", "Retry-After"):
        if name in response:
            made[name] = response[name]
    return made
