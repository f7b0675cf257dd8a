"""Slows the guessing of passwords by account, without a stranger being able to lock the account's owner out.

Ten failures within ten minutes make an account wait, for browsers that never signed in to it. A browser that did holds
a signed cookie, has ten tries of its own, and is not slowed by others' failures; passkeys are never slowed. By address,
allauth's own limits apply besides (settings.ACCOUNT_RATE_LIMITS).
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.core import signing
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse

_COOKIE = "leadline-known"
_SALT = "leadline.workbench.accounts.throttle"
_COOKIE_LASTS_S = 180 * 24 * 3600
_FAILURES = 10
_WINDOW_S = 600


def must_wait(request: HttpRequest, email: str) -> bool:
    return int(cache.get(_key(request, email), 0)) >= _FAILURES


def note_failure(request: HttpRequest, email: str) -> None:
    key = _key(request, email)
    if not cache.add(key, 1, _WINDOW_S):
        try:
            cache.incr(key)
        except ValueError:  # it ran out in between
            cache.add(key, 1, _WINDOW_S)


def remember_browser(response: HttpResponse, person: Any, *, is_secure: bool) -> None:
    """After a complete sign-in."""
    value = signing.dumps(_digest(person.email), salt=_SALT)
    response.set_cookie(
        _COOKIE, value, max_age=_COOKIE_LASTS_S, secure=is_secure, httponly=True, samesite="Lax"
    )


def is_known(request: HttpRequest, email: str) -> bool:
    try:
        value = signing.loads(request.COOKIES.get(_COOKIE, ""), salt=_SALT, max_age=_COOKIE_LASTS_S)
    except signing.BadSignature:
        return False
    return bool(value == _digest(email))


def _key(request: HttpRequest, email: str) -> str:
    own = request.COOKIES[_COOKIE] if is_known(request, email) else "strangers"
    return f"sign-in:{_digest(email)}:{_digest(own)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().lower().encode()).hexdigest()
