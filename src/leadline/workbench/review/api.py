"""Appeals and outcomes for programs. Neither answer says what is known here of what was named."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponseBase
from ninja import Header, Router, Schema, Status
from pydantic import Field, StringConstraints

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Reporter
from leadline.errors import InputError
from leadline.workbench.api import caller, needs, once
from leadline.workbench.permissions import Permission
from leadline.workbench.reports.api import ItemIn, ReporterIn, Short
from leadline.workbench.review import access, actions, appeals

router = Router(tags=["review"])
MAX_ABOUT = 100
MAX_APPEAL_CHARS = 20_000


class AppealIn(Schema):
    """What is contested, and why. `assessment`: where this office told you its number. A report's number is a text."""

    about: list[ItemIn] = Field(default=[], max_length=MAX_ABOUT)
    assessment: UUID | None = None
    text: Annotated[str, StringConstraints(max_length=MAX_APPEAL_CHARS)] = ""
    source_reference: Short = ""
    reporter: ReporterIn | None = None


class AppealReceipt(Schema):
    """What is on our disk now. The same whatever is known here."""

    id: UUID
    number: str
    received_at: datetime


class AppealOut(Schema):
    """`status`: received, in-progress, question, closed. `outcome`: what a person of this office told you."""

    id: UUID
    number: str
    received_at: datetime
    status: str
    outcome: str


class OutcomeIn(Schema):
    """What became of a file, of what was assessed, or of all files of a report: by ids that this office gave you."""

    about: Literal["asset", "assessment", "report"]
    id: UUID
    word: Literal["removed", "safeguarded", "no-action", "unknown"]
    source: Literal["police", "host", "partner", "own-check"]


class OutcomeNoted(Schema):
    """`noted`: of how many groups of files that are decided together."""

    noted: int


@router.post("appeals", response={201: AppealReceipt, 200: AppealReceipt}, summary="Contest a decision")
@needs(Permission.APPEALS_WRITE)
def post_appeal(
    request: HttpRequest,
    body: AppealIn,
    idempotency_key: str = Header("", alias="Idempotency-Key", max_length=200),  # type: ignore[type-arg]
) -> Any:
    """201 when it is stored; 200 where the same Idempotency-Key came with the same body before; 422 with another.

    People decide it, and nothing changes by it alone.
    """
    actor = caller(request)
    appeal, is_new = actions.receive_appeal(
        actor, _incoming(body), assessment_id=body.assessment, source=actor.key.name if actor.key else "",
        idempotency_key=idempotency_key,
    )  # fmt: skip
    told = appeals.appellant_view_of(appeal)
    return Status(201 if is_new else 200, {"id": told.id, "number": told.number, "received_at": told.received_at})


def _incoming(body: AppealIn) -> IncomingReport:
    items = tuple(
        IncomingItem(
            ItemKind(item.kind), item.value, item.note, item.referrer, {"service": item.service} if item.service else {}
        )
        for item in body.about
    )
    reporter = Reporter(**body.reporter.dict()) if body.reporter else None
    return IncomingReport(Channel.API, items, body.source_reference, reporter=reporter, text=body.text)


@router.get("appeals/{uuid:appeal_id}", response=AppealOut, summary="Where an appeal stands")
@needs(Permission.APPEALS_WRITE)
def get_appeal(request: HttpRequest, appeal_id: UUID) -> Any:
    """Only what this very key handed in."""
    view = appeals.appellant_view(caller(request), appeal_id)
    if view is None:
        raise Http404
    return view


@router.post("outcomes", response={201: OutcomeNoted}, summary="Tell what became of something")
@needs(Permission.OUTCOMES_WRITE)
def post_outcome(request: HttpRequest, body: OutcomeIn) -> HttpResponseBase | Status[OutcomeNoted]:
    """Send an Idempotency-Key: the same request sent again notes nothing twice. 409 where no file of it is here."""
    actor = caller(request)
    clusters = access.clusters_about(actor, body.about, body.id)
    if clusters is None:  # absent and forbidden look the same
        raise InputError("nothing of that id", where="id", mend="give an id that this office gave you")

    def act() -> tuple[int, OutcomeNoted]:
        return 201, OutcomeNoted(noted=len(actions.note_outcomes(actor.id, clusters, body.word, body.source)))

    return once(request, act)
