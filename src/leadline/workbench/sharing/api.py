"""API of sharing: what `leadline exchange send` calls, each person with their own key. No route sends by itself."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated, Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponseBase
from ninja import Query, Router, Schema, Status
from pydantic import Field

from leadline.domain import Kind
from leadline.errors import InputError
from leadline.exchange.connector import Act
from leadline.match.admission import MAX_ID
from leadline.workbench.api import CursorQuery, caller, needs, once
from leadline.workbench.cursors import slice_rows
from leadline.workbench.permissions import Permission
from leadline.workbench.sharing import access, actions
from leadline.workbench.sharing.access import MAX_ENTRIES, ORDER
from leadline.workbench.sharing.gate import Wish

router = Router(tags=["shares"])
Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.: -]{1,100}$")]


class PartnerOut(Schema):
    """`is_agreed`: whether an agreement holds today; without one nothing leaves."""

    id: str
    name: str
    source: str
    is_agreed: bool
    tlp: str
    pap: str
    kinds: list[str]
    purposes: list[str]
    valid_until: str


class PartnerList(Schema):
    items: list[PartnerOut]
    next: str | None


class WishIn(Schema):
    """Entries by `ids`, or without them all that the filters let through. `partner`: its name, or its source's."""

    partner: str = Field(min_length=1, max_length=100)
    act: Act
    bank: str = Field(min_length=1, max_length=64)
    purpose: str = Field(max_length=32)
    ids: list[Annotated[int, Field(ge=1, le=MAX_ID)]] = Field(default_factory=list, max_length=MAX_ENTRIES)
    kind: Kind | None = None
    label: str = Field("", max_length=200)
    source: str = Field("", max_length=200)
    since: date | None = None
    algorithm: str = Field("", pattern=r"^[a-z0-9_-]{0,32}$")
    codes: list[Code] = Field(default_factory=list, max_length=20)


class ProposalIn(WishIn):
    """`digest`: of the dry run that was seen; where something else would leave by now, nothing is proposed."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    reason: str = Field(max_length=32)
    note: str = Field("", max_length=2000)


class RulingOut(Schema):
    """`leaves`: exactly what would be handed to the partner's connector; null where a rule stops the entry."""

    entry: int
    passes: bool
    rule: str
    digest: str
    leaves: Any = None


class PreviewOut(Schema):
    digest: str
    passing: int
    stopped: int
    entries: list[RulingOut]


class ShareOut(Schema):
    id: str
    partner: str
    act: str
    bank: str
    purpose: str
    reason: str
    state: str
    digest: str
    passing: int
    stopped: int
    proposed_at: str
    expires_at: str
    decided_at: str | None
    ended_at: str | None
    failure: str


class ShareList(Schema):
    items: list[ShareOut]
    next: str | None


class ShareEntryOut(Schema):
    """`state`: waiting, sending, taken, refused (by the partner), unclear, stopped (by a rule of ours)."""

    entry: int
    rule: str
    state: str
    digest: str
    remote_id: str
    failure: str
    leaves: Any = None


class ShareEntryList(Schema):
    items: list[ShareEntryOut]
    next: str | None


class ShareReceiptOut(Schema):
    """Canonical JSON, signed; as text, so that its bytes stay what was signed."""

    receipt: str


class ShareQuery(CursorQuery):
    state: str = Field("", max_length=10)


@router.get("/partners", response=PartnerList)
@needs(Permission.SHARING_READ)
def list_partners(request: HttpRequest) -> object:
    """All of them, and what holds with each; they are few, so they come at once."""
    return {"items": [_partner(partner) for partner in access.partners()], "next": None}


@router.post("/shares/dry-run", response=PreviewOut)
@needs(Permission.SHARING_PROPOSE)
def preview_share(request: HttpRequest, wish: WishIn) -> object:
    """What would leave, entry by entry, with the rule that lets it pass or stops it. Nothing is written."""
    found = access.preview(caller(request), _partner_named(wish.partner), _wish(wish), wish.purpose)
    return {
        "digest": found.digest,
        "passing": found.passing,
        "stopped": found.stopped,
        "entries": [
            {"entry": one.entry, "passes": one.passes, "rule": one.rule, "digest": one.digest, "leaves": one.told}
            for one in found.rulings
        ],
    }


@router.post("/shares", response={201: ShareOut})
@needs(Permission.SHARING_PROPOSE)
def propose_share(request: HttpRequest, wish: ProposalIn) -> HttpResponseBase | Status[ShareOut]:
    """Propose what a dry run showed. A different person approves it on its page, which no key can; until then nothing
    leaves."""
    actor = caller(request)

    def act() -> tuple[int, ShareOut]:
        made = actions.propose(
            actor, _partner_named(wish.partner), _wish(wish), purpose=wish.purpose, reason=wish.reason,
            seen_digest=wish.digest, note=wish.note,
        )  # fmt: skip
        return 201, _share(made)

    return once(request, act)


@router.get("/shares", response=ShareList)
@needs(Permission.SHARING_READ)
def list_shares(request: HttpRequest, at: Query[ShareQuery]) -> object:
    """Newest first."""
    rows = access.visible_shares(caller(request), state=at.state)
    page = slice_rows(rows, ORDER, at.cursor, at.limit, f"api-shares:{at.state}")
    return {"items": [_share(share) for share in page.rows], "next": page.next}


@router.get("/shares/{uuid:share_id}", response=ShareOut)
@needs(Permission.SHARING_READ)
def show_share(request: HttpRequest, share_id: UUID) -> object:
    return _share(_found(request, share_id))


@router.get("/shares/{uuid:share_id}/entries", response=ShareEntryList)
@needs(Permission.SHARING_READ)
def list_share_entries(request: HttpRequest, share_id: UUID, at: Query[CursorQuery]) -> object:
    """`leaves` is null for a key without banks.read, and where it was stopped or is forgotten."""
    actor, share = caller(request), _found(request, share_id)
    page = slice_rows(access.items_of(share), ("id",), at.cursor, at.limit, f"api-share:{share_id}")
    names = [name for name in ShareEntryOut.model_fields if name != "leaves"]
    items = [{name: getattr(item, name) for name in names} | {"leaves": access.told(actor, item)} for item in page.rows]
    return {"items": items, "next": page.next}


@router.get("/shares/{uuid:share_id}/receipt", response=ShareReceiptOut)
@needs(Permission.SHARING_READ)
def show_receipt(request: HttpRequest, share_id: UUID) -> object:
    """Of what has left up to now."""
    return {"receipt": access.receipt(_found(request, share_id)).decode()}


@router.post("/shares/{uuid:share_id}/withdrawal", response=ShareOut)
@needs(Permission.SHARING_PROPOSE)
def withdraw_share(request: HttpRequest, share_id: UUID) -> object:
    """Take back what has not left. What has is taken back at the partner by a share of its own, with `withdraw`."""
    return _share(actions.withdraw(caller(request), _found(request, share_id).pk))


def _wish(wish: WishIn) -> Wish:
    since = None if wish.since is None else datetime.combine(wish.since, time(), UTC)
    return Wish(
        wish.act, wish.bank, tuple(wish.ids), str(wish.kind or ""), wish.label, wish.source, since, wish.algorithm,
        tuple(wish.codes),
    )  # fmt: skip


def _partner_named(name: str) -> Any:
    found = access.find_partner_named(name)
    if found is None:
        raise InputError("no such partner", where="partner", mend="see the list of partners")
    return found


def _found(request: HttpRequest, share_id: UUID) -> Any:
    share = access.find_share(caller(request), share_id)
    if share is None:
        raise Http404
    return share


def _partner(partner: Any) -> PartnerOut:
    agreement = access.agreement_of(partner)
    told: dict[str, Any] = {"tlp": "", "pap": "", "kinds": [], "purposes": [], "valid_until": ""}
    if holds := agreement is not None and access.is_agreed(agreement):
        assert agreement is not None
        told = {name: getattr(agreement, name) for name in told} | {"valid_until": agreement.valid_until.isoformat()}
    return PartnerOut(id=str(partner.pk), name=partner.name, source=partner.source, is_agreed=holds, **told)


def _share(share: Any) -> ShareOut:
    told = {name: getattr(share, name) for name in ShareOut.model_fields}
    times = {name: value.isoformat() for name, value in told.items() if hasattr(value, "isoformat")}
    return ShareOut(**{**told, **times, "id": str(share.pk), "partner": str(share.partner_id)})
