"""Reports and items for programs. A key sees what its role clears; a sender learns nothing of other reports."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import Header, Query, Router, Schema, Status
from pydantic import Field, JsonValue, StringConstraints

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Reporter, Tlp, Urgency
from leadline.workbench.api import CursorQuery, caller, needs
from leadline.workbench.permissions import Permission
from leadline.workbench.reports import access, actions
from leadline.workbench.reports.states import State

router = Router(tags=["reports"])
Line = Annotated[str, StringConstraints(max_length=16_384)]
Short = Annotated[str, StringConstraints(max_length=200)]


class ItemIn(Schema):
    """One thing the report points at, as you have it; defanged links are understood."""

    kind: Literal["url", "account", "hash", "text"]
    value: Annotated[str, StringConstraints(min_length=1, max_length=16_384)]
    note: Line = ""
    referrer: Line = ""
    service: Short = ""


class ReporterIn(Schema):
    name: Short = ""
    organisation: Short = ""
    email: Short = ""
    phone: Short = ""


class ReportIn(Schema):
    """A report. `urgency` is what the sender ticks; it is never read out of a text. Times: seconds since 1970, UTC."""

    items: list[ItemIn] = Field(default=[], max_length=1000)
    text: Annotated[str, StringConstraints(max_length=actions.MAX_TEXT_CHARS)] = ""
    source_reference: Short = ""
    received_at: int = Field(0, ge=0, le=253402300799)
    made_at: int = Field(0, ge=0, le=253402300799)
    urgency: list[Urgency] = Field(default=[], max_length=10)
    tlp: Tlp = Tlp.AMBER_STRICT
    reporter: ReporterIn | None = None
    facts: dict[Short, JsonValue] = Field(default={}, max_length=100)


class ReceiptItem(Schema):
    id: UUID
    kind: str
    is_keyed: bool


class ReceiptOut(Schema):
    """What is on our disk now. It says nothing of what others reported."""

    id: UUID
    number: str
    received_at: datetime
    urgency: int
    items: list[ReceiptItem]


class ReportOut(Schema):
    id: UUID
    number: str
    channel: str
    source: str
    source_reference: str
    received_at: datetime
    state: str
    outcome: str
    urgency: int
    urgency_why: list[Annotated[list[str | int], Field(min_length=2, max_length=2)]]  # code, points
    sensitivity: int
    tlp: str
    item_count: int
    known_count: int


class ReportPage(Schema):
    reports: list[ReportOut]
    next: str | None


class ItemOut(Schema):
    """`value` is defanged. first_seen, last_seen, times: over all reports of the thing."""

    id: UUID
    report: UUID
    kind: str
    value: str
    flags: list[str]
    asset: UUID | None
    first_seen: datetime
    last_seen: datetime
    times: int


class ItemPage(Schema):
    items: list[ItemOut]
    next: str | None


class ReportQuery(CursorQuery):
    state: Literal["open", "all"] | State = "all"
    urgency: int | None = Field(None, ge=0, le=3)
    channel: Channel | None = None


class ReportSearch(Schema):
    text: str = Field(min_length=1, max_length=16_384, description="our number, your reference, or one exact item")
    state: Literal["open", "all"] | State = "all"
    cursor: str = Field("", max_length=1000)
    limit: int = Field(50, ge=1, le=200)


@router.post("reports", response={201: ReceiptOut, 200: ReceiptOut}, summary="Hand in a report")
@needs(Permission.REPORTS_WRITE)
def post_report(
    request: HttpRequest,
    body: ReportIn,
    idempotency_key: str = Header("", alias="Idempotency-Key", max_length=200),  # type: ignore[type-arg]
) -> Any:
    """201 when it is stored; 200 where the same Idempotency-Key came with the same body before; 422 with another."""
    actor = caller(request)
    receipt = actions.receive(
        _incoming(body),
        channel=Channel.API,
        actor=actor.id,
        source=actor.key.name if actor.key else "",
        idempotency_key=idempotency_key,
        tlp=body.tlp,
    )
    return Status(201 if receipt.is_new else 200, _receipt(receipt))


def _incoming(body: ReportIn) -> IncomingReport:
    items = tuple(
        IncomingItem(ItemKind(item.kind), item.value, item.note, item.referrer, _service(item.service))
        for item in body.items
    )
    reporter = Reporter(**body.reporter.dict()) if body.reporter else None
    return IncomingReport(
        Channel.API, items, body.source_reference, body.received_at, body.made_at, reporter,
        frozenset(body.urgency), body.text, (), dict(body.facts),
    )  # fmt: skip


def _service(service: str) -> dict[str, object]:
    return {"service": service} if service else {}


def _receipt(receipt: actions.Receipt) -> dict[str, Any]:
    items = [{"id": item.id, "kind": item.kind, "is_keyed": bool(item.key)} for item in receipt.items]
    report = receipt.report
    return {
        "id": report.id,
        "number": report.number,
        "received_at": report.received_at,
        "urgency": report.urgency,
        "items": items,
    }


@router.get("reports", response=ReportPage, summary="Reports, most urgent first")
@needs(Permission.REPORTS_READ)
def list_reports(request: HttpRequest, query: Query[ReportQuery]) -> Any:
    asked = access.Asked(query.state, query.urgency, query.channel or "")
    page = access.list_reports(caller(request), asked, query.cursor, query.limit)
    return {"reports": page.rows, "next": page.next}


@router.post("reports/search", response=ReportPage, summary="Reports of one number, reference or exact item")
@needs(Permission.REPORTS_READ)
def search_reports(request: HttpRequest, body: ReportSearch) -> Any:
    """Posted, for what is looked for may be a reported link, and addresses of requests stand in logs."""
    page = access.list_reports(caller(request), access.Asked(body.state, text=body.text), body.cursor, body.limit)
    return {"reports": page.rows, "next": page.next}


@router.get("reports/{uuid:report_id}", response=ReportOut, summary="One report")
@needs(Permission.REPORTS_READ)
def get_report(request: HttpRequest, report_id: UUID) -> Any:
    return _found(request, report_id)


@router.get("reports/{uuid:report_id}/items", response=ItemPage, summary="What a report points at")
@needs(Permission.REPORTS_READ)
def list_items(request: HttpRequest, report_id: UUID, query: Query[CursorQuery]) -> Any:
    report = _found(request, report_id)
    page = access.list_items(caller(request), report, query.cursor, query.limit)
    return {"items": [_item(item) for item in page.rows], "next": page.next}


@router.get("items/{uuid:item_id}", response=ItemOut, summary="One item")
@needs(Permission.REPORTS_READ)
def get_item(request: HttpRequest, item_id: UUID) -> Any:
    item = access.visible_items(caller(request)).filter(pk=item_id).first()
    if item is None:
        raise Http404
    return _item(item)


def _item(item: Any) -> dict[str, Any]:
    shown = access.show_item(item)
    return {
        "id": shown.id,
        "report": item.report_id,
        "kind": shown.kind,
        "value": shown.shown,
        "flags": list(shown.flags),
        "asset": item.asset_id,
        "first_seen": shown.first_seen_at,
        "last_seen": shown.last_seen_at,
        "times": shown.times,
    }


def _found(request: HttpRequest, report_id: UUID) -> Any:
    report = access.find_report(caller(request), report_id)
    if report is None:
        raise Http404
    return report
