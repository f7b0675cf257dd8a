"""What is proposed to put things right: entries taken back from a partner, a partner's false entry disputed.

Proposes nothing itself. Each is the page of a new share, filled in: it passes the gate and two people like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.http import urlencode

from leadline.domain import EXACT_ALGORITHMS
from leadline.errors import ConfigError
from leadline.exchange.connector import Act
from leadline.workbench.actors import Actor
from leadline.workbench.banks.access import bank_id_of, visible_banks
from leadline.workbench.evidence.models import AssetMatch
from leadline.workbench.permissions import Permission
from leadline.workbench.review.models import Assessment, Origin
from leadline.workbench.review.reached import Remedy
from leadline.workbench.sharing.access import find_share, visible_shares
from leadline.workbench.sharing.models import ItemState, Partner, Share, ShareItem, ShareState
from leadline.workbench.sharing.reach import acts_of, holder_of
from leadline.workbench.sharing.ways import REACHED, disputed_by, entries_of

_CAME_TO_NOTHING = (ShareState.REFUSED, ShareState.WITHDRAWN, ShareState.EXPIRED)


def take_back(actor: Actor, made: Assessment, share_id: str) -> Remedy | None:
    """From the partner of a share, those of its entries that the assessment led to; of a dispute, its opposite."""
    share = find_share(actor, share_id)
    if share is None or not actor.may(Permission.SHARING_PROPOSE):
        return None
    is_dispute = share.act == Act.DISPUTE
    act = Act.AFFIRM if is_dispute else Act.WITHDRAW
    came = disputed_by(made) if is_dispute else entries_of(made)
    items = [one.items.filter(share=share, state__in=REACHED) for one in came]
    ids = sorted({entry for some in items for entry in some.values_list("entry", flat=True)})
    if not ids or not _takes(share.partner.source, act):
        return None
    more = {"reason": "correction", "purpose": share.purpose, "algorithm": share.algorithm}
    return _remedy(actor, share.partner_id, share.bank, ids, act, since=share.proposed_at, **more)


def dispute(actor: Actor, made: Assessment, object_id: str) -> Remedy | None:
    """To the source of a list, of its entry whose match was found to be false, where that source takes opinions.

    None where nobody made a partner of that source: then a person tells it in another way.
    """
    name, _, number = object_id.rpartition(":")
    bank = next((view.bank for view in visible_banks(actor) if view.bank is not None and view.bank.name == name), None)
    source = holder_of(bank) if bank is not None and actor.may(Permission.SHARING_PROPOSE) else ""
    partner = Partner.objects.filter(source=source).first() if source else None
    if bank is None or partner is None or not _takes(source, Act.DISPUTE):
        return None
    given = {"algorithm": _met_by(made, name, int(number)), "purpose": "list-quality", "reason": "own-assessment"}
    return _remedy(actor, partner.pk, bank_id_of(bank), [int(number)], Act.DISPUTE, **given)


def _takes(source: str, act: Act) -> bool:
    try:
        return act in acts_of(source)
    except ConfigError:
        return False


def _met_by(made: Assessment, bank: str, entry: int) -> str:
    """The fingerprint by which the assessed file met it, an exact one before others; some sources ask which."""
    files = made.coverage.filter(origin=Origin.ASSESSED.value).values("asset")
    met = AssetMatch.objects.filter(asset__in=files, bank=bank, entry=entry).values_list("algorithm", flat=True)
    return min(met, key=lambda name: (name not in EXACT_ALGORITHMS, name), default="")


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
    return Remedy(f"{reverse('new_share')}?{urlencode(given | more)}")


def _proposed(actor: Actor, partner: Any, bank: str, ids: Sequence[int], act: Act) -> QuerySet[Share]:
    items = ShareItem.objects.filter(entry__in=ids).exclude(state=ItemState.STOPPED)
    rows = visible_shares(actor, partner=partner).filter(bank=bank, act=act.value, pk__in=items.values("share"))
    return rows.exclude(state__in=_CAME_TO_NOTHING).order_by("-proposed_at")
