"""Search for programs: what the page finds, for the key's role and scopes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from leadline.workbench.api import caller, needs
from leadline.workbench.permissions import Permission
from leadline.workbench.search import access
from leadline.workbench.search.query import MAX_QUERY_CHARS
from leadline.workbench.search.table import Found

router = Router(tags=["search"])
Kind = Literal["report", "item", "asset", "case", "assessment", "appeal", "exhibit", "share", "entry", "line"]


class SearchIn(Schema):
    """`cursor` goes on within one kind, with the query that it came from."""

    query: str = Field(min_length=1, max_length=MAX_QUERY_CHARS, description="words, or one exact thing")
    kind: Kind | None = None
    cursor: str = Field("", max_length=1000)
    limit: int = Field(20, ge=1, le=100)


class FoundOut(Schema):
    id: str
    title: str
    at: datetime | None
    codes: list[str]


class GroupOut(Schema):
    kind: Kind
    found: list[FoundOut]
    next: str | None


class SearchOut(Schema):
    groups: list[GroupOut]


@router.post("search", response=SearchOut, summary="Find by an exact thing, or by words")
@needs(Permission.SEARCH)
def search(request: HttpRequest, body: SearchIn) -> Any:
    """Posted, for what is looked for may be a reported link, and addresses of requests stand in logs.

    Only kinds that the key's scopes cover: reports.read, evidence.read, cases.read, review, banks.read, journal.read.
    """
    groups = access.find(caller(request), body.query, kind=body.kind or "", cursor=body.cursor, limit=body.limit)
    return {
        "groups": [
            {"kind": group.kind, "found": [_found(one) for one in group.found], "next": group.next} for group in groups
        ]
    }


def _found(one: Found) -> dict[str, Any]:
    codes = [code for _, code in one.codes if code]
    return {"id": one.id, "title": one.title, "at": one.at, "codes": codes}
