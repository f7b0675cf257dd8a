"""Health for monitors (/healthz), for Prometheus (/metrics) and for people."""

from __future__ import annotations

import hmac
import ipaddress
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST

from leadline.workbench.accounts.access import permissions_of, person_of
from leadline.workbench.journal.access import clock_doubts
from leadline.workbench.journal.actions import confirm_clocks
from leadline.workbench.permissions import Permission, requires
from leadline.workbench.stats import access
from leadline.workbench.stats.metrics import write_metrics

_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-Ip")


@requires(Permission.ANYONE)
def show_healthz(request: HttpRequest) -> HttpResponse:
    """200, or 503 where no report would be safe. Whoever reaches the workbench may ask, so of each thing it says no
    more than whether it is as it should be: no figures, no versions, not what is switched off."""
    checks = access.health(access.TOLD_TO_ALL)
    is_well = access.is_well(checks)
    told = {check.name: "ok" if check.state in {"ok", "off"} else "not-ok" for check in checks}
    return JsonResponse({"status": "ok" if is_well else "failed", "checks": told}, status=200 if is_well else 503)


@requires(Permission.ANYONE)
def show_metrics(request: HttpRequest) -> HttpResponse:
    """For this machine itself, or with the scrape token; absent for everybody else."""
    if not (_is_local(request) or _has_token(request)):
        raise Http404
    return HttpResponse(write_metrics(access.health()), content_type=CONTENT_TYPE_LATEST)


@requires(Permission.HEALTH_READ)
def show_health(request: HttpRequest) -> HttpResponse:
    context = {
        "checks": access.health(),
        "receipts": access.receipts_owed(),
        "duties": access.duties(),
        "now": timezone.now(),
        "may_confirm_clock": bool(clock_doubts()) and Permission.SETTINGS_MANAGE in permissions_of(request.user),
    }
    return render(request, "stats/health.html", context)


@requires(Permission.SETTINGS_MANAGE, fresh=True)
def confirm_clock(request: HttpRequest) -> HttpResponse:
    """A person has looked at another clock: what waited to be destroyed is destroyed from here on."""
    if request.method == "POST":
        confirm_clocks(str(person_of(request).pk))
    return redirect("health")


def _is_local(request: HttpRequest) -> bool:
    """Behind a proxy every caller seems to be this machine, so there the token is asked of all."""
    is_spoken_for = getattr(request, "leadline_spoken_for", False)
    is_spoken_for = is_spoken_for or any(name in request.headers for name in _FORWARDED)
    if settings.LEADLINE_PROXY or is_spoken_for:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _has_token(request: HttpRequest) -> bool:
    if not settings.LEADLINE_METRICS_TOKEN_FILE:
        return False
    try:
        token = Path(settings.LEADLINE_METRICS_TOKEN_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        return False
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and bool(token) and hmac.compare_digest(sent.encode(), token.encode())
