"""The only writes of reports. Each is one transaction with its line in the journal inside. They are in `acts`.

`receive` is the one way in.
"""

from __future__ import annotations

from leadline.workbench.reports.acts.alerts import acknowledge, claim_alert, note_alert_failure, set_on_call
from leadline.workbench.reports.acts.arrival import (
    LEGAL_ORDER,
    MAX_ITEMS,
    MAX_TEXT_CHARS,
    Receipt,
    TakenFile,
    forget_answers,
    receive,
)
from leadline.workbench.reports.acts.handling import decide_handling, let_see, set_countries, set_handling, set_hold
from leadline.workbench.reports.acts.moves import change_state
from leadline.workbench.reports.acts.retention import erase_contact, erase_report, replay_contact_erasures
from leadline.workbench.reports.acts.talk import MAX_MESSAGE_CHARS, find_by_passphrase, post_message
from leadline.workbench.reports.acts.urgent import explain_again, note_followed

__all__ = [
    "LEGAL_ORDER",
    "MAX_ITEMS",
    "MAX_MESSAGE_CHARS",
    "MAX_TEXT_CHARS",
    "Receipt",
    "TakenFile",
    "acknowledge",
    "change_state",
    "claim_alert",
    "decide_handling",
    "erase_contact",
    "erase_report",
    "explain_again",
    "find_by_passphrase",
    "forget_answers",
    "let_see",
    "note_alert_failure",
    "note_followed",
    "post_message",
    "receive",
    "replay_contact_erasures",
    "set_countries",
    "set_handling",
    "set_hold",
    "set_on_call",
]
