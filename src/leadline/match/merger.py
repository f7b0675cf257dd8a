"""`python -m leadline.match.merger BANK`: merges a bank where that is due, and gives way to all else; tells nothing.

With `--now` somebody waits for it: in any case, and like any other process. Killed at any moment it leaves the bank as
it was; the next change starts another.
"""

from __future__ import annotations

import sys
from pathlib import Path

from leadline.errors import LeadlineError
from leadline.match.bank import Bank


def main(bank: str, *options: str) -> int:
    is_waited_for = "--now" in options
    try:
        Bank.open(Path(bank)).merge(gently=not is_waited_for, only_due=not is_waited_for)
    except LeadlineError:
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
