"""Errors as application/problem+json (RFC 9457). A problem names codes and fields; never a value that was sent."""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from typing import Any

import msgspec

from leadline.errors import (
    BankCorrupt,
    BankError,
    BankNotFound,
    ConfigError,
    FetchFailed,
    InputError,
    LeadlineError,
    RequestRefused,
    SandboxUnavailable,
    ScopeMissing,
    TokenRefused,
    TooBusy,
    UntrustedMediaError,
)

CONTENT_TYPE = b"application/problem+json"
_RETRY_AFTER_S = 1
_STATUS: tuple[tuple[type[LeadlineError], int], ...] = (
    (TokenRefused, 401),
    (ScopeMissing, 403),
    (BankNotFound, 404),
    (BankCorrupt, 500),
    (BankError, 503),  # the disk is full, or the folder cannot be written: nothing was changed
    (TooBusy, 429),
    (SandboxUnavailable, 503),
    (UntrustedMediaError, 422),
    (InputError, 422),
)
log = logging.getLogger("leadline.service")


class Problem(msgspec.Struct, frozen=True):
    """What is sent: a status, the body, and headers beside it."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = CONTENT_TYPE


def make_problem(status: int, code: str, detail: str = "", *, retry_after_s: float = 0) -> Problem:
    """`code` is stable and for programs."""
    told: dict[str, Any] = {
        "type": f"about:blank#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
    }
    if detail:
        told["detail"] = detail
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if retry_after_s:
        headers = ((b"retry-after", b"%d" % max(1, math.ceil(retry_after_s))),)
    if status == HTTPStatus.UNAUTHORIZED:
        headers = (*headers, (b"www-authenticate", b'Bearer realm="leadline"'))
    return Problem(status, msgspec.json.encode(told), headers)


def as_message(problem: Problem) -> Problem:
    """The same as HMA says it: an object with a message, and 400 for whatever is wrong with a request."""
    told = msgspec.json.decode(problem.body)
    body = msgspec.json.encode({"message": told.get("detail", told["title"])})
    status = HTTPStatus.BAD_REQUEST if problem.status == HTTPStatus.UNPROCESSABLE_ENTITY else problem.status
    return Problem(status, body, problem.headers, b"application/json")


def problem_of(error: Exception) -> Problem:
    """Any error as a problem. What we did not foresee says nothing but that it happened."""
    if isinstance(error, RequestRefused):
        return make_problem(error.status, error.code, _told(error))
    if isinstance(error, TooBusy):
        return make_problem(429, error.code, error.what, retry_after_s=error.retry_after_s)
    if isinstance(error, FetchFailed):
        return make_problem(502, error.code, error.what)
    if isinstance(error, LeadlineError):
        if not error.permanent:
            log.warning("%s: %s", error.code, error.what)
            return make_problem(503, error.code, error.what, retry_after_s=_RETRY_AFTER_S)
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
        if status < 500:
            return make_problem(status, error.code, _told(error))
        log.error("%s: %s", error.code, error)
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            return make_problem(status, error.code, error.what, retry_after_s=_RETRY_AFTER_S)
        what = "The configuration of the service is at fault." if isinstance(error, ConfigError) else ""
        return make_problem(500, error.code, what)
    if isinstance(error, OSError) and error.errno is not None:
        log.error("the disk refused: %s", error.strerror)
        return make_problem(503, "disk", f"a file could not be written: {error.strerror}", retry_after_s=_RETRY_AFTER_S)
    log.error("unforeseen: %s", type(error).__name__)  # its text might hold what was sent
    return make_problem(500, "fault", "This is our fault. It is in the log of the service.")


def _told(error: LeadlineError) -> str:
    """Without `where`, which may repeat what was sent, unless it names a field or a number."""
    return f"{error.what}{f' ({error.where})' if error.where else ''}{f': {error.mend}' if error.mend else ''}"


def place_of(error: msgspec.ValidationError) -> str:
    """The path of the field at fault, which msgspec writes at the end of its message; nothing that was sent."""
    return str(error).rpartition(" - at `")[2].rstrip("`")[:100] if " - at `" in str(error) else ""
