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
from leadline.workbench.reports.acts.handling import set_hold, set_sensitivity
from leadline.workbench.reports.acts.moves import change_state
from leadline.workbench.reports.acts.retention import erase_contact, erase_report
from leadline.workbench.reports.acts.talk import MAX_MESSAGE_CHARS, find_by_passphrase, post_message

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
    "erase_contact",
    "erase_report",
    "find_by_passphrase",
    "forget_answers",
    "note_alert_failure",
    "post_message",
    "receive",
    "set_hold",
    "set_on_call",
    "set_sensitivity",
]
