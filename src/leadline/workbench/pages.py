"""What every page shows: the office's name, the navigation that this person may use. Decides no right."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from leadline.workbench.accounts import access
from leadline.workbench.permissions import Permission
from leadline.workbench.problems import away

# permission, name of the address, text
NAVIGATION: list[tuple[Permission, str, Any]] = [
    (Permission.SEARCH, "search", _("Search")),
    (Permission.REPORTS_READ, "reports", _("Reports")),
    (Permission.SETTINGS_MANAGE, "report_terms", _("Terms of reports")),
    (Permission.REVIEW, "review_queue", _("Review")),
    (Permission.REVIEW, "review_appeals", _("Appeals")),
    (Permission.BANKS_WRITE, "review_withdrawals", _("To withdraw")),
    (Permission.REVIEW, "quality_disagreements", _("Disagreements")),
    (Permission.REVIEW, "quality_me", _("My results")),
    (Permission.REVIEW_LEAD, "review_team", _("Team")),
    (Permission.REVIEW_LEAD, "quality", _("Quality")),
    (Permission.CASES_READ, "cases", _("Cases")),
    (Permission.REPORTS_READ, "law", _("Law")),
    (Permission.SETTINGS_MANAGE, "law_office", _("What this office is")),
    (Permission.SETTINGS_MANAGE, "review_office", _("Floors of review")),
    (Permission.SETTINGS_MANAGE, "quality_office", _("Quality of review")),
    (Permission.SETTINGS_MANAGE, "case_office", _("Hints between cases")),
    (Permission.EVIDENCE_READ, "assets", _("Assets")),
    (Permission.EVIDENCE_READ, "exhibits", _("Exhibits")),
    (Permission.SETTINGS_MANAGE, "media_mode", _("Keeping of media")),
    (Permission.BANKS_READ, "banks", _("Banks")),
    (Permission.SOURCES_READ, "sources", _("Sources")),
    (Permission.SHARING_READ, "shares", _("Shares")),
    (Permission.SHARING_READ, "partners", _("Partners")),
    (Permission.PEOPLE_READ, "people", _("People")),
    (Permission.JOURNAL_READ, "journal", _("Journal")),
    (Permission.WEBHOOKS_MANAGE, "webhooks", _("Webhooks")),
    (Permission.HEALTH_READ, "health", _("Health")),
]


# The page of a thing -> what a new case is given of its address.
_OPENS_CASE = {
    "report": ("report", "report_id"),
    "asset": ("asset", "asset_id"),
    "review_assessment": ("assessment", "assessment_id"),
}


def page_context(request: HttpRequest) -> dict[str, Any]:
    person = getattr(request, "user", None)
    held = access.permissions_of(person) if person is not None and person.is_authenticated else frozenset()
    match = getattr(request, "resolver_match", None)
    here = match.url_name if match is not None else ""
    links = [
        {"href": reverse(name), "text": text, "here": name == here, "rel": name if name == "search" else ""}
        for permission, name, text in NAVIGATION
        if permission in held
    ]
    opens = _case_from(match) if Permission.CASES_WRITE in held else ""
    return {"office_name": settings.LEADLINE_OFFICE_NAME, "navigation": links, "opens_case": opens}


def _case_from(match: Any) -> str:
    """Where a case is opened from the thing that this page shows; "" on every other page."""
    name, field = _OPENS_CASE.get(match.url_name if match is not None else "", ("", ""))
    return f"{reverse('new_case')}?{urlencode({name: str(match.kwargs[field])})}" if name else ""


def show_fault(request: HttpRequest) -> HttpResponse:
    """A fault says nothing of why. A database or disk that is away is told apart: it comes back. Asks neither."""
    is_away = bool(away(sys.exc_info()[1]))
    page = render_to_string("fault.html", {"is_away": is_away, "office_name": settings.LEADLINE_OFFICE_NAME})
    headers = {"Retry-After": "5"} if is_away else {}
    return HttpResponse(page, status=503 if is_away else 500, headers=headers)
