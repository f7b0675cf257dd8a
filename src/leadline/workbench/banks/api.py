"""API of banks: browse, look up, add, withdraw. Confirming a false positive is for people, so no route does it."""

from __future__ import annotations

import io
from typing import Annotated

from django.http import HttpRequest, HttpResponseBase
from ninja import Path, Query, Router, Schema, Status
from pydantic import Field

from leadline.domain import Entry, Kind, Tlp
from leadline.match.admission import MAX_ID
from leadline.match.bank import Bank
from leadline.match.search import MAX_RADIUS_BITS
from leadline.workbench.api import CursorQuery, caller, needs, once
from leadline.workbench.banks import access, actions
from leadline.workbench.banks.forms import MAX_LOOKED_UP, read_hash, read_list
from leadline.workbench.cursors import decode_cursor, encode_cursor
from leadline.workbench.permissions import Permission

router = Router(tags=["banks"])
MAX_ADDED = 10_000
BankId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
EntryId = Annotated[int, Path(ge=1, le=MAX_ID)]
HashLine = Annotated[str, Field(min_length=1, max_length=200)]


class BankOut(Schema):
    id: str
    name: str
    kind: Kind
    tlp: Tlp
    entries: int
    radius_bits: int
    quality_floor: int
    source: str
    licence: str
    list_version: int


class BankList(Schema):
    items: list[BankOut]
    next: str | None


class EntryOut(Schema):
    id: int
    kind: Kind
    fingerprints: dict[str, str]
    scheme: str
    label: str
    source: str
    source_id: str
    licence: str
    tlp: Tlp
    quality: int | None
    radius_bits: int


class EntryList(Schema):
    items: list[EntryOut]
    next: str | None


class ChangeOut(Schema):
    id: str
    what: str
    reason: str
    actor: str
    at: str


class History(Schema):
    items: list[ChangeOut]


class NewEntries(Schema):
    """One hash a line as in `leadline bank add`: hexadecimal, or with its name before it (pdq:...)."""

    hashes: list[HashLine] = Field(min_length=1, max_length=MAX_ADDED)
    reason: str = Field(max_length=64)
    kind: Kind | None = None
    radius_bits: int = Field(0, ge=0, le=31)


class RefusedOut(Schema):
    position: int
    code: str
    what: str


class Added(Schema):
    """`proposal`: false positives wait for a second person; nothing is added yet."""

    added: int
    ids: list[int]
    refused_count: int
    refused: list[RefusedOut]
    proposal: str | None


class Withdrawal(Schema):
    ids: list[Annotated[int, Field(ge=1, le=MAX_ID)]] = Field(min_length=1, max_length=MAX_ADDED)
    reason: str = Field(max_length=64)


class Withdrawn(Schema):
    """`proposal`: so many that a second person confirms it; nothing is withdrawn yet."""

    withdrawn: int
    proposal: str | None


class LookUp(Schema):
    hashes: list[HashLine] = Field(min_length=1, max_length=MAX_LOOKED_UP)
    radius_bits: int | None = Field(None, ge=0, le=MAX_RADIUS_BITS)


class BankMatchOut(Schema):
    bank: str
    entry: int
    kind: Kind
    algorithm: str
    distance: float
    threshold: float
    scheme: str
    label: str
    list_version: int
    suppressed_by: str | None


class Answer(Schema):
    matches: list[BankMatchOut]
    truncated: bool


class Answers(Schema):
    items: list[Answer]


@router.get("/banks", response=BankList)
@needs(Permission.BANKS_READ)
def list_banks(request: HttpRequest) -> object:
    """All banks that the key may see; they are few, so they come at once."""
    views = access.visible_banks(caller(request))
    return {"items": [_bank(view.bank) for view in views if view.bank is not None], "next": None}


@router.get("/banks/{bank_id}", response=BankOut)
@needs(Permission.BANKS_READ)
def show_bank(request: HttpRequest, bank_id: BankId) -> object:
    return _bank(access.find_bank(caller(request), bank_id))


@router.get("/banks/{bank_id}/entries", response=EntryList)
@needs(Permission.BANKS_READ)
def list_entries(request: HttpRequest, bank_id: BankId, at: Query[CursorQuery]) -> object:
    """By number. What is added meanwhile comes at the end, what is withdrawn is missing; nothing comes twice."""
    actor, scope = caller(request), f"entries:{bank_id}"
    bank = access.find_bank(actor, bank_id)
    after = int(decode_cursor(at.cursor, scope)[0]) if at.cursor else 0
    entries, following = access.page_entries(actor, bank, after, at.limit)
    return {
        "items": [_entry(entry) for entry in entries],
        "next": None if following is None else encode_cursor([following], scope),
    }


@router.get("/banks/{bank_id}/entries/{entry_id}", response=EntryOut)
@needs(Permission.BANKS_READ)
def show_entry(request: HttpRequest, bank_id: BankId, entry_id: EntryId) -> object:
    actor = caller(request)
    return _entry(access.find_entry(actor, access.find_bank(actor, bank_id), entry_id))


@router.get("/banks/{bank_id}/entries/{entry_id}/history", response=History)
@needs(Permission.BANKS_READ)
def show_history(request: HttpRequest, bank_id: BankId, entry_id: EntryId) -> object:
    """Oldest first. Those found in the folder, made by another program, have "system" for their actor."""
    actor = caller(request)
    history = access.visible_history(actor, access.find_bank(actor, bank_id), entry_id)
    told = ((str(c.pk), c.what, c.reason, c.actor, c.begun_at.isoformat()) for c in history)
    return {"items": [dict(zip(ChangeOut.model_fields, row, strict=True)) for row in told]}


@router.post("/banks/{bank_id}/entries", response={201: Added})
@needs(Permission.BANKS_WRITE)
def add_entries(request: HttpRequest, bank_id: BankId, wish: NewEntries) -> HttpResponseBase | Status[Added]:
    """Send an Idempotency-Key: the same request sent again then adds nothing twice."""
    actor = caller(request)
    bank = access.find_bank(actor, bank_id)

    def act() -> tuple[int, Added]:
        text = "\n".join(line.replace("\n", " ").replace("\r", " ") for line in wish.hashes)
        entries = read_list(io.BytesIO(text.encode()), ".txt", bank, wish.kind or bank.kind, wish.radius_bits)
        return 201, _added(actions.add_entries(actor, bank_id, entries, reason=wish.reason))

    return once(request, act)


@router.post("/banks/{bank_id}/withdrawals", response=Withdrawn)
@needs(Permission.BANKS_WRITE)
def withdraw_entries(request: HttpRequest, bank_id: BankId, wish: Withdrawal) -> object:
    """They match no more at once. Numbers that are not there are passed over."""
    outcome = actions.withdraw_entries(caller(request), bank_id, wish.ids, reason=wish.reason)
    return {"withdrawn": outcome.withdrawn, "proposal": _proposal(outcome)}


@router.post("/look-ups", response=Answers)
@needs(Permission.BANKS_READ)
def look_up(request: HttpRequest, wish: LookUp) -> object:
    """One answer a hash, in order. By POST, so that no hash stands in an address; nothing is stored."""
    lines = [read_hash(line) for line in wish.hashes]
    flat = [(name, digest) for line in lines for _, name, digest in line]
    found = iter(access.look_up(caller(request), flat, wish.radius_bits))
    items = []
    for line in lines:
        answers = [next(found) for _ in line]
        matches = [match for answer, _ in answers for match in answer]
        items.append({"matches": matches, "truncated": any(cut for _, cut in answers)})
    return {"items": items}


def _bank(bank: Bank) -> BankOut:
    manifest = bank.snapshot.manifest
    return BankOut(
        id=access.bank_id_of(bank),
        name=bank.name,
        kind=bank.kind,
        tlp=manifest.tlp,
        entries=bank.count,
        radius_bits=bank.radius_bits,
        quality_floor=bank.quality_floor,
        source=manifest.source,
        licence=manifest.licence,
        list_version=bank.list_version,
    )


def _entry(entry: Entry) -> dict[str, object]:
    prints = {name: digest.hex() for name, digest in entry.fingerprints.items()}
    return {name: getattr(entry, name) for name in EntryOut.model_fields} | {"fingerprints": prints}


def _added(outcome: actions.Outcome) -> Added:
    return Added(
        added=outcome.added,
        ids=list(outcome.ids),
        refused_count=outcome.refused_count,
        refused=[
            RefusedOut(position=refusal.position, code=refusal.error.code, what=refusal.error.what)
            for refusal in outcome.refused[:100]
        ],
        proposal=_proposal(outcome),
    )


def _proposal(outcome: actions.Outcome) -> str | None:
    return None if outcome.proposal is None else str(outcome.proposal.pk)
