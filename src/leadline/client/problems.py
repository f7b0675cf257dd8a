"""An answer that is none, as an error of ours. Holds neither what was asked nor the token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from leadline.errors import (
    AnswerBroken,
    BankNotFound,
    HashFormatError,
    LeadlineError,
    RequestRefused,
    ScopeMissing,
    ServiceError,
    ServiceUnavailable,
    TokenRefused,
    TooBusy,
)

T = TypeVar("T")
_MOST_S = 86_400.0
_GATEWAYS = (502, 503, 504)


class _Told(msgspec.Struct):
    """application/problem+json, as far as it is needed. Whatever stands between us and the service has its own."""

    code: str = ""
    title: str = ""
    detail: str = ""


def error_of(status: int, headers: Mapping[str, str], body: bytes, where: str) -> LeadlineError:
    """What to raise for an answer other than 2xx. where: method and path of the request."""
    told = _read(body)
    what = told.detail or told.title or f"the service answered {status}"
    code = told.code or None
    if status == 401:
        return TokenRefused(what, where=where, mend="send a live token")
    if status == 403:
        return ScopeMissing(what, where=where, mend="use a token that has the scope")
    if status == 404 and code == BankNotFound.code:
        return BankNotFound(what, where=where)
    if status == 429:
        return TooBusy(what, retry_after_s=retry_after_s(headers) or 1.0, code=code)
    if status in _GATEWAYS:
        return ServiceUnavailable(what, where=where, code=code, retry_after_s=retry_after_s(headers))
    if code == HashFormatError.code:
        return HashFormatError(what, where=where)
    if 400 <= status < 500:
        return RequestRefused(what, status=status, where=where, code=code)
    if status >= 500:
        return ServiceError(what, where=where, mend="its log says why", code=code)
    return AnswerBroken(f"an answer of status {status}", where=where, mend="is it the address of a Leadline service?")


def _read(body: bytes) -> _Told:
    try:
        return msgspec.json.decode(body, type=_Told)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Told()


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Of the header in seconds; 0 where it is absent or a date, which no part of Leadline sends."""
    text = headers.get("retry-after", "")
    return min(float(text), _MOST_S) if text.isascii() and text.isdigit() else 0.0


def decode(body: bytes, kind: type[T], where: str) -> T:
    """Typed JSON. AnswerBroken for anything else."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        mend = "is it the address of a Leadline service, and is this client as new as it?"
        raise AnswerBroken("an answer that cannot be read", where=where, mend=mend) from None
