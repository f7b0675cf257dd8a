"""What every public page shows, and the pages that say no. Knows nothing of who is looking."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve
from django.utils.translation import get_language, override

_RETRY_AFTER_S = 900
_MAX_GIVEN_BACK = 40_000


def page_context(request: HttpRequest) -> dict[str, Any]:
    language = get_language() or settings.LANGUAGE_CODE
    return {
        "office_name": settings.LEADLINE_OFFICE_NAME,
        "helpline": settings.LEADLINE_PUBLIC_HELPLINE.get(language, ""),
        "other_languages": [
            {"code": code, "name": name, "href": _same_page(request.path_info, code)}
            for code, name in settings.LANGUAGES
            if code != language
        ],
    }


def _same_page(path: str, code: str) -> str:
    """This page in another language. Pages that answer a form are reached through their form."""
    rest = "/".join(path.split("/")[2:])
    wanted = f"/{code}/{rest}"
    try:
        with override(code):
            resolve(wanted)
    except Resolver404:
        return f"/{code}/"
    return wanted if not wanted.endswith("/send/") else f"/{code}/answer/"


def render_fault(request: HttpRequest, status: int) -> HttpResponse:
    response = render(request, "public/fault.html", {"status": status}, status=status)
    if status == 405:
        response["Allow"] = "GET, HEAD, POST"
    return response


def render_closed(request: HttpRequest) -> HttpResponse:
    """Nothing was kept, so what was typed is given back, to be copied."""
    typed = ""
    if request.method == "POST":
        typed = "\n\n".join(part for part in (request.POST.get("urls", ""), request.POST.get("text", "")) if part)
    response = render(request, "public/closed.html", {"typed": typed[:_MAX_GIVEN_BACK]}, status=503)
    response["Retry-After"] = str(_RETRY_AFTER_S)
    return response


def render_too_many(request: HttpRequest, template: str, context: dict[str, Any], window_s: int) -> HttpResponse:
    """The form again, with all that was typed: whoever waits loses nothing."""
    response = render(request, template, context | {"too_many": True}, status=429)
    response["Retry-After"] = str(window_s)
    return response
