"""The journal in the background: its own chain is walked every day. A line that does not hold fails the duty."""

from __future__ import annotations

from leadline.workbench import chain

DUTIES = [("journal.verify", 24 * 3600.0, chain.refuse_broken)]
