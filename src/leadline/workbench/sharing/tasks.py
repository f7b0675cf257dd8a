"""What the worker does for sharing: sends what two people approved, lets expire what nobody decided."""

from __future__ import annotations

from leadline.workbench.sharing import actions


def send() -> int:
    """One worker at a time holds this duty, so what stands as being sent now was left by one that is gone."""
    actions.settle_cut()
    return actions.send_due()


DUTIES = [("sharing.send", 5.0, send), ("sharing.expire", 300.0, actions.expire)]
