"""What a request must be before anything of it is read: through the named proxy, and no larger than its view takes.

Django parses a body, files and all, before any view is asked: whoever is not signed in could fill the memory.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve

Handler = Callable[[HttpRequest], HttpResponse]

_FORWARDED = ("HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_FORWARDED")


def named_proxy_only(handle: Handler) -> Handler:
    """Behind a TLS proxy: nobody else comes in over plain HTTP from beyond this machine, or speaks for a proxy."""

    def through_proxy(request: HttpRequest) -> HttpResponse:
        peer = str(request.META.get("REMOTE_ADDR", ""))
        if peer != settings.LEADLINE_PROXY:
            spoken_for = [name for name in _FORWARDED if request.META.pop(name, None) is not None]
            request.leadline_spoken_for = bool(spoken_for)  # type: ignore[attr-defined]
            if settings.LEADLINE_PROXY and not _is_this_machine(peer):
                return HttpResponse("Come through the proxy.\n", status=400, content_type="text/plain")
        return handle(request)

    return through_proxy


def _is_this_machine(peer: str) -> bool:
    try:
        return ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return peer == ""  # a socket in the file system


def bounded_bodies(handle: Handler) -> Handler:
    """413 before a byte is read, unless a person is signed in and the view says that it takes files.

    Routes of the API bound their bodies themselves, after the key.
    """

    def bounded(request: HttpRequest) -> HttpResponse:
        if body_length(request) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE and not _may_be_large(request):
            return HttpResponse("Too large.\n", status=413, content_type="text/plain", headers={"Connection": "close"})
        return handle(request)

    return bounded


def _may_be_large(request: HttpRequest) -> bool:
    try:
        view = resolve(request.path_info).func
    except Resolver404:
        return False
    if getattr(view, "bounds_itself", False):
        return True
    return bool(getattr(view, "takes_files", False) and get_user(request).is_authenticated)


def body_length(request: HttpRequest) -> int:
    """As the client says; nothing more of a body is ever read."""
    text = str(request.META.get("CONTENT_LENGTH") or "0")
    return int(text) if text.isascii() and text.isdigit() else 0
