"""What is proposed to put right what reached a partner: an entry taken back from theirs. Proposes nothing itself.

Each is the page of a new share, filled in: it passes the gate and two people like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.http import urlencode

from leadline.exchange.connector import Act
from leadline.workbench.actors import Actor
from leadline.workbench.permissions import Permission
from leadline.workbench.review.models import Assessment
from leadline.workbench.review.reached import Remedy
from leadline.workbench.sharing.access import find_share, visible_shares
from leadline.workbench.sharing.models import ItemState, Share, ShareItem, ShareState
from leadline.workbench.sharing.ways import REACHED, entries_of

_CAME_TO_NOTHING = (ShareState.REFUSED, ShareState.WITHDRAWN, ShareState.EXPIRED)


def take_back(actor: Actor, made: Assessment, share_id: str) -> Remedy | None:
    """From the partner of a share, those of its entries that the assessment led to."""
    share = find_share(actor, share_id)
    if share is None or not actor.may(Permission.SHARING_PROPOSE):
        return None
    items = [came.items.filter(share=share, state__in=REACHED) for came in entries_of(made)]
    ids = sorted({entry for some in items for entry in some.values_list("entry", flat=True)})
    return _remedy(actor, share.partner_id, share.bank, ids, Act.WITHDRAW, since=share.proposed_at) if ids else None


def _remedy(
    actor: Actor, partner: Any, bank: str, ids: Sequence[int], act: Act, *, since: Any = None, **more: str
) -> Remedy:
    """The page of a new share, or that of one that is proposed or was sent."""
    made = _proposed(actor, partner, bank, ids, act)
    if since is not None:
        made = made.filter(proposed_at__gte=since)
    if (found := made.first()) is not None:
        return Remedy(reverse("share", args=[found.pk]), is_proposed=True)
    given = {"partner": partner, "bank": bank, "ids": " ".join(map(str, ids)), "act": act.value}
    return Remedy(f"{reverse('new_share')}?{urlencode({**given, 'reason': 'correction', **more})}")


def _proposed(actor: Actor, partner: Any, bank: str, ids: Sequence[int], act: Act) -> QuerySet[Share]:
    items = ShareItem.objects.filter(entry__in=ids).exclude(state=ItemState.STOPPED)
    rows = visible_shares(actor, partner=partner).filter(bank=bank, act=act.value, pk__in=items.values("share"))
    return rows.exclude(state__in=_CAME_TO_NOTHING).order_by("-proposed_at")
