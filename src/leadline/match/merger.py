"""`python -m leadline.match.merger BANK`: merges a bank where that is due, giving way to all else, and tells nothing.

Killed at any moment it leaves the bank as it was; the next change starts another.
"""

from __future__ import annotations

import sys
from pathlib import Path

from leadline.errors import LeadlineError
from leadline.match.bank import Bank


def main(bank: str) -> int:
    try:
        Bank.open(Path(bank)).merge(gently=True, only_due=True)
    except LeadlineError:
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
