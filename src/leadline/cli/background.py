"""A merge that nobody waits for, started by `bank add` and `bank remove`. Never touches a bank itself."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leadline.match.bank import Bank


def merge_behind(bank: Bank, path: str) -> bool:
    """Start `leadline bank merge` in a process of its own where a merge is due; whether it was started.

    It outlives this command and its terminal. Matching and writing go on meanwhile; where another merge is at work
    already, it ends at once; where it is killed, the bank stays as it was and the next change starts another.
    """
    if not bank.is_merge_due or not sys.executable:
        return False
    merger = subprocess.Popen(  # noqa: S603 (our own interpreter, our own code)
        [sys.executable, "-m", "leadline", "bank", "merge", os.path.abspath(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    threading.Thread(target=merger.wait, daemon=True).start()  # so that no ended process is left to whoever lives on
    return True
