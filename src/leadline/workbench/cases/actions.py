"""The only writes of cases. Each is one transaction with its line in the journal inside. They are in `acts`."""

from __future__ import annotations

from leadline.workbench.cases.acts.asking import answer, ask_leads, set_red_hints
from leadline.workbench.cases.acts.exporting import Export, export_case
from leadline.workbench.cases.acts.importing import Handling, Tally, import_cases
from leadline.workbench.cases.acts.members import add_member, end_membership, hand_over
from leadline.workbench.cases.acts.opening import change_state, decide_handling, open_case, set_handling, set_title
from leadline.workbench.cases.acts.people import add_party, add_selector, remove_selector, set_party_role
from leadline.workbench.cases.acts.things import add_things, take_out
from leadline.workbench.cases.acts.work import add_note, add_task, move_task, set_task

__all__ = [
    "Export",
    "Handling",
    "Tally",
    "add_member",
    "add_note",
    "add_party",
    "add_selector",
    "add_task",
    "add_things",
    "answer",
    "ask_leads",
    "change_state",
    "decide_handling",
    "end_membership",
    "export_case",
    "hand_over",
    "import_cases",
    "move_task",
    "open_case",
    "remove_selector",
    "set_handling",
    "set_party_role",
    "set_red_hints",
    "set_task",
    "set_title",
    "take_out",
]
