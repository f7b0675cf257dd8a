"""Which bank a subscriber may read. A bank that is not published and one that its token does not name are the same."""

from __future__ import annotations

from leadline.errors import BankNotFound
from leadline.match.bank import Bank
from leadline.service.desk import Desk
from leadline.service.options import Publication
from leadline.service.tokens import Scope, Token


def find_published(desk: Desk, token: Token, name: str) -> tuple[Publication, Bank]:
    """ScopeMissing, BankNotFound."""
    token.demand(Scope.SUBSCRIBE)
    for publication in desk.options.publish:
        if publication.bank == name and name in token.lists:
            return publication, desk.lists.bank(name)
    raise BankNotFound("no such published bank", where=name[:100], mend="ask its publisher for its name, or a token")
