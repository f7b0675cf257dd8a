"""The only writes of sharing: partners and agreements, proposals, decisions, what is sent. They are in `acts`."""

from leadline.workbench.sharing.acts.agreeing import agree, end_agreement, make_partner
from leadline.workbench.sharing.acts.deciding import (
    LASTS,
    approve,
    doubt_after_restore,
    expire,
    propose,
    refuse,
    resolve,
    try_again,
    withdraw,
)
from leadline.workbench.sharing.acts.sending import send_due, settle_cut

__all__ = [
    "LASTS", "agree", "approve", "doubt_after_restore", "end_agreement", "expire", "make_partner", "propose", "refuse",
    "resolve", "send_due", "settle_cut", "try_again", "withdraw",
]  # fmt: skip
