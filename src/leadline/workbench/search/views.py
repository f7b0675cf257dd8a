"""The page of search. What somebody looks for is posted: it may be a reported link, and addresses stand in logs."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from leadline.errors import InputError
from leadline.workbench.actors import actor_of
from leadline.workbench.permissions import Permission, requires
from leadline.workbench.search import access
from leadline.workbench.search.forms import KINDS, SearchForm

_OF_EACH_KIND, _OF_ONE_KIND = 10, 50


@requires(Permission.SEARCH)
def search(request: HttpRequest) -> HttpResponse:
    form = SearchForm(request.POST if request.method == "POST" else None)
    groups = _groups(request, form) if form.is_valid() else None
    context = {"form": SearchForm({"query": form["query"].value() or ""}) if groups is not None else form}
    return render(request, "search/page.html", {**context, "groups": groups, "query": form["query"].value() or ""})


def _groups(request: HttpRequest, form: SearchForm) -> list[dict[str, Any]]:
    given, actor = form.cleaned_data, actor_of(request)
    limit = _OF_ONE_KIND if given["kind"] else _OF_EACH_KIND
    try:
        groups = access.find(actor, given["query"], kind=given["kind"], cursor=given["cursor"], limit=limit)
    except InputError:  # a cursor of another list, or an old one: from its start
        groups = access.find(actor, given["query"], kind=given["kind"], limit=limit)
    return [{"group": group, "title": KINDS[group.kind], "found": list(map(_shown, group.found))} for group in groups]


def _shown(found: Any) -> dict[str, Any]:
    name, named = found.page
    return {"title": found.title, "href": reverse(name, kwargs=named or None), "codes": found.codes, "at": found.at}
