"""What the worker does for webhooks: reads the journal on, posts what is due. Posting has a thread of its own."""

from __future__ import annotations

import threading

from django.db import close_old_connections, connections

from leadline.workbench.hooks import actions

_AT_ONCE = 3  # their tries end before the lease of the last does
_sending = threading.Lock()


def follow() -> None:
    """A slow receiver must not hold up the other duties, so a thread does the posting and ends when all is done."""
    while actions.follow_journal():
        pass
    if _sending.acquire(blocking=False):
        threading.Thread(target=_send_all, name="webhooks", daemon=True).start()


def _send_all() -> None:
    close_old_connections()
    try:
        while send_due():
            pass
    finally:
        connections.close_all()
        _sending.release()


def send_due() -> int:
    """Try what is due, one after another; how many."""
    claimed = actions.claim_due(_AT_ONCE)
    for delivery in claimed:
        actions.try_delivery(delivery)
    return len(claimed)


DUTIES = [("webhooks.follow", 2.0, follow), ("webhooks.forget", 3600.0, actions.forget_old)]
