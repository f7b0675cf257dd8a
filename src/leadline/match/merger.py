"""`python -m leadline.match.merger BANK`: merges a bank where that is due (with `--now`: in any case); tells nothing.

It gives way to all else. Killed at any moment it leaves the bank as it was; the next change starts another.
"""

from __future__ import annotations

import sys
from pathlib import Path

from leadline.errors import LeadlineError
from leadline.match.bank import Bank


def main(bank: str, *options: str) -> int:
    try:
        Bank.open(Path(bank)).merge(gently=True, only_due="--now" not in options)
    except LeadlineError:
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
