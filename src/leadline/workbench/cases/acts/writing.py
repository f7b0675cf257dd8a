"""What every act on a case begins and ends with: the row's lock, the right to write, the line of the journal."""

from __future__ import annotations

from typing import Any

from leadline.errors import NotAllowed, WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.cases import access
from leadline.workbench.cases.models import Case
from leadline.workbench.cases.states import State
from leadline.workbench.journal.actions import SYSTEM, record


def lock_case(case_id: Any) -> Case:
    return Case.objects.select_for_update().get(pk=case_id)


def to_write(by: Person, case_id: Any) -> Case:
    """The case, locked. NotAllowed for whoever is no working member of it, WrongState where it is closed."""
    case = lock_case(case_id)
    if not access.may_write(by, case):
        raise NotAllowed("only working members write in a case", where=case.number, mend="ask its lead")
    refuse_closed(case)
    return case


def to_lead(by: Person, case_id: Any) -> Case:
    """The same for what is its lead's alone; also of a closed case."""
    case = lock_case(case_id)
    if not access.is_lead(by, case):
        raise NotAllowed("its lead decides that", where=case.number, mend="ask the lead")
    return case


def refuse_closed(case: Case) -> None:
    if case.state == State.CLOSED:
        raise WrongState("the case is closed", where=case.number, mend="open it again first")


def tell(
    act: str, case: Case, by: Person | str | None, *, reason: str = "none", details: dict[str, Any] | None = None
) -> None:
    """One line about the case, as the last write of its act. by None: the machine."""
    actor = SYSTEM if by is None else by if isinstance(by, str) else str(by.pk)
    record(act, actor=actor, object_kind="case", object_id=str(case.pk), reason=reason, details=details)
