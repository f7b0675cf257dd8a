"""The only writes of evidence. Each is one transaction with its line in the journal inside. They are in `acts`."""

from __future__ import annotations

from leadline.workbench.evidence.acts.arrival import set_media_mode, take_in
from leadline.workbench.evidence.acts.bags import build as build_exhibit
from leadline.workbench.evidence.acts.exhibits import (
    build_again,
    decide_exhibit,
    note_built,
    note_download,
    note_failed,
    note_receipt,
    request_exhibit,
)
from leadline.workbench.evidence.acts.keeping import (
    erase,
    erase_expired,
    reconcile_erased,
    set_handling,
    set_hold,
    set_term,
)
from leadline.workbench.evidence.acts.matches import announce_bank, end_task, match_again, note_bank, note_bank_gone
from leadline.workbench.evidence.acts.removal import remove_exhibits
from leadline.workbench.evidence.acts.telling import bank_code
from leadline.workbench.evidence.acts.vault import (
    VaultCheck,
    check_vault,
    forget_older_keys,
    note_anchor,
    note_anchor_left,
    note_backup,
    note_erasures,
    note_restored,
    note_stamp,
    rotate_key,
)

__all__ = [
    "VaultCheck",
    "announce_bank",
    "bank_code",
    "build_again",
    "build_exhibit",
    "check_vault",
    "decide_exhibit",
    "end_task",
    "erase",
    "erase_expired",
    "forget_older_keys",
    "match_again",
    "note_anchor",
    "note_anchor_left",
    "note_backup",
    "note_bank",
    "note_bank_gone",
    "note_built",
    "note_download",
    "note_erasures",
    "note_failed",
    "note_receipt",
    "note_restored",
    "note_stamp",
    "reconcile_erased",
    "remove_exhibits",
    "request_exhibit",
    "rotate_key",
    "set_handling",
    "set_hold",
    "set_media_mode",
    "set_term",
    "take_in",
]
