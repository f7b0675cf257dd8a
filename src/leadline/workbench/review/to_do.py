"""Reads of what revisions leave to people: entries to withdraw from banks, and everybody who is to be told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from leadline.workbench.actors import Actor
from leadline.workbench.banks.access import visible_banks
from leadline.workbench.cursors import Slice
from leadline.workbench.evidence.access import page_of
from leadline.workbench.permissions import Permission
from leadline.workbench.review import access, reached
from leadline.workbench.review.models import Assessment, Reach, Standing, ToTell

_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Reached:
    """An entry that an assessment led to, as somebody may know it. `bank` is "" where the bank is not for them.

    is_to_be_undone  the assessment was revised, and it stands or waits still
    may_undo         by this person
    """

    reach: Reach
    bank: str
    is_to_be_undone: bool
    may_undo: bool


def _left(reaches: QuerySet[Reach]) -> QuerySet[Reach]:
    return reaches.filter(
        assessment__standing=Standing.SUPERSEDED.value, undone_by__isnull=True, ended_at__isnull=True,
        proposal__state__in=("open", "confirmed"),
    )  # fmt: skip


def withdrawals(actor: Actor) -> list[Reach]:
    """In banks that this actor sees: for whoever may write them, also where they may not see the file."""
    seen = [view.id for view in visible_banks(actor)]
    rows = _left(Reach.objects.filter(proposal__bank__in=seen)).select_related("proposal", "assessment")
    return list(rows.order_by("id")[:_SHOWN])


def find_withdrawal(actor: Actor, reach_id: Any) -> Reach | None:
    seen = [view.id for view in visible_banks(actor)]
    return Reach.objects.filter(pk=reach_id, proposal__bank__in=seen).select_related("proposal", "assessment").first()


def reached_of(actor: Actor, made: Assessment) -> list[Reached]:
    """What an assessment led to in banks, for its page."""
    seen = {view.id for view in visible_banks(actor)}
    left = set(_left(made.reached.all()).values_list("pk", flat=True))
    may_write = actor.may(Permission.BANKS_WRITE)
    return [
        Reached(
            row, row.proposal.bank if row.proposal.bank in seen else "", row.pk in left,
            row.pk in left and may_write and row.proposal.bank in seen,
        )
        for row in made.reached.select_related("proposal", "undone_by")
    ]  # fmt: skip


# --- who is to be told -----------------------------------------------------------------------------------------------


def _visible(actor: Actor) -> QuerySet[ToTell]:
    seen = access.visible_reviews(actor).values("pk")
    return ToTell.objects.filter(assessment__review__in=seen).select_related("assessment", "told_by")


def to_tell_page(actor: Actor, cursor: str) -> Slice:
    """Open ones, oldest first."""
    page = page_of(_visible(actor).filter(told_at__isnull=True), ("id",), cursor, "to-tell")
    _name(actor, page.rows)
    return page


def to_tell_of(actor: Actor, made: Assessment) -> list[ToTell]:
    rows = list(made.to_tell.select_related("assessment", "told_by"))
    _name(actor, rows)
    return rows


def _name(actor: Actor, rows: Iterable[Any]) -> None:
    """`who` is None where whoever got it is not for this actor; then there is no remedy for them either."""
    for row in rows:
        row.who = reached.show(actor, row.kind, row.object_id)
        row.remedy = reached.remedy(actor, row.assessment, row.kind, row.object_id) if row.who else None


def find_to_tell(actor: Actor, to_tell_id: Any) -> ToTell | None:
    """Only by somebody who sees who it is: nobody ticks off what they cannot tell."""
    row = _visible(actor).filter(pk=to_tell_id).first()
    return row if row is not None and reached.show(actor, row.kind, row.object_id) is not None else None

