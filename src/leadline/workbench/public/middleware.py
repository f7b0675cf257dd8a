"""What every request to the public form passes: headers, bounds, and a closed door while the key is missing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse

from leadline.errors import LeadlineError
from leadline.workbench import sealing
from leadline.workbench.public.pages import render_closed, render_fault

Handler = Callable[[HttpRequest], HttpResponse]

log = logging.getLogger("leadline.public")
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'none'",
        "style-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_ALWAYS_OPEN = {"help", "exit"}  # they take nothing in, and somebody may need them
_FORM = "application/x-www-form-urlencoded"


def strict_headers(handle: Handler) -> Handler:
    """On every answer, stylesheet included: nothing is kept by a browser, so Back shows nothing that was typed."""

    def with_headers(request: HttpRequest) -> HttpResponse:
        response = handle(request)
        for name, value in _HEADERS.items():
            response.headers[name] = value
        response.headers["Cache-Control"] = "no-store"
        for name in ("Last-Modified", "ETag"):  # a browser could be known again by them
            del response.headers[name]
        if settings.LEADLINE_PUBLIC_ONION and request.method == "GET" and not _came_by_onion(request):
            place = f"http://{settings.LEADLINE_PUBLIC_ONION}{request.path}"  # Tor encrypts; no certificate is needed
            response.headers["Onion-Location"] = place
        return response

    return with_headers


def _came_by_onion(request: HttpRequest) -> bool:
    return str(request.META.get("HTTP_HOST", "")).partition(":")[0].lower() == settings.LEADLINE_PUBLIC_ONION


def bounded_requests(handle: Handler) -> Handler:
    """Forms of text only, and small ones. There is no upload: a file is refused before a byte of it is read."""

    def bounded(request: HttpRequest) -> HttpResponse:
        if request.method not in {"GET", "HEAD", "POST"}:
            return render_fault(request, 405)
        if request.method == "POST":
            if request.content_type != _FORM:
                return render_fault(request, 415)
            length = str(request.META.get("CONTENT_LENGTH") or "")
            if not length.isdigit() or int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
                return render_fault(request, 413)
        return handle(request)

    return bounded


def closed_without_key(handle: Handler) -> Handler:
    """Without the instance key nothing could be sealed, so nothing is taken in: 503, in the visitor's language.

    The same answer where the key, the database or the vault goes away half-way: the act is undone as a whole.
    """

    def pass_on(request: HttpRequest) -> HttpResponse:
        return handle(request)

    def process_view(request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        name = request.resolver_match.url_name if request.resolver_match else None
        return None if name in _ALWAYS_OPEN or sealing.is_key_there() else render_closed(request)

    def process_exception(request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, LeadlineError | DatabaseError | OSError):
            return None
        log.error("closed for one request: %s", getattr(error, "code", type(error).__name__))
        return render_closed(request)

    pass_on.process_view = process_view  # type: ignore[attr-defined]
    pass_on.process_exception = process_exception  # type: ignore[attr-defined]
    return pass_on
