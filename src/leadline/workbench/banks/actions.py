"""The only writes of banks: the folder is changed by `match.bank` alone, rows and journal say who did it and why.

They are in `acts`.
"""

from __future__ import annotations

from leadline.workbench.banks import access
from leadline.workbench.banks.acts.changes import settle_changes
from leadline.workbench.banks.acts.entries import (
    MANY,
    MAX_PROPOSED,
    add_entries,
    create_bank,
    set_bank,
    trust_near,
    withdraw_entries,
)
from leadline.workbench.banks.acts.outside import follow_folders
from leadline.workbench.banks.acts.proposals import Outcome, confirm, propose, refuse

__all__ = [
    "MANY",
    "MAX_PROPOSED",
    "Outcome",
    "add_entries",
    "confirm",
    "create_bank",
    "follow_folders",
    "merge_due",
    "propose",
    "refuse",
    "set_bank",
    "settle_changes",
    "trust_near",
    "withdraw_entries",
]


def merge_due() -> int:
    """Start merges of banks that many small changes have made slow; each in a process of its own, which gives way."""
    return sum(bank.merge_in_background() is not None for bank in access.all_banks())
