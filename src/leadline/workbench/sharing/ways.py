"""That an entry was sent to a partner, among the ways by which a decision leaves this office. Tells nobody itself."""

from __future__ import annotations

from collections.abc import Iterable

from django.urls import reverse

from leadline.exchange.connector import Act
from leadline.workbench.actors import Actor
from leadline.workbench.banks.models import EntryChange
from leadline.workbench.review.models import Assessment
from leadline.workbench.review.reached import Left, Shown
from leadline.workbench.sharing.access import find_share
from leadline.workbench.sharing.models import ItemState, ShareItem


class Shares:
    """Shares with an entry that this assessment led to, where the partner took it or may have."""

    def find(self, made: Assessment) -> Iterable[Left]:
        found: dict[str, Left] = {}
        changes = made.reached.filter(proposal__change__isnull=False).values("proposal__change")
        for row in EntryChange.objects.filter(change__in=changes):
            items = ShareItem.objects.filter(
                share__bank=row.bank, share__act=Act.SUBMIT, entry__range=(row.first_entry, row.last_entry),
                state__in=(ItemState.TAKEN, ItemState.UNCLEAR, ItemState.SENDING), at__isnull=False,
            )  # fmt: skip
            for item in items:
                assert item.at is not None
                found[str(item.share_id)] = Left(str(item.share_id), item.at)
        return found.values()

    def show(self, actor: Actor, object_id: str) -> Shown | None:
        share = find_share(actor, object_id)
        return None if share is None else Shown(share.partner.name, reverse("share", args=[share.pk]))
