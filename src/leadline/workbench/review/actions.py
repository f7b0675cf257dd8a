"""The only writes of review. Each is one transaction with its line in the journal inside. They are in `acts`."""

from __future__ import annotations

from leadline.workbench.review.acts.assessing import (
    REVISION_REASONS,
    cover,
    derive_again,
    hand_in,
    revise,
    settle,
    undo,
)
from leadline.workbench.review.acts.queue import (
    HOLD_REASONS,
    assign,
    claim,
    claim_next,
    escalate,
    give_back,
    hold,
    renew,
    save_draft,
    second_opinion,
    skip,
)
from leadline.workbench.review.acts.reaching import (
    OUTCOMES,
    SOURCES,
    entries_of,
    note_outcome,
    propose_entry,
    undo_reach,
)
from leadline.workbench.review.acts.reveals import end, end_all, grant, never_again, show, show_tile
from leadline.workbench.review.acts.shifts import begin_break, begin_shift, check_in, end_break, end_shift, set_wish
from leadline.workbench.review.acts.sorting import queue_again, refresh_review, sort_assets
from leadline.workbench.review.models import Level

__all__ = [
    "HOLD_REASONS",
    "OUTCOMES",
    "REVISION_REASONS",
    "SOURCES",
    "Level",
    "assign",
    "begin_break",
    "begin_shift",
    "check_in",
    "claim",
    "claim_next",
    "cover",
    "derive_again",
    "end",
    "end_all",
    "end_break",
    "end_shift",
    "entries_of",
    "escalate",
    "give_back",
    "grant",
    "hand_in",
    "hold",
    "never_again",
    "note_outcome",
    "propose_entry",
    "queue_again",
    "refresh_review",
    "renew",
    "revise",
    "save_draft",
    "second_opinion",
    "set_wish",
    "settle",
    "show",
    "show_tile",
    "skip",
    "sort_assets",
    "undo",
    "undo_reach",
]
