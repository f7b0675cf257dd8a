"""Pages of the journal."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from leadline.workbench.journal import access
from leadline.workbench.permissions import Permission, requires

_LINES_A_PAGE = 50


@requires(Permission.JOURNAL_READ)
def show_journal(request: HttpRequest) -> HttpResponse:
    asked = {name: request.GET.get(name, "").strip() for name in ("object_id", "actor", "act")}
    page = Paginator(access.visible_lines(**asked), _LINES_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "journal/lines.html", {"page": page, "asked": asked, "anchor": access.latest_anchor()})
