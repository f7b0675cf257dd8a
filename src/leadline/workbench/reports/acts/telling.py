"""One line of the journal about a report. Call it inside the act's transaction, as its last write."""

from __future__ import annotations

from typing import Any

from leadline.workbench.accounts.models import Person
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.reports.models import Report


def tell(act: str, by: Person | str | None, report: Report, **more: Any) -> None:
    """by: a person, an actor as the journal names them, or None for the worker."""
    actor = SYSTEM if by is None else by if isinstance(by, str) else str(by.pk)
    record(act, actor=actor, object_kind="report", object_id=str(report.id), **more)
