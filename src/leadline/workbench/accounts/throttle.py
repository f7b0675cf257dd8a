"""Slows the guessing of passwords and codes by account, without a stranger being able to lock the account's owner out.

Ten tries within ten minutes that came to nothing make an account wait, for browsers that never signed in to it; thirty
from one address make that address wait. A browser that did sign in holds a signed cookie: it has ten tries of its own,
whatever others do, from whatever address they do it. Who comes by a link in a mail to that account (an invitation, a
new password) holds one for its password, not for its codes: who reads that mail must not guess on for ever. Passkeys
are never slowed: there is nothing to guess. All processes of a machine count together (`workbench/counts.py`), and a
try counts before it is looked at, so that many at once do not slip through.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse

from leadline.workbench.public.limits import visitor_address

_COOKIE = "leadline-known"
_SALT = "leadline.workbench.accounts.throttle"
_COOKIE_LASTS_S = 180 * 24 * 3600
_OF_ACCOUNT, _OF_ADDRESS = 10, 30
_WINDOW_S = 600


def codes_of(person: Any) -> str:
    """What is guessed at behind the password. The password itself goes by the e-mail address."""
    return f"codes:{person.pk}"


def may_try(request: HttpRequest, what: str) -> bool:
    """Whether this try at a password or a code is looked at. It counts from here on, until `give_back`."""
    taken = [_take(key) <= most for key, most in _counts(request, what)]
    return all(taken)


def give_back(request: HttpRequest, what: str) -> None:
    """It was right, so it was no guess."""
    for key, _ in _counts(request, what):
        try:
            cache.decr(key)
        except ValueError:  # it ran out in between
            continue


def remember_browser(response: HttpResponse, *known: str) -> None:
    """What this browser's person has proved they know: password and codes after a complete sign-in."""
    value = signing.dumps([_digest(what) for what in known], salt=_SALT)
    is_secure = settings.SESSION_COOKIE_SECURE
    response.set_cookie(_COOKIE, value, max_age=_COOKIE_LASTS_S, secure=is_secure, httponly=True, samesite="Lax")


def is_known(request: HttpRequest, what: str) -> bool:
    try:
        value = signing.loads(request.COOKIES.get(_COOKIE, ""), salt=_SALT, max_age=_COOKIE_LASTS_S)
    except signing.BadSignature:
        return False
    return _digest(what) in value


def address_of(request: HttpRequest) -> str:
    """Behind the named proxy the visitor's, not the proxy's; "" where it says nothing, as of this machine itself."""
    forwarded, proxy = request.META.get("HTTP_X_FORWARDED_FOR", ""), settings.LEADLINE_PROXY
    return visitor_address(request.META.get("REMOTE_ADDR", ""), forwarded, proxy)


def _counts(request: HttpRequest, what: str) -> Iterator[tuple[str, int]]:
    """Under which names a try counts, and how many may."""
    if is_known(request, what):
        yield f"sign-in:{_digest(what)}:{_digest(request.COOKIES[_COOKIE])}", _OF_ACCOUNT
        return
    yield f"sign-in:{_digest(what)}:strangers", _OF_ACCOUNT
    if address := address_of(request):
        yield f"sign-in-from:{address}", _OF_ADDRESS


def _take(key: str) -> int:
    if cache.add(key, 1, _WINDOW_S):
        return 1
    try:
        return int(cache.incr(key))
    except ValueError:  # it ran out in between
        cache.add(key, 1, _WINDOW_S)
        return 1


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().lower().encode()).hexdigest()
