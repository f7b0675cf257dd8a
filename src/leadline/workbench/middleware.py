"""What every request passes: headers, session limits, the second factor, the permission that its view declares."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import translation
from django.utils.http import urlencode

from leadline.workbench.accounts import access
from leadline.workbench.permissions import Permission

Handler = Callable[[HttpRequest], HttpResponse]

_SEEN, _SINCE = "leadline-seen", "leadline-since"
_SEEN_EVERY_S = 60
_SELF = "'self'"
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"script-src {_SELF}",
        f"style-src {_SELF}",
        f"img-src {_SELF} data:",  # the QR code of an authenticator's secret comes as one
        f"font-src {_SELF}",
        f"connect-src {_SELF}",
        f"form-action {_SELF}",
        f"manifest-src {_SELF}",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex, nofollow",
}


def security_headers(handle: Handler) -> Handler:
    """On every answer, also on errors and static files. Nothing but static files may be kept by a browser."""

    def with_headers(request: HttpRequest) -> HttpResponse:
        response = handle(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if not request.path.startswith(f"/{settings.STATIC_URL.strip('/')}/"):
            response.headers["Cache-Control"] = "no-store"
        return response

    return with_headers


def session_limits(handle: Handler) -> Handler:
    """Sign out after 30 minutes without a request, and 8 hours after the sign-in whatever happens.

    Not by the age of the cookie: that begins anew whenever the session is saved.
    """

    def with_limits(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            now = int(time.time())
            seen, since = request.session.get(_SEEN, now), request.session.setdefault(_SINCE, now)
            is_idle = not 0 <= now - seen <= settings.LEADLINE_IDLE_S
            if is_idle or not 0 <= now - since < settings.SESSION_COOKIE_AGE:
                page = _page_of(request)
                logout(request)
                return redirect(f"{reverse('account_login')}?{urlencode({'next': page})}")
            by_itself = "HX-Request" in request.headers  # a page that looks again is no sign that somebody is there
            if (now - seen >= _SEEN_EVERY_S and not by_itself) or _SEEN not in request.session:
                request.session[_SEEN] = now
        return handle(request)

    return with_limits


def own_language(handle: Handler) -> Handler:
    """A person's own language goes before what their browser asks for and what it keeps."""

    def in_own_language(request: HttpRequest) -> HttpResponse:
        own = getattr(request.user, "language", "")
        if own in dict(settings.LANGUAGES):
            translation.activate(own)
            request.LANGUAGE_CODE = own
        return handle(request)

    return in_own_language


def second_factor_first(handle: Handler) -> Handler:
    """A person without a second factor reaches nothing but the way out, and where they have just joined the pages that
    set one up. Otherwise a password alone would be enough: whoever knows it would set up a factor of their own."""
    allowed, enrolling = ("account_logout", "set_language"), ("mfa_", "account_reauthenticate")

    def with_second_factor(request: HttpRequest) -> HttpResponse:
        return handle(request)

    def process_view(request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        if not request.user.is_authenticated or access.has_second_factor(request.user, request):
            return None
        match = request.resolver_match
        name = (match.url_name or "") if match is not None else ""
        if name.startswith(allowed) or (name.startswith(enrolling) and access.has_just_joined(request)):
            return None
        return redirect("second_factor") if name != "second_factor" else None

    with_second_factor.process_view = process_view  # type: ignore[attr-defined]
    return with_second_factor


def permission_gate(handle: Handler) -> Handler:
    """Let a request through to its view only where the person holds what the view declares.

    A view that declares nothing is refused to all. Forbidden and absent look the same: 404.
    """

    def gated(request: HttpRequest) -> HttpResponse:
        return handle(request)

    def process_view(request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        permission = getattr(view, "permission", None)
        if permission is None:
            raise Http404
        if permission is Permission.ANYONE:
            return None
        if not request.user.is_authenticated:
            return redirect(f"{reverse('account_login')}?{urlencode({'next': _page_of(request)})}")
        if permission is not Permission.SIGNED_IN and permission not in access.permissions_of(request.user):
            raise Http404
        if view.fresh and not access.proved_recently(request):
            return _ask_again(request)
        return None

    gated.process_view = process_view  # type: ignore[attr-defined]
    return gated


def _ask_again(request: HttpRequest) -> HttpResponse:
    return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': _page_of(request)})}")


def _page_of(request: HttpRequest) -> str:
    """Where they were. A form that was sent is not replayed afterwards: they come to its page, and send it again."""
    if request.method == "GET":
        return request.get_full_path()
    page = request.headers.get("Referer", "/")
    return "/" + page.split("://", 1)[-1].partition("/")[2] if "://" in page else page
