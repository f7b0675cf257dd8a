"""The only reads of sharing on behalf of somebody. A share is seen by whoever may see the bank that it is of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from leadline.custody.canonical import encode_canonical
from leadline.custody.chain import format_time
from leadline.errors import ConfigError, InputError, sentence
from leadline.exchange.connector import Act
from leadline.match.bank import Bank
from leadline.workbench import sealing
from leadline.workbench.actors import Actor
from leadline.workbench.banks import access as banks
from leadline.workbench.cursors import Slice
from leadline.workbench.evidence.access import page_of
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Permission
from leadline.workbench.sharing import gate, leaving, reach
from leadline.workbench.sharing.gate import Ruling, Wish
from leadline.workbench.sharing.models import Agreement, ItemState, Partner, Share, ShareItem, ShareState

MAX_ENTRIES = 10_000  # of one share
ORDER = ("-proposed_at", "-id")
RECEIPT_MARK = b"leadline share receipt 1\n"
_READ_AT_ONCE = 1000
LEFT = (ItemState.TAKEN, ItemState.REFUSED, ItemState.UNCLEAR)


@dataclass(frozen=True, slots=True)
class Preview:
    """A dry run. digest: of exactly what would leave, in this order; it names what a person has seen."""

    partner: Partner
    agreement: Agreement
    rulings: list[Ruling]

    @property
    def digest(self) -> str:
        return leaving.digest_of(ruling.digest for ruling in self.rulings if ruling.passes)

    @property
    def passing(self) -> int:
        return sum(ruling.passes for ruling in self.rulings)

    @property
    def stopped(self) -> int:
        return len(self.rulings) - self.passing


def partners() -> QuerySet[Partner]:
    return Partner.objects.order_by("name")


def find_partner(partner_id: Any) -> Partner | None:
    return Partner.objects.filter(pk=partner_id).first()


def find_partner_named(name: str) -> Partner | None:
    """By its name, or by that of its source."""
    return Partner.objects.filter(Q(name=name) | Q(source=name)).order_by("name").first()


def agreements_of(partner: Partner) -> QuerySet[Agreement]:
    return Agreement.objects.filter(partner=partner).select_related("made_by").order_by("-made_at", "-id")


def agreement_of(partner: Partner) -> Agreement | None:
    """The one that was not ended; it may not hold yet, or no more."""
    return Agreement.objects.filter(partner=partner, ended_at=None).first()


def is_agreed(agreement: Agreement | None) -> bool:
    return agreement is not None and gate.is_live(agreement, timezone.now())


def document_of(agreement: Agreement) -> str:
    return sealing.unseal(bytes(agreement.document_sealed), document_context(agreement.pk))


def document_context(agreement_id: object) -> str:
    return f"agreement:{agreement_id}:document"


def note_context(share_id: object) -> str:
    return f"share:{share_id}:note"


def note_of(share: Share) -> str:
    return sealing.unseal(bytes(share.note_sealed), note_context(share.pk)) if share.note_sealed else ""


# --- a dry run -------------------------------------------------------------------------------------------------------


def preview(by: Actor, partner: Partner, wish: Wish, purpose: str) -> Preview:
    """What would leave, entry by entry. Nothing is written.

    InputError where the partner takes no such act or the agreement has no such purpose; BankNotFound.
    """
    agreement = agreement_for(partner, wish.act)
    if wish.act not in reach.acts_of(partner.source):
        raise InputError("this partner takes no such act", where="act", mend="see docs/connectors.md")
    if purpose not in agreement.purposes:
        raise InputError("the agreement does not name this purpose", where="purpose", mend="choose one that it names")
    bank = banks.find_bank(by, wish.bank)
    ids = list(wish.ids) or _filtered(by, bank, wish)
    if len(ids) > MAX_ENTRIES:
        raise _too_many()
    return Preview(partner, agreement, gate.Gate(by, partner, agreement, bank, wish).judge(ids))


def agreement_for(partner: Partner, act: Act) -> Agreement:
    """InputError where none holds. What a partner has is taken back also after its agreement has ended."""
    found = agreement_of(partner)
    if act is Act.WITHDRAW and found is None:
        found = agreements_of(partner).first()
    if found is None or not (act is Act.WITHDRAW or is_agreed(found)):
        raise InputError("no agreement with this partner holds today", where="partner", mend="make one first")
    try:
        is_same = found.reach == reach.reach_of(partner.source)
    except ConfigError:
        mend = "set it up with `leadline exchange add`"
        raise InputError("the partner's source is not set up", where="partner", mend=mend) from None
    if not is_same:
        mend = "make a new agreement: it says whom the partner is reached by"
        raise InputError("the partner's source leads elsewhere than when this was agreed", where="partner", mend=mend)
    return found


def _filtered(by: Actor, bank: Bank, wish: Wish) -> list[int]:
    ids: list[int] = []
    after: int | None = 0
    while after is not None:
        page, after = banks.page_entries(by, bank, after, _READ_AT_ONCE)
        ids += [entry.id or 0 for entry in page if wish.lets_through(entry)]
        if len(ids) > MAX_ENTRIES:
            raise _too_many()
    return ids


def _too_many() -> InputError:
    what = sentence("more than %(most)s entries at once", most=MAX_ENTRIES)
    return InputError(what, where="ids", mend="choose fewer")


# --- shares ----------------------------------------------------------------------------------------------------------


def visible_shares(actor: Actor, *, state: str = "", partner: Any = None) -> QuerySet[Share]:
    """Of banks that this actor sees; a bank that is gone hides none."""
    seen = {view.id for view in banks.visible_banks(actor)}
    hidden = {banks.bank_id_of(bank) for bank in banks.all_banks()} - seen
    rows = Share.objects.exclude(bank__in=hidden).select_related("partner", "agreement", "proposed_by", "decided_by")
    rows = rows.filter(state=state) if state else rows
    return rows.filter(partner=partner) if partner else rows


def find_share(actor: Actor, share_id: Any) -> Share | None:
    return visible_shares(actor).filter(pk=share_id).first()


def shares_page(actor: Actor, state: str, partner: Any, cursor: str) -> Slice:
    return page_of(visible_shares(actor, state=state, partner=partner), ORDER, cursor, f"shares:{state}:{partner}")


def count_to_decide(actor: Actor) -> int:
    return visible_shares(actor, state=ShareState.PROPOSED).exclude(proposed_by=actor.person).count()


def count_stuck() -> int:
    """What waits for a person to find something out or put it right; nobody's view, so a number alone."""
    return Share.objects.filter(state__in=(ShareState.UNCLEAR, ShareState.FAILED)).count()


def items_of(share: Share) -> QuerySet[ShareItem]:
    return ShareItem.objects.filter(share=share).order_by("id")


def items_page(share: Share, cursor: str) -> Slice:
    return page_of(items_of(share), ("id",), cursor, f"share:{share.pk}")


def told(actor: Actor, item: ShareItem) -> Any:
    """What leaves of it, for whoever may read banks; None where it was stopped or is forgotten."""
    if item.left_sealed is None or not actor.may(Permission.BANKS_READ):
        return None
    return json.loads(gate.unseal_left(item))


def may_decide(actor: Actor, share: Share) -> bool:
    return actor.may(Permission.SHARING_APPROVE) and share.proposed_by_id != actor.person.pk


# --- the receipt -----------------------------------------------------------------------------------------------------


def has_left(share: Share) -> bool:
    return ShareItem.objects.filter(share=share, state__in=LEFT).exists()


def receipt(share: Share) -> bytes:
    """Canonical JSON: what left, when, on whose word, what the partner called it, the lines of the journal; signed.

    The signature (Ed25519, of the key that signs the chain) is over RECEIPT_MARK and the object without it.
    """
    left = list(items_of(share).filter(state__in=LEFT))
    lines = Line.objects.filter(object_kind="share", object_id=str(share.pk)).order_by("line")
    key = sealing.signing_key()
    said: dict[str, Any] = {
        "share": str(share.pk), "partner": str(share.partner_id), "agreement": str(share.agreement_id),
        "act": share.act, "bank": share.bank, "purpose": share.purpose, "reason": share.reason, "state": share.state,
        "approved_digest": share.digest, "proposed_by": share.proposer, "proposed_at": format_time(share.proposed_at),
        "decided_by": str(share.decided_by_id), "left_digest": leaving.digest_of(item.digest for item in left),
        "decided_at": format_time(share.decided_at) if share.decided_at else "",
        "entries": [
            {
                "entry": item.entry, "digest": item.digest, "outcome": item.state, "remote_id": item.remote_id,
                "failure": item.failure, "at": format_time(item.at) if item.at else "",
            }
            for item in left
        ],
        "journal": [{"line": line.line, "act": line.act, "hash": line.hash} for line in lines],
        "key": key.public_bytes.hex(),
    }  # fmt: skip
    signature = key.sign(RECEIPT_MARK + encode_canonical(said)).hex()
    return encode_canonical(said | {"signature": signature})
