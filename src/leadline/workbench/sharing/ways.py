"""Ways by which a decision leaves this office to other organisations: partners that were sent an entry, subscribers of
a bank's signed feed, and those who read it where the service publishes it. Tells nobody itself.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import NamedTuple

from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from leadline.errors import BankError
from leadline.exchange.connector import Act
from leadline.match.bank import Bank
from leadline.match.folder import FEED
from leadline.match.readers import names_of, readers_of
from leadline.workbench.actors import Actor
from leadline.workbench.banks import access as banks
from leadline.workbench.banks.models import EntryChange
from leadline.workbench.review.models import Assessment
from leadline.workbench.review.reached import Left, Shown
from leadline.workbench.sharing.access import find_share
from leadline.workbench.sharing.models import ItemState, ShareItem

REACHED = (ItemState.TAKEN, ItemState.UNCLEAR, ItemState.SENDING)
_UNREADABLE = "?"  # in place of a subscriber, where what says who they are cannot be read
_DIGITS = 32


class Came(NamedTuple):
    """Entries `first` to `last` of a bank, which an assessment led to, and since when."""

    bank: str
    first: int
    last: int
    since: datetime

    @property
    def ids(self) -> range:
        return range(self.first, self.last + 1)

    @property
    def items(self) -> QuerySet[ShareItem]:
        """All that was proposed to leave of them, whatever became of it."""
        return ShareItem.objects.filter(share__bank=self.bank, entry__range=(self.first, self.last))


def entries_of(made: Assessment) -> Iterator[Came]:
    changes = made.reached.filter(proposal__change__isnull=False).values("proposal__change")
    for row in EntryChange.objects.filter(change__in=changes).select_related("change"):
        yield Came(row.bank, row.first_entry, row.last_entry, row.change.begun_at)


def disputed_by(made: Assessment) -> Iterator[Came]:
    """Entries of others that a false positive of this assessment listed as false."""
    by_name = {bank.name: banks.bank_id_of(bank) for bank in banks.all_banks()}
    for row in made.to_tell.filter(kind="list-source"):
        name, _, number = row.object_id.rpartition(":")
        if name in by_name:
            yield Came(by_name[name], int(number), int(number), made.made_at)


class Shares:
    """Shares with an entry that this assessment led to, or that disputed one for it, where they may have arrived."""

    def find(self, made: Assessment) -> Iterable[Left]:
        sent = [came.items.filter(share__act=Act.SUBMIT) for came in entries_of(made)]
        sent += [
            came.items.filter(share__act=Act.DISPUTE, share__proposed_at__gte=came.since) for came in disputed_by(made)
        ]
        found: dict[str, Left] = {}
        for items in sent:
            for item in items.filter(state__in=REACHED, at__isnull=False):
                assert item.at is not None
                found[str(item.share_id)] = Left(str(item.share_id), item.at)
        return found.values()

    def show(self, actor: Actor, object_id: str) -> Shown | None:
        share = find_share(actor, object_id)
        return None if share is None else Shown(share.partner.name, reverse("share", args=[share.pk]))


class _OfBanks(ABC):
    """Subscribers of a bank, by its id and a name of theirs that says nothing. Where the file that tells who they are
    cannot be read, that there is one is listed: a revision is never lost to it.
    """

    def find(self, made: Assessment) -> Iterable[Left]:
        found: dict[str, Left] = {}
        known = {banks.bank_id_of(bank): bank for bank in banks.all_banks()}
        for came in entries_of(made):
            if (bank := known.get(came.bank)) is None:
                continue
            try:
                told = list(self._reached(bank, came))
            except (BankError, ModuleNotFoundError):
                told = [(_UNREADABLE, timezone.now())]
            found |= {who: Left(f"{came.bank}:{who}", at) for who, at in told}
        return found.values()

    def show(self, actor: Actor, object_id: str) -> Shown | None:
        bank_id, _, who = object_id.rpartition(":")
        try:
            bank = banks.find_bank(actor, bank_id)
            name = "" if who == _UNREADABLE else self._name(bank, who)
        except (BankError, ModuleNotFoundError):
            return None
        said = {"bank": bank.name}
        told = name or gettext("somebody who reads %(bank)s, whose file of subscribers cannot be read") % said
        return Shown(told, reverse("bank", args=[bank_id]))

    @abstractmethod
    def _reached(self, bank: Bank, came: Came) -> Iterable[tuple[str, datetime]]:
        """Who, and when last. BankError, ModuleNotFoundError."""

    @abstractmethod
    def _name(self, bank: Bank, who: str) -> str:
        """ "" where nobody is known by it any more."""


class FeedSubscribers(_OfBanks):
    """By the ledger of the signed feed: who holds such an entry, or may have held it."""

    def _reached(self, bank: Bank, came: Came) -> Iterable[tuple[str, datetime]]:
        if not (bank.path / FEED).exists():
            return
        from leadline.exchange.feed.ledger import Ledger  # what it needs is installed where something is published

        with closing(Ledger(bank.path, must_exist=True)) as ledger:
            for known, told_at in ledger.had(came.ids, int(came.since.timestamp())):
                yield known.agreement.id, datetime.fromtimestamp(told_at, UTC)

    def _name(self, bank: Bank, who: str) -> str:
        if not (bank.path / FEED).exists():
            return ""
        from leadline.exchange.feed.ledger import Ledger

        with closing(Ledger(bank.path, must_exist=True)) as ledger:
            return next((one.agreement.name for one in ledger.subscribers() if one.agreement.id == who), "")


class Readers(_OfBanks):
    """By what the service wrote beside a bank that it publishes: who read it since such an entry was told there."""

    def _reached(self, bank: Bank, came: Came) -> Iterable[tuple[str, datetime]]:
        for reader in readers_of(bank.path, came.ids):
            yield _digits(reader.name), datetime.fromtimestamp(reader.at, UTC)

    def _name(self, bank: Bank, who: str) -> str:
        return next((name for name in names_of(bank.path) if _digits(name) == who), "")


def _digits(name: str) -> str:
    """Of a name that may be longer than a row has room for."""
    return hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]
