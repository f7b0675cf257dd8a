"""Published periods as deadlines, where they bind the operator itself; all others as information. Not legal advice.

Never says what to keep or delete: a deadline is a reminder and never overrides how an office keeps media.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from leadline.errors import InputError
from leadline.law.matrix import Cell, Matrix
from leadline.law.terms import Answer, Binds, Event, Role, Unit


class Sense(StrEnum):
    KEEP_UNTIL = "keep-until"
    ACT_BEFORE = "act-before"


@dataclass(frozen=True, slots=True)
class Deadline:
    """`due_at` in UTC; None while the event it counts from has not happened."""

    cell: Cell
    sense: Sense
    counts_from: Event
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Deadlines:
    binding: tuple[Deadline, ...]
    information: tuple[Cell, ...]


def deadlines(
    matrix: Matrix,
    own_country: str,
    own_role: Role,
    received_at: datetime,
    *,
    report_sent_at: datetime | None = None,
    other_countries: Iterable[str] = (),
) -> Deadlines:
    """Deadlines that bind an operator of this role and country; every other published period is information.

    A cell binds only if it is of the own country (or of union law in force there), answers plainly yes, names the
    role or anyone, and its source says what it counts from.
    received_at, report_sent_at  aware datetimes: when we learned of it, when our own report or notification went out
    other_countries              host, reporter, suspect: their published periods are information, never a deadline
    Raises InputError for a time without a zone or for what is no country code.
    """
    moments = {Event.RECEIVED: _utc(received_at)}
    if report_sent_at is not None:
        moments[Event.REPORT_SENT] = _utc(report_sent_at)
    binding: list[Deadline] = []
    information: list[Cell] = []
    own = _timed_cells(matrix, own_country)
    for cell in own:
        if _binds(cell, own_role):
            binding.append(_deadline(cell, moments))
        else:
            information.append(cell)
    for country in other_countries:
        information += [c for c in _timed_cells(matrix, country) if c not in own and c not in information]
    return Deadlines(tuple(binding), tuple(information))


def add_period(moment: datetime, number: int, unit: Unit, sense: Sense) -> datetime:
    """Hours and days exactly, months and years by the calendar. Where the day does not exist in that month the safe
    side is taken: act on its last day, keep until the first of the next."""
    if unit in (Unit.HOURS, Unit.DAYS):
        return moment + (timedelta(hours=number) if unit is Unit.HOURS else timedelta(days=number))
    months = moment.year * 12 + moment.month - 1 + number * (12 if unit is Unit.YEARS else 1)
    year, month = divmod(months, 12)
    try:
        return moment.replace(year=year, month=month + 1)
    except ValueError:
        first_of_next = moment.replace(year=year, month=month + 2, day=1)  # December has 31 days: never reached
        return first_of_next if sense is Sense.KEEP_UNTIL else first_of_next - timedelta(days=1)


def _timed_cells(matrix: Matrix, country: str) -> list[Cell]:
    return [cell for law in matrix.laws_in(country) for cell in matrix.row(law) if cell.deadline]


def _binds(cell: Cell, role: Role) -> bool:
    named = cell.binds is Binds.ANYONE or cell.binds.value == role.value
    period = cell.deadline
    return named and cell.answer is Answer.YES and period is not None and period.counts_from is not Event.UNKNOWN


def _deadline(cell: Cell, moments: dict[Event, datetime]) -> Deadline:
    period = cell.deadline
    assert period is not None
    sense = Sense.KEEP_UNTIL if cell.question_id == "preservation" else Sense.ACT_BEFORE
    start = moments.get(period.counts_from)
    due_at = add_period(start, period.number, period.unit, sense) if start else None
    return Deadline(cell, sense, period.counts_from, due_at)


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise InputError("a time without a zone cannot start a deadline", mend="give an aware datetime")
    return moment.astimezone(UTC)
